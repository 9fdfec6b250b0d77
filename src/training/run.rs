//! What a fit reads and writes: recordings in, a run directory out.

use super::batches::Order;
use super::{End, Trainer, history, resume};
use crate::model::Config;
use crate::model::checkpoint::{CONFIG, MODEL};
use crate::model::readout::Readout;
use crate::recording::Recording;
use crate::{Error, Result, files};
use std::collections::{HashMap, HashSet};

impl Trainer {
    /// A fresh run directory: what an earlier run left of its own files goes.
    pub(super) fn begin_run(&self) -> Result<()> {
        if let Some(own) = ["images.npy", "responses.npy", "trials.csv"]
            .iter()
            .find(|f| self.out.join(f).exists())
        {
            let what =
                format!("holds {own}: this is a recording, wanted another directory for the run");
            return Err(Error::file(&self.out, what));
        }
        files::create_directory(&self.out)?;
        for name in [
            MODEL,
            resume::FILE,
            history::FILE,
            "evaluation.csv",
            "equivariance.csv",
        ] {
            files::remove(&self.out.join(name))?;
        }
        self.write_config()
    }

    pub(super) fn write_config(&self) -> Result<()> {
        let text = self.model.config.to_toml()?;
        files::write(&self.out.join(CONFIG), |w| w.write_all(text.as_bytes()))
    }

    /// Writes the best model, what resuming needs, and the history. A fit that diverged before any validation has no
    /// model that is worth a file.
    pub(super) fn save(&self) -> Result<()> {
        let model = self.out.join(MODEL);
        match &self.state.best {
            Some(best) => {
                let mut kept = self.model.clone();
                kept.params = best.snapshot.params.clone();
                kept.statistics = best.snapshot.statistics.clone();
                kept.tensors().write(&model)?;
            }
            None if self.state.done == Some(End::Diverged) => files::remove(&model)?,
            None => self.model.tensors().write(&model)?,
        }
        self.write_resume()?;
        self.history.write(&self.out.join(history::FILE))
    }
}

/// FNV-1a over every number of the recordings.
pub(super) fn fingerprint(recordings: &[Recording]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
    for r in recordings {
        r.images
            .iter()
            .chain(&r.responses)
            .for_each(|v| add(u64::from(v.to_bits())));
        r.trials
            .iter()
            .for_each(|t| add(3 * t.image as u64 + t.tier as u64));
    }
    hash
}

/// Refuses batches whose last map has one value per channel: normalised it is 0, whatever the image.
pub(super) fn check_normalisation(config: &Config, readout: &Readout, order: &Order) -> Result<()> {
    let shared = match config.core.shared_norm {
        true => config.orientations(),
        false => 1,
    };
    if order.batch * readout.map.0 * readout.map.1 * shared > 1 {
        return Ok(());
    }
    let got = match config.training.batch_size {
        1 => "1".to_string(),
        n => format!("{n}, of one training trial"),
    };
    Err(Error::bad(
        format!("recording {}", readout.name),
        "training.batch_size",
        got,
        "at least 2 trials: the core's map is 1 x 1 pixel, and normalised over one value nothing can be learnt",
    ))
}

pub(super) fn check_names(recordings: &[Recording]) -> Result<()> {
    if recordings.is_empty() {
        return Err(Error::bad(
            "configuration",
            "recordings",
            "[]",
            "at least one recording directory",
        ));
    }
    let mut seen = HashSet::new();
    for r in recordings {
        if r.name.is_empty() || r.name.contains('/') {
            return Err(Error::bad(
                "recording",
                "its name",
                format!("\"{}\"", r.name),
                "a word without slashes",
            ));
        }
        if !seen.insert(&r.name) {
            return Err(Error::bad(
                "recordings",
                "the name of two of them",
                format!("\"{}\"", r.name),
                "different names",
            ));
        }
    }
    Ok(())
}

/// Opens the recordings of a configuration.
///
/// # Errors
/// Names the recording that cannot be opened.
pub fn open_recordings(config: &Config) -> Result<Vec<Recording>> {
    let mut seen = HashMap::new();
    for path in &config.recordings {
        let name = Recording::name_at(path);
        if let Some(other) = seen.insert(name.clone(), path) {
            let got = format!("\"{name}\" as in {}", other.display());
            return Err(Error::bad(
                path.display(),
                "its name",
                got,
                "another `name` in recording.toml",
            ));
        }
    }
    config
        .recordings
        .iter()
        .map(|p| Recording::open(p))
        .collect()
}
