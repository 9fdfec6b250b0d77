//! The steps of Walker et al. 2019: along the gradient over its mean size, clipped to what a screen shows, then blurred.

use super::{COUNTERS, Shape, reference};
use crate::device::kernels;
use crate::device::{Device, View, ViewMut};
use rayon::prelude::*;

/// Moves the images x (B, h, w) that are not done: `x += sizes[step] g / mean |g|`, clipped to the range from lowest to
/// highest. Sizes (K) are by step.
pub fn walk(
    device: &Device,
    shape: &Shape,
    sizes: View,
    (lowest, highest): (f32, f32),
    gradient: View,
    x: ViewMut,
    counters: ViewMut<u32>,
) {
    let pixels = shape.pixels();
    assert_eq!((gradient.len(), x.len()), (shape.len(), shape.len()));
    assert_eq!(counters.len(), shape.batch * COUNTERS);
    match device {
        Device::Cpu => {
            let sizes = sizes.host();
            x.host()
                .par_chunks_exact_mut(pixels)
                .zip(gradient.host().par_chunks_exact(pixels))
                .zip(counters.host().par_chunks_exact_mut(COUNTERS))
                .for_each(|((x, g), counters)| {
                    reference::walk(sizes, (lowest, highest), g, x, counters);
                });
        }
        _ => kernels::ascent::ascent_walk(
            device,
            [shape.batch, 1, 1],
            sizes,
            gradient,
            x,
            counters,
            pixels,
            lowest,
            highest,
        ),
    }
}

/// Writes x (B, h, w) blurred along its columns (`down`) or rows. Weights (K, R + 1), of the middle and of each distance,
/// are those of the step that was taken last; what lies beyond the border is its mirror image. An image that is done, or
/// has taken no step, is copied.
pub fn blur(
    device: &Device,
    shape: &Shape,
    (weights, taps): (View, usize),
    down: bool,
    x: View,
    out: ViewMut,
    counters: View<u32>,
) {
    let pixels = shape.pixels();
    assert_eq!((x.len(), out.len()), (shape.len(), shape.len()));
    assert_eq!(counters.len(), shape.batch * COUNTERS);
    match device {
        Device::Cpu => {
            let weights = weights.host();
            out.host()
                .par_chunks_exact_mut(pixels)
                .zip(x.host().par_chunks_exact(pixels))
                .zip(counters.host().par_chunks_exact(COUNTERS))
                .for_each(|((out, x), counters)| {
                    let size = (shape.height, shape.width);
                    reference::blur(size, (weights, taps), down, x, out, counters);
                });
        }
        _ => {
            let grid = [pixels.div_ceil(kernels::ascent::THREADS), shape.batch, 1];
            let (h, w) = (shape.height, shape.width);
            let down = usize::from(down);
            kernels::ascent::ascent_blur(device, grid, x, weights, counters, out, h, w, taps, down);
        }
    }
}
