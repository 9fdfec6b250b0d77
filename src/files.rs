//! Reading and writing whole files: a reader never sees a half-written one.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fmt::Display;
use std::fs::{File, Permissions, TryLockError};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};

/// What names of temporary files and directories begin with; the process that writes them comes next.
const TEMPORARY: &str = ".striate-";
/// Hexadecimal digits of a hash that tables carry.
const DIGITS: usize = 16;
/// After which a file of another machine's process that is not locked counts as abandoned.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes `path` through a temporary file in the same directory and renames it into place. A link is followed; what is
/// no regular file (`/dev/stdout`, a pipe) is written to as it is.
///
/// # Errors
/// Names the file when the directory cannot be written or `fill` fails.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    if path.exists() && !path.is_file() {
        check_place(path)?;
        let fail = |e| Error::file(path, format!("cannot write: {e}"));
        let file = std::fs::OpenOptions::new().write(true).open(path);
        let mut buffered = BufWriter::new(file.map_err(fail)?);
        return fill(&mut buffered)
            .and_then(|()| buffered.flush())
            .map_err(fail);
    }
    Prepared::new(path, fill)?.commit()
}

/// A file that is complete on the disk, but not yet under its name: several that belong together are prepared first and
/// then renamed one after the other.
#[derive(Debug)]
pub struct Prepared {
    temporary: NamedTempFile,
    target: PathBuf,
    hash: String,
}

impl Prepared {
    /// Fills a temporary file beside `path`.
    ///
    /// # Errors
    /// Names the file when the directory cannot be written or `fill` fails.
    pub fn new(
        path: &Path,
        fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<Self> {
        check_place(path)?;
        let fail = |e: &dyn Display| Error::file(path, format!("cannot write: {}", reason(e)));
        let target = match path.canonicalize() {
            Ok(target) if path.is_symlink() => target,
            _ => path.to_path_buf(),
        };
        let temporary = temporary_file(directory_of(&target)).map_err(|e| fail(&e))?;
        let mut hashing = Hashing {
            inner: BufWriter::new(temporary),
            hasher: Sha256::new(),
        };
        fill(&mut hashing).map_err(|e| fail(&e))?;
        let hash = digits(hashing.hasher);
        let temporary = hashing.inner.into_inner().map_err(|e| fail(&e))?;
        Ok(Self {
            temporary,
            target,
            hash,
        })
    }

    /// The first digits of the SHA-256 of its content.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Names the file.
    pub fn commit(self) -> Result<()> {
        let fail = |e| Error::file(&self.target, format!("cannot write: {e}"));
        self.temporary.persist(&self.target).map_err(fail)?;
        Ok(())
    }
}

/// Hashes what is written.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of these bytes: what `sha256sum` prints of the file that holds them.
pub fn hash(bytes: &[u8]) -> String {
    digits(Sha256::new_with_prefix(bytes))
}

/// As [`hash`], of a file.
///
/// # Errors
/// Names the file when it cannot be read.
pub fn hash_of(path: &Path) -> Result<String> {
    let fail = |e| Error::file(path, format!("cannot read: {e}"));
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(fail)?, &mut hasher).map_err(fail)?;
    Ok(digits(hasher))
}

fn digits(hasher: Sha256) -> String {
    let bytes = hasher.finalize();
    let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    text[..DIGITS].to_string()
}

/// A file without a name that others take for whole, with the permissions that the user's mask leaves.
fn temporary_file(directory: &Path) -> std::io::Result<NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(&prefix())
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    // A file system without locks: then only the process's number tells that the file is in use.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// A directory beside where it will be renamed to, with the permissions that the user's mask leaves.
///
/// # Errors
/// Names the directory.
pub fn temporary_directory(parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&prefix())
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(|e| Error::file(parent, format!("cannot write: {}", reason(e))))
}

fn prefix() -> String {
    format!("{TEMPORARY}{}-{}-", std::process::id(), machine())
}

/// Tells apart machines, and containers on them, within which a process's number means something.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    hash(format!("{name}{}", space.display()).as_bytes())[..8].to_string()
}

/// Removes what processes that were killed left half-written in a directory: this machine's whose process is gone, and
/// others' that nobody has locked or touched for a day. Whatever cannot be removed stays.
pub fn clear_abandoned(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let here = machine();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|n| n.strip_prefix(TEMPORARY)) else {
            continue;
        };
        let mut parts = rest.split('-');
        let process = parts.next().and_then(|p| p.parse::<u32>().ok());
        let path = entry.path();
        let abandoned = if parts.next() == Some(&here) {
            !process.is_some_and(is_running)
        } else {
            let age = entry.metadata().and_then(|m| m.modified()).ok();
            let old = age
                .and_then(|t| t.elapsed().ok())
                .is_some_and(|t| t > A_DAY);
            let locked = || {
                matches!(
                    File::open(&path).map(|f| f.try_lock_shared()),
                    Ok(Err(TryLockError::WouldBlock))
                )
            };
            old && !locked()
        };
        if !abandoned {
            continue;
        }
        let _ = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
    }
}

/// Whether a process of this number runs on this machine.
fn is_running(process: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{process}")).exists()
}

/// Refuses what [`write()`] could not write to, before hours are spent on what should go there.
///
/// # Errors
/// Names the file when it is a directory, lies in none, or its directory takes no files.
pub fn check_writable(path: &Path) -> Result<()> {
    check_place(path)?;
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    let target = match path.canonicalize() {
        Ok(target) if path.is_symlink() => target,
        _ => path.to_path_buf(),
    };
    match temporary_file(directory_of(&target)) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::file(path, format!("cannot write: {}", reason(e)))),
    }
}

fn check_place(path: &Path) -> Result<()> {
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

/// Refuses a disk that has not so many bytes free where `path` will be.
///
/// # Errors
/// Names the place, the bytes wanted and the bytes there are.
pub fn require_space(path: &Path, bytes: u128) -> Result<()> {
    let there = path.ancestors().find(|p| p.exists() && *p != Path::new(""));
    let Ok(system) = rustix::fs::statvfs(there.unwrap_or(Path::new("."))) else {
        return Ok(());
    };
    let free = u128::from(system.f_bavail) * u128::from(system.f_frsize);
    // Some file systems do not know their size.
    if system.f_blocks == 0 || bytes <= free {
        return Ok(());
    }
    Err(Error::bad(
        path.display(),
        "what will be written",
        format!("{bytes} bytes"),
        format!("at most {free}: what the disk has free"),
    ))
}

/// What the system says, without the name of a temporary file that is gone when the message is read.
pub(crate) fn reason(error: impl Display) -> String {
    let text = error.to_string();
    let told = text.split(" at path \"").next();
    told.unwrap_or(&text).to_string()
}

/// The directory that a file lies in.
pub fn directory_of(path: &Path) -> &Path {
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
        Err(e) if e.kind() != ErrorKind::NotFound => {
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
