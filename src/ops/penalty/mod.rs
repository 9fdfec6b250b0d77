//! The three penalties of Ecker et al. 2019, with their gradients.
//!
//! On the final k x k filters W of all orientations (summed over outputs), L the Laplacian kernel, zero-padded:
//! smoothness `S = sum_out sum (L * W)^2 / (1e-8 + sum W^2)`; group sparsity over input channels
//! `G = sum_out sum_in |W_in| / sqrt(1e-8 + sum_in |W_in|^2)`. Neither changes with a filter's scale.
//! Readout: `sum_n (sum_p |mask|) (sum_c |features|)`; its other forms: [`adaptive`], [`absolutes`] and [`squares`].
//!
//! For steerable filters both are quadratic forms of the coefficients, one pair of (M, M) matrices per orientation
//! ([`Metric`]), so no filter is formed; rolling the input orientations changes neither. Training needs the gradients alone.

mod adaptive;
mod cpu;
mod elements;
mod metric;
pub mod reference;

use super::readout::Windows;
use crate::device::kernels;
use crate::device::{Device, View, ViewMut};
pub use adaptive::{LogNorm, adaptive};
pub use elements::{absolutes, squares};
pub use metric::Metric;
use rayon::prelude::*;
use std::ops::Range;

/// Keeps the denominators from 0.
pub const EPSILON: f64 = 1e-8;
/// The Laplacian kernel.
pub const LAPLACIAN: [[f64; 3]; 3] = [[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]];

/// Weights of the two filter penalties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// Of S.
    pub smoothness: f64,
    /// Of G.
    pub group_sparsity: f64,
}

/// Adds the gradient of the weighted penalty of coefficients (M, n_in, F), summed over all orientations, to dc.
pub fn steerable(
    device: &Device,
    metric: &Metric,
    out_features: usize,
    strength: Strength,
    c: View,
    mut dc: ViewMut,
) {
    let (m, orientations) = (metric.functions, metric.orientations);
    assert_eq!((c.len(), c.len() % (m * out_features)), (dc.len(), 0));
    let forms = metric.forms.view();
    match device {
        Device::Cpu => {
            cpu::steerable(forms.host(), m, out_features, strength, c.host(), dc.host());
        }
        _ => {
            let (pairs, slices) = (2 * orientations, c.len() / m);
            let blocks = c.len().div_ceil(kernels::penalty::THREADS);
            device.scratch(pairs * (m + 1) * slices, |scratch| {
                let (mut products, mut factors) = scratch.split_at(pairs * m * slices);
                kernels::penalty::penalty_steerable_products(
                    device,
                    [blocks, orientations, 1],
                    forms,
                    c,
                    products.reborrow(),
                    m,
                    slices,
                );
                kernels::penalty::penalty_steerable_factors(
                    device,
                    [out_features, orientations, 1],
                    c,
                    products.read(),
                    factors.reborrow(),
                    m,
                    slices / out_features,
                    out_features,
                    strength.smoothness as f32,
                    strength.group_sparsity as f32,
                );
                kernels::penalty::penalty_steerable_gradient(
                    device,
                    [blocks, 1, 1],
                    products.read(),
                    factors.read(),
                    dc.reborrow(),
                    orientations,
                    m,
                    slices,
                );
            });
        }
    }
}

/// The penalty whose gradient [`steerable`] adds, computed on this machine from copies: for checks.
pub fn steerable_value(metric: &Metric, out_features: usize, strength: Strength, c: &[f32]) -> f64 {
    let (forms, mut dc) = (metric.forms.download(), vec![0.0; c.len()]);
    cpu::steerable(&forms, metric.functions, out_features, strength, c, &mut dc)
}

/// Adds the gradient of the weighted penalty of filters (C_out, C_in, k, k) to dw.
pub fn filters(
    device: &Device,
    (in_channels, kernel): (usize, usize),
    strength: Strength,
    w: View,
    dw: ViewMut,
) {
    let per_output = in_channels * kernel * kernel;
    assert_eq!((w.len(), w.len() % per_output), (dw.len(), 0));
    match device {
        Device::Cpu => w
            .host()
            .par_chunks_exact(per_output)
            .zip(dw.host().par_chunks_exact_mut(per_output))
            .for_each(|(w, dw)| {
                reference::filter(kernel, strength, w, dw);
            }),
        _ => {
            let outputs = w.len() / per_output;
            device.scratch(w.len() + outputs * in_channels, |scratch| {
                let (edges, sizes) = scratch.split_at(w.len());
                kernels::penalty::penalty_filters(
                    device,
                    [outputs, 1, 1],
                    w,
                    edges,
                    sizes,
                    dw,
                    in_channels,
                    kernel,
                    strength.smoothness as f32,
                    strength.group_sparsity as f32,
                );
            });
        }
    }
}

/// Writes the gradient of each neuron's |mask| (N), neurons in the order of their masks, and adds that of the features. With windows masks lie
/// as they order them.
pub fn readout(
    device: &Device,
    windows: Option<&Windows>,
    strength: f64,
    (mask, features): (View, View),
    (sparsity, dfeatures): (ViewMut, ViewMut),
) {
    let n = sparsity.len();
    let (p, c) = (mask.len() / n, features.len() / n);
    let wanted = (windows.map_or(n * p, Windows::mask_len), n * c, n * c);
    let got = (mask.len(), features.len(), dfeatures.len());
    assert_eq!(got, wanted, "readout penalty");
    match (device, windows) {
        (Device::Cpu, _) => {
            let (mask, features) = (mask.host(), features.host());
            let own = dfeatures.host().par_chunks_exact_mut(c).enumerate();
            let own = own.map(|(n, dfeatures)| {
                let (mask, features) = (&mask[own_mask(windows, n, p)], &features[n * c..][..c]);
                reference::neuron(strength, mask, features, dfeatures).1
            });
            store_sparsity(windows, own.collect(), sparsity.host());
        }
        (_, None) => kernels::penalty::penalty_readout(
            device,
            [n, 1, 1],
            mask,
            features,
            sparsity,
            dfeatures,
            p,
            c,
            strength as f32,
        ),
        (_, Some(windows)) => kernels::penalty::penalty_windowed_readout(
            device,
            [n, 1, 1],
            mask,
            features,
            windows.tables.starts.view(),
            windows.tables.order.view(),
            sparsity,
            dfeatures,
            c,
            strength as f32,
        ),
    }
}

/// Where a neuron's mask lies, of `pixels` where it has no window.
fn own_mask(windows: Option<&Windows>, neuron: usize, pixels: usize) -> Range<usize> {
    match windows {
        Some(windows) => windows.range(neuron),
        None => neuron * pixels..(neuron + 1) * pixels,
    }
}

/// From the order of neurons to that of their masks.
fn store_sparsity(windows: Option<&Windows>, of_neurons: Vec<f64>, sparsity: &mut [f32]) {
    for (i, to) in sparsity.iter_mut().enumerate() {
        let neuron = windows.map_or(i, |windows| windows.order()[i]);
        *to = of_neurons[neuron] as f32;
    }
}
