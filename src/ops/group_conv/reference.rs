//! The definition: rotated filters, then the direct convolution.

use super::Shape;
use crate::ops::basis::Basis;
use crate::ops::{Real, conv};

/// The rotated filters, (O F_out, n_in, k, k).
pub fn filters<T: Real>(shape: &Shape, basis: &Basis, coefficients: &[T]) -> Vec<T> {
    let (area, n_in, g) = (
        shape.kernel * shape.kernel,
        shape.in_channels(),
        shape.out_features,
    );
    let c: Vec<f64> = coefficients.iter().map(|c| c.f64()).collect();
    let mut w = vec![T::zero(); shape.out_channels() * n_in * area];
    for q in 0..shape.orientations {
        let rotated = basis.rotate(&c, angle(shape, q));
        for i in 0..n_in {
            let channel = rolled(shape, i, q);
            for f in 0..g {
                let to = &mut w[((q * g + f) * n_in + channel) * area..][..area];
                for (tap, to) in to.iter_mut().enumerate() {
                    let sum: f64 = (0..basis.len())
                        .map(|j| basis.filters[j * area + tap] * rotated[(j * n_in + i) * g + f])
                        .sum();
                    *to = T::of(sum);
                }
            }
        }
    }
    w
}

/// Adds to dc what the rotated filters' gradient dw means for the coefficients: the adjoint of [`filters`].
pub fn backward_filters<T: Real>(shape: &Shape, basis: &Basis, dw: &[T], dc: &mut [T]) {
    let (area, n_in, g) = (
        shape.kernel * shape.kernel,
        shape.in_channels(),
        shape.out_features,
    );
    for q in 0..shape.orientations {
        let mut projected = vec![0.0; dc.len()];
        for i in 0..n_in {
            let channel = rolled(shape, i, q);
            for f in 0..g {
                let from = &dw[((q * g + f) * n_in + channel) * area..][..area];
                for j in 0..basis.len() {
                    projected[(j * n_in + i) * g + f] = (0..area)
                        .map(|tap| basis.filters[j * area + tap] * from[tap].f64())
                        .sum();
                }
            }
        }
        let turned_back = basis.rotate(&projected, -angle(shape, q));
        for (dc, d) in dc.iter_mut().zip(turned_back) {
            *dc += T::of(d);
        }
    }
}

fn angle(shape: &Shape, q: usize) -> f64 {
    std::f64::consts::TAU * q as f64 / shape.orientations as f64
}

/// Where base channel i = (s, f) lies in the filters of orientation q: at input orientation s + q.
fn rolled(shape: &Shape, i: usize, q: usize) -> usize {
    if shape.oriented_input {
        (i + q * shape.in_features) % shape.in_channels()
    } else {
        i
    }
}

/// Writes y.
pub fn forward<T: Real>(shape: &Shape, basis: &Basis, x: &[T], c: &[T], y: &mut [T]) {
    conv::reference::forward(&shape.direct(), x, &filters(shape, basis, c), y);
}

/// Writes dx.
pub fn backward_input<T: Real>(shape: &Shape, basis: &Basis, c: &[T], dy: &[T], dx: &mut [T]) {
    conv::reference::backward_input(&shape.direct(), &filters(shape, basis, c), dy, dx);
}

/// Adds to dc.
pub fn backward_coefficients<T: Real>(
    shape: &Shape,
    basis: &Basis,
    x: &[T],
    dy: &[T],
    dc: &mut [T],
) {
    let (_, weights, _) = shape.direct().lengths();
    let mut dw = vec![T::zero(); weights];
    conv::reference::backward_weights(&shape.direct(), x, dy, &mut dw);
    backward_filters(shape, basis, &dw, dc);
}
