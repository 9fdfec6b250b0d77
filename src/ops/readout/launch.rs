//! The passes as launches of `kernels/readout.cu`.

use super::{Gradients, Shape, Weights};
use crate::device::kernels::readout as kernels;
use crate::device::{Device, MapView, MapViewMut, Precision, View, ViewMut};
use kernels::{NEURONS, THREADS, TILE, WHOLE_STEP};

/// Kernels count within these arrays in 32 bits.
fn check(shape: &Shape) {
    let pixels = shape.pixels.next_multiple_of(WHOLE_STEP);
    let largest = shape.neurons * pixels.max(shape.channels).max(shape.batch);
    assert!(largest < 1 << 31, "{shape:?}");
}

/// Whether rows of x lie in memory as the kernels want them stored at bf16: in whole steps.
fn whole(shape: &Shape) -> bool {
    shape.pixels.is_multiple_of(WHOLE_STEP)
}

/// Numbers of x and of |mask| that are stored at bf16 beside x itself.
fn halves(shape: &Shape) -> (usize, usize) {
    let row = shape.pixels.next_multiple_of(WHOLE_STEP);
    let of_x = if whole(shape) {
        0
    } else {
        shape.batch * shape.channels * row
    };
    (of_x, shape.neurons * row)
}

/// Floats that [`forward`] leaves for [`backward`]: what both read as bf16.
pub fn kept(device: &Device, shape: &Shape) -> usize {
    let (x, mask) = halves(shape);
    match device.precision() {
        Precision::Bf16 => (x + mask) / 2,
        _ => 0,
    }
}

/// Lends x and |mask| as the kernels want them stored: as they are, or filled up and rounded into `memory`, or as they lie
/// there already.
fn stored(
    device: &Device,
    shape: &Shape,
    (x, mask): (MapView, View),
    memory: Option<ViewMut>,
    rounded: bool,
    body: impl FnOnce(MapView, MapView),
) {
    check(shape);
    if device.precision() != Precision::Bf16 {
        return body(x, mask.into());
    }
    let (mut of_x, of_mask) = halves(shape);
    // Without x there is none of it to store.
    if x.is_empty() {
        of_x = 0;
    }
    let fill_and_lend = |memory: ViewMut| {
        let (mut maps, mut masks) = MapViewMut::Half(memory.halves()).split_at(of_x);
        if !rounded {
            if of_x > 0 {
                let (grid, rows) = fill(shape, of_x);
                kernels::readout_store_maps(device, grid, x, maps.reborrow(), rows, shape.pixels);
            }
            let (grid, rows) = fill(shape, of_mask);
            kernels::readout_store_mask(device, grid, mask, masks.reborrow(), rows, shape.pixels);
        }
        let x = if of_x > 0 { maps.read() } else { x };
        let aligned = (x.is_empty() || x.in_quads()) && masks.read().in_quads();
        assert!(aligned, "{shape:?}: memory off 16 bytes");
        body(x, masks.read());
    };
    match memory {
        Some(memory) => fill_and_lend(memory),
        None => device.scratch((of_x + of_mask) / 2, fill_and_lend),
    }
}

/// The grid that stores so many numbers, and their rows.
fn fill(shape: &Shape, halves: usize) -> ([usize; 3], usize) {
    let rows = halves / shape.pixels.next_multiple_of(WHOLE_STEP);
    ([halves.div_ceil(4 * THREADS), 1, 1], rows)
}

pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
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
    x: MapView,
    weights: Weights,
    dh: View,
    (dx, gradients): (MapViewMut, Gradients),
    kept: Option<ViewMut>,
) {
    let (rounded, from) = (kept.is_some(), (x, weights.mask));
    stored(device, shape, from, kept, rounded, |x, mask| {
        to_input(device, shape, mask, &weights, dh, dx);
        to_weights(device, shape, (x, mask), &weights, dh, gradients);
    });
}

pub fn backward_input(device: &Device, shape: &Shape, weights: Weights, dh: View, dx: MapViewMut) {
    let nothing = MapView::Float(weights.mask.slice(0..0));
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

fn to_input(
    device: &Device,
    shape: &Shape,
    mask: MapView,
    weights: &Weights,
    dh: View,
    dx: MapViewMut,
) {
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
    (x, mask): (MapView, MapView),
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
