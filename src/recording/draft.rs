//! A recording's directory while it is being filled: it appears whole, or not at all.

use crate::{Error, Result, files};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory under a temporary name beside its place; gone when dropped unfinished, with the parents made for it.
#[derive(Debug)]
pub(super) struct Draft {
    target: PathBuf,
    temporary: TempDir,
    // Goes after the directory that lies in it.
    parents: Parents,
}

impl Draft {
    /// For a recording of so many bytes at most; `target` is new, or an empty directory.
    pub(super) fn begin(target: &Path, bytes: u128) -> Result<Self> {
        files::require_space(target, bytes)?;
        if target.exists() {
            let mut entries = std::fs::read_dir(target).map_err(|e| cannot(target, e))?;
            if entries.next().is_some() {
                let what = "exists and is not empty, wanted a new directory";
                return Err(Error::file(target, what));
            }
        }
        let parent = files::directory_of(target);
        let parents = Parents::of(parent)?;
        files::clear_abandoned(parent);
        Ok(Self {
            target: target.to_path_buf(),
            temporary: files::temporary_directory(parent)?,
            parents,
        })
    }

    /// Where its files go meanwhile.
    pub(super) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// An error about a file in it, as one about the file that it would have become.
    pub(super) fn named(&self, error: Error) -> Error {
        match error {
            Error::File { path, what } => {
                let place = path.strip_prefix(self.path());
                let path = place.map_or(path.clone(), |p| self.target.join(p));
                Error::file(path, files::reason(what))
            }
            other => other,
        }
    }

    /// Gives it its name.
    pub(super) fn finish(self) -> Result<()> {
        let Self {
            target,
            temporary,
            mut parents,
        } = self;
        // Renaming replaces an empty directory; from here on there is nothing to clean up.
        std::fs::rename(temporary.path(), &target).map_err(|e| cannot(&target, e))?;
        let _moved: PathBuf = temporary.keep();
        parents.keep();
        Ok(())
    }
}

fn cannot(target: &Path, e: std::io::Error) -> Error {
    Error::file(target, format!("cannot write: {}", files::reason(e)))
}

/// Directories made on the way to a place; they go again unless they are kept or hold something.
#[derive(Debug)]
pub(super) struct Parents(Vec<PathBuf>);

impl Parents {
    pub(super) fn of(directory: &Path) -> Result<Self> {
        let missing = |p: &&Path| !p.as_os_str().is_empty() && !p.exists();
        let made = directory.ancestors().take_while(missing);
        let made = Self(made.map(Path::to_path_buf).collect());
        files::create_directory(directory)?;
        Ok(made)
    }

    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for directory in &self.0 {
            // One that holds something stays.
            let _ = std::fs::remove_dir(directory);
        }
    }
}
