//! The orientation-Fourier form over pixel tiles: transform, expand into the panel, mix; and the same panel times
//! another map for the coefficients' gradient. One input feature's panel is used up while it is in the first-level
//! cache.

use super::adjoint::{backward_transposed, transposed};
use super::plan::{Entry, Plan};
use super::{expand, orientation};
use crate::ops::basis::Basis;
use crate::ops::panel::{self, Contiguous, Geometry, Parts, TILE};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub fn forward(plan: &Plan, x: &[f32], c: &[f32], y: &mut [f32]) {
    mix(plan, x, &widen(c), y);
}

pub fn backward_input(adjoint: &Plan, basis: &Basis, c: &[f32], dy: &[f32], dx: &mut [f32]) {
    mix(adjoint, dy, &transposed(adjoint, basis, &widen(c)), dx);
}

pub fn backward_coefficients(plan: &Plan, x: &[f32], dy: &[f32], dc: &mut [f32]) {
    let mut gradient = vec![0.0; dc.len()];
    let sums = run(plan, x, None, Some(dy));
    plan.backward_weights(&sums, &mut gradient);
    add(dc, &gradient);
}

/// dx = adjoint layer(dy), and the adjoint layer's coefficient gradient with x in the place of its output's gradient
/// is, carried back, that of the layer itself: both products share one expansion of dy.
pub fn backward(
    adjoint: &Plan,
    basis: &Basis,
    x: &[f32],
    c: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dc: &mut [f32],
) {
    let weights = adjoint.weights(&transposed(adjoint, basis, &widen(c)));
    let sums = run(adjoint, dy, Some((&weights, dx)), Some(x));
    let mut gradient = vec![0.0; dc.len()];
    adjoint.backward_weights(&sums, &mut gradient);
    let mut back = vec![0.0; dc.len()];
    backward_transposed(adjoint, basis, &gradient, &mut back);
    add(dc, &back);
}

pub fn widen(c: &[f32]) -> Vec<f64> {
    c.iter().map(|&c| f64::from(c)).collect()
}

fn add(to: &mut [f32], from: &[f64]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += from as f32;
    }
}

fn mix(plan: &Plan, x: &[f32], c: &[f64], y: &mut [f32]) {
    let weights = plan.weights(c);
    run(plan, x, Some((&weights, y)), None);
}

/// Passes every image through the plan: `mixed` = (weights, output) writes the output; with a partner, a map like the
/// output, returns the products of panel and partner, summed over images, as [`Plan::backward_weights`] takes
/// them.
fn run(
    plan: &Plan,
    x: &[f32],
    mixed: Option<(&[f32], &mut [f32])>,
    partner: Option<&[f32]>,
) -> Vec<f32> {
    let s = &plan.shape;
    let g = s.geometry();
    let x_image = s.in_channels() * s.height * s.width;
    let y_image = s.out_channels() * g.out_height() * g.out_width();
    let batch = x.len() / x_image;
    let per_task = if partner.is_some() { panel::images_per_task(batch) } else { 1 };
    let (weights, outputs) = match mixed {
        Some((w, y)) => (Some(w), y.chunks_mut(per_task * y_image).map(Some).collect()),
        None => (None, (0..batch.div_ceil(per_task)).map(|_| None).collect::<Vec<_>>()),
    };
    let empty = || vec![0.0; partner.map_or(0, |_| s.in_features * plan.feature_sums())];
    let sums: Vec<Vec<f32>> = x
        .par_chunks(per_task * x_image)
        .zip(outputs)
        .enumerate()
        .map(|(task, (x, mut y))| {
            let mut sums = empty();
            for (i, x) in x.chunks_exact(x_image).enumerate() {
                let y = y.as_deref_mut().map(|y| &mut y[i * y_image..][..y_image]);
                let partner = partner.map(|p| &p[(task * per_task + i) * y_image..][..y_image]);
                let sums = &mut sums[..];
                panel::with_scratch(Scratch::len(plan), |scratch| {
                    Arch::new().dispatch(Pass { plan, x, weights, y, partner, sums, scratch });
                });
            }
            sums
        })
        .collect();
    let mut total = empty();
    for sums in &sums {
        total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
    }
    total
}

