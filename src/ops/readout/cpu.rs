//! The passes as matrix products over a few images and a few neurons at a time: what they take of memory does not grow with
//! the population.

use super::{Gradients, Shape, Weights};
use crate::ops::matmul::{Matrix, multiply};
use crate::ops::panel::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Floats of (B, C, neurons) formed at once when they are not kept.
const CHUNK: usize = 1 << 24;
/// Neurons whose masks are made ready at once when projections are not kept.
const NEURONS: usize = 2048;

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

/// Some neurons of a population, as a population of their own.
struct Block<'a> {
    shape: Shape,
    weights: Host<'a>,
    /// Where they lie in rows of all neurons.
    columns: Range<usize>,
}

/// Neurons after neurons: all of them at once where their projections are kept.
fn blocks<'a>(
    shape: &Shape,
    w: &'a Host,
    keeps: bool,
) -> impl Iterator<Item = Block<'a>> + use<'a> {
    let (all, most) = (*shape, if keeps { shape.neurons } else { NEURONS });
    (0..all.neurons).step_by(most.max(1)).map(move |first| {
        let columns = first..all.neurons.min(first + most);
        let of =
            |numbers: &'a [f32], each: usize| &numbers[columns.start * each..columns.end * each];
        Block {
            shape: Shape {
                neurons: columns.len(),
                ..all
            },
            weights: Host {
                mask: of(w.mask, all.pixels),
                features: of(w.features, all.channels),
                bias: of(w.bias, 1),
            },
            columns,
        }
    })
}

impl Block<'_> {
    fn images_at_once(&self, keeps: bool) -> usize {
        match keeps {
            true => self.shape.batch,
            false => {
                (CHUNK / (self.shape.channels * self.shape.neurons)).clamp(1, self.shape.batch)
            }
        }
    }

    /// |mask| (N, P), and the features that count, transposed to (C, N).
    fn prepare(&self, mask: &mut [f32], features: &mut [f32]) {
        let (shape, w) = (&self.shape, &self.weights);
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

    fn project(&self, x: &[f32], mask: &[f32], projections: &mut [f32]) {
        let (p, n) = (self.shape.pixels, self.shape.neurons);
        let masks = Matrix::new(mask, p).transposed();
        multiply(
            (x.len() / p, n, p),
            Matrix::new(x, p),
            masks,
            projections,
            false,
        );
    }

    /// `dx (+)= spread mask`: adds to what the neurons before these gave.
    fn unproject(&self, spread: &[f32], mask: &[f32], dx: &mut [f32]) {
        let (p, n) = (self.shape.pixels, self.shape.neurons);
        let factors = (Matrix::new(spread, n), Matrix::new(mask, p));
        let add = self.columns.start > 0;
        multiply((dx.len() / p, p, n), factors.0, factors.1, dx, add);
    }

    /// `spread[b, c, n] = dh[b, n] v[c, n]`; dh has `all` neurons.
    fn spread_gradient(&self, all: usize, dh: &[f32], features: &[f32], spread: &mut [f32]) {
        let n = self.shape.neurons;
        spread
            .par_chunks_exact_mut(self.shape.channels * n)
            .zip(dh.par_chunks_exact(all))
            .for_each(|(spread, dh)| {
                let dh = &dh[self.columns.clone()];
                for (s, v) in spread.chunks_exact_mut(n).zip(features.chunks_exact(n)) {
                    for ((s, &dh), &v) in s.iter_mut().zip(dh).zip(v) {
                        *s = dh * v;
                    }
                }
            });
    }
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
    mut kept: Option<&mut [f32]>,
) {
    let (sparsity, dmask, dfeatures, dbias) = (
        gradients.sparsity.host(),
        gradients.mask.host(),
        gradients.features.host(),
        gradients.bias.host(),
    );
    for block in blocks(shape, w, kept.is_some()) {
        let of = |each: usize| block.columns.start * each..block.columns.end * each;
        let sums = (
            &sparsity[of(1)],
            &mut dmask[of(shape.pixels)],
            &mut dfeatures[of(shape.channels)],
        );
        backward_of(&block, shape.neurons, x, dh, dx, sums, kept.as_deref_mut());
    }
    for dh in dh.chunks_exact(shape.neurons) {
        dbias.iter_mut().zip(dh).for_each(|(d, g)| *d += g);
    }
}

