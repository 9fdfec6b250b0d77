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
    /// L: images that are interleaved in x (B / L, I, L), B rounded up; more than 1 on the CPU only ([`super::maps`]).
    pub lanes: usize,
}

impl Shape {
    fn check(&self, x: usize, seats: usize, filters: usize, h: usize) {
        let lengths = (
            self.batch.next_multiple_of(self.lanes) * self.inputs,
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
                .par_chunks_mut(shape.lanes)
                .zip(x.host().par_chunks_exact(shape.lanes * inputs))
                .zip(seats.host().par_chunks(shape.lanes))
                .for_each(|((h, x), seats)| {
                    let filters: Vec<&[f32]> = own(filters, inputs, seats).collect();
                    let drives = match shape.lanes {
                        1 => vec![reference::drive(x, filters[0])],
                        lanes => drives(x, lanes, &filters),
                    };
                    for ((h, drive), &seat) in h.iter_mut().zip(drives).zip(seats) {
                        *h = bias[seat as usize] + drive;
                    }
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
                .par_chunks_exact_mut(shape.lanes * inputs)
                .zip(seats.host().par_chunks(shape.lanes))
                .for_each(|(dx, seats)| {
                    let filters: Vec<&[f32]> = own(filters, inputs, seats).collect();
                    match shape.lanes {
                        1 => dx.copy_from_slice(filters[0]),
                        lanes => spread(&filters, lanes, dx),
                    }
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

/// The filters of these seats.
fn own<'a>(filters: &'a [f32], inputs: usize, seats: &'a [u32]) -> impl Iterator<Item = &'a [f32]> {
    let filter = move |&seat: &u32| &filters[seat as usize * inputs..][..inputs];
    seats.iter().map(filter)
}

/// [`reference::drive`] of images that are interleaved, one filter each.
fn drives(x: &[f32], lanes: usize, filters: &[&[f32]]) -> Vec<f32> {
    let mut sums = vec![[0.0; reference::SUMS]; filters.len()];
    for (at, x) in x.chunks(reference::SUMS * lanes).enumerate() {
        for (lane, (sums, filter)) in sums.iter_mut().zip(filters).enumerate() {
            let filter = &filter[at * reference::SUMS..][..x.len() / lanes];
            for ((sum, &w), x) in sums.iter_mut().zip(filter).zip(x.chunks_exact(lanes)) {
                *sum += x[lane] * w;
            }
        }
    }
    sums.iter().map(|sums| sums.iter().sum()).collect()
}

/// Each filter to its lane.
fn spread(filters: &[&[f32]], lanes: usize, dx: &mut [f32]) {
    for (at, dx) in dx.chunks_mut(reference::SUMS * lanes).enumerate() {
        for (lane, filter) in filters.iter().enumerate() {
            let filter = &filter[at * reference::SUMS..][..dx.len() / lanes];
            for (dx, &w) in dx.chunks_exact_mut(lanes).zip(filter) {
                dx[lane] = w;
            }
        }
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

/// Zeroes maps (B, C, H, W), or (B / L, C, H, W, L) with `lanes` L, outside of the frame of the neuron that sees them; frames (G, 4) are first row, row after the
/// last, first column, column after the last.
pub fn clear_outside(
    device: &Device,
    (channels, height, width): (usize, usize, usize),
    lanes: usize,
    seats: View<u32>,
    frames: View<u32>,
    maps: MapViewMut,
) {
    let planes = seats.len().next_multiple_of(lanes) * channels;
    assert_eq!((maps.len(), frames.len() % 4), (planes * height * width, 0));
    match device {
        Device::Cpu => {
            let (seats, frames) = (seats.host(), frames.host());
            let frame = |seat: u32| &frames[seat as usize * 4..][..4];
            let area = height * width * lanes;
            maps.host()
                .par_chunks_exact_mut(channels * area)
                .zip(seats.par_chunks(lanes))
                .for_each(|(maps, seats)| match lanes {
                    1 => maps
                        .chunks_exact_mut(area)
                        .for_each(|map| reference::clear_outside(frame(seats[0]), width, map)),
                    _ => {
                        let outside = outside(seats.iter().map(|&s| frame(s)), width, lanes, area);
                        for map in maps.chunks_exact_mut(area) {
                            outside.iter().for_each(|&i| map[i] = 0.0);
                        }
                    }
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

/// The numbers of interleaved maps that lie outside of their lane's frame.
fn outside<'a>(
    frames: impl Iterator<Item = &'a [u32]>,
    width: usize,
    lanes: usize,
    area: usize,
) -> Vec<usize> {
    let mut kept = vec![true; area];
    let mut lane_kept = vec![1.0f32; area / lanes];
    for (lane, frame) in frames.enumerate() {
        lane_kept.fill(1.0);
        reference::clear_outside(frame, width, &mut lane_kept);
        for (kept, &own) in kept[lane..].iter_mut().step_by(lanes).zip(&lane_kept) {
            *kept = own != 0.0;
        }
    }
    (0..area).filter(|&i| !kept[i]).collect()
}

/// The definition, in plain loops.
pub mod reference {
    use crate::ops::Real;

    /// Sums that run beside each other.
    pub const SUMS: usize = 32;

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
