//! A tile of the output's gradient on its way back to the basis functions of each input feature: into the Fourier domain over
//! orientations, then through the transposed weights.

use super::cpu::widen;
use super::orientation;
use super::plan::Plan;
use crate::ops::panel::{self, Contiguous, Geometry, Parts, ROWS, TILE};
use pulp::Simd;

/// For each input feature and product: rows are its numbers, depth the output features.
pub(super) fn transposed_weights(plan: &Plan, c: &[f32]) -> Vec<Vec<f32>> {
    let weights = plan.weights(&widen(c));
    weights
        .chunks_exact(plan.feature_weights())
        .flat_map(|weights| {
            plan.products.iter().map(|product| {
                panel::pack(product.depth(), plan.shape.out_features, |column, g| {
                    weights[plan.weight_index(product, column, g)]
                })
            })
        })
        .collect()
}

/// One tile of the output's gradient, carried back to the products.
#[inline(always)]
pub(super) fn analyse<S: Simd>(
    simd: S,
    plan: &Plan,
    g: &Geometry,
    tile: usize,
    dy: &[f32],
    spectrum: &mut [f32],
) {
    let features = plan.shape.out_features;
    let area = g.out_area();
    spectrum.fill(0.0);
    for segment in g.segments(tile) {
        for f in 0..features {
            // SAFETY: maps of all orientations and rows of all products follow at these steps.
            unsafe {
                let from = (dy.as_ptr().add(f * area + segment.output), features * area);
                let to = (
                    spectrum.as_mut_ptr().add(f * TILE + segment.at),
                    plan.product_rows() * TILE,
                );
                orientation::transform(
                    simd,
                    &plan.analysis,
                    from,
                    to,
                    segment.len,
                    orientation::Keep,
                );
            }
        }
    }
}

/// Gradients of one input feature's panel rows.
#[inline(always)]
pub(super) fn mix_back<S: Simd>(
    simd: S,
    plan: &Plan,
    weights: &[Vec<f32>],
    spectrum: &[f32],
    numbers: &mut [f32],
) {
    let step = plan.product_rows() * TILE;
    for ((product, weights), from) in plan
        .products
        .iter()
        .zip(weights)
        .zip(spectrum.chunks_exact(step))
    {
        // What is written beyond the product's rows is where the next ones go.
        let out =
            &mut numbers[product.start * TILE..][..product.depth().next_multiple_of(ROWS) * TILE];
        // SAFETY: the product has rows for all output features.
        unsafe {
            panel::product(
                simd,
                weights,
                Contiguous(from.as_ptr()),
                plan.shape.out_features,
                Parts::ONE,
                product.depth(),
                out,
                false,
            );
        }
    }
}
