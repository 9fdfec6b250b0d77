//! The noise ceiling: how much of a neuron's response any model of the stimulus could predict.
//!
//! Everything is estimated from images shown at least twice; a response is NaN where a neuron was not recorded, and
//! such trials are left out, so that each image has its own number of repeats R.
//!
//! - Explainable variance (Ecker et al. 2019): obs = mean over images of (variance over repeats, ddof 1) / R;
//!   tot = variance over images (ddof 1) of the means; `fev` = max(0, (tot - obs) / tot).
//! - `maximum_correlation` = sqrt(fev): the correlation with the measured means that the true means would reach.
//! - Single trials (Du et al. 2025): noise = mean over images of the variance over repeats, total = variance over all
//!   trials (both ddof 1); FEV = (total - noise) / total, below 0 where noise is larger.
//! - `cc_max` (Schoppe et al. 2016; Wang et al. 2025): from the power of the mean and the mean power of the repeats.
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

    /// (total - noise) / total of single trials (Du et al. 2025); NaN without repeats or variation.
    pub fn single_trial_fev(&self) -> f64 {
        let trials: Vec<f64> = self.repeated().flat_map(|(_, r)| r.to_vec()).collect();
        let noise: Vec<f64> = self.repeated().map(|(_, r)| variance(r, 1)).collect();
        if noise.is_empty() || !varies(&trials) {
            return f64::NAN;
        }
        1.0 - mean(&noise) / variance(&trials, 1)
    }

    /// Largest correlation of a model with the mean responses (Schoppe et al. 2016), sqrt(SP / var(mean, ddof 0)) with the
    /// signal power SP = (n P - TP) / (n - 1): P is the variance of the means over images, TP the mean over repeats of
    /// a repeat's variance over images (both ddof 1). Where images have t repeats, n = sqrt(sum w / sum(w / t^2)) with
    /// w = t - 1 (Wang et al. 2025). NaN without repeats, or where the signal power is not positive.
    pub fn maximum_cc(&self) -> f64 {
        let images: Vec<&Vec<f64>> = self.images.iter().filter(|r| !r.is_empty()).collect();
        let means: Vec<f64> = images.iter().map(|r| mean(r)).collect();
        let most = images.iter().map(|r| r.len()).max().unwrap_or(0);
        if means.len() < 2 || most < 2 || !varies(&means) {
            return f64::NAN;
        }
        let (mut weights, mut over_squares) = (0.0, 0.0);
        for t in images.iter().map(|r| r.len() as f64) {
            weights += t - 1.0;
            over_squares += (t - 1.0) / (t * t);
        }
        let n = (weights / over_squares).sqrt();
        let power = |repeat: usize| -> f64 {
            let of: Vec<f64> = images
                .iter()
                .filter_map(|r| r.get(repeat).copied())
                .collect();
            variance(&of, 1)
        };
        // A repeat that one image alone has does not vary.
        let powers: Vec<f64> = (0..most).map(power).filter(|p| !p.is_nan()).collect();
        let signal = (n * variance(&means, 1) - mean(&powers)) / (n - 1.0);
        match signal > 0.0 {
            true => (signal / variance(&means, 0)).sqrt(),
            false => f64::NAN,
        }
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
        // Trials 1 3 4 8: total 26 / 3, noise (2 + 8) / 2.
        assert!((n.single_trial_fev() - (1.0 - 15.0 / 26.0)).abs() < 1e-15);
    }

    #[test]
    fn signal_power_by_hand() {
        // Means 2, 6: P = 8, of ddof 0: 4; repeats 1 4 and 3 8: TP = (4.5 + 12.5) / 2 = 8.5; SP = 2 * 8 - 8.5.
        let n = neuron(&[&[1.0, 3.0], &[4.0, 8.0]]);
        assert!((n.maximum_cc() - (7.5_f64 / 4.0).sqrt()).abs() < 1e-14);
        // One image with a single response: t = 2, 2, 1; w = 1, 1, 0; n = 2. Means 2, 6, 4: P = 4, of ddof 0: 8 / 3;
        // repeats 1 4 4 and 3 8: TP = (3 + 12.5) / 2; SP = 8 - 7.75.
        let n = neuron(&[&[1.0, 3.0], &[4.0, 8.0], &[4.0]]);
        assert!((n.maximum_cc() - (0.25_f64 * 3.0 / 8.0).sqrt()).abs() < 1e-14);
        // TP = 8 > 2 P: no signal.
        assert!(neuron(&[&[0.0, 4.0], &[4.0, 1.0]]).maximum_cc().is_nan());
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
            assert!(n.conservative_oracle().is_nan() && n.single_trial_fev().is_nan());
            assert!(n.maximum_cc().is_nan());
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
        assert!((n.single_trial_fev() - 1.0 / (1.0 + v)).abs() < 0.03);
        assert!((n.maximum_cc() - (1.0 / (1.0 + v / 4.0)).sqrt()).abs() < 0.03);
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
