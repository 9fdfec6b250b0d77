//! Complex products at one pair of frequencies, three real ones each (Gauss): with D = D_r + i D_i and A alike
//!
//! `S1 = A_r (D_r + D_i)`, `S2 = (A_i - A_r) D_r`, `S3 = (A_r + A_i) D_i`; `Y_r = S1 - S3`, `Y_i = S1 + S2`.

use super::lines;
use super::spectra::{Layout, Rows};
use pulp::{Simd, WithSimd};

/// Most rows of a block of sums, all multiples of 2.
const ROWS: usize = 6;

/// Vectors of a block of sums of which `left` are to come: what fits into the registers.
#[inline(always)]
pub fn block<S: Simd>(left: usize) -> usize {
    match left {
        4.. if S::REGISTER_COUNT >= 32 => 4,
        2.. => 2,
        _ => 1,
    }
}

/// A frequency's weights times what stands there.
pub struct Multiply<'a> {
    /// (block of outputs, 3, inputs, outputs of the block), as [`super::filters::weights`] makes them.
    pub weights: &'a [f32],
    pub inputs: usize,
    /// The frequency's first number of the first tile.
    pub from: *const f32,
    pub from_layout: Layout,
    pub to: *mut f32,
    pub to_layout: Layout,
    /// (columns, channels).
    pub sums: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            weights,
            inputs,
            from,
            from_layout,
            to,
            to_layout,
            sums,
        } = self;
        let (channels, columns) = (from_layout.channels, from_layout.columns());
        for (column, sums) in sums.chunks_exact_mut(channels).enumerate() {
            for at in (0..channels).step_by(S::F32_LANES) {
                // SAFETY: columns and channels of the input.
                unsafe {
                    let from = from.add(from_layout.rows().at(column) + at);
                    let (re, im) = lines::load_parts::<S>(from, channels);
                    let to = sums.as_mut_ptr().add(at).cast::<S::f32s>();
                    to.write_unaligned(simd.add_f32s(re, im));
                }
            }
        }
        let vectors = to_layout.channels / S::F32_LANES;
        let mut done = 0;
        while done < vectors {
            let v = block::<S>(vectors - done);
            let width = v * S::F32_LANES;
            let weights = &weights[3 * inputs * done * S::F32_LANES..][..3 * inputs * width];
            for column in (0..columns).step_by(ROWS) {
                // SAFETY: columns and channels of both.
                unsafe {
                    let rows = ROWS.min(columns - column);
                    let re = to.add(to_layout.rows().at(column) + done * S::F32_LANES);
                    let im = re.add(to_layout.channels);
                    let from = from.add(from_layout.rows().at(column));
                    let part = |data: *const f32, row: Rows, kind: usize| Part {
                        left: (data, row, 1),
                        right: (weights.as_ptr().add(kind * inputs * width), width),
                        depth: inputs,
                    };
                    let (row, step) = (from_layout.rows(), to_layout.rows());
                    let sums = sums.as_ptr().add(column * channels);
                    product(
                        simd,
                        (rows, v),
                        part(sums, Rows::apart(channels), 0),
                        Some(im),
                        (re, step),
                        false,
                    );
                    product(
                        simd,
                        (rows, v),
                        part(from.add(channels), row, 1),
                        None,
                        (re, step),
                        true,
                    );
                    product(simd, (rows, v), part(from, row, 2), None, (im, step), true);
                }
            }
            done += v;
        }
    }
}

/// Adds, of all columns, the products of x with the conjugate of dy: (3, inputs, outputs), the terms of Gauss' trick apart.
pub struct Accumulate<'a> {
    /// The frequency's first numbers of the first tiles.
    pub x: *const f32,
    pub x_layout: Layout,
    pub dy: *const f32,
    pub dy_layout: Layout,
    pub sums: &'a mut [f32],
    /// Whether the sums are there already.
    pub add: bool,
    /// (3, columns, channels of x) and (3, columns, channels of dy).
    pub scratch: &'a mut [f32],
}

