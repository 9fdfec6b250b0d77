//! The orientation-Fourier form over pixel tiles: transform, expand into the panel, mix; and the same panel times
//! another map for the coefficients' gradient. One tile's panel stays in the core's own cache.

use super::expand::{self, REACH};
use super::plan::Plan;
use crate::ops::basis::Basis;
use crate::ops::panel::{self, Geometry, ROWS, TILE};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::f64::consts::TAU;

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

/// Gradient at an image: mix backwards to the responses of each basis function, then correlate backwards.
pub fn backward_image(plan: &Plan, basis: &Basis, c: &[f32], dy: &[f32], dx: &mut [f32]) {
    let s = &plan.shape;
    let weights: Vec<Vec<f32>> = plan
        .weights(&widen(c))
        .iter()
        .zip(&plan.blocks)
        .map(|(w, b)| {
            let (rows, depth) = (b.components.len() * s.out_features, b.columns.len() * s.in_features);
            panel::pack(depth, rows, |k, row| w[(row / ROWS * depth + k) * ROWS + row % ROWS])
        })
        .collect();
    let g = s.geometry();
    let scratch = spectrum_rows(plan) * TILE
        + s.orientations * 2 * TILE
        + (plan.panel_rows() + ROWS * plan.blocks.len()) * TILE
        + basis.len() * s.in_features * g.plane()
        + (s.kernel + s.kernel * (s.kernel + 1) / 2) * g.plane()
        + g.plane();
    dx.par_chunks_exact_mut(s.in_features * s.height * s.width)
        .zip(dy.par_chunks_exact(s.out_channels() * g.out_height() * g.out_width()))
        .for_each(|(dx, dy)| {
            let weights = &weights[..];
            panel::with_scratch(scratch, |scratch| {
                Arch::new().dispatch(ImageGradient { plan, weights, dy, dx, scratch });
            });
        });
}

fn widen(c: &[f32]) -> Vec<f64> {
    c.iter().map(|&c| f64::from(c)).collect()
}

fn add(to: &mut [f32], from: &[f64]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += from as f32;
    }
}

/// Coefficients of the adjoint layer: `C'[j, (d, g), f] = (-1)^rank(j) [R(phi_d) C[., (-d, f), g]]_j`.
fn transposed(adjoint: &Plan, basis: &Basis, c: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; c.len()];
    let mut block = vec![0.0; c.len() / adjoint.shape.orientations];
    for d in 0..adjoint.shape.orientations {
        visit_transposed(adjoint, basis, d, |_, there, i| block[i] = c[there]);
        let rotated = basis.rotate(&block, TAU * d as f64 / adjoint.shape.orientations as f64);
        visit_transposed(adjoint, basis, d, |here, _, i| {
            let sign = parity(basis, i * basis.len() / block.len());
            out[here] = sign * rotated[i];
        });
    }
    out
}

fn backward_transposed(adjoint: &Plan, basis: &Basis, gradient: &[f64], dc: &mut [f64]) {
    let mut block = vec![0.0; dc.len() / adjoint.shape.orientations];
    for d in 0..adjoint.shape.orientations {
        let n = block.len();
        visit_transposed(adjoint, basis, d, |here, _, i| {
            block[i] = parity(basis, i * basis.len() / n) * gradient[here];
        });
        let back = basis.rotate(&block, -TAU * d as f64 / adjoint.shape.orientations as f64);
        visit_transposed(adjoint, basis, d, |_, there, i| dc[there] += back[i]);
    }
}

fn parity(basis: &Basis, j: usize) -> f64 {
    if basis.functions[j].rank % 2 == 0 { 1.0 } else { -1.0 }
}

