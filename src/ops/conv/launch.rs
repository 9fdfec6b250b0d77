//! The passes as launches of `kernels/conv.cu`.

use super::{Shape, image};
use crate::device::kernels::conv as kernels;
use crate::device::{Device, MULTIPROCESSORS, MapView, MapViewMut, View, ViewMut};
use kernels::{NARROW, PIXELS, THREADS, TILE};

/// Blocks that the product over pixels is cut into: enough for every multiprocessor of the largest cards to hold two
/// blocks, and the same on all of them, for it decides the order of the sum.
const BLOCKS: usize = 4 * MULTIPROCESSORS;
/// Fewest steps of a slice.
const SHORTEST: usize = 8;

/// Kernels count within these arrays in 32 bits.
pub fn check(shape: &Shape) {
    let (x, w, y) = shape.lengths();
    assert!(x.max(w).max(y) < 1 << 31, "{shape:?}");
}

pub fn forward(device: &Device, shape: &Shape, x: MapView, w: View, y: MapViewMut) {
    if image::has_products(device, shape) {
        return image::forward(device, shape, x, w, y);
    }
    check(shape);
    let pixels = shape.batch * shape.out_height() * shape.out_width();
    let kernel = if shape.out_channels <= NARROW {
        kernels::conv_forward_narrow
    } else {
        kernels::conv_forward
    };
    kernel(
        device,
        [pixels.div_ceil(TILE), shape.out_channels.div_ceil(TILE), 1],
        x,
        w,
        y,
        shape.batch,
        shape.in_channels,
        shape.out_channels,
        shape.height,
        shape.width,
        shape.kernel,
        shape.padding,
    );
}

pub fn backward_input(device: &Device, shape: &Shape, w: View, dy: MapView, dx: MapViewMut) {
    if image::is_image(shape) {
        return image::backward_input(device, shape, w, dy, dx);
    }
    device.scratch(w.len(), |mut turned| {
        kernels::conv_transpose_weights(
            device,
            [w.len().div_ceil(THREADS), 1, 1],
            w,
            turned.reborrow(),
            shape.in_channels,
            shape.out_channels,
            shape.kernel * shape.kernel,
        );
        forward(device, &shape.transposed(), dy, turned.read(), dx);
    });
}

pub fn backward_weights(device: &Device, shape: &Shape, x: MapView, dy: MapView, dw: ViewMut) {
    if let Some(rows) = image::band(device, shape, dy) {
        return image::backward_weights(device, shape, rows, (x, dy), dw);
    }
    check(shape);
    let weights = dw.len();
    let rows = shape.out_channels.div_ceil(TILE);
    let columns = (weights / shape.out_channels).div_ceil(TILE);
    let steps = shape.batch * (shape.out_height() * shape.out_width()).div_ceil(PIXELS);
    let per_slice = steps
        .div_ceil(BLOCKS.div_ceil(rows * columns))
        .max(SHORTEST);
    let slices = steps.div_ceil(per_slice);
    let kernel = if shape.out_channels <= NARROW {
        kernels::conv_backward_weights_narrow
    } else {
        kernels::conv_backward_weights
    };
    device.scratch(slices * weights, |mut parts| {
        kernel(
            device,
            [columns, rows, slices],
            x,
            dy,
            parts.reborrow(),
            shape.batch,
            shape.in_channels,
            shape.out_channels,
            shape.height,
            shape.width,
            shape.kernel,
            shape.padding,
            per_slice,
        );
        sum_parts(device, parts.read(), dw, slices);
    });
}

/// Adds parts of the gradient of all weights to it, in their order.
pub fn sum_parts(device: &Device, parts: View, dw: ViewMut, count: usize) {
    let weights = dw.len();
    let grid = [weights.div_ceil(THREADS), 1, 1];
    kernels::conv_backward_weights_sum(device, grid, parts, dw, count, weights);
}