/// Input features expanded at once: fewer load and store sums more often, more overflow the second-level cache.
const FEATURES: usize = 8;

/// One task's working memory.
struct Scratch<'a> {
    /// The image's planes, transformed over orientations and padded: (feature, component, plane).
    padded: &'a mut [f32],
    /// One feature's numbers for a tile.
    panel: &'a mut [f32],
    work: &'a mut [f32],
    /// A group's responses to all functions.
    responses: &'a mut [f32],
    /// The products: (product, padded output feature, TILE).
    spectrum: &'a mut [f32],
    /// A tile of the partner: (orientation, TILE, padded output feature).
    pixels: &'a mut [f32],
    /// The same by product.
    right: &'a mut [f32],
}

impl<'a> Scratch<'a> {
    fn lengths(plan: &Plan) -> [usize; 7] {
        let s = &plan.shape;
        let (m, products) = (plan.functions.len(), plan.products.len());
        let columns = panel::padded_rows(s.out_features) * TILE;
        [
            plan.components * s.in_features * s.geometry().plane(),
            FEATURES * plan.panel_rows() * TILE,
            expand::work_len(s.kernel),
            2 * m * TILE,
            products * plan.product_rows() * TILE,
            s.orientations * columns,
            products * columns,
        ]
    }

    fn len(plan: &Plan) -> usize {
        Self::lengths(plan).iter().sum()
    }

    fn new(plan: &Plan, mut memory: &'a mut [f32]) -> Self {
        let [padded, panel, work, responses, spectrum, pixels, right] = Self::lengths(plan).map(|len| {
            let (part, rest) = std::mem::take(&mut memory).split_at_mut(len);
            memory = rest;
            part
        });
        Self { padded, panel, work, responses, spectrum, pixels, right }
    }
}

/// One image through the plan.
struct Pass<'a> {
    plan: &'a Plan,
    x: &'a [f32],
    weights: Option<&'a [f32]>,
    y: Option<&'a mut [f32]>,
    partner: Option<&'a [f32]>,
    sums: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, x, weights, mut y, partner, sums, scratch } = self;
        let mut scratch = Scratch::new(plan, scratch);
        let g = plan.shape.geometry();
        orientation::load(simd, plan, &g, x, scratch.padded);
        for tile in 0..g.tiles() {
            if let Some(partner) = partner {
                orientation::gather(simd, plan, &g, tile, partner, scratch.pixels, scratch.right);
            }
            let features = plan.shape.in_features;
            for first in (0..features).step_by(FEATURES) {
                let count = FEATURES.min(features - first);
                for f in 0..count {
                    fill_panel(simd, plan, &g, (tile, first + f), f, &mut scratch);
                }
                let weights = weights.map(|w| &w[first * plan.feature_weights()..]);
                let sums = partner.map(|_| &mut sums[first * plan.feature_sums()..]);
                use_panel(simd, plan, (count, first > 0), weights, sums, &mut scratch);
            }
            if let Some(y) = y.as_deref_mut() {
                orientation::store(simd, plan, &g, tile, scratch.spectrum, y);
            }
        }
    }
}

/// Expands a tile of one input feature.
#[inline(always)]
fn fill_panel<S: Simd>(simd: S, plan: &Plan, g: &Geometry, (tile, f): (usize, usize), at: usize, scratch: &mut Scratch) {
    let plane = g.plane();
    let panel = &mut scratch.panel[at * plan.panel_rows() * TILE..][..plan.panel_rows() * TILE];
    for group in &plan.groups {
        let planes = group.components.iter().map(|component| {
            let from = (f * plan.components + component) * plane + tile * TILE;
            scratch.padded[from..].as_ptr()
        });
        // SAFETY: planes have room for a tile at every tap (Geometry::plane); the plan's indices are within a group's
        // responses and a feature's panel.
        unsafe {
            let tables = (&plan.separable[..], &plan.polar[..]);
            expand::expand(simd, plan.shape.kernel, tables, planes, g.stride(), scratch.work, scratch.responses);
            for entry in &group.entries {
                write_number(simd, entry, scratch.responses.as_ptr(), panel.as_mut_ptr());
            }
        }
    }
}

