//! Tables about a population and arrays that one command writes together: all are complete on the disk before the first
//! gets its name.

use super::{ARRAY_HASH, MADE_WITH, MODEL_HASH, Origin, shown, where_held, with_origin};
use crate::files::{self, Prepared};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

/// A place for several files, looked at before the work that fills them.
#[derive(Debug)]
pub struct Together {
    directory: PathBuf,
    origin: Origin,
    ready: Vec<(PathBuf, Prepared)>,
    /// Files of an earlier time that this one does not make.
    stale: Vec<PathBuf>,
}

impl Together {
    /// For files of these names in `directory`.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn open(directory: &Path, origin: Origin, names: &[&str]) -> Result<Self> {
        for name in names {
            files::check_writable(&directory.join(name))?;
        }
        Ok(Self {
            directory: directory.to_path_buf(),
            origin,
            ready: Vec::new(),
            stale: Vec::new(),
        })
    }

    /// Adds an array.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn array(&mut self, name: &str, values: &ArrayD<f32>) -> Result<()> {
        let path = self.directory.join(name);
        let file = Prepared::npy(&path, values)?;
        self.ready.push((path, file));
        Ok(())
    }

    /// Adds a table; where an array that was added before belongs to it, with that array's hash.
    ///
    /// # Errors
    /// Names the file that cannot be written, or the array that is not there.
    pub fn table(&mut self, name: &str, table: Table, array: Option<&str>) -> Result<()> {
        let path = self.directory.join(name);
        let mut table = with_origin(table, &self.origin);
        if let Some(array) = array {
            let wanted = self.directory.join(array);
            let found = self.ready.iter().find(|(p, _)| *p == wanted);
            let Some((_, file)) = found else {
                return Err(Error::file(wanted, "not written yet"));
            };
            let models = table.text(MODEL_HASH).unwrap_or_default();
            let held: Vec<bool> = models.iter().map(|m| !m.is_empty()).collect();
            let hashes = where_held(&held, |_| shown(file.hash()));
            table = table
                .with(ARRAY_HASH, Column::Text(hashes))
                .reordered(&[MADE_WITH]);
        }
        let file = table.prepare(&path)?;
        self.ready.push((path, file));
        Ok(())
    }

    /// A file of an earlier time goes when the new ones come.
    pub fn without(&mut self, name: &str) {
        self.stale.push(self.directory.join(name));
    }

    /// Gives all files their names.
    ///
    /// # Errors
    /// Names the file that cannot get its name.
    pub fn commit(self) -> Result<()> {
        self.stale.iter().try_for_each(|p| files::remove(p))?;
        let files = self.ready.into_iter();
        files.map(|(_, file)| file).try_for_each(Prepared::commit)
    }
}
