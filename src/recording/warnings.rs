//! What to know of a recording before anything is made of it: a line each, none where all is well.

use super::identical::first_identical;
use super::preprocess::{self, BASELINE, Preprocessing};
use super::{Recording, Tier};
use crate::statistics::median;
use ndarray::{ArrayView3, Axis};
use std::collections::HashMap;

/// One neuron's SD over the median SD from which it is named as what makes the others small.
const ANOTHER_UNIT: f64 = 100.0;

/// Of recordings that are fitted together: what is wrong with their responses, images in two tiers, other grey scales.
pub fn of_fit(recordings: &[Recording]) -> Vec<String> {
    let named = |r: &Recording| -> Vec<String> {
        let warnings = of_responses(r).into_iter();
        warnings.map(|w| format!("{}: {w}", r.name)).collect()
    };
    let mut warnings: Vec<String> = recordings.iter().flat_map(named).collect();
    let all: Vec<&Recording> = recordings.iter().collect();
    warnings.extend(leak(&all));
    warnings.extend(grey_scales(recordings));
    warnings
}

/// Of a recording that a model is scored on: what scores do not show.
pub fn of_scores(recording: &Recording) -> Vec<String> {
    let warnings = [negative(recording), leak(&[recording])];
    let named = |w: String| format!("{}: {w}", recording.name);
    warnings.into_iter().flatten().map(named).collect()
}

/// Of responses: negative ones, baselines, neurons too small beside the others to be in units of their SD.
pub fn of_responses(recording: &Recording) -> Vec<String> {
    of_statistics(recording, &preprocess::training_statistics(recording))
}

/// As [`of_responses`], with the [`preprocess::training_statistics`] that are known already.
pub(super) fn of_statistics(
    recording: &Recording,
    (means, sds): &(Vec<f64>, Vec<f64>),
) -> Vec<String> {
    let warnings = [
        negative(recording),
        baseline(means, sds),
        small(sds, &preprocess::scale_of(sds).to_vec()),
    ];
    warnings.into_iter().flatten().collect()
}

fn negative(recording: &Recording) -> Option<String> {
    let neurons = recording.responses.axis_iter(Axis(1));
    let count = neurons.filter(|n| n.iter().any(|r| *r < 0.0)).count();
    (count > 0).then(|| {
        format!(
            "{count} neurons have negative responses: they are set to 0 for training, scores and the noise ceiling"
        )
    })
}

fn baseline(means: &[f64], sds: &[f64]) -> Option<String> {
    let over = |(mean, sd): (&f64, &f64)| if *sd > 0.0 { mean / sd } else { 0.0 };
    let ratios: Vec<f64> = means.iter().zip(sds).map(over).collect();
    let count = ratios.iter().filter(|r| **r > f64::from(BASELINE)).count();
    let largest = ratios.iter().copied().fold(0.0, f64::max);
    (count > 0).then(|| {
        format!(
            "{count} neurons have a high baseline: their mean response is above {BASELINE} SD (largest {largest:.1}); \
             subtract it, what the stimulus adds is all that a model can learn"
        )
    })
}

fn small(sds: &[f64], scales: &[f32]) -> Option<String> {
    let kept = |(sd, scale): &(&f64, &f32)| **sd > 0.0 && **sd as f32 != **scale;
    let count = sds.iter().zip(scales).filter(kept).count();
    let typical: Vec<f64> = sds.iter().copied().filter(|sd| *sd > 0.0).collect();
    let largest = typical.iter().copied().fold(0.0, f64::max) / median(&typical);
    let culprit = match largest > ANOTHER_UNIT {
        true => format!(
            "; one neuron's SD is {largest:.0} times the median: give all the same unit, or leave it out"
        ),
        false => String::new(),
    };
    (count > 0).then(|| {
        format!("{count} neurons keep their unit: their SD is below 1 % of the mean SD{culprit}")
    })
}

