//! The transforms over orientations, on the way in and out of an image's tiles.

use super::frequency::{Matrix, ROWS_AT_ONCE};
use super::plan::Plan;
use crate::ops::activation::Activation;
use crate::ops::norm::Line;
use crate::ops::panel::{self, Geometry, TILE};
use pulp::Simd;
use std::slice;

/// Pads an image's planes, transformed over orientations: (feature, component, plane).
#[inline(always)]
pub fn load<S: Simd>(simd: S, plan: &Plan, g: &Geometry, x: &[f32], padded: &mut [f32]) {
    let (n, features) = (plan.components, plan.shape.in_features);
    let (area, width, plane) = (g.area(), g.width * g.lanes, g.plane());
    for padded in padded.chunks_exact_mut(plane) {
        clear_border(g, padded);
    }
    for f in 0..features {
        for row in 0..g.height {
            let to = f * n * plane + g.row_start(row);
            let from = f * area + row * width;
            if n == 1 {
                padded[to..to + width].copy_from_slice(&x[from..from + width]);
                continue;
            }
            // SAFETY: n planes of the image and n padded planes follow at these steps.
            unsafe {
                let from = (x.as_ptr().add(from), features * area);
                let to = (padded.as_mut_ptr().add(to), plane);
                transform(simd, &plan.transform, from, to, width, Keep);
            }
        }
    }
}

/// Zeroes what lies around and between the rows of a padded plane.
fn clear_border(g: &Geometry, padded: &mut [f32]) {
    let mut end = 0;
    for row in 0..g.height {
        let start = g.row_start(row);
        padded[end..start].fill(0.0);
        end = start + g.width * g.lanes;
    }
    padded[end..].fill(0.0);
}

/// What is done to the output before it leaves the cache: the normalisation's line of each channel, and the
/// activation.
pub type Epilogue<'a> = Option<(&'a [Line], Activation)>;

/// What happens to a row's numbers before they are stored.
pub trait Last: Copy {
    fn step<S: Simd>(self, simd: S, row: usize, v: S::f32s) -> S::f32s;
}

/// Nothing.
#[derive(Clone, Copy)]
pub struct Keep;

impl Last for Keep {
    #[inline(always)]
    fn step<S: Simd>(self, _: S, _: usize, v: S::f32s) -> S::f32s {
        v
    }
}

/// Normalisation and activation; rows are `step` channels apart.
#[derive(Clone, Copy)]
struct Finish<'a> {
    lines: &'a [Line],
    step: usize,
    activation: Activation,
}

impl Last for Finish<'_> {
    #[inline(always)]
    fn step<S: Simd>(self, simd: S, row: usize, v: S::f32s) -> S::f32s {
        self.lines[row * self.step].finish(simd, self.activation, v)
    }
}

/// Inverse transform of one tile's products into the output's valid pixels.
///
/// # Safety
/// y must be an image's output, or L interleaved ones'.
#[inline(always)]
pub unsafe fn store<S: Simd>(
    simd: S,
    plan: &Plan,
    (g, tile): (&Geometry, usize),
    spectrum: &[f32],
    epilogue: Epilogue,
    y: *mut f32,
) {
    let (features, area) = (plan.shape.out_features, g.out_area());
    assert!(spectrum.len() == plan.products.len() * plan.product_rows() * TILE);
    for segment in g.segments(tile) {
        for f in 0..features {
            // SAFETY: rows of all products and maps of all orientations follow at these steps.
            unsafe {
                let from = (
                    spectrum.as_ptr().add(f * TILE + segment.at),
                    plan.product_rows() * TILE,
                );
                let to = (y.add(f * area + segment.output), features * area);
                let (matrix, len) = (&plan.synthesis, segment.len);
                match epilogue {
                    None => transform(simd, matrix, from, to, len, Keep),
                    Some((lines, activation)) => {
                        let (lines, step) = (&lines[f..], features);
                        let finish = Finish {
                            lines,
                            step,
                            activation,
                        };
                        transform(simd, matrix, from, to, len, finish);
                    }
                }
            }
        }
    }
}

