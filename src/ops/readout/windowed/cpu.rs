//! The passes, one image or one group of neurons per task: small products, each on one core.
//!
//! What a pass makes of x and the masks for one image is (C, neurons of the group), group after group. Products of one image's window
//! stay in the cache; dx is written image by image, its groups in order, and the gradients of parameters group by group, their
//! images in order.

use super::super::cpu::{Host, signed};
use super::super::{Gradients, Shape, windows::Group};
use super::{Window, Windows};
use crate::ops::matmul::{Matrix, multiply_here};
use crate::ops::panel::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Neurons of a group whose gradients one task adds up.
const PART: usize = 256;
/// Images whose maps all groups read before the next ones, while they lie in the cache.
const IMAGES: usize = 8;

/// |mask|, and the features that count, transposed to (C, neurons) for each group.
fn prepare(s: &Shape, windows: &Windows, w: &Host, mask: &mut [f32], features: &mut [f32]) {
    mask.par_chunks_mut(1 << 14)
        .zip(w.mask.par_chunks(1 << 14))
        .for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(t, f)| *t = f.abs()));
    let mut rest = features;
    for g in windows.groups() {
        let (own, after) = rest.split_at_mut(s.channels * g.neurons);
        rest = after;
        let order = &windows.order()[g.first..][..g.neurons];
        for (c, row) in own.chunks_exact_mut(g.neurons).enumerate() {
            for (v, &n) in row.iter_mut().zip(order) {
                let feature = w.features[n * s.channels + c];
                *v = if s.positive_features {
                    feature.abs()
                } else {
                    feature
                };
            }
        }
    }
}

/// Numbers of the largest group's window of an image, and of its neurons' projections; none where nothing is to be cut.
fn largest(s: &Shape, windows: &Windows) -> (usize, usize) {
    let groups = windows.groups().iter();
    let cut = groups.clone().map(|g| match is_whole(s, &g.window) {
        true => 0,
        false => s.channels * g.window.pixels(),
    });
    (
        cut.max().unwrap_or(0),
        groups.map(|g| s.channels * g.neurons).max().unwrap_or(0),
    )
}

fn is_whole(s: &Shape, window: &Window) -> bool {
    window.pixels() == s.pixels
}

/// A window of one image's maps (C, P), as (C, pixels of the window).
fn cut<'a>(
    s: &Shape,
    width: usize,
    window: &Window,
    x: &'a [f32],
    memory: &'a mut [f32],
) -> &'a [f32] {
    if is_whole(s, window) {
        return x;
    }
    let memory = &mut memory[..s.channels * window.pixels()];
    for (map, to) in x
        .chunks_exact(s.pixels)
        .zip(memory.chunks_exact_mut(window.pixels()))
    {
        let rows = to.chunks_exact_mut(window.width);
        for (to, row) in rows.zip(window.rows(width)) {
            to.copy_from_slice(&map[row]);
        }
    }
    memory
}

/// `t[c, n] = sum_p x[c, p] |mask[n, p]|` for some neurons of a group.
fn project(s: &Shape, g: &Group, some: Range<usize>, x: &[f32], mask: &[f32], t: &mut [f32]) {
    let p = g.window.pixels();
    let masks = Matrix::new(&mask[g.start + some.start * p..], p).transposed();
    multiply_here(
        (s.channels, some.len(), p),
        Matrix::new(x, p),
        masks,
        t,
        false,
    );
}

/// Writes h; keeps the projections where a place for them is given.
pub fn forward(
    s: &Shape,
    windows: &Windows,
    x: &[f32],
    w: &Host,
    h: &mut [f32],
    keep: Option<&mut [f32]>,
) {
    let (n, per_image) = (s.neurons, s.channels * s.neurons);
    let (of_cut, of_group) = largest(s, windows);
    with_scratch(w.mask.len() + w.features.len(), |scratch| {
        let (mask, features) = scratch.split_at_mut(w.mask.len());
        prepare(s, windows, w, mask, features);
        let (mask, features) = (&*mask, &*features);
        let image = |x: &[f32], h: &mut [f32], kept: Option<&mut [f32]>| {
            let buffer = if kept.is_some() { 0 } else { of_group };
            with_scratch(of_cut + buffer, |scratch| {
                let (memory, buffer) = scratch.split_at_mut(of_cut);
                let mut kept = kept;
                for g in windows.groups() {
                    let own = s.channels * g.first..s.channels * (g.first + g.neurons);
                    let t = match &mut kept {
                        Some(kept) => &mut kept[own.clone()],
                        None => &mut buffer[..own.len()],
                    };
                    let x = cut(s, windows.map.1, &g.window, x, memory);
                    project(s, g, 0..g.neurons, x, mask, t);
                    sum_over_channels(windows, g, w.bias, t, &features[own], h);
                }
            });
        };
        let images = x.par_chunks_exact(s.channels * s.pixels);
        let images = images.zip(h.par_chunks_exact_mut(n));
        match keep {
            Some(keep) => images
                .zip(keep.par_chunks_exact_mut(per_image))
                .for_each(|((x, h), kept)| image(x, h, Some(kept))),
            None => images.for_each(|(x, h)| image(x, h, None)),
        }
    });
}

