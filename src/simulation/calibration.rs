//! Scales, thresholds and gains that give each neuron sensible responses to the training images.

use super::neuron::{Feature, Parameters};
use crate::{Error, Result};

/// Standard deviation over mean of the rates that thresholds aim at.
const VARIATION: f64 = 1.0;
/// Range of thresholds, in units of the feature's root mean square.
const THRESHOLDS: (f64, f64) = (-6.0, 6.0);
/// Features that vary less than this, where a matched pattern of SD 1 gives about 1, are rounding errors.
const FAINT: f64 = 1e-6;
/// Halvings of that range.
const HALVINGS: usize = 32;

/// Sets scales, threshold and gain from the features of the training images.
///
/// The threshold is set so that the SD of the rate equals its mean (the usual sparseness of visual cortex). With
/// gain g, mean g m and signal variance g^2 v, Poisson noise has the variance g m and a single trial the
/// reliability g^2 v / (g^2 v + g m): g = reliability m / ((1 - reliability) v). The mean is then
/// reliability / (1 - reliability) spikes. Without noise (reliability 1) it is one spike.
///
/// # Errors
/// When the features do not vary, as with blank images.
pub(super) fn calibrate(
    mut parameters: Parameters,
    features: &[Feature],
    reliability: f64,
) -> Result<Parameters> {
    let n = features.len() as f64;
    if parameters.cell_type.is_normalised() {
        parameters.pool_scale = Some(features.iter().map(|f| f.pool).sum::<f64>() / n);
    }
    let squares = features.iter().map(|&f| parameters.divided(f).powi(2));
    parameters.scale = (squares.sum::<f64>() / n).sqrt();
    parameters.gain = 1.0;
    let (mut low, mut high) = THRESHOLDS;
    for _ in 0..HALVINGS {
        parameters.threshold = 0.5 * (low + high);
        let (mean, variance) = rate_moments(&parameters, features);
        if variance.sqrt() < VARIATION * mean {
            low = parameters.threshold;
        } else {
            high = parameters.threshold;
        }
    }
    let (mean, variance) = rate_moments(&parameters, features);
    parameters.gain = if reliability < 1.0 {
        reliability * mean / ((1.0 - reliability) * variance)
    } else {
        1.0 / mean
    };
    let varied = (variance.sqrt() / mean - VARIATION).abs() < 0.01;
    let usable = parameters.scale > FAINT && varied && parameters.gain.is_finite();
    let (x, y) = (parameters.x, parameters.y);
    usable.then_some(parameters).ok_or_else(|| {
        Error::bad(
            "simulate",
            "the training images",
            format!("without contrast around column {x:.0}, row {y:.0}"),
            "images that differ there",
        )
    })
}

/// Mean and variance (divided by n) of the expected response over images.
fn rate_moments(parameters: &Parameters, features: &[Feature]) -> (f64, f64) {
    let (mut sum, mut squares) = (0.0, 0.0);
    for &feature in features {
        let rate = parameters.rate(feature);
        sum += rate;
        squares += rate * rate;
    }
    let n = features.len() as f64;
    let mean = sum / n;
    (mean, (squares / n - mean * mean).max(0.0))
}
