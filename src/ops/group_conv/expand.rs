//! Responses of a tile to every basis function, by the separable factorisation: columns, rows, then polar functions.

use crate::ops::panel::{LINE, TILE};
use pulp::Simd;

/// Row length of the vertical stage: a tile and the filter's reach, in whole vectors.
pub const fn reach(kernel: usize, lanes: usize) -> usize {
    (TILE + (kernel - 1) * lanes).next_multiple_of(LINE)
}

/// Widest filter whose products of one vector stay in registers.
const NARROW: usize = 5;

/// Most planes at once.
const PLANES: usize = 2;

/// Working memory of [`expand`].
pub fn work_len(kernel: usize, lanes: usize) -> usize {
    PLANES * kernel * reach(kernel, lanes) + kernel * (kernel + 1) / 2 * TILE
}

/// Repeats a block for a constant 0 to 4: loops that must leave no arrays in memory.
macro_rules! unrolled {
    ($i:ident $body:block) => { unrolled!(@ $i $body 0 1 2 3 4) };
    (@ $i:ident $body:block $($n:literal)*) => { $({ const $i: usize = $n; $body })* };
}

/// `out[i][j][p] = sum_taps H_j[a][b] plane_i[p + a stride + b lanes]`, p < TILE, for all M functions j and one or two
/// planes.
///
/// # Safety
/// Planes must be readable up to `reach + (k-1) stride`; `work` holds [`work_len`], `out` M rows of [`TILE`] for each;
/// `separable` and `polar` are the basis' tables for width k <= 25.
#[inline(always)]
pub unsafe fn expand<S: Simd>(
    simd: S,
    kernel: usize,
    (separable, polar): (&[f32], &[f32]),
    planes: impl ExactSizeIterator<Item = *const f32>,
    (stride, lanes): (usize, usize),
    work: &mut [f32],
    out: &mut [f32],
) {
    let count = planes.len();
    debug_assert!(count <= PLANES && work.len() >= work_len(kernel, lanes));
    debug_assert!(out.len() >= count * kernel * (kernel + 1) / 2 * TILE);
    debug_assert!(separable.len() == kernel * kernel);
    debug_assert!(polar.len() == kernel * kernel * (kernel + 1) / 2);
    let (h, t) = (separable.as_ptr(), polar.as_ptr());
    let reach = reach(kernel, lanes);
    let (vertical, products) = work.split_at_mut(PLANES * kernel * reach);
    let (vertical, products) = (vertical.as_mut_ptr(), products.as_mut_ptr());
    macro_rules! widths {
        ($($k:literal $columns:ident $rows:ident)*) => {
            match kernel {
                $($k => unsafe {
                    // Columns of all planes first: rows read across vectors just stored, which is slow at once.
                    for (i, plane) in planes.enumerate() {
                        $columns::<S, $k>(simd, h, plane, stride, (vertical.add(i * $k * reach), reach));
                    }
                    for i in 0..count {
                        let out = out.as_mut_ptr().add(i * rank_start($k) * TILE);
                        let vertical = (vertical.add(i * $k * reach).cast_const(), reach);
                        $rows::<S, $k>(simd, (h, t), vertical, lanes, products, out);
                    }
                },)*
                _ => unreachable!("filter width {kernel} is refused by the configuration"),
            }
        };
    }
    widths!(
        1 narrow_columns narrow_rows
        3 narrow_columns narrow_rows
        5 narrow_columns narrow_rows
        7 columns rows
        9 columns rows
        11 columns rows
        13 columns rows
        15 columns rows
        17 columns rows
        19 columns rows
        21 columns rows
        23 columns rows
        25 columns rows
    );
}

/// All one-dimensional filters along columns.
#[inline(always)]
unsafe fn columns<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
    plane: *const f32,
    stride: usize,
    (vertical, reach): (*mut f32, usize),
) {
    let mut p = 0;
    while p < reach {
        unsafe {
            filter_bank::<S, K>(simd, h, plane.add(p), stride, K, |a, v| {
                vertical
                    .add(a * reach + p)
                    .cast::<S::f32s>()
                    .write_unaligned(v);
            });
        }
        p += S::F32_LANES;
    }
}

