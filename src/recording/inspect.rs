//! What a recording holds and what is wrong with it, before anybody trains on it.

use super::ceiling::{Repeats, ceiling};
use super::warnings::{leak_among, of_responses};
use super::{Recording, Tier, first_identical, preprocess};
use crate::statistics::mean_of_known;
use ndarray::Axis;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;

/// Fewer training images than this rarely constrain a receptive field.
const FEW_IMAGES: usize = 500;

/// One tier of a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TierDescription {
    /// `train`, `validation` or `test`.
    pub tier: &'static str,
    /// Trials.
    pub trials: usize,
    /// Images, each counted once.
    pub images: usize,
    /// Fewest trials of one image.
    pub repeats_min: usize,
    /// Median number of trials of an image; NaN (null) without images.
    pub repeats_median: f64,
    /// Most trials of one image.
    pub repeats_max: usize,
}

/// Means over neurons, of those for which it is defined; NaN (null) if for none. From the test tier, of responses as they
/// are trained on: negative ones set to 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CeilingDescription {
    /// Neurons with a defined noise ceiling.
    pub neurons: usize,
    /// Jackknife oracle correlation.
    pub oracle_correlation: f64,
    /// Conservative oracle correlation.
    pub conservative_oracle: f64,
    /// Largest correlation with the repeat average that a model can reach.
    pub maximum_correlation: f64,
    /// Fraction of explainable variance.
    pub fev: f64,
}

/// What a recording holds; prints as text, serialises as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// The recording's name.
    pub name: String,
    /// Where it is from, if it says so.
    pub source: Option<String>,
    /// What responses are measured in, if it says so.
    pub response_unit: Option<String>,
    /// Size of a pixel, if it says so.
    pub degrees_per_pixel: Option<f64>,
    /// Images stored.
    pub images: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
    /// Darkest grey level.
    pub grey_min: f32,
    /// Brightest grey level.
    pub grey_max: f32,
    /// Neurons.
    pub neurons: usize,
    /// Share of (trial, neuron) pairs that were not recorded.
    pub unrecorded: f64,
    /// Neurons whose every recorded response is zero.
    pub silent_neurons: usize,
    /// Train, validation, test.
    pub tiers: Vec<TierDescription>,
    /// Noise ceiling in the test tier.
    pub ceiling: CeilingDescription,
    /// What to know before training.
    pub warnings: Vec<String>,
}

/// Describes a valid recording.
pub fn describe(recording: &Recording) -> Description {
    let tiers = super::summary::tiers(&recording.trials);
    let responses = &recording.responses;
    let unrecorded = responses.iter().filter(|r| r.is_nan()).count();
    let silent = responses
        .axis_iter(Axis(1))
        .filter(|neuron| neuron.iter().all(|r| *r == 0.0 || r.is_nan()))
        .count();
    let pixels = recording.images.iter();
    Description {
        name: recording.name.clone(),
        source: recording.source.clone(),
        response_unit: recording.response_unit.clone(),
        degrees_per_pixel: recording.degrees_per_pixel,
        images: recording.images.shape()[0],
        height: recording.height(),
        width: recording.width(),
        grey_min: pixels.clone().copied().fold(f32::INFINITY, f32::min),
        grey_max: pixels.copied().fold(f32::NEG_INFINITY, f32::max),
        neurons: recording.neuron_count(),
        unrecorded: unrecorded as f64 / responses.len() as f64,
        silent_neurons: silent,
        warnings: warnings(recording, &tiers, silent),
        ceiling: describe_ceiling(recording),
        tiers,
    }
}

fn describe_ceiling(recording: &Recording) -> CeilingDescription {
    let repeats = recording.repeats(Tier::Test);
    // What is trained on and scored, so that one ceiling is meant everywhere.
    let scale = preprocess::response_scale(recording);
    let responses = preprocess::normalised_responses(recording, scale.view());
    let table = ceiling(&repeats, responses.view()).unwrap_or_default();
    let column = |name| table.numbers(name).unwrap_or_default();
    let conservative: Vec<f64> = (0..recording.neuron_count())
        .into_par_iter()
        .map(|n| Repeats::new(&repeats, responses.column(n)).conservative_oracle())
        .collect();
    CeilingDescription {
        neurons: column("fev").iter().filter(|x| !x.is_nan()).count(),
        oracle_correlation: mean_of_known(&column("oracle_correlation")),
        conservative_oracle: mean_of_known(&conservative),
        maximum_correlation: mean_of_known(&column("maximum_correlation")),
        fev: mean_of_known(&column("fev")),
    }
}

