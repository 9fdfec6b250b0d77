//! A recording whose arrays stay in their files: for what only moves them.

use super::check::{check_columns, check_neurons, check_shown};
use super::listing::{Listing, Tiers};
use super::metadata::Metadata;
use super::sink::Pixels;
use super::{Tier, Trial, name_of};
use crate::npy::{Kind, Rows, shown};
use crate::table::Table;
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes of responses looked at in one go.
const BLOCK: usize = 1 << 25;

/// Told what is being done, how much of it is done, and how much there is; an error stops it.
pub type Progress<'a> = dyn FnMut(&'static str, usize, usize) -> Result<()> + 'a;

/// A recording, opened but not read.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) directory: PathBuf,
    pub(super) name: String,
    pub(super) images: Rows,
    /// Height and width.
    pub(super) size: (usize, usize),
    pub(super) responses: Rows,
    pub(super) trials: Vec<Trial>,
    pub(super) columns: Option<Table>,
    pub(super) neurons: Option<Table>,
    pub(super) metadata: Metadata,
}

impl Part {
    /// Opens a recording and checks all but the numbers in its arrays.
    pub(super) fn open(directory: &Path, tiers: Tiers) -> Result<Self> {
        if !directory.is_dir() {
            let what = match directory.exists() {
                true => "not a directory, wanted a recording",
                false => "does not exist, wanted a recording",
            };
            return Err(Error::file(directory, what));
        }
        let images = Rows::open(&directory.join("images.npy"))?;
        let kinds = [(Kind::Unsigned, 1), (Kind::Float, 4)];
        check_type(&images, &kinds, "uint8 or float32")?;
        let size = match *images.header().shape {
            [_, h, w] | [_, 1, h, w] | [_, h, w, 1] if !images.header().is_empty() => (h, w),
            _ => {
                let wanted = "(images, height, width)";
                return Err(misshapen(&images, wanted));
            }
        };
        let responses = Rows::open(&directory.join("responses.npy"))?;
        let kinds = [(Kind::Float, 4), (Kind::Float, 8)];
        check_type(&responses, &kinds, "float32 or float64")?;
        if !matches!(*responses.header().shape, [_, n] if n > 0) {
            let wanted = "(trials, neurons), with at least one neuron";
            return Err(misshapen(&responses, wanted));
        }
        let place = directory.join("trials.csv");
        let Listing { trials, columns } = Listing::read(&place, tiers)?;
        check_columns(columns.as_ref(), trials.len(), &place)?;
        if trials.len() != responses.count() {
            let wanted = format!("{}, one per row of responses.npy", responses.count());
            return Err(Error::bad(
                place.display(),
                "number of trials",
                trials.len(),
                wanted,
            ));
        }
        check_shown(&trials, images.count(), &place, tiers == Tiers::Wanted)?;
        let neurons = match directory.join("neurons.csv") {
            file if file.exists() => {
                let table = Table::read_csv(&file)?;
                check_neurons(&table, responses.width(), &file)?;
                Some(table)
            }
            _ => None,
        };
        let metadata = match directory.join("recording.toml") {
            file if file.exists() => Metadata::read(&file)?,
            _ => Metadata::default(),
        };
        let name = match &metadata.name {
            Some(name) => name.clone(),
            None => name_of(directory)?,
        };
        metadata.check(&name, &directory.join("recording.toml"))?;
        Ok(Self {
            directory: directory.to_path_buf(),
            name,
            images,
            size,
            responses,
            trials,
            columns,
            neurons,
            metadata,
        })
    }

    /// Whether responses are `float64`.
    pub(super) fn wide(&self) -> bool {
        self.responses.header().dtype.size == 8
    }

    /// One image.
    pub(super) fn image(&self, row: usize) -> Result<Pixels> {
        let mut values = Vec::new();
        self.images.read::<f32>(row, 1, &mut values)?;
        Ok(Pixels::of(values))
    }

