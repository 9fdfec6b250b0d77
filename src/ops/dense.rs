//! A dense layer: `y[b, n] = sum_i w[n, i] x[b, i] + bias[n]`, the bias where there is one.
//!
//! x are maps (B, I), I numbers of each image in whatever order the weights (N, I) have; y (B, N) is float32.

use super::Real;
use super::matmul::{Matrix, multiply};
use crate::device::kernels::dense as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use kernels::{THREADS, TILE};

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// I.
    pub inputs: usize,
    /// N.
    pub units: usize,
}

impl Shape {
    /// Numbers of x, w and y.
    pub fn lengths(&self) -> (usize, usize, usize) {
        (
            self.batch * self.inputs,
            self.units * self.inputs,
            self.batch * self.units,
        )
    }

    fn check(&self, x: usize, w: usize, y: usize) {
        assert_eq!((x, w, y), self.lengths(), "{self:?}");
        // Kernels count within these arrays in 32 bits.
        assert!(x.max(w).max(y) < 1 << 31, "{self:?}");
    }
}

/// Writes y.
pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    w: View,
    bias: Option<View>,
    mut y: ViewMut,
) {
    let &Shape {
        batch,
        inputs,
        units,
    } = shape;
    shape.check(x.len(), w.len(), y.len());
    assert!(bias.is_none_or(|b| b.len() == units), "{shape:?}");
    match device {
        Device::Cpu => {
            let y = y.host();
            if let Some(bias) = bias {
                y.chunks_exact_mut(units)
                    .for_each(|y| y.copy_from_slice(bias.host()));
            }
            let (x, w) = (Matrix::new(x.host(), inputs), Matrix::new(w.host(), inputs));
            let sizes = (batch, units, inputs);
            multiply(sizes, x, w.transposed(), y, bias.is_some());
        }
        _ => {
            let grid = [units.div_ceil(TILE), batch.div_ceil(TILE), 1];
            kernels::dense_forward(device, grid, x, w, y.reborrow(), batch, inputs, units);
            if let Some(bias) = bias {
                let count = batch * units;
                let grid = [count.div_ceil(THREADS), 1, 1];
                kernels::dense_add_bias(device, grid, bias, y, count, units);
            }
        }
    }
}

/// Writes dx.
pub fn backward_input(device: &Device, shape: &Shape, w: View, dy: View, dx: MapViewMut) {
    let &Shape {
        batch,
        inputs,
        units,
    } = shape;
    shape.check(dx.len(), w.len(), dy.len());
    match device {
        Device::Cpu => {
            let (dy, w) = (Matrix::new(dy.host(), units), Matrix::new(w.host(), inputs));
            multiply((batch, inputs, units), dy, w, dx.host(), false);
        }
        _ => {
            let grid = [inputs.div_ceil(TILE), batch.div_ceil(TILE), 1];
            kernels::dense_backward_input(device, grid, w, dy, dx, batch, inputs, units);
        }
    }
}

/// Adds to dw, and to the bias' gradient where it is wanted.
pub fn backward_weights(
    device: &Device,
    shape: &Shape,
    x: MapView,
    dy: View,
    dw: ViewMut,
    dbias: Option<ViewMut>,
) {
    let &Shape {
        batch,
        inputs,
        units,
    } = shape;
    shape.check(x.len(), dw.len(), dy.len());
    let biases = dbias.as_ref().map_or(units, |b| b.len());
    assert_eq!(biases, units, "{shape:?}");
    match device {
        Device::Cpu => {
            let (x, dy) = (Matrix::new(x.host(), inputs), dy.host());
            let turned = Matrix::new(dy, units).transposed();
            multiply((units, inputs, batch), turned, x, dw.host(), true);
            if let Some(dbias) = dbias {
                reference::backward_bias(shape, dy, dbias.host());
            }
        }
        _ => {
            let grid = [inputs.div_ceil(TILE), units.div_ceil(TILE), 1];
            kernels::dense_backward_weights(device, grid, x, dy, dw, batch, inputs, units);
            if let Some(dbias) = dbias {
                let grid = [units.div_ceil(THREADS), 1, 1];
                kernels::dense_backward_bias(device, grid, dy, dbias, batch, units);
            }
        }
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{Real, Shape};

    /// Writes y.
    pub fn forward<T: Real>(s: &Shape, x: &[T], w: &[T], bias: &[T], y: &mut [T]) {
        for (x, y) in x.chunks_exact(s.inputs).zip(y.chunks_exact_mut(s.units)) {
            for ((w, &bias), y) in w.chunks_exact(s.inputs).zip(bias).zip(y) {
                *y = w.iter().zip(x).map(|(&w, &x)| w * x).sum::<T>() + bias;
            }
        }
    }

    /// Writes dx.
    pub fn backward_input<T: Real>(s: &Shape, w: &[T], dy: &[T], dx: &mut [T]) {
        dx.fill(T::zero());
        for (dx, dy) in dx.chunks_exact_mut(s.inputs).zip(dy.chunks_exact(s.units)) {
            for (w, &dy) in w.chunks_exact(s.inputs).zip(dy) {
                dx.iter_mut().zip(w).for_each(|(dx, &w)| *dx += dy * w);
            }
        }
    }

    /// Adds to dw.
    pub fn backward_weights<T: Real>(s: &Shape, x: &[T], dy: &[T], dw: &mut [T]) {
        for (x, dy) in x.chunks_exact(s.inputs).zip(dy.chunks_exact(s.units)) {
            for (dw, &dy) in dw.chunks_exact_mut(s.inputs).zip(dy) {
                dw.iter_mut().zip(x).for_each(|(dw, &x)| *dw += dy * x);
            }
        }
    }

    /// Adds to the bias' gradient.
    pub fn backward_bias<T: Real>(s: &Shape, dy: &[T], dbias: &mut [T]) {
        for (n, dbias) in dbias.iter_mut().enumerate() {
            *dbias += dy.iter().skip(n).step_by(s.units).copied().sum::<T>();
        }
    }
}
