//! What a recording holds and what is wrong with it, before anybody trains on it.

use super::ceiling::{Repeats, ceiling};
use super::duplicates::{Duplicates, Thresholds, duplicates};
use super::lookalikes::across_tiers;
use super::spread::{Spread, spreads};
use super::warnings::{leak_among, of_statistics};
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
    /// Neurons that always respond alike, but not by zero.
    pub constant_neurons: usize,
    /// Neurons whose largest response comes again and again, so that it is likely cut off there.
    pub saturated_neurons: usize,
    /// Neurons with negative responses.
    pub negative_neurons: usize,
    /// Neurons without any response.
    pub unrecorded_neurons: usize,
    /// Images of one grey level throughout.
    pub constant_images: usize,
    /// Pairs of images in different tiers that are nearly the same.
    pub lookalikes: usize,
    /// Cells that were recorded twice; none (null) where `neurons.csv` has no positions of cells.
    pub duplicates: Option<Duplicates>,
    /// Train, validation, test.
    pub tiers: Vec<TierDescription>,
    /// Noise ceiling in the test tier.
    pub ceiling: CeilingDescription,
    /// What to know before training.
    pub warnings: Vec<String>,
}

/// Describes a valid recording.
pub fn describe(recording: &Recording) -> Description {
    describe_with(recording, Thresholds::default())
}

/// As [`describe`]; what counts as one cell recorded twice is given.
pub fn describe_with(recording: &Recording, thresholds: Thresholds) -> Description {
    let tiers = super::summary::tiers(&recording.trials);
    let spreads = spreads(recording.responses.view());
    let count = |f: fn(&Spread) -> bool| spreads.iter().filter(|s| f(s)).count();
    let recorded: usize = spreads.iter().map(|s| s.recorded).sum();
    let pixels = recording.images.iter();
    let images: Vec<_> = recording.images.outer_iter().collect();
    let first = first_identical(&images);
    let lookalikes = across_tiers(recording, &first);
    let found = duplicates(recording, thresholds);
    let mut warnings = warnings(recording, &tiers, &first);
    let constant_images = images
        .iter()
        .filter(|image| image.iter().all(|x| Some(x) == image.first()))
        .count();
    let neurons = [
        count(Spread::is_unrecorded),
        count(Spread::is_silent),
        count(Spread::is_constant),
        count(Spread::is_saturated),
    ];
    warnings.extend(of_images(&lookalikes, constant_images));
    warnings.extend(of_neurons(neurons));
    let statistics = preprocess::training_statistics(recording);
    warnings.extend(of_statistics(recording, &statistics));
    match &found {
        Ok(Some(found)) if found.groups > 0 => warnings.push(format!(
            "{} neurons are {} cells recorded twice or more: count distinct cells, not neurons; --write adds the column duplicate_of to neurons.csv",
            found.neurons_in_groups, found.groups
        )),
        Ok(_) => {}
        Err(e) => warnings.push(format!("no search for cells recorded twice: {e}")),
    }
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
        unrecorded: 1.0 - recorded as f64 / recording.responses.len() as f64,
        unrecorded_neurons: neurons[0],
        silent_neurons: neurons[1],
        constant_neurons: neurons[2],
        saturated_neurons: neurons[3],
        negative_neurons: count(|s| s.least < 0.0),
        constant_images,
        lookalikes: lookalikes.len(),
        duplicates: found.ok().flatten(),
        warnings,
        ceiling: describe_ceiling(recording, &statistics.1),
        tiers,
    }
}

fn describe_ceiling(recording: &Recording, sds: &[f64]) -> CeilingDescription {
    let trials: Vec<usize> = recording.repeats(Tier::Test).concat();
    // By their place among the test trials, image by image.
    let mut places = 0..trials.len();
    let own = |of: &Vec<usize>| -> Vec<usize> { places.by_ref().take(of.len()).collect() };
    let repeats: Vec<Vec<usize>> = recording.repeats(Tier::Test).iter().map(own).collect();
    // What is trained on and scored, so that one ceiling is meant everywhere.
    let scale = preprocess::scale_of(sds);
    let shown = recording.responses.select(Axis(0), &trials);
    let responses = preprocess::normalise(shown, scale.view());
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

fn warnings(recording: &Recording, tiers: &[TierDescription], first: &[usize]) -> Vec<String> {
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
    let copies = first
        .iter()
        .enumerate()
        .filter(|(row, f)| row != *f)
        .count();
    if copies > 0 {
        warnings.push(format!(
            "{copies} images repeat the pixels of an earlier one: their trials do not count as its repeats; import anew to join them"
        ));
    }
    warnings.extend(leak_among(&[recording], first));
    warnings
}

fn of_images(lookalikes: &[(usize, usize)], constant: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if !lookalikes.is_empty() {
        let shown = lookalikes
            .iter()
            .take(3)
            .map(|(a, b)| format!("{a} and {b}"));
        let shown: Vec<String> = shown.collect();
        warnings.push(format!(
            "leak: {} pairs of images in different tiers are nearly the same: {}; put both into one tier",
            lookalikes.len(),
            shown.join("; ")
        ));
    }
    if constant > 0 {
        warnings.push(format!(
            "{constant} images are one grey level throughout: blanks teach a model nothing, leave them out"
        ));
    }
    warnings
}

fn of_neurons([unrecorded, silent, constant, saturated]: [usize; 4]) -> Vec<String> {
    let all = [
        (unrecorded, "have no response at all: leave them out"),
        (
            silent,
            "never respond: leave them out, their scores mean nothing",
        ),
        (
            constant,
            "always respond alike: leave them out, their scores mean nothing",
        ),
        (
            saturated,
            "have their largest response again and again: were responses cut off there?",
        ),
    ];
    let some = all.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} neurons {what}"))
        .collect()
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
        if let Some(found) = &self.duplicates {
            writeln!(
                f,
                "  cells       {} distinct (within {} um in adjacent planes, responses correlated above {})",
                found.distinct_cells, found.thresholds.distance, found.thresholds.correlation
            )?;
        }
        self.warnings
            .iter()
            .try_for_each(|w| writeln!(f, "  warning: {w}"))
    }
}
