//! The definition, in plain loops.

use super::{EPSILON, Shape};
use crate::ops::Real;
use crate::ops::activation::Activation;

fn group(s: &Shape, i: usize) -> usize {
    i / s.pixels % s.channels % s.groups
}

/// The batch's mean and biased variance, per group.
pub fn statistics<T: Real>(s: &Shape, y: &[T]) -> (Vec<T>, Vec<T>) {
    let n = T::of(s.count() as f64);
    let mut mean = vec![T::zero(); s.groups];
    let mut variance = vec![T::zero(); s.groups];
    for (i, &y) in y.iter().enumerate() {
        mean[group(s, i)] += y / n;
    }
    for (i, &y) in y.iter().enumerate() {
        let d = y - mean[group(s, i)];
        variance[group(s, i)] += d * d / n;
    }
    (mean, variance)
}

/// z.
pub fn forward<T: Real>(
    (s, activation): (&Shape, Activation),
    y: &[T],
    (mean, variance): (&[T], &[T]),
    gain: Option<&[T]>,
    offset: &[T],
) -> Vec<T> {
    let at = |i: usize| normal(s, y, mean, variance, i);
    (0..y.len())
        .map(|i| {
            let g = group(s, i);
            let gain = gain.map_or(T::one(), |v| v[g]);
            activation.value(gain * at(i) + offset[g])
        })
        .collect()
}

fn normal<T: Real>(s: &Shape, y: &[T], mean: &[T], variance: &[T], i: usize) -> T {
    let g = group(s, i);
    (y[i] - mean[g]) / (variance[g] + T::of(EPSILON)).sqrt()
}

/// y's gradient, and what the gains' and the offsets' gradients grow by.
pub fn backward<T: Real>(
    (s, activation): (&Shape, Activation),
    y: &[T],
    gain: Option<&[T]>,
    offset: &[T],
    dz: &[T],
) -> (Vec<T>, Vec<T>, Vec<T>) {
    let (mean, variance) = statistics(s, y);
    let n = T::of(s.count() as f64);
    let of = |g: usize| gain.map_or(T::one(), |v| v[g]);
    let normals: Vec<T> = (0..y.len())
        .map(|i| normal(s, y, &mean, &variance, i))
        .collect();
    let du: Vec<T> = (0..y.len())
        .map(|i| dz[i] * activation.slope(of(group(s, i)) * normals[i] + offset[group(s, i)]))
        .collect();
    let (mut dgain, mut doffset) = (vec![T::zero(); s.groups], vec![T::zero(); s.groups]);
    for i in 0..y.len() {
        doffset[group(s, i)] += du[i];
        dgain[group(s, i)] += du[i] * normals[i];
    }
    let dy = (0..y.len())
        .map(|i| {
            let g = group(s, i);
            of(g) / (variance[g] + T::of(EPSILON)).sqrt()
                * (du[i] - doffset[g] / n - normals[i] * dgain[g] / n)
        })
        .collect();
    (dy, dgain, doffset)
}
/// y's gradient with the statistics held fixed.
pub fn backward_fixed<T: Real>(
    (s, activation): (&Shape, Activation),
    y: &[T],
    (mean, variance): (&[T], &[T]),
    gain: Option<&[T]>,
    offset: &[T],
    dz: &[T],
) -> Vec<T> {
    (0..y.len())
        .map(|i| {
            let g = group(s, i);
            let gain = gain.map_or(T::one(), |v| v[g]);
            let u = gain * normal(s, y, mean, variance, i) + offset[g];
            dz[i] * activation.slope(u) * gain / (variance[g] + T::of(EPSILON)).sqrt()
        })
        .collect()
}
