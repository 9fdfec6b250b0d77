//! How to align, and what can be aligned.

use crate::ops::align::Temperature;
use crate::population::barcodes::{filled_rows, make_unit};
use crate::{Error, Result};
use ndarray::{Array3, ArrayView3, Axis};

/// How to align.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Weights of the reconstruction, one fit each.
    pub penalties: Vec<f64>,
    /// Whether codes are first divided by their norm.
    pub normalise: bool,
    /// Starts that compete under the largest penalty; the sweep begins where the one of least loss did. The first is the
    /// authors', the others are alignments by whole steps.
    pub restarts: usize,
    /// Of all random numbers.
    pub seed: u64,
    /// Adam's, at first.
    pub learning_rate: f64,
    /// Rates, each the last over sqrt(10).
    pub phases: usize,
    /// Steps between two evaluations of the loss.
    pub evaluate_every: usize,
    /// What an evaluation must improve on the best, as a share of it.
    pub improvement: f64,
    /// Evaluations without that before the rate falls.
    pub patience: usize,
    /// Most steps of a fit.
    pub max_steps: usize,
    /// T stays below it.
    pub temperature_cap: Option<f64>,
    /// The chosen fit's T is above it.
    pub least_temperature: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            penalties: log_spaced(1e-3, 10.0, 20),
            normalise: true,
            restarts: 2,
            seed: 0,
            learning_rate: 0.01,
            phases: 5,
            evaluate_every: 100,
            improvement: 1e-3,
            patience: 5,
            max_steps: 10_000,
            temperature_cap: None,
            least_temperature: 5.0,
        }
    }
}

/// `count` numbers from `least` to `most`, evenly on a logarithmic axis.
pub fn log_spaced(least: f64, most: f64, count: usize) -> Vec<f64> {
    let step = (most / least).ln() / (count.max(2) - 1) as f64;
    (0..count)
        .map(|i| least * (step * i as f64).exp())
        .collect()
}

impl Settings {
    pub(super) fn temperature(&self) -> Temperature {
        Temperature {
            cap: self.temperature_cap,
        }
    }
}

pub(super) fn check_codes(codes: ArrayView3<f32>) -> Result<()> {
    let (n, features, o) = codes.dim();
    if n * features * o == 0 {
        return Err(Error::bad(
            "alignment",
            "the codes' shape",
            format!("({n}, {features}, {o})"),
            "neurons, features and orientations",
        ));
    }
    if !codes.iter().all(|v| v.is_finite()) {
        return Err(Error::bad(
            "alignment",
            "a code",
            "not finite",
            "finite numbers",
        ));
    }
    Ok(())
}

pub(super) fn check(settings: &Settings) -> Result<()> {
    let positive = |v: f64| v.is_finite() && v > 0.0;
    let wrong = [
        (
            "penalties",
            settings.penalties.is_empty() || !settings.penalties.iter().all(|&p| positive(p)),
        ),
        ("restarts", settings.restarts == 0),
        ("the learning rate", !positive(settings.learning_rate)),
        ("phases", settings.phases == 0),
        ("steps between evaluations", settings.evaluate_every == 0),
        ("patience", settings.patience == 0),
        (
            "the temperature's cap",
            settings.temperature_cap.is_some_and(|c| !positive(c)),
        ),
        (
            "the least improvement",
            !(settings.improvement >= 0.0 && settings.improvement < 1.0),
        ),
    ];
    match wrong.iter().find(|(_, wrong)| *wrong) {
        Some((what, _)) => Err(Error::bad(
            "alignment",
            what,
            format!("{settings:?}"),
            "positive numbers",
        )),
        None => Ok(()),
    }
}

/// Rows that are not zero, and their codes.
pub(super) fn used(codes: ArrayView3<f32>, normalise: bool) -> Result<(Vec<usize>, Array3<f32>)> {
    let used = filled_rows(codes);
    if used.is_empty() {
        return Err(Error::bad(
            "alignment",
            "every code",
            "zero",
            "at least one that is not",
        ));
    }
    let mut kept = codes.select(Axis(0), &used);
    if normalise {
        make_unit(&mut kept);
    }
    Ok((used, kept))
}
