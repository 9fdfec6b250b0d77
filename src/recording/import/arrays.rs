//! Where loose arrays lie, and under which names.

use crate::npy::{Archive, Kind, Stored, shown};
use crate::recording::Tier;
use crate::table::Table;
use crate::{Error, Result};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

/// Names under which an array of a tier may be stored.
pub(super) fn names(stem: &str, tier: Option<Tier>) -> Vec<String> {
    let words: &[&str] = match tier {
        None => return vec![stem.to_string()],
        Some(Tier::Train) => &["train"],
        Some(Tier::Validation) => &["validation", "val"],
        Some(Tier::Test) => &["test"],
    };
    words
        .iter()
        .flat_map(|w| [format!("{stem}_{w}"), format!("{w}_{stem}")])
        .collect()
}

/// Named arrays, in a folder of `.npy` files or in one `.npz`.
pub(super) enum Source {
    Folder(PathBuf),
    Archive(PathBuf, Archive, Vec<String>),
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_path_buf()));
        }
        if path.extension().is_some_and(|e| e == "npz") {
            let archive = Archive::open(path)?;
            let names = archive.names();
            return Ok(Self::Archive(path.to_path_buf(), archive, names));
        }
        let mat = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("mat"));
        let what = if path.exists() && mat {
            "is a MATLAB file, not loose arrays: use `striate import mat`"
        } else if path.exists() {
            "is neither a folder nor an .npz file"
        } else {
            "does not exist"
        };
        Err(Error::file(path, what))
    }

    pub(super) fn place(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(path) | Self::Archive(path, ..) => path.join(format!("{name}.npy")),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(_) => self.place(name).exists(),
            Self::Archive(_, _, names) => names.iter().any(|n| n == name),
        }
    }

    pub(super) fn find(&self, candidates: &[String]) -> Option<String> {
        candidates.iter().find(|n| self.has(n)).cloned()
    }

    pub(super) fn array(&mut self, name: &str) -> Result<Stored<'_>> {
        let file = self.place(name);
        match self {
            Self::Folder(_) => Stored::open(&file),
            Self::Archive(_, archive, _) => archive.array(name),
        }
    }

    /// The array that must be there under one of the names.
    pub(super) fn wanted(&mut self, candidates: &[String]) -> Result<Stored<'_>> {
        let name = self
            .find(candidates)
            .unwrap_or_else(|| candidates[0].clone());
        self.array(&name)
    }

    /// Words, or whole numbers in decimal, of a one-dimensional array that may be absent.
    pub(super) fn words(&mut self, candidates: &[String]) -> Result<Option<Vec<String>>> {
        let Some(name) = self.find(candidates) else {
            return Ok(None);
        };
        let file = self.place(&name);
        let stored = self.array(&name)?;
        let dtype = stored.header().dtype;
        let words: ArrayD<String> = if dtype.kind == Kind::Float {
            let numbers = stored.numbers()?;
            // float32 tells whole numbers apart up to 2^24.
            let unusable = |x: &&f32| x.fract() != 0.0 || x.abs() >= 16_777_216.0 || x.is_nan();
            if let Some(x) = numbers.iter().find(unusable) {
                return Err(Error::bad(file.display(), "id", x, "integers or strings"));
            }
            numbers.mapv(|x| (x as i64).to_string())
        } else {
            stored.words()?
        };
        let shape = shown(words.shape());
        if words.ndim() != 1 {
            return Err(Error::bad(file.display(), "shape", shape, "one axis"));
        }
        Ok(Some(words.into_iter().collect()))
    }

    pub(super) fn neurons(&self) -> Result<Option<Table>> {
        match self {
            Self::Folder(path) if path.join("neurons.csv").exists() => {
                Table::read_csv(&path.join("neurons.csv")).map(Some)
            }
            _ => Ok(None),
        }
    }
}
