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
    /// Bytes of the file.
    length: u64,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens an archive and reads its directory.
    ///
    /// # Errors
    /// Names the file when it cannot be read or is no ZIP archive.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file(path, format!("cannot read: {e}")))?;
        let length = file.metadata().map_or(0, |m| m.len());
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|e| Error::file(path, format!("not an .npz archive: {e}")))?;
        Ok(Self {
            path: path.to_path_buf(),
            length,
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
        // Deflate makes nothing smaller than that; a member that claims more would cost memory before it is found out.
        let most = member
            .compressed_size()
            .min(self.length)
            .saturating_mul(1032);
        if length > most.saturating_add(64) {
            let what = format!("claims {length} bytes, more than the archive can hold");
            return Err(Error::file(&place, what));
        }
        Stored::new(place, length, member)
    }
}
