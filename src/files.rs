//! Reading and writing whole files: a reader never sees a half-written one.

use crate::{Error, Result};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes `path` through a temporary file in the same directory and renames it into place. A link is followed; what is
/// no regular file (`/dev/stdout`, a pipe) is written to as it is.
///
/// # Errors
/// Names the file when the directory cannot be written or `fill` fails.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    check_writable(path)?;
    let fail = |e: &dyn std::fmt::Display| Error::file(path, format!("cannot write: {e}"));
    if path.exists() && !path.is_file() {
        let file = std::fs::OpenOptions::new().write(true).open(path);
        let mut buffered = BufWriter::new(file.map_err(|e| fail(&e))?);
        return fill(&mut buffered)
            .and_then(|()| buffered.flush())
            .map_err(|e| fail(&e));
    }
    let target = match path.canonicalize() {
        Ok(target) if path.is_symlink() => target,
        _ => path.to_path_buf(),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".striate-")
        .tempfile_in(directory_of(&target))
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
    temporary.persist(&target).map_err(|e| fail(&e))?;
    Ok(())
}

/// Refuses what [`write()`] could not write to, before hours are spent on what should go there.
///
/// # Errors
/// Names the file when it is a directory, or lies in none.
pub fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::file(
            path,
            "cannot write: this is a directory, wanted a file",
        ));
    }
    let directory = directory_of(path);
    if directory.is_dir() {
        return Ok(());
    }
    let what = if directory.exists() {
        "is not a directory"
    } else {
        "does not exist"
    };
    Err(Error::file(
        path,
        format!("cannot write: {} {what}", directory.display()),
    ))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates a directory and its parents.
///
/// # Errors
/// Names the directory.
pub fn create_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|e| Error::file(path, format!("cannot create this directory: {e}")))
}

/// Removes a file that may be absent.
///
/// # Errors
/// Names the file.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file(path, format!("cannot remove: {e}")))
        }
        _ => Ok(()),
    }
}

/// Reads a text file.
///
/// # Errors
/// Names the file when it is absent or not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::file(path, format!("cannot read: {e}")))
}
