//! What a fit reads and writes: recordings in, a run directory out.

use super::batches::Order;
use super::earlier::{Earlier, OWN};
use super::{End, Trainer, history};
use crate::lock::Lock;
use crate::model::Config;
use crate::model::checkpoint::{CONFIG, MODEL};
use crate::model::readout::Readout;
use crate::recording::Recording;
use crate::{Error, Result, files, results};
use std::collections::{HashMap, HashSet};
use std::path::Path;

impl Trainer {
    /// A fresh run directory; where another fit lies, it stays until this one has weights to write.
    pub(super) fn begin_run(&self) -> Result<()> {
        if self.earlier != Earlier::None {
            return Ok(());
        }
        for name in OWN {
            files::remove(&self.out.join(name))?;
        }
        results::clear(&self.out)?;
        self.write_config()
    }

    /// Refuses a disk that is too small for the model and for what resuming needs, both of them twice: a new file is
    /// written beside the old one.
    pub(super) fn require_space(&self) -> Result<()> {
        let numbers = self.model.params.layout.len() + self.model.statistics.layout.len();
        // Now and best: values and two moments each; and the model.
        let bytes = 2 * 7 * numbers as u128 * size_of::<f32>() as u128;
        files::require_space(&self.out, bytes)
    }

    pub(super) fn write_config(&self) -> Result<()> {
        let text = self.model.config.to_toml()?;
        files::write(&self.out.join(CONFIG), |w| w.write_all(text.as_bytes()))
    }

    /// Writes the best model, what resuming needs, and the history. A fit that diverged before any validation has no
    /// model that is worth a file.
    pub(super) fn save(&mut self) -> Result<()> {
        let nothing = self.state.best.is_none() && self.state.done == Some(End::Diverged);
        if nothing && self.earlier != Earlier::None {
            // Nothing to put in its place: the fit that lies here stays as it is.
            return Ok(());
        }
        if self.earlier != Earlier::None {
            self.replace_earlier()?;
            self.write_config()?;
        }
        let model = self.out.join(MODEL);
        let before = files::hash_of(&model).ok();
        let now = match &self.state.best {
            Some(best) => {
                let (params, statistics) = (&best.snapshot.params, &best.snapshot.statistics);
                Some(self.model.sources(params, statistics).write(&model)?)
            }
            None if self.state.done == Some(End::Diverged) => {
                files::remove(&model)?;
                None
            }
            None => Some(self.model.write(&model)?),
        };
        if before.is_some() && before != now {
            // What was derived from the weights before.
            results::clear(&self.out)?;
        }
        self.write_windows()?;
        self.write_resume()?;
        self.history.write(&self.out.join(history::FILE))
    }
}

/// Takes the run directory for this fit alone, and shows that it can be written.
pub(super) fn claim(out: &Path) -> Result<Lock> {
    let recording = ["images.npy", "responses.npy", "trials.csv"];
    if let Some(own) = recording.iter().find(|f| out.join(f).exists()) {
        let what =
            format!("holds {own}: this is a recording, wanted another directory for the run");
        return Err(Error::file(out, what));
    }
    files::create_directory(out)?;
    let lock = Lock::whole(out, "train")?;
    files::clear_abandoned(out);
    files::check_writable(&out.join(MODEL))?;
    Ok(lock)
}

/// Refuses batches whose last map has one value per channel: normalised it is 0, whatever the image.
pub(super) fn check_normalisation(config: &Config, readout: &Readout, order: &Order) -> Result<()> {
    let shared = match config.core.shared_norm {
        true => config.orientations(),
        false => 1,
    };
    if readout.is_whole() || order.batch * readout.map.0 * readout.map.1 * shared > 1 {
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

/// Reads a configuration to fit by: its recordings exist, and have absolute paths.
///
/// # Errors
/// As [`Config::open`]; names the recording that does not exist, or says that there is none.
pub fn locate(path: &Path, overrides: &[String]) -> Result<Config> {
    let mut config = Config::open(path, overrides)?;
    if config.recordings.is_empty() {
        return Err(Error::bad(
            path.display(),
            "recordings",
            "[]",
            "at least one recording directory",
        ));
    }
    for recording in &mut config.recordings {
        *recording = recording.canonicalize().map_err(|_| {
            let beside = path.parent().unwrap_or(Path::new("")).join(&*recording);
            let wanted = if recording.is_absolute() || beside == *recording {
                "a directory that exists".to_string()
            } else {
                format!(
                    "a directory: neither {} nor {} exists",
                    beside.display(),
                    recording.display()
                )
            };
            let got = format!("\"{}\"", recording.display());
            Error::bad(path.display(), "recordings", got, wanted)
        })?;
    }
    Ok(config)
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
