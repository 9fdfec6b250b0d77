//! Rows to columns, a square of as many numbers as a vector has lanes at a time; and every other number apart.

use pulp::Simd;

/// A matrix of so many rows and columns, from rows `from.1` numbers apart to columns `to.1` apart: `to[j to.1 + i] = from[i from.1 + j]`.
///
/// # Safety
/// Both are there, and apart from each other.
#[inline(always)]
pub unsafe fn turn<S: Simd>(
    simd: S,
    from: (*const f32, usize),
    to: (*mut f32, usize),
    (rows, columns): (usize, usize),
) {
    let side = S::F32_LANES;
    // SAFETY: squares within the matrix. The last may share numbers with the one before.
    unsafe {
        if !squares::has::<S>() || rows < side || columns < side {
            for i in 0..rows {
                for j in 0..columns {
                    *to.0.add(j * to.1 + i) = *from.0.add(i * from.1 + j);
                }
            }
            return;
        }
        for i in (0..rows).step_by(side).map(|i| i.min(rows - side)) {
            for j in (0..columns).step_by(side).map(|j| j.min(columns - side)) {
                let from = (from.0.add(i * from.1 + j), from.1);
                squares::turn(simd, from, (to.0.add(j * to.1 + i), to.1));
            }
        }
    }
}

/// Two vectors' numbers at even places, and those at odd ones.
#[inline(always)]
pub fn apart<S: Simd>(simd: S, from: [S::f32s; 2]) -> [S::f32s; 2] {
    if squares::has::<S>() {
        return squares::apart(simd, from);
    }
    let mut to = from;
    let lanes = S::F32_LANES;
    let all: &[f32] = bytemuck::cast_slice(&from);
    let sorted: &mut [f32] = bytemuck::cast_slice_mut(&mut to);
    for (i, &v) in all.iter().enumerate() {
        sorted[i % 2 * lanes + i / 2] = v;
    }
    to
}

/// The other way.
#[inline(always)]
pub fn together<S: Simd>(simd: S, from: [S::f32s; 2]) -> [S::f32s; 2] {
    if squares::has::<S>() {
        return squares::together(simd, from);
    }
    let mut to = from;
    let lanes = S::F32_LANES;
    let sorted: &[f32] = bytemuck::cast_slice(&from);
    let all: &mut [f32] = bytemuck::cast_slice_mut(&mut to);
    for (i, v) in all.iter_mut().enumerate() {
        *v = sorted[i % 2 * lanes + i / 2];
    }
    to
}

#[cfg(target_arch = "x86_64")]
mod squares {
    use pulp::Simd;
    use pulp::x86::{V3, V4};
    use std::any::TypeId;
    use std::arch::x86_64::*;

    /// Whether there is a way to turn a square of vectors.
    #[inline(always)]
    pub fn has<S: Simd>() -> bool {
        is::<S, V3>() || is::<S, V4>()
    }

    #[inline(always)]
    fn is<S: Simd, T: Simd>() -> bool {
        TypeId::of::<S>() == TypeId::of::<T>()
    }

    /// # Safety
    /// Squares of vectors are there, and `has` says that they can be turned.
    #[inline(always)]
    pub unsafe fn turn<S: Simd>(_: S, from: (*const f32, usize), to: (*mut f32, usize)) {
        // SAFETY: whoever has such a `Simd` has its instructions.
        unsafe {
            match is::<S, V4>() {
                true => sixteen(from, to),
                false => eight(from, to),
            }
        }
    }

    #[inline(always)]
    pub fn apart<S: Simd>(_: S, from: [S::f32s; 2]) -> [S::f32s; 2] {
        // SAFETY: whoever has such a `Simd` has its instructions.
        unsafe {
            match is::<S, V4>() {
                true => cast(apart_of_sixteen(cast(from))),
                false => cast(apart_of_eight(cast(from))),
            }
        }
    }

    #[inline(always)]
    pub fn together<S: Simd>(_: S, from: [S::f32s; 2]) -> [S::f32s; 2] {
        // SAFETY: as above.
        unsafe {
            match is::<S, V4>() {
                true => cast(together_of_sixteen(cast(from))),
                false => cast(together_of_eight(cast(from))),
            }
        }
    }

