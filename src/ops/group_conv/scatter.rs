//! Gradient at the input of interleaved images, tile by tile: each tile of the output's gradient is mixed back to the numbers
//! of its panel, these to the responses, and what each response means is added to the pixels that it was made of. The
//! adjoint layer (`adjoint.rs`) would do the same over all pixels of the input, of which small images have many more than
//! of the output.

use super::contract;
use super::cpu::parts;
use super::frequency::Matrix;
use super::mix_back::{analyse, mix_back};
use super::orientation::{self, Keep};
use super::plan::{Entry, Group, Plan};
use crate::ops::panel::{self, ROWS, Shared, TILE};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Writes dx, with [`super::mix_back::transposed_weights`]. A task takes some features of the input of L images.
pub fn backward_input(plan: &Plan, weights: &[Vec<f32>], dy: &[f32], dx: &mut [f32]) {
    let (s, g) = (&plan.shape, plan.geometry());
    let n = plan.components;
    let inverse = Matrix::new(n, n, |s, c| plan.transform.value(c, s));
    let of_group = |group| terms(group, plan.functions.len());
    let terms: Vec<_> = plan.groups.iter().map(of_group).collect();
    let (x_block, y_block) = (s.in_channels() * g.area(), s.out_channels() * g.out_area());
    let (blocks, features) = (dy.len() / y_block, s.in_features);
    assert_eq!((dx.len(), dy.len()), (blocks * x_block, blocks * y_block));
    let parts = parts(blocks, features);
    let dx = Shared(dx.as_mut_ptr());
    (0..blocks * parts).into_par_iter().for_each(|task| {
        let (block, part) = (task / parts, task % parts);
        let first = |part: usize| part * features / parts;
        let features = (first(part), first(part + 1));
        let scratch = lengths(plan, features.1 - features.0).iter().sum();
        panel::with_scratch(scratch, |scratch| {
            Arch::new().dispatch(Scatter {
                plan,
                features,
                weights,
                inverse: &inverse,
                terms: &terms,
                dy: &dy[block * y_block..][..y_block],
                // SAFETY: dx has so many blocks.
                dx: unsafe { dx.at(block * x_block) },
                scratch,
            });
        });
    });
}

/// Of the features' planes, the products, the numbers, the responses and what carries these back.
fn lengths(plan: &Plan, features: usize) -> [usize; 5] {
    [
        plan.components * features * plan.geometry().plane(),
        plan.products.len() * plan.product_rows() * TILE,
        (plan.panel_rows() + ROWS) * TILE,
        2 * plan.functions.len() * TILE,
        contract::work_len(plan.shape.kernel, plan.lanes),
    ]
}

/// The gradient of interleaved images from their output's.
struct Scatter<'a> {
    plan: &'a Plan,
    /// First input feature, and the one after the last.
    features: (usize, usize),
    weights: &'a [Vec<f32>],
    /// Components to orientations.
    inverse: &'a Matrix,
    /// By group.
    terms: &'a [Vec<Vec<(usize, f32)>>],
    dy: &'a [f32],
    /// The gradient of all features.
    dx: *mut f32,
    scratch: &'a mut [f32],
}

impl WithSimd for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (plan, g) = (self.plan, self.plan.geometry());
        let ((first, last), m) = (self.features, plan.functions.len());
        let [planes, products, numbers, responses, _] = lengths(plan, last - first);
        let (planes, rest) = self.scratch.split_at_mut(planes);
        let (spectrum, rest) = rest.split_at_mut(products);
        let (numbers, rest) = rest.split_at_mut(numbers);
        let (responses, work) = rest.split_at_mut(responses);
        planes.fill(0.0);
        for tile in g.used_tiles((0, g.tiles())) {
            analyse(simd, plan, &g, tile, self.dy, spectrum);
            let weights = self.weights.chunks_exact(plan.products.len());
            for (f, weights) in weights.skip(first).take(last - first).enumerate() {
                mix_back(simd, plan, weights, spectrum, numbers);
                for (group, terms) in plan.groups.iter().zip(self.terms) {
                    let responses = &mut responses[..group.components.len() * m * TILE];
                    // SAFETY: the plan's indices are within a group's responses and a feature's panel.
                    unsafe {
                        split_sums(simd, &group.entries, numbers.as_mut_ptr());
                        gather(simd, terms, numbers.as_ptr(), responses.as_mut_ptr());
                    }
                    for (component, responses) in group
                        .components
                        .iter()
                        .zip(responses.chunks_exact(m * TILE))
                    {
                        let at = (f * plan.components + component) * g.plane() + tile * TILE;
                        let tables = (&plan.separable[..], &plan.polar[..]);
                        let place = (g.stride(), g.lanes);
                        // SAFETY: planes have room for a tile at every tap (Geometry::plane).
                        unsafe {
                            let plane = planes[at..].as_mut_ptr();
                            contract::contract(
                                simd,
                                plan.shape.kernel,
                                tables,
                                responses,
                                work,
                                plane,
                                place,
                            );
                        }
                    }
                }
            }
        }
        unload(simd, plan, self.inverse, planes, (self.features, self.dx));
    }
}

