//! Mean and spread of a number over fits.

use crate::statistics::{mean, variance};
use std::f64::consts::TAU;

/// Over fits; those without the number are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// NaN without any.
    pub mean: f64,
    /// ddof 1; NaN with fewer than two.
    pub sd: f64,
}

/// Of numbers on a line.
pub fn plain(values: &[f64]) -> Spread {
    let known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    Spread {
        mean: mean(&known),
        sd: variance(&known, 1).sqrt(),
    }
}

/// Of numbers on a circle: the direction of the mean vector, in [0, period), and the SD (ddof 1) of the shortest ways from it.
pub fn circular(values: &[f64], period: f64) -> Spread {
    let known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    let over = |f: fn(f64) -> f64| known.iter().map(|v| f(TAU * v / period)).sum::<f64>();
    let (sin, cos) = (over(f64::sin), over(f64::cos));
    if known.is_empty() {
        return plain(&known);
    }
    let mean = (sin.atan2(cos) / TAU * period).rem_euclid(period);
    let way = |v: &f64| (v - mean + period / 2.0).rem_euclid(period) - period / 2.0;
    let squares: f64 = known.iter().map(|v| way(v).powi(2)).sum();
    let sd = match known.len() {
        1 => f64::NAN,
        n => (squares / (n - 1) as f64).sqrt(),
    };
    // What rounding puts onto the period itself is 0.
    let mean = if mean < period { mean } else { 0.0 };
    Spread { mean, sd }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn orientations_on_both_sides_of_zero_have_a_mean_near_zero() {
        let found = circular(&[0.1, PI - 0.1, f64::NAN], PI);
        assert!(found.mean.min(PI - found.mean) < 1e-12, "{found:?}");
        assert!((found.sd - 0.1 * 2.0f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn away_from_the_seam_both_are_alike() {
        let values = [1.0, 1.2, 0.9];
        let (a, b) = (circular(&values, TAU), plain(&values));
        assert!((a.mean - b.mean).abs() < 1e-3 && (a.sd - b.sd).abs() < 1e-3);
        assert!(plain(&[1.0]).sd.is_nan() && circular(&[], PI).mean.is_nan());
    }
}
