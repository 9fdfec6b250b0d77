//! Poisson GLMs with a log link: the linear-exponential model of every neuron, the baseline of the twin.
//!
//! For responses r (rectified, over their SD) to z-scored pixels x (one mean and one SD), n trials, each neuron's
//! weights w and intercept b minimise
//!
//! ```text
//! 1/n sum (exp(eta) - r eta) + alpha/2 |w|^2,    eta = x w + b
//! ```
//!
//! with the intercept free. The penalty alpha is chosen per neuron by cross-validation over log-spaced values: the least
//! negative log-likelihood of all trials held out, folds by image. Weights are then fitted to all training and
//! validation trials. Repeats of an image are one row with their number as its weight, which is the same sum.
//!
//! Neurons, folds and penalties make one batch (`solver`) in coordinates where it is well conditioned (`design`,
//! `rotation`); cross-validation runs in `f32` (what does not converge there, again in
//! `f64`), the final fits in `f64`.

mod column;
mod design;
mod number;
mod rotation;
mod solver;
mod trials;

pub mod keep;
pub mod progress;

use crate::recording::{Recording, Tier, preprocess};
use crate::scoring::{carry_neurons, evaluate};
use crate::table::{Column, Table};
use crate::{Error, Result};
use design::{Coordinates, Design};
use ndarray::{Array1, Array2, Array3, Axis};
use progress::Progress;
use solver::{Chain, Limits, Solved, solve};
use std::collections::BTreeSet;
use trials::Trials;

/// Strongest penalty and weakest one.
pub const PENALTIES: (f64, f64) = (5.0, 0.1);
/// A column has converged when the norm of its gradient is below this part of the norm without weights.
pub const TOLERANCE: f64 = 1e-4;
/// As [`TOLERANCE`], of the final weights.
pub const FINAL_TOLERANCE: f64 = 1e-7;
/// Iterations after which a column is given up.
const ITERATIONS: usize = 300;

/// How the penalty is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Log-spaced values between the ends of [`PENALTIES`].
    pub penalties: usize,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Deals images to folds.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            penalties: 48,
            folds: 5,
            seed: 1,
        }
    }
}

impl Settings {
    /// The penalties, strongest first.
    pub fn values(&self) -> Vec<f64> {
        let (most, least) = PENALTIES;
        let last = self.penalties.saturating_sub(1).max(1) as f64;
        let at = |i: usize| most * (least / most).powf(i as f64 / last);
        (0..self.penalties).map(at).collect()
    }

    fn check(&self) -> Result<()> {
        if self.penalties < 1 {
            return Err(Error::bad("--penalties", "the number", 0, "at least 1"));
        }
        if self.folds < 2 {
            let wanted = "at least 2: one is held out, the others are fitted";
            return Err(Error::bad("--folds", "the number", self.folds, wanted));
        }
        Ok(())
    }
}

/// Fitted GLMs, in the order of the chosen neurons.
#[derive(Clone, Debug)]
pub struct Glms {
    /// `neuron,penalty,intercept,test_correlation,converged`, and what `neurons.csv` says.
    pub table: Table,
    /// The columns of `evaluation.csv` (see [`crate::scoring::metrics`]), one row per neuron; none without test images.
    pub scores: Option<Table>,
    /// Weights on z-scored pixels, (neurons, height, width).
    pub weights: Array3<f32>,
    /// Rows of the recording without anything to fit: silent or constant on all training and validation trials.
    pub not_fitted: Vec<usize>,
    /// Others with a column, of cross-validation or the final fit, that did not converge.
    pub unconverged: Vec<usize>,
    /// Largest norm of the gradient of a converged column over its norm without weights; at most [`TOLERANCE`].
    pub largest_gradient: f64,
    /// Iterations of all columns together.
    pub iterations: u64,
}

