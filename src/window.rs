//! A file that several read at once, each at its own place.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A place in a file.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl Window {
    /// At the beginning of a file of so many bytes.
    pub(crate) fn new(file: File, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            at: 0,
            length,
        }
    }

    /// The same file from another place, up to an end.
    pub(crate) fn within(&self, at: u64, end: u64) -> Self {
        Self {
            file: Arc::clone(&self.file),
            at,
            length: end.min(self.length),
        }
    }

    /// Where the file ends.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Window {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let most = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut bytes[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let before = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        self.at = at.ok_or_else(before)?;
        Ok(self.at)
    }
}
