//! What the model sees: z-scored images, rectified responses in units of their SD (Ecker et al. 2019).
//!
//! Images: one mean and one SD (ddof 0) over all pixels of all training trials, pooled over recordings; an image shown
//! twice counts twice. Responses: r' = max(0, r) / s, where s is the SD (ddof 0) over recorded training trials *before*
//! rectification; a neuron whose SD is below 1 % of the mean SD keeps its unit (s = 1). No mean is subtracted.

use super::{Recording, Tier};
use crate::statistics::{mean, variance};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

/// Mean normalised response above which a neuron counts as having a baseline that the stimulus does not explain, such as
/// that of raw fluorescence. Rates of spikes and of deconvolved activity lie below.
pub const BASELINE: f32 = 3.0;

/// Grey levels to z-scores: z = (x - mean) / sd.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Mean grey level of the training trials.
    pub image_mean: f32,
    /// Their SD, positive.
    pub image_sd: f32,
}

impl Preprocessing {
    /// Mean and SD (ddof 0) of the pixels of all training trials of all recordings.
    ///
    /// # Errors
    /// When the grey levels do not vary, or there is no training trial.
    pub fn images(recordings: &[Recording]) -> Result<Self> {
        let pixels: f64 = recordings
            .iter()
            .map(|r| r.trials_of(Tier::Train).len() as f64 * (r.height() * r.width()) as f64)
            .sum();
        let mean = pooled(recordings, |x| x) / pixels;
        let sd = (pooled(recordings, |x| (x - mean) * (x - mean)) / pixels).sqrt();
        let fitted = Self {
            image_mean: mean as f32,
            image_sd: sd as f32,
        };
        // Not `sd <= 0`: NaN and what rounding leaves of a constant must not pass.
        if !(sd > 1e-9 * mean.abs() && fitted.image_sd > 0.0) {
            return Err(Error::bad(
                recordings
                    .iter()
                    .map(|r| r.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                "SD of the training images",
                sd,
                format!("a positive number: every pixel is {mean}"),
            ));
        }
        Ok(fitted)
    }

    /// z-scores of images (images, height, width).
    pub fn z_score(&self, images: ArrayView3<'_, f32>) -> Array3<f32> {
        images.mapv(|x| (x - self.image_mean) / self.image_sd)
    }
}

/// Sum of `f` over the pixels of all training trials; the order of additions does not depend on threads.
fn pooled(recordings: &[Recording], f: impl Fn(f64) -> f64 + Sync) -> f64 {
    let sum = |recording: &Recording| -> f64 {
        let shown: Vec<(usize, usize)> = recording
            .images_of(Tier::Train)
            .into_iter()
            .zip(recording.repeats(Tier::Train).iter().map(Vec::len))
            .collect();
        let of_image: Vec<f64> = shown
            .into_par_iter()
            .map(|(image, times)| {
                let pixels = recording.images.index_axis(Axis(0), image);
                times as f64 * pixels.iter().map(|x| f(f64::from(*x))).sum::<f64>()
            })
            .collect();
        of_image.iter().sum()
    };
    recordings.iter().map(sum).sum()
}

/// Over recorded training trials, each neuron's mean after rectification and its SD (ddof 0) before, in the recording's
/// unit.
pub fn training_statistics(recording: &Recording) -> (Vec<f64>, Vec<f64>) {
    let trials = recording.trials_of(Tier::Train);
    (0..recording.neuron_count())
        .into_par_iter()
        .map(|n| {
            let all = known(recording.responses.column(n), &trials);
            let positive: Vec<f64> = all.iter().map(|r| r.max(0.0)).collect();
            (mean(&positive), variance(&all, 0).sqrt())
        })
        .unzip()
}

/// The SD by which each neuron's responses are divided, in the recording's unit; positive.
pub fn response_scale(recording: &Recording) -> Array1<f32> {
    scale_of(&training_statistics(recording).1)
}

/// As [`response_scale`], from the SDs of [`training_statistics`].
pub fn scale_of(sds: &[f64]) -> Array1<f32> {
    let smallest = mean(sds) / 100.0;
    sds.iter()
        // A population that never varies has no SD to divide by either.
        .map(|&sd| {
            if sd >= smallest && sd as f32 > 0.0 {
                sd as f32
            } else {
                1.0
            }
        })
        .collect()
}

/// Responses in units of `scale` as they are, (trials, neurons): r / scale.
pub fn scaled_responses(recording: &Recording, scale: ArrayView1<'_, f32>) -> Array2<f32> {
    &recording.responses / &scale
}

/// Rectified responses in units of `scale`, (trials, neurons): max(0, r) / scale; NaN stays NaN.
pub fn normalised_responses(recording: &Recording, scale: ArrayView1<'_, f32>) -> Array2<f32> {
    normalise(recording.responses.clone(), scale)
}

/// As [`normalised_responses`], of these trials (trials, neurons).
pub fn normalise(mut responses: Array2<f32>, scale: ArrayView1<'_, f32>) -> Array2<f32> {
    for mut trial in responses.axis_iter_mut(Axis(0)) {
        for (r, s) in trial.iter_mut().zip(scale) {
            // `f32::max` would turn NaN into 0.
            *r = if *r < 0.0 { 0.0 } else { *r / s };
        }
    }
    responses
}

/// Mean over recorded training trials of normalised responses, per neuron: what the readout's bias starts from.
pub fn mean_training_response(
    recording: &Recording,
    normalised: ArrayView2<'_, f32>,
) -> Array1<f32> {
    let trials = recording.trials_of(Tier::Train);
    normalised
        .axis_iter(Axis(1))
        .map(|responses| mean(&known(responses, &trials)) as f32)
        .collect()
}

fn known(responses: ArrayView1<'_, f32>, trials: &[usize]) -> Vec<f64> {
    let recorded = trials.iter().map(|t| responses[*t]).filter(|r| !r.is_nan());
    recorded.map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Trial;
    use ndarray::array;

    fn recording() -> Recording {
        let trial = |image, tier| Trial { image, tier };
        Recording {
            name: "small".into(),
            images: array![[[0.0, 2.0]], [[4.0, 4.0]], [[99.0, 99.0]]],
            responses: array![
                [-1.0, 5.0, f32::NAN],
                [3.0, 5.0, 2.0],
                [1.0, 5.0, 4.0],
                [-8.0, 1.0, f32::NAN]
            ],
            trials: vec![
                trial(0, Tier::Train),
                trial(1, Tier::Train),
                trial(1, Tier::Train),
                trial(2, Tier::Test),
            ],
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    #[test]
    fn a_repeated_image_counts_each_time_and_recordings_are_pooled() {
        let fitted = Preprocessing::images(&[recording()]).unwrap();
        // Pixels 0 2 4 4 4 4.
        assert!((fitted.image_mean - 3.0).abs() < 1e-6);
        assert!((fitted.image_sd - (14.0_f32 / 6.0).sqrt()).abs() < 1e-6);
        let mut other = recording();
        other.images.fill(10.0);
        let pooled = Preprocessing::images(&[recording(), other]).unwrap();
        assert!((pooled.image_mean - 6.5).abs() < 1e-6);
        let z = pooled.z_score(recording().images.view());
        assert!((z[[1, 0, 0]] - (4.0 - 6.5) / pooled.image_sd).abs() < 1e-6);
    }

    #[test]
    fn constant_images_are_refused() {
        let mut constant = recording();
        constant.images.fill(0.1);
        let message = Preprocessing::images(&[constant]).unwrap_err().to_string();
        assert!(
            message.contains("small") && message.contains("0.1"),
            "{message}"
        );
    }

    #[test]
    fn the_sd_is_taken_before_rectification_and_over_recorded_training_trials() {
        let recording = recording();
        let scale = response_scale(&recording);
        // -1 3 1; constant, so its unit stays; 2 4.
        assert!((scale[0] - (8.0_f32 / 3.0).sqrt()).abs() < 1e-6);
        assert_eq!(scale.as_slice().unwrap()[1..], [1.0, 1.0]);
        let normalised = normalised_responses(&recording, scale.view());
        assert_eq!(normalised[[0, 0]], 0.0);
        assert_eq!(normalised[[1, 0]], 3.0 / scale[0]);
        assert!(normalised[[0, 2]].is_nan() && normalised[[3, 2]].is_nan());
        let mean = mean_training_response(&recording, normalised.view());
        assert!((mean[0] - 4.0 / 3.0 / scale[0]).abs() < 1e-6);
        assert_eq!(mean.as_slice().unwrap()[1..], [5.0, 3.0]);
    }

    #[test]
    fn a_population_without_variation_keeps_its_unit() {
        let mut silent = recording();
        silent.responses.fill(0.0);
        assert!(response_scale(&silent).iter().all(|s| *s == 1.0));
    }
}
