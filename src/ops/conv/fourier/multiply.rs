//! Complex products at one pair of frequencies, three real ones each (Gauss): with D = D_r + i D_i and A alike
//!
//! `S1 = A_r (D_r + D_i)`, `S2 = (A_i - A_r) D_r`, `S3 = (A_r + A_i) D_i`; `Y_r = S1 - S3`, `Y_i = S1 + S2`.

use super::spectra::Layout;
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
    pub from: &'a [f32],
    pub from_layout: Layout,
    pub to: &'a mut [f32],
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
        let (channels, columns) = (from_layout.channels, from_layout.columns);
        combine(simd, from, from_layout, sums, |simd, re, im| {
            simd.add_f32s(re, im)
        });
        let vectors = to_layout.channels / S::F32_LANES;
        let mut done = 0;
        let to = to.as_mut_ptr();
        while done < vectors {
            let v = block::<S>(vectors - done);
            let width = v * S::F32_LANES;
            let weights = &weights[3 * inputs * done * S::F32_LANES..][..3 * inputs * width];
            for column in (0..columns).step_by(ROWS) {
                // SAFETY: columns and channels of both.
                unsafe {
                    let rows = ROWS.min(columns - column);
                    let re = to.add(column * to_layout.column() + done * S::F32_LANES);
                    let im = re.add(to_layout.channels);
                    let from = from.as_ptr().add(column * from_layout.column());
                    let part = |data: *const f32, row: usize, kind: usize| Part {
                        left: (data, row, 1),
                        right: (weights.as_ptr().add(kind * inputs * width), width),
                        depth: inputs,
                    };
                    let step = to_layout.column();
                    let sums = sums.as_ptr().add(column * channels);
                    product(
                        simd,
                        (rows, v),
                        part(sums, channels, 0),
                        Some(im),
                        (re, step),
                        false,
                    );
                    product(
                        simd,
                        (rows, v),
                        part(from.add(channels), 2 * channels, 1),
                        None,
                        (re, step),
                        true,
                    );
                    product(
                        simd,
                        (rows, v),
                        part(from, 2 * channels, 2),
                        None,
                        (im, step),
                        true,
                    );
                }
            }
            done += v;
        }
    }
}

/// Adds, of all columns, the products of x with the conjugate of dy: (3, inputs, outputs), the terms of Gauss' trick apart.
pub struct Accumulate<'a> {
    pub x: &'a [f32],
    pub x_layout: Layout,
    pub dy: &'a [f32],
    pub dy_layout: Layout,
    pub sums: &'a mut [f32],
    /// Whether the sums are there already.
    pub add: bool,
    /// (columns, channels of x) and (3, columns, channels of dy).
    pub scratch: &'a mut [f32],
}

impl Accumulate<'_> {
    pub fn scratch(x: Layout, dy: Layout) -> usize {
        x.columns * (x.channels + 3 * dy.channels)
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
        let (inputs, outputs, columns) = (x_layout.channels, dy_layout.channels, x_layout.columns);
        let (x_sums, dy_terms) = scratch.split_at_mut(columns * inputs);
        combine(simd, x, x_layout, x_sums, |simd, re, im| {
            simd.add_f32s(re, im)
        });
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
                        let from = dy
                            .as_ptr()
                            .add(column * dy_layout.column() + (done + i) * S::F32_LANES);
                        let re = from.cast::<S::f32s>().read_unaligned();
                        let im = from.add(outputs).cast::<S::f32s>().read_unaligned();
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
                let lefts = [
                    (x_sums.as_ptr(), inputs),
                    (x[inputs..].as_ptr(), 2 * inputs),
                    (x.as_ptr(), 2 * inputs),
                ];
                for (term, (left, step)) in lefts.into_iter().enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        let part = Part {
                            left: (left.add(input), 1, step),
                            right: (dy_terms.as_ptr().add(term * columns * width), width),
                            depth: columns,
                        };
                        let to = to(term).add(input * outputs + done * S::F32_LANES);
                        product(simd, (rows, v), part, None, (to, outputs), add);
                    }
                }
            }
            done += v;
        }
    }
}

/// Of every column and channel what `of` makes of real and imaginary part.
#[inline(always)]
fn combine<S: Simd>(
    simd: S,
    from: &[f32],
    layout: Layout,
    to: &mut [f32],
    of: impl Fn(S, S::f32s, S::f32s) -> S::f32s,
) {
    let columns = from
        .chunks_exact(layout.column())
        .zip(to.chunks_exact_mut(layout.channels));
    for (from, to) in columns {
        let (re, im) = from.split_at(layout.channels);
        let (re, im) = (S::as_simd_f32s(re).0, S::as_simd_f32s(im).0);
        let to = S::as_mut_simd_f32s(to).0;
        for i in 0..to.len() {
            to[i] = of(simd, re[i], im[i]);
        }
    }
}

/// `sum_k left[r][k] right[k][v]`: left at `left.0 + r left.1 + k left.2`, right in rows of `right.1`.
#[derive(Clone, Copy)]
struct Part {
    left: (*const f32, usize, usize),
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
    to: (*mut f32, usize),
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
    to: (*mut f32, usize),
    add: bool,
}

impl<const R: usize, const V: usize> WithSimd for Block<R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Part {
            left: (left, row, step),
            right: (right, width),
            depth,
        } = self.part;
        let (to, stride) = self.to;
        // SAFETY: whoever makes a block gives it rows and vectors that are there.
        unsafe {
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            if self.add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = to.add(r * stride).cast::<S::f32s>().add(v).read_unaligned();
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
                    let a = simd.splat_f32s(*left.add(r * row));
                    for (sum, &b) in sums.iter_mut().zip(&b) {
                        *sum = simd.mul_add_e_f32s(a, b, *sum);
                    }
                }
                left = left.add(step);
                right = right.add(width);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    to.add(r * stride)
                        .cast::<S::f32s>()
                        .add(v)
                        .write_unaligned(sum);
                    if let Some(also) = self.also {
                        also.add(r * stride)
                            .cast::<S::f32s>()
                            .add(v)
                            .write_unaligned(sum);
                    }
                }
            }
        }
    }
}
