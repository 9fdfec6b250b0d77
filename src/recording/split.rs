//! Tiers for a recording that has none, or others: by image, never by trial, so that nothing leaks.
//!
//! Images with the same pixels count as one. They are put into an order that depends on the seed and on each image's row
//! alone; the first are tested, the next validate, the rest train. Fold k of K is tested on the k-th of K parts of that
//! order, and validated by those that follow it.

use super::draft::Draft;
use super::listing::{self, Tiers};
use super::metadata::Metadata;
use super::part::{Part, Progress, first_identical};
use super::summary::tiers;
use super::{Summary, Tier, Trial};
use crate::{Error, Result, files};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// How many of the images are for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Which of them are tested.
    pub test: Test,
    /// Share of those that are not tested that validate; counts are rounded.
    pub validation: f64,
}

/// Which images are tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    /// A share of them, rounded to a count.
    Share(f64),
    /// One of several parts of nearly the same size that have no image in common.
    Fold {
        /// Parts.
        folds: usize,
        /// The one that is tested, from 0.
        fold: usize,
    },
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.test {
            Test::Share(share) => write!(f, "test {share}")?,
            Test::Fold { folds, fold } => write!(f, "test fold {fold} of {folds}")?,
        }
        write!(f, ", validation {}", self.validation)
    }
}

impl Shares {
    /// A tier for each of `count` images that lie in a random order.
    fn tiers(&self, count: usize) -> Result<Vec<Tier>> {
        let bad =
            |what: &str, got: String, wanted: &str| Err(Error::bad("the split", what, got, wanted));
        if !(0.0..1.0).contains(&self.validation) {
            let got = self.validation.to_string();
            return bad("--validation", got, "a share from 0 to below 1");
        }
        let rounded = |x: f64| x.round() as usize;
        let tested = match self.test {
            Test::Share(share) if !(share > 0.0 && share < 1.0) => {
                return bad("--test", share.to_string(), "a share between 0 and 1");
            }
            Test::Share(share) => 0..rounded(share * count as f64),
            Test::Fold { folds, .. } if folds < 2 || folds > count => {
                let wanted = format!("2 to {count}, the number of images");
                return bad("--folds", folds.to_string(), &wanted);
            }
            Test::Fold { folds, fold } if fold >= folds => {
                let wanted = format!("0 to {}", folds - 1);
                return bad("--fold", fold.to_string(), &wanted);
            }
            Test::Fold { folds, fold } => fold * count / folds..(fold + 1) * count / folds,
        };
        let rest = count - tested.len();
        let validating = rounded(self.validation * rest as f64);
        let mut tiers = vec![Tier::Train; count];
        tiers[tested.clone()].fill(Tier::Test);
        for place in tested.end..tested.end + validating {
            tiers[place % count] = Tier::Validation;
        }
        for tier in [Tier::Train, Tier::Test] {
            if !tiers.contains(&tier) {
                let what = format!("number of {tier} images out of {count}");
                return bad(&what, "0".into(), "at least 1");
            }
        }
        Ok(tiers)
    }
}

/// Writes `source` with other tiers to `out`: images and responses bit for bit, further columns, neurons and name carried
/// along. `source` may be without a column `tier`.
///
/// # Errors
/// When the source is no recording, the shares leave nothing to train on or to test with, or `out` cannot be written;
/// nothing is left behind then.
pub fn split(
    source: &Path,
    out: &Path,
    shares: &Shares,
    seed: u64,
    progress: &mut Progress,
) -> Result<Summary> {
    let part = [Part::open(source, Tiers::Ignored)?];
    let draft = Draft::begin(out, bytes(&part[0]))?;
    let first = first_identical(&part, progress)?;
    let [part] = part;
    let shown: Vec<usize> = part.trials.iter().map(|t| first[t.image]).collect();
    let tier_of = draw(&shown, *shares, seed)?;
    let trials = part.trials.iter().zip(&shown);
    let trials: Vec<Trial> = trials
        .map(|(t, shown)| Trial {
            tier: tier_of[shown],
            ..*t
        })
        .collect();
    part.check_responses(&trials, progress)?;
    fill(&part, &trials, &draft, progress).map_err(|e| draft.named(e))?;
    draft.finish()?;
    Ok(Summary {
        name: part.name,
        images: part.images.count(),
        height: part.size.0,
        width: part.size.1,
        neurons: part.responses.width(),
        tiers: tiers(&trials),
        warnings: Vec::new(),
    })
}

