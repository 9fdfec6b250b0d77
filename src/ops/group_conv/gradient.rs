//! The coefficients' gradient in the Fourier form on a device; `kernels/group_conv_gradient.cu` has the mathematics.

use super::Shape;
use super::expansion::Expansion;
use super::mix::Terms;
use super::sizes::Sizes;
use crate::device::kernels::group_conv::{GROUP_CONV_COLUMNS, GROUP_CONV_STRIDE};
use crate::device::kernels::group_conv_gradient as kernels;
use crate::device::{Array, Device, MapView, Precision, ViewMut};
use crate::ops::basis::Basis;

/// Blocks that are wanted at once; so many partial sums are kept.
const BLOCKS: usize = 512;

/// Fewest tiles of a block.
const TILES: usize = 4;

/// From the gradients of the mixing weights to the coefficients'.
#[derive(Clone, Debug)]
pub struct Adjoint {
    /// Weights of an input and an output feature.
    rows: usize,
    /// Weights in which each coefficient is, at most.
    count: usize,
    /// (M, count): their rows.
    weights: Array<u32>,
    /// (M, count, O).
    factors: Array,
}

impl Adjoint {
    /// Of weights that are these sums.
    pub fn new(device: &Device, o: usize, weights: &[Terms], basis: &Basis) -> Self {
        let mut of_function = vec![Vec::new(); basis.len()];
        for (row, terms) in weights.iter().enumerate() {
            for (j, values) in terms {
                if values.iter().any(|&v| v != 0.0) {
                    of_function[*j].push((row as u32, values));
                }
            }
        }
        let count = of_function.iter().map(Vec::len).max().unwrap_or(0);
        let nothing = vec![0.0; o];
        let (mut places, mut factors) = (Vec::new(), Vec::new());
        for mut list in of_function {
            list.resize(count, (0, &nothing));
            for (row, values) in list {
                places.push(row);
                factors.extend(values.iter().map(|&v| v as f32));
            }
        }
        Self {
            rows: weights.len(),
            count,
            weights: device.upload(&places, &[places.len()]),
            factors: device.upload(&factors, &[factors.len()]),
        }
    }

    /// Adds to dc; `body` writes the weights' gradients of each slice, (slices, F_in, rows, padded F_out).
    pub fn run(
        &self,
        device: &Device,
        s: &Shape,
        slices: usize,
        body: impl FnOnce(ViewMut),
        mut dc: ViewMut,
    ) {
        let across = s.out_features.next_multiple_of(kernels::GRADIENT_FEATURES);
        let len = s.in_features * self.rows * across;
        device.scratch((slices + 1) * len, |scratch| {
            let (mut partial, mut sums) = scratch.split_at(slices * len);
            body(partial.reborrow());
            let blocks = |n: usize| [n.div_ceil(kernels::GRADIENT_THREADS), 1, 1];
            kernels::group_conv_gradient_sum(
                device,
                blocks(len),
                partial.read(),
                sums.reborrow(),
                len,
                slices,
            );
            kernels::group_conv_gradient_coefficients(
                device,
                blocks(dc.len()),
                sums.read(),
                self.weights.view(),
                self.factors.view(),
                dc.reborrow(),
                s.orientations,
                s.in_features,
                s.out_features,
                self.rows,
                self.count,
                s.coefficients(),
            );
        });
    }
}

/// How the kernels cut the work, and what follows them.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// Rows of a tile.
    rows: usize,
    adjoint: Adjoint,
}

impl Gradient {
    /// None where the kernels' shared memory does not do.
    pub fn new(
        device: &Device,
        s: &Shape,
        sizes: &Sizes,
        weights: &[Terms],
        basis: &Basis,
    ) -> Option<Self> {
        let o = s.orientations;
        let fits = |rows: usize| {
            let words = |blocks: usize| 2 * sizes.units * blocks * rows * 20;
            let halo = 2 * sizes.units * (rows + s.kernel - 1) * GROUP_CONV_STRIDE;
            words(8 * sizes.slots) <= kernels::GRADIENT_NUMBERS
                && words(kernels::GRADIENT_FEATURES) <= kernels::GRADIENT_OUTPUTS
                && halo <= kernels::GRADIENT_HALO
        };
        let rows = [2, 1].into_iter().find(|&rows| o <= 8 && fits(rows))?;
        Some(Self {
            rows,
            adjoint: Adjoint::new(device, o, weights, basis),
        })
    }

    /// Adds to dc.
    pub fn run(
        &self,
        device: &Device,
        (of, batch): (&Expansion, usize),
        x: MapView,
        dy: MapView,
        dc: ViewMut,
    ) {
        let s = &of.shape;
        let direct = s.direct();
        let tiles = batch
            * direct.out_height().div_ceil(self.rows)
            * direct.out_width().div_ceil(GROUP_CONV_COLUMNS);
        let at_once = match (s.kernel, device.precision()) {
            (7, Precision::F32) => 1,
            (7, _) => 2,
            _ => 4,
        };
        let groups = s.in_features.div_ceil(at_once);
        let chunks = s.out_features.div_ceil(kernels::GRADIENT_FEATURES);
        let slices = tiles.div_ceil(TILES).min(BLOCKS.div_ceil(groups * chunks));
        let per_slice = tiles.div_ceil(slices);
        let slices = tiles.div_ceil(per_slice);
        let kernel = match s.kernel {
            3 => kernels::group_conv_gradient_3,
            5 => kernels::group_conv_gradient_5,
            _ => kernels::group_conv_gradient_7,
        };
        let sums = |partial: ViewMut| {
            kernel(
                device,
                [groups, slices, chunks],
                x,
                dy,
                of.transform.view(),
                of.basis.view(),
                of.places.view(),
                partial,
                s.orientations,
                s.in_features,
                s.out_features,
                s.height,
                s.width,
                s.padding,
                self.rows,
                tiles,
                per_slice,
            );
        };
        self.adjoint.run(device, s, slices, sums, dc);
    }
}
