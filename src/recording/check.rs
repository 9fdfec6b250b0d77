//! What makes a recording valid, whoever made it: the same rules on opening, importing, simulating and writing.

use super::listing::{OWN, check_names};
use super::metadata::Metadata;
use super::{Recording, Tier, Trial};
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Where each part of a recording is from: the files to name in messages.
pub(super) struct Places {
    pub(super) images: PathBuf,
    pub(super) responses: PathBuf,
    pub(super) trials: PathBuf,
    pub(super) neurons: PathBuf,
    pub(super) metadata: PathBuf,
}

impl Places {
    /// The files of a recording's directory.
    pub(super) fn within(directory: &Path) -> Self {
        Self {
            images: directory.join("images.npy"),
            responses: directory.join("responses.npy"),
            trials: directory.join("trials.csv"),
            neurons: directory.join("neurons.csv"),
            metadata: directory.join("recording.toml"),
        }
    }

    /// A place that has no files yet.
    pub(super) fn all(place: &Path) -> Self {
        let place = || place.to_path_buf();
        Self {
            images: place(),
            responses: place(),
            trials: place(),
            neurons: place(),
            metadata: place(),
        }
    }
}

impl Recording {
    /// Checks everything that training and scoring rely on; `place` is the directory to name in messages.
    ///
    /// Images are non-empty and finite. Responses are finite or NaN, one row per trial, at least one neuron, and every
    /// neuron was recorded on some training trial. Every trial shows an image that exists, no image is in two tiers,
    /// and there are training and test trials (validation may be absent: the last weights then count as the best).
    /// `neurons.csv` numbers its rows from 0, one per neuron.
    ///
    /// # Errors
    /// The first violation: file, value and place in it, and what was wanted.
    pub fn check(&self, place: &Path) -> Result<()> {
        self.check_at(&Places::within(place))
    }

    pub(super) fn check_at(&self, places: &Places) -> Result<()> {
        self.check_images(&places.images)?;
        self.check_responses(&places.responses)?;
        self.check_trials(&places.trials)?;
        if let Some(neurons) = &self.neurons {
            check_neurons(neurons, self.neuron_count(), &places.neurons)?;
        }
        let metadata = Metadata {
            degrees_per_pixel: self.degrees_per_pixel,
            ..Metadata::default()
        };
        metadata.check(&self.name, &places.metadata)?;
        self.check_recorded(&places.responses)
    }

    fn check_images(&self, file: &Path) -> Result<()> {
        if self.images.is_empty() {
            let shape = format!("{:?}", self.images.dim());
            return Err(bad(
                file,
                "shape",
                shape,
                "at least one image of at least one pixel",
            ));
        }
        let infinite = self.images.indexed_iter().find(|(_, x)| !x.is_finite());
        if let Some(((image, row, column), x)) = infinite {
            let what = format!("image {image}, row {row}, column {column}");
            return Err(bad(file, what, x, "a finite grey level"));
        }
        Ok(())
    }

    fn check_responses(&self, file: &Path) -> Result<()> {
        if self.neuron_count() == 0 {
            let shape = format!("{:?}", self.responses.dim());
            return Err(bad(file, "shape", shape, "at least one neuron"));
        }
        let infinite = self.responses.indexed_iter().find(|(_, r)| r.is_infinite());
        if let Some(((trial, neuron), r)) = infinite {
            let what = format!("response in trial {trial} of neuron {neuron}");
            return Err(bad(
                file,
                what,
                r,
                "a number, or NaN where it was not recorded",
            ));
        }
        Ok(())
    }

    fn check_trials(&self, file: &Path) -> Result<()> {
        let (rows, wanted) = (self.trials.len(), self.responses.nrows());
        if rows != wanted {
            let wanted = format!("{wanted}, one per row of responses.npy");
            return Err(bad(file, "number of trials", rows, wanted));
        }
        check_columns(self.trial_columns.as_ref(), rows, file)?;
        check_shown(&self.trials, self.images.shape()[0], file, true)
    }

    fn check_recorded(&self, file: &Path) -> Result<()> {
        let mut recorded = vec![false; self.neuron_count()];
        for row in self.trials_of(Tier::Train) {
            for (known, r) in recorded.iter_mut().zip(self.responses.row(row)) {
                *known |= !r.is_nan();
            }
        }
        match recorded.iter().position(|known| !known) {
            Some(neuron) => Err(bad(
                file,
                format!("training responses of neuron {neuron}"),
                "NaN on every trial",
                "at least one recorded: it cannot be fitted",
            )),
            None => Ok(()),
        }
    }
}

fn bad(
    file: &Path,
    what: impl std::fmt::Display,
    got: impl std::fmt::Display,
    wanted: impl std::fmt::Display,
) -> Error {
    Error::bad(file.display(), what, got, wanted)
}

/// Further columns of `trials.csv`: a row per trial, every name once.
pub(super) fn check_columns(columns: Option<&Table>, trials: usize, file: &Path) -> Result<()> {
    let Some(columns) = columns else {
        return Ok(());
    };
    check_names(OWN.into_iter().chain(columns.names()), file)?;
    if columns.rows() != trials {
        let wanted = format!("{trials}, one per trial");
        return Err(bad(file, "rows of further columns", columns.rows(), wanted));
    }
    Ok(())
}

/// Every trial shows one of so many images; with `tiers`, each image is in one tier, and there is training and testing.
pub(super) fn check_shown(trials: &[Trial], images: usize, file: &Path, tiers: bool) -> Result<()> {
    let mut first: Vec<Option<(usize, Tier)>> = vec![None; images];
    for (row, trial) in trials.iter().enumerate() {
        let Some(seen) = first.get_mut(trial.image) else {
            let wanted = format!("a row of images.npy, 0 to {}", images - 1);
            return Err(bad(
                file,
                format!("image in trial {row}"),
                trial.image,
                wanted,
            ));
        };
        let (earlier, tier) = *seen.get_or_insert((row, trial.tier));
        if tiers && tier != trial.tier {
            return Err(bad(
                file,
                format!("tier of image {}", trial.image),
                format!("{tier} (trial {earlier}) and {} (trial {row})", trial.tier),
                "one tier per image: anything else leaks",
            ));
        }
    }
    match tiers {
        true => check_tiers(trials, file),
        false => Ok(()),
    }
}

/// There are trials to train on and to test with.
pub(super) fn check_tiers(trials: &[Trial], file: &Path) -> Result<()> {
    for tier in [Tier::Train, Tier::Test] {
        if !trials.iter().any(|t| t.tier == tier) {
            let what = format!("number of {tier} trials");
            return Err(bad(file, what, 0, "at least 1"));
        }
    }
    Ok(())
}

pub(super) fn check_neurons(table: &Table, count: usize, file: &Path) -> Result<()> {
    let first = table.names().next().unwrap_or_default();
    if first != "neuron" {
        return Err(bad(
            file,
            "first column",
            format!("\"{first}\""),
            "\"neuron\"",
        ));
    }
    check_names(table.names(), file)?;
    if table.rows() != count {
        let wanted = format!("{count}, one per column of responses.npy");
        return Err(bad(file, "number of rows", table.rows(), wanted));
    }
    let Some(numbers) = table.column("neuron").and_then(Column::as_integers) else {
        return Err(bad(
            file,
            "column neuron",
            "not all integers",
            format!("0 to {}", count - 1),
        ));
    };
    match (0_i64..).zip(numbers).find(|(row, n)| row != n) {
        Some((row, n)) => Err(bad(file, format!("neuron in row {row}"), n, row)),
        None => Ok(()),
    }
}
