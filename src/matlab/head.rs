//! What an array is, before its numbers.

use super::body::Body;
use crate::npy::{Dtype, Kind};
use crate::{Error, Result};

/// `miMATRIX`.
pub(super) const MATRIX: u32 = 14;
const MOST_AXES: usize = 32;
const LONGEST_NAME: u64 = 4096;
const MOST_FIELDS: u64 = 1 << 14;

/// What MATLAB calls a value's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `cell`.
    Cell,
    /// `struct`.
    Struct,
    /// `char`.
    Char,
    /// `logical`.
    Logical,
    /// Any class of numbers.
    Number(Kind, usize),
    /// What is not read: its name.
    Other(&'static str),
}

impl Class {
    fn of(code: u8, logical: bool) -> Option<Self> {
        Some(match code {
            1 => Self::Cell,
            2 => Self::Struct,
            3 => Self::Other("object"),
            4 => Self::Char,
            5 => Self::Other("sparse"),
            6..=15 if logical => Self::Logical,
            6 => Self::Number(Kind::Float, 8),
            7 => Self::Number(Kind::Float, 4),
            8 => Self::Number(Kind::Signed, 1),
            9 => Self::Number(Kind::Unsigned, 1),
            10 => Self::Number(Kind::Signed, 2),
            11 => Self::Number(Kind::Unsigned, 2),
            12 => Self::Number(Kind::Signed, 4),
            13 => Self::Number(Kind::Unsigned, 4),
            14 => Self::Number(Kind::Signed, 8),
            15 => Self::Number(Kind::Unsigned, 8),
            16 => Self::Other("function handle"),
            17 => Self::Other("object"),
            _ => return None,
        })
    }

    /// MATLAB's word for it.
    pub fn name(self) -> String {
        match self {
            Self::Cell => "cell".into(),
            Self::Struct => "struct".into(),
            Self::Char => "char".into(),
            Self::Logical => "logical".into(),
            Self::Number(Kind::Float, 8) => "double".into(),
            Self::Number(Kind::Float, _) => "single".into(),
            Self::Number(Kind::Signed, size) => format!("int{}", 8 * size),
            Self::Number(_, size) => format!("uint{}", 8 * size),
            Self::Other(name) => name.into(),
        }
    }
}

/// An array without its content.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) complex: bool,
    pub(super) shape: Vec<usize>,
    /// Names of a struct's fields.
    pub(super) fields: Vec<String>,
    /// Where the array ends in its variable.
    pub(super) end: u64,
}

impl Head {
    /// Elements; the shape was checked not to overflow.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads what lies before the content of the next array, which must end before `end`.
    pub(super) fn read(body: &mut Body, end: u64) -> Result<Self> {
        let tag = body.tag(end)?;
        if tag.kind != MATRIX || tag.small().is_some() {
            let what = format!("element of type {}, wanted an array (14)", tag.kind);
            return Err(body.fail(what));
        }
        let end = body.at + tag.bytes;
        if tag.bytes == 0 {
            return Ok(Self::empty(end));
        }
        let flags = body.tag(end)?;
        let data = short(body, flags, 8, end)?;
        let flags = match <[u8; 8]>::try_from(data.as_slice()) {
            Ok([a, b, c, d, ..]) => body.word([a, b, c, d]),
            Err(_) => return Err(body.fail("array without flags")),
        };
        let (code, logical) = ((flags & 0xff) as u8, flags & 0x200 != 0);
        let Some(class) = Class::of(code, logical) else {
            return Err(body.fail(format!("array of class {code}, wanted 1 to 17")));
        };
        let mut head = Self {
            class,
            complex: flags & 0x800 != 0,
            ..Self::empty(end)
        };
        if code == 17 {
            head.name = name(body, end)?;
            return Ok(head);
        }
        head.shape = shape(body, end)?;
        head.name = name(body, end)?;
        if class == Class::Struct {
            head.fields = fields(body, end)?;
        }
        let children = match class {
            Class::Struct => head.len().checked_mul(head.fields.len()),
            Class::Cell => Some(head.len()),
            _ => Some(0),
        };
        let most = (end - body.at) / 8;
        if children.is_none_or(|n| n as u64 > most) {
            let what = format!(
                "truncated: it claims more elements than its {} bytes hold",
                tag.bytes
            );
            return Err(body.fail(what));
        }
        Ok(head)
    }

