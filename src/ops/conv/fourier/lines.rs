//! Complex Fourier transforms of tiles (rows, columns), as many tiles at a time as a vector has lanes. An element is a vector of
//! real parts, then one of imaginary parts.

use pulp::Simd;
use std::f64::consts::TAU;

/// Lengths of a tile's sides: 4 R, R points and then 4 (Cooley and Tukey 1965).
pub const LENGTHS: [usize; 5] = [8, 12, 16, 20, 24];

/// A vector of complex numbers.
pub type Complex<S> = (<S as Simd>::f32s, <S as Simd>::f32s);

/// exp(-2 pi i n k / length) for n < 4 and k < R, by n and then k.
#[derive(Clone, Debug)]
pub struct Twiddles {
    length: usize,
    values: Vec<[f32; 2]>,
}

impl Twiddles {
    pub fn new(length: usize) -> Self {
        assert!(LENGTHS.contains(&length), "no tile has {length} pixels");
        let r = length / 4;
        let value = |i: usize| {
            let angle = -TAU * ((i / r) * (i % r)) as f64 / length as f64;
            [angle.cos() as f32, angle.sin() as f32]
        };
        Self {
            length,
            values: (0..length).map(value).collect(),
        }
    }
}

/// Transforms a row of a tile in place.
///
/// # Safety
/// `tile` has rows times columns elements.
#[inline(always)]
pub unsafe fn row<S: Simd>(simd: S, sides: &[Twiddles; 2], tile: *mut f32, row: usize) {
    let element = 2 * S::F32_LANES;
    unsafe {
        line(
            simd,
            &sides[1],
            tile.add(row * sides[1].length * element),
            1,
        );
    }
}

/// Transforms all columns.
///
/// # Safety
/// As [`row`].
#[inline(always)]
pub unsafe fn columns<S: Simd>(simd: S, sides: &[Twiddles; 2], tile: *mut f32) {
    let (columns, element) = (sides[1].length, 2 * S::F32_LANES);
    for column in 0..columns {
        unsafe { line(simd, &sides[0], tile.add(column * element), columns) };
    }
}

#[inline(always)]
unsafe fn line<S: Simd>(simd: S, twiddles: &Twiddles, at: *mut f32, step: usize) {
    unsafe {
        match twiddles.length {
            8 => line_of::<S, 2>(simd, &twiddles.values, at, step),
            12 => line_of::<S, 3>(simd, &twiddles.values, at, step),
            16 => line_of::<S, 4>(simd, &twiddles.values, at, step),
            20 => line_of::<S, 5>(simd, &twiddles.values, at, step),
            _ => line_of::<S, 6>(simd, &twiddles.values, at, step),
        }
    }
}

/// x[4 a + n] -> sum_n exp(-2 pi i n k / 4 R) 4-point of R-point over a.
#[inline(always)]
unsafe fn line_of<S: Simd, const R: usize>(
    simd: S,
    twiddles: &[[f32; 2]],
    at: *mut f32,
    step: usize,
) {
    let element = 2 * S::F32_LANES;
    unsafe {
        let first = of_four::<S, R>(simd, twiddles, at, step, 0);
        let second = of_four::<S, R>(simd, twiddles, at, step, 1);
        let third = of_four::<S, R>(simd, twiddles, at, step, 2);
        let fourth = of_four::<S, R>(simd, twiddles, at, step, 3);
        for k in 0..R {
            let y = four::<S>(simd, [first[k], second[k], third[k], fourth[k]]);
            for (m, &(re, im)) in y.iter().enumerate() {
                let to = at.add((k + R * m) * step * element).cast::<S::f32s>();
                to.write_unaligned(re);
                to.add(1).write_unaligned(im);
            }
        }
    }
}

/// R points of every fourth element from n on, times their twiddles.
#[inline(always)]
unsafe fn of_four<S: Simd, const R: usize>(
    simd: S,
    twiddles: &[[f32; 2]],
    at: *const f32,
    step: usize,
    n: usize,
) -> [Complex<S>; R] {
    let zero = simd.splat_f32s(0.0);
    let mut x = [(zero, zero); R];
    for (a, x) in x.iter_mut().enumerate() {
        *x = unsafe { load::<S>(at.add((4 * a + n) * step * 2 * S::F32_LANES)) };
    }
    let mut y = points::<S, R>(simd, x);
    if n > 0 {
        for (k, y) in y.iter_mut().enumerate().skip(1) {
            *y = times::<S>(simd, *y, unsafe { *twiddles.get_unchecked(n * R + k) });
        }
    }
    y
}

#[inline(always)]
pub unsafe fn load<S: Simd>(from: *const f32) -> Complex<S> {
    let from = from.cast::<S::f32s>();
    unsafe { (from.read_unaligned(), from.add(1).read_unaligned()) }
}

/// Real and imaginary parts `apart` numbers from each other.
#[inline(always)]
pub unsafe fn load_parts<S: Simd>(from: *const f32, apart: usize) -> Complex<S> {
    let part = |from: *const f32| unsafe { from.cast::<S::f32s>().read_unaligned() };
    unsafe { (part(from), part(from.add(apart))) }
}

#[inline(always)]
pub unsafe fn store<S: Simd>(to: *mut f32, apart: usize, (re, im): Complex<S>) {
    unsafe {
        to.cast::<S::f32s>().write_unaligned(re);
        to.add(apart).cast::<S::f32s>().write_unaligned(im);
    }
}