/// Index pairs (in the adjoint's coefficients, in the layer's own) for relative orientation d, with a running index
/// (j, g, f).
fn visit_transposed(
    adjoint: &Plan,
    basis: &Basis,
    d: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let o = adjoint.shape.orientations;
    let (n_g, n_f) = (adjoint.shape.in_features, adjoint.shape.out_features);
    let mut i = 0;
    for j in 0..basis.len() {
        for g in 0..n_g {
            for f in 0..n_f {
                let here = ((j * o + d) * n_g + g) * n_f + f;
                let there = ((j * o + (o - d) % o) * n_f + f) * n_g + g;
                visit(here, there, i);
                i += 1;
            }
        }
    }
}

fn mix(plan: &Plan, x: &[f32], c: &[f64], y: &mut [f32]) {
    let weights = plan.weights(c);
    run(plan, x, Some((&weights, y)), None);
}

/// Rows of all blocks' outputs, each block padded to whole row blocks.
fn spectrum_rows(plan: &Plan) -> usize {
    plan.blocks
        .iter()
        .map(|b| (b.components.len() * plan.shape.out_features).next_multiple_of(ROWS))
        .sum()
}

fn scratch_len(plan: &Plan) -> usize {
    let s = &plan.shape;
    plan.components * s.in_features * s.geometry().plane()
        + plan.panel_rows() * TILE
        + s.kernel * REACH
        + 2 * plan.functions.len() * TILE
        + spectrum_rows(plan) * TILE
        + 2 * s.orientations * TILE
        + TILE * panel::padded_rows(2 * s.out_features)* plan.blocks.len()
}

/// Passes every image through the plan: `mixed` = (weights, output) writes the output; with a partner, a map like the
/// output, returns for each block the products (depth, padded rows) of panel and partner, summed over images.
fn run(
    plan: &Plan,
    x: &[f32],
    mixed: Option<(&[Vec<f32>], &mut [f32])>,
    partner: Option<&[f32]>,
) -> Vec<Vec<f32>> {
    let s = &plan.shape;
    let g = s.geometry();
    let x_image = s.in_channels() * s.height * s.width;
    let y_image = s.out_channels() * g.out_height() * g.out_width();
    let batch = x.len() / x_image;
    let per_task = if partner.is_some() { panel::images_per_task(batch) } else { 1 };
    let len = scratch_len(plan);
    let (weights, outputs) = match mixed {
        Some((w, y)) => (Some(w), y.chunks_mut(per_task * y_image).map(Some).collect()),
        None => (None, (0..batch.div_ceil(per_task)).map(|_| None).collect::<Vec<_>>()),
    };
    let sums: Vec<Vec<Vec<f32>>> = x
        .par_chunks(per_task * x_image)
        .zip(outputs)
        .enumerate()
        .map(|(task, (x, mut y))| {
            let mut sums = partner.map_or_else(Vec::new, |_| empty_sums(plan));
            for (i, x) in x.chunks_exact(x_image).enumerate() {
                let y = y.as_deref_mut().map(|y| &mut y[i * y_image..][..y_image]);
                let partner = partner.map(|p| &p[(task * per_task + i) * y_image..][..y_image]);
                let sums = &mut sums[..];
                panel::with_scratch(len, |scratch| {
                    Arch::new().dispatch(Pass { plan, x, weights, y, partner, sums, scratch });
                });
            }
            sums
        })
        .collect();
    let mut total = partner.map_or_else(Vec::new, |_| empty_sums(plan));
    for sums in &sums {
        for (total, sums) in total.iter_mut().zip(sums) {
            total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        }
    }
    total
}

fn empty_sums(plan: &Plan) -> Vec<Vec<f32>> {
    let s = &plan.shape;
    plan.blocks
        .iter()
        .map(|b| {
            let rows = panel::padded_rows(b.components.len() * s.out_features);
            vec![0.0; b.columns.len() * s.in_features * rows]
        })
        .collect()
}

