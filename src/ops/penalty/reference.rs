//! The definition, in plain loops.

use super::metric::laplacian;
use super::{EPSILON, Strength};
use crate::ops::Real;

/// One output's filter (C_in, k, k): its penalty; adds the gradient.
pub fn filter<T: Real>(kernel: usize, strength: Strength, w: &[T], dw: &mut [T]) -> f64 {
    let area = kernel * kernel;
    let square = |v: &[T]| v.iter().map(|v| v.f64() * v.f64()).sum::<f64>();
    let edges: Vec<Vec<T>> = w.chunks_exact(area).map(|s| laplacian(s, kernel)).collect();
    let sizes: Vec<f64> = w.chunks_exact(area).map(|s| square(s).sqrt()).collect();
    let norm2 = square(w) + EPSILON;
    let edge2: f64 = edges.iter().map(|e| square(e)).sum();
    let (sum, root) = (sizes.iter().sum::<f64>(), norm2.sqrt());
    for (i, (w, dw)) in w
        .chunks_exact(area)
        .zip(dw.chunks_exact_mut(area))
        .enumerate()
    {
        // The Laplacian is its own adjoint.
        let twice = laplacian(&edges[i], kernel);
        let inverse = if sizes[i] > 0.0 { 1.0 / sizes[i] } else { 0.0 };
        let of_edge = 2.0 * strength.smoothness / norm2;
        let of_norm = -2.0 * strength.smoothness * edge2 / (norm2 * norm2)
            + strength.group_sparsity * (inverse / root - sum / (norm2 * root));
        for ((dw, &w), &e) in dw.iter_mut().zip(w).zip(&twice) {
            *dw += T::of(of_norm * w.f64() + of_edge * e.f64());
        }
    }
    strength.smoothness * edge2 / norm2 + strength.group_sparsity * sum / root
}

/// One neuron's readout penalty, and the gradient of each of its |mask|; adds that of the features.
pub fn neuron<T: Real>(
    strength: f64,
    mask: &[T],
    features: &[T],
    dfeatures: &mut [T],
) -> (f64, f64) {
    let sum = |v: &[T]| v.iter().map(|v| v.f64().abs()).sum::<f64>();
    let (m, f) = (sum(mask), sum(features));
    let step = T::of(strength * m);
    for (d, &v) in dfeatures.iter_mut().zip(features) {
        if v > T::zero() {
            *d += step;
        } else if v < T::zero() {
            *d -= step;
        }
    }
    (strength * m * f, strength * f)
}

/// One neuron's adaptive penalty, and the gradient of each of its |mask|; adds those of the features and of the log norm.
pub fn adaptive_neuron<T: Real>(
    (strength, sd): (f64, f64),
    (mask, features, log_norm): (&[T], &[T], T),
    (dfeatures, dlog_norm): (&mut [T], &mut T),
) -> (f64, f64) {
    let (s, precision) = (log_norm.f64(), sd.powi(-2));
    let (value, sparsity) = neuron(strength * s.exp(), mask, features, dfeatures);
    *dlog_norm += T::of(value + 2.0 * precision * s);
    (value + precision * s * s, sparsity)
}

/// `strength sum |v|`; adds the gradient.
pub fn absolutes<T: Real>(strength: f64, values: &[T], gradient: &mut [T]) -> f64 {
    // Features beside a mask whose sum is 1.
    neuron(strength, &[T::one()], values, gradient).0
}

/// `strength sum v^2`; adds the gradient.
pub fn squares<T: Real>(strength: f64, values: &[T], gradient: &mut [T]) -> f64 {
    let twice = T::of(2.0 * strength);
    for (d, &v) in gradient.iter_mut().zip(values) {
        *d += twice * v;
    }
    strength * values.iter().map(|v| v.f64().powi(2)).sum::<f64>()
}