/// One vector of pixels through the first `count` Hermite filters; taps lie `step` apart. Even and odd filters share
/// the sums and differences of mirrored taps.
#[inline(always)]
unsafe fn filter_bank<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
    source: *const f32,
    step: usize,
    count: usize,
    mut store: impl FnMut(usize, S::f32s),
) {
    unsafe {
        let middle = K / 2;
        let load = |t: usize| source.add(t * step).cast::<S::f32s>().read_unaligned();
        let mut even = [load(middle); K];
        let mut odd = [even[0]; K];
        for t in 0..middle {
            let (near, far) = (load(t), load(K - 1 - t));
            even[t] = simd.add_f32s(near, far);
            odd[t] = simd.sub_f32s(near, far);
        }
        for a in (0..count).step_by(2) {
            let tap = |t: usize| simd.splat_f32s(*h.add(a * K + t));
            let mut sum = simd.mul_f32s(tap(middle), even[middle]);
            for (t, &value) in even.iter().enumerate().take(middle) {
                sum = simd.mul_add_e_f32s(tap(t), value, sum);
            }
            store(a, sum);
        }
        for a in (1..count).step_by(2) {
            let tap = |t: usize| simd.splat_f32s(*h.add(a * K + t));
            let mut sum = simd.mul_f32s(tap(0), odd[0]);
            for (t, &value) in odd.iter().enumerate().take(middle).skip(1) {
                sum = simd.mul_add_e_f32s(tap(t), value, sum);
            }
            store(a, sum);
        }
    }
}

/// Whether polar function `index` of a rank sums products with an odd (1) or even (0) row filter: the rank's order is
/// z c s c s.. (even rank), c s c s.. (odd), and sines sum odd rows.
pub const fn row_parity(rank: usize, index: usize) -> usize {
    if rank.is_multiple_of(2) {
        (index > 0 && index.is_multiple_of(2)) as usize
    } else {
        index % 2
    }
}

/// First product, and first function, of a rank.
pub const fn rank_start(rank: usize) -> usize {
    rank * (rank + 1) / 2
}

/// Rows and polar functions, products in memory.
#[inline(always)]
unsafe fn rows<S: Simd, const K: usize>(
    simd: S,
    (h, t): (*const f32, *const f32),
    (vertical, reach): (*const f32, usize),
    lanes: usize,
    products: *mut f32,
    out: *mut f32,
) {
    /// Vectors at once.
    const N: usize = 3;
    unsafe {
        for a in 0..K {
            let mut p = 0;
            while p < TILE {
                filter_bank::<S, K>(
                    simd,
                    h,
                    vertical.add(a * reach + p),
                    lanes,
                    K - a,
                    |b, v| {
                        let row = rank_start(a + b) + a;
                        products
                            .add(row * TILE + p)
                            .cast::<S::f32s>()
                            .write_unaligned(v);
                    },
                );
                p += S::F32_LANES;
            }
        }
        for rank in 0..K {
            for index in 0..=rank {
                let j = rank_start(rank) + index;
                let mut p = 0;
                while p < TILE {
                    let mut sums = [simd.splat_f32s(0.0); N];
                    for a in (row_parity(rank, index)..=rank).step_by(2) {
                        let weight = simd.splat_f32s(*t.add(j * K + a));
                        let from = products
                            .add((rank_start(rank) + a) * TILE + p)
                            .cast::<S::f32s>();
                        for (n, sum) in sums.iter_mut().enumerate() {
                            *sum = simd.mul_add_e_f32s(weight, from.add(n).read_unaligned(), *sum);
                        }
                    }
                    for (n, &sum) in sums.iter().enumerate() {
                        out.add(j * TILE + p)
                            .cast::<S::f32s>()
                            .add(n)
                            .write_unaligned(sum);
                    }
                    p += N * S::F32_LANES;
                }
            }
        }
    }
}

/// Even and odd filters' first taps, the middle one included. Held here because the compiler, which cannot rule out
/// that stores change the table, would load them again.
// Unrolled comparisons of constants.
#[allow(clippy::absurd_extreme_comparisons)]
#[inline(always)]
unsafe fn narrow_taps<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
) -> [[S::f32s; NARROW]; NARROW] {
    let mut taps = [[simd.splat_f32s(0.0); NARROW]; NARROW];
    unrolled!(B {
        unrolled!(T {
            if B < K && T <= K / 2 {
                taps[B][T] = simd.splat_f32s(unsafe { *h.add(B * K + T) });
            }
        });
    });
    taps
}

