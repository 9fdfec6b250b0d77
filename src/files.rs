//! Reading and writing whole files: a reader never sees a half-written one.

use crate::{Error, Result};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes `path` through a temporary file in the same directory and renames it into place.
///
/// # Errors
/// Names the file when the directory cannot be written or `fill` fails.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fail = |e: &dyn std::fmt::Display| Error::file(path, format!("cannot write: {e}"));
    let temporary = tempfile::Builder::new()
        .prefix(".striate-")
        .tempfile_in(directory)
        .map_err(|e| fail(&e))?;
    let mut buffered = BufWriter::new(temporary);
    fill(&mut buffered).map_err(|e| fail(&e))?;
    let temporary = buffered.into_inner().map_err(|e| fail(&e))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        temporary
            .as_file()
            .set_permissions(mode)
            .map_err(|e| fail(&e))?;
    }
    temporary.persist(path).map_err(|e| fail(&e))?;
    Ok(())
}

/// Creates a directory and its parents.
///
/// # Errors
/// Names the directory.
pub fn create_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|e| Error::file(path, format!("cannot create this directory: {e}")))
}

/// Reads a text file.
///
/// # Errors
/// Names the file when it is absent or not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::file(path, format!("cannot read: {e}")))
}
