//! The adjoint of the expansion ([`super::expand`]) of interleaved images: polar functions, rows, then columns.

use super::expand::{rank_start, reach, row_parity};
use crate::ops::panel::TILE;
use pulp::Simd;

/// Working memory of [`contract`].
pub fn work_len(kernel: usize, lanes: usize) -> usize {
    kernel * (reach(kernel, lanes) + TILE)
}

/// `plane[p + a stride + b lanes] += sum_j H_j[a][b] responses[j][p]`, p < TILE, over all M functions j and taps (a, b).
///
/// # Safety
/// The plane must be writable up to `reach + (k-1) stride`; `work` holds [`work_len`], `responses` M rows of [`TILE`];
/// `separable` and `polar` are the basis' tables for width k <= 25; lanes are whole vectors.
#[inline(always)]
pub unsafe fn contract<S: Simd>(
    simd: S,
    kernel: usize,
    (separable, polar): (&[f32], &[f32]),
    responses: &[f32],
    work: &mut [f32],
    plane: *mut f32,
    (stride, lanes): (usize, usize),
) {
    debug_assert!(work.len() >= work_len(kernel, lanes) && lanes.is_multiple_of(S::F32_LANES));
    debug_assert!(responses.len() >= rank_start(kernel) * TILE);
    let (h, t, responses) = (separable.as_ptr(), polar.as_ptr(), responses.as_ptr());
    let (vertical, products) = work.split_at_mut(kernel * reach(kernel, lanes));
    let (vertical, products) = (vertical.as_mut_ptr(), products.as_mut_ptr());
    macro_rules! widths {
        ($($k:literal)*) => {
            match kernel {
                $($k => unsafe {
                    for a in 0..$k {
                        polar_back::<S, $k>(simd, t, responses, a, products);
                        rows_back::<S, $k>(simd, h, products, a, vertical, lanes);
                    }
                    columns_back::<S, $k>(simd, h, vertical, (plane, stride), lanes);
                },)*
                _ => unreachable!("filter width {kernel} is refused by the configuration"),
            }
        };
    }
    widths!(1 3 5 7 9 11 13 15 17 19 21 23 25);
}

/// The products with vertical filter `a`, one row for each horizontal one.
#[inline(always)]
unsafe fn polar_back<S: Simd, const K: usize>(
    simd: S,
    t: *const f32,
    responses: *const f32,
    a: usize,
    products: *mut f32,
) {
    /// Vectors at once.
    const N: usize = 3;
    for b in 0..K - a {
        let rank = a + b;
        let mut p = 0;
        while p < TILE {
            let mut sums = [simd.splat_f32s(0.0); N];
            for index in 0..=rank {
                if row_parity(rank, index) != a % 2 {
                    continue;
                }
                let j = rank_start(rank) + index;
                unsafe {
                    let weight = simd.splat_f32s(*t.add(j * K + a));
                    let from = responses.add(j * TILE + p).cast::<S::f32s>();
                    for (n, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.mul_add_e_f32s(weight, from.add(n).read_unaligned(), *sum);
                    }
                }
            }
            for (n, &sum) in sums.iter().enumerate() {
                unsafe {
                    let to = products.add(b * TILE + p).cast::<S::f32s>().add(n);
                    to.write_unaligned(sum);
                }
            }
            p += N * S::F32_LANES;
        }
    }
}

/// A vector's sums over the even and over the odd filters of the first `count`, for each tap up to the middle one: mirrored
/// taps take their sum and their difference.
#[inline(always)]
unsafe fn halves<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
    count: usize,
    value: impl Fn(usize) -> S::f32s,
) -> ([S::f32s; K], [S::f32s; K]) {
    let zero = simd.splat_f32s(0.0);
    let (mut even, mut odd) = ([zero; K], [zero; K]);
    for b in 0..count {
        let v = value(b);
        let (sums, taps) = match b % 2 {
            0 => (&mut even, K / 2 + 1),
            _ => (&mut odd, K / 2),
        };
        for (tap, sum) in sums.iter_mut().enumerate().take(taps) {
            let weight = simd.splat_f32s(unsafe { *h.add(b * K + tap) });
            *sum = simd.mul_add_e_f32s(weight, v, *sum);
        }
    }
    (even, odd)
}

/// Carries the products with vertical filter `a` back along rows.
#[inline(always)]
unsafe fn rows_back<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
    products: *const f32,
    a: usize,
    vertical: *mut f32,
    lanes: usize,
) {
    unsafe {
        let row = vertical.add(a * reach(K, lanes));
        let mut q = 0;
        while q < reach(K, lanes) {
            row.add(q)
                .cast::<S::f32s>()
                .write_unaligned(simd.splat_f32s(0.0));
            q += S::F32_LANES;
        }
        let mut p = 0;
        while p < TILE {
            let value = |b: usize| {
                products
                    .add(b * TILE + p)
                    .cast::<S::f32s>()
                    .read_unaligned()
            };
            let (even, odd) = halves::<S, K>(simd, h, K - a, value);
            add_mirrored::<S, K>(simd, (&even, &odd), row.add(p), lanes);
            p += S::F32_LANES;
        }
    }
}

/// Carries the vertical filters' numbers back along columns.
#[inline(always)]
unsafe fn columns_back<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
    vertical: *const f32,
    (plane, stride): (*mut f32, usize),
    lanes: usize,
) {
    let reach = reach(K, lanes);
    let mut q = 0;
    while q < reach {
        unsafe {
            let value = |a: usize| {
                vertical
                    .add(a * reach + q)
                    .cast::<S::f32s>()
                    .read_unaligned()
            };
            let (even, odd) = halves::<S, K>(simd, h, K, value);
            add_mirrored::<S, K>(simd, (&even, &odd), plane.add(q), stride);
        }
        q += S::F32_LANES;
    }
}

/// Adds what each tap takes to the numbers that lie `step` apart.
#[inline(always)]
unsafe fn add_mirrored<S: Simd, const K: usize>(
    simd: S,
    (even, odd): (&[S::f32s; K], &[S::f32s; K]),
    to: *mut f32,
    step: usize,
) {
    let add = |tap: usize, value: S::f32s| unsafe {
        let to = to.add(tap * step).cast::<S::f32s>();
        to.write_unaligned(simd.add_f32s(to.read_unaligned(), value));
    };
    for tap in 0..K / 2 {
        add(tap, simd.add_f32s(even[tap], odd[tap]));
        add(K - 1 - tap, simd.sub_f32s(even[tap], odd[tap]));
    }
    add(K / 2, even[K / 2]);
}