    /// Checks every response, and that every neuron was recorded in one of the trials that are for training.
    pub(super) fn check_responses(&self, trials: &[Trial], progress: &mut Progress) -> Result<()> {
        let (rows, width) = (self.responses.count(), self.responses.width());
        let at_once = (BLOCK / (8 * width)).max(1);
        let mut recorded = Recorded::new(width);
        let mut values: Vec<f32> = Vec::new();
        for first in (0..rows).step_by(at_once) {
            progress("reading responses", first, rows)?;
            let count = at_once.min(rows - first);
            values.clear();
            self.responses.read(first, count, &mut values)?;
            for (trial, row) in (first..).zip(values.chunks_exact(width)) {
                let neuron = row.iter().position(|r| r.is_infinite());
                if let Some(neuron) = neuron {
                    return Err(Error::bad(
                        self.responses.place().display(),
                        format!("response in trial {trial} of neuron {neuron}"),
                        row[neuron],
                        "a number within the range of float32, or NaN where it was not recorded",
                    ));
                }
                if trials[trial].tier == Tier::Train {
                    recorded.see(|n| !row[n].is_nan());
                }
            }
        }
        recorded.check(self.responses.place())
    }
}

/// Which neurons have been recorded in training trials.
#[derive(Debug)]
pub(super) struct Recorded(Vec<usize>);

impl Recorded {
    pub(super) fn new(neurons: usize) -> Self {
        Self((0..neurons).collect())
    }

    /// One training trial.
    pub(super) fn see(&mut self, known: impl Fn(usize) -> bool) {
        self.0.retain(|n| !known(*n));
    }

    /// Refuses a neuron that never was; `place` is what to name.
    pub(super) fn check(&self, place: &Path) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(neuron) => Err(Error::bad(
                place.display(),
                format!("training responses of neuron {neuron}"),
                "NaN on every trial",
                "at least one recorded: it cannot be fitted",
            )),
        }
    }
}

fn misshapen(array: &Rows, wanted: &str) -> Error {
    let got = shown(&array.header().shape);
    Error::bad(array.place().display(), "shape", got, wanted)
}

fn check_type(array: &Rows, kinds: &[(Kind, usize)], names: &str) -> Result<()> {
    let dtype = array.header().dtype;
    if kinds.contains(&(dtype.kind, dtype.size)) {
        return Ok(());
    }
    Err(Error::bad(
        array.place().display(),
        "dtype",
        dtype.name(),
        names,
    ))
}

/// For every image of several recordings, one after the other, the first with exactly its pixels: itself, unless an earlier
/// one is identical. Refuses pixels that are no grey levels.
pub(super) fn first_identical(parts: &[Part], progress: &mut Progress) -> Result<Vec<usize>> {
    let all = parts.iter();
    let all: Vec<(&Part, usize)> = all
        .flat_map(|p| (0..p.images.count()).map(move |row| (p, row)))
        .collect();
    let mut seen: HashMap<u128, Vec<usize>> = HashMap::new();
    let mut first = Vec::with_capacity(all.len());
    for (index, (part, row)) in all.iter().enumerate() {
        if index % 64 == 0 {
            progress("reading images", index, all.len())?;
        }
        let pixels = part.image(*row)?;
        if let Some((at, x)) = pixels.unusable() {
            let (y, column) = (at / part.size.1, at % part.size.1);
            let what = format!("image {row}, row {y}, column {column}");
            let place = part.images.place().display();
            return Err(Error::bad(place, what, x, "a finite grey level"));
        }
        let candidates = seen.entry(pixels.key()).or_default();
        let mut twin = None;
        for candidate in candidates.iter() {
            let (part, row) = all[*candidate];
            if part.image(row)? == pixels {
                twin = Some(*candidate);
                break;
            }
        }
        if twin.is_none() {
            candidates.push(index);
        }
        first.push(twin.unwrap_or(index));
    }
    Ok(first)
}