/// Writes dmask of a block, adds to its dfeatures, and to dx what comes through it; dh has `all` neurons.
fn backward_of(
    block: &Block,
    all: usize,
    x: &[f32],
    dh: &[f32],
    dx: &mut [f32],
    (sparsity, dmask, dfeatures): (&[f32], &mut [f32], &mut [f32]),
    kept: Option<&mut [f32]>,
) {
    let (shape, w) = (&block.shape, &block.weights);
    let (n, c) = (shape.neurons, shape.channels);
    let recompute = kept.is_none();
    let at_once = block.images_at_once(!recompute);
    let buffer = if recompute { at_once * c * n } else { 0 };
    with_scratch(2 * (w.mask.len() + w.features.len()) + buffer, |scratch| {
        let (mask, rest) = scratch.split_at_mut(w.mask.len());
        let (features, rest) = rest.split_at_mut(w.features.len());
        let (mask_sums, rest) = rest.split_at_mut(w.mask.len());
        let (feature_sums, buffer) = rest.split_at_mut(w.features.len());
        block.prepare(mask, features);
        feature_sums.fill(0.0);
        let projections = kept.unwrap_or(buffer);
        let images = at_once * c * shape.pixels;
        for (chunk, ((x, dx), dh)) in x
            .chunks(images)
            .zip(dx.chunks_mut(images))
            .zip(dh.chunks(at_once * all))
            .enumerate()
        {
            let t = &mut projections[..dh.len() / all * c * n];
            if recompute {
                block.project(x, mask, t);
            }
            feature_sums
                .par_chunks_exact_mut(n)
                .enumerate()
                .for_each(|(channel, sums)| {
                    for (t, dh) in t.chunks_exact(c * n).zip(dh.chunks_exact(all)) {
                        let (t, dh) = (&t[channel * n..][..n], &dh[block.columns.clone()]);
                        for ((s, &t), &dh) in sums.iter_mut().zip(t).zip(dh) {
                            *s += t * dh;
                        }
                    }
                });
            block.spread_gradient(all, dh, features, t);
            block.unproject(t, mask, dx);
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
        let (p, at_least) = (shape.pixels, (1 << 14) / shape.pixels + 1);
        dmask
            .par_chunks_exact_mut(p)
            .zip(mask_sums.par_chunks_exact(p))
            .zip(w.mask.par_chunks_exact(p).zip(sparsity))
            .with_min_len(at_least)
            .for_each(|((d, s), (m, &sparsity))| {
                for ((d, &s), &m) in d.iter_mut().zip(s).zip(m) {
                    *d = signed(m, s + sparsity);
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
    });
}

/// Writes h; keeps the projections where a place for them is given.
pub fn forward(shape: &Shape, x: &[f32], w: &Host, h: &mut [f32], mut keep: Option<&mut [f32]>) {
    for block in blocks(shape, w, keep.is_some()) {
        forward_of(&block, shape.neurons, x, h, keep.as_deref_mut());
    }
}

/// Writes h, of `all` neurons, for a block.
fn forward_of(block: &Block, all: usize, x: &[f32], h: &mut [f32], keep: Option<&mut [f32]>) {
    let (shape, w) = (&block.shape, &block.weights);
    let at_once = block.images_at_once(keep.is_some());
    let (n, per_image) = (shape.neurons, shape.channels * shape.neurons);
    let buffer = if keep.is_some() {
        0
    } else {
        at_once * per_image
    };
    with_scratch(w.mask.len() + w.features.len() + buffer, |scratch| {
        let (mask, rest) = scratch.split_at_mut(w.mask.len());
        let (features, buffer) = rest.split_at_mut(w.features.len());
        block.prepare(mask, features);
        let projections = keep.unwrap_or(buffer);
        for (x, h) in x
            .chunks(at_once * shape.channels * shape.pixels)
            .zip(h.chunks_mut(at_once * all))
        {
            let projections = &mut projections[..h.len() / all * per_image];
            block.project(x, mask, projections);
            h.par_chunks_exact_mut(all)
                .zip(projections.par_chunks_exact(per_image))
                .for_each(|(h, projections)| {
                    let h = &mut h[block.columns.clone()];
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
    for block in blocks(shape, w, false) {
        let (of_block, w) = (&block.shape, &block.weights);
        let at_once = block.images_at_once(false);
        let buffer = at_once * of_block.channels * of_block.neurons;
        with_scratch(w.mask.len() + w.features.len() + buffer, |scratch| {
            let (mask, rest) = scratch.split_at_mut(w.mask.len());
            let (features, buffer) = rest.split_at_mut(w.features.len());
            block.prepare(mask, features);
            let images = at_once * shape.channels * shape.pixels;
            for (dx, dh) in dx
                .chunks_mut(images)
                .zip(dh.chunks(at_once * shape.neurons))
            {
                let rows = dh.len() / shape.neurons * shape.channels;
                let spread = &mut buffer[..rows * of_block.neurons];
                block.spread_gradient(shape.neurons, dh, features, spread);
                block.unproject(spread, mask, dx);
            }
        });
    }
}
