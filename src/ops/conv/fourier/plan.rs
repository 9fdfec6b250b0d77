//! How images are cut into tiles, and whether that has less to do than the direct form.

use super::super::Shape;
use super::lines::{LENGTHS, Twiddles};
use crate::ops::panel;

/// What a product of a pair of channels and a transform of a channel cost per pixel of a tile, in multiply-adds of the direct form
/// (measured).
const PRODUCT: usize = 2;
const TRANSFORM: usize = 64;
/// Images that share the transforms of filters, when forms are compared: not the batch's, whose images must not depend on it.
const USUAL: usize = 32;

/// How images are cut into tiles.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shape: Shape,
    pub sides: [Twiddles; 2],
    /// Rows and columns of a tile, and of the outputs that it gives.
    pub tile: [usize; 2],
    pub inner: [usize; 2],
    /// Tiles of an image, down and across.
    pub tiles: [usize; 2],
    /// Elements of a tile at f and -f.
    pub pairs: Vec<[usize; 2]>,
    pub lanes: usize,
    /// What an image costs, in multiply-adds of the direct form.
    pub count: usize,
}

/// Outputs of a tile along a side, and how many tiles there are.
fn fits(length: usize, kernel: usize, output: usize) -> Option<(usize, usize)> {
    let inner = (length + 1)
        .checked_sub(kernel)
        .filter(|&inner| inner > 0)?;
    Some((inner, output.div_ceil(inner)))
}

impl Plan {
    /// None where the direct form has less to do.
    pub fn of(s: &Shape) -> Option<Self> {
        let direct = s.out_height() * s.out_width() * s.kernel * s.kernel;
        Self::cheapest(s).filter(|plan| plan.count < direct * s.in_channels * s.out_channels)
    }

    /// None where no tile is wider than the filter.
    pub fn cheapest(s: &Shape) -> Option<Self> {
        let lanes = panel::lanes();
        let [inputs, outputs] = [s.in_channels, s.out_channels].map(|n| n.next_multiple_of(lanes));
        let (mut count, mut found) = (usize::MAX, None);
        for rows in LENGTHS {
            for columns in LENGTHS {
                let (Some(down), Some(across)) = (
                    fits(rows, s.kernel, s.out_height()),
                    fits(columns, s.kernel, s.out_width()),
                ) else {
                    continue;
                };
                let area = rows * columns;
                let transforms = TRANSFORM * area * (inputs + outputs);
                let filters = TRANSFORM * area * inputs * outputs / USUAL;
                let products = PRODUCT * area * inputs * outputs;
                let tiles = (down.1 * across.1).next_multiple_of(2);
                let all = tiles * (products + transforms) + filters;
                if all < count {
                    count = all;
                    found = Some(([rows, columns], [down, across]));
                }
            }
        }
        let ([rows, columns], [down, across]) = found?;
        let mirrored = |i: usize, n: usize| (n - i) % n;
        let pairs = (0..rows * columns).filter_map(|f| {
            let other = mirrored(f / columns, rows) * columns + mirrored(f % columns, columns);
            (f <= other).then_some([f, other])
        });
        Some(Self {
            shape: *s,
            sides: [rows, columns].map(Twiddles::new),
            tile: [rows, columns],
            inner: [down.0, across.0],
            tiles: [down.1, across.1],
            pairs: pairs.collect(),
            lanes,
            count,
        })
    }

    pub fn area(&self) -> usize {
        self.tile[0] * self.tile[1]
    }

    /// Numbers of an element: real and imaginary parts of as many channels as a vector has lanes.
    pub fn element(&self) -> usize {
        2 * self.lanes
    }

    /// Numbers of a complex tile of so many channels.
    pub fn len(&self) -> usize {
        self.area() * self.element()
    }

    /// Channels in whole vectors.
    pub fn padded(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.lanes)
    }

    /// Complex tiles of an image: of two tiles each.
    pub fn twos(&self) -> usize {
        (self.tiles[0] * self.tiles[1]).div_ceil(2)
    }

    /// First row and column of the outputs of a complex tile's two.
    pub fn places(&self, two: usize) -> [Option<[usize; 2]>; 2] {
        let [down, across] = self.tiles;
        [2 * two, 2 * two + 1].map(|at| {
            let place = [at / across * self.inner[0], at % across * self.inner[1]];
            (at < down * across).then_some(place)
        })
    }

    /// Where a lane's pixel of the first or second tile lies.
    pub fn at(&self, lane: usize, row: usize, column: usize) -> usize {
        (row * self.tile[1] + column) * self.element() + lane
    }
}
