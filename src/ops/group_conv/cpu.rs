//! The orientation-Fourier form over pixel tiles: transform, expand into the panel, mix; and the same panel times
//! another map for the coefficients' gradient. The panel, of a few input features at a time, stays in the core's
//! own cache.

use super::adjoint::{backward_transposed, transposed};
use super::numbers::write_number;
use super::orientation::Epilogue;
use super::plan::Plan;
use super::{expand, orientation};
use crate::ops::basis::Basis;
use crate::ops::panel::{self, Contiguous, Geometry, Parts, Shared, TILE};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub fn forward(plan: &Plan, x: &[f32], weights: &[f32], epilogue: Epilogue, y: &mut [f32]) {
    match plan.lanes {
        1 => drop(run(plan, x, Some((weights, epilogue, y)), None)),
        _ => forward_interleaved(plan, x, (weights, epilogue), y),
    }
}

/// How many parts each block of interleaved images is cut into, so that no thread waits.
pub fn parts(blocks: usize, most: usize) -> usize {
    let threads = rayon::current_num_threads();
    threads.div_ceil(blocks.max(1)).clamp(1, most)
}

/// A task takes some rows of the output of L images.
fn forward_interleaved(plan: &Plan, x: &[f32], weights: (&[f32], Epilogue), y: &mut [f32]) {
    let (s, g) = (&plan.shape, plan.geometry());
    let x_block = s.in_channels() * g.area();
    let y_block = s.out_channels() * g.out_area();
    let (blocks, rows) = (x.len() / x_block, g.out_height());
    assert_eq!((x.len(), y.len()), (blocks * x_block, blocks * y_block));
    let parts = parts(blocks, rows);
    let y = Shared(y.as_mut_ptr());
    (0..blocks * parts).into_par_iter().for_each(|task| {
        let (block, part) = (task / parts, task % parts);
        // Rows are whole tiles.
        let first = |part: usize| part * rows / parts * g.stride() / TILE;
        panel::with_scratch(Scratch::len(plan), |scratch| {
            Arch::new().dispatch(Pass {
                plan,
                tiles: (first(part), first(part + 1).min(g.tiles())),
                x: &x[block * x_block..][..x_block],
                weights: Some(weights),
                // SAFETY: y has so many blocks.
                y: Some(unsafe { y.at(block * y_block) }),
                partner: None,
                sums: &mut [],
                scratch,
            });
        });
    });
}

pub fn backward_input(adjoint: &Plan, basis: &Basis, c: &[f32], dy: &[f32], dx: &mut [f32]) {
    let weights = adjoint.weights(&transposed(adjoint, basis, &widen(c)));
    run(adjoint, dy, Some((&weights, None, dx)), None);
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
    let sums = run(adjoint, dy, Some((&weights, None, dx)), Some(x));
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

/// Passes every image through the plan: `mixed` = (weights, epilogue, output) writes the output; with a partner, a map like the
/// output, returns the products of panel and partner, summed over images, as [`Plan::backward_weights`] takes
/// them.
fn run(
    plan: &Plan,
    x: &[f32],
    mixed: Option<(&[f32], Epilogue, &mut [f32])>,
    partner: Option<&[f32]>,
) -> Vec<f32> {
    let s = &plan.shape;
    let g = plan.geometry();
    let x_image = s.in_channels() * g.area();
    let y_image = s.out_channels() * g.out_area();
    let batch = x.len() / x_image;
    let per_task = if partner.is_some() {
        panel::images_per_task(batch)
    } else {
        1
    };
    let (weights, outputs) = match mixed {
        Some((w, epilogue, y)) => (
            Some((w, epilogue)),
            y.chunks_mut(per_task * y_image).map(Some).collect(),
        ),
        None => (
            None,
            (0..batch.div_ceil(per_task))
                .map(|_| None)
                .collect::<Vec<_>>(),
        ),
    };
    let empty = || vec![0.0; partner.map_or(0, |_| s.in_features * plan.feature_sums())];
    let sums: Vec<Vec<f32>> = x
        .par_chunks(per_task * x_image)
        .zip(outputs)
        .enumerate()
        .map(|(task, (x, mut y))| {
            let mut sums = empty();
            for (i, x) in x.chunks_exact(x_image).enumerate() {
                let y = y
                    .as_deref_mut()
                    .map(|y| y[i * y_image..][..y_image].as_mut_ptr());
                let partner = partner.map(|p| &p[(task * per_task + i) * y_image..][..y_image]);
                let sums = &mut sums[..];
                panel::with_scratch(Scratch::len(plan), |scratch| {
                    Arch::new().dispatch(Pass {
                        plan,
                        tiles: (0, g.tiles()),
                        x,
                        weights,
                        y,
                        partner,
                        sums,
                        scratch,
                    });
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

/// Floats of the panel: fewer load and store the sums more often, more overflow the second-level cache.
const PANEL: usize = 1 << 16;

/// Input features expanded at once.
fn features_at_once(plan: &Plan) -> usize {
    (PANEL / (plan.panel_rows() * TILE)).clamp(1, plan.shape.in_features)
}

/// One task's working memory.
struct Scratch<'a> {
    /// The image's planes, transformed over orientations and padded: (feature, component, plane).
    padded: &'a mut [f32],
    /// Some input features' numbers for a tile.
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
            plan.components * s.in_features * plan.geometry().plane(),
            features_at_once(plan) * plan.panel_rows() * TILE,
            expand::work_len(s.kernel, plan.lanes),
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
        let [padded, panel, work, responses, spectrum, pixels, right] =
            Self::lengths(plan).map(|len| {
                let (part, rest) = std::mem::take(&mut memory).split_at_mut(len);
                memory = rest;
                part
            });
        Self {
            padded,
            panel,
            work,
            responses,
            spectrum,
            pixels,
            right,
        }
    }
}

/// One image through the plan, or L that are interleaved.
struct Pass<'a> {
    plan: &'a Plan,
    /// First tile, and the one after the last.
    tiles: (usize, usize),
    x: &'a [f32],
    weights: Option<(&'a [f32], Epilogue<'a>)>,
    /// The output of all tiles.
    y: Option<*mut f32>,
    partner: Option<&'a [f32]>,
    sums: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            tiles,
            x,
            weights,
            y,
            partner,
            sums,
            scratch,
        } = self;
        let mut scratch = Scratch::new(plan, scratch);
        let g = plan.geometry();
        orientation::load(simd, plan, &g, x, scratch.padded);
        for tile in g.used_tiles(tiles) {
            if let Some(partner) = partner {
                orientation::gather(simd, plan, &g, tile, partner, scratch.pixels, scratch.right);
            }
            let features = plan.shape.in_features;
            for first in (0..features).step_by(features_at_once(plan)) {
                let count = features_at_once(plan).min(features - first);
                for f in 0..count {
                    fill_panel(simd, plan, &g, (tile, first + f), f, &mut scratch);
                }
                let weights = weights.map(|(w, _)| &w[first * plan.feature_weights()..]);
                let sums = partner.map(|_| &mut sums[first * plan.feature_sums()..]);
                use_panel(simd, plan, (count, first > 0), weights, sums, &mut scratch);
            }
            if let (Some((_, epilogue)), Some(y)) = (weights, y) {
                // SAFETY: whoever makes a pass gives it an image's output.
                unsafe {
                    orientation::store(simd, plan, (&g, tile), scratch.spectrum, epilogue, y);
                }
            }
        }
    }
}

/// Expands a tile of input feature f into the panel's place `at`.
#[inline(always)]
fn fill_panel<S: Simd>(
    simd: S,
    plan: &Plan,
    g: &Geometry,
    (tile, f): (usize, usize),
    at: usize,
    scratch: &mut Scratch,
) {
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
            expand::expand(
                simd,
                plan.shape.kernel,
                tables,
                planes,
                (g.stride(), g.lanes),
                scratch.work,
                scratch.responses,
            );
            for entry in &group.entries {
                write_number(simd, entry, scratch.responses.as_ptr(), panel.as_mut_ptr());
            }
        }
    }
}

