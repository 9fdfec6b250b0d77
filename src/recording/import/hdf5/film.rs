//! Images of a part: in the file itself, or a film that lies beside several.

use super::super::assemble::Pictures;
use super::super::frames::Frames;
use crate::hdf5::File;
use crate::npy::{Rows, shown};
use crate::recording::part::Progress;
use crate::recording::sink::Pixels;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Where images are.
pub(super) enum Images {
    Own(Box<Frames>),
    Shared(Rows),
}

impl Images {
    /// A film of openretina: the session's own, else the one that sessions share.
    pub(super) fn of_film(file: &File, name: &str) -> Result<Self> {
        if let Some(own) = file.find(&format!("/stimulus_{name}"))? {
            return Ok(Self::Own(Box::new(Frames::film(own)?)));
        }
        let beside = crate::files::directory_of(file.path());
        let shared: PathBuf = beside.join("stimuli").join(format!("{name}.npy"));
        if !shared.exists() {
            let what = format!(
                "has responses_{name}, but neither stimulus_{name} nor {}",
                shared.display()
            );
            return Err(Error::file(file.path(), what));
        }
        shared_film(&shared).map(Self::Shared)
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Own(frames) => frames.count,
            Self::Shared(rows) => rows.count(),
        }
    }

    /// What to name in a message.
    pub(super) fn place(&self) -> &Path {
        match self {
            Self::Own(frames) => frames.place(),
            Self::Shared(rows) => rows.place(),
        }
    }
}

/// The frames of a film of one channel: an `.npy` of (1, frames, height, width).
fn shared_film(place: &Path) -> Result<Rows> {
    let rows = Rows::open(place)?;
    let shape = &rows.header().shape;
    match **shape {
        [1, t, h, w] if t * h * w > 0 => Ok(rows.of_first()),
        _ => Err(Error::bad(
            place.display(),
            "shape",
            shown(shape),
            "(1, frames, height, width): one grey channel",
        )),
    }
}

impl Pictures for Images {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Own(frames) => frames.size(),
            Self::Shared(rows) => rows.size(),
        }
    }

    fn prepare(
        &mut self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<()> {
        match self {
            Self::Own(frames) => frames.prepare(wanted, beside, progress),
            Self::Shared(_) => Ok(()),
        }
    }

    fn pixels(&self, number: usize) -> Result<Pixels> {
        match self {
            Self::Own(frames) => frames.pixels(number),
            Self::Shared(rows) => rows.pixels(number),
        }
    }
}
