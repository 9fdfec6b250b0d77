//! Factorised readout (Klindt et al. 2017; Ecker et al. 2019), one mask and one feature vector per neuron:
//!
//! `h[b, n] = bias[n] + sum_c v[n, c] sum_p |mask[n, p]| x[b, c, p]`, v = features, or |features| where only positive
//! ones are wanted. x is (B, C, P), mask (N, P), features (N, C), h (B, N).
//!
//! The inner sum is one matrix product; its (B, C, N) result is formed for a few images at a time, or kept from the
//! forward pass for the backward one where memory is given for it ([`Shape::projections`]).

use super::Real;
use super::matmul::{Matrix, multiply};
use super::panel::with_scratch;
use crate::device::{Device, View, ViewMut};
use rayon::prelude::*;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// P.
    pub pixels: usize,
    /// N.
    pub neurons: usize,
    /// Whether features count by their absolute value.
    pub positive_features: bool,
}

/// Floats of (B, C, N) formed at once when they are not kept.
const CHUNK: usize = 1 << 24;

impl Shape {
    /// Elements of (B, C, N).
    pub fn projections(&self) -> usize {
        self.batch * self.channels * self.neurons
    }

    fn images_at_once(&self) -> usize {
        (CHUNK / (self.channels * self.neurons)).clamp(1, self.batch)
    }

    fn check(&self, x: usize, mask: usize, features: usize, h: usize) {
        let wanted = (
            self.batch * self.channels * self.pixels,
            self.neurons * self.pixels,
            self.neurons * self.channels,
            self.batch * self.neurons,
        );
        assert_eq!((x, mask, features, h), wanted, "{self:?}");
    }
}

/// One readout's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// (N, P), before the absolute value.
    pub mask: View<'a>,
    /// (N, C).
    pub features: View<'a>,
    /// (N).
    pub bias: View<'a>,
}

/// Their gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// (N, P).
    pub mask: ViewMut<'a>,
    /// (N, C).
    pub features: ViewMut<'a>,
    /// (N).
    pub bias: ViewMut<'a>,
}

/// Writes h, and where given keeps the projections `sum_p |mask| x`, (B, C, N).
pub fn forward(
    device: &Device,
    shape: &Shape,
    x: View,
    weights: Weights,
    h: ViewMut,
    keep: Option<ViewMut>,
) {
    match device {
        Device::Cpu => {
            let (x, h, w) = (x.host(), h.host(), Host::new(weights));
            shape.check(x.len(), w.mask.len(), w.features.len(), h.len());
            let keep = keep.map(ViewMut::host);
            let at_once = if keep.is_some() {
                shape.batch
            } else {
                shape.images_at_once()
            };
            let (n, per_image) = (shape.neurons, shape.channels * shape.neurons);
            let buffer = if keep.is_some() {
                0
            } else {
                at_once * per_image
            };
            with_scratch(w.mask.len() + w.features.len() + buffer, |scratch| {
                let (mask, rest) = scratch.split_at_mut(w.mask.len());
                let (features, buffer) = rest.split_at_mut(w.features.len());
                prepare(shape, &w, mask, features);
                let projections = keep.unwrap_or(buffer);
                for (x, h) in x
                    .chunks(at_once * shape.channels * shape.pixels)
                    .zip(h.chunks_mut(at_once * n))
                {
                    let projections = &mut projections[..h.len() / n * per_image];
                    project(shape, x, mask, projections);
                    h.par_chunks_exact_mut(n)
                        .zip(projections.par_chunks_exact(per_image))
                        .for_each(|(h, projections)| {
                            h.copy_from_slice(w.bias);
                            for (t, v) in projections.chunks_exact(n).zip(features.chunks_exact(n))
                            {
                                for ((h, &t), &v) in h.iter_mut().zip(t).zip(v) {
                                    *h += t * v;
                                }
                            }
                        });
                }
            });
        }
        _ => unimplemented!(),
    }
}

