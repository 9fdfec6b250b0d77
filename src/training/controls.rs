//! The controls of Ecker et al. 2019: fits to part of the neurons or of the training images, and of readouts alone.

use super::Trainer;
use crate::model::config::{Frozen, Training};
use crate::recording::{Recording, Tier, fingerprint};
use crate::{Error, Result};
use ndarray::Axis;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;
use std::collections::HashSet;

impl Training {
    /// Whether parts are trained alone.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.contains(&Frozen::Core)
    }

    /// Whether a fit sees all of its recordings.
    fn sees_all(&self) -> bool {
        self.neurons.is_empty() && self.trial_fraction >= 1.0
    }
}

/// What a fit sees of its recordings.
///
/// # Errors
/// When there are no such neurons.
pub(crate) fn seen<'a>(
    settings: &Training,
    recordings: &'a [Recording],
) -> Result<Cow<'a, [Recording]>> {
    let mut seen = Cow::Borrowed(recordings);
    if !settings.sees_all() {
        let part = |recording: &Recording| {
            let some = fraction(recording, settings);
            match settings.neurons.as_str() {
                "" => Ok(some),
                choice => some.of_neurons(choice),
            }
        };
        seen = recordings.iter().map(part).collect::<Result<_>>()?;
    }
    if settings.average_repeats {
        seen = seen.iter().map(Recording::averaged).collect();
    }
    Ok(seen)
}

/// The recording with the first so many of its training images, in an order of the seed's.
fn fraction(recording: &Recording, settings: &Training) -> Recording {
    let mut images = recording.images_of(Tier::Train);
    let kept = (settings.trial_fraction * images.len() as f64).round() as usize;
    let kept = kept.max(1).min(images.len());
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    rng.set_stream(fingerprint(std::slice::from_ref(recording)));
    images.shuffle(&mut rng);
    let shown: HashSet<usize> = images[..kept].iter().copied().collect();
    let trials = recording.trials.iter().enumerate();
    let stays = trials.filter(|(_, t)| t.tier != Tier::Train || shown.contains(&t.image));
    let rows: Vec<usize> = stays.map(|(row, _)| row).collect();
    Recording {
        responses: recording.responses.select(Axis(0), &rows),
        trials: rows.iter().map(|&r| recording.trials[r]).collect(),
        trial_columns: recording.trial_columns.as_ref().map(|t| t.select(&rows)),
        ..recording.clone()
    }
}

impl Trainer {
    /// Refuses a core that is kept but was not given whole.
    pub(super) fn check_frozen(&self) -> Result<()> {
        let settings = &self.model.config.training;
        if !settings.is_frozen() {
            return Ok(());
        }
        let frozen = "training.frozen";
        let Some(start) = &self.start else {
            let wanted = "a core to keep: give --init, or --resume a run that was given one";
            return Err(Error::bad("configuration", frozen, "[\"core\"]", wanted));
        };
        match start.fresh.iter().find(|name| name.starts_with("core.")) {
            Some(missing) => {
                let got = format!("[\"core\"], but --init does not give {missing}");
                let wanted = "all tensors of the core";
                Err(Error::bad("configuration", frozen, got, wanted))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Trial;
    use ndarray::{Array2, Array3};

    fn recording() -> Recording {
        let tiers = [
            Tier::Train,
            Tier::Train,
            Tier::Train,
            Tier::Validation,
            Tier::Test,
        ];
        Recording {
            name: "r".into(),
            images: Array3::from_shape_fn((25, 2, 3), |(i, y, x)| (i * 6 + y * 3 + x) as f32),
            responses: Array2::from_shape_fn((50, 4), |(t, n)| (10 * t + n) as f32),
            trials: (0..50)
                .map(|t| Trial {
                    image: t % 25,
                    tier: tiers[t % 5],
                })
                .collect(),
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    fn of(trial_fraction: f64, neurons: &str, seed: u64) -> Training {
        Training {
            trial_fraction,
            neurons: neurons.into(),
            seed,
            ..Training::default()
        }
    }

    fn kept(trial_fraction: f64, seed: u64) -> Vec<usize> {
        let all = [recording()];
        let part = seen(&of(trial_fraction, "", seed), &all).unwrap();
        part[0].images_of(Tier::Train)
    }

    #[test]
    fn smaller_fractions_lie_in_larger_ones_and_keep_all_trials_of_an_image() {
        let whole: HashSet<usize> = recording().images_of(Tier::Train).into_iter().collect();
        let mut before: HashSet<usize> = HashSet::new();
        for (share, count) in [(0.001, 1), (0.2, 3), (0.5, 8), (0.9, 14)] {
            let now: HashSet<usize> = kept(share, 1).into_iter().collect();
            assert_eq!(now.len(), count, "{share}");
            assert!(before.is_subset(&now) && now.is_subset(&whole));
            before = now;
        }
        assert_ne!(kept(0.2, 1), kept(0.2, 2));
        let all = [recording()];
        let part = seen(&of(0.2, "", 1), &all).unwrap();
        assert_eq!(part[0].trials_of(Tier::Train).len(), 2 * 3);
        for tier in [Tier::Validation, Tier::Test] {
            assert_eq!(
                part[0].trials_of(tier).len(),
                recording().trials_of(tier).len()
            );
        }
        for (row, trial) in part[0].trials.iter().enumerate() {
            let from = (part[0].responses[(row, 0)] / 10.0) as usize;
            assert_eq!(recording().trials[from], *trial);
        }
    }

    #[test]
    fn chosen_neurons_keep_their_responses() {
        let all = [recording()];
        let part = seen(&of(1.0, "3,0-2:2", 1), &all).unwrap();
        assert_eq!(part[0].responses.row(7).to_vec(), [73.0, 70.0, 72.0]);
        let whole = seen(&of(1.0, "", 1), &all).unwrap();
        assert!(matches!(whole, Cow::Borrowed(_)));
        let message = seen(&of(1.0, "0-4", 1), &all).unwrap_err();
        let message = message.to_string();
        assert!(
            message.contains("training.neurons") && message.contains("0 to 3"),
            "{message}"
        );
    }
}