/// [`filter_bank`] for widths up to [`NARROW`], without arrays in memory; zeros beyond `count` filters.
// Unrolled comparisons of constants.
#[allow(clippy::absurd_extreme_comparisons)]
#[inline(always)]
unsafe fn narrow_bank<S: Simd, const K: usize>(
    simd: S,
    taps: &[[S::f32s; NARROW]; NARROW],
    source: *const f32,
    step: usize,
    count: usize,
) -> [S::f32s; NARROW] {
    unsafe {
        let zero = simd.splat_f32s(0.0);
        let middle = K / 2;
        let load = |t: usize| source.add(t * step).cast::<S::f32s>().read_unaligned();
        let mut even = [load(middle); NARROW];
        let mut odd = [zero; NARROW];
        unrolled!(T {
            if T < middle {
                let (near, far) = (load(T), load(K - 1 - T));
                even[T] = simd.add_f32s(near, far);
                odd[T] = simd.sub_f32s(near, far);
            }
        });
        let mut out = [zero; NARROW];
        unrolled!(B {
            if B < count {
                unrolled!(T {
                    let used = T < middle || (T == middle && B.is_multiple_of(2));
                    let value = if B.is_multiple_of(2) { even[T] } else { odd[T] };
                    if used && T == 0 {
                        out[B] = simd.mul_f32s(taps[B][T], value);
                    } else if used {
                        out[B] = simd.mul_add_e_f32s(taps[B][T], value, out[B]);
                    }
                });
            }
        });
        out
    }
}

/// [`columns`] for widths up to [`NARROW`].
// Unrolled comparisons of constants.
#[allow(clippy::absurd_extreme_comparisons)]
#[inline(always)]
unsafe fn narrow_columns<S: Simd, const K: usize>(
    simd: S,
    h: *const f32,
    plane: *const f32,
    stride: usize,
    (vertical, reach): (*mut f32, usize),
) {
    unsafe {
        let taps = narrow_taps::<S, K>(simd, h);
        let mut p = 0;
        while p < reach {
            let filtered = narrow_bank::<S, K>(simd, &taps, plane.add(p), stride, K);
            unrolled!(A {
                if A < K {
                    vertical.add(A * reach + p).cast::<S::f32s>().write_unaligned(filtered[A]);
                }
            });
            p += S::F32_LANES;
        }
    }
}

/// Rows and polar functions of filters up to [`NARROW`], products in registers.
// Unrolled comparisons of constants.
#[allow(clippy::absurd_extreme_comparisons)]
#[inline(always)]
unsafe fn narrow_rows<S: Simd, const K: usize>(
    simd: S,
    (h, t): (*const f32, *const f32),
    (vertical, reach): (*const f32, usize),
    lanes: usize,
    _: *mut f32,
    out: *mut f32,
) {
    unsafe {
        let zero = simd.splat_f32s(0.0);
        let taps = narrow_taps::<S, K>(simd, h);
        let mut p = 0;
        while p < TILE {
            let mut products = [[zero; NARROW]; NARROW];
            unrolled!(A {
                if A < K {
                    products[A] = narrow_bank::<S, K>(simd, &taps, vertical.add(A * reach + p), lanes, K - A);
                }
            });
            unrolled!(RANK {
                unrolled!(INDEX {
                    if RANK < K && INDEX <= RANK {
                        const J: usize = rank_start(RANK) + INDEX;
                        let mut sum = zero;
                        unrolled!(A {
                            if A <= RANK && A % 2 == row_parity(RANK, INDEX) {
                                let weight = simd.splat_f32s(*t.add(J * K + A));
                                let product = products[A][RANK - A];
                                sum = if A < 2 {
                                    simd.mul_f32s(weight, product)
                                } else {
                                    simd.mul_add_e_f32s(weight, product, sum)
                                };
                            }
                        });
                        out.add(J * TILE + p).cast::<S::f32s>().write_unaligned(sum);
                    }
                });
            });
            p += S::F32_LANES;
        }
    }
}