/// Fits a GLM to each of `neurons`; `stop` is asked for a signal between iterations.
///
/// A neuron whose rectified responses are all the same, 0 or another number, is not fitted: its weights are 0, intercept,
/// penalty and correlation missing. A neuron that is silent on all images but those of one fold counts as unconverged.
///
/// # Errors
/// Names the setting, or what the recording lacks; [`Error::Stopped`].
pub fn fit(
    recording: &Recording,
    neurons: &[usize],
    settings: &Settings,
    progress: Progress,
    stop: &dyn Fn() -> Option<i32>,
) -> Result<Glms> {
    settings.check()?;
    let trials = Trials::new(recording, settings.folds, settings.seed)?;
    let pixels = recording.height() * recording.width();
    let (coordinates, design) = Coordinates::new(trials.pixels()?, pixels);
    let (rows, rest): (Vec<usize>, Vec<usize>) =
        (0..neurons.len()).partition(|row| trials.varies(neurons[*row]));
    let fitted: Vec<usize> = rows.iter().map(|row| neurons[*row]).collect();
    let mut fits = Fits::new(fitted.len(), settings);
    let mut last = Vec::new();
    if !fitted.is_empty() {
        fits.cross_validate(&trials, &fitted, &design, progress, stop)?;
        last = fits.refit(&trials, &fitted, &design, progress, stop)?;
    }
    let mut weights = Array3::zeros((neurons.len(), recording.height(), recording.width()));
    let (mut intercepts, mut penalties) =
        (vec![f64::NAN; neurons.len()], vec![f64::NAN; neurons.len()]);
    for ((&n, solution), penalty) in rows.iter().zip(&last).zip(&fits.chosen) {
        if solution.is_empty() {
            continue;
        }
        let (of, intercept) = coordinates.to_pixels(solution);
        (intercepts[n], penalties[n]) = (intercept, *penalty);
        for (to, from) in weights.index_axis_mut(Axis(0), n).iter_mut().zip(of) {
            *to = from as f32;
        }
    }
    let scores = scored(recording, neurons, &weights, &intercepts)?;
    let correlations = scores
        .as_ref()
        .and_then(|s| s.numbers("correlation_to_average"));
    let correlations = correlations.map_or(vec![f64::NAN; neurons.len()], |c| c.to_vec());
    let unconverged = fitted.iter().zip(&fits.converged).filter(|(_, c)| !**c);
    let mut converged = vec![false; neurons.len()];
    for (row, good) in rows.iter().zip(&fits.converged) {
        converged[*row] = *good;
    }
    let mut table = Table::new()
        .with(
            "neuron",
            Column::Integer(neurons.iter().map(|n| *n as i64).collect()),
        )
        .with("penalty", Column::Number(penalties))
        .with("intercept", Column::Number(intercepts))
        .with("test_correlation", Column::Number(correlations))
        .with("converged", Column::Boolean(converged));
    if let Some(known) = &recording.neurons {
        table = carry_neurons(table, &known.select(neurons))?;
    }
    Ok(Glms {
        table,
        scores,
        weights,
        not_fitted: rest.iter().map(|row| neurons[*row]).collect(),
        unconverged: unconverged.map(|(n, _)| *n).collect(),
        largest_gradient: fits.largest_gradient,
        iterations: fits.iterations,
    })
}

/// What the columns leave behind.
struct Fits {
    penalties: Vec<f64>,
    folds: usize,
    /// Chosen penalty of each neuron.
    chosen: Vec<f64>,
    /// Whether all columns of a neuron converged.
    converged: Vec<bool>,
    largest_gradient: f64,
    iterations: u64,
}

impl Fits {
    fn new(neurons: usize, settings: &Settings) -> Self {
        Self {
            penalties: settings.values(),
            folds: settings.folds,
            chosen: vec![f64::NAN; neurons],
            converged: vec![true; neurons],
            largest_gradient: 0.0,
            iterations: 0,
        }
    }

