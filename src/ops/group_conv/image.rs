//! Gradient at an image, one image at a time: mix backwards to the responses of each basis function, then correlate backwards.

use super::mix_back::{analyse, mix_back, transposed_weights};
use super::plan::Plan;
use crate::ops::basis::Basis;
use crate::ops::panel::{self, Geometry, ROWS, TILE};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Writes dx.
pub fn backward_image(plan: &Plan, basis: &Basis, c: &[f32], dy: &[f32], dx: &mut [f32]) {
    let s = &plan.shape;
    let weights = transposed_weights(plan, c);
    let g = plan.geometry();
    let scratch = plan.products.len() * plan.product_rows() * TILE
        + (plan.panel_rows() + ROWS) * TILE
        + basis.len() * s.in_features * g.plane()
        + (s.kernel + s.kernel * (s.kernel + 1) / 2) * g.plane()
        + g.plane();
    dx.par_chunks_exact_mut(s.in_features * s.height * s.width)
        .zip(dy.par_chunks_exact(s.out_channels() * g.out_height() * g.out_width()))
        .for_each(|(dx, dy)| {
            let weights = &weights[..];
            panel::with_scratch(scratch, |scratch| {
                Arch::new().dispatch(ImageGradient {
                    plan,
                    weights,
                    dy,
                    dx,
                    scratch,
                });
            });
        });
}

/// One image's gradient from its output's.
struct ImageGradient<'a> {
    plan: &'a Plan,
    weights: &'a [Vec<f32>],
    dy: &'a [f32],
    dx: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for ImageGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            weights,
            dy,
            dx,
            scratch,
        } = self;
        let s = &plan.shape;
        let g = plan.geometry();
        let (m, plane) = (plan.functions.len(), g.plane());
        let (spectrum, rest) =
            scratch.split_at_mut(plan.products.len() * plan.product_rows() * TILE);
        let (numbers, rest) = rest.split_at_mut((plan.panel_rows() + ROWS) * TILE);
        let (responses, rest) = rest.split_at_mut(m * s.in_features * plane);
        responses.fill(0.0);
        for tile in 0..g.tiles() {
            analyse(simd, plan, &g, tile, dy, spectrum);
            for (f, weights) in weights.chunks_exact(plan.products.len()).enumerate() {
                mix_back(simd, plan, weights, spectrum, numbers);
                for entry in &plan.groups[0].entries {
                    let sum = entry
                        .sum
                        .map(|(row, sign)| (&numbers[row * TILE..][..TILE], sign));
                    let mut add = |response: usize, row: usize, is_imaginary: bool| {
                        let to = &mut responses[(f * m + response) * plane + tile * TILE..][..TILE];
                        to.copy_from_slice(&numbers[row * TILE..][..TILE]);
                        if let Some((sum, sign)) = sum {
                            let weight = if is_imaginary { sign } else { 1.0 };
                            accumulate(simd, weight, sum, to);
                        }
                    };
                    add(entry.real.first, entry.real_row, false);
                    if let Some((imaginary, row)) = entry.imaginary {
                        add(imaginary.first, row, true);
                    }
                }
            }
        }
        correlate_back(simd, plan, &g, responses, rest, dx);
    }
}

/// The adjoint of the expansion in the basis.
#[inline(always)]
fn correlate_back<S: Simd>(
    simd: S,
    plan: &Plan,
    g: &Geometry,
    responses: &[f32],
    scratch: &mut [f32],
    dx: &mut [f32],
) {
    let s = &plan.shape;
    let (k, m, plane) = (s.kernel, plan.functions.len(), g.plane());
    let (vertical, rest) = scratch.split_at_mut(k * plane);
    let (products, padded) = rest.split_at_mut(k * (k + 1) / 2 * plane);
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
