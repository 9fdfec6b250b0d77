//! Readout at sampled places (Lurz et al. 2021), one place and one feature vector per neuron:
//!
//! `h[b, n] = bias[n] + sum_c w[n, c] x[b, c](place[b, n])`, `place[b, n] = position[n] + S[n] e[b, n]`.
//!
//! x is (B, C, H, W), read bilinearly between four pixels, with zeros beyond the outermost ones. Places are (x, y), x to the right
//! and y down, -1 and 1 the centres of the first and last pixels. S is a matrix (N, 2, 2) or one number per neuron (N), e the
//! noise (B, N, 2); without noise the place is the position. features (N, C), h (B, N).
//!
//! The forward pass leaves what the features make of the four pixels (B, N, 4): h is linear in them, and so is the gradient of
//! the place. The way to x gathers: each pixel of each image adds up the neurons that look there, in their order.

mod cpu;
mod launch;
pub mod reference;

use crate::device::{Device, MapView, MapViewMut, View, ViewMut};

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// N.
    pub neurons: usize,
    /// Whether S is one number per neuron.
    pub isotropic: bool,
}

impl Shape {
    /// Numbers of x.
    pub fn maps(&self) -> usize {
        self.batch * self.channels * self.height * self.width
    }

    /// Numbers of S of one neuron.
    pub fn spread(&self) -> usize {
        if self.isotropic { 1 } else { 4 }
    }

    fn check(&self, x: usize, weights: &Weights, noise: Option<View>, h: usize) {
        let (b, n) = (self.batch, self.neurons);
        let wanted = [
            self.maps(),
            2 * n,
            self.spread() * n,
            self.channels * n,
            n,
            2 * b * n,
            b * n,
        ];
        let got = [
            x,
            weights.position.len(),
            weights.spread.len(),
            weights.features.len(),
            weights.bias.len(),
            noise.map_or(2 * b * n, |e| e.len()),
            h,
        ];
        assert_eq!(got, wanted, "{self:?}");
    }
}

/// One readout's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// (N, 2).
    pub position: View<'a>,
    /// S.
    pub spread: View<'a>,
    /// (N, C).
    pub features: View<'a>,
    /// (N).
    pub bias: View<'a>,
}

/// Their gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// (N, 2).
    pub position: ViewMut<'a>,
    /// As S.
    pub spread: ViewMut<'a>,
    /// (N, C).
    pub features: ViewMut<'a>,
    /// (N).
    pub bias: ViewMut<'a>,
}

/// Writes h, and into `corners` (B, N, 4) what [`backward`] needs.
pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    weights: Weights,
    noise: Option<View>,
    (h, corners): (ViewMut, ViewMut),
) {
    shape.check(x.len(), &weights, noise, h.len());
    assert_eq!(corners.len(), 4 * h.len(), "{shape:?}: corners");
    match device {
        Device::Cpu => {
            let values = reference::Values::of(&weights, noise);
            cpu::forward(shape, x.host(), &values, h.host(), corners.host());
        }
        _ => launch::forward(device, shape, x, weights, noise, (h, corners)),
    }
}

/// Writes dx and adds to the gradients; `corners` are what [`forward`] left of the same x, weights and noise.
pub fn backward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    weights: Weights,
    noise: Option<View>,
    (corners, dh): (View, View),
    (dx, gradients): (MapViewMut, Gradients),
) {
    shape.check(x.len(), &weights, noise, dh.len());
    assert_eq!((dx.len(), corners.len()), (x.len(), 4 * dh.len()));
    let Gradients {
        position,
        spread,
        features,
        bias,
    } = &gradients;
    let got = [position.len(), spread.len(), features.len(), bias.len()];
    let n = shape.neurons;
    let wanted = [2 * n, shape.spread() * n, shape.channels * n, n];
    assert_eq!(got, wanted, "{shape:?}: gradients");
    match device {
        Device::Cpu => {
            let values = reference::Values::of(&weights, noise);
            let dh = dh.host();
            cpu::backward_input(shape, &values, dh, dx.host());
            cpu::backward_weights(shape, x.host(), &values, (corners.host(), dh), gradients);
        }
        _ => {
            launch::backward_input(device, shape, weights, noise, dh, dx);
            let from = (corners, dh);
            launch::backward_weights(device, shape, x, weights, noise, from, gradients);
        }
    }
}

/// Writes dx only.
pub fn backward_input(
    device: &Device,
    shape: &Shape,
    weights: Weights,
    noise: Option<View>,
    dh: View,
    dx: MapViewMut,
) {
    shape.check(dx.len(), &weights, noise, dh.len());
    match device {
        Device::Cpu => {
            let values = reference::Values::of(&weights, noise);
            cpu::backward_input(shape, &values, dh.host(), dx.host());
        }
        _ => launch::backward_input(device, shape, weights, noise, dh, dx),
    }
}

/// Moves positions that lie beyond the map to its edge.
pub fn clamp(device: &Device, position: ViewMut) {
    match device {
        Device::Cpu => reference::clamp(position.host()),
        _ => launch::clamp(device, position),
    }
}
