//! The Fourier form of 8 orientations on a device with matrix products: tables and launches of `kernels/group_conv_eight.cu`.

use super::Shape;
use super::eight_gradient::Gradient;
use super::mix::transposed;
use super::plan::Plan;
use super::route::{taps, weights};
use crate::device::kernels::group_conv_eight as kernels;
use crate::device::{Array, Device, MapView, MapViewMut, Precision, View};
use crate::ops::basis::Basis;
use crate::ops::norm::Finish;

/// Pixels of a strip of a row.
const STRIP: usize = 32;

/// Constants of one direction.
#[derive(Clone, Debug)]
pub struct Eight {
    /// Of this direction.
    shape: Shape,
    /// Whether it is the adjoint's: coefficients come with input and output features exchanged.
    adjoint: bool,
    /// Rows of a block's tile, and strips beside each other.
    tile: (usize, usize),
    basis: Array,
    factors: Array,
    functions: Array<u32>,
    /// None for the adjoint.
    pub gradient: Option<Gradient>,
}

/// The tile of `strips` strips with the least to do: pixels, then those of its halo.
fn tile(s: &Shape, strips: usize) -> (usize, usize) {
    let (height, width) = (s.direct().out_height(), s.direct().out_width());
    let cost = |&(rows, across): &(usize, usize)| {
        let wide = across * STRIP;
        let covered = height.next_multiple_of(rows) * width.next_multiple_of(wide);
        (covered, (rows + s.kernel - 1) * (wide + s.kernel - 1))
    };
    let tiles = [4, 2, 1].map(|across| (strips / across, across));
    tiles.into_iter().min_by_key(cost).unwrap_or((strips, 1))
}

impl Eight {
    /// None where pixels cannot be read in twos, and where another kernel is there for it.
    pub fn new(device: &Device, plan: &Plan, basis: &Basis, adjoint: bool) -> Option<Self> {
        let s = plan.shape;
        let (halves, tiles) = match device.precision() {
            Precision::F32 => return None,
            Precision::Tf32 => (1, 1),
            Precision::Bf16 => (2, 2),
        };
        let even = s.width.is_multiple_of(2) && s.direct().out_width().is_multiple_of(2);
        let served = match s.kernel {
            3 => true,
            5 => s.padding.is_multiple_of(2),
            _ => false,
        };
        if !s.oriented_input || s.orientations != 8 || !even || !served {
            return None;
        }
        let mut weights = weights(basis);
        if adjoint {
            weights = weights.into_iter().map(|t| transposed(t, basis)).collect();
        }
        let (functions, factors): (Vec<u32>, Vec<Vec<f32>>) = (weights.iter().flatten())
            .map(|(j, values)| (*j as u32, values.iter().map(|&v| v as f32).collect()))
            .unzip();
        let upload = |values: &[f32]| device.upload(values, &[values.len()]);
        let strips = kernels::EIGHT_THREADS / 32 * tiles / 2;
        Some(Self {
            shape: s,
            adjoint,
            tile: tile(&s, strips),
            basis: upload(&taps(basis, halves)),
            factors: upload(&factors.concat()),
            functions: device.upload(&functions, &[functions.len()]),
            gradient: (!adjoint).then(|| Gradient::new(device, basis)),
        })
    }

    /// Writes y, or with an ending what it makes of it.
    pub fn run(
        &self,
        device: &Device,
        batch: usize,
        x: MapView,
        c: View,
        ending: Option<&Finish>,
        mut y: MapViewMut,
    ) {
        let (s, (rows, across)) = (&self.shape, self.tile);
        let chunks = s.out_features.div_ceil(kernels::EIGHT_FEATURES);
        let pairs = s.in_features * chunks * kernels::EIGHT_STEPS * 2 * 32;
        let (in_stride, out_stride) = if self.adjoint {
            (1, s.in_features)
        } else {
            (s.out_features, 1)
        };
        // Two words per pair, one in BF16.
        device.scratch(2 * pairs, |mut weights| {
            kernels::group_conv_eight_weights(
                device,
                [pairs.div_ceil(kernels::EIGHT_THREADS), 1, 1],
                self.factors.view(),
                self.functions.view(),
                c,
                weights.reborrow(),
                s.in_features,
                s.out_features,
                in_stride,
                out_stride,
            );
            let aligned = weights.read().in_quads() && x.in_quads() && y.read().in_quads();
            assert!(aligned, "{s:?}: memory off 16 bytes");
            let kernel = match s.kernel {
                3 => kernels::group_conv_eight_3,
                _ => kernels::group_conv_eight_5,
            };
            let direct = s.direct();
            let tiles =
                direct.out_height().div_ceil(rows) * direct.out_width().div_ceil(across * STRIP);
            let none = self.basis.view();
            let (mean, variance) = ending.map_or((none, none), |f| f.statistics);
            let gain = ending.and_then(|f| f.affine.gain);
            let offset = ending.map_or(none, |f| f.affine.offset);
            kernel(
                device,
                [batch * tiles, chunks, 1],
                x,
                self.basis.view(),
                weights.read(),
                mean,
                variance,
                gain.unwrap_or(none),
                offset,
                y.reborrow(),
                s.in_features,
                s.out_features,
                s.height,
                s.width,
                s.padding,
                across,
                rows,
                offset.len(),
                usize::from(gain.is_some()),
                ending.map_or(0, |f| f.activation.code() + 1),
            );
        });
    }
}