/// One image through the plan.
struct Pass<'a> {
    plan: &'a Plan,
    x: &'a [f32],
    weights: Option<&'a [Vec<f32>]>,
    y: Option<&'a mut [f32]>,
    partner: Option<&'a [f32]>,
    sums: &'a mut [Vec<f32>],
    scratch: &'a mut [f32],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, x, weights, mut y, partner, sums, scratch } = self;
        let s = &plan.shape;
        let g = s.geometry();
        let plane = g.plane();
        let m = plan.functions.len();
        let (padded, rest) = scratch.split_at_mut(plan.components * s.in_features * plane);
        let (panel_memory, rest) = rest.split_at_mut(plan.panel_rows() * TILE);
        let (vertical, rest) = rest.split_at_mut(s.kernel * REACH);
        let (responses, rest) = rest.split_at_mut(2 * m * TILE);
        let (spectrum, rest) = rest.split_at_mut(spectrum_rows(plan) * TILE);
        let (tile_map, right) = rest.split_at_mut(2 * s.orientations * TILE);
        load_transformed(simd, plan, &g, x, padded);
        let widest = plan.blocks.iter().map(|b| b.columns.len()).max().unwrap_or(0) * s.in_features;
        let offsets: Vec<usize> = (0..widest).map(|k| k * TILE).collect();
        for tile in 0..g.tiles() {
            for f in 0..s.in_features {
                for (members, entries) in &plan.groups {
                    for (&component, out) in members.iter().zip(responses.chunks_exact_mut(m * TILE)) {
                        let from = (f * plan.components + component) * plane + tile * TILE;
                        // SAFETY: planes have room for a tile at every tap (Geometry::plane).
                        unsafe {
                            expand::expand(
                                simd,
                                s.kernel,
                                (&plan.separable, &plan.polar),
                                padded.as_ptr().add(from),
                                g.stride(),
                                vertical,
                                out,
                            );
                        }
                    }
                    for entry in entries {
                        let block = &plan.blocks[entry.block];
                        let row = block.start + f * block.columns.len() + entry.column;
                        let place = |component: usize, function: usize| {
                            (usize::from(component != members[0]) * m + function) * TILE
                        };
                        let first = place(entry.first.component, entry.first.function);
                        let second = entry
                            .second
                            .map(|t| (place(t.component, t.function), t.sign));
                        column(simd, responses, first, second, &mut panel_memory[row * TILE..][..TILE]);
                    }
                }
            }
            if let (Some(weights), Some(y)) = (weights, y.as_deref_mut()) {
                let mut at = 0;
                for (block, w) in plan.blocks.iter().zip(weights) {
                    let depth = block.columns.len() * s.in_features;
                    let rows = (block.components.len() * s.out_features).next_multiple_of(ROWS);
                    // SAFETY: the block's panel rows start at block.start and are `depth` many.
                    unsafe {
                        let from = panel_memory.as_ptr().add(block.start * TILE);
                        let out = &mut spectrum[at * TILE..][..rows * TILE];
                        panel::product(simd, w, &offsets[..depth], from, out);
                    }
                    at += rows;
                }
                store_synthesised(simd, plan, &g, tile, spectrum, tile_map, y);
            }
            if let Some(partner) = partner {
                gather_partner(simd, plan, &g, tile, partner, tile_map, right);
                let mut at = 0;
                for (block, sums) in plan.blocks.iter().zip(sums.iter_mut()) {
                    let depth = block.columns.len() * s.in_features;
                    let rows = panel::padded_rows(block.components.len() * s.out_features);
                    // SAFETY: as above.
                    unsafe {
                        let from = panel_memory.as_ptr().add(block.start * TILE);
                        let right = &right[at * TILE..][..rows * TILE];
                        panel::outer(simd, from, &offsets[..depth], right, sums);
                    }
                    at += rows;
                }
            }
        }
    }
}

