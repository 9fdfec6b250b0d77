//! Responses of a tile to every basis function, by the separable factorisation: columns, rows, then polar functions.

use crate::ops::panel::TILE;
use pulp::Simd;

/// Row length of the vertical stage: a tile, the widest filter's reach, rounded to whole vectors.
pub const REACH: usize = TILE + 32;
/// Widest filter.
pub const MAX_KERNEL: usize = 25;

/// `out[j][p] = sum_taps H_j[a][b] plane[p + a stride + b]`, p < TILE, for all M functions j.
///
/// # Safety
/// `plane` must be readable up to `REACH + (k-1) stride`; `vertical` holds k rows of [`REACH`], `out` M rows of [`TILE`];
/// `separable` and `polar` are the basis' tables for width k <= [`MAX_KERNEL`].
#[inline(always)]
pub unsafe fn expand<S: Simd>(
    simd: S,
    kernel: usize,
    (separable, polar): (&[f32], &[f32]),
    plane: *const f32,
    stride: usize,
    vertical: &mut [f32],
    out: &mut [f32],
) {
    macro_rules! widths {
        ($($k:literal)*) => {
            match kernel {
                $($k => unsafe {
                    expand_width::<S, $k>(simd, separable, polar, plane, stride, vertical, out)
                },)*
                _ => unreachable!("filter width {kernel} is refused by the configuration"),
            }
        };
    }
    widths!(1 3 5 7 9 11 13 15 17 19 21 23 25);
}

#[inline(always)]
unsafe fn expand_width<S: Simd, const K: usize>(
    simd: S,
    separable: &[f32],
    polar: &[f32],
    plane: *const f32,
    stride: usize,
    vertical: &mut [f32],
    out: &mut [f32],
) {
    let lanes = S::F32_LANES;
    debug_assert!(vertical.len() >= K * REACH && out.len() >= K * (K + 1) / 2 * TILE);
    debug_assert!(separable.len() == K * K && polar.len() == K * K * (K + 1) / 2);
    let (h, t) = (separable.as_ptr(), polar.as_ptr());
    let (vertical, out) = (vertical.as_mut_ptr(), out.as_mut_ptr());
    unsafe {
        let mut p = 0;
        while p < TILE + K - 1 {
            let filtered = filter_bank::<S, K>(simd, h, plane.add(p), stride, K);
            for (a, &v) in filtered.iter().enumerate() {
                vertical.add(a * REACH + p).cast::<S::f32s>().write_unaligned(v);
            }
            p += lanes;
        }
        let mut p = 0;
        while p < TILE {
            let mut products = [[simd.splat_f32s(0.0); K]; K];
            for (a, row) in products.iter_mut().enumerate() {
                *row = filter_bank::<S, K>(simd, h, vertical.add(a * REACH + p), 1, K - a);
            }
            let mut j = 0;
            for rank in 0..K {
                for index in 0..=rank {
                    // Order of the rank's functions: z c s c s.. (even rank), c s c s.. (odd): sines sum odd rows.
                    let parity = if rank % 2 == 0 { usize::from(index > 0 && index % 2 == 0) } else { index % 2 };
                    let mut sum = simd.splat_f32s(0.0);
                    for (a, row) in products.iter().enumerate().take(rank + 1) {
                        if a % 2 == parity {
                            let weight = simd.splat_f32s(*t.add(j * K + a));
                            sum = simd.mul_add_e_f32s(weight, row[rank - a], sum);
                        }
                    }
                    out.add(j * TILE + p).cast::<S::f32s>().write_unaligned(sum);
                    j += 1;
                }
            }
            p += lanes;
        }
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
) -> [S::f32s; K] {
    unsafe {
        let zero = simd.splat_f32s(0.0);
        let mut even = [zero; K];
        let mut odd = [zero; K];
        let middle = K / 2;
        for t in 0..middle {
            let near = source.add(t * step).cast::<S::f32s>().read_unaligned();
            let far = source.add((K - 1 - t) * step).cast::<S::f32s>().read_unaligned();
            even[t] = simd.add_f32s(near, far);
            odd[t] = simd.sub_f32s(near, far);
        }
        even[middle] = source.add(middle * step).cast::<S::f32s>().read_unaligned();
        let mut out = [zero; K];
        for (a, out) in out.iter_mut().enumerate() {
            if a >= count {
                continue;
            }
            let mut sum = zero;
            if a % 2 == 0 {
                for t in 0..=middle {
                    sum = simd.mul_add_e_f32s(simd.splat_f32s(*h.add(a * K + t)), even[t], sum);
                }
            } else {
                for t in 0..middle {
                    sum = simd.mul_add_e_f32s(simd.splat_f32s(*h.add(a * K + t)), odd[t], sum);
                }
            }
            *out = sum;
        }
        out
    }
}