/// Images with the same pixels in different tiers, under whatever row numbers and in whichever of the recordings.
pub fn leak(recordings: &[&Recording]) -> Option<String> {
    let images: Vec<_> = recordings
        .iter()
        .flat_map(|r| r.images.outer_iter())
        .collect();
    leak_among(recordings, &first_identical(&images))
}

/// As [`leak`], with what [`first_identical`] says of all images, one recording after the other.
pub(super) fn leak_among(recordings: &[&Recording], first: &[usize]) -> Option<String> {
    let named = |r: &Recording, image: usize| match recordings.len() {
        1 => image.to_string(),
        _ => format!("{image} of {}", r.name),
    };
    let mut earlier: HashMap<usize, (Tier, String)> = HashMap::new();
    let (mut leaks, mut offset) = (Vec::new(), 0);
    for recording in recordings {
        let mut tiers = vec![None; recording.images.len_of(Axis(0))];
        for trial in &recording.trials {
            tiers[trial.image] = Some(trial.tier);
        }
        for (image, tier) in tiers.iter().enumerate() {
            let Some(tier) = *tier else { continue };
            let own = || (tier, named(recording, image));
            let (other, place) = earlier.entry(first[offset + image]).or_insert_with(own);
            if *other != tier {
                let image = named(recording, image);
                leaks.push(format!("{place} ({other}) and {image} ({tier})"));
            }
        }
        offset += tiers.len();
    }
    let shown: Vec<&str> = leaks.iter().take(3).map(String::as_str).collect();
    (!leaks.is_empty()).then(|| {
        format!(
            "leak: {} pairs of images in different tiers have the same pixels: {}",
            leaks.len(),
            shown.join("; ")
        )
    })
}

/// Whether images look as if they were on another grey scale than those a model was trained on.
pub fn grey(trained: &Preprocessing, images: ArrayView3<'_, f32>) -> Option<String> {
    let over = |f: &dyn Fn(f64) -> f64| {
        let sum: f64 = images.iter().map(|x| f(f64::from(*x))).sum();
        sum / images.len() as f64
    };
    let mean = over(&|x| x);
    let sd = over(&|x| (x - mean).powi(2)).sqrt();
    unlike(trained, mean, sd).then(|| {
        format!(
            "grey levels have mean {mean:.4} and SD {sd:.4}, those of training had mean {:.4} and SD {:.4}: \
             another grey scale?",
            trained.image_mean, trained.image_sd
        )
    })
}

/// In units of the training images natural images have a mean near 0 and an SD near 1, stimuli on grey a mean near 0.
fn unlike(trained: &Preprocessing, mean: f64, sd: f64) -> bool {
    let scale = f64::from(trained.image_sd);
    let (mean, sd) = ((mean - f64::from(trained.image_mean)) / scale, sd / scale);
    sd > 5.0 || mean.abs() > 4.0 || (sd < 0.1 && mean.abs() > 1.0)
}

