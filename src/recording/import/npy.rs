//! Loose NumPy arrays: a folder of `.npy` files, or the same names in one `.npz`.
//!
//! Either one set of trials:
//!
//! | array | shape |
//! |---|---|
//! | `images` | (images, H, W), (images, 1, H, W) or (images, H, W, 1); any numeric type |
//! | `responses` | (trials, neurons), or (repeats, images, neurons): NaN where not recorded |
//! | `image_ids` | optional, (trials,): with one image per trial, equal ids mean the same image; else the row of `images` that a trial showed, from 0 |
//! | `tiers` | optional, (trials,) or (images,): `train`, `validation` (`val`), `test` |
//!
//! or one set per tier: `images_train`, `responses_train`, likewise `_validation` (or `_val`) and `_test`, each with
//! its own optional `image_ids_...`; `train_images` is understood too. A `neurons.csv` in the folder comes along.
//!
//! Without `image_ids`, trial t showed image t. Images with identical pixels become one image with repeats, so that
//! repeats stored repeatedly are found. Repeats without any recorded neuron are padding and left out. Without tiers the
//! images are split at random, see [`super::split::by_image`].

use super::arrays::{Source, names};
use super::block::Block;
use super::merge::Merged;
use super::split;
use crate::recording::check::Places;
use crate::recording::{Recording, Tier, name_of};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// Turns loose NumPy arrays into a recording; layouts in the module's text. `seed` draws the tiers if none are given.
///
/// # Errors
/// Names the array and the value that does not fit; refuses what could be understood in two ways.
pub fn npy(source: &Path, seed: u64) -> Result<Recording> {
    npy_with_digits(source, seed).map(|(recording, _)| recording)
}

/// As [`npy`], with the responses as they are where they are `float64`: see [`Recording::write_with_digits`].
///
/// # Errors
/// As [`npy`].
pub fn npy_with_digits(source: &Path, seed: u64) -> Result<(Recording, Option<Array2<f64>>)> {
    let mut arrays = Source::open(source)?;
    let split_names: Vec<String> = Tier::ALL
        .into_iter()
        .flat_map(|t| names("images", Some(t)))
        .collect();
    let whole = arrays.has("images");
    let parted = split_names.iter().find(|n| arrays.has(n));
    let (blocks, tiers) = match (whole, parted) {
        (true, None) => {
            let block = Block::load(&mut arrays, None)?;
            let tiers = block.tiers(&mut arrays)?;
            (vec![block], tiers)
        }
        (false, Some(_)) => {
            let mut blocks = Vec::new();
            let mut tiers = Vec::new();
            for tier in Tier::ALL {
                if tier == Tier::Validation && arrays.find(&names("images", Some(tier))).is_none() {
                    continue;
                }
                let block = Block::load(&mut arrays, Some(tier))?;
                tiers.extend(std::iter::repeat_n(tier, block.shown.len()));
                blocks.push(block);
            }
            (blocks, Some(tiers))
        }
        (true, Some(name)) => {
            let what = format!("has both `images` and `{name}`, wanted one or the other");
            return Err(Error::file(source, what));
        }
        (false, None) => {
            let has = |name: &str| source.join(name).exists();
            let what = if has("data/images") {
                "is a Sensorium scan, not loose arrays: use `striate import sensorium`"
            } else if has("spks.npy") || has("plane0") || has("suite2p") {
                "is a folder of suite2p, not loose arrays: use `striate import suite2p`"
            } else if has("screen") && has("responses") {
                "is a recording of experanto, not loose arrays: use `striate import experanto`"
            } else {
                "has neither images.npy nor images_train.npy"
            };
            return Err(Error::file(source, what));
        }
    };
    let merged = Merged::new(&blocks)?;
    let drawn = tiers.is_none();
    let trials = match tiers {
        Some(tiers) => merged.tiered(&tiers)?,
        None => split::by_image(&merged.shown, seed),
    };
    let name = name_of(source)?;
    let stem = Path::new(&name).file_stem().and_then(|s| s.to_str());
    let recording = Recording {
        name: stem.unwrap_or(&name).to_string(),
        images: merged.images,
        responses: merged.responses,
        trials,
        neurons: arrays.neurons()?,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    recording.check_at(&Places {
        images: blocks[0].place.clone(),
        responses: blocks[0].responses_place.clone(),
        trials: if whole && !drawn {
            arrays.place("tiers")
        } else {
            source.to_path_buf()
        },
        neurons: source.join("neurons.csv"),
        metadata: source.to_path_buf(),
    })?;
    Ok((recording, merged.wide))
}