/// `h[n] = bias[n] + sum_c t[c, n] v[c, n]` for a group's neurons.
fn sum_over_channels(
    windows: &Windows,
    g: &Group,
    bias: &[f32],
    t: &[f32],
    features: &[f32],
    h: &mut [f32],
) {
    /// Neurons at a time, whose sums stay in the registers.
    const LANES: usize = 64;
    let order = &windows.order()[g.first..][..g.neurons];
    for (first, order) in (0..).step_by(LANES).zip(order.chunks(LANES)) {
        let mut sums = [0.0f32; LANES];
        for (sum, &n) in sums.iter_mut().zip(order) {
            *sum = bias[n];
        }
        let rows = t.chunks_exact(g.neurons);
        for (t, v) in rows.zip(features.chunks_exact(g.neurons)) {
            let (t, v) = (&t[first..][..order.len()], &v[first..][..order.len()]);
            for ((sum, &t), &v) in sums.iter_mut().zip(t).zip(v) {
                *sum += t * v;
            }
        }
        for (&sum, &n) in sums.iter().zip(order) {
            h[n] = sum;
        }
    }
}

/// Writes dx only.
pub fn backward_input(s: &Shape, windows: &Windows, w: &Host, dh: &[f32], dx: &mut [f32]) {
    with_scratch(w.mask.len() + w.features.len(), |scratch| {
        let (mask, features) = scratch.split_at_mut(w.mask.len());
        prepare(s, windows, w, mask, features);
        to_input(s, windows, mask, features, dh, dx);
    });
}

fn to_input(
    s: &Shape,
    windows: &Windows,
    mask: &[f32],
    features: &[f32],
    dh: &[f32],
    dx: &mut [f32],
) {
    let (of_cut, of_group) = largest(s, windows);
    let width = windows.map.1;
    dx.par_chunks_exact_mut(s.channels * s.pixels)
        .zip(dh.par_chunks_exact(s.neurons))
        .for_each(|(dx, dh)| {
            with_scratch(of_cut + of_group + s.neurons, |scratch| {
                let (memory, rest) = scratch.split_at_mut(of_cut);
                let (spread, sorted) = rest.split_at_mut(of_group);
                sort(windows, dh, sorted);
                dx.fill(0.0);
                for g in windows.groups() {
                    let (n, p) = (g.neurons, g.window.pixels());
                    let dh = &sorted[g.first..][..n];
                    let features = &features[s.channels * g.first..][..s.channels * n];
                    let spread = &mut spread[..s.channels * n];
                    let rows = spread.chunks_exact_mut(n).zip(features.chunks_exact(n));
                    for (spread, v) in rows {
                        for ((s, &dh), &v) in spread.iter_mut().zip(dh).zip(v) {
                            *s = dh * v;
                        }
                    }
                    let factors = (Matrix::new(spread, n), Matrix::new(&mask[g.start..], p));
                    let sizes = (s.channels, p, n);
                    if is_whole(s, &g.window) {
                        multiply_here(sizes, factors.0, factors.1, dx, true);
                        continue;
                    }
                    let inside = &mut memory[..s.channels * p];
                    multiply_here(sizes, factors.0, factors.1, inside, false);
                    add_inside(s, width, &g.window, inside, dx);
                }
            });
        });
}

/// In the order of the masks.
fn sort(windows: &Windows, of_neurons: &[f32], sorted: &mut [f32]) {
    for (to, &n) in sorted.iter_mut().zip(windows.order()) {
        *to = of_neurons[n];
    }
}

fn add_inside(s: &Shape, width: usize, window: &Window, inside: &[f32], dx: &mut [f32]) {
    let maps = dx.chunks_exact_mut(s.pixels);
    for (map, inside) in maps.zip(inside.chunks_exact(window.pixels())) {
        let rows = window.rows(width).zip(inside.chunks_exact(window.width));
        for (row, from) in rows {
            map[row].iter_mut().zip(from).for_each(|(d, &g)| *d += g);
        }
    }
}

/// Some neurons of a group, and where their gradients go.
struct Part<'a> {
    group: &'a Group,
    /// From which neuron of the group on, and how many.
    first: usize,
    neurons: usize,
    /// (neurons, pixels of the window), before the sign.
    mask: &'a mut [f32],
    /// (C, neurons), before the sign of what counts by its absolute value.
    features: &'a mut [f32],
}

fn parts<'a>(
    s: &Shape,
    windows: &'a Windows,
    mut mask: &'a mut [f32],
    mut features: &'a mut [f32],
) -> Vec<Part<'a>> {
    let mut all = Vec::new();
    for group in windows.groups() {
        for first in (0..group.neurons).step_by(PART) {
            let neurons = PART.min(group.neurons - first);
            let (own_mask, rest) = mask.split_at_mut(neurons * group.window.pixels());
            mask = rest;
            let (own_features, rest) = features.split_at_mut(s.channels * neurons);
            features = rest;
            all.push(Part {
                group,
                first,
                neurons,
                mask: own_mask,
                features: own_features,
            });
        }
    }
    all
}

