//! Penalties in which every number counts for itself.

use super::reference;
use crate::device::kernels::penalty as kernels;
use crate::device::{Device, View, ViewMut};

/// Adds the gradient of `strength sum |v|`.
pub fn absolutes(device: &Device, strength: f64, values: View, gradient: ViewMut) {
    assert_eq!(values.len(), gradient.len());
    match device {
        Device::Cpu => {
            reference::absolutes(strength, values.host(), gradient.host());
        }
        _ => {
            let (n, strength) = (values.len(), strength as f32);
            let grid = [n.div_ceil(kernels::THREADS), 1, 1];
            kernels::penalty_absolutes(device, grid, values, gradient, n, strength);
        }
    }
}

/// Adds the gradient of `strength sum v^2`.
pub fn squares(device: &Device, strength: f64, values: View, gradient: ViewMut) {
    assert_eq!(values.len(), gradient.len());
    match device {
        Device::Cpu => {
            reference::squares(strength, values.host(), gradient.host());
        }
        _ => {
            let (n, strength) = (values.len(), strength as f32);
            let grid = [n.div_ceil(kernels::THREADS), 1, 1];
            kernels::penalty_squares(device, grid, values, gradient, n, strength);
        }
    }
}