    /// What MATLAB writes for `[]` inside of others.
    fn empty(end: u64) -> Self {
        Self {
            name: String::new(),
            class: Class::Number(Kind::Float, 8),
            complex: false,
            shape: vec![0, 0],
            fields: Vec::new(),
            end,
        }
    }
}

fn short(body: &mut Body, tag: super::body::Tag, most: u64, end: u64) -> Result<Vec<u8>> {
    if tag.bytes > most {
        let what = format!(
            "header element of {} bytes, wanted at most {most}",
            tag.bytes
        );
        return Err(body.fail(what));
    }
    body.data(tag, end)
}

fn shape(body: &mut Body, end: u64) -> Result<Vec<usize>> {
    let tag = body.tag(end)?;
    let data = short(body, tag, 4 * MOST_AXES as u64, end)?;
    let lengths = data
        .chunks_exact(4)
        .map(|b| body.word([b[0], b[1], b[2], b[3]]));
    let lengths: Vec<u32> = lengths.collect();
    // Signed in the file.
    if !matches!(tag.kind, 5 | 6)
        || lengths.len() < 2
        || lengths.iter().any(|n| *n > i32::MAX as u32)
    {
        return Err(body.fail(format!(
            "array with lengths {lengths:?}, wanted at least two, none negative"
        )));
    }
    let shape: Vec<usize> = lengths.into_iter().map(|n| n as usize).collect();
    let product = shape
        .iter()
        .try_fold(16_usize, |p, n| p.checked_mul((*n).max(1)));
    match product.filter(|p| isize::try_from(*p).is_ok()) {
        Some(_) => Ok(shape),
        None => Err(body.fail(format!("array of {shape:?}, more than memory can address"))),
    }
}

fn name(body: &mut Body, end: u64) -> Result<String> {
    let tag = body.tag(end)?;
    let data = short(body, tag, LONGEST_NAME, end)?;
    match (tag.kind, String::from_utf8(data)) {
        (1 | 2 | 16, Ok(name)) => Ok(name),
        _ => Err(body.fail("array without a readable name")),
    }
}

fn fields(body: &mut Body, end: u64) -> Result<Vec<String>> {
    let tag = body.tag(end)?;
    let data = short(body, tag, 8, end)?;
    let length = match *data.as_slice() {
        [a, b, c, d, ..] => u64::from(body.word([a, b, c, d])),
        _ => 0,
    };
    let tag = body.tag(end)?;
    if length == 0 && tag.bytes == 0 {
        return Ok(Vec::new());
    }
    let whole = length > 0 && length <= LONGEST_NAME && tag.bytes.is_multiple_of(length);
    if !whole || tag.bytes / length > MOST_FIELDS {
        let what = format!(
            "struct with {} bytes of names of {length} bytes each",
            tag.bytes
        );
        return Err(body.fail(what));
    }
    let data = body.data(tag, end)?;
    let field = |bytes: &[u8]| {
        let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
        String::from_utf8(text.to_vec())
    };
    let names: std::result::Result<_, _> = data.chunks_exact(length as usize).map(field).collect();
    names.map_err(|_| body.fail("struct with names that are no text"))
}

/// What numbers of a type `mi...` are.
pub(super) fn stored(kind: u32, big_endian: bool) -> Option<Dtype> {
    let (kind, size) = match kind {
        1 => (Kind::Signed, 1),
        2 => (Kind::Unsigned, 1),
        3 => (Kind::Signed, 2),
        4 => (Kind::Unsigned, 2),
        5 => (Kind::Signed, 4),
        6 => (Kind::Unsigned, 4),
        7 => (Kind::Float, 4),
        9 => (Kind::Float, 8),
        12 => (Kind::Signed, 8),
        13 => (Kind::Unsigned, 8),
        _ => return None,
    };
    Some(Dtype {
        kind,
        size,
        big_endian,
    })
}

/// Refuses what is not numbers, by its name.
pub(super) fn numeric(head: &Head, place: &std::path::Path) -> Result<()> {
    let how = match head.class {
        Class::Number(..) | Class::Logical if head.complex => ("complex", "abs(x)"),
        Class::Number(..) | Class::Logical => return Ok(()),
        Class::Other("sparse") => ("sparse", "full(x)"),
        other => {
            let got = other.name();
            return Err(Error::bad(place.display(), "class", got, "numbers"));
        }
    };
    let wanted = format!("plain numbers: save {} instead", how.1);
    Err(Error::bad(place.display(), "class", how.0, wanted))
}
