//! Images that one neuron sees each: that neuron's linear filter alone, and the frame of the real image within a crop.
//!
//! Image b is seen by neuron s = seats\[b\] of G: `h[b] = bias[s] + sum_i w[s, i] x[b, i]`, x (B, I), filters w (G, I).
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
    /// I: numbers of a map.
    pub inputs: usize,
    /// G: neurons to choose from.
    pub neurons: usize,
}

impl Shape {
    fn check(&self, x: usize, seats: usize, filters: usize, h: usize) {
        let lengths = (
            self.batch * self.inputs,
            self.batch,
            self.neurons * self.inputs,
            self.batch,
        );
        assert_eq!((x, seats, filters, h), lengths, "{self:?}");
    }
}

/// Writes h (B) for filters (G, I) and biases (G).
pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    seats: View<u32>,
    (filters, bias): (View, View),
    h: ViewMut,
) {
    shape.check(x.len(), seats.len(), filters.len(), h.len());
    assert_eq!(bias.len(), shape.neurons, "{shape:?}");
    let inputs = shape.inputs;
    match device {
        Device::Cpu => {
            let (filters, bias) = (filters.host(), bias.host());
            h.host()
                .par_iter_mut()
                .zip(x.host().par_chunks_exact(inputs))
                .zip(seats.host())
                .for_each(|((h, x), &seat)| {
                    let seat = seat as usize;
                    *h = bias[seat] + reference::drive(x, &filters[seat * inputs..][..inputs]);
                });
        }
        _ => kernels::closeup_forward(
            device,
            [shape.batch, 1, 1],
            x,
            seats,
            filters,
            bias,
            h,
            inputs,
        ),
    }
}

/// Writes dx (B, I): the gradient of each image's own h.
pub fn backward_input(
    device: &Device,
    shape: &Shape,
    seats: View<u32>,
    filters: View,
    dx: MapViewMut,
) {
    shape.check(dx.len(), seats.len(), filters.len(), shape.batch);
    let inputs = shape.inputs;
    match device {
        Device::Cpu => {
            let filters = filters.host();
            dx.host()
                .par_chunks_exact_mut(inputs)
                .zip(seats.host())
                .for_each(|(dx, &seat)| {
                    dx.copy_from_slice(&filters[seat as usize * inputs..][..inputs]);
                });
        }
        _ => kernels::closeup_backward_input(
            device,
            [inputs.div_ceil(kernels::SPAN), shape.batch, 1],
            seats,
            filters,
            dx,
            inputs,
        ),
    }
}

/// Multiplies each image of x (B, I) with its own factor (B).
pub fn scale(device: &Device, factors: View, x: ViewMut) {
    let inputs = x.len() / factors.len().max(1);
    assert_eq!(factors.len() * inputs, x.len());
    match device {
        Device::Cpu => {
            x.host()
                .par_chunks_exact_mut(inputs.max(1))
                .zip(factors.host())
                .for_each(|(x, &factor)| x.iter_mut().for_each(|x| *x *= factor));
        }
        _ => kernels::closeup_scale(
            device,
            [inputs.div_ceil(kernels::SPAN), factors.len(), 1],
            factors,
            x,
            inputs,
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

    /// Sums that run beside each other.
    const SUMS: usize = 32;

    /// The drive of one map, without a bias.
    pub fn drive<T: Real>(x: &[T], filter: &[T]) -> T {
        let mut sums = [T::zero(); SUMS];
        let (x, filter) = (x.chunks(SUMS), filter.chunks(SUMS));
        for (x, filter) in x.zip(filter) {
            for (sum, (&x, &w)) in sums.iter_mut().zip(x.iter().zip(filter)) {
                *sum += x * w;
            }
        }
        sums.into_iter().sum()
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
