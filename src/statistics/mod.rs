//! Means, variances, correlations and tests in `f64`. Sums of squares take two passes: those of raw numbers cancel.

mod correlation;
mod distance;
mod one_sample;

pub use correlation::{Correlation, correlation, spearman};
pub use distance::{Tested, kolmogorov_smirnov};

/// Arithmetic mean; NaN of nothing.
pub fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Variance, divided by `len - ddof`; NaN when that is not positive.
pub fn variance(x: &[f64], ddof: usize) -> f64 {
    if x.len() <= ddof {
        return f64::NAN;
    }
    let centre = mean(x);
    x.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (x.len() - ddof) as f64
}

/// Pearson's correlation of two samples of equal length; NaN when either does not vary beyond rounding.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    if x.len() != y.len() || !varies(x) || !varies(y) {
        return f64::NAN;
    }
    let (mx, my) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mx, b - my);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)
}

/// Mean 0 and SD 1 (of n) over the numbers that are known; all 0 where they are all alike.
pub fn standardise(values: &mut [f64]) {
    let known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    let (mean, sd) = (mean(&known), variance(&known, 0).sqrt());
    let scale = if varies(&known) { 1.0 / sd } else { 0.0 };
    values.iter_mut().for_each(|v| *v = (*v - mean) * scale);
}

/// Whether the spread exceeds what rounding alone leaves around the mean.
pub fn varies(x: &[f64]) -> bool {
    let largest = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    variance(x, 0).sqrt() > 1e-12 * largest
}

/// Middle value, or the mean of the two in the middle; NaN of nothing. NaN values are left out.
pub fn median(x: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = x.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

/// Mean of the values that are not NaN; NaN if there is none.
pub fn mean_of_known(x: &[f64]) -> f64 {
    let known: Vec<f64> = x.iter().copied().filter(|v| !v.is_nan()).collect();
    mean(&known)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut ranks = vec![0.0; x.len()];
    for equal in order.chunk_by(|&a, &b| x[a] == x[b]) {
        let below = order.partition_point(|&i| x[i].total_cmp(&x[equal[0]]).is_lt());
        let rank = below as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&i| ranks[i] = rank);
    }
    ranks
}

/// Area under the ROC curve: how often one of `high` is above one of `low`, a tie counting half. NaN are left out.
pub fn area_under_curve(high: &[f64], low: &[f64]) -> f64 {
    let known = |v: &[f64]| -> Vec<f64> { v.iter().copied().filter(|v| !v.is_nan()).collect() };
    let (high, low) = (known(high), known(low));
    let both = [&high[..], &low[..]].concat();
    let n = high.len() as f64;
    let above: f64 = ranks(&both)[..high.len()].iter().sum::<f64>() - n * (n + 1.0) / 2.0;
    above / (n * low.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_shared_by_equal_values() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    #[test]
    fn the_area_counts_pairs() {
        assert_eq!(area_under_curve(&[2.0, 3.0, f64::NAN], &[0.0, 1.0]), 1.0);
        assert_eq!(area_under_curve(&[1.0, 3.0], &[1.0, 2.0]), 0.625);
    }

    #[test]
    fn small_samples_by_hand() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(variance(&[1.0, 2.0, 6.0], 1), 7.0);
        assert!(variance(&[1.0], 1).is_nan());
        assert_eq!(median(&[3.0, f64::NAN, 1.0, 2.0, 10.0]), 2.5);
        assert!((pearson(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_constant_has_no_correlation() {
        assert!(pearson(&[0.1; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).is_nan());
        assert!(pearson(&[], &[]).is_nan());
    }

    #[test]
    fn correlation_ignores_offset_and_scale() {
        let x = [1.0, -2.0, 0.5, 7.0];
        let y: Vec<f64> = x.iter().map(|v| 1e-9 * v + 3e-6).collect();
        assert!((pearson(&x, &y) - 1.0).abs() < 1e-9);
    }
}
