//! Ascent on images: every image x (h, w) of a batch climbs the rate of its own neuron (Ecker et al. 2019).
//!
//! Unconstrained z, norm c, smoothness s, Laplacian L, frequency factor F:
//!
//! ```text
//! x = c z / |z|                                     constrain
//! loss = s sum (L * x)^2 - rate(x)                  smooth, track
//! g = F (2 s L * L * x - drate/dx)                  smooth, add, precondition
//! dz = (c / |z|) (g - x (x . g) / c^2), Adam on z   advance
//! ```
//!
//! An image may be a crop of a larger one: whatever lies around the crop is 0 and stays 0. Its [`frame`] says which of the
//! crop's pixels exist at all; those that do not are 0 in z, x and every gradient.
//!
//! What decides when an image is done lies beside it on the device ([`Follow`]), so that a host looks only now and then;
//! an image that is done is changed no more, however long it stays in the batch.

mod cpu;
mod follow;
pub mod reference;
mod walk;

use crate::device::kernels;
use crate::device::{Device, View, ViewMut};
use cpu::Mirrored;
pub use follow::{AVERAGES, Aim, COUNTERS, Follow, Outcome, Patience, advance, aim, track};
use rayon::prelude::*;
pub use walk::{blur, walk};

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// h.
    pub height: usize,
    /// w.
    pub width: usize,
}

impl Shape {
    /// P.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// B P.
    pub fn len(&self) -> usize {
        self.batch * self.pixels()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows and columns that exist around and in a crop (h, w) whose first pixel is (row, column) of an image (H, W): the
/// half-open ranges top, left, bottom, right, counted from one pixel before the crop.
pub fn frame(
    (height, width): (usize, usize),
    (row, column): (i64, i64),
    image: (usize, usize),
) -> [u32; 4] {
    let range = |from: i64, size: usize, of: usize| {
        let inside = |at: i64| at.clamp(0, size as i64 + 2) as u32;
        (inside(1 - from), inside(of as i64 - from + 1))
    };
    let (top, bottom) = range(row, height, image.0);
    let (left, right) = range(column, width, image.1);
    [top, left, bottom, right]
}

/// Writes x = c z / |z| and the lengths |z| (B) of z (B, h, w); where z is 0, x is.
pub fn constrain(device: &Device, shape: &Shape, norm: f64, z: View, x: ViewMut, lengths: ViewMut) {
    let pixels = shape.pixels();
    assert_eq!(
        (z.len(), x.len(), lengths.len()),
        (shape.len(), shape.len(), shape.batch)
    );
    match device {
        Device::Cpu => x
            .host()
            .par_chunks_exact_mut(pixels)
            .zip(z.host().par_chunks_exact(pixels))
            .zip(lengths.host())
            .for_each(|((x, z), length)| *length = reference::constrain(norm, z, x)),
        _ => {
            let grid = [shape.batch, 1, 1];
            kernels::ascent::ascent_constrain(device, grid, z, x, lengths, pixels, norm as f32);
        }
    }
}

/// Writes `strength` times the sum of (L * x)^2 over what exists (B), and its gradient (B, h, w).
pub fn smooth(
    device: &Device,
    shape: &Shape,
    strength: f64,
    frames: View<u32>,
    x: View,
    (gradient, values): (ViewMut, ViewMut),
) {
    let pixels = shape.pixels();
    assert_eq!((x.len(), gradient.len()), (shape.len(), shape.len()));
    assert_eq!((frames.len(), values.len()), (4 * shape.batch, shape.batch));
    match device {
        Device::Cpu => gradient
            .host()
            .par_chunks_exact_mut(pixels)
            .zip(x.host().par_chunks_exact(pixels))
            .zip(frames.host().par_chunks_exact(4).zip(values.host()))
            .for_each(|((gradient, x), (frame, value))| {
                let size = (shape.height, shape.width);
                *value = reference::smooth(size, frame, strength, x, gradient);
            }),
        _ => {
            let grid = [shape.batch, 1, 1];
            let (h, w, s) = (shape.height, shape.width, strength as f32);
            kernels::ascent::ascent_smooth(device, grid, frames, x, gradient, values, h, w, s);
        }
    }
}

/// `out[b, ..] += factor scales[b] source[b, ..]`, for out and source (B, width).
pub fn add(device: &Device, factor: f64, scales: View, source: View, out: ViewMut) {
    let (batch, len) = (scales.len(), out.len());
    assert_eq!((source.len(), len % batch.max(1)), (len, 0));
    if len == 0 {
        return;
    }
    let width = len / batch;
    match device {
        Device::Cpu => out
            .host()
            .par_chunks_exact_mut(width)
            .zip(source.host().par_chunks_exact(width).zip(scales.host()))
            .for_each(|(out, (source, scale))| {
                let scale = factor as f32 * scale;
                let pairs = out.iter_mut().zip(source);
                pairs.for_each(|(o, s)| *o += scale * s);
            }),
        _ => {
            let grid = [width.div_ceil(kernels::ascent::THREADS), batch, 1];
            let factor = factor as f32;
            kernels::ascent::ascent_add(device, grid, scales, source, out, width, factor);
        }
    }
}

/// Writes F g: `out[i, j] = sum over (i', j') of table[|i - i'|, |j - j'|] g[i', j']`, table (h, w).
///
/// With the inverse transform of a factor that is symmetric in both frequencies as table, this is the multiplication by
/// that factor in the domain of the discrete Fourier transform: of the image, or with the first h rows and w columns of a
/// larger image's table, of the crop among zeros, seen through the crop again.
pub fn precondition(device: &Device, shape: &Shape, table: View, gradient: View, out: ViewMut) {
    let pixels = shape.pixels();
    assert_eq!(
        (table.len(), gradient.len(), out.len()),
        (pixels, shape.len(), shape.len())
    );
    match device {
        Device::Cpu => {
            let table = Mirrored::new(table.host(), shape.width);
            out.host()
                .par_chunks_exact_mut(pixels)
                .zip(gradient.host().par_chunks_exact(pixels))
                .for_each(|(out, g)| table.multiply(g, out));
        }
        _ => {
            let grid = [
                pixels.div_ceil(kernels::ascent::THREADS),
                shape.batch.div_ceil(kernels::ascent::IMAGES),
                1,
            ];
            let (b, h, w) = (shape.batch, shape.height, shape.width);
            kernels::ascent::ascent_precondition(device, grid, table, gradient, out, b, h, w);
        }
    }
}
