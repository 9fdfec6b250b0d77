//! Drawing tiers where none are given: by image, never by trial, so that nothing leaks.

use crate::recording::{Tier, Trial};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Assigns a tier to every trial, given the image it shows; the same seed draws the same tiers.
///
/// If some images are repeated and most are shown once, the repeated ones are the test tier, and 10 % of the others
/// validate. Otherwise 80 % of the images train, 10 % validate and 10 % test. Each tier gets at least one image, as
/// long as there are three.
pub fn by_image(images: &[usize], seed: u64) -> Vec<Trial> {
    let mut shown: BTreeMap<usize, usize> = BTreeMap::new();
    for image in images {
        *shown.entry(*image).or_default() += 1;
    }
    let repeated = shown.values().filter(|n| **n > 1).count();
    let test_is_repeated = repeated > 0 && 2 * repeated < shown.len();
    let mut drawn: Vec<usize> = shown
        .iter()
        .filter(|(_, n)| !test_is_repeated || **n == 1)
        .map(|(i, _)| *i)
        .collect();
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let tenth = |least: usize| (drawn.len() as f64 / 10.0).round().max(least as f64) as usize;
    let test = if test_is_repeated {
        0
    } else {
        tenth(usize::from(drawn.len() > 1))
    };
    let validation = tenth(usize::from(drawn.len() > test + 1));
    let tiers: BTreeMap<usize, Tier> = drawn
        .iter()
        .enumerate()
        .map(|(place, image)| match place {
            p if p < test => (*image, Tier::Test),
            p if p < test + validation => (*image, Tier::Validation),
            _ => (*image, Tier::Train),
        })
        .collect();
    let tier = |image: &usize| tiers.get(image).copied().unwrap_or(Tier::Test);
    images
        .iter()
        .map(|image| Trial {
            image: *image,
            tier: tier(image),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(trials: &[Trial], tier: Tier) -> usize {
        trials.iter().filter(|t| t.tier == tier).count()
    }

    #[test]
    fn images_shown_once_are_split_eighty_ten_ten() {
        let images: Vec<usize> = (0..200).collect();
        let trials = by_image(&images, 1);
        assert_eq!(count(&trials, Tier::Train), 160);
        assert_eq!(count(&trials, Tier::Validation), 20);
        assert_eq!(trials, by_image(&images, 1));
        assert_ne!(trials, by_image(&images, 2));
    }

    #[test]
    fn the_repeated_minority_tests() {
        let images: Vec<usize> = (0..50).chain([50, 51, 50, 51]).collect();
        let trials = by_image(&images, 1);
        assert!(
            trials
                .iter()
                .all(|t| (t.tier == Tier::Test) == (t.image >= 50))
        );
        assert_eq!(count(&trials, Tier::Validation), 5);
    }

    #[test]
    fn where_all_are_repeated_images_stay_whole() {
        let images: Vec<usize> = (0..90).map(|t| t % 30).collect();
        let trials = by_image(&images, 7);
        assert_eq!(count(&trials, Tier::Test), 9);
        for t in &trials {
            assert!(
                trials
                    .iter()
                    .all(|u| u.image != t.image || u.tier == t.tier)
            );
        }
    }

    #[test]
    fn three_images_make_three_tiers() {
        let trials = by_image(&[0, 1, 2], 0);
        assert!(Tier::ALL.iter().all(|tier| count(&trials, *tier) == 1));
    }
}
