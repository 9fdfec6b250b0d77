//! The passes as launches of `kernels/readout.cu` and, their products, of those in `products.rs`.

use super::products::{Forward, Input, ToWeights};
use super::{Gradients, Shape, Weights};
use crate::device::kernels::readout as kernels;
use crate::device::{Device, MapView, MapViewMut, Precision, View, ViewMut};
use kernels::{THREADS, TURN, WHOLE_ROW};

/// Kernels count within these arrays in 32 bits.
fn check(shape: &Shape) {
    let (pixels, neurons) = (filled(shape.pixels), filled(shape.neurons));
    let largest = neurons * pixels.max(shape.channels).max(filled(shape.batch));
    assert!(largest < 1 << 31, "{shape:?}");
}

/// Numbers of x that are stored for the products beside x itself, in whole steps; none where x has these already.
pub fn numbers_of_x(shape: &Shape) -> usize {
    let row = filled(shape.pixels);
    match row == shape.pixels {
        true => 0,
        false => shape.batch * shape.channels * row,
    }
}

/// The same of x and of |mask|.
fn numbers(shape: &Shape) -> (usize, usize) {
    let of_masks = shape.neurons * filled(shape.pixels);
    (numbers_of_x(shape), of_masks)
}

/// Most channels of a readout of whole maps.
pub fn most_channels(device: &Device) -> usize {
    Input::of(device).most_channels()
}

/// Floats that hold them.
pub fn floats(device: &Device, (x, mask): (usize, usize)) -> usize {
    (x + mask) * device.precision().map_bytes() / size_of::<f32>()
}

/// Floats that [`forward`] leaves for [`backward`]: what both read.
pub fn kept(device: &Device, shape: &Shape) -> usize {
    floats(device, numbers(shape))
}

/// Lends x and |mask| as the kernels want them stored: x as it is, or with whole rows in `memory`, or as they lie there already.
fn stored(
    device: &Device,
    shape: &Shape,
    (x, mask): (MapView, View),
    memory: Option<ViewMut>,
    rounded: bool,
    body: impl FnOnce(MapView, MapView),
) {
    check(shape);
    let (mut of_x, of_mask) = numbers(shape);
    // Without x there is none of it to store.
    if x.is_empty() {
        of_x = 0;
    }
    let round_and_lend = |memory: ViewMut| {
        let (mut maps, mut masks) = as_maps(device, memory).split_at(of_x);
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
        Some(memory) => round_and_lend(memory),
        None => device.scratch(floats(device, (of_x, of_mask)), round_and_lend),
    }
}

/// Memory for maps.
pub fn as_maps<'a>(device: &Device, memory: ViewMut<'a>) -> MapViewMut<'a> {
    match device.precision() {
        Precision::Bf16 => MapViewMut::Half(memory.halves()),
        _ => MapViewMut::Float(memory),
    }
}

/// The grid that stores so many numbers, and their rows.
fn fill(shape: &Shape, numbers: usize) -> ([usize; 3], usize) {
    let rows = numbers / filled(shape.pixels);
    ([numbers.div_ceil(4 * THREADS), 1, 1], rows)
}

pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    weights: Weights,
    h: ViewMut,
    keep: Option<ViewMut>,
) {
    stored(device, shape, (x, weights.mask), keep, false, |x, mask| {
        Forward::of(device).launch(device, shape, (x, mask), &weights, h);
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
    let row = filled(shape.neurons);
    let (of_features, of_dh) = (shape.channels * row, shape.batch * row);
    let tiles = Input::of(device);
    // |mask| once more, turned.
    let of_turned = match tiles.mask_turned {
        true => shape.pixels * row,
        false => 0,
    };
    let grid = [
        shape.pixels.div_ceil(tiles.cols),
        tiles.rows_of(shape).div_ceil(tiles.rows),
        1,
    ];
    let all = floats(device, (of_features + of_dh, of_turned));
    device.scratch(all, |scratch| {
        let (mut factors, mut turned) = as_maps(device, scratch).split_at(of_features + of_dh);
        if tiles.mask_turned {
            let of = (shape.neurons, shape.pixels);
            turn(device, of, weights.mask, turned.reborrow(), true, true);
        }
        let (features, own_dh) = factors.reborrow().split_at(of_features);
        let of = (shape.neurons, shape.channels);
        let positive = shape.positive_features;
        turn(device, of, weights.features, features, positive, false);
        kernels::readout_fill(
            device,
            [of_dh.div_ceil(4 * THREADS), 1, 1],
            dh,
            own_dh,
            shape.batch,
            shape.neurons,
        );
        (tiles.launch)(
            device,
            grid,
            if tiles.mask_turned {
                turned.read()
            } else {
                mask
            },
            factors.read(),
            dx,
            shape.batch,
            shape.channels,
            shape.pixels,
            shape.neurons,
        );
    });
}

/// A row of so many numbers, filled up.
pub fn filled(length: usize) -> usize {
    length.next_multiple_of(WHOLE_ROW)
}

/// A matrix (rows, columns) as (columns, rows filled up).
pub fn turn(
    device: &Device,
    (rows, columns): (usize, usize),
    from: View,
    to: MapViewMut,
    positive: bool,
    is_operand: bool,
) {
    kernels::readout_turn(
        device,
        [columns.div_ceil(TURN), rows.div_ceil(TURN), 1],
        from,
        to,
        rows,
        columns,
        positive.into(),
        is_operand.into(),
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
    let products = ToWeights::of(device);
    let tiles = shape.pixels.div_ceil(products.cols);
    let features = weights.features.len();
    let of_dh = floats(device, (0, shape.neurons * filled(shape.batch)));
    device.scratch(of_dh + tiles * features, |scratch| {
        let (own_dh, mut parts) = scratch.split_at(of_dh);
        let mut own_dh = as_maps(device, own_dh);
        turn(
            device,
            (shape.batch, shape.neurons),
            dh,
            own_dh.reborrow(),
            false,
            true,
        );
        let grid = [shape.neurons.div_ceil(products.rows), tiles, 1];
        products.launch(
            device,
            grid,
            shape,
            (x, mask, own_dh.read()),
            weights,
            (gradients.sparsity, gradients.mask, parts.reborrow()),
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
