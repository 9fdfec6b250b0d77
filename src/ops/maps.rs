//! Between float32 arrays and maps as the device's precision stores them (n numbers each): images become the first layer's
//! input, the gradient there becomes that of the images. Each number is rounded to the nearest, or widened.

use crate::device::kernels::maps as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use kernels::THREADS;

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
