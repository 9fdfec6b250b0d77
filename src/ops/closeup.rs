//! Images that one neuron sees each: the readout of that neuron alone, and the frame of the real image within a crop.
//!
//! Image b is seen by neuron s = seats\[b\] of G: `h[b] = bias[s] + sum_c v[s, c] sum_p m[s, p] x[b, c, p]`, x (B, C, P),
//! mask (G, P) and features (G, C) as they count: no absolute value is taken here.
//!
//! Where padding continues an image by zeros at every layer, a crop that reaches over the border does the same if each
//! layer's map is zeroed outside of the image ([`clear_outside`]).

use crate::device::kernels::closeup as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use rayon::prelude::*;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// P.
    pub pixels: usize,
    /// G: neurons to choose from.
    pub neurons: usize,
}

/// The readouts of G neurons.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// (G, P).
    pub mask: View<'a>,
    /// (G, C).
    pub features: View<'a>,
    /// (G).
    pub bias: View<'a>,
}

impl Shape {
    fn check(&self, x: usize, seats: usize, weights: &Weights, h: usize) {
        let lengths = (
            self.batch * self.channels * self.pixels,
            self.batch,
            self.neurons * self.pixels,
            self.neurons * self.channels,
            self.neurons,
            self.batch,
        );
        let (mask, features) = (weights.mask.len(), weights.features.len());
        let got = (x, seats, mask, features, weights.bias.len(), h);
        assert_eq!(got, lengths, "{self:?}");
    }
}

/// Writes h (B).
pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    seats: View<u32>,
    weights: Weights,
    h: ViewMut,
) {
    shape.check(x.len(), seats.len(), &weights, h.len());
    let Weights {
        mask,
        features,
        bias,
    } = weights;
    let (channels, pixels) = (shape.channels, shape.pixels);
    match device {
        Device::Cpu => {
            let (mask, features, bias) = (mask.host(), features.host(), bias.host());
            h.host()
                .par_iter_mut()
                .zip(x.host().par_chunks_exact(channels * pixels))
                .zip(seats.host())
                .for_each(|((h, x), &seat)| {
                    let seat = seat as usize;
                    let (m, v) = (
                        &mask[seat * pixels..][..pixels],
                        &features[seat * channels..][..channels],
                    );
                    *h = reference::image(x, m, v, bias[seat]);
                });
        }
        _ => kernels::closeup_forward(
            device,
            [shape.batch, 1, 1],
            x,
            seats,
            mask,
            features,
            bias,
            h,
            channels,
            pixels,
        ),
    }
}

/// Writes dx (B, C, P).
pub fn backward_input(
    device: &Device,
    shape: &Shape,
    seats: View<u32>,
    weights: Weights,
    dh: View,
    dx: MapViewMut,
) {
    shape.check(dx.len(), seats.len(), &weights, dh.len());
    let Weights { mask, features, .. } = weights;
    let (channels, pixels) = (shape.channels, shape.pixels);
    match device {
        Device::Cpu => {
            let (mask, features) = (mask.host(), features.host());
            dx.host()
                .par_chunks_exact_mut(channels * pixels)
                .zip(dh.host())
                .zip(seats.host())
                .for_each(|((dx, &dh), &seat)| {
                    let seat = seat as usize;
                    let (m, v) = (
                        &mask[seat * pixels..][..pixels],
                        &features[seat * channels..][..channels],
                    );
                    reference::gradient(dh, m, v, dx);
                });
        }
        _ => kernels::closeup_backward_input(
            device,
            [shape.batch * channels, 1, 1],
            seats,
            mask,
            features,
            dh,
            dx,
            channels,
            pixels,
        ),
    }
}

/// Zeroes maps (B, C, H, W) outside of the frame of the neuron that sees them; frames (G, 4) are first row, row after the
/// last, first column, column after the last.
pub fn clear_outside(
    device: &Device,
    (channels, height, width): (usize, usize, usize),
    seats: View<u32>,
    frames: View<u32>,
    maps: MapViewMut,
) {
    let planes = seats.len() * channels;
    assert_eq!((maps.len(), frames.len() % 4), (planes * height * width, 0));
    match device {
        Device::Cpu => {
            let (seats, frames) = (seats.host(), frames.host());
            maps.host()
                .par_chunks_exact_mut(height * width)
                .enumerate()
                .for_each(|(plane, map)| {
                    let frame = &frames[seats[plane / channels] as usize * 4..][..4];
                    reference::clear_outside(frame, width, map);
                });
        }
        _ => kernels::closeup_clear_outside(
            device,
            [planes, 1, 1],
            seats,
            frames,
            maps,
            channels,
            height,
            width,
        ),
    }
}

/// The definition, in plain loops.
pub mod reference {
    use crate::ops::Real;

    /// h of one image (C, P).
    pub fn image<T: Real>(x: &[T], mask: &[T], features: &[T], bias: T) -> T {
        let mut h = bias;
        for (x, &v) in x.chunks_exact(mask.len()).zip(features) {
            let inner: T = x.iter().zip(mask).map(|(&x, &m)| x * m).sum();
            h += v * inner;
        }
        h
    }

    /// dx of one image.
    pub fn gradient<T: Real>(dh: T, mask: &[T], features: &[T], dx: &mut [T]) {
        for (dx, &v) in dx.chunks_exact_mut(mask.len()).zip(features) {
            for (dx, &m) in dx.iter_mut().zip(mask) {
                *dx = dh * v * m;
            }
        }
    }

    /// One map outside of its frame.
    pub fn clear_outside<T: Real>(frame: &[u32], width: usize, map: &mut [T]) {
        let [top, bottom, left, right] = [0, 1, 2, 3].map(|i| frame[i] as usize);
        for (row, line) in map.chunks_exact_mut(width).enumerate() {
            if row < top || row >= bottom {
                line.fill(T::zero());
            } else {
                line[..left].fill(T::zero());
                line[right..].fill(T::zero());
            }
        }
    }
}