/// Writes dx and adds to the gradients. `kept` are the forward pass' projections; their content is used up.
pub fn backward(
    device: &Device,
    shape: &Shape,
    x: View,
    weights: Weights,
    dh: View,
    (dx, gradients): (ViewMut, Gradients),
    kept: Option<ViewMut>,
) {
    match device {
        Device::Cpu => {
            let (x, dh, dx, w) = (x.host(), dh.host(), dx.host(), Host::new(weights));
            shape.check(x.len(), w.mask.len(), w.features.len(), dh.len());
            assert_eq!(x.len(), dx.len());
            cpu_backward(shape, x, &w, dh, dx, gradients, kept.map(ViewMut::host));
        }
        _ => unimplemented!(),
    }
}

/// Writes dx only.
pub fn backward_input(device: &Device, shape: &Shape, weights: Weights, dh: View, dx: ViewMut) {
    match device {
        Device::Cpu => {
            let (dh, dx, w) = (dh.host(), dx.host(), Host::new(weights));
            shape.check(dx.len(), w.mask.len(), w.features.len(), dh.len());
            let at_once = shape.images_at_once();
            let buffer = at_once * shape.channels * shape.neurons;
            with_scratch(w.mask.len() + w.features.len() + buffer, |scratch| {
                let (mask, rest) = scratch.split_at_mut(w.mask.len());
                let (features, buffer) = rest.split_at_mut(w.features.len());
                prepare(shape, &w, mask, features);
                let images = at_once * shape.channels * shape.pixels;
                for (dx, dh) in dx
                    .chunks_mut(images)
                    .zip(dh.chunks(at_once * shape.neurons))
                {
                    let spread = &mut buffer[..dh.len() * shape.channels];
                    spread_gradient(shape, dh, features, spread);
                    unproject(shape, spread, mask, dx);
                }
            });
        }
        _ => unimplemented!(),
    }
}

struct Host<'a> {
    mask: &'a [f32],
    features: &'a [f32],
    bias: &'a [f32],
}

impl<'a> Host<'a> {
    fn new(w: Weights<'a>) -> Self {
        Self {
            mask: w.mask.host(),
            features: w.features.host(),
            bias: w.bias.host(),
        }
    }
}

/// |mask| (N, P), and the features that count, transposed to (C, N).
fn prepare(shape: &Shape, w: &Host, mask: &mut [f32], features: &mut [f32]) {
    mask.par_chunks_mut(1 << 14)
        .zip(w.mask.par_chunks(1 << 14))
        .for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(t, f)| *t = f.abs()));
    for (c, row) in features.chunks_exact_mut(shape.neurons).enumerate() {
        for (n, v) in row.iter_mut().enumerate() {
            let feature = w.features[n * shape.channels + c];
            *v = if shape.positive_features {
                feature.abs()
            } else {
                feature
            };
        }
    }
}

fn project(shape: &Shape, x: &[f32], mask: &[f32], projections: &mut [f32]) {
    let (p, n) = (shape.pixels, shape.neurons);
    let rows = x.len() / p;
    multiply(
        (rows, n, p),
        Matrix::new(x, p),
        Matrix::new(mask, p).transposed(),
        projections,
        false,
    );
}

fn unproject(shape: &Shape, spread: &[f32], mask: &[f32], dx: &mut [f32]) {
    let (p, n) = (shape.pixels, shape.neurons);
    let rows = dx.len() / p;
    multiply(
        (rows, p, n),
        Matrix::new(spread, n),
        Matrix::new(mask, p),
        dx,
        false,
    );
}

/// `spread[b, c, n] = dh[b, n] v[c, n]`.
fn spread_gradient(shape: &Shape, dh: &[f32], features: &[f32], spread: &mut [f32]) {
    let n = shape.neurons;
    spread
        .par_chunks_exact_mut(shape.channels * n)
        .zip(dh.par_chunks_exact(n))
        .for_each(|(spread, dh)| {
            for (s, v) in spread.chunks_exact_mut(n).zip(features.chunks_exact(n)) {
                for ((s, &dh), &v) in s.iter_mut().zip(dh).zip(v) {
                    *s = dh * v;
                }
            }
        });
}

