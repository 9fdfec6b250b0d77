//! Small arrays, each a file or a member of an archive, read in one go.

use super::convert::{Real, convert, turned};
use super::header::{Dtype, Header, Kind, shown};
use super::{cannot_hold, check_length, refuse_objects};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// An array whose file is in memory.
#[derive(Debug)]
pub struct Whole {
    place: PathBuf,
    header: Header,
    bytes: Vec<u8>,
}

impl Whole {
    /// Reads the header of a whole `.npy` file and checks it against the file's length; `place` is the file to name.
    ///
    /// # Errors
    /// Names the file when it is no `.npy` file, of an unusable type, truncated or too long.
    pub fn new(place: PathBuf, bytes: Vec<u8>) -> Result<Self> {
        let header = Header::read(&mut bytes.as_slice()).map_err(|e| Error::file(&place, e))?;
        check_length(&header, bytes.len() as u64, &place)?;
        Ok(Self {
            place,
            header,
            bytes,
        })
    }

    /// Element type, order and shape.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where the array lies, for messages.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The elements as they lie in the file.
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.header.offset..]
    }

    /// The elements' bytes in C order, as little-endian numbers of their own type.
    fn ordered(&self) -> std::borrow::Cow<'_, [u8]> {
        if self.header.fortran && self.header.shape.len() > 1 {
            turned(&self.header.shape, self.header.dtype.size, self.data()).into()
        } else {
            self.data().into()
        }
    }

    /// All elements, in C order.
    ///
    /// # Errors
    /// Names the file when the elements are no numbers.
    pub fn numbers<T: Real>(&self) -> Result<Vec<T>> {
        refuse_objects(&self.header, &self.place, "numbers", "numpy.float32")?;
        let mut out = Vec::with_capacity(self.header.len());
        if !convert(self.header.dtype, &self.ordered(), &mut out) {
            let what = format!("dtype is {}, wanted numbers", self.header.dtype.name());
            return Err(Error::file(&self.place, what));
        }
        Ok(out)
    }

    /// All elements as cells of a table, in C order: words without their padding, `true` and `false`, numbers with as many
    /// digits as give them back; NaN is an empty cell.
    ///
    /// # Errors
    /// Names the file when an element is not valid text, or a pickled object.
    pub fn cells(&self) -> Result<Vec<String>> {
        refuse_objects(&self.header, &self.place, "numbers or strings", "str")?;
        let (dtype, bytes) = (self.header.dtype, self.ordered());
        let elements = bytes.chunks_exact(dtype.size).enumerate();
        elements
            .map(|(at, b)| cell(dtype, b).ok_or_else(|| cannot_hold(&self.header, &self.place, at)))
            .collect()
    }

    /// Refuses any other shape than `wanted`, which `meaning` explains.
    ///
    /// # Errors
    /// Names the file and both shapes.
    pub fn check_shape(&self, wanted: &[usize], meaning: &str) -> Result<()> {
        if self.header.shape == wanted {
            return Ok(());
        }
        Err(Error::bad(
            self.place.display(),
            "shape",
            shown(&self.header.shape),
            format!("{}: {meaning}", shown(wanted)),
        ))
    }
}

/// An element as a cell of a table; none if it is not valid text.
pub(crate) fn cell(dtype: Dtype, bytes: &[u8]) -> Option<String> {
    let mut eight = [0_u8; 8];
    if dtype.size <= 8 {
        for (i, byte) in bytes.iter().enumerate() {
            let little = match dtype.big_endian {
                true => dtype.size - 1 - i,
                false => i,
            };
            eight[little] = *byte;
        }
    }
    let raw = u64::from_le_bytes(eight);
    Some(match (dtype.kind, dtype.size) {
        (Kind::Bool, _) => (raw != 0).to_string(),
        (Kind::Unsigned, _) => raw.to_string(),
        (Kind::Signed, size) => {
            let shift = 64 - 8 * size as u32;
            (((raw << shift) as i64) >> shift).to_string()
        }
        (Kind::Float, 2) => single(half::f16::from_bits(raw as u16).to_f32()),
        (Kind::Float, 4) => single(f32::from_bits(raw as u32)),
        (Kind::Float, _) => double(f64::from_bits(raw)),
        _ => return word(dtype, bytes),
    })
}

/// Text without its padding; none if it is not valid.
fn word(dtype: Dtype, bytes: &[u8]) -> Option<String> {
    let text = match dtype.kind {
        Kind::Bytes => std::str::from_utf8(bytes).ok()?.to_string(),
        Kind::Unicode => bytes
            .chunks_exact(4)
            .map(|c| {
                let c = [c[0], c[1], c[2], c[3]];
                char::from_u32(if dtype.big_endian {
                    u32::from_be_bytes(c)
                } else {
                    u32::from_le_bytes(c)
                })
            })
            .collect::<Option<String>>()?,
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_string())
}

fn single(x: f32) -> String {
    let plain = x == 0.0 || (1e-4..1e9).contains(&x.abs());
    match x.is_nan() {
        true => String::new(),
        false if plain => x.to_string(),
        false => format!("{x:e}"),
    }
}

fn double(x: f64) -> String {
    let plain = x == 0.0 || (1e-4..1e16).contains(&x.abs());
    match x.is_nan() {
        true => String::new(),
        false if plain => x.to_string(),
        false => format!("{x:e}"),
    }
}