pub fn backward(
    (s, windows): (&Shape, &Windows),
    x: &[f32],
    w: &Host,
    dh: &[f32],
    dx: &mut [f32],
    gradients: Gradients,
    kept: Option<&[f32]>,
) {
    let (sparsity, dmask, dfeatures, dbias) = (
        gradients.sparsity.host(),
        gradients.mask.host(),
        gradients.features.host(),
        gradients.bias.host(),
    );
    let n = s.neurons;
    let len = 2 * (w.mask.len() + w.features.len()) + dh.len();
    with_scratch(len, |scratch| {
        let (mask, rest) = scratch.split_at_mut(w.mask.len());
        let (mask_sums, rest) = rest.split_at_mut(w.mask.len());
        let (features, rest) = rest.split_at_mut(w.features.len());
        let (feature_sums, sorted) = rest.split_at_mut(w.features.len());
        prepare(s, windows, w, mask, features);
        let rows = dh.chunks_exact(n).zip(sorted.chunks_exact_mut(n));
        rows.for_each(|(dh, sorted)| sort(windows, dh, sorted));
        to_input(s, windows, mask, features, dh, dx);
        feature_sums.fill(0.0);
        let weights = (&*mask, &*features);
        let mut parts = parts(s, windows, mask_sums, feature_sums);
        parts.par_iter_mut().for_each(|part| {
            let of_part = &sparsity[part.group.first + part.first..];
            let masks = part.mask.chunks_exact_mut(part.group.window.pixels());
            masks
                .zip(of_part)
                .for_each(|(m, &of_neuron)| m.fill(of_neuron));
        });
        for first in (0..s.batch).step_by(IMAGES) {
            let images = first..s.batch.min(first + IMAGES);
            parts.par_iter_mut().for_each(|part| {
                to_weights((s, windows), images.clone(), x, weights, sorted, kept, part);
            });
        }
        dmask
            .par_chunks_mut(1 << 14)
            .zip(mask_sums.par_chunks(1 << 14))
            .zip(w.mask.par_chunks(1 << 14))
            .for_each(|((d, sums), m)| {
                for ((d, &sum), &m) in d.iter_mut().zip(sums).zip(m) {
                    *d = signed(m, sum);
                }
            });
        let mut rest = &*feature_sums;
        for g in windows.groups() {
            for first in (0..g.neurons).step_by(PART) {
                let neurons = PART.min(g.neurons - first);
                let (own, after) = rest.split_at(s.channels * neurons);
                rest = after;
                let order = &windows.order()[g.first + first..][..neurons];
                for (k, &n) in order.iter().enumerate() {
                    for c in 0..s.channels {
                        let (i, sum) = (n * s.channels + c, own[c * neurons + k]);
                        dfeatures[i] += match s.positive_features {
                            true => signed(w.features[i], sum),
                            false => sum,
                        };
                    }
                }
            }
        }
        for dh in dh.chunks_exact(n) {
            dbias.iter_mut().zip(dh).for_each(|(d, g)| *d += g);
        }
    });
}

/// Adds these images to a part's sums.
fn to_weights(
    (s, windows): (&Shape, &Windows),
    images: Range<usize>,
    x: &[f32],
    (mask, features): (&[f32], &[f32]),
    dh: &[f32],
    kept: Option<&[f32]>,
    part: &mut Part,
) {
    let (g, n) = (part.group, part.neurons);
    let p = g.window.pixels();
    let own = s.channels * g.first..s.channels * (g.first + g.neurons);
    let features = &features[own.clone()];
    let of_cut = match is_whole(s, &g.window) {
        true => 0,
        false => s.channels * p,
    };
    let of_part = if kept.is_some() { 0 } else { s.channels * n };
    with_scratch(of_cut + of_part + s.channels * n, |scratch| {
        let (memory, rest) = scratch.split_at_mut(of_cut);
        let (buffer, spread) = rest.split_at_mut(of_part);
        for b in images {
            let (of_maps, of_all) = (s.channels * s.pixels, s.channels * s.neurons);
            let x = &x[b * of_maps..][..of_maps];
            let x = cut(s, windows.map.1, &g.window, x, memory);
            // The part's projections, and how far apart their rows lie.
            let (t, row) = match kept {
                Some(kept) => (&kept[b * of_all..][own.clone()][part.first..], g.neurons),
                None => {
                    project(s, g, part.first..part.first + n, x, mask, buffer);
                    (&*buffer, n)
                }
            };
            let dh = &dh[b * s.neurons + g.first + part.first..][..n];
            for (c, spread) in spread.chunks_exact_mut(n).enumerate() {
                let v = &features[c * g.neurons + part.first..][..n];
                let t = &t[c * row..][..n];
                let sums = &mut part.features[c * n..][..n];
                for (i, spread) in spread.iter_mut().enumerate() {
                    sums[i] += t[i] * dh[i];
                    *spread = dh[i] * v[i];
                }
            }
            multiply_here(
                (n, p, s.channels),
                Matrix::new(spread, n).transposed(),
                Matrix::new(x, p),
                part.mask,
                true,
            );
        }
    });
}
