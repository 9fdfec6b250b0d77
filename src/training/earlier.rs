//! A run directory that holds a fit already: work is not destroyed by a command that is given twice.

use super::{Trainer, history, resume, windows};
use crate::model::Config;
use crate::model::checkpoint::{CONFIG, MODEL, Tensors};
use crate::results::{self, DERIVED, FIGURES};
use crate::{Error, Result, files, say};
use std::path::{Path, PathBuf};

/// Files that `train` writes itself.
pub(super) const OWN: [&str; 5] = [CONFIG, MODEL, resume::FILE, history::FILE, windows::FILE];

/// The fit that lies where another one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// None.
    None,
    /// Moved into a directory of its own.
    Kept,
    /// Removed.
    Removed,
}

impl Trainer {
    /// What is to become of a fit that lies in the run directory.
    ///
    /// # Errors
    /// When it is the same fit: the command was given twice.
    pub(super) fn look_for_earlier(&self, overwrite: bool) -> Result<Earlier> {
        if !self.out.join(MODEL).exists() && !self.out.join(resume::FILE).exists() {
            return Ok(Earlier::None);
        }
        if overwrite {
            return Ok(Earlier::Removed);
        }
        if self.is_same_fit() {
            let what = "holds this very fit already: continue it by --resume, fit it anew by --overwrite, or give \
                        another --out";
            return Err(Error::file(&self.out, what));
        }
        Ok(Earlier::Kept)
    }

    /// Whether the fit in the run directory has this configuration, but for what ends it, and these recordings.
    fn is_same_fit(&self) -> bool {
        let Ok(mut before) = Config::open(&self.out.join(CONFIG), &[]) else {
            return false;
        };
        let now = &self.model.config;
        before.recordings.clone_from(&now.recordings);
        before.training.max_steps = now.training.max_steps;
        before.training.patience = now.training.patience;
        before.training.validate_every = now.training.validate_every;
        let same_data = match Tensors::read(&self.out.join(MODEL)) {
            Ok(tensors) => self.model.metadata() == tensors.metadata,
            Err(_) => true,
        };
        before == *now && same_data
    }

    /// Moves or removes the earlier fit with all that was derived from it, now that there is something to put in its
    /// place.
    pub(super) fn replace_earlier(&mut self) -> Result<()> {
        match self.earlier {
            Earlier::None => {}
            Earlier::Removed => {
                // The new configuration and weights take the place of the old ones, each at once.
                for name in OWN.iter().filter(|name| ![CONFIG, MODEL].contains(name)) {
                    files::remove(&self.out.join(name))?;
                }
                results::clear(&self.out)?;
            }
            Earlier::Kept => {
                let place = free_place(&self.out);
                files::create_directory(&place)?;
                let all = OWN.iter().chain(&DERIVED).chain([&FIGURES]);
                for name in all.filter(|f| self.out.join(f).exists()) {
                    let (from, to) = (self.out.join(name), place.join(name));
                    std::fs::rename(&from, to)
                        .map_err(|e| Error::file(&from, format!("cannot move: {e}")))?;
                }
                say(format_args!(
                    "{}: another fit lay here; it is now {}",
                    self.out.display(),
                    place.display()
                ));
            }
        }
        self.earlier = Earlier::None;
        Ok(())
    }
}

/// `earlier-1` in the run, or the first number that is free.
fn free_place(out: &Path) -> PathBuf {
    let mut number = 1;
    loop {
        let place = out.join(format!("earlier-{number}"));
        if !place.exists() {
            return place;
        }
        number += 1;
    }
}
