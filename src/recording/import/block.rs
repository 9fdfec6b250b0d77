//! Arrays that belong together, in the layouts that they come in.

use super::arrays::{Source, names};
use crate::npy::{Kind, shown};
use crate::recording::Tier;
use crate::recording::images::grey;
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayD, Axis, Dimension, Ix2, Ix3};
use num_traits::Float;
use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Images and trials that are stored together.
pub(super) struct Block {
    /// File of the images.
    pub(super) place: PathBuf,
    pub(super) images: Array3<f32>,
    /// Row of `images` that each trial showed.
    pub(super) shown: Vec<usize>,
    pub(super) responses: Responses,
    /// Their file.
    pub(super) responses_place: PathBuf,
    /// Whether trials were made here, from (repeats, images, neurons).
    unrolled: bool,
}

impl Block {
    pub(super) fn load(source: &mut Source, tier: Option<Tier>) -> Result<Self> {
        let stored = source.wanted(&names("images", tier))?;
        let place = stored.place().to_path_buf();
        let images = grey(&place, stored.numbers()?)?;
        let ids_names = names("image_ids", tier);
        let ids = source.words(&ids_names)?;
        let ids_place = source.place(&source.find(&ids_names).unwrap_or_default());
        let stored = source.wanted(&names("responses", tier))?;
        let responses_place = stored.place().to_path_buf();
        let dtype = stored.header().dtype;
        let unrolled = stored.shape().len() == 3;
        let rows = Rows {
            images: &images,
            ids: ids.as_deref(),
            ids_place: &ids_place,
            place: &responses_place,
        };
        let (responses, shown) = if (dtype.kind, dtype.size) == (Kind::Float, 8) {
            let (responses, shown) = rows.of(stored.numbers_as::<f64>()?)?;
            (Responses::Double(responses), shown)
        } else {
            let (responses, shown) = rows.of(stored.numbers_as::<f32>()?)?;
            (Responses::Single(responses), shown)
        };
        Ok(Self {
            place,
            images,
            shown,
            responses,
            responses_place,
            unrolled,
        })
    }

    /// A tier per trial, from `tiers`, if there is one.
    pub(super) fn tiers(&self, source: &mut Source) -> Result<Option<Vec<Tier>>> {
        let Some(words) = source.words(&names("tiers", None))? else {
            return Ok(None);
        };
        let file = source.place("tiers");
        let tier = |(row, word): (usize, &String)| tier_of_word(word, row, &file);
        let tiers = words
            .iter()
            .enumerate()
            .map(tier)
            .collect::<Result<Vec<Tier>>>()?;
        let (trials, images) = (self.shown.len(), self.images.shape()[0]);
        if tiers.len() == trials && !self.unrolled {
            Ok(Some(tiers))
        } else if tiers.len() == images {
            Ok(Some(self.shown.iter().map(|image| tiers[*image]).collect()))
        } else {
            let wanted = format!("{trials}, one per trial, or {images}, one per image");
            Err(Error::bad(
                file.display(),
                "number of tiers",
                tiers.len(),
                wanted,
            ))
        }
    }
}

/// The tier that a word means.
pub(super) fn tier_of_word(word: &str, row: usize, file: &Path) -> Result<Tier> {
    match word.trim().to_lowercase().as_str() {
        "train" | "training" => Ok(Tier::Train),
        "val" | "valid" | "validation" => Ok(Tier::Validation),
        "test" | "testing" => Ok(Tier::Test),
        _ => Err(Error::bad(
            file.display(),
            format!("tier in row {row}"),
            format!("\"{word}\""),
            "train, validation or test",
        )),
    }
}

/// What responses are kept as.
pub(super) enum Responses {
    Single(Array2<f32>),
    Double(Array2<f64>),
}

impl Responses {
    /// Neurons.
    pub(super) fn neurons(&self) -> usize {
        match self {
            Self::Single(r) => r.ncols(),
            Self::Double(r) => r.ncols(),
        }
    }
}

/// What finds the trials in responses.
struct Rows<'a> {
    images: &'a Array3<f32>,
    ids: Option<&'a [String]>,
    ids_place: &'a Path,
    place: &'a Path,
}