/// The panel's input features' part of all products, added to what others gave, and of their weights' gradients.
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
        let parts = Parts {
            count: features,
            panel: plan.panel_rows() * TILE,
            weights: plan.feature_weights(),
        };
        if let Some(weights) = weights {
            let weights = &weights[start * rows..];
            let out = &mut scratch.spectrum[i * rows * TILE..][..rows * TILE];
            // SAFETY: the panel has `depth` rows.
            unsafe {
                panel::product(
                    simd,
                    weights,
                    Contiguous(numbers.as_ptr()),
                    depth,
                    parts,
                    plan.shape.out_features,
                    out,
                    add,
                )
            };
        }
        if let Some(sums) = sums.as_deref_mut() {
            let right = &scratch.right[i * columns * TILE..][..columns * TILE];
            for f in 0..features {
                let sums =
                    &mut sums[f * plan.feature_sums() + start * columns..][..depth * columns];
                let numbers = &numbers[f * parts.panel..];
                // SAFETY: as above.
                unsafe { panel::outer(simd, Contiguous(numbers.as_ptr()), right, columns, sums) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, Shape};
    use super::*;

    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    /// The output and the weights' gradients of one image, run by `run`.
    fn outcome(layer: &Layer, run: impl FnOnce(Pass)) -> (Vec<f32>, Vec<f32>) {
        let (plan, s) = (&layer.forward, layer.shape());
        let (x, _, y) = s.direct().lengths();
        let weights = plan.weights(&widen(&values(s.coefficients())));
        let (x, partner, mut y) = (values(x), values(y), vec![0.0; y]);
        let mut sums = vec![0.0; s.in_features * plan.feature_sums()];
        let mut scratch = vec![f32::NAN; Scratch::len(plan)];
        run(Pass {
            plan,
            tiles: (0, plan.geometry().tiles()),
            x: &x,
            weights: Some((&weights, None)),
            y: Some(y.as_mut_ptr()),
            partner: Some(&partner),
            sums: &mut sums,
            scratch: &mut scratch,
        });
        (y, sums)
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        let size = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-5 * size, "{a} is not {b}");
        }
    }

    #[test]
    fn all_instruction_sets_agree() {
        for (kernel, oriented_input) in [(5, true), (7, true), (9, false)] {
            let layer = Layer::new(
                &crate::device::Device::Cpu,
                Shape {
                    batch: 1,
                    orientations: 8,
                    in_features: 3,
                    out_features: 18,
                    oriented_input,
                    height: 11,
                    width: 17,
                    kernel,
                    padding: kernel / 2,
                },
            );
            let expected = outcome(&layer, |pass| Simd::vectorize(pulp::Scalar::new(), pass));
            let widest = outcome(&layer, |pass| Arch::new().dispatch(pass));
            assert_close(&widest.0, &expected.0);
            assert_close(&widest.1, &expected.1);
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                let narrower = outcome(&layer, |pass| Simd::vectorize(simd, pass));
                assert_close(&narrower.0, &expected.0);
                assert_close(&narrower.1, &expected.1);
            }
        }
    }
}
