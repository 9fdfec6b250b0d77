//! The Fourier form on a device: its tables and its launches. `kernels/group_conv.cu` has the tiling and the words used here.

use super::expansion::Expansion;
use super::gradient::Gradient;
use super::mix::{Mix, terms, transposed};
use super::plan::Plan;
use super::sizes::Sizes;
use crate::device::kernels::group_conv as kernels;
use crate::device::{Array, Device, MapView, MapViewMut, View};
use crate::ops::basis::Basis;
use crate::ops::norm::Finish;

/// Constants of one direction.
#[derive(Clone, Debug)]
pub struct Fourier {
    pub expansion: Expansion,
    /// Whether it is the adjoint's: coefficients come with input and output features exchanged.
    adjoint: bool,
    factors: Array,
    functions: Array<u32>,
    /// None for the adjoint, and where there is no kernel for it.
    pub gradient: Option<Gradient>,
}

impl Fourier {
    pub fn new(device: &Device, plan: &Plan, basis: &Basis, adjoint: bool) -> Option<Self> {
        let s = plan.shape;
        let sizes = Sizes::new(&s)?;
        let mix = Mix::new(&s, &sizes, basis);
        let mut weights: Vec<_> = (mix.weights.iter())
            .map(|source| terms(source, s.orientations, basis))
            .collect();
        let gradient = Gradient::new(device, &s, &sizes, &weights, basis).filter(|_| !adjoint);
        if adjoint {
            weights = weights.into_iter().map(|t| transposed(t, basis)).collect();
        }
        let (functions, factors): (Vec<u32>, Vec<Vec<f32>>) = (weights.iter().flatten())
            .map(|(j, values)| (*j as u32, values.iter().map(|&v| v as f32).collect()))
            .unzip();
        let upload = |values: &[f32]| device.upload(values, &[values.len()]);
        Some(Self {
            expansion: Expansion::new(device, s, sizes, &mix, basis),
            adjoint,
            factors: upload(&factors.concat()),
            functions: device.upload(&functions, &[functions.len()]),
            gradient,
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
        let of = &self.expansion;
        let (s, sizes) = (&of.shape, &of.sizes);
        let chunks = s.out_features.div_ceil(kernels::GROUP_CONV_FEATURES);
        let lanes = s.in_features * sizes.steps() * chunks * 2 * 32;
        let (in_stride, out_stride) = if self.adjoint {
            (1, s.in_features)
        } else {
            (s.out_features, 1)
        };
        // Two words per lane, one in BF16.
        device.scratch(2 * lanes, |mut weights| {
            kernels::group_conv_weights(
                device,
                [lanes.div_ceil(kernels::GROUP_CONV_THREADS), 1, 1],
                self.factors.view(),
                self.functions.view(),
                c,
                weights.reborrow(),
                s.orientations,
                sizes.steps(),
                s.in_features,
                s.out_features,
                in_stride,
                out_stride,
            );
            let kernel = match s.kernel {
                3 => kernels::group_conv_forward_3,
                5 => kernels::group_conv_forward_5,
                _ => kernels::group_conv_forward_7,
            };
            let direct = s.direct();
            let tiles = direct.out_height().div_ceil(sizes.rows)
                * direct.out_width().div_ceil(kernels::GROUP_CONV_COLUMNS);
            let none = of.transform.view();
            let (mean, variance) = ending.map_or((none, none), |f| f.statistics);
            let gain = ending.and_then(|f| f.affine.gain);
            let offset = ending.map_or(none, |f| f.affine.offset);
            kernel(
                device,
                [batch * tiles, chunks, 1],
                x,
                of.transform.view(),
                of.basis.view(),
                of.places.view(),
                weights.read(),
                mean,
                variance,
                gain.unwrap_or(none),
                offset,
                y.reborrow(),
                s.orientations,
                s.in_features,
                s.out_features,
                s.height,
                s.width,
                s.padding,
                sizes.rows,
                offset.len(),
                usize::from(gain.is_some()),
                ending.map_or(0, |f| f.activation.code() + 1),
            );
        });
    }
}
