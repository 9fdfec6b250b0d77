//! Between float32 arrays and maps as the device's precision stores them (n numbers each): images become the first layer's
//! input, the gradient there becomes that of the images. Each number is rounded to the nearest, or widened.
//!
//! On the CPU small images may lie interleaved, L at a time: (B / L, n, L) instead of (B, n). [`interleave`] and [`separate`]
//! change from one to the other.

use super::panel::LINE;
use crate::device::kernels::maps as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use kernels::THREADS;
use rayon::prelude::*;

/// Images that are interleaved, where any are: L.
pub const LANES: usize = LINE;

/// Writes the maps.
pub fn store(device: &Device, from: View, to: MapViewMut) {
    let n = from.len();
    assert_eq!(n, to.len());
    match device {
        Device::Cpu => to.host().copy_from_slice(from.host()),
        _ => kernels::maps_store(device, [n.div_ceil(THREADS), 1, 1], from, to, n),
    }
}

/// Writes the numbers of the maps.
pub fn load(device: &Device, from: MapView, to: ViewMut) {
    let n = from.len();
    assert_eq!(n, to.len());
    match device {
        Device::Cpu => to.host().copy_from_slice(from.host()),
        _ => kernels::maps_load(device, [n.div_ceil(THREADS), 1, 1], from, to, n),
    }
}

/// Writes (B / L, n, L) of (B, n), both float32 on the CPU.
///
/// # Panics
/// When B is no multiple of L: that is a bug, not input.
pub fn interleave(n: usize, lanes: usize, from: View, to: MapViewMut) {
    let (from, to) = (from.host(), to.host());
    assert_eq!((from.len(), from.len() % (n * lanes)), (to.len(), 0));
    from.par_chunks_exact(n * lanes)
        .zip(to.par_chunks_exact_mut(n * lanes))
        .for_each(|(from, to)| {
            for (i, to) in to.chunks_exact_mut(lanes).enumerate() {
                for (lane, to) in to.iter_mut().enumerate() {
                    *to = from[lane * n + i];
                }
            }
        });
}

/// Writes (B, n) of (B / L, n, L), both float32 on the CPU.
///
/// # Panics
/// As [`interleave`].
pub fn separate(n: usize, lanes: usize, from: MapView, to: ViewMut) {
    let (from, to) = (from.host(), to.host());
    assert_eq!((from.len(), from.len() % (n * lanes)), (to.len(), 0));
    from.par_chunks_exact(n * lanes)
        .zip(to.par_chunks_exact_mut(n * lanes))
        .for_each(|(from, to)| {
            for (i, from) in from.chunks_exact(lanes).enumerate() {
                for (lane, from) in from.iter().enumerate() {
                    to[lane * n + i] = *from;
                }
            }
        });
}
