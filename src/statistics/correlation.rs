//! Correlations of two quantities over the pairs in which both are known.

use super::{pearson, ranks};
use statrs::function::beta::beta_reg;

/// How two quantities go together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// Linear correlation; NaN where either quantity does not vary.
    pub pearson: f64,
    /// Rank correlation; equal values share their ranks' mean.
    pub spearman: f64,
    /// Probability of a linear correlation at least as far from zero between independent normal quantities, from
    /// Student's t with `pairs - 2` degrees of freedom; NaN of fewer than three pairs.
    pub p_value: f64,
    /// Pairs without NaN.
    pub pairs: usize,
}

/// The pairs without NaN.
fn known_pairs(x: &[f64], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let pairs = x.iter().zip(y).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    pairs.unzip()
}

/// Spearman's rank correlation over the pairs without NaN; NaN where it is undefined.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = known_pairs(x, y);
    pearson(&ranks(&x), &ranks(&y))
}

/// Pearson's and Spearman's correlation over the pairs without NaN, and Pearson's two-sided p-value.
pub fn correlation(x: &[f64], y: &[f64]) -> Correlation {
    let (x, y) = known_pairs(x, y);
    let r = pearson(&x, &y);
    Correlation {
        pearson: r,
        spearman: pearson(&ranks(&x), &ranks(&y)),
        p_value: p_value(r, x.len()),
        pairs: x.len(),
    }
}

/// P(|t| >= |r| sqrt(n - 2) / sqrt(1 - r^2)) = I_(1 - r^2)(n/2 - 1, 1/2), the incomplete beta function.
fn p_value(r: f64, pairs: usize) -> f64 {
    if r.is_nan() || pairs < 3 {
        return f64::NAN;
    }
    let left = (1.0 - r.abs()) * (1.0 + r.abs());
    beta_reg(pairs as f64 / 2.0 - 1.0, 0.5, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_pairs_by_hand() {
        // With one degree of freedom t is Cauchy: p = 1 - (2 / pi) asin |r|; here r = 1/2.
        let c = correlation(&[1.0, 2.0, f64::NAN, 3.0], &[1.0, 3.0, 0.0, 2.0]);
        assert!((c.pearson - 0.5).abs() <= 1e-15 && (c.spearman - 0.5).abs() <= 1e-15);
        assert!((c.p_value - 2.0 / 3.0).abs() <= 1e-14, "{c:?}");
        assert_eq!(c.pairs, 3);
    }

    #[test]
    fn a_straight_line_is_no_chance() {
        let c = correlation(&[1.0, 2.0, 4.0], &[2.0, 4.0, 8.0]);
        assert_eq!((c.pearson, c.p_value), (1.0, 0.0));
    }

    #[test]
    fn two_pairs_and_a_constant_tell_nothing() {
        assert!(correlation(&[1.0, 2.0], &[2.0, 1.0]).p_value.is_nan());
        let c = correlation(&[1.0; 9], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert!(c.pearson.is_nan() && c.p_value.is_nan() && c.pairs == 9);
        assert_eq!(correlation(&[], &[]).pairs, 0);
    }

    #[test]
    fn ranks_ignore_the_scale() {
        let x = [1.0, 2.0, f64::NAN, 5.0];
        assert!((spearman(&x, &[10.0, 100.0, 0.0, 1000.0]) - 1.0).abs() <= 1e-12);
    }
}
