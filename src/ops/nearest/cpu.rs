//! A few rows against a few vectors of centres at a time, their products in registers. Every product is summed up along
//! d in one order, whichever block it is in, so that equal rows have equal products.

use super::Shape;
use crate::ops::panel::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows whose products are looked at together; the rows of every register block divide it.
pub(super) const CHUNK: usize = 24;
/// Multiply-adds that are worth a task of their own.
const TASK: usize = 1 << 20;
/// Most vectors of centres in a register block.
const VECTORS: usize = 3;

/// Rows of a task, whole chunks; `work` is that of one row.
pub(super) fn task(work: usize) -> usize {
    (TASK / work).clamp(1, TASK).next_multiple_of(CHUNK)
}

pub fn assign(s: &Shape, rows: &[f32], centres: &[f32], labels: &mut [u32], distances: &mut [f32]) {
    let packed = Arch::new().dispatch(Pack(s, centres));
    let task = task(s.centres * s.width);
    rows.par_chunks(task * s.width)
        .zip(labels.par_chunks_mut(task))
        .zip(distances.par_chunks_mut(task))
        .for_each(|((rows, labels), distances)| {
            with_scratch(packed.scratch(), |scratch| {
                Arch::new().dispatch(Assign {
                    packed: &packed,
                    rows,
                    centres,
                    labels,
                    distances,
                    scratch,
                });
            });
        });
}

pub fn norms(width: usize, rows: &[f32], norms: &mut [f32]) {
    let task = task(width);
    rows.par_chunks(task * width)
        .zip(norms.par_chunks_mut(task))
        .for_each(|(rows, norms)| Arch::new().dispatch(Norms(width, rows, norms)));
}

pub fn distances(s: &Shape, rows: &[f32], norms: &[f32], centres: &[f32], out: &mut [f32]) {
    let packed = Arch::new().dispatch(Pack(s, centres));
    let task = task(s.centres * s.width);
    rows.par_chunks(task * s.width)
        .zip(norms.par_chunks(task))
        .zip(out.par_chunks_mut(task * s.centres))
        .for_each(|((rows, norms), out)| {
            with_scratch(packed.scratch(), |scratch| {
                Arch::new().dispatch(Distances {
                    packed: &packed,
                    centres: s.centres,
                    rows,
                    norms,
                    out,
                    scratch,
                });
            });
        });
}

pub fn totals(s: &Shape, rows: &[f32], labels: &[u32], sums: &mut [f32], counts: &mut [u32]) {
    counts.fill(0);
    for &label in labels {
        counts[label as usize] += 1;
    }
    // Rows by label, those of a label in their order.
    let mut starts: Vec<usize> = Vec::with_capacity(s.centres);
    let mut next = 0;
    for &count in &*counts {
        starts.push(next);
        next += count as usize;
    }
    let mut members = vec![0u32; labels.len()];
    let mut at = starts.clone();
    for (row, &label) in labels.iter().enumerate() {
        members[at[label as usize]] = row as u32;
        at[label as usize] += 1;
    }
    sums.par_chunks_exact_mut(s.width)
        .with_min_len((TASK / labels.len().max(1)).min(s.centres).max(1))
        .zip(starts.par_iter().zip(at.par_iter()))
        .for_each(|(sums, (&from, &to))| {
            Arch::new().dispatch(Total(rows, &members[from..to], sums));
        });
}

/// The sum of some rows.
struct Total<'a>(&'a [f32], &'a [u32], &'a mut [f32]);

impl WithSimd for Total<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(rows, members, sums) = self;
        let width = sums.len();
        let mut total = vec![0.0f64; width];
        // A few rows in float32, as pairwise sums begin.
        for members in members.chunks(16) {
            sums.fill(0.0);
            for &row in members {
                let row = &rows[row as usize * width..][..width];
                for (sum, &v) in sums.iter_mut().zip(row) {
                    *sum += v;
                }
            }
            for (t, &sum) in total.iter_mut().zip(&*sums) {
                *t += f64::from(sum);
            }
        }
        for (sum, t) in sums.iter_mut().zip(total) {
            *sum = t as f32;
        }
    }
}

/// Centres as blocks of up to [`VECTORS`] vectors, d outermost within a block.
pub(super) struct Packed {
    pub width: usize,
    /// Filled up to whole vectors.
    pub columns: usize,
    values: Vec<f32>,
    /// Squared norms; infinite where it is filled up.
    pub norms: Vec<f32>,
}