/// Transforms the planes' pixels back to orientations.
#[inline(always)]
fn unload<S: Simd>(
    simd: S,
    plan: &Plan,
    inverse: &Matrix,
    planes: &[f32],
    ((first, last), dx): ((usize, usize), *mut f32),
) {
    let (g, n, features) = (plan.geometry(), plan.components, plan.shape.in_features);
    let (area, width) = (g.area(), g.width * g.lanes);
    for f in first..last {
        for row in 0..g.height {
            let from = (f - first) * n * g.plane() + g.row_start(row);
            let to = f * area + row * width;
            // SAFETY: n planes and n maps follow at these steps.
            unsafe {
                if n == 1 {
                    let row = &planes[from..from + width];
                    dx.add(to).copy_from_nonoverlapping(row.as_ptr(), width);
                    continue;
                }
                let from = (planes.as_ptr().add(from), g.plane());
                let to = (dx.add(to), features * area);
                orientation::transform(simd, inverse, from, to, width, Keep);
            }
        }
    }
}

/// Adds the gradient of each sum of a number's parts to that of the parts: the first half of the adjoint of
/// [`super::numbers::write_number`].
///
/// # Safety
/// The entries' rows must be rows of `numbers`.
#[inline(always)]
unsafe fn split_sums<S: Simd>(simd: S, entries: &[Entry], numbers: *mut f32) {
    for entry in entries {
        let (Some((_, imaginary)), Some((sum, sign))) = (entry.imaginary, entry.sum) else {
            continue;
        };
        let sign = simd.splat_f32s(sign);
        for v in 0..TILE / S::F32_LANES {
            let vector = |row: usize| unsafe { numbers.add(row * TILE).cast::<S::f32s>().add(v) };
            let (real, imaginary) = (vector(entry.real_row), vector(imaginary));
            unsafe {
                let sum = vector(sum).read_unaligned();
                real.write_unaligned(simd.add_f32s(real.read_unaligned(), sum));
                let added = simd.mul_add_e_f32s(sign, sum, imaginary.read_unaligned());
                imaginary.write_unaligned(added);
            }
        }
    }
}

/// For each response of a group, the panel rows that it is part of, with signs.
fn terms(group: &Group, functions: usize) -> Vec<Vec<(usize, f32)>> {
    let mut terms = vec![Vec::new(); group.components.len() * functions];
    for entry in &group.entries {
        let parts = [Some((entry.real, entry.real_row)), entry.imaginary];
        for (combination, row) in parts.into_iter().flatten() {
            terms[combination.first].push((row, 1.0));
            if let Some((second, sign)) = combination.second {
                terms[second].push((row, sign));
            }
        }
    }
    terms
}

/// Sums the gradients of the numbers that each response is part of: the second half.
///
/// # Safety
/// The terms' rows must be rows of `numbers`; `responses` holds a row of each.
#[inline(always)]
unsafe fn gather<S: Simd>(
    simd: S,
    terms: &[Vec<(usize, f32)>],
    numbers: *const f32,
    responses: *mut f32,
) {
    /// Vectors at once.
    const N: usize = 3;
    for (response, terms) in terms.iter().enumerate() {
        let mut p = 0;
        while p < TILE {
            let mut sums = [simd.splat_f32s(0.0); N];
            for &(row, sign) in terms {
                let sign = simd.splat_f32s(sign);
                for (n, sum) in sums.iter_mut().enumerate() {
                    unsafe {
                        let from = numbers.add(row * TILE + p).cast::<S::f32s>().add(n);
                        *sum = simd.mul_add_e_f32s(sign, from.read_unaligned(), *sum);
                    }
                }
            }
            for (n, &sum) in sums.iter().enumerate() {
                unsafe {
                    let to = responses.add(response * TILE + p).cast::<S::f32s>().add(n);
                    to.write_unaligned(sum);
                }
            }
            p += N * S::F32_LANES;
        }
    }
}
