//! The passes as launches of `kernels/readout.cu`.

use super::{Gradients, Shape, Weights};
use crate::device::kernels::readout as kernels;
use crate::device::{Device, View, ViewMut};
use kernels::{NEURONS, THREADS, TILE};

/// Kernels count within these arrays in 32 bits.
fn check(shape: &Shape) {
    let largest = shape.neurons * shape.pixels.max(shape.channels).max(shape.batch);
    assert!(largest < 1 << 31, "{shape:?}");
}

pub fn forward(device: &Device, shape: &Shape, x: View, weights: Weights, h: ViewMut) {
    check(shape);
    let images = (TILE / shape.channels).max(1);
    kernels::readout_forward(
        device,
        [
            shape.neurons.div_ceil(TILE),
            shape.batch.div_ceil(images),
            1,
        ],
        x,
        weights.mask,
        weights.features,
        weights.bias,
        h,
        shape.batch,
        shape.channels,
        shape.pixels,
        shape.neurons,
        images,
        shape.positive_features.into(),
    );
}

pub fn backward_input(device: &Device, shape: &Shape, weights: Weights, dh: View, dx: ViewMut) {
    check(shape);
    let rows = shape.batch * shape.channels;
    kernels::readout_backward_input(
        device,
        [shape.pixels.div_ceil(TILE), rows.div_ceil(TILE), 1],
        weights.mask,
        weights.features,
        dh,
        dx,
        shape.batch,
        shape.channels,
        shape.pixels,
        shape.neurons,
        shape.positive_features.into(),
    );
}

pub fn backward_weights(
    device: &Device,
    shape: &Shape,
    x: View,
    weights: Weights,
    dh: View,
    gradients: Gradients,
) {
    check(shape);
    let (tiles, features) = (shape.pixels.div_ceil(TILE), weights.features.len());
    device.scratch(tiles * features, |mut parts| {
        kernels::readout_backward_weights(
            device,
            [shape.neurons.div_ceil(NEURONS), tiles, 1],
            x,
            weights.mask,
            weights.features,
            dh,
            gradients.mask,
            parts.reborrow(),
            shape.batch,
            shape.channels,
            shape.pixels,
            shape.neurons,
            shape.positive_features.into(),
        );
        kernels::readout_backward_features(
            device,
            [features.div_ceil(THREADS), 1, 1],
            parts.read(),
            weights.features,
            gradients.features,
            tiles,
            features,
            shape.positive_features.into(),
        );
    });
    kernels::readout_backward_bias(
        device,
        [shape.neurons.div_ceil(THREADS), 1, 1],
        dh,
        gradients.bias,
        shape.batch,
        shape.neurons,
    );
}
