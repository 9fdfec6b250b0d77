//! One writer at a time: locks that die with their process.
//!
//! A lock is one of the operating system's (`flock`; over NFS, Linux makes it a lock of the server's) on a file in the
//! directory, which says who holds it. The file goes with the lock; one that a killed process left is taken over.

use crate::{Error, Result, files};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Locked while this lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    /// Alone, so that nobody else needs the file.
    alone: bool,
}

impl Lock {
    /// Lets nobody else write into the directory as a whole, as `train` wants it.
    ///
    /// # Errors
    /// Names who holds it already, or the directory if it cannot be written.
    pub fn whole(directory: &Path, who: &str) -> Result<Self> {
        Self::take(directory, ".striate.lock", who, true)
    }

    /// Lets nobody take the directory as a whole, and nobody else do the same work in it.
    ///
    /// # Errors
    /// As [`Lock::whole`].
    pub fn part(directory: &Path, who: &str) -> Result<[Self; 2]> {
        let shared = Self::take(directory, ".striate.lock", who, false)?;
        let own = Self::take(directory, &format!(".striate.{who}.lock"), who, true)?;
        Ok([shared, own])
    }

    fn take(directory: &Path, name: &str, who: &str, alone: bool) -> Result<Self> {
        let path = directory.join(name);
        let fail = |e: std::io::Error| Error::file(&path, format!("cannot write: {e}"));
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(fail)?;
            let locked = if alone {
                file.try_lock()
            } else {
                file.try_lock_shared()
            };
            match locked {
                Err(TryLockError::WouldBlock) => return Err(held(directory, &mut file)),
                // A file system without locks cannot be helped.
                Err(TryLockError::Error(_)) | Ok(()) => {}
            }
            // Its last holder may have removed it since it was opened.
            let same = |m: std::fs::Metadata| {
                file.metadata()
                    .is_ok_and(|own| (m.dev(), m.ino()) == (own.dev(), own.ino()))
            };
            if !std::fs::metadata(&path).is_ok_and(same) {
                continue;
            }
            let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let process = std::process::id();
            let text = format!("`striate {who}`, process {process} on {}\n", machine.trim());
            // A lock whose holder cannot be told holds all the same.
            let _ = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(text.as_bytes()));
            return Ok(Self { path, file, alone });
        }
    }
}

fn held(directory: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
    let holder = if known {
        holder.trim()
    } else {
        "another process"
    };
    Error::file(
        directory,
        format!("is being written by {holder}; wait for it, stop it, or write elsewhere"),
    )
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Others may share it; the last one to go finds itself alone.
        if self.alone || self.file.try_lock().is_ok() {
            let _ = files::remove(&self.path);
        }
    }
}