fn cpu_backward(
    shape: &Shape,
    x: &[f32],
    w: &Host,
    dh: &[f32],
    dx: &mut [f32],
    gradients: Gradients,
    kept: Option<&mut [f32]>,
) {
    let (n, c) = (shape.neurons, shape.channels);
    let (dmask, dfeatures, dbias) = (
        gradients.mask.host(),
        gradients.features.host(),
        gradients.bias.host(),
    );
    let recompute = kept.is_none();
    let at_once = if recompute {
        shape.images_at_once()
    } else {
        shape.batch
    };
    let buffer = if recompute { at_once * c * n } else { 0 };
    with_scratch(2 * (w.mask.len() + w.features.len()) + buffer, |scratch| {
        let (mask, rest) = scratch.split_at_mut(w.mask.len());
        let (features, rest) = rest.split_at_mut(w.features.len());
        let (mask_sums, rest) = rest.split_at_mut(w.mask.len());
        let (feature_sums, buffer) = rest.split_at_mut(w.features.len());
        prepare(shape, w, mask, features);
        feature_sums.fill(0.0);
        let projections = kept.unwrap_or(buffer);
        let images = at_once * c * shape.pixels;
        for (chunk, ((x, dx), dh)) in x
            .chunks(images)
            .zip(dx.chunks_mut(images))
            .zip(dh.chunks(at_once * n))
            .enumerate()
        {
            let t = &mut projections[..dh.len() * c];
            if recompute {
                project(shape, x, mask, t);
            }
            feature_sums
                .par_chunks_exact_mut(n)
                .enumerate()
                .for_each(|(channel, sums)| {
                    for (t, dh) in t.chunks_exact(c * n).zip(dh.chunks_exact(n)) {
                        let t = &t[channel * n..][..n];
                        for ((s, &t), &dh) in sums.iter_mut().zip(t).zip(dh) {
                            *s += t * dh;
                        }
                    }
                });
            spread_gradient(shape, dh, features, t);
            unproject(shape, t, mask, dx);
            let (rows, p) = (dx.len() / shape.pixels, shape.pixels);
            let spread = Matrix::new(t, n).transposed();
            multiply(
                (n, p, rows),
                spread,
                Matrix::new(x, p),
                mask_sums,
                chunk > 0,
            );
        }
        let signed = |value: f32, gradient: f32| {
            if value > 0.0 {
                gradient
            } else if value < 0.0 {
                -gradient
            } else {
                0.0
            }
        };
        dmask
            .par_chunks_mut(1 << 14)
            .zip(mask_sums.par_chunks(1 << 14))
            .zip(w.mask.par_chunks(1 << 14))
            .for_each(|((d, s), m)| {
                for ((d, &s), &m) in d.iter_mut().zip(s).zip(m) {
                    *d += signed(m, s);
                }
            });
        for (i, d) in dfeatures.iter_mut().enumerate() {
            let sum = feature_sums[i % c * n + i / c];
            *d += if shape.positive_features {
                signed(w.features[i], sum)
            } else {
                sum
            };
        }
        for dh in dh.chunks_exact(n) {
            dbias.iter_mut().zip(dh).for_each(|(d, g)| *d += g);
        }
    });
}

/// The definition, in plain loops.
pub mod reference {
    use super::{Real, Shape};

    fn counted<T: Real>(s: &Shape, v: T) -> T {
        if s.positive_features { v.abs() } else { v }
    }

    fn sign<T: Real>(v: T) -> T {
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

    /// dx, and what the gradients of mask, features and bias grow by.
    pub fn backward<T: Real>(
        s: &Shape,
        x: &[T],
        mask: &[T],
        features: &[T],
        dh: &[T],
    ) -> [Vec<T>; 4] {
        let mut dx = vec![T::zero(); x.len()];
        let mut dmask = vec![T::zero(); mask.len()];
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
}
