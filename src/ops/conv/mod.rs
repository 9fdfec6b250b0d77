//! Direct convolution, as machine learning means it: cross-correlation, stride 1.
//!
//! `y[b, o, i, j] = sum_{c, u, v} w[o, c, u, v] x[b, c, i + u - p, j + v - p]`, zero outside the image.
//! x is (B, C_in, H, W), w (C_out, C_in, k, k), y (B, C_out, H', W') with H' = H + 2p - k + 1.

mod cpu;
pub(in crate::ops) mod fourier;
mod image;
pub mod ladder;
mod launch;
pub mod reference;

use super::panel::Geometry;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C_in.
    pub in_channels: usize,
    /// C_out.
    pub out_channels: usize,
    /// H of the input.
    pub height: usize,
    /// W of the input.
    pub width: usize,
    /// k, odd.
    pub kernel: usize,
    /// p: zeros added at each side.
    pub padding: usize,
}

impl Shape {
    /// H'.
    pub fn out_height(&self) -> usize {
        self.height + 2 * self.padding + 1 - self.kernel
    }

    /// W'.
    pub fn out_width(&self) -> usize {
        self.width + 2 * self.padding + 1 - self.kernel
    }

    /// Elements of x, w and y.
    pub fn lengths(&self) -> (usize, usize, usize) {
        (
            self.batch * self.in_channels * self.height * self.width,
            self.out_channels * self.in_channels * self.kernel * self.kernel,
            self.batch * self.out_channels * self.out_height() * self.out_width(),
        )
    }

    fn geometry(&self) -> Geometry {
        Geometry {
            height: self.height,
            width: self.width,
            kernel: self.kernel,
            padding: self.padding,
            lanes: 1,
        }
    }

    /// The shape of the convolution that carries y's gradient back to x.
    pub(in crate::ops) fn transposed(&self) -> Self {
        Self {
            in_channels: self.out_channels,
            out_channels: self.in_channels,
            height: self.out_height(),
            width: self.out_width(),
            padding: self.kernel - 1 - self.padding,
            ..*self
        }
    }

    fn check(&self, x: usize, w: usize, y: usize) {
        assert_eq!((x, w, y), self.lengths(), "{self:?}");
    }
}

/// Writes y.
pub fn forward(device: &Device, shape: &Shape, x: MapView, w: View, y: MapViewMut) {
    shape.check(x.len(), w.len(), y.len());
    match device {
        Device::Cpu => cpu::forward(shape, x.host(), w.host(), y.host()),
        _ => launch::forward(device, shape, x, w, y),
    }
}

/// Writes dx: dy convolved with the filters, turned half around, input and output exchanged.
pub fn backward_input(device: &Device, shape: &Shape, w: View, dy: MapView, dx: MapViewMut) {
    shape.check(dx.len(), w.len(), dy.len());
    match device {
        Device::Cpu => cpu::backward_input(shape, w.host(), dy.host(), dx.host()),
        _ => launch::backward_input(device, shape, w, dy, dx),
    }
}

/// Writes dx and adds to dw, as [`backward_input`] and [`backward_weights`] do, but for rounding.
pub fn backward(
    device: &Device,
    shape: &Shape,
    (x, w): (MapView, View),
    dy: MapView,
    dx: MapViewMut,
    dw: ViewMut,
) {
    if let Device::Cpu = device {
        shape.check(x.len(), w.len(), dy.len());
        shape.check(dx.len(), dw.len(), dy.len());
        return cpu::backward(shape, (x.host(), w.host()), dy.host(), dx.host(), dw.host());
    }
    backward_weights(device, shape, x, dy, dw);
    backward_input(device, shape, w, dy, dx);
}

/// Adds to dw.
pub fn backward_weights(device: &Device, shape: &Shape, x: MapView, dy: MapView, dw: ViewMut) {
    shape.check(x.len(), dw.len(), dy.len());
    match device {
        Device::Cpu => cpu::backward_weights(shape, x.host(), dy.host(), dw.host()),
        _ => launch::backward_weights(device, shape, x, dy, dw),
    }
}
