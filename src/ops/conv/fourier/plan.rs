//! How images are cut into tiles, and whether that has less to do than the direct form.

use super::super::Shape;
use super::lines::{LENGTHS, Twiddles};
use crate::ops::panel;

/// Most units of tiles of the images that are one task.
const TASK: usize = 8;
/// What a product of a pair of channels and a transform of a channel cost per pixel of a tile, in multiply-adds of the direct form
/// (measured: the direct form runs at nine tenths of the roof, products here at half of it).
const PRODUCT: usize = 4;
const TRANSFORM: usize = 32;
/// Images that share the transforms of filters, when forms are compared: not the batch's, whose images must not depend on it.
const USUAL: usize = 32;

/// How images are cut into tiles.
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
    /// Images of a task.
    pub images: usize,
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
        let (inputs, outputs) = (s.in_channels, s.out_channels);
        let mut best = s.out_height() * s.out_width() * s.kernel * s.kernel * inputs * outputs;
        let mut found = None;
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
                if all < best {
                    best = all;
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
        let lanes = panel::lanes();
        let tiles = (down.1 * across.1).next_multiple_of(2);
        // As few lanes as possible stay empty; then the more units, the better.
        let units = |images: usize| (images * tiles).div_ceil(2 * lanes);
        let most = s.batch.div_ceil(4);
        let images = (1..=most)
            .rev()
            .filter(|&n| n == 1 || units(n) <= TASK)
            .min_by(|&a, &b| (units(a) * b).cmp(&(units(b) * a)))
            .unwrap_or(1);
        Some(Self {
            shape: *s,
            sides: [rows, columns].map(Twiddles::new),
            tile: [rows, columns],
            inner: [down.0, across.0],
            tiles: [down.1, across.1],
            pairs: pairs.collect(),
            lanes,
            images,
        })
    }

    pub fn area(&self) -> usize {
        self.tile[0] * self.tile[1]
    }

    /// Tiles of a unit: as many as a vector of complex numbers holds.
    pub fn unit(&self) -> usize {
        2 * self.lanes
    }

    /// Numbers of a unit's tile.
    pub fn len(&self) -> usize {
        self.area() * self.unit()
    }

    /// Tiles of an image, in pairs.
    fn paired(&self) -> usize {
        (self.tiles[0] * self.tiles[1]).next_multiple_of(2)
    }

    /// Units of so many images.
    pub fn units(&self, images: usize) -> usize {
        (images * self.paired()).div_ceil(self.unit())
    }

    /// The tiles of unit `unit` among `images` images: lane, image, first row and column of the output.
    pub fn of_unit(
        &self,
        unit: usize,
        images: usize,
    ) -> impl Iterator<Item = (usize, usize, [usize; 2])> + use<'_> {
        let [down, across] = self.tiles;
        let first = unit * self.unit();
        let last = (first + self.unit()).min(images * self.paired());
        (first..last).filter_map(move |i| {
            let (image, at) = (i / self.paired(), i % self.paired());
            let place = [at / across * self.inner[0], at % across * self.inner[1]];
            let lane = i % 2 * self.lanes + (i - first) / 2;
            (at < down * across).then_some((lane, image, place))
        })
    }

    /// Where a pixel of a lane's tile lies.
    pub fn at(&self, lane: usize, row: usize, column: usize) -> usize {
        (row * self.tile[1] + column) * self.unit() + lane
    }
}
