//! What an element of a dataset is, and the bytes that the crate reads from.

use crate::npy::{Dtype, Kind, Real, convert};
use hdf5_reader::error::{Error, Result};
use hdf5_reader::{ByteOrder, Datatype, H5Type, Storage, StorageBuffer, StringSize, VarLenKind};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What one element is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A number, or `true` or `false`.
    Number(Dtype),
    /// A word, of fixed or variable length.
    Word,
    /// A reference to an object of the file.
    Reference,
    /// Anything else, in words.
    Other(&'static str),
}

impl Element {
    pub(super) fn of(datatype: &Datatype) -> Self {
        if let Some(dtype) = dtype(datatype) {
            return Self::Number(dtype);
        }
        match datatype {
            Datatype::String { .. } => Self::Word,
            Datatype::VarLen { kind, .. } if *kind == VarLenKind::String => Self::Word,
            Datatype::Reference { .. } => Self::Reference,
            Datatype::Compound { .. } => Self::Other("record"),
            Datatype::Array { .. } => Self::Other("array"),
            Datatype::VarLen { .. } => Self::Other("list"),
            Datatype::Opaque { .. } => Self::Other("opaque"),
            _ => Self::Other("number of an unusual size"),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(dtype) => f.write_str(&dtype.name()),
            Self::Word => f.write_str("string"),
            Self::Reference => f.write_str("reference"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// The type in NumPy's terms, if it is a number there.
pub(super) fn dtype(datatype: &Datatype) -> Option<Dtype> {
    let number = |kind, size: u8, order: ByteOrder| Dtype {
        kind,
        size: size.into(),
        big_endian: order == ByteOrder::BigEndian,
    };
    let dtype = match datatype {
        Datatype::FixedPoint {
            size,
            signed,
            byte_order,
        } => {
            let kind = if *signed {
                Kind::Signed
            } else {
                Kind::Unsigned
            };
            number(kind, *size, *byte_order)
        }
        Datatype::FloatingPoint { size, byte_order } => number(Kind::Float, *size, *byte_order),
        // PyTables writes truths so.
        Datatype::Bitfield { size, byte_order } => number(Kind::Unsigned, *size, *byte_order),
        Datatype::Enum { base, members } => {
            let base = self::dtype(base)?;
            // Of old files, which pad names, the crate tells the first name only.
            let truth = members.len() == 2 && members[0].name == "FALSE" && base.size == 1;
            match truth {
                true => Dtype {
                    kind: Kind::Bool,
                    ..base
                },
                false => base,
            }
        }
        _ => return None,
    };
    let sizes: &[usize] = match dtype.kind {
        Kind::Float => &[2, 4, 8],
        _ => &[1, 2, 4, 8],
    };
    sizes.contains(&dtype.size).then_some(dtype)
}

/// Bytes of an element in the file.
pub(super) fn size(datatype: &Datatype) -> Option<usize> {
    match datatype {
        Datatype::String {
            size: StringSize::Fixed(n),
            ..
        } => Some(*n as usize),
        other => hdf5_reader::datatype_api::dtype_element_size(other).ok(),
    }
}

/// A number of any type in the file, as one of one type.
#[derive(Clone, Copy)]
pub(super) struct Number<T>(pub(super) T);

impl<T: Real + Send> H5Type for Number<T> {
    fn hdf5_type() -> Datatype {
        Datatype::FloatingPoint {
            size: size_of::<T>() as u8,
            byte_order: ByteOrder::LittleEndian,
        }
    }

    fn from_bytes(bytes: &[u8], datatype: &Datatype) -> Result<Self> {
        let mut one = Vec::with_capacity(1);
        let bytes = bytes.get(..Self::element_size(datatype)).unwrap_or(&[]);
        let dtype = dtype(datatype).filter(|d| d.size == bytes.len());
        match dtype.is_some_and(|d| convert(d, bytes, &mut one)) {
            true => Ok(Self(one[0])),
            false => Err(Error::InvalidData("an element is no number".into())),
        }
    }

    fn element_size(datatype: &Datatype) -> usize {
        size(datatype).unwrap_or(1)
    }

    fn decode_vec(raw: &[u8], datatype: &Datatype, count: usize) -> Option<Result<Vec<Self>>> {
        let dtype = dtype(datatype)?;
        let bytes = raw.get(..count.checked_mul(dtype.size)?)?;
        let mut values = Vec::with_capacity(count);
        convert(dtype, bytes, &mut values);
        Some(Ok(values.into_iter().map(Number).collect()))
    }
}

/// A file from the end of its user block on: addresses count from there.
#[derive(Debug)]
pub(super) struct Behind {
    file: File,
    start: u64,
    length: u64,
}

impl Behind {
    pub(super) fn open(path: &Path, start: u64) -> std::io::Result<Arc<Self>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len().saturating_sub(start);
        Ok(Arc::new(Self {
            file,
            start,
            length,
        }))
    }

    /// Bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills these bytes with those from an address on.
    pub(super) fn fill(&self, address: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(bytes, self.start + address)
    }
}

impl Storage for Behind {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer> {
        let wanted = len as u64;
        // Before there is room for it.
        if offset
            .checked_add(wanted)
            .is_none_or(|end| end > self.length)
        {
            return Err(Error::UnexpectedEof {
                offset,
                needed: wanted,
                available: self.length.saturating_sub(offset),
            });
        }
        let mut bytes = vec![0; len];
        self.fill(offset, &mut bytes)?;
        Ok(StorageBuffer::from_vec(bytes))
    }
}