impl Rows<'_> {
    /// Responses with a row per trial, and the row of `images` that each trial showed.
    fn of<T: Float + Display>(&self, responses: ArrayD<T>) -> Result<(Array2<T>, Vec<usize>)> {
        // The engine works in float32.
        let beyond = |r: &T| r.to_f32().is_none_or(f32::is_infinite);
        if let Some((place, r)) = responses.indexed_iter().find(|(_, r)| beyond(r)) {
            return Err(Error::bad(
                self.place.display(),
                format!("response at {}", shown(place.slice())),
                r,
                "a number within the range of float32, or NaN where it was not recorded",
            ));
        }
        let count = self.images.shape()[0];
        let shape = shown(responses.shape());
        let bad = |wanted: String| Error::bad(self.place.display(), "shape", &shape, wanted);
        let misshapen = || {
            bad(format!(
                "(trials, neurons) or (repeats, {count} images, neurons)"
            ))
        };
        match responses.ndim() {
            2 => {
                let matrix = responses
                    .into_dimensionality::<Ix2>()
                    .map_err(|_| misshapen())?;
                let trials = matrix.nrows();
                let shown = match self.ids {
                    None if trials == count => (0..count).collect(),
                    None => {
                        return Err(bad(format!(
                            "{count} rows, one per image, or an array image_ids that says which image each trial showed"
                        )));
                    }
                    Some(ids) => rows_shown(ids, trials, self.images, self.ids_place)?,
                };
                Ok((matrix, shown))
            }
            3 if responses.shape()[1] == count => {
                let block = responses.into_dimensionality::<Ix3>();
                unroll(&block.map_err(|_| misshapen())?).ok_or_else(misshapen)
            }
            _ => Err(misshapen()),
        }
    }
}

/// Trials image by image from (repeats, images, neurons), without those on which no neuron was recorded.
fn unroll<T: Float>(responses: &Array3<T>) -> Option<(Array2<T>, Vec<usize>)> {
    let (repeats, images, neurons) = responses.dim();
    let (mut values, mut shown) = (Vec::new(), Vec::new());
    for image in 0..images {
        for repeat in 0..repeats {
            let trial = responses.slice(ndarray::s![repeat, image, ..]);
            if trial.iter().any(|r| !r.is_nan()) {
                values.extend(trial);
                shown.push(image);
            }
        }
    }
    let matrix = Array2::from_shape_vec((shown.len(), neurons), values).ok()?;
    Some((matrix, shown))
}

/// Which row of `images` each trial showed, according to its id.
fn rows_shown(
    ids: &[String],
    trials: usize,
    images: &Array3<f32>,
    file: &Path,
) -> Result<Vec<usize>> {
    let bad = |what: String, got: String, wanted: String| {
        Err(Error::bad(file.display(), what, got, wanted))
    };
    if ids.len() != trials {
        return bad(
            "number of ids".into(),
            ids.len().to_string(),
            format!("{trials}, one per trial"),
        );
    }
    let count = images.shape()[0];
    let rows: Option<Vec<usize>> = ids
        .iter()
        .map(|id| id.parse().ok().filter(|row| *row < count))
        .collect();
    if trials != count {
        if let Some(rows) = rows {
            return Ok(rows);
        }
        let unusable = |id: &&String| !id.parse::<usize>().is_ok_and(|row| row < count);
        let got = ids.iter().find(unusable).cloned().unwrap_or_default();
        return bad(
            "id".into(),
            got,
            format!(
                "a row of the {count} images, 0 to {}",
                count.saturating_sub(1)
            ),
        );
    }
    if let Some(rows) = rows {
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        if sorted.iter().enumerate().all(|(i, row)| i == *row) && !rows.is_sorted() {
            return bad(
                "order of ids".into(),
                "a permutation of the rows of images".into(),
                "no doubt whether images lie in the order of trials: store images[image_ids] and no image_ids, or sort the trials"
                    .into(),
            );
        }
    }
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (row, id) in ids.iter().enumerate() {
        let earlier = *first.entry(id).or_insert(row);
        if images.index_axis(Axis(0), earlier) != images.index_axis(Axis(0), row) {
            return bad(
                format!("id of trials {earlier} and {row}"),
                id.clone(),
                "the same pixels in both rows of images; if ids are row numbers, store images[image_ids]".into(),
            );
        }
    }
    Ok((0..count).collect())
}