/// Writes the panel rows of one number.
///
/// # Safety
/// The entry's indices must be those of rows of `responses` and `panel`.
#[inline(always)]
unsafe fn write_number<S: Simd>(simd: S, entry: &Entry, responses: *const f32, panel: *mut f32) {
    unsafe {
        let Some((imaginary, row)) = entry.imaginary else {
            return write_row(simd, entry.real.first, entry.real_row, responses, panel);
        };
        let rows = (entry.real_row, row);
        match (entry.real.second, imaginary.second, entry.sum) {
            (Some(real), Some(second), sum) => {
                let signs = (simd.splat_f32s(real.1), simd.splat_f32s(second.1));
                let value = |row: usize, v: usize| vector::<S>(responses, row, v);
                for v in 0..TILE / S::F32_LANES {
                    let a = simd.mul_add_e_f32s(signs.0, value(real.0, v), value(entry.real.first, v));
                    let b = simd.mul_add_e_f32s(signs.1, value(second.0, v), value(imaginary.first, v));
                    write_parts(simd, (a, b), rows, sum, panel, v);
                }
            }
            (_, _, sum) => {
                for v in 0..TILE / S::F32_LANES {
                    let a = vector::<S>(responses, entry.real.first, v);
                    let b = vector::<S>(responses, imaginary.first, v);
                    write_parts(simd, (a, b), rows, sum, panel, v);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn vector<S: Simd>(memory: *const f32, row: usize, v: usize) -> S::f32s {
    unsafe { memory.add(row * TILE).cast::<S::f32s>().add(v).read_unaligned() }
}

#[inline(always)]
unsafe fn write_row<S: Simd>(_: S, from: usize, row: usize, responses: *const f32, panel: *mut f32) {
    for v in 0..TILE / S::F32_LANES {
        unsafe {
            let value = vector::<S>(responses, from, v);
            panel.add(row * TILE).cast::<S::f32s>().add(v).write_unaligned(value);
        }
    }
}

/// Vector v of a number's real and imaginary part and, where wanted, of the sum for Gauss' trick.
#[inline(always)]
unsafe fn write_parts<S: Simd>(
    simd: S,
    (real, imaginary): (S::f32s, S::f32s),
    rows: (usize, usize),
    sum: Option<(usize, f32)>,
    panel: *mut f32,
    v: usize,
) {
    let store = |row: usize, value: S::f32s| unsafe {
        panel.add(row * TILE).cast::<S::f32s>().add(v).write_unaligned(value);
    };
    store(rows.0, real);
    store(rows.1, imaginary);
    if let Some((row, sign)) = sum {
        store(row, simd.mul_add_e_f32s(simd.splat_f32s(sign), imaginary, real));
    }
}

/// Adds input feature f's part of all products, and of their weights' gradients.
#[inline(always)]
fn use_panel<S: Simd>(
    simd: S,
    plan: &Plan,
    (features, add): (usize, bool),
    weights: Option<&[f32]>,
    mut sums: Option<&mut [f32]>,
    scratch: &mut Scratch,
) {
    let rows = plan.product_rows();
    let columns = panel::padded_rows(plan.shape.out_features);
    for (i, product) in plan.products.iter().enumerate() {
        let (start, depth) = (product.start, product.depth());
        let numbers = &scratch.panel[start * TILE..];
        let parts = Parts { count: features, panel: plan.panel_rows() * TILE, weights: plan.feature_weights() };
        if let Some(weights) = weights {
            let weights = &weights[start * rows..];
            let out = &mut scratch.spectrum[i * rows * TILE..][..rows * TILE];
            // SAFETY: the panel has `depth` rows.
            unsafe { panel::product(simd, weights, Contiguous(numbers.as_ptr()), depth, parts, out, add) };
        }
        if let Some(sums) = sums.as_deref_mut() {
            let right = &scratch.right[i * columns * TILE..][..columns * TILE];
            for f in 0..features {
                let sums = &mut sums[f * plan.feature_sums() + start * columns..][..depth * columns];
                let numbers = &numbers[f * parts.panel..];
                // SAFETY: as above.
                unsafe { panel::outer(simd, Contiguous(numbers.as_ptr()), right, columns, sums) };
            }
        }
    }
}