fn warnings(recording: &Recording, tiers: &[TierDescription], silent: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let [train, validation, test] = tiers else {
        return warnings;
    };
    if train.images < FEW_IMAGES {
        warnings.push(format!(
            "few training images: {}, models want thousands",
            train.images
        ));
    }
    if validation.trials == 0 {
        warnings.push(
            "no validation trials: training cannot stop early, the last weights are kept"
                .to_string(),
        );
    }
    warnings.extend(
        [Tier::Validation, Tier::Test]
            .into_iter()
            .filter_map(|tier| {
                let neurons = unrecorded_in(recording, tier);
                (neurons > 0)
                    .then(|| format!("{neurons} neurons were not recorded on any {tier} trial"))
            }),
    );
    if test.repeats_max < 2 {
        warnings.push(
            "no test image is repeated: there is no noise ceiling, and correlations have no scale"
                .to_string(),
        );
    }
    let images: Vec<_> = recording.images.outer_iter().collect();
    let first = first_identical(&images);
    let copies = first
        .iter()
        .enumerate()
        .filter(|(row, f)| row != *f)
        .count();
    if copies > 0 {
        warnings.push(format!(
            "{copies} images repeat the pixels of an earlier one"
        ));
    }
    warnings.extend(leak_among(&[recording], &first));
    let constant = recording
        .images
        .axis_iter(Axis(0))
        .filter(|image| image.iter().all(|x| Some(x) == image.first()))
        .count();
    if constant > 0 {
        warnings.push(format!("{constant} images are one grey level throughout"));
    }
    if silent > 0 {
        warnings.push(format!("{silent} neurons never respond"));
    }
    warnings.extend(of_responses(recording));
    warnings
}

/// Neurons without a response on any trial of a tier that has trials.
fn unrecorded_in(recording: &Recording, tier: Tier) -> usize {
    let trials = recording.trials_of(tier);
    if trials.is_empty() {
        return 0;
    }
    let neurons = recording.responses.axis_iter(Axis(1));
    neurons
        .filter(|n| trials.iter().all(|t| n[*t].is_nan()))
        .count()
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        if let Some(source) = &self.source {
            writeln!(f, "  source      {source}")?;
        }
        let size = match self.degrees_per_pixel {
            Some(d) => format!(", {d} degrees per pixel"),
            None => String::new(),
        };
        writeln!(
            f,
            "  images      {} of {}x{} (height x width){size}",
            self.images, self.height, self.width
        )?;
        writeln!(f, "  grey levels {} to {}", self.grey_min, self.grey_max)?;
        self.tiers.iter().try_for_each(|t| write!(f, "{t}"))?;
        let unit = self
            .response_unit
            .as_ref()
            .map_or(String::new(), |u| format!(", in {u}"));
        writeln!(
            f,
            "  neurons     {}{unit}; {:.3} % of responses not recorded, {} neurons silent",
            self.neurons,
            100.0 * self.unrecorded,
            self.silent_neurons
        )?;
        let c = &self.ceiling;
        if c.neurons == 0 {
            writeln!(f, "  ceiling     unknown: no test image is repeated")?;
        } else {
            writeln!(
                f,
                "  ceiling     mean over {} neurons: maximum correlation {:.3}, oracle {:.3} (conservative {:.3}), explainable variance {:.3}; of responses as they are trained on, negative ones set to 0",
                c.neurons,
                c.maximum_correlation,
                c.oracle_correlation,
                c.conservative_oracle,
                c.fev
            )?;
        }
        self.warnings
            .iter()
            .try_for_each(|w| writeln!(f, "  warning: {w}"))
    }
}
