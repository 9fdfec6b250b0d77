//! Simulated populations with a known answer: what they see, what they compute, how noisy they are.
//!
//! [`simulate`] makes a recording and the truth about it; [`Population::from_truth`] brings the true neurons back,
//! so that every experiment on a fitted model can be scored against them.

mod apertures;
mod calibration;
mod filters;
mod images;
mod neuron;
mod noise;
mod population;
mod random;
mod sampling;
mod settings;
#[cfg(test)]
mod tests;

pub use images::{dead_leaves, standardised_leaves};
pub use neuron::{CellType, Neuron, POOLED_ORIENTATIONS, Parameters};
pub use population::Population;
pub use settings::{Mix, Settings};

use crate::recording::{Recording, Tier, Trial};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use neuron::Feature;
use rand::seq::SliceRandom;
use random::{Purpose, stream};
use rayon::prelude::*;

/// A recording of simulated neurons, and the table of what they are: one row per neuron, with the parameters from
/// which [`Population::from_truth`] rebuilds it, `reliability` (expected, of single trials) and `mean_rate` (over
/// the training images).
///
/// Without `images` the neurons see [`dead_leaves`]. Given ones (images, height, width), grey levels of any scale,
/// are shuffled by the seed; the first ones are used. Some of those that fit may be seen through apertures. In the recording training images come first, then validation,
/// then test images; trials are in the same order, repeats of an image next to each other. Rates are computed on
/// grey levels z-scored by the mean and SD (divided by n) of the training images, `image_mean` and `image_sd` of the
/// table. The result depends on settings and images alone, not on threads.
///
/// # Errors
/// Names the impossible setting; too few, too small, blank or non-finite images.
pub fn simulate(settings: &Settings, images: Option<Array3<f32>>) -> Result<(Recording, Table)> {
    let mut images = match images {
        Some(images) => {
            let (_, height, width) = images.dim();
            settings.check(height, width)?;
            choose(settings, images)?
        }
        None => {
            settings.check(settings.height, settings.width)?;
            dead_leaves(
                settings.images(),
                settings.height,
                settings.width,
                settings.seed,
            )
        }
    };
    let fitting = settings.train + settings.validation;
    apertures::apply(&mut images, fitting, settings.apertures, settings.seed);
    let (population, features) = populate(settings, images.view())?;
    let rates = population.rates(&features)?;
    let trials = trials(settings);
    let shown: Vec<usize> = trials.iter().map(|t| t.image).collect();
    let responses = if settings.reliability < 1.0 {
        noise::poisson(rates.view(), &shown, settings.seed)?
    } else {
        rates.select(Axis(0), &shown).mapv(|rate| rate as f32)
    };
    let truth = describe(
        &population,
        rates.slice(s![..settings.train, ..]).to_owned(),
        settings,
    );
    let recording = Recording {
        name: settings.name.clone(),
        images,
        responses,
        trials,
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: Some("spikes".to_string()),
        source: Some(format!(
            "simulated: {} neurons, reliability {}, seed {}",
            settings.neurons, settings.reliability, settings.seed
        )),
    };
    Ok((recording, truth))
}

/// As many of the given images as wanted, in an order that the seed decides.
fn choose(settings: &Settings, images: Array3<f32>) -> Result<Array3<f32>> {
    let (got, wanted) = (images.dim().0, settings.images());
    if got < wanted {
        let Settings {
            train,
            validation,
            test,
            ..
        } = settings;
        return Err(Error::bad(
            "simulate",
            "the number of images",
            got,
            format!("at least {wanted} ({train} train + {validation} validation + {test} test)"),
        ));
    }
    if let Some(((image, row, column), grey)) = images.indexed_iter().find(|(_, x)| !x.is_finite())
    {
        let what = format!("pixel ({row}, {column}) of image {image}");
        return Err(Error::bad("simulate", what, grey, "a finite grey level"));
    }
    let mut order: Vec<usize> = (0..got).collect();
    order.shuffle(&mut stream(settings.seed, Purpose::Shuffle, 0));
    Ok(images.select(Axis(0), &order[..wanted]))
}

/// Draws neurons and adapts them to the training images; also returns the features of all images.
fn populate(settings: &Settings, images: ArrayView3<f32>) -> Result<(Population, Vec<Feature>)> {
    let (_, height, width) = images.dim();
    let (image_mean, image_sd) = grey_moments(images.slice(s![..settings.train, .., ..]));
    if !(image_sd > 0.0 && image_sd.is_finite()) {
        let what = "SD of the training images";
        return Err(Error::bad("simulate", what, image_sd, "a positive number"));
    }
    let neurons: Result<Vec<Neuron>> = sampling::parameters(settings, height, width)
        .into_par_iter()
        .map(|parameters| Neuron::new(parameters, height, width))
        .collect();
    let mut population = Population {
        neurons: neurons?,
        height,
        width,
        image_mean,
        image_sd,
    };
    let features = population.features(population.standardise(images).view())?;
    let count = settings.neurons;
    let calibrated: Result<Vec<Neuron>> = std::mem::take(&mut population.neurons)
        .into_par_iter()
        .enumerate()
        .map(|(i, neuron)| {
            let own = features.iter().skip(i).step_by(count).take(settings.train);
            let own: Vec<Feature> = own.copied().collect();
            let parameters = neuron.parameters().clone();
            let parameters = calibration::calibrate(parameters, &own, settings.reliability)?;
            Ok(neuron.with_parameters(parameters))
        })
        .collect();
    population.neurons = calibrated?;
    Ok((population, features))
}

/// Mean and SD (divided by n) of all pixels.
fn grey_moments(images: ArrayView3<f32>) -> (f64, f64) {
    let n = images.len() as f64;
    let mean = images.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let squares = images.iter().map(|&x| (f64::from(x) - mean).powi(2));
    (mean, (squares.sum::<f64>() / n).sqrt())
}

/// One trial per training and validation image, `repeats` per test image.
fn trials(settings: &Settings) -> Vec<Trial> {
    let validation = settings.train + settings.validation;
    (0..settings.images())
        .flat_map(|image| {
            let (tier, repeats) = match image {
                i if i < settings.train => (Tier::Train, 1),
                i if i < validation => (Tier::Validation, 1),
                _ => (Tier::Test, settings.repeats),
            };
            std::iter::repeat_n(Trial { image, tier }, repeats)
        })
        .collect()
}

/// The truth table, with what the rates (training images, neurons) tell.
fn describe(population: &Population, rates: Array2<f64>, settings: &Settings) -> Table {
    let (mut reliability, mut mean_rate) = (Vec::new(), Vec::new());
    for column in rates.columns() {
        let mean = column.sum() / column.len() as f64;
        let signal = column.var(0.0);
        let noise = if settings.reliability < 1.0 {
            mean
        } else {
            0.0
        };
        reliability.push(signal / (signal + noise));
        mean_rate.push(mean);
    }
    population
        .truth()
        .with("reliability", Column::Number(reliability))
        .with("mean_rate", Column::Number(mean_rate))
}
