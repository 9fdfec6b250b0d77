//! Max pooling: `y[b, c, i, j] = max_{u, v < s} x[b, c, t i + u, t j + v]`, of size s and stride t.
//!
//! x is (B, C, H, W), y (B, C, H', W') with H' = (H - s) / t + 1 rounded down: windows lie wholly inside the map. Of equal
//! numbers the first in row-major order is the largest, and gets the gradient; NaN counts as larger than any number.

mod cpu;

use super::Real;
use crate::device::kernels::pool as kernels;
use crate::device::{Device, MapView, MapViewMut};
use kernels::THREADS;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// H of the input.
    pub height: usize,
    /// W of the input.
    pub width: usize,
    /// s: rows and columns of a window.
    pub size: usize,
    /// t: pixels from one window to the next.
    pub stride: usize,
}

impl Shape {
    /// H'; 0 where no window fits.
    pub fn out_height(&self) -> usize {
        self.windows(self.height)
    }

    /// W'; 0 where no window fits.
    pub fn out_width(&self) -> usize {
        self.windows(self.width)
    }

    fn windows(&self, pixels: usize) -> usize {
        pixels
            .checked_sub(self.size)
            .map_or(0, |room| room / self.stride + 1)
    }

    /// Numbers of x and of y.
    pub fn lengths(&self) -> (usize, usize) {
        let planes = self.batch * self.channels;
        (
            planes * self.height * self.width,
            planes * self.out_height() * self.out_width(),
        )
    }

    fn check(&self, x: usize, y: usize) {
        assert_eq!((x, y), self.lengths(), "{self:?}");
        // Kernels count within these arrays in 32 bits.
        assert!(self.size > 0 && self.stride > 0 && x < 1 << 31, "{self:?}");
    }

    fn planes(&self) -> (usize, usize) {
        (
            self.height * self.width,
            self.out_height() * self.out_width(),
        )
    }
}

/// Writes y.
pub fn forward(device: &Device, shape: &Shape, x: MapView, y: MapViewMut) {
    shape.check(x.len(), y.len());
    if y.is_empty() {
        return;
    }
    match device {
        Device::Cpu => cpu::forward(shape, x.host(), y.host()),
        _ => {
            let count = y.len();
            kernels::pool_forward(
                device,
                [count.div_ceil(THREADS), 1, 1],
                x,
                y,
                count,
                shape.height,
                shape.width,
                shape.out_height(),
                shape.out_width(),
                shape.size,
                shape.stride,
            );
        }
    }
}

/// Writes dx.
pub fn backward(device: &Device, shape: &Shape, x: MapView, dy: MapView, dx: MapViewMut) {
    shape.check(x.len(), dy.len());
    assert_eq!(dx.len(), x.len(), "{shape:?}");
    match device {
        Device::Cpu => cpu::backward(shape, x.host(), dy.host(), dx.host()),
        _ => {
            let count = dx.len();
            kernels::pool_backward(
                device,
                [count.div_ceil(THREADS), 1, 1],
                x,
                dy,
                dx,
                count,
                shape.height,
                shape.width,
                shape.out_height(),
                shape.out_width(),
                shape.size,
                shape.stride,
            );
        }
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{Real, Shape};

    /// Writes y.
    pub fn forward<T: Real>(s: &Shape, x: &[T], y: &mut [T]) {
        let (of_x, of_y) = s.planes();
        for (x, y) in x.chunks_exact(of_x).zip(y.chunks_exact_mut(of_y)) {
            forward_plane(s, x, y);
        }
    }

    /// Writes dx.
    pub fn backward<T: Real>(s: &Shape, x: &[T], dy: &[T], dx: &mut [T]) {
        let (of_x, of_y) = s.planes();
        let maps = x.chunks_exact(of_x).zip(dx.chunks_exact_mut(of_x));
        for ((x, dx), dy) in maps.zip(dy.chunks_exact(of_y)) {
            backward_plane(s, x, dy, dx);
        }
    }

    /// Of one map (H, W) to (H', W').
    fn forward_plane<T: Real>(s: &Shape, x: &[T], y: &mut [T]) {
        for (at, y) in y.iter_mut().enumerate() {
            *y = x[largest(s, x, at)];
        }
    }

    /// The same upwards.
    fn backward_plane<T: Real>(s: &Shape, x: &[T], dy: &[T], dx: &mut [T]) {
        dx.fill(T::zero());
        for (at, &dy) in dy.iter().enumerate() {
            dx[largest(s, x, at)] += dy;
        }
    }

    /// Where the largest number of a window lies.
    fn largest<T: Real>(s: &Shape, x: &[T], window: usize) -> usize {
        let (row, column) = (window / s.out_width(), window % s.out_width());
        let mut best = row * s.stride * s.width + column * s.stride;
        for u in 0..s.size {
            for v in 0..s.size {
                let at = (row * s.stride + u) * s.width + column * s.stride + v;
                if x[at] > x[best] || (x[at].is_nan() && !x[best].is_nan()) {
                    best = at;
                }
            }
        }
        best
    }
}
