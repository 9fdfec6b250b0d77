//! The noise ceiling: how much of a neuron's response any model of the stimulus could predict.
//!
//! Everything is estimated from images shown at least twice; a response is NaN where a neuron was not recorded, and
//! such trials are left out, so that each image has its own number of repeats R.
//!
//! - Explainable variance (Ecker et al. 2019): obs = mean over images of (variance over repeats, ddof 1) / R;
//!   tot = variance over images (ddof 1) of the means; `fev` = max(0, (tot - obs) / tot).
//! - `maximum_correlation` = sqrt(fev): the correlation with the measured means that the true means would reach.
//! - Oracle (jackknife): each trial is predicted by the mean of the other repeats of its image; Pearson over trials.

use crate::statistics::{mean, pearson, variance, varies};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Recorded responses of one neuron, by image, without the trials on which it was not recorded.
#[derive(Clone, Debug)]
pub struct Repeats {
    images: Vec<Vec<f64>>,
}

impl Repeats {
    /// Gathers one neuron's responses; `repeats` holds the trials of each image.
    ///
    /// Trials outside `responses` count as not recorded.
    pub fn new(repeats: &[Vec<usize>], responses: ArrayView1<'_, f32>) -> Self {
        let recorded = |trials: &Vec<usize>| {
            let known = trials.iter().filter_map(|t| responses.get(*t));
            known
                .filter(|r| !r.is_nan())
                .map(|r| f64::from(*r))
                .collect()
        };
        Self {
            images: repeats.iter().map(recorded).collect(),
        }
    }

    /// Responses to each image; empty where none was recorded.
    pub fn images(&self) -> &[Vec<f64>] {
        &self.images
    }

    /// Images with at least two recorded repeats, and their index.
    pub fn repeated(&self) -> impl Iterator<Item = (usize, &[f64])> {
        let images = self.images.iter().enumerate();
        images
            .filter(|(_, r)| r.len() > 1)
            .map(|(i, r)| (i, r.as_slice()))
    }

    /// Fraction of the variance of the image means that is not sampling noise, clamped at 0 (Ecker et al. 2019);
    /// NaN with fewer than two repeated images or where the means do not vary.
    pub fn fev(&self) -> f64 {
        let means: Vec<f64> = self.repeated().map(|(_, r)| mean(r)).collect();
        let noise: Vec<f64> = self
            .repeated()
            .map(|(_, r)| variance(r, 1) / r.len() as f64)
            .collect();
        if means.len() < 2 || !varies(&means) {
            return f64::NAN;
        }
        let total = variance(&means, 1);
        ((total - mean(&noise)) / total).max(0.0)
    }

    /// Pearson, over trials, between a response and the mean of the other repeats of its image; NaN without repeats.
    pub fn oracle_correlation(&self) -> f64 {
        let (mut others, mut left_out) = (Vec::new(), Vec::new());
        for (_, responses) in self.repeated() {
            let sum: f64 = responses.iter().sum();
            for response in responses {
                others.push((sum - response) / (responses.len() - 1) as f64);
                left_out.push(*response);
            }
        }
        pearson(&others, &left_out)
    }

    /// V / sqrt(V (V + noise)): V is the variance over images of the mean response, noise the mean variance over
    /// repeats (both ddof 0). What single trials would correlate with the measured means; NaN without repeats.
    pub fn conservative_oracle(&self) -> f64 {
        let means: Vec<f64> = self.repeated().map(|(_, r)| mean(r)).collect();
        let noise: Vec<f64> = self.repeated().map(|(_, r)| variance(r, 0)).collect();
        if means.is_empty() || !varies(&means) {
            return f64::NAN;
        }
        let signal = variance(&means, 0);
        (signal / (signal + mean(&noise))).sqrt()
    }
}

/// Noise ceiling of every neuron: columns `neuron`, `oracle_correlation`, `maximum_correlation`, `fev`.
///
/// `repeats` holds the trials of each image ([`super::Recording::repeats`]), `responses` is (trials, neurons). A cell
/// is empty where too few images were repeated.
///
/// # Errors
/// When a trial lies outside `responses`.
pub fn ceiling(repeats: &[Vec<usize>], responses: ArrayView2<'_, f32>) -> Result<Table> {
    check_trials(repeats, responses)?;
    let scores: Vec<[f64; 2]> = (0..responses.ncols())
        .into_par_iter()
        .map(|n| {
            let neuron = Repeats::new(repeats, responses.column(n));
            [neuron.oracle_correlation(), neuron.fev()]
        })
        .collect();
    let column = |f: fn(&[f64; 2]) -> f64| Column::Number(scores.iter().map(f).collect());
    Ok(Table::new()
        .with(
            "neuron",
            Column::Integer((0..scores.len() as i64).collect()),
        )
        .with("oracle_correlation", column(|s| s[0]))
        .with("maximum_correlation", column(|s| s[1].sqrt()))
        .with("fev", column(|s| s[1])))
}

