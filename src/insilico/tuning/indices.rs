//! One number per experiment (Ustyuzhaninov et al. 2022, Eqs. 11-14).

use super::Curve;
use crate::insilico::harmonics::relative_harmonic;
use crate::table::{Column, Table};

/// What one neuron's curves come to; NaN where it is undefined, as for a neuron that never responds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Indices {
    /// F2/F0 of the orientation curve.
    pub orientation: f64,
    /// F1/F0 of the phase curve.
    pub phase: f64,
    /// Share of the largest response that the largest size takes away, at the highest contrast.
    pub suppression: f64,
    /// Share of the largest response that the highest contrast takes away, at the largest size.
    pub contrast: f64,
    /// Share of the largest response that the strongest orthogonal Gabor takes away, at the highest preferred contrast.
    pub plaid: f64,
}

type Pick = fn(&Indices) -> f64;

impl Indices {
    /// One row per neuron, one column per index, each name behind `prefix`.
    pub fn columns(indices: &[Self], prefix: &str, table: Table) -> Table {
        let named: [(&str, Pick); 6] = [
            ("orientation_index", |i| i.orientation),
            ("phase_index", |i| i.phase),
            ("suppression_index", |i| i.suppression),
            ("contrast_index", |i| i.contrast),
            ("plaid_index", |i| i.plaid),
            // 1 - |sum_k A_k exp(2 i theta_k)| / sum_k A_k (Kindel et al. 2019).
            ("circular_variance", |i| 1.0 - i.orientation),
        ];
        named.into_iter().fold(table, |table, (name, pick)| {
            let values = indices.iter().map(pick).collect();
            table.with(&format!("{prefix}{name}"), Column::Number(values))
        })
    }

    /// Of the curves of [`Curve::ALL`], conditions with the last axis fastest.
    pub fn of(curves: &[Vec<f64>; 4]) -> Self {
        let curve = |c: Curve| (&curves[c as usize][..], c.axes());
        let harmonic = |c: Curve, k: u32| {
            let (responses, axes) = curve(c);
            match responses.iter().sum::<f64>() > 0.0 {
                true => relative_harmonic(responses, &axes[0].values, k),
                false => f64::NAN,
            }
        };
        // The last column, and the last row.
        let lines = |c: Curve| {
            let (responses, axes) = curve(c);
            let columns = axes[1].values.len();
            let column: Vec<f64> = responses
                .chunks_exact(columns)
                .map(|r| r[columns - 1])
                .collect();
            (column, responses[responses.len() - columns..].to_vec())
        };
        let (sizes, contrasts) = lines(Curve::SizeContrast);
        let (orthogonal, _) = lines(Curve::Plaid);
        Self {
            orientation: harmonic(Curve::Orientation, 2),
            phase: harmonic(Curve::Phase, 1),
            suppression: lost(&sizes),
            contrast: lost(&contrasts),
            plaid: lost(&orthogonal),
        }
    }
}

/// What the last response lacks of the largest, as a share of the largest.
fn lost(responses: &[f64]) -> f64 {
    if responses.iter().any(|r| r.is_nan()) {
        return f64::NAN;
    }
    let largest = responses.iter().copied().fold(0.0, f64::max);
    let last = responses.last().copied().unwrap_or(f64::NAN);
    match largest > 0.0 {
        true => (largest - last) / largest,
        false => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Curves of a neuron whose responses are these functions of the values along the axes.
    fn curves(f: impl Fn(Curve, &[f64]) -> f64) -> [Vec<f64>; 4] {
        Curve::ALL.map(|c| c.conditions().iter().map(|v| f(c, v)).collect())
    }

    #[test]
    fn known_curves_have_known_indices() {
        let found = Indices::of(&curves(|curve, v| match curve {
            Curve::Orientation => 2.0 + (2.0 * (v[0] - 0.7)).cos(),
            Curve::Phase => 1.0 + 0.3 * v[0].sin(),
            // A third of the largest size's drive is lost; contrast saturates.
            Curve::SizeContrast => v[1].min(1.0) * if v[0] > 50.0 { 2.0 } else { 3.0 },
            // [orthogonal, preferred]: the orthogonal one divides.
            Curve::Plaid => v[1] / (1.0 + v[0]),
        }));
        for (got, wanted) in [
            (found.orientation, 0.25),
            (found.phase, 0.15),
            (found.suppression, 1.0 / 3.0),
            (found.contrast, 0.0),
            (found.plaid, 2.0 / 3.0),
        ] {
            assert!((got - wanted).abs() <= 1e-12, "{found:?}");
        }
    }

    #[test]
    fn a_silent_neuron_has_no_index() {
        let found = Indices::of(&curves(|_, _| 0.0));
        let all = [
            found.orientation,
            found.phase,
            found.suppression,
            found.contrast,
            found.plaid,
        ];
        assert!(all.iter().all(|i| i.is_nan()), "{found:?}");
    }
}
