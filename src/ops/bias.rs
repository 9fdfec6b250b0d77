//! One bias per channel, and the activation after it: `z = activation(y + b[c])`, of maps (B, C, P).
//!
//! Upwards `dy = dz activation'(y + b[c])`, which takes dz's place, and `db[c] += sum_{b, p} dy`.

use super::Real;
use super::activation::Activation;
use super::panel::LINE;
use crate::device::kernels::bias as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use kernels::THREADS;
use pulp::{Arch, Simd, WithSimd};
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
                    let bias = bias[plane % shape.channels];
                    // Shorter than vectors.
                    if shape.pixels < LINE {
                        return reference::forward_plane(shape, y, bias, z);
                    }
                    Arch::new().dispatch(Forward {
                        activation: shape.activation,
                        y,
                        bias,
                        z,
                    });
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
            let bias = bias[plane % shape.channels];
            if shape.pixels < LINE {
                return reference::backward_plane(shape, y, bias, dz);
            }
            Arch::new().dispatch(Backward {
                activation: shape.activation,
                y,
                bias,
                dz,
            })
        })
        .collect()
}

/// One plane.
struct Forward<'a> {
    activation: Activation,
    y: &'a [f32],
    bias: f32,
    z: &'a mut [f32],
}

impl Forward<'_> {
    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, y: S::f32s) -> S::f32s {
        let biased = simd.add_f32s(y, simd.splat_f32s(self.bias));
        self.activation.values(simd, biased)
    }
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let z = std::mem::take(&mut self.z);
        let (y, y_tail) = S::as_simd_f32s(self.y);
        let (z, z_tail) = S::as_mut_simd_f32s(z);
        for (z, &y) in z.iter_mut().zip(y) {
            *z = self.value(simd, y);
        }
        if !z_tail.is_empty() {
            let y = simd.partial_load_f32s(y_tail);
            simd.partial_store_f32s(z_tail, self.value(simd, y));
        }
    }
}

/// Of one plane, whose sum it gives.
struct Backward<'a> {
    activation: Activation,
    y: &'a [f32],
    bias: f32,
    dz: &'a mut [f32],
}

impl Backward<'_> {
    #[inline(always)]
    fn through<S: Simd>(&self, simd: S, dz: S::f32s, y: S::f32s) -> S::f32s {
        let biased = simd.add_f32s(y, simd.splat_f32s(self.bias));
        simd.mul_f32s(dz, self.activation.slopes(simd, biased))
    }
}

impl WithSimd for Backward<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> f32 {
        let dz = std::mem::take(&mut self.dz);
        let (y, y_tail) = S::as_simd_f32s(self.y);
        let (dz, dz_tail) = S::as_mut_simd_f32s(dz);
        let mut sums = [simd.splat_f32s(0.0); 4];
        for (i, (dz, &y)) in dz.iter_mut().zip(y).enumerate() {
            *dz = self.through(simd, *dz, y);
            sums[i % 4] = simd.add_f32s(sums[i % 4], *dz);
        }
        if !dz_tail.is_empty() {
            let (dz, y) = (
                simd.partial_load_f32s(dz_tail),
                simd.partial_load_f32s(y_tail),
            );
            simd.partial_store_f32s(dz_tail, self.through(simd, dz, y));
        }
        let whole: f64 = sums
            .map(|s| f64::from(simd.reduce_sum_f32s(s)))
            .iter()
            .sum();
        let tail: f64 = dz_tail.iter().map(|&d| f64::from(d)).sum();
        (whole + tail) as f32
    }
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