/// One panel row: a response, or the sum or difference of two.
#[inline(always)]
fn column<S: Simd>(
    simd: S,
    responses: &[f32],
    first: usize,
    second: Option<(usize, f32)>,
    out: &mut [f32],
) {
    let (out, _) = S::as_mut_simd_f32s(out);
    let (a, _) = S::as_simd_f32s(&responses[first..][..TILE]);
    match second {
        None => out.copy_from_slice(a),
        Some((second, sign)) => {
            let (b, _) = S::as_simd_f32s(&responses[second..][..TILE]);
            if sign > 0.0 {
                for i in 0..out.len() {
                    out[i] = simd.add_f32s(a[i], b[i]);
                }
            } else {
                for i in 0..out.len() {
                    out[i] = simd.sub_f32s(a[i], b[i]);
                }
            }
        }
    }
}

/// Pads the image's planes, transformed over orientations: (feature, component, plane).
#[inline(always)]
fn load_transformed<S: Simd>(simd: S, plan: &Plan, g: &Geometry, x: &[f32], padded: &mut [f32]) {
    let (n, features) = (plan.components, plan.shape.in_features);
    let (area, plane) = (g.height * g.width, g.plane());
    padded.fill(0.0);
    for f in 0..features {
        for row in 0..g.height {
            let to = f * n * plane + (row + g.padding) * g.stride() + g.padding;
            let from = f * area + row * g.width;
            if n == 1 {
                padded[to..to + g.width].copy_from_slice(&x[from..from + g.width]);
                continue;
            }
            // SAFETY: n planes of the image and n padded planes follow at these steps.
            unsafe {
                let from = (x.as_ptr().add(from), features * area);
                let to = (padded.as_mut_ptr().add(to), plane);
                transform(simd, n, (&plan.transform, n, 1), from, to, g.width);
            }
        }
    }
}

/// `to[r to_step + i] = sum_s matrix[r row + s column] from[s from_step + i]`, i < len, for n rows r of n terms s.
///
/// # Safety
/// `from` and `to` must hold n rows of `len` at their steps.
#[inline(always)]
unsafe fn transform<S: Simd>(
    simd: S,
    n: usize,
    (matrix, row, column): (&[f32], usize, usize),
    (from, from_step): (*const f32, usize),
    (to, to_step): (*mut f32, usize),
    len: usize,
) {
    const ROWS_AT_ONCE: usize = 4;
    debug_assert_eq!(matrix.len(), n * n);
    let weight = |r: usize, s: usize| unsafe { *matrix.get_unchecked(r * row + s * column) };
    unsafe {
        let mut i = 0;
        while i + S::F32_LANES <= len {
            let mut r = 0;
            while r < n {
                let rows = ROWS_AT_ONCE.min(n - r);
                let mut sums = [simd.splat_f32s(0.0); ROWS_AT_ONCE];
                for s in 0..n {
                    let v = from.add(s * from_step + i).cast::<S::f32s>().read_unaligned();
                    for (k, sum) in sums.iter_mut().enumerate() {
                        // Past the last row: any weight will do, the sum is not stored.
                        let w = simd.splat_f32s(weight((r + k).min(n - 1), s));
                        *sum = simd.mul_add_e_f32s(w, v, *sum);
                    }
                }
                for (k, &sum) in sums.iter().enumerate().take(rows) {
                    to.add((r + k) * to_step + i).cast::<S::f32s>().write_unaligned(sum);
                }
                r += ROWS_AT_ONCE;
            }
            i += S::F32_LANES;
        }
        while i < len {
            for r in 0..n {
                let mut sum = 0.0;
                for s in 0..n {
                    sum += weight(r, s) * *from.add(s * from_step + i);
                }
                *to.add(r * to_step + i) = sum;
            }
            i += 1;
        }
    }
}