/// A tier for each of the images that trials show.
pub(super) fn draw(shown: &[usize], shares: Shares, seed: u64) -> Result<BTreeMap<usize, Tier>> {
    let distinct: BTreeSet<usize> = shown.iter().copied().collect();
    let mut order: Vec<usize> = distinct.into_iter().collect();
    order.sort_by_cached_key(|image| (chance(seed, *image), *image));
    let tiers = shares.tiers(order.len())?;
    Ok(order.into_iter().zip(tiers).collect())
}

/// A random number that belongs to an image.
fn chance(seed: u64, image: usize) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(image as u64);
    random.next_u64()
}

fn bytes(part: &Part) -> u128 {
    let arrays = [&part.images, &part.responses];
    let size = |a: &crate::npy::Rows| a.header().len() as u128 * a.header().dtype.size as u128;
    arrays.into_iter().map(size).sum()
}

fn fill(part: &Part, trials: &[Trial], draft: &Draft, progress: &mut Progress) -> Result<()> {
    let mut copied = vec!["images.npy", "responses.npy"];
    copied.extend(part.neurons.as_ref().map(|_| "neurons.csv"));
    copied.extend(part.metadata.name.as_ref().map(|_| "recording.toml"));
    for name in copied {
        let to = draft.path().join(name);
        copy(&part.directory.join(name), &to, progress)?;
    }
    files::write(&draft.path().join("trials.csv"), |w| {
        listing::fill(w, trials, part.columns.as_ref())
    })?;
    if part.metadata.name.is_none() {
        let metadata = Metadata {
            name: Some(part.name.clone()),
            ..part.metadata.clone()
        };
        let write = |w: &mut dyn Write| w.write_all(metadata.text().as_bytes());
        files::write(&draft.path().join("recording.toml"), write)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, progress: &mut Progress) -> Result<()> {
    let unread = |e| Error::file(from, format!("cannot read: {e}"));
    let unwritten = |e| Error::file(to, format!("cannot write: {e}"));
    let mut source = File::open(from).map_err(unread)?;
    let all = source.metadata().map_err(unread)?.len() as usize;
    let mut target = File::create_new(to).map_err(unwritten)?;
    let (mut block, mut done) = (vec![0; 1 << 22], 0);
    loop {
        progress("copying", done, all)?;
        let count = source.read(&mut block).map_err(unread)?;
        if count == 0 {
            return Ok(());
        }
        target.write_all(&block[..count]).map_err(unwritten)?;
        done += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(shares: Shares, images: usize) -> [usize; 3] {
        let tiers = shares.tiers(images).unwrap();
        Tier::ALL.map(|tier| tiers.iter().filter(|t| **t == tier).count())
    }

    #[test]
    fn counts_are_rounded_and_validation_is_a_share_of_what_is_not_tested() {
        let share = |test, validation| Shares {
            test: Test::Share(test),
            validation,
        };
        assert_eq!(counts(share(0.2, 0.14), 100), [69, 11, 20]);
        assert_eq!(counts(share(0.25, 0.0), 10), [7, 0, 3]);
        assert!(share(0.2, 0.99).tiers(10).is_err());
        assert!(share(0.01, 0.1).tiers(10).is_err());
        for wrong in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(share(wrong, 0.1).tiers(10).is_err());
        }
        for wrong in [1.0, -0.5, f64::NAN] {
            assert!(share(0.2, wrong).tiers(10).is_err());
        }
    }

    #[test]
    fn folds_test_every_image_once() {
        let mut tested = vec![0; 13];
        for fold in 0..5 {
            let test = Test::Fold { folds: 5, fold };
            let shares = Shares {
                test,
                validation: 0.2,
            };
            let tiers = shares.tiers(13).unwrap();
            assert_eq!(tiers.iter().filter(|t| **t == Tier::Validation).count(), 2);
            for (count, tier) in tested.iter_mut().zip(tiers) {
                *count += usize::from(tier == Tier::Test);
            }
        }
        assert_eq!(tested, vec![1; 13]);
        let fold = |folds, fold| Shares {
            test: Test::Fold { folds, fold },
            validation: 0.1,
        };
        for wrong in [fold(1, 0), fold(5, 5), fold(14, 0)] {
            assert!(wrong.tiers(13).is_err());
        }
    }
}
