//! The bytes of one variable, in the order in which they lie: compressed or not.

use crate::window::Window;
use crate::{Error, Result};
use flate2::bufread::ZlibDecoder;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const BUFFER: usize = 1 << 16;
/// Deflate makes nothing smaller than that.
pub(super) const DEFLATE: u64 = 1032;

/// What comes before the data of an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    /// Its type, `mi...`.
    pub(super) kind: u32,
    /// Bytes of data.
    pub(super) bytes: u64,
    /// The data itself, where it lies in the tag.
    small: Option<[u8; 4]>,
}

enum Source {
    Plain(BufReader<Window>),
    Inflated(Box<ZlibDecoder<BufReader<Window>>>),
}

/// The bytes of a variable: a stream that knows its place.
pub struct Body {
    place: PathBuf,
    source: Source,
    pub(super) big_endian: bool,
    /// Bytes read so far.
    pub(super) at: u64,
    /// Bytes there are.
    pub(super) end: u64,
}

impl Body {
    /// Bytes as they lie in the file.
    pub(super) fn plain(place: PathBuf, window: Window, bytes: u64, big_endian: bool) -> Self {
        Self {
            place,
            source: Source::Plain(BufReader::with_capacity(BUFFER, window)),
            big_endian,
            at: 0,
            end: bytes,
        }
    }

    /// What `bytes` bytes hold when they are inflated.
    pub(super) fn inflated(place: PathBuf, window: Window, bytes: u64, big_endian: bool) -> Self {
        let packed = BufReader::with_capacity(BUFFER, window);
        Self {
            place,
            source: Source::Inflated(Box::new(ZlibDecoder::new(packed))),
            big_endian,
            at: 0,
            end: bytes.saturating_mul(DEFLATE).saturating_add(64),
        }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// From now on it is about another place.
    pub(super) fn set_place(&mut self, place: PathBuf) {
        self.place = place;
    }

    pub(super) fn fail(&self, what: impl std::fmt::Display) -> Error {
        Error::file(&self.place, what)
    }

    pub(super) fn truncated(&self) -> Error {
        self.fail("truncated: it ends within its data")
    }

    fn unread(&self, e: &std::io::Error) -> Error {
        match (e.kind(), &self.source) {
            (std::io::ErrorKind::UnexpectedEof, _) => self.truncated(),
            (_, Source::Inflated(_)) => self.fail(format!("its compressed data is damaged: {e}")),
            _ => self.fail(format!("cannot read: {e}")),
        }
    }

    /// The next bytes.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() as u64 > self.end.saturating_sub(self.at) {
            return Err(self.truncated());
        }
        let done = match &mut self.source {
            Source::Plain(s) => s.read_exact(bytes),
            Source::Inflated(s) => s.read_exact(bytes),
        };
        done.map_err(|e| self.unread(&e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Goes on to a place behind this one.
    pub(super) fn skip_to(&mut self, at: u64) -> Result<()> {
        if at > self.end || at < self.at {
            return Err(self.truncated());
        }
        let count = at - self.at;
        match &mut self.source {
            Source::Plain(s) => {
                let by = i64::try_from(count).map_err(|_| Error::file(&self.place, "too long"))?;
                let done = s.seek_relative(by);
                done.map_err(|e| self.unread(&e))?;
            }
            Source::Inflated(s) => {
                let mut scratch = [0; 1 << 15];
                let mut left = count;
                let mut done = Ok(());
                while left > 0 && done.is_ok() {
                    let most = scratch
                        .len()
                        .min(usize::try_from(left).unwrap_or(usize::MAX));
                    done = s.read_exact(&mut scratch[..most]);
                    left -= most as u64;
                }
                done.map_err(|e| self.unread(&e))?;
            }
        }
        self.at = at;
        Ok(())
    }

    /// Reads what is left, so that the sum at the end of compressed data is checked.
    pub(super) fn check_end(&mut self) -> Result<()> {
        let Source::Inflated(s) = &mut self.source else {
            return Ok(());
        };
        let mut scratch = [0; 64];
        let mut checked = || -> std::io::Result<()> {
            for _ in 0..4 {
                if s.read(&mut scratch)? == 0 {
                    break;
                }
            }
            Ok(())
        };
        checked().map_err(|e| self.unread(&e))
    }

    pub(super) fn word(&self, b: [u8; 4]) -> u32 {
        match self.big_endian {
            true => u32::from_be_bytes(b),
            false => u32::from_le_bytes(b),
        }
    }

    /// The next tag; its data must end before `end`.
    pub(super) fn tag(&mut self, end: u64) -> Result<Tag> {
        let mut eight = [0; 8];
        if end.saturating_sub(self.at) < 8 {
            return Err(self.truncated());
        }
        self.fill(&mut eight)?;
        let [a, b, c, d, e, f, g, h] = eight;
        let first = self.word([a, b, c, d]);
        if first >> 16 != 0 {
            let bytes = u64::from(first >> 16);
            if bytes > 4 {
                return Err(self.fail(format!("small element of {bytes} bytes, wanted at most 4")));
            }
            return Ok(Tag {
                kind: first & 0xffff,
                bytes,
                small: Some([e, f, g, h]),
            });
        }
        let bytes = u64::from(self.word([e, f, g, h]));
        if bytes > end - self.at {
            let left = end - self.at;
            let what = format!("truncated: an element claims {bytes} bytes, and {left} are left");
            return Err(self.fail(what));
        }
        Ok(Tag {
            kind: first,
            bytes,
            small: None,
        })
    }

    /// The data of a short element, and goes past its padding. The bytes are a part of the file, so they are few enough.
    pub(super) fn data(&mut self, tag: Tag, end: u64) -> Result<Vec<u8>> {
        if let Some(small) = tag.small {
            return Ok(small[..tag.bytes as usize].to_vec());
        }
        let mut bytes = Vec::new();
        let mut left = tag.bytes as usize;
        while left > 0 {
            let most = left.min(1 << 20);
            let before = bytes.len();
            bytes.resize(before + most, 0);
            self.fill(&mut bytes[before..])?;
            left -= most;
        }
        self.pad(tag, end)?;
        Ok(bytes)
    }

    /// Goes past the padding behind an element's data.
    pub(super) fn pad(&mut self, tag: Tag, end: u64) -> Result<()> {
        if tag.small.is_some() {
            return Ok(());
        }
        let padding = tag.bytes.next_multiple_of(8) - tag.bytes;
        self.skip_to((self.at + padding).min(end))
    }
}

impl Tag {
    /// The data that lies in the tag, if it does.
    pub(super) fn small(&self) -> Option<&[u8]> {
        self.small.as_ref().map(|s| &s[..self.bytes as usize])
    }
}