/// Inverse transform of one tile's spectrum into the output's valid pixels.
#[inline(always)]
fn store_synthesised<S: Simd>(
    simd: S,
    plan: &Plan,
    g: &Geometry,
    tile: usize,
    spectrum: &[f32],
    maps: &mut [f32],
    y: &mut [f32],
) {
    let (o, features) = (plan.shape.orientations, plan.shape.out_features);
    let area = g.out_height() * g.out_width();
    let rows = component_rows(plan, ROWS);
    let (spectra, maps) = maps.split_at_mut(o * TILE);
    for f in 0..features {
        for (c, &row) in rows.iter().enumerate() {
            spectra[c * TILE..][..TILE].copy_from_slice(&spectrum[(row + f) * TILE..][..TILE]);
        }
        // SAFETY: both hold o rows of TILE.
        unsafe {
            let (from, to) = ((spectra.as_ptr(), TILE), (maps.as_mut_ptr(), TILE));
            transform(simd, o, (&plan.transform, 1, o), from, to, TILE);
        }
        for segment in g.segments(tile) {
            for q in 0..o {
                y[(q * features + f) * area + segment.output..][..segment.len]
                    .copy_from_slice(&maps[q * TILE + segment.at..][..segment.len]);
            }
        }
    }
}

/// First spectrum row of each packed component, blocks padded to a multiple of `multiple` rows.
fn component_rows(plan: &Plan, multiple: usize) -> Vec<usize> {
    let features = plan.shape.out_features;
    let mut rows = vec![0; plan.shape.orientations];
    let mut at = 0;
    for block in &plan.blocks {
        for (part, &component) in block.components.iter().enumerate() {
            rows[component] = at + part * features;
        }
        at += (block.components.len() * features).next_multiple_of(multiple);
    }
    rows
}

/// One tile of the partner, transformed over orientations, pixels outermost: for each block (TILE, padded rows).
#[inline(always)]
fn gather_partner<S: Simd>(
    simd: S,
    plan: &Plan,
    g: &Geometry,
    tile: usize,
    partner: &[f32],
    maps: &mut [f32],
    right: &mut [f32],
) {
    let (o, features) = (plan.shape.orientations, plan.shape.out_features);
    let area = g.out_height() * g.out_width();
    let (maps, transformed) = maps.split_at_mut(o * TILE);
    right.fill(0.0);
    for f in 0..features {
        maps.fill(0.0);
        for segment in g.segments(tile) {
            for q in 0..o {
                maps[q * TILE + segment.at..][..segment.len].copy_from_slice(
                    &partner[(q * features + f) * area + segment.output..][..segment.len],
                );
            }
        }
        // SAFETY: both hold o rows of TILE.
        unsafe {
            let (from, to) = ((maps.as_ptr(), TILE), (transformed.as_mut_ptr(), TILE));
            transform(simd, o, (&plan.transform, o, 1), from, to, TILE);
        }
        let mut start = 0;
        for block in &plan.blocks {
            let rows = panel::padded_rows(block.components.len() * features);
            for (part, &c) in block.components.iter().enumerate() {
                let to = &mut right[start * TILE..][..rows * TILE];
                let from = &transformed[c * TILE..][..TILE];
                for (to, &v) in to.chunks_exact_mut(rows).zip(from) {
                    to[part * features + f] = v;
                }
            }
            start += rows;
        }
    }
}

