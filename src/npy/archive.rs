//! `.npz`: a ZIP archive of `.npy` members, as `np.savez` and `np.savez_compressed` write it.

use super::Stored;
use crate::{Error, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// An open `.npz` file.
pub struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens an archive and reads its directory.
    ///
    /// # Errors
    /// Names the file when it cannot be read or is no ZIP archive.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file(path, format!("cannot read: {e}")))?;
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|e| Error::file(path, format!("not an .npz archive: {e}")))?;
        Ok(Self {
            path: path.to_path_buf(),
            zip,
        })
    }

    /// Names of the arrays, without `.npy`, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .zip
            .file_names()
            .filter_map(|n| n.ok()?.strip_suffix(".npy").map(str::to_string))
            .collect();
        names.sort_unstable();
        names
    }

    /// The array of that name, its header checked against the member's declared length.
    ///
    /// # Errors
    /// Names archive and member.
    pub fn array(&mut self, name: &str) -> Result<Stored<'_>> {
        let place = self.path.join(format!("{name}.npy"));
        let member = self
            .zip
            .by_name(&format!("{name}.npy"))
            .map_err(|e| Error::file(&place, format!("cannot read: {e}")))?;
        let length = member.size();
        Stored::new(place, length, member)
    }
}
