//! The readout where each neuron looks through a window (`readout.window`):
//!
//! `h[b, n] = bias[n] + sum_c v[n, c] sum_{p in window of n} |mask[n, p]| x[b, c, p]`.
//!
//! It is the whole readout on masks that are 0 outside of the windows, but outside nothing is stored, multiplied or moved. Neurons
//! with one window are one product.

mod cpu;
pub(super) mod launch;
pub mod reference;
mod regions;
mod warpgroup;

use super::cpu::Host;
pub use super::windows::{Group, Window, Windows};
use super::{Gradients, Shape, Weights};
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
pub(super) use regions::Regions;

/// The tables of the kernels for warpgroups, where these are used.
fn regions<'a>(device: &Device, windows: &'a Windows) -> Option<&'a Regions> {
    let regions = windows.tables.regions.as_ref();
    regions.filter(|regions| regions.are_for(device))
}

/// Floats that a forward pass can keep for the backward one: projections on the CPU, factors for warpgroups.
pub(super) fn kept(device: &Device, shape: &Shape, windows: &Windows) -> usize {
    match (device, regions(device, windows)) {
        (Device::Cpu, _) => shape.projections(),
        (_, Some(regions)) => warpgroup::kept(device, shape, regions),
        _ => 0,
    }
}

pub(super) fn forward(
    device: &Device,
    (shape, windows): (&Shape, &Windows),
    x: MapView,
    weights: Weights,
    h: ViewMut,
    keep: Option<ViewMut>,
) {
    match device {
        Device::Cpu => {
            let keep = keep.map(ViewMut::host);
            let weights = Host::new(weights);
            cpu::forward(shape, windows, x.host(), &weights, h.host(), keep);
        }
        _ => match regions(device, windows) {
            Some(regions) => {
                let own = (windows, regions);
                warpgroup::forward(device, shape, own, x, weights, h, keep);
            }
            None => launch::forward(device, shape, windows, x, weights, h),
        },
    }
}

pub(super) fn backward(
    device: &Device,
    (shape, windows): (&Shape, &Windows),
    x: MapView,
    weights: Weights,
    dh: View,
    (dx, gradients): (MapViewMut, Gradients),
    kept: Option<ViewMut>,
) {
    match device {
        Device::Cpu => {
            let kept = kept.map(|k| &*k.host());
            let weights = Host::new(weights);
            let (x, dh, dx) = (x.host(), dh.host(), dx.host());
            cpu::backward((shape, windows), x, &weights, dh, dx, gradients, kept);
        }
        _ => match regions(device, windows) {
            Some(regions) => {
                let (own, to) = ((windows, regions), (dx, gradients));
                warpgroup::backward(device, shape, own, (x, dh), weights, to, kept);
            }
            None => launch::backward(device, shape, windows, x, weights, dh, (dx, gradients)),
        },
    }
}

pub(super) fn backward_input(
    device: &Device,
    (shape, windows): (&Shape, &Windows),
    weights: Weights,
    dh: View,
    dx: MapViewMut,
) {
    match device {
        Device::Cpu => {
            cpu::backward_input(shape, windows, &Host::new(weights), dh.host(), dx.host());
        }
        _ => match regions(device, windows) {
            Some(regions) => {
                let own = (windows, regions);
                warpgroup::backward_input(device, shape, own, weights, dh, dx);
            }
            None => launch::backward_input(device, shape, windows, weights, dh, dx),
        },
    }
}