impl Accumulate<'_> {
    pub fn scratch(x: Layout, dy: Layout) -> usize {
        3 * x.columns() * (x.channels + dy.channels)
    }
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            x_layout,
            dy,
            dy_layout,
            sums,
            add,
            scratch,
        } = self;
        let (inputs, outputs, columns) =
            (x_layout.channels, dy_layout.channels, x_layout.columns());
        let (x_terms, dy_terms) = scratch.split_at_mut(3 * columns * inputs);
        for column in 0..columns {
            for at in (0..inputs).step_by(S::F32_LANES) {
                // SAFETY: columns and channels of x, and as many of its terms.
                unsafe {
                    let from = x.add(x_layout.rows().at(column) + at);
                    let (re, im) = lines::load_parts::<S>(from, inputs);
                    let to = x_terms.as_mut_ptr().add(column * inputs + at);
                    let term = |n: usize| to.add(n * columns * inputs).cast::<S::f32s>();
                    term(0).write_unaligned(simd.add_f32s(re, im));
                    term(1).write_unaligned(im);
                    term(2).write_unaligned(re);
                }
            }
        }
        let vectors = outputs / S::F32_LANES;
        let mut done = 0;
        while done < vectors {
            let v = block::<S>(vectors - done);
            let width = v * S::F32_LANES;
            // Of this block's outputs, column by column.
            for column in 0..columns {
                for i in 0..v {
                    // SAFETY: columns and channels of dy, and as many of its terms.
                    unsafe {
                        let from = dy.add(dy_layout.rows().at(column) + (done + i) * S::F32_LANES);
                        let (re, im) = lines::load_parts::<S>(from, outputs);
                        let to = dy_terms.as_mut_ptr().add(column * width + i * S::F32_LANES);
                        let term = |n: usize| to.add(n * columns * width).cast::<S::f32s>();
                        term(0).write_unaligned(re);
                        term(1).write_unaligned(simd.sub_f32s(re, im));
                        term(2).write_unaligned(simd.neg_f32s(simd.add_f32s(re, im)));
                    }
                }
            }
            for input in (0..inputs).step_by(ROWS) {
                let rows = ROWS.min(inputs - input);
                let to = |term: usize| sums[term * inputs * outputs..].as_ptr().cast_mut();
                for (term, left) in x_terms.chunks_exact(columns * inputs).enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        let part = Part {
                            left: (left.as_ptr().add(input), Rows::apart(1), inputs),
                            right: (dy_terms.as_ptr().add(term * columns * width), width),
                            depth: columns,
                        };
                        let to = to(term).add(input * outputs + done * S::F32_LANES);
                        product(simd, (rows, v), part, None, (to, Rows::apart(outputs)), add);
                    }
                }
            }
            done += v;
        }
    }
}

/// `sum_k left[r][k] right[k][v]`: left at `left.0 + left.1.at(r) + k left.2`, right in rows of `right.1`.
#[derive(Clone, Copy)]
struct Part {
    left: (*const f32, Rows, usize),
    right: (*const f32, usize),
    depth: usize,
}

/// Writes or adds a block of so many rows and vectors of a product; writes it to `also`, too.
#[inline(always)]
unsafe fn product<S: Simd>(
    simd: S,
    (rows, vectors): (usize, usize),
    part: Part,
    also: Option<*mut f32>,
    to: (*mut f32, Rows),
    add: bool,
) {
    macro_rules! sizes {
        ($($r:literal $v:literal),*) => {
            match (rows, vectors) {
                $(($r, $v) if S::REGISTER_COUNT >= 32 || $v <= 2 => {
                    simd.vectorize(Block::<$r, $v> { part, also, to, add });
                })*
                _ => unreachable!("{rows} rows of {vectors} vectors"),
            }
        };
    }
    sizes!(6 4, 4 4, 2 4, 6 2, 4 2, 2 2, 6 1, 4 1, 2 1);
}

struct Block<const R: usize, const V: usize> {
    part: Part,
    also: Option<*mut f32>,
    to: (*mut f32, Rows),
    add: bool,
}

impl<const R: usize, const V: usize> WithSimd for Block<R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Part {
            left: (left, rows, step),
            right: (right, width),
            depth,
        } = self.part;
        let (to, to_rows) = self.to;
        // SAFETY: whoever makes a block gives it rows and vectors that are there.
        unsafe {
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            if self.add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = to
                            .add(to_rows.at(r))
                            .cast::<S::f32s>()
                            .add(v)
                            .read_unaligned();
                    }
                }
            }
            let (mut left, mut right) = (left, right);
            for _ in 0..depth {
                let mut b = [simd.splat_f32s(0.0); V];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = right.cast::<S::f32s>().add(v).read_unaligned();
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = simd.splat_f32s(*left.add(rows.at(r)));
                    for (sum, &b) in sums.iter_mut().zip(&b) {
                        *sum = simd.mul_add_e_f32s(a, b, *sum);
                    }
                }
                left = left.add(step);
                right = right.add(width);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    to.add(to_rows.at(r))
                        .cast::<S::f32s>()
                        .add(v)
                        .write_unaligned(sum);
                    if let Some(also) = self.also {
                        also.add(to_rows.at(r))
                            .cast::<S::f32s>()
                            .add(v)
                            .write_unaligned(sum);
                    }
                }
            }
        }
    }
}
