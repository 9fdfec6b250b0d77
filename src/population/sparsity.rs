//! How few features a neuron's readout needs (Ecker et al. 2019, readout statistics).

use super::BarCodes;
use crate::table::{Column, Table};
use ndarray::ArrayView2;

/// Weights at most this far from 0 do not count where signs are compared.
pub const FAINT: f32 = 0.01;

/// Of one neuron's readout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sparsity {
    /// The feature with most of the energy: argmax over f of `e_f = sum_o w_fo^2 / |w|^2`.
    pub dominant: usize,
    /// Its share of the energy, e_f.
    pub share: f64,
    /// Share of the more frequent sign among that feature's weights above [`FAINT`] in size; NaN where there is none.
    pub sign_agreement: f64,
}

impl Sparsity {
    /// Of a bar code (F, O); none for one that is all zero.
    pub fn of(code: ArrayView2<f32>) -> Option<Self> {
        let energies: Vec<f64> = code
            .outer_iter()
            .map(|w| w.iter().map(|w| f64::from(*w).powi(2)).sum())
            .collect();
        let total: f64 = energies.iter().sum();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        // Ties go to the first.
        let dominant = (0..energies.len())
            .rev()
            .max_by(|&a, &b| energies[a].total_cmp(&energies[b]))?;
        let count = |sign: f32| {
            let weights = code.row(dominant);
            weights.iter().filter(|w| **w * sign > FAINT).count() as f64
        };
        let (up, down) = (count(1.0), count(-1.0));
        Some(Self {
            dominant,
            share: energies[dominant] / total,
            sign_agreement: up.max(down) / (up + down),
        })
    }
}

/// A row per neuron: `neuron,dominant_feature,energy_share,sign_agreement`; empty cells where all weights are zero.
pub fn table(codes: &BarCodes) -> Table {
    let found: Vec<Option<Sparsity>> = codes.codes.outer_iter().map(Sparsity::of).collect();
    let numbers = |pick: fn(&Sparsity) -> f64| {
        let values = found.iter().map(|s| s.as_ref().map_or(f64::NAN, pick));
        Column::Number(values.collect())
    };
    let neurons = codes.who.iter().map(|w| w.neuron as i64).collect();
    Table::new()
        .with("neuron", Column::Integer(neurons))
        .with("dominant_feature", numbers(|s| s.dominant as f64))
        .with("energy_share", numbers(|s| s.share))
        .with("sign_agreement", numbers(|s| s.sign_agreement))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn shares_and_signs_are_those_of_the_strongest_feature() {
        let code = arr2(&[[0.1f32, 0.0], [0.5, -0.005], [0.3, -0.3]]);
        let found = Sparsity::of(code.view()).unwrap();
        assert_eq!(found.dominant, 1);
        let total = 0.01 + 0.250_025 + 0.18;
        assert!((found.share - 0.250_025 / total).abs() <= 1e-6, "{found:?}");
        assert_eq!(found.sign_agreement, 1.0);
        let mixed = Sparsity::of(arr2(&[[0.3f32, -0.3, 0.2]]).view()).unwrap();
        assert!((mixed.sign_agreement - 2.0 / 3.0).abs() <= 1e-12);
    }

    #[test]
    fn of_equal_features_the_first_is_dominant_and_zeros_have_none() {
        let found = Sparsity::of(arr2(&[[0.001f32], [0.001]]).view()).unwrap();
        assert_eq!((found.dominant, found.share), (0, 0.5));
        assert!(found.sign_agreement.is_nan());
        assert_eq!(Sparsity::of(arr2(&[[0.0f32, 0.0]]).view()), None);
    }
}