/// One tile of the output's gradient carried back to the products, (product, TILE, padded features); `pixels` is
/// room for it by orientation.
#[inline(always)]
pub fn gather<S: Simd>(
    simd: S,
    plan: &Plan,
    g: &Geometry,
    tile: usize,
    partner: &[f32],
    pixels: &mut [f32],
    right: &mut [f32],
) {
    let (o, features) = (plan.shape.orientations, plan.shape.out_features);
    let (area, rows) = (g.out_area(), panel::padded_rows(features));
    assert!(pixels.len() == o * TILE * rows && right.len() == plan.products.len() * TILE * rows);
    pixels.fill(0.0);
    for (maps, pixels) in partner
        .chunks_exact(features * area)
        .zip(pixels.chunks_exact_mut(TILE * rows))
    {
        for segment in g.segments(tile) {
            transpose(
                &maps[segment.output..],
                area,
                features,
                segment.len,
                &mut pixels[segment.at * rows..],
                rows,
            );
        }
    }
    // SAFETY: both hold their rows of TILE * rows.
    unsafe {
        let (from, to) = (
            (pixels.as_ptr(), TILE * rows),
            (right.as_mut_ptr(), TILE * rows),
        );
        transform(simd, &plan.analysis, from, to, TILE * rows, Keep);
    }
}

/// `to[i to_step + f] = from[f from_step + i]`, i < len, f < features.
#[inline(always)]
fn transpose(
    from: &[f32],
    from_step: usize,
    features: usize,
    len: usize,
    to: &mut [f32],
    to_step: usize,
) {
    assert!(len > 0 && (features - 1) * from_step + len <= from.len());
    assert!(features <= to_step && (len - 1) * to_step + features <= to.len());
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    for i in 0..len {
        for f in 0..features {
            // SAFETY: within the slices by the checks above.
            unsafe { *to.add(i * to_step + f) = *from.add(f * from_step + i) };
        }
    }
}

/// `to[r to_step + i] = sum_s matrix[r, s] from[s from_step + i]`, i < len, for all rows r.
///
/// # Safety
/// `from` and `to` must hold the matrix's terms and rows, of `len` at their steps, and not overlap.
#[inline(always)]
pub unsafe fn transform<S: Simd>(
    simd: S,
    matrix: &Matrix,
    (from, from_step): (*const f32, usize),
    (to, to_step): (*mut f32, usize),
    len: usize,
    last: impl Last,
) {
    let lanes = S::F32_LANES;
    unsafe {
        let mut i = 0;
        while i + lanes <= len {
            let (from, to) = ((from.add(i), from_step), (to.add(i), to_step));
            transform_vector::<S, false>(simd, matrix, from, to, lanes, last);
            i += lanes;
        }
        if i < len {
            let (from, to) = ((from.add(i), from_step), (to.add(i), to_step));
            transform_vector::<S, true>(simd, matrix, from, to, len - i, last);
        }
    }
}

/// One vector of all rows, its first `len` lanes if it is the PARTIAL one at the end.
#[inline(always)]
unsafe fn transform_vector<S: Simd, const PARTIAL: bool>(
    simd: S,
    matrix: &Matrix,
    from: (*const f32, usize),
    to: (*mut f32, usize),
    len: usize,
    last: impl Last,
) {
    unsafe {
        let mut r = 0;
        while r + 2 * ROWS_AT_ONCE <= matrix.rows {
            transform_rows::<S, { 2 * ROWS_AT_ONCE }, PARTIAL>(
                simd, matrix, r, from, to, len, last,
            );
            r += 2 * ROWS_AT_ONCE;
        }
        while r < matrix.rows {
            transform_rows::<S, ROWS_AT_ONCE, PARTIAL>(simd, matrix, r, from, to, len, last);
            r += ROWS_AT_ONCE;
        }
    }
}

/// R rows from r on, or as many as there are.
#[inline(always)]
unsafe fn transform_rows<S: Simd, const R: usize, const PARTIAL: bool>(
    simd: S,
    matrix: &Matrix,
    r: usize,
    (from, from_step): (*const f32, usize),
    (to, to_step): (*mut f32, usize),
    len: usize,
    last: impl Last,
) {
    unsafe {
        let mut sums = [simd.splat_f32s(0.0); R];
        let step = matrix.rows.next_multiple_of(ROWS_AT_ONCE);
        let mut weights = matrix.values.as_ptr().add(r);
        let mut from = from;
        for _ in 0..matrix.terms {
            let v = if PARTIAL {
                simd.partial_load_f32s(slice::from_raw_parts(from, len))
            } else {
                from.cast::<S::f32s>().read_unaligned()
            };
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = simd.mul_add_e_f32s(simd.splat_f32s(*weights.add(k)), v, *sum);
            }
            weights = weights.add(step);
            from = from.add(from_step);
        }
        for (k, &sum) in sums.iter().enumerate() {
            if r + k < matrix.rows {
                let sum = last.step(simd, r + k, sum);
                let to = to.add((r + k) * to_step);
                if PARTIAL {
                    simd.partial_store_f32s(slice::from_raw_parts_mut(to, len), sum);
                } else {
                    to.cast::<S::f32s>().write_unaligned(sum);
                }
            }
        }
    }
}