    /// Vectors by another name.
    #[inline(always)]
    unsafe fn cast<T: Copy, U: Copy>(from: [T; 2]) -> [U; 2] {
        // SAFETY: the caller has compared the types.
        unsafe { std::mem::transmute_copy(&from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn apart_of_sixteen([a, b]: [__m512; 2]) -> [__m512; 2] {
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        [even, odd].map(|order| _mm512_permutex2var_ps(a, order, b))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn together_of_sixteen([a, b]: [__m512; 2]) -> [__m512; 2] {
        let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
        [low, high].map(|order| _mm512_permutex2var_ps(a, order, b))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn apart_of_eight([a, b]: [__m256; 2]) -> [__m256; 2] {
        let even = _mm256_shuffle_ps::<0x88>(a, b);
        let odd = _mm256_shuffle_ps::<0xdd>(a, b);
        [even, odd].map(|v| {
            let pairs = _mm256_permute4x64_pd::<0xd8>(_mm256_castps_pd(v));
            _mm256_castpd_ps(pairs)
        })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn together_of_eight([a, b]: [__m256; 2]) -> [__m256; 2] {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        [
            _mm256_permute2f128_ps::<0x20>(low, high),
            _mm256_permute2f128_ps::<0x31>(low, high),
        ]
    }

    /// Pairs of rows, pairs of pairs, then quarters of vectors.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sixteen(from: (*const f32, usize), to: (*mut f32, usize)) {
        // SAFETY: the caller's.
        let row = |i: usize| unsafe { _mm512_loadu_ps(from.0.add(i * from.1)) };
        let mut quarters = [_mm512_setzero_ps(); 16];
        for i in (0..16).step_by(4) {
            let [a, b, c, d] = [row(i), row(i + 1), row(i + 2), row(i + 3)];
            let low = [_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d)];
            let high = [_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d)];
            for (at, [ab, cd]) in [(i, low), (i + 2, high)] {
                let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
                quarters[at] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
                quarters[at + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
            }
        }
        for i in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|rows| quarters[rows + i]);
            let first = [
                _mm512_shuffle_f32x4::<0x44>(a, b),
                _mm512_shuffle_f32x4::<0x44>(c, d),
            ];
            let last = [
                _mm512_shuffle_f32x4::<0xee>(a, b),
                _mm512_shuffle_f32x4::<0xee>(c, d),
            ];
            for (at, [ab, cd]) in [(i, first), (i + 8, last)] {
                // SAFETY: the caller's.
                unsafe {
                    let even = _mm512_shuffle_f32x4::<0x88>(ab, cd);
                    _mm512_storeu_ps(to.0.add(at * to.1), even);
                    let odd = _mm512_shuffle_f32x4::<0xdd>(ab, cd);
                    _mm512_storeu_ps(to.0.add((at + 4) * to.1), odd);
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx")]
    unsafe fn eight(from: (*const f32, usize), to: (*mut f32, usize)) {
        // SAFETY: the caller's.
        let row = |i: usize| unsafe { _mm256_loadu_ps(from.0.add(i * from.1)) };
        let mut halves = [_mm256_setzero_ps(); 8];
        for i in (0..8).step_by(4) {
            let [a, b, c, d] = [row(i), row(i + 1), row(i + 2), row(i + 3)];
            let low = [_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d)];
            let high = [_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d)];
            for (at, [ab, cd]) in [(i, low), (i + 2, high)] {
                let (ab, cd) = (_mm256_castps_pd(ab), _mm256_castps_pd(cd));
                halves[at] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
                halves[at + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
            }
        }
        for i in 0..4 {
            let (a, b) = (halves[i], halves[4 + i]);
            // SAFETY: the caller's.
            unsafe {
                let low = _mm256_permute2f128_ps::<0x20>(a, b);
                _mm256_storeu_ps(to.0.add(i * to.1), low);
                let high = _mm256_permute2f128_ps::<0x31>(a, b);
                _mm256_storeu_ps(to.0.add((i + 4) * to.1), high);
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod squares {
    use pulp::Simd;

    #[inline(always)]
    pub fn has<S: Simd>() -> bool {
        false
    }

    pub unsafe fn turn<S: Simd>(_: S, _: (*const f32, usize), _: (*mut f32, usize)) {
        unreachable!("no square can be turned")
    }

    pub fn apart<S: Simd>(_: S, _: [S::f32s; 2]) -> [S::f32s; 2] {
        unreachable!("no vectors can be laid apart")
    }

    pub fn together<S: Simd>(_: S, _: [S::f32s; 2]) -> [S::f32s; 2] {
        unreachable!("no vectors can be put together")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::WithSimd;

    /// Rows 40 numbers apart to columns 50 apart.
    struct Turned<'a>(&'a [f32], (usize, usize));

    impl WithSimd for Turned<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let mut to = vec![-1.0; 40 * 50];
            // SAFETY: at most 50 rows and 40 columns.
            unsafe { turn(simd, (self.0.as_ptr(), 40), (to.as_mut_ptr(), 50), self.1) };
            to
        }
    }

    /// Numbers 0, 1, 2 .. of two vectors laid apart, and put together again.
    struct Apart;

    impl WithSimd for Apart {
        type Output = [Vec<f32>; 2];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [Vec<f32>; 2] {
            let all: Vec<f32> = (0..2 * S::F32_LANES).map(|i| i as f32).collect();
            let pair = S::as_simd_f32s(&all).0;
            let apart = apart(simd, [pair[0], pair[1]]);
            [apart, together(simd, apart)].map(|v| bytemuck::cast_slice(&v).to_vec())
        }
    }

    #[test]
    fn even_and_odd_places_part_and_meet_again() {
        let check = |[apart, together]: [Vec<f32>; 2]| {
            let lanes = apart.len() / 2;
            for (i, &v) in apart.iter().enumerate() {
                assert_eq!(v as usize, i % lanes * 2 + i / lanes, "{apart:?}");
            }
            assert!(together.iter().enumerate().all(|(i, &v)| v as usize == i));
        };
        check(pulp::Arch::new().dispatch(Apart));
        check(pulp::Arch::Scalar.dispatch(Apart));
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            check(Simd::vectorize(simd, Apart));
        }
    }

    #[test]
    fn rows_become_columns_and_nothing_else_is_written() {
        let from: Vec<f32> = (0..40 * 50).map(|i| i as f32).collect();
        for size in [
            (16, 16),
            (8, 8),
            (32, 16),
            (16, 21),
            (50, 40),
            (17, 7),
            (3, 33),
            (1, 1),
            (0, 5),
        ] {
            let mut wanted = vec![-1.0; 40 * 50];
            for i in 0..size.0 {
                for j in 0..size.1 {
                    wanted[j * 50 + i] = from[i * 40 + j];
                }
            }
            assert!(
                pulp::Arch::new().dispatch(Turned(&from, size)) == wanted,
                "{size:?}"
            );
            assert!(
                pulp::Arch::Scalar.dispatch(Turned(&from, size)) == wanted,
                "{size:?}"
            );
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert!(
                    Simd::vectorize(simd, Turned(&from, size)) == wanted,
                    "{size:?}"
                );
            }
        }
    }
}
