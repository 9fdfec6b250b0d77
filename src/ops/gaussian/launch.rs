//! The passes as launches of `kernels/gaussian.cu`.

use super::{Gradients, Shape, Weights};
use crate::device::kernels::gaussian as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use kernels::{CHANNELS, PIXELS, THREADS};

/// Kernels count within an image and within these arrays in 32 bits.
fn check(s: &Shape) {
    let area = s.height * s.width;
    let largest = (area * s.channels.max(PIXELS)).max(4 * s.neurons * s.channels.max(1));
    assert!(largest < 1 << 31, "{s:?}");
}

/// The noise, or something else that is not looked at; and whether it is there.
fn noise_or<'a>(weights: &Weights<'a>, noise: Option<View<'a>>) -> (View<'a>, usize) {
    (noise.unwrap_or(weights.position), noise.is_some().into())
}

pub fn forward(
    device: &Device,
    s: &Shape,
    x: MapView,
    weights: Weights,
    noise: Option<View>,
    (h, corners): (ViewMut, ViewMut),
) {
    check(s);
    let (noise, sampled) = noise_or(&weights, noise);
    kernels::gaussian_forward(
        device,
        [s.batch, s.neurons.div_ceil(THREADS), 1],
        x,
        weights.position,
        weights.spread,
        weights.features,
        weights.bias,
        noise,
        h,
        corners,
        s.channels,
        s.height,
        s.width,
        s.neurons,
        (!s.isotropic).into(),
        sampled,
    );
}

pub fn backward_input(
    device: &Device,
    s: &Shape,
    weights: Weights,
    noise: Option<View>,
    dh: View,
    dx: MapViewMut,
) {
    check(s);
    let (noise, sampled) = noise_or(&weights, noise);
    let tiles = (s.height * s.width).div_ceil(PIXELS);
    kernels::gaussian_backward_input(
        device,
        [s.batch * tiles, s.channels.div_ceil(CHANNELS), 1],
        weights.position,
        weights.spread,
        noise,
        weights.features,
        dh,
        dx,
        tiles,
        s.channels,
        s.height,
        s.width,
        s.neurons,
        (!s.isotropic).into(),
        sampled,
    );
}

pub fn backward_weights(
    device: &Device,
    s: &Shape,
    x: MapView,
    weights: Weights,
    noise: Option<View>,
    (corners, dh): (View, View),
    gradients: Gradients,
) {
    let (noise, sampled) = noise_or(&weights, noise);
    let (blocks, full) = (s.neurons.div_ceil(THREADS), (!s.isotropic).into());
    kernels::gaussian_backward_features(
        device,
        [s.channels, blocks, 1],
        x,
        weights.position,
        weights.spread,
        noise,
        dh,
        gradients.features,
        s.batch,
        s.channels,
        s.height,
        s.width,
        s.neurons,
        full,
        sampled,
    );
    kernels::gaussian_backward_place(
        device,
        [blocks, 1, 1],
        corners,
        weights.position,
        weights.spread,
        noise,
        dh,
        gradients.position,
        gradients.spread,
        gradients.bias,
        s.batch,
        s.height,
        s.width,
        s.neurons,
        full,
        sampled,
    );
}

pub fn clamp(device: &Device, position: ViewMut) {
    let n = position.len();
    kernels::gaussian_clamp(device, [n.div_ceil(THREADS), 1, 1], position, n);
}