#[inline(always)]
fn times<S: Simd>(simd: S, (re, im): Complex<S>, [c, s]: [f32; 2]) -> Complex<S> {
    let (c, s) = (simd.splat_f32s(c), simd.splat_f32s(s));
    let minus = simd.neg_f32s(simd.mul_f32s(s, im));
    let plus = simd.mul_f32s(s, re);
    (
        simd.mul_add_e_f32s(c, re, minus),
        simd.mul_add_e_f32s(c, im, plus),
    )
}

#[inline(always)]
fn add<S: Simd>(simd: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    (simd.add_f32s(a.0, b.0), simd.add_f32s(a.1, b.1))
}

#[inline(always)]
fn sub<S: Simd>(simd: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    (simd.sub_f32s(a.0, b.0), simd.sub_f32s(a.1, b.1))
}

/// a - i b and a + i b.
#[inline(always)]
fn across<S: Simd>(simd: S, a: Complex<S>, b: Complex<S>) -> [Complex<S>; 2] {
    [
        (simd.add_f32s(a.0, b.1), simd.sub_f32s(a.1, b.0)),
        (simd.sub_f32s(a.0, b.1), simd.add_f32s(a.1, b.0)),
    ]
}

/// a + c b.
#[inline(always)]
fn with<S: Simd>(simd: S, a: Complex<S>, c: f32, b: Complex<S>) -> Complex<S> {
    let c = simd.splat_f32s(c);
    (
        simd.mul_add_e_f32s(c, b.0, a.0),
        simd.mul_add_e_f32s(c, b.1, a.1),
    )
}

#[inline(always)]
fn scaled<S: Simd>(simd: S, c: f32, a: Complex<S>) -> Complex<S> {
    let c = simd.splat_f32s(c);
    (simd.mul_f32s(c, a.0), simd.mul_f32s(c, a.1))
}

/// R points, 2 to 6.
#[inline(always)]
fn points<S: Simd, const R: usize>(simd: S, x: [Complex<S>; R]) -> [Complex<S>; R] {
    let mut y = x;
    match R {
        2 => (y[0], y[1]) = (add::<S>(simd, x[0], x[1]), sub::<S>(simd, x[0], x[1])),
        3 => y.copy_from_slice(&three::<S>(simd, [x[0], x[1], x[2]])),
        4 => y.copy_from_slice(&four::<S>(simd, [x[0], x[1], x[2], x[3]])),
        5 => y.copy_from_slice(&five::<S>(simd, [x[0], x[1], x[2], x[3], x[4]])),
        _ => {
            let even = three::<S>(simd, [x[0], x[2], x[4]]);
            let odd = three::<S>(simd, [x[3], x[5], x[1]]);
            for (i, (sum, difference)) in [(0, 3), (4, 1), (2, 5)].into_iter().enumerate() {
                y[sum] = add::<S>(simd, even[i], odd[i]);
                y[difference] = sub::<S>(simd, even[i], odd[i]);
            }
        }
    }
    y
}

#[inline(always)]
fn three<S: Simd>(simd: S, [x, y, z]: [Complex<S>; 3]) -> [Complex<S>; 3] {
    const SINE: f32 = 0.866_025_4;
    let sum = add::<S>(simd, y, z);
    let turned = scaled::<S>(simd, SINE, sub::<S>(simd, y, z));
    let [second, third] = across::<S>(simd, with::<S>(simd, x, -0.5, sum), turned);
    [add::<S>(simd, x, sum), second, third]
}

#[inline(always)]
fn four<S: Simd>(simd: S, [x, y, z, w]: [Complex<S>; 4]) -> [Complex<S>; 4] {
    let (even, odd) = (add::<S>(simd, x, z), add::<S>(simd, y, w));
    let [second, fourth] = across::<S>(simd, sub::<S>(simd, x, z), sub::<S>(simd, y, w));
    [
        add::<S>(simd, even, odd),
        second,
        sub::<S>(simd, even, odd),
        fourth,
    ]
}

#[inline(always)]
fn five<S: Simd>(simd: S, [x, a, b, c, d]: [Complex<S>; 5]) -> [Complex<S>; 5] {
    const COSINES: [f32; 2] = [0.309_017, -0.809_017];
    const SINES: [f32; 2] = [0.951_056_5, 0.587_785_25];
    let sums = [add::<S>(simd, a, d), add::<S>(simd, b, c)];
    let differences = [sub::<S>(simd, a, d), sub::<S>(simd, b, c)];
    let near = with::<S>(
        simd,
        scaled::<S>(simd, SINES[0], differences[0]),
        SINES[1],
        differences[1],
    );
    let far = with::<S>(
        simd,
        scaled::<S>(simd, SINES[1], differences[0]),
        -SINES[0],
        differences[1],
    );
    let first = with::<S>(
        simd,
        with::<S>(simd, x, COSINES[0], sums[0]),
        COSINES[1],
        sums[1],
    );
    let second = with::<S>(
        simd,
        with::<S>(simd, x, COSINES[1], sums[0]),
        COSINES[0],
        sums[1],
    );
    let [y, fifth] = across::<S>(simd, first, near);
    let [third, fourth] = across::<S>(simd, second, far);
    let all = add::<S>(simd, x, add::<S>(simd, sums[0], sums[1]));
    [all, y, third, fourth, fifth]
}
