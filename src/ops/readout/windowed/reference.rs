//! The definition, in plain loops.

use super::super::Shape;
use super::super::reference::{counted, sign};
use super::Windows;
use crate::ops::Real;

/// h; the mask holds what is inside the windows.
pub fn forward<T: Real>(
    s: &Shape,
    windows: &Windows,
    x: &[T],
    mask: &[T],
    features: &[T],
    bias: &[T],
) -> Vec<T> {
    let mut h = Vec::with_capacity(s.batch * s.neurons);
    for b in 0..s.batch {
        for n in 0..s.neurons {
            let mut sum = bias[n];
            for c in 0..s.channels {
                let map = &x[(b * s.channels + c) * s.pixels..][..s.pixels];
                let mut t = T::zero();
                for (p, &m) in pixels(windows, n).zip(&mask[windows.range(n)]) {
                    t += m.abs() * map[p];
                }
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
    windows: &Windows,
    x: &[T],
    mask: &[T],
    features: &[T],
    dh: &[T],
    sparsity: &[T],
) -> [Vec<T>; 4] {
    let mut dx = vec![T::zero(); x.len()];
    let mut dmask = vec![T::zero(); mask.len()];
    for (&n, &of_penalty) in windows.order().iter().zip(sparsity) {
        for mi in windows.range(n) {
            dmask[mi] = sign(mask[mi]) * of_penalty;
        }
    }
    let mut dfeatures = vec![T::zero(); features.len()];
    let mut dbias = vec![T::zero(); s.neurons];
    for b in 0..s.batch {
        for n in 0..s.neurons {
            let d = dh[b * s.neurons + n];
            dbias[n] += d;
            for c in 0..s.channels {
                let feature = features[n * s.channels + c];
                let v = counted(s, feature);
                let inner = match s.positive_features {
                    true => sign(feature),
                    false => T::one(),
                };
                for (p, mi) in pixels(windows, n).zip(windows.range(n)) {
                    let xi = (b * s.channels + c) * s.pixels + p;
                    dx[xi] += d * v * mask[mi].abs();
                    dmask[mi] += d * v * sign(mask[mi]) * x[xi];
                    dfeatures[n * s.channels + c] += d * inner * mask[mi].abs() * x[xi];
                }
            }
        }
    }
    [dx, dmask, dfeatures, dbias]
}

/// The pixels of a neuron's window, in the order of its mask.
fn pixels(windows: &Windows, neuron: usize) -> impl Iterator<Item = usize> {
    windows.of(neuron).rows(windows.map.1).flatten()
}
