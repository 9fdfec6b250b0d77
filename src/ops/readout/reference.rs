//! The definition, in plain loops.

use super::Shape;
use crate::ops::Real;

pub(super) fn counted<T: Real>(s: &Shape, v: T) -> T {
    if s.positive_features { v.abs() } else { v }
}

pub(super) fn sign<T: Real>(v: T) -> T {
    if v > T::zero() {
        T::one()
    } else if v < T::zero() {
        -T::one()
    } else {
        T::zero()
    }
}

/// h.
pub fn forward<T: Real>(s: &Shape, x: &[T], mask: &[T], features: &[T], bias: &[T]) -> Vec<T> {
    let mut h = Vec::with_capacity(s.batch * s.neurons);
    for b in 0..s.batch {
        for n in 0..s.neurons {
            let mut sum = bias[n];
            for c in 0..s.channels {
                let map = &x[(b * s.channels + c) * s.pixels..][..s.pixels];
                let mask = &mask[n * s.pixels..][..s.pixels];
                let t: T = map.iter().zip(mask).map(|(&x, &m)| m.abs() * x).sum();
                sum += counted(s, features[n * s.channels + c]) * t;
            }
            h.push(sum);
        }
    }
    h
}

/// dx, dmask, and what the gradients of features and bias grow by.
pub fn backward<T: Real>(
    s: &Shape,
    x: &[T],
    mask: &[T],
    features: &[T],
    dh: &[T],
    sparsity: &[T],
) -> [Vec<T>; 4] {
    let mut dx = vec![T::zero(); x.len()];
    let of_penalty = |(i, &m): (usize, &T)| sign(m) * sparsity[i / s.pixels];
    let mut dmask: Vec<T> = mask.iter().enumerate().map(of_penalty).collect();
    let mut dfeatures = vec![T::zero(); features.len()];
    let mut dbias = vec![T::zero(); s.neurons];
    for b in 0..s.batch {
        for n in 0..s.neurons {
            let d = dh[b * s.neurons + n];
            dbias[n] += d;
            for c in 0..s.channels {
                let feature = features[n * s.channels + c];
                let v = counted(s, feature);
                let inner = if s.positive_features {
                    sign(feature)
                } else {
                    T::one()
                };
                for p in 0..s.pixels {
                    let (xi, mi) = ((b * s.channels + c) * s.pixels + p, n * s.pixels + p);
                    dx[xi] += d * v * mask[mi].abs();
                    dmask[mi] += d * v * sign(mask[mi]) * x[xi];
                    dfeatures[n * s.channels + c] += d * inner * mask[mi].abs() * x[xi];
                }
            }
        }
    }
    [dx, dmask, dfeatures, dbias]
}
