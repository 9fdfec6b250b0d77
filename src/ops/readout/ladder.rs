//! The forward pass as simpler kernels (`kernels/ladder.cu`), for those who learn: for benches and tests only.

use super::{Shape, Weights};
use crate::device::kernels::ladder as kernels;
use crate::device::{Device, View, ViewMut};
use kernels::{SIDE, THREADS};

/// Writes h, one thread per number; the CPU takes its one path.
pub fn plain(device: &Device, shape: &Shape, x: View, weights: Weights, h: ViewMut) {
    if matches!(device, Device::Cpu) {
        return super::forward(device, shape, x.into(), weights, h, None);
    }
    shape.check(x.len(), &weights, h.len());
    kernels::ladder_readout_plain(
        device,
        [(shape.batch * shape.neurons).div_ceil(THREADS), 1, 1],
        x,
        weights.mask,
        weights.features,
        weights.bias,
        h,
        shape.batch,
        shape.channels,
        shape.pixels,
        shape.neurons,
        shape.positive_features.into(),
    );
}

/// Writes h through tiles in shared memory; the CPU takes its one path.
pub fn tiled(device: &Device, shape: &Shape, x: View, weights: Weights, h: ViewMut) {
    if matches!(device, Device::Cpu) {
        return super::forward(device, shape, x.into(), weights, h, None);
    }
    shape.check(x.len(), &weights, h.len());
    kernels::ladder_readout_tiled(
        device,
        [shape.neurons.div_ceil(SIDE), shape.batch, 1],
        x,
        weights.mask,
        weights.features,
        weights.bias,
        h,
        shape.channels,
        shape.pixels,
        shape.neurons,
        shape.positive_features.into(),
    );
}