/// One image's gradient from its output's.
struct ImageGradient<'a> {
    plan: &'a Plan,
    /// Rows (f, column), depth (part, g).
    weights: &'a [Vec<f32>],
    dy: &'a [f32],
    dx: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for ImageGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, weights, dy, dx, scratch } = self;
        let s = &plan.shape;
        let g = s.geometry();
        let (k, m, plane) = (s.kernel, plan.functions.len(), g.plane());
        let (o, features) = (s.orientations, s.out_features);
        let area = g.out_height() * g.out_width();
        let (spectrum, rest) = scratch.split_at_mut(spectrum_rows(plan) * TILE);
        let (maps, rest) = rest.split_at_mut(o * 2 * TILE);
        let (columns, rest) = rest.split_at_mut((plan.panel_rows() + ROWS * plan.blocks.len()) * TILE);
        let (responses, rest) = rest.split_at_mut(m * s.in_features * plane);
        let (vertical, padded) = rest.split_at_mut((k + k * (k + 1) / 2) * plane);
        let (vertical, products) = vertical.split_at_mut(k * plane);
        let rows = component_rows(plan, ROWS);
        let offsets: Vec<usize> = (0..2 * features).map(|r| r * TILE).collect();
        responses.fill(0.0);
        for tile in 0..g.tiles() {
            for f in 0..features {
                let (maps, transformed) = maps.split_at_mut(o * TILE);
                maps.fill(0.0);
                for segment in g.segments(tile) {
                    for q in 0..o {
                        maps[q * TILE + segment.at..][..segment.len].copy_from_slice(
                            &dy[(q * features + f) * area + segment.output..][..segment.len],
                        );
                    }
                }
                // SAFETY: both hold o rows of TILE.
                unsafe {
                    let (from, to) = ((maps.as_ptr(), TILE), (transformed.as_mut_ptr(), TILE));
                    transform(simd, o, (&plan.transform, o, 1), from, to, TILE);
                }
                for (c, &row) in rows.iter().enumerate() {
                    spectrum[(row + f) * TILE..][..TILE]
                        .copy_from_slice(&transformed[c * TILE..][..TILE]);
                }
            }
            let mut at = 0;
            for (block, w) in plan.blocks.iter().zip(weights) {
                let n = block.columns.len();
                let (depth, out_rows) = (
                    block.components.len() * features,
                    (n * s.in_features).next_multiple_of(ROWS),
                );
                let out = &mut columns[..out_rows * TILE];
                // SAFETY: the block's spectrum rows start at `at` and are `depth` many.
                unsafe {
                    let from = spectrum.as_ptr().add(at * TILE);
                    panel::product(simd, w, &offsets[..depth], from, out);
                }
                for f in 0..s.in_features {
                    for (i, column) in block.columns.iter().enumerate() {
                        let to = (f * m + column.first.function) * plane + tile * TILE;
                        responses[to..to + TILE].copy_from_slice(&out[(f * n + i) * TILE..][..TILE]);
                    }
                }
                at += depth.next_multiple_of(ROWS);
            }
        }
        let len = g.tiles() * TILE;
        for f in 0..s.in_features {
            products.fill(0.0);
            vertical.fill(0.0);
            padded.fill(0.0);
            for (j, &(rank, sine)) in plan.functions.iter().enumerate() {
                let from = &responses[(f * m + j) * plane..][..len];
                for a in (usize::from(sine)..=rank).step_by(2) {
                    let to = &mut products[(rank * (rank + 1) / 2 + a) * plane..][..len];
                    accumulate(simd, plan.polar[j * k + a], from, to);
                }
            }
            for rank in 0..k {
                for a in 0..=rank {
                    let from = &products[(rank * (rank + 1) / 2 + a) * plane..][..len];
                    for t in 0..k {
                        let to = &mut vertical[a * plane + t..][..len];
                        accumulate(simd, plan.separable[(rank - a) * k + t], from, to);
                    }
                }
            }
            for a in 0..k {
                let from = &vertical[a * plane..][..len + k - 1];
                for t in 0..k {
                    let to = &mut padded[t * g.stride()..][..len + k - 1];
                    accumulate(simd, plan.separable[a * k + t], from, to);
                }
            }
            for (row, out) in dx[f * g.height * g.width..][..g.height * g.width]
                .chunks_exact_mut(g.width)
                .enumerate()
            {
                let at = (row + g.padding) * g.stride() + g.padding;
                out.copy_from_slice(&padded[at..at + g.width]);
            }
        }
    }
}

/// `to += weight from`.
#[inline(always)]
fn accumulate<S: Simd>(simd: S, weight: f32, from: &[f32], to: &mut [f32]) {
    let w = simd.splat_f32s(weight);
    let (from_body, from_tail) = S::as_simd_f32s(from);
    let (to_body, to_tail) = S::as_mut_simd_f32s(to);
    for i in 0..to_body.len() {
        to_body[i] = simd.mul_add_e_f32s(w, from_body[i], to_body[i]);
    }
    for i in 0..to_tail.len() {
        to_tail[i] += weight * from_tail[i];
    }
}
