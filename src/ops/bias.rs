//! One bias per channel, and the activation after it: `z = activation(y + b[c])`, of maps (B, C, P).
//!
//! Upwards `dy = dz activation'(y + b[c])`, which takes dz's place, and `db[c] += sum_{b, p} dy`.

use super::Real;
use super::activation::Activation;
use crate::device::kernels::bias as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use kernels::THREADS;
use rayon::prelude::*;

/// Sizes and kind of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// P.
    pub pixels: usize,
    /// What follows the bias.
    pub activation: Activation,
}

impl Shape {
    /// Numbers of y.
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.pixels
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check(&self, maps: [usize; 2], biases: usize) {
        assert_eq!((maps, biases), ([self.len(); 2], self.channels), "{self:?}");
        // Kernels count within maps in 32 bits.
        assert!(self.len() < 1 << 31, "{self:?}");
    }
}

/// Writes z.
pub fn forward(device: &Device, shape: &Shape, y: MapView, bias: View, z: MapViewMut) {
    shape.check([y.len(), z.len()], bias.len());
    match device {
        Device::Cpu => {
            let bias = bias.host();
            z.host()
                .par_chunks_exact_mut(shape.pixels)
                .zip(y.host().par_chunks_exact(shape.pixels))
                .enumerate()
                .for_each(|(plane, (z, y))| {
                    reference::forward_plane(shape, y, bias[plane % shape.channels], z);
                });
        }
        _ => {
            let count = shape.len();
            kernels::bias_forward(
                device,
                [count.div_ceil(THREADS), 1, 1],
                y,
                bias,
                z,
                count,
                shape.channels,
                shape.pixels,
                shape.activation.code(),
            );
        }
    }
}

/// Makes dy of dz, and adds to dbias.
pub fn backward(
    device: &Device,
    shape: &Shape,
    y: MapView,
    bias: View,
    dz: MapViewMut,
    dbias: ViewMut,
) {
    shape.check([y.len(), dz.len()], bias.len());
    assert_eq!(dbias.len(), bias.len(), "{shape:?}");
    match device {
        Device::Cpu => {
            let (sums, dbias) = (on_host(shape, y, bias, dz), dbias.host());
            for (plane, sum) in sums.into_iter().enumerate() {
                dbias[plane % shape.channels] += sum;
            }
        }
        _ => kernels::bias_backward(
            device,
            [shape.channels, 1, 1],
            y,
            bias,
            dz,
            dbias,
            shape.batch,
            shape.channels,
            shape.pixels,
            shape.activation.code(),
        ),
    }
}

/// Makes dy of dz.
pub fn backward_input(device: &Device, shape: &Shape, y: MapView, bias: View, dz: MapViewMut) {
    shape.check([y.len(), dz.len()], bias.len());
    match device {
        Device::Cpu => drop(on_host(shape, y, bias, dz)),
        _ => {
            let count = shape.len();
            kernels::bias_backward_input(
                device,
                [count.div_ceil(THREADS), 1, 1],
                y,
                bias,
                dz,
                count,
                shape.channels,
                shape.pixels,
                shape.activation.code(),
            );
        }
    }
}

/// Makes dy of dz; the sum of each plane.
fn on_host(shape: &Shape, y: MapView, bias: View, dz: MapViewMut) -> Vec<f32> {
    let bias = bias.host();
    dz.host()
        .par_chunks_exact_mut(shape.pixels)
        .zip(y.host().par_chunks_exact(shape.pixels))
        .enumerate()
        .map(|(plane, (dz, y))| {
            reference::backward_plane(shape, y, bias[plane % shape.channels], dz)
        })
        .collect()
}

/// The definition, in plain loops.
pub mod reference {
    use super::{Real, Shape};

    /// Writes z.
    pub fn forward<T: Real>(s: &Shape, y: &[T], bias: &[T], z: &mut [T]) {
        let planes = y.chunks_exact(s.pixels).zip(z.chunks_exact_mut(s.pixels));
        for (plane, (y, z)) in planes.enumerate() {
            forward_plane(s, y, bias[plane % s.channels], z);
        }
    }

    /// Makes dy of dz, and adds to dbias.
    pub fn backward<T: Real>(s: &Shape, y: &[T], bias: &[T], dz: &mut [T], dbias: &mut [T]) {
        let planes = y.chunks_exact(s.pixels).zip(dz.chunks_exact_mut(s.pixels));
        for (plane, (y, dz)) in planes.enumerate() {
            let c = plane % s.channels;
            dbias[c] += backward_plane(s, y, bias[c], dz);
        }
    }

    pub(super) fn forward_plane<T: Real>(s: &Shape, y: &[T], bias: T, z: &mut [T]) {
        for (z, &y) in z.iter_mut().zip(y) {
            *z = s.activation.value(y + bias);
        }
    }

    /// Makes dy of dz; its sum.
    pub(super) fn backward_plane<T: Real>(s: &Shape, y: &[T], bias: T, dz: &mut [T]) -> T {
        let mut sum = 0.0;
        for (dz, &y) in dz.iter_mut().zip(y) {
            *dz *= s.activation.slope(y + bias);
            sum += dz.f64();
        }
        T::of(sum)
    }
}