/// Refuses trials that `responses` does not have.
pub(crate) fn check_trials(repeats: &[Vec<usize>], responses: ArrayView2<'_, f32>) -> Result<()> {
    let trials = responses.nrows();
    match repeats.iter().flatten().find(|t| **t >= trials) {
        Some(trial) => Err(Error::bad(
            "repeats",
            "trial",
            trial,
            format!("below {trials}"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    fn neuron(images: &[&[f64]]) -> Repeats {
        Repeats {
            images: images.iter().map(|i| i.to_vec()).collect(),
        }
    }

    #[test]
    fn by_hand() {
        // Means 2, 6; variances over repeats 2, 8; the image shown once is left out.
        let n = neuron(&[&[1.0, 3.0], &[4.0, 8.0], &[100.0]]);
        // tot = 8, obs = (2 / 2 + 8 / 2) / 2 = 2.5
        assert!((n.fev() - 5.5 / 8.0).abs() < 1e-15);
        // Others 3, 1, 8, 4 against 1, 3, 4, 8: centred -1 -3 4 0 and -3 -1 0 4.
        assert!((n.oracle_correlation() - 6.0 / 26.0).abs() < 1e-15);
        // V = 4, noise = (1 + 4) / 2.
        assert!((n.conservative_oracle() - (4.0_f64 / 6.5).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn noise_beyond_the_signal_explains_nothing() {
        assert_eq!(neuron(&[&[0.0, 4.0], &[1.0, 4.0]]).fev(), 0.0);
    }

    #[test]
    fn without_repeats_or_variation_there_is_no_ceiling() {
        for n in [
            neuron(&[&[1.0], &[2.0]]),
            neuron(&[&[0.1; 3], &[0.1; 3]]),
            neuron(&[&[], &[]]),
        ] {
            assert!(n.fev().is_nan() && n.oracle_correlation().is_nan());
            assert!(n.conservative_oracle().is_nan());
        }
    }

    #[test]
    fn noise_free_responses_are_wholly_explainable() {
        let repeats: Vec<Vec<usize>> = (0..5).map(|i| vec![i, i + 5, i + 10]).collect();
        let responses = Array2::from_shape_fn((15, 2), |(t, n)| ((t % 5) * (n + 1)) as f32);
        let table = ceiling(&repeats, responses.view()).unwrap();
        for name in ["oracle_correlation", "maximum_correlation", "fev"] {
            assert!(
                table
                    .numbers(name)
                    .unwrap()
                    .iter()
                    .all(|x| (x - 1.0).abs() < 1e-12),
                "{name}"
            );
        }
    }

    #[test]
    fn simulated_signal_and_noise_give_their_analytic_ceiling() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let (images, repeats, noise) = (4000, 4, 1.5);
        let responses: Vec<Vec<f64>> = (0..images)
            .map(|_| {
                let signal = normal();
                (0..repeats).map(|_| signal + noise * normal()).collect()
            })
            .collect();
        let n = Repeats { images: responses };
        let v = noise * noise;
        assert!((n.fev() - 1.0 / (1.0 + v / 4.0)).abs() < 0.03);
        let oracle = 1.0 / ((1.0 + v / 3.0) * (1.0 + v)).sqrt();
        assert!((n.oracle_correlation() - oracle).abs() < 0.03);
    }

    #[test]
    fn unrecorded_trials_are_left_out() {
        let responses = array![[1.0_f32], [f32::NAN], [3.0], [4.0], [8.0], [9.0]];
        let n = Repeats::new(
            &[vec![0, 1, 2], vec![3, 4], vec![5, 1]],
            responses.column(0),
        );
        assert!((n.fev() - 5.5 / 8.0).abs() < 1e-15);
        assert_eq!(n.repeated().count(), 2);
        assert!(ceiling(&[vec![6]], responses.view()).is_err());
    }
}
