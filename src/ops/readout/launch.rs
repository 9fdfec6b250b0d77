//! The passes as launches of `kernels/readout.cu`.

use super::{Gradients, Shape, Weights};
use crate::device::kernels::readout as kernels;
use crate::device::{Device, Precision, View, ViewMut};
use kernels::{NEURONS, THREADS, TILE, WHOLE_STEP};

/// Kernels count within these arrays in 32 bits.
fn check(shape: &Shape) {
    let pixels = shape.pixels.next_multiple_of(WHOLE_STEP);
    let largest = shape.neurons * pixels.max(shape.channels).max(shape.batch);
    assert!(largest < 1 << 31, "{shape:?}");
}

/// Words of x and of |mask| as bf16.
fn words(shape: &Shape) -> (usize, usize) {
    let row = shape.pixels.next_multiple_of(WHOLE_STEP) / 2;
    (shape.batch * shape.channels * row, shape.neurons * row)
}

/// Floats that [`forward`] leaves for [`backward`]: what both read as bf16.
pub fn kept(device: &Device, shape: &Shape) -> usize {
    let (x, mask) = words(shape);
    match device.precision() {
        Precision::Bf16 => x + mask,
        _ => 0,
    }
}

/// Lends x and |mask| as the kernels want them stored: as they are, or rounded into `memory`, or as they lie there already.
fn stored(
    device: &Device,
    shape: &Shape,
    (x, mask): (View, View),
    memory: Option<ViewMut>,
    rounded: bool,
    body: impl FnOnce(View, View),
) {
    check(shape);
    if device.precision() != Precision::Bf16 {
        return body(x, mask);
    }
    let (of_x, of_mask) = words(shape);
    // Without x there is none of it to round.
    let of_x = if x.is_empty() { 0 } else { of_x };
    let fill_and_lend = |memory: ViewMut| {
        assert!(memory.read().in_quads(), "{shape:?}: memory off 16 bytes");
        let (mut maps, mut masks) = memory.split_at(of_x);
        if !rounded {
            round(device, shape.pixels, x, false, maps.reborrow());
            round(device, shape.pixels, mask, true, masks.reborrow());
        }
        body(maps.read(), masks.read());
    };
    match memory {
        Some(memory) => fill_and_lend(memory),
        None => device.scratch(of_x + of_mask, fill_and_lend),
    }
}

fn round(device: &Device, pixels: usize, from: View, absolute: bool, to: ViewMut) {
    let (rows, words) = (from.len() / pixels, to.len());
    kernels::readout_round(
        device,
        [words.div_ceil(4 * THREADS), 1, 1],
        from,
        to,
        rows,
        pixels,
        absolute.into(),
    );
}

pub fn forward(
    device: &Device,
    shape: &Shape,
    x: View,
    weights: Weights,
    h: ViewMut,
    keep: Option<ViewMut>,
) {
    let images = (TILE / shape.channels).max(1);
    let grid = [
        shape.neurons.div_ceil(TILE),
        shape.batch.div_ceil(images),
        1,
    ];
    stored(device, shape, (x, weights.mask), keep, false, |x, mask| {
        kernels::readout_forward(
            device,
            grid,
            x,
            mask,
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
    });
}

/// Both ways back; `kept` is what [`forward`] left.
pub fn backward(
    device: &Device,
    shape: &Shape,
    x: View,
    weights: Weights,
    dh: View,
    (dx, gradients): (ViewMut, Gradients),
    kept: Option<ViewMut>,
) {
    let (rounded, from) = (kept.is_some(), (x, weights.mask));
    stored(device, shape, from, kept, rounded, |x, mask| {
        to_input(device, shape, mask, &weights, dh, dx);
        to_weights(device, shape, (x, mask), &weights, dh, gradients);
    });
}

pub fn backward_input(device: &Device, shape: &Shape, weights: Weights, dh: View, dx: ViewMut) {
    let nothing = weights.mask.slice(0..0);
    stored(
        device,
        shape,
        (nothing, weights.mask),
        None,
        false,
        |_, mask| {
            to_input(device, shape, mask, &weights, dh, dx);
        },
    );
}

fn to_input(device: &Device, shape: &Shape, mask: View, weights: &Weights, dh: View, dx: ViewMut) {
    let rows = shape.batch * shape.channels;
    kernels::readout_backward_input(
        device,
        [shape.pixels.div_ceil(TILE), rows.div_ceil(TILE), 1],
        mask,
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

fn to_weights(
    device: &Device,
    shape: &Shape,
    (x, mask): (View, View),
    weights: &Weights,
    dh: View,
    gradients: Gradients,
) {
    let (tiles, features) = (shape.pixels.div_ceil(TILE), weights.features.len());
    device.scratch(tiles * features, |mut parts| {
        kernels::readout_backward_weights(
            device,
            [shape.neurons.div_ceil(NEURONS), tiles, 1],
            x,
            mask,
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
