//! Sums of products in `f64`, whatever the numbers: eight running sums in a fixed order, which the processor overlaps.

use crate::ops::Real;

/// Sum of a_i b_i.
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (whole_a, rest_a) = a.as_chunks::<8>();
    let (whole_b, rest_b) = b.as_chunks::<8>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for i in 0..8 {
            sums[i] += a[i].f64() * b[i].f64();
        }
    }
    let rest: f64 = rest_a
        .iter()
        .zip(rest_b)
        .map(|(a, b)| a.f64() * b.f64())
        .sum();
    sums.iter().sum::<f64>() + rest
}

/// y += a x.
pub(super) fn add<T: Real>(y: &mut [T], a: f64, x: &[T]) {
    let a = T::of(a);
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * *x;
    }
}