pub(super) struct Pack<'a>(pub &'a Shape, pub &'a [f32]);

impl WithSimd for Pack<'_> {
    type Output = Packed;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Packed {
        let Self(s, centres) = self;
        let lanes = S::F32_LANES;
        let columns = s.centres.next_multiple_of(lanes);
        let mut values = vec![0.0; columns * s.width];
        for (c, centre) in centres.chunks_exact(s.width).enumerate() {
            let first = c / (VECTORS * lanes) * VECTORS * lanes;
            let block = (columns - first).min(VECTORS * lanes);
            let to = &mut values[first * s.width..][..block * s.width];
            for (line, &v) in to.chunks_exact_mut(block).zip(centre) {
                line[c - first] = v;
            }
        }
        let mut norms = vec![f32::INFINITY; columns];
        Norms(s.width, centres, &mut norms[..s.centres]).with_simd(simd);
        Packed {
            width: s.width,
            columns,
            values,
            norms,
        }
    }
}

impl Packed {
    /// Numbers that the products of a chunk take.
    pub fn scratch(&self) -> usize {
        CHUNK * self.columns
    }

    /// The products of a chunk of rows, (rows, columns).
    #[inline(always)]
    pub fn products<'a, S: Simd>(&self, simd: S, rows: &[f32], out: &'a mut [f32]) -> &'a [f32] {
        for first in (0..self.columns).step_by(VECTORS * S::F32_LANES) {
            self.block(simd, first, rows, &mut out[first..]);
        }
        &out[..rows.len() / self.width * self.columns]
    }

    /// The products of a chunk of rows with the block of centres that begins at `first`.
    #[inline(always)]
    fn block<S: Simd>(&self, simd: S, first: usize, rows: &[f32], out: &mut [f32]) {
        let vectors = ((self.columns - first) / S::F32_LANES).min(VECTORS);
        match (S::REGISTER_COUNT >= 32, vectors) {
            (true, 3) => self.tiles::<S, 8, 3>(simd, first, rows, out),
            (true, 2) => self.tiles::<S, 12, 2>(simd, first, rows, out),
            (true, _) => self.tiles::<S, 12, 1>(simd, first, rows, out),
            (false, 3) => self.tiles::<S, 4, 3>(simd, first, rows, out),
            (false, 2) => self.tiles::<S, 6, 2>(simd, first, rows, out),
            (false, _) => self.tiles::<S, 8, 1>(simd, first, rows, out),
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        rows: &[f32],
        out: &mut [f32],
    ) {
        let (width, lanes) = (self.width, S::F32_LANES);
        let centres = &self.values[first * width..][..V * lanes * width];
        let (centres, _) = S::as_simd_f32s(centres);
        let last = rows.len() / width - 1;
        for top in (0..=last).step_by(R) {
            // Behind the last row it stands in for those that are missing.
            let x: [&[f32]; R] =
                std::array::from_fn(|r| &rows[(top + r).min(last) * width..][..width]);
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            for (k, c) in centres.chunks_exact(V).enumerate() {
                for (sum, x) in sums.iter_mut().zip(x) {
                    // SAFETY: every row has `width` numbers, and there are as many groups of V vectors.
                    let x = simd.splat_f32s(unsafe { *x.get_unchecked(k) });
                    for (s, &c) in sum.iter_mut().zip(c) {
                        *s = simd.mul_add_e_f32s(x, c, *s);
                    }
                }
            }
            for (r, sum) in sums.iter().enumerate() {
                let to = &mut out[(top + r) * self.columns..][..V * lanes];
                let (to, _) = S::as_mut_simd_f32s(to);
                to.copy_from_slice(sum);
            }
        }
    }
}

struct Norms<'a>(usize, &'a [f32], &'a mut [f32]);

