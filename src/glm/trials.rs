//! Trials of a fit: those of the training and validation tiers, one row per image, folds by image.

use crate::recording::{Recording, Tier, preprocess};
use crate::{Error, Result};
use ndarray::{Array1, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Images of a fit and who saw them.
#[derive(Clone, Debug)]
pub(super) struct Trials<'a> {
    recording: &'a Recording,
    scale: Array1<f32>,
    /// Images, ascending; the rows of the design.
    pub images: Vec<usize>,
    /// Trials of each.
    repeats: Vec<Vec<usize>>,
    /// Which fold each image is in.
    pub fold: Vec<usize>,
}

/// What one neuron did on the images of a fit, without those of one fold.
#[derive(Clone, Debug)]
pub(super) struct Responses<T> {
    /// Recorded trials of each image; 0 for images that are held out.
    pub counts: Vec<T>,
    /// Sums of the normalised responses of these trials.
    pub sums: Vec<T>,
    /// Trials, all images together.
    pub total: f64,
    /// Response per trial.
    pub mean: f64,
    /// Image, trials, sum of responses of the images that are held out.
    pub held_out: Vec<(usize, f64, f64)>,
}

impl<'a> Trials<'a> {
    /// Groups the trials by image and deals the images to folds.
    pub(super) fn new(recording: &'a Recording, folds: usize, seed: u64) -> Result<Self> {
        if recording.trials_of(Tier::Train).is_empty() {
            return Err(Error::bad(
                format!("recording {}", recording.name),
                "the number of training trials",
                0,
                "at least one per fold",
            ));
        }
        let mut shown: Vec<(usize, Vec<usize>)> = [Tier::Train, Tier::Validation]
            .into_iter()
            .flat_map(|t| {
                let images = recording.images_of(t);
                images.into_iter().zip(recording.repeats(t))
            })
            .collect();
        shown.sort_unstable();
        let (images, repeats): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
        if images.len() < folds {
            return Err(Error::bad(
                format!("recording {}", recording.name),
                "the number of training and validation images",
                images.len(),
                format!("at least one for each of {folds} folds"),
            ));
        }
        let mut fold: Vec<usize> = (0..images.len()).map(|i| i % folds).collect();
        fold.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        Ok(Self {
            recording,
            scale: preprocess::response_scale(recording),
            images,
            repeats,
            fold,
        })
    }

    /// z-scored pixels of the images, row-major.
    pub(super) fn pixels(&self) -> Result<Vec<f64>> {
        let fitted = preprocess::Preprocessing::images(std::slice::from_ref(self.recording))?;
        let images = self.recording.images.select(Axis(0), &self.images);
        let z = fitted.z_score(images.view());
        Ok(z.iter().map(|x| f64::from(*x)).collect())
    }

    /// Whether a neuron's rectified responses differ at all.
    pub(super) fn varies(&self, neuron: usize) -> bool {
        let all = self.repeats.iter().flatten();
        let mut recorded = all
            .map(|t| self.recording.responses[[*t, neuron]])
            .filter(|r| !r.is_nan())
            .map(|r| r.max(0.0));
        let first = recorded.next();
        recorded.any(|r| Some(r) != first)
    }

    /// Responses of a neuron, rectified and over its SD; those of `fold` are held out.
    pub(super) fn responses<T: crate::ops::Real>(
        &self,
        neuron: usize,
        fold: Option<usize>,
    ) -> Responses<T> {
        let n = self.images.len();
        let mut of = Responses {
            counts: vec![T::zero(); n],
            sums: vec![T::zero(); n],
            total: 0.0,
            mean: 0.0,
            held_out: Vec::new(),
        };
        let scale = f64::from(self.scale[neuron]);
        let mut all = 0.0;
        for (row, trials) in self.repeats.iter().enumerate() {
            let recorded = trials
                .iter()
                .map(|t| f64::from(self.recording.responses[[*t, neuron]]))
                .filter(|r| !r.is_nan());
            let (mut count, mut sum) = (0.0, 0.0);
            for r in recorded {
                count += 1.0;
                sum += r.max(0.0) / scale;
            }
            if count == 0.0 {
                continue;
            }
            if fold == Some(self.fold[row]) {
                of.held_out.push((row, count, sum));
            } else {
                of.counts[row] = T::of(count);
                of.sums[row] = T::of(sum);
                of.total += count;
                all += sum;
            }
        }
        of.mean = all / of.total.max(1.0);
        of
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Trial;
    use ndarray::{Array2, Array3};

    fn recording() -> Recording {
        let trial = |image, tier| Trial { image, tier };
        let trials = vec![
            trial(3, Tier::Train),
            trial(0, Tier::Train),
            trial(3, Tier::Train),
            trial(2, Tier::Validation),
            trial(1, Tier::Test),
        ];
        Recording {
            name: "small".into(),
            images: Array3::from_shape_fn((4, 1, 2), |(i, _, x)| (i + x) as f32),
            responses: Array2::from_shape_vec((5, 1), vec![1.0, -2.0, 3.0, f32::NAN, 9.0])
                .unwrap_or_default(),
            trials,
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    #[test]
    fn trials_are_grouped_by_image_and_missing_ones_left_out() {
        let recording = recording();
        let trials = Trials::new(&recording, 3, 1).unwrap();
        assert_eq!(trials.images, [0, 2, 3]);
        let all: Responses<f64> = trials.responses(0, None);
        assert_eq!(all.counts, [1.0, 0.0, 2.0]);
        assert_eq!(all.total, 3.0);
        assert!(trials.varies(0));
        let scale = f64::from(trials.scale[0]);
        assert_eq!(all.sums, [0.0, 0.0, 1.0 / scale + 3.0 / scale]);
        assert_eq!(all.mean, all.sums[2] / 3.0);
    }

    #[test]
    fn what_is_silent_or_constant_once_rectified_does_not_vary() {
        for responses in [[-1.0, -2.0, 0.0, f32::NAN, 9.0], [2.0, 2.0, 2.0, 2.0, 1.0]] {
            let mut recording = recording();
            recording.responses = Array2::from_shape_vec((5, 1), responses.to_vec()).unwrap();
            assert!(!Trials::new(&recording, 3, 1).unwrap().varies(0));
        }
    }

    #[test]
    fn folds_never_split_an_image_and_each_image_is_held_out_once() {
        let recording = recording();
        let trials = Trials::new(&recording, 3, 1).unwrap();
        let mut seen = vec![0; 3];
        for fold in 0..3 {
            let part: Responses<f64> = trials.responses(0, Some(fold));
            for (row, count, _) in &part.held_out {
                assert_eq!(part.counts[*row], 0.0);
                seen[*row] += *count as usize;
            }
            let held: f64 = part.held_out.iter().map(|h| h.1).sum();
            assert_eq!(part.total + held, 3.0);
        }
        assert_eq!(seen, [1, 0, 2]);
    }

    #[test]
    fn fewer_images_than_folds_are_refused() {
        let recording = recording();
        let message = Trials::new(&recording, 4, 1).unwrap_err().to_string();
        assert!(message.contains("is 3, wanted at least one"), "{message}");
    }
}