/// Recordings whose grey levels are on different scales: they share one mean and SD.
fn grey_scales(recordings: &[Recording]) -> Option<String> {
    let of = |r: &Recording| Preprocessing::images(std::slice::from_ref(r)).ok();
    let known: Vec<_> = recordings
        .iter()
        .filter_map(|r| Some((r, of(r)?)))
        .collect();
    let differ = |a: &Preprocessing, b: &Preprocessing| {
        unlike(a, f64::from(b.image_mean), f64::from(b.image_sd))
    };
    for (i, (a, one)) in known.iter().enumerate() {
        let other =
            |(_, other): &&(&Recording, Preprocessing)| differ(one, other) || differ(other, one);
        if let Some((b, other)) = known[i + 1..].iter().find(other) {
            return Some(format!(
                "recordings of different grey scales share one: training images have mean {:.4} and SD {:.4} in {}, \
                 mean {:.4} and SD {:.4} in {}",
                one.image_mean, one.image_sd, a.name, other.image_mean, other.image_sd, b.name
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Trial;
    use ndarray::{Array2, Array3};

    /// Six images of two pixels, the last two for testing; three neurons.
    fn recording(name: &str, grey: f32) -> Recording {
        let tier = |image| match image {
            0..4 => Tier::Train,
            _ => Tier::Test,
        };
        Recording {
            name: name.into(),
            images: Array3::from_shape_fn((6, 1, 2), |(i, _, x)| grey * (2 * i + x) as f32),
            responses: Array2::from_shape_fn((6, 3), |(t, n)| ((t + n) % 3) as f32),
            trials: (0..6)
                .map(|image| Trial {
                    image,
                    tier: tier(image),
                })
                .collect(),
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    #[test]
    fn a_sound_recording_is_not_warned_of() {
        let pair = [recording("a", 10.0), recording("b", 20.0)];
        assert_eq!(of_fit(&pair), Vec::<String>::new());
        assert_eq!(of_scores(&pair[0]), Vec::<String>::new());
    }

    #[test]
    fn baselines_signs_and_units_are_counted() {
        let mut r = recording("a", 10.0);
        r.responses.column_mut(0).mapv_inplace(|v| v + 1000.0);
        r.responses.column_mut(1).mapv_inplace(|v| v - 1.0);
        let told = of_fit(std::slice::from_ref(&r)).join("\n");
        assert!(
            told.contains("a: 1 neurons have negative responses"),
            "{told}"
        );
        assert!(told.contains("a: 1 neurons have a high baseline"), "{told}");
        assert!(!told.contains("unit"), "{told}");
        assert_eq!(of_scores(&r).len(), 1);
        let mut r = recording("a", 10.0);
        r.responses.column_mut(2).mapv_inplace(|v| v * 1e6);
        let told = of_responses(&r).join("\n");
        assert!(told.contains("2 neurons keep their unit"), "{told}");
        assert!(told.contains("times the median"), "{told}");
    }

    #[test]
    fn the_same_pixels_in_two_tiers_leak_within_and_between_recordings() {
        let mut r = recording("a", 10.0);
        let image = r.images.index_axis(Axis(0), 1).to_owned();
        r.images.index_axis_mut(Axis(0), 5).assign(&image);
        let told = leak(&[&r]).unwrap();
        assert!(
            told.ends_with("same pixels: 1 (train) and 5 (test)"),
            "{told}"
        );
        let (a, mut b) = (recording("a", 10.0), recording("b", 13.0));
        let image = a.images.index_axis(Axis(0), 4).to_owned();
        b.images.index_axis_mut(Axis(0), 2).assign(&image);
        assert_eq!(leak(&[&b]), None);
        let told = of_fit(&[a, b]).join("\n");
        assert!(told.ends_with("4 of a (test) and 2 of b (train)"), "{told}");
    }

    #[test]
    fn another_grey_scale_shows_from_both_sides_and_stimuli_on_grey_pass() {
        let trained = Preprocessing {
            image_mean: 110.0,
            image_sd: 40.0,
        };
        let natural =
            Array3::from_shape_fn((4, 3, 3), |(i, y, x)| 20.0 * ((i + y + x) % 10) as f32);
        assert_eq!(grey(&trained, natural.view()), None);
        assert_eq!(
            grey(&trained, Array3::from_elem((1, 2, 2), 110.0).view()),
            None
        );
        let faint = natural.mapv(|v| 118.0 + v / 100.0);
        assert_eq!(grey(&trained, faint.view()), None);
        for other in [
            natural.mapv(|v| v / 255.0),
            natural.mapv(|v| v * 257.0),
            natural.mapv(|v| (v - 90.0) / 50.0),
        ] {
            assert!(grey(&trained, other.view()).is_some_and(|t| t.contains("grey scale")));
        }
        let unit = Preprocessing {
            image_mean: 0.43,
            image_sd: 0.16,
        };
        assert!(grey(&unit, natural.view()).is_some());
        let told = of_fit(&[recording("a", 10.0), recording("b", 0.04)]).join("\n");
        assert!(
            told.contains("grey scales") && told.contains("in b"),
            "{told}"
        );
    }
}