impl WithSimd for Norms<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(width, rows, norms) = self;
        // As in a product, number after number; eight rows at a time hide how long one takes.
        const TOGETHER: usize = 8;
        let last = norms.len().saturating_sub(1);
        for (i, norms) in norms.chunks_mut(TOGETHER).enumerate() {
            let x: [&[f32]; TOGETHER] =
                std::array::from_fn(|r| &rows[(i * TOGETHER + r).min(last) * width..][..width]);
            let mut sums = [simd.splat_f32s(0.0); TOGETHER];
            for k in 0..width {
                for (sum, x) in sums.iter_mut().zip(x) {
                    let x = simd.splat_f32s(x[k]);
                    *sum = simd.mul_add_e_f32s(x, x, *sum);
                }
            }
            for (norm, sum) in norms.iter_mut().zip(&sums) {
                *norm = bytemuck::cast_slice::<_, f32>(std::slice::from_ref(sum))[0];
            }
        }
    }
}

struct Assign<'a> {
    packed: &'a Packed,
    rows: &'a [f32],
    centres: &'a [f32],
    labels: &'a mut [u32],
    distances: &'a mut [f32],
    /// As [`Packed::scratch`] says.
    scratch: &'a mut [f32],
}

impl WithSimd for Assign<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Packed { width, columns, .. } = *self.packed;
        let (norms, _) = S::as_simd_f32s(&self.packed.norms);
        let chunks = self.rows.chunks(CHUNK * width).zip(
            self.labels
                .chunks_mut(CHUNK)
                .zip(self.distances.chunks_mut(CHUNK)),
        );
        for (rows, (labels, distances)) in chunks {
            let products = self.packed.products(simd, rows, self.scratch);
            for (r, products) in products.chunks_exact(columns).enumerate() {
                let (best, _) = nearest(simd, norms, products);
                let centre = &self.centres[best * width..][..width];
                labels[r] = best as u32;
                distances[r] = distance(simd, &rows[r * width..][..width], centre);
            }
        }
    }
}

/// The first of the least scores; that score and the next.
#[inline(always)]
pub(super) fn nearest<S: Simd>(simd: S, norms: &[S::f32s], products: &[f32]) -> (usize, [f32; 2]) {
    let (products, _) = S::as_simd_f32s(products);
    let two = simd.splat_f32s(2.0);
    let mut least = simd.splat_f32s(f32::INFINITY);
    let mut next = least;
    let mut at = simd.splat_u32s(0);
    for (v, (&norm, &product)) in norms.iter().zip(products).enumerate() {
        let score = simd.sub_f32s(norm, simd.mul_f32s(two, product));
        let less = simd.less_than_f32s(score, least);
        next = simd.min_f32s(next, simd.select_f32s(less, least, score));
        least = simd.select_f32s(less, score, least);
        at = simd.select_u32s(less, simd.splat_u32s(v as u32), at);
    }
    let least: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&least));
    let next: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&next));
    let at: &[u32] = bytemuck::cast_slice(std::slice::from_ref(&at));
    let (mut score, mut second, mut best) = (f32::INFINITY, f32::INFINITY, 0);
    for (lane, ((&s, &n), &v)) in least.iter().zip(next).zip(at).enumerate() {
        let c = v as usize * S::F32_LANES + lane;
        if s < score || (s == score && s < f32::INFINITY && c < best) {
            (second, score, best) = (score, s, c);
        } else if s < second {
            second = s;
        }
        if n < second {
            second = n;
        }
    }
    (best, [score, second])
}

/// Squared distance, summed up from differences.
#[inline(always)]
pub(super) fn distance<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sum = simd.splat_f32s(0.0);
    for (&a, &b) in a.iter().zip(b) {
        let d = simd.sub_f32s(a, b);
        sum = simd.mul_add_e_f32s(d, d, sum);
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b));
    simd.reduce_sum_f32s(sum) + rest.sum::<f32>()
}

struct Distances<'a> {
    packed: &'a Packed,
    centres: usize,
    rows: &'a [f32],
    norms: &'a [f32],
    out: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Distances<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Packed { width, columns, .. } = *self.packed;
        let rows = self.rows.chunks(CHUNK * width);
        let outs = self.out.chunks_mut(CHUNK * self.centres);
        for ((rows, out), norms) in rows.zip(outs).zip(self.norms.chunks(CHUNK)) {
            let products = self.packed.products(simd, rows, self.scratch);
            let lines = out
                .chunks_exact_mut(self.centres)
                .zip(products.chunks_exact(columns));
            for ((out, products), norm) in lines.zip(norms) {
                for ((d, p), c) in out.iter_mut().zip(products).zip(&self.packed.norms) {
                    *d = ((norm - 2.0 * p) + c).max(0.0);
                }
            }
        }
    }
}