    /// Chooses the penalties. Chains with a column that does not converge in `f32` are solved again in `f64`.
    fn cross_validate(
        &mut self,
        trials: &Trials<'_>,
        neurons: &[usize],
        design: &Design<f64>,
        progress: Progress,
        stop: &dyn Fn() -> Option<i32>,
    ) -> Result<()> {
        let penalties = self.penalties.clone();
        let chains: Vec<Chain<'_>> = neurons
            .iter()
            .flat_map(|&neuron| (0..self.folds).map(move |fold| (neuron, fold)))
            .map(|(neuron, fold)| Chain {
                neuron,
                fold: Some(fold),
                penalties: &penalties,
            })
            .collect();
        // (chains, penalties): summed over folds in their order, whatever the order of columns was.
        let mut losses = Array2::<f64>::zeros((chains.len(), penalties.len()));
        let mut again = BTreeSet::new();
        let limits = Limits {
            tolerance: TOLERANCE,
            iterations: ITERATIONS,
        };
        let folds = self.folds;
        let (converged, largest) = (&mut self.converged, &mut self.largest_gradient);
        let observer = progress.observer("cross-validation");
        let narrow = design.narrow();
        self.iterations += solve(&narrow, trials, &chains, limits, observer, stop, &mut |s| {
            losses[[s.chain, s.at]] = s.held_out;
            if s.converged {
                *largest = largest.max(s.relative);
            } else if s.weights.is_empty() {
                converged[s.chain / folds] = false;
            } else {
                again.insert(s.chain);
            }
        })?;
        if !again.is_empty() {
            let again: Vec<usize> = again.into_iter().collect();
            let chains: Vec<Chain<'_>> = again.iter().map(|c| chains[*c]).collect();
            let observer = progress.observer("cross-validation, in float64");
            self.iterations += solve(design, trials, &chains, limits, observer, stop, &mut |s| {
                let chain = again[s.chain];
                losses[[chain, s.at]] = s.held_out;
                converged[chain / folds] &= s.converged;
                if s.converged {
                    *largest = largest.max(s.relative);
                }
            })?;
        }
        for (chosen, losses) in self
            .chosen
            .iter_mut()
            .zip(losses.axis_chunks_iter(Axis(0), folds))
        {
            let losses = losses.sum_axis(Axis(0));
            let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            *chosen = best.map_or(f64::NAN, |(i, _)| penalties[i]);
        }
        Ok(())
    }

    /// Weights in the design's coordinates, nothing for neurons that cannot be fitted.
    fn refit(
        &mut self,
        trials: &Trials<'_>,
        neurons: &[usize],
        design: &Design<f64>,
        progress: Progress,
        stop: &dyn Fn() -> Option<i32>,
    ) -> Result<Vec<Vec<f64>>> {
        let chains: Vec<Chain<'_>> = neurons
            .iter()
            .zip(self.chosen.chunks(1))
            .map(|(&neuron, penalties)| Chain {
                neuron,
                fold: None,
                penalties,
            })
            .collect();
        let limits = Limits {
            tolerance: FINAL_TOLERANCE,
            iterations: ITERATIONS,
        };
        let mut solutions = vec![Vec::new(); neurons.len()];
        let (converged, largest) = (&mut self.converged, &mut self.largest_gradient);
        let observer = progress.observer("final fits");
        let iterations = solve(
            design,
            trials,
            &chains,
            limits,
            observer,
            stop,
            &mut |s: Solved<f64>| {
                converged[s.chain] &= s.converged;
                if s.converged {
                    *largest = largest.max(s.relative);
                }
                solutions[s.chain] = s.weights;
            },
        )?;
        self.iterations += iterations;
        Ok(solutions)
    }
}

/// Predicted rates against the responses to the test images.
fn scored(
    recording: &Recording,
    neurons: &[usize],
    weights: &Array3<f32>,
    intercepts: &[f64],
) -> Result<Option<Table>> {
    let images = recording.images_of(Tier::Test);
    if images.is_empty() {
        return Ok(None);
    }
    let fitted = preprocess::Preprocessing::images(std::slice::from_ref(recording))?;
    let z = fitted.z_score(recording.images.select(Axis(0), &images).view());
    let flat = |a: Array3<f32>| -> Result<Array2<f64>> {
        let (n, h, w) = a.dim();
        let flat = a.into_shape_with_order((n, h * w));
        let flat = flat.map_err(|e| Error::Other(format!("glm: {e}")))?;
        Ok(flat.mapv(f64::from))
    };
    let drive = flat(z)?.dot(&flat(weights.clone())?.t()) + Array1::from(intercepts.to_vec());
    let scale = preprocess::response_scale(recording);
    let responses = preprocess::normalised_responses(recording, scale.view());
    let mut scores = evaluate(
        drive.mapv(f64::exp).view(),
        &recording.repeats(Tier::Test),
        responses.select(Axis(1), neurons).view(),
    )?;
    if let Some(known) = &recording.neurons {
        scores = carry_neurons(scores, &known.select(neurons))?;
    }
    Ok(Some(scores))
}

#[cfg(test)]
mod tests;
