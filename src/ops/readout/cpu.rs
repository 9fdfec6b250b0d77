//! The passes as matrix products over a few images at a time.

use super::{Gradients, Shape, Weights};
use crate::ops::matmul::{Matrix, multiply};
use crate::ops::panel::with_scratch;
use rayon::prelude::*;

/// Floats of (B, C, N) formed at once when they are not kept.
const CHUNK: usize = 1 << 24;

fn images_at_once(shape: &Shape) -> usize {
    (CHUNK / (shape.channels * shape.neurons)).clamp(1, shape.batch)
}

/// One readout's parameters in this machine's memory.
pub struct Host<'a> {
    pub mask: &'a [f32],
    pub features: &'a [f32],
    pub bias: &'a [f32],
}

impl<'a> Host<'a> {
    pub fn new(w: Weights<'a>) -> Self {
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

/// The gradient of a number that counts by its absolute value.
pub fn signed(value: f32, gradient: f32) -> f32 {
    if value > 0.0 {
        gradient
    } else if value < 0.0 {
        -gradient
    } else {
        0.0
    }
}

pub fn backward(
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
        images_at_once(shape)
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

/// Writes h; keeps the projections where a place for them is given.
pub fn forward(shape: &Shape, x: &[f32], w: &Host, h: &mut [f32], keep: Option<&mut [f32]>) {
    let at_once = if keep.is_some() {
        shape.batch
    } else {
        images_at_once(shape)
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
        prepare(shape, w, mask, features);
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
                    for (t, v) in projections.chunks_exact(n).zip(features.chunks_exact(n)) {
                        for ((h, &t), &v) in h.iter_mut().zip(t).zip(v) {
                            *h += t * v;
                        }
                    }
                });
        }
    });
}

/// Writes dx only.
pub fn backward_input(shape: &Shape, w: &Host, dh: &[f32], dx: &mut [f32]) {
    let at_once = images_at_once(shape);
    let buffer = at_once * shape.channels * shape.neurons;
    with_scratch(w.mask.len() + w.features.len() + buffer, |scratch| {
        let (mask, rest) = scratch.split_at_mut(w.mask.len());
        let (features, buffer) = rest.split_at_mut(w.features.len());
        prepare(shape, w, mask, features);
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
