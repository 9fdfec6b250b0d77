//! A file and its variables.

use super::address::{Address, Step, linear};
use super::body::{Body, DEFLATE};
use super::head::{Class, Head, MATRIX};
use super::shown;
use super::value::Value;
use crate::window::Window;
use crate::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes before the first variable.
const HEADER: usize = 128;
/// Inflated twice, more bytes than these are slower than a copy.
const WORTH: u64 = 1 << 20;
/// `miCOMPRESSED`.
const COMPRESSED: u32 = 15;
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Which of MATLAB's formats a file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Version 4, of before 1996.
    Four,
    /// Version 5 to 7; whether the most significant byte comes first.
    Five {
        /// As on SPARC.
        big_endian: bool,
    },
    /// Version 7.3: HDF5.
    Hdf5,
    /// None of them.
    Other,
}

/// Which of MATLAB's formats a file is in, as its first bytes say.
///
/// # Errors
/// Names the file when it cannot be read.
pub fn version(place: &Path) -> Result<Version> {
    let fail = |e: std::io::Error| Error::file(place, format!("cannot read: {e}"));
    let mut file = std::fs::File::open(place).map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(Error::file(place, "not a file, wanted a .mat file"));
    }
    let mut bytes = Vec::new();
    (&mut file)
        .take(520)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    Ok(version_of(&bytes))
}

fn version_of(bytes: &[u8]) -> Version {
    let at = |from: usize, count: usize| bytes.get(from..from + count).unwrap_or_default();
    if at(0, 8) == HDF5 || at(512, 8) == HDF5 || at(0, 10) == b"MATLAB 7.3" {
        return Version::Hdf5;
    }
    match (at(124, 2), at(126, 2)) {
        ([0, 1], b"IM") => return Version::Five { big_endian: false },
        ([1, 0], b"MI") => return Version::Five { big_endian: true },
        _ => {}
    }
    // Version 4 starts with a number up to 4052 whose digits say the type, and the lengths of the first matrix.
    let first = match *at(0, 4) {
        [a, b, 0, 0] => u16::from_le_bytes([a, b]),
        [0, 0, a, b] => u16::from_be_bytes([a, b]),
        _ => u16::MAX,
    };
    match bytes.len() >= 20 && first <= 4052 && first % 10 <= 2 && first / 100 % 10 == 0 {
        true => Version::Four,
        false => Version::Other,
    }
}

/// A variable's place in the file.
struct Variable {
    name: String,
    at: u64,
    bytes: u64,
    compressed: bool,
    /// What it holds inflated, once somebody has asked for a part of it; none where there was no room for that.
    inflated: OnceLock<Option<Window>>,
}

/// A file of version 5, open.
pub struct File {
    place: PathBuf,
    window: Window,
    big_endian: bool,
    variables: Vec<Variable>,
}

impl File {
    /// Opens a file and finds its variables.
    ///
    /// # Errors
    /// Names the file when it cannot be read, is of another version, or ends within a variable.
    pub fn open(place: &Path) -> Result<Self> {
        let fail = |what: &str| Err(Error::file(place, what));
        let big_endian = match version(place)? {
            Version::Five { big_endian } => big_endian,
            Version::Four => {
                return fail(
                    "is a MATLAB file of version 4, wanted 5: load it in MATLAB and save it with -v7",
                );
            }
            Version::Hdf5 => {
                return fail(
                    "is a MATLAB file of version 7.3, which is HDF5, wanted version 5: use `striate import hdf5`",
                );
            }
            Version::Other => return fail("is no MATLAB file, wanted version 5"),
        };
        let unread = |e: std::io::Error| Error::file(place, format!("cannot read: {e}"));
        let file = std::fs::File::open(place).map_err(unread)?;
        let length = file.metadata().map_err(unread)?.len();
        let mut this = Self {
            place: place.to_path_buf(),
            window: Window::new(file, length),
            big_endian,
            variables: Vec::new(),
        };
        this.index()?;
        Ok(this)
    }

    fn index(&mut self) -> Result<()> {
        let mut at = HEADER as u64;
        while at < self.window.length() {
            let mut window = self.window.within(at, self.window.length());
            let mut eight = [0; 8];
            let read = window.read_exact(&mut eight);
            read.map_err(|_| {
                Error::file(&self.place, "truncated: it ends within a variable's tag")
            })?;
            let [a, b, c, d, e, f, g, h] = eight;
            let word = |b| match self.big_endian {
                true => u32::from_be_bytes(b),
                false => u32::from_le_bytes(b),
            };
            let (kind, bytes) = (word([a, b, c, d]), u64::from(word([e, f, g, h])));
            if !matches!(kind, MATRIX | COMPRESSED) {
                let what =
                    format!("element of type {kind} at byte {at}, wanted a variable (14 or 15)");
                return Err(Error::file(&self.place, what));
            }
            let left = self.window.length() - at - 8;
            if bytes > left {
                let what = format!(
                    "truncated: a variable at byte {at} claims {bytes} bytes, and {left} are left"
                );
                return Err(Error::file(&self.place, what));
            }
            let mut variable = Variable {
                name: String::new(),
                at,
                bytes,
                compressed: kind == COMPRESSED,
                inflated: OnceLock::new(),
            };
            variable.name = self.begin(&variable)?.head.name;
            // What MATLAB keeps for itself has no name.
            if !variable.name.is_empty() {
                self.variables.push(variable);
            }
            at += 8 + bytes;
        }
        Ok(())
    }

    /// The value of a variable.
    fn begin(&self, variable: &Variable) -> Result<Value<Body>> {
        let place = match variable.name.as_str() {
            "" => self.place.clone(),
            name => self.place.join(name),
        };
        let mut body = if variable.compressed {
            let data = variable.at + 8;
            let mut window = self.window.within(data, data + variable.bytes);
            window
                .seek(SeekFrom::Start(data))
                .map_err(|e| Error::file(&place, e))?;
            Body::inflated(place, window, variable.bytes, self.big_endian)
        } else {
            let end = variable.at + 8 + variable.bytes;
            let window = self.window.within(variable.at, end);
            Body::plain(place, window, 8 + variable.bytes, self.big_endian)
        };
        let end = body.end;
        let head = Head::read(&mut body, end)?;
        if variable.compressed && head.end > variable.bytes.saturating_mul(DEFLATE) + 64 {
            let what = format!(
                "claims {} bytes, more than its compressed data can hold",
                head.end
            );
            return Err(body.fail(what));
        }
        body.end = head.end;
        Ok(Value { body, head })
    }

    /// As [`File::begin`], for parts of a value that are asked for one after the other: a large compressed one is inflated only
    /// once, to a file without a name.
    fn begin_inflated(&self, variable: &Variable) -> Result<Value<Body>> {
        let value = self.begin(variable)?;
        let bytes = value.body.end;
        if !variable.compressed || bytes < WORTH {
            return Ok(value);
        }
        let place = value.body.place().to_path_buf();
        let copy = variable
            .inflated
            .get_or_init(|| self.inflate(variable, bytes));
        let Some(window) = copy else {
            return Ok(value);
        };
        let mut body = Body::plain(place, window.clone(), bytes, self.big_endian);
        let head = Head::read(&mut body, bytes)?;
        Ok(Value { body, head })
    }

    /// What a variable holds; none if it is damaged, or does not fit where the system keeps such files.
    fn inflate(&self, variable: &Variable, bytes: u64) -> Option<Window> {
        let data = variable.at + 8;
        let packed = self.window.within(data, data + variable.bytes);
        let packed = std::io::BufReader::with_capacity(1 << 16, packed);
        let mut file = tempfile::tempfile().ok()?;
        let mut inflated = flate2::bufread::ZlibDecoder::new(packed).take(bytes);
        let copied = std::io::copy(&mut inflated, &mut file).ok()?;
        (copied == bytes).then(|| Window::new(file, bytes))
    }

    /// The file.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Names of the variables, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|v| v.name.as_str())
    }

    /// Whether there is a variable of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|n| n == name)
    }

    /// The value at an address: a variable, or what is in it, as in `stim.resp` or `session.trials{1}.x`. Indices count from
    /// 1; a struct of one element needs none.
    ///
    /// # Errors
    /// Names the file, and what there is instead.
    pub fn value(&self, address: &str) -> Result<Value<Body>> {
        let bad = |what: String| Error::file(&self.place, what);
        let address = Address::parse(address).map_err(bad)?;
        let found = self
            .variables
            .iter()
            .rev()
            .find(|v| v.name == address.variable);
        let Some(variable) = found else {
            let names: Vec<&str> = self.names().collect();
            return Err(bad(absent("variable", &address.variable, &names)));
        };
        let mut value = match address.steps.is_empty() {
            true => self.begin(variable)?,
            false => self.begin_inflated(variable)?,
        };
        let mut steps = address.steps.iter().peekable();
        let mut told = address.variable.clone();
        while let Some(step) = steps.next() {
            let element = match (step, steps.peek()) {
                // An element is only on the way to a field.
                (Step::Element(indices), Some(Step::Field(_))) => Some(indices),
                _ => None,
            };
            let field = match element {
                Some(_) => steps.next(),
                None => Some(step),
            };
            value = value.inner(element.map(Vec::as_slice), field.unwrap_or(step), &told)?;
            if let Some(indices) = element {
                told.push_str(&Step::Element(indices.clone()).to_string());
            }
            told.push_str(&field.unwrap_or(step).to_string());
            value.body.set_place(self.place.join(&told));
        }
        Ok(value)
    }
}

impl Value<Body> {
    /// What one step leads to.
    fn inner(mut self, element: Option<&[usize]>, step: &Step, told: &str) -> Result<Self> {
        let (class, shape) = (self.head.class, shown(&self.head.shape));
        let is = format!("{told} is a {} of {shape}", class.name());
        let child = match (step, class) {
            (Step::Field(name), Class::Struct) => {
                let names: Vec<&str> = self.head.fields.iter().map(String::as_str).collect();
                let Some(field) = names.iter().position(|n| n == name) else {
                    let what = absent("field", name, &names);
                    return Err(self.body.fail(what));
                };
                let element = match element {
                    Some(indices) => linear(indices, &self.head.shape),
                    None if self.head.len() == 1 => Some(0),
                    None => {
                        let what =
                            format!("{is}, wanted the number of an element, as in {told}(1)");
                        return Err(self.body.fail(what));
                    }
                };
                element.map(|e| e * names.len() + field)
            }
            (Step::Cell(indices), Class::Cell) => linear(indices, &self.head.shape),
            (Step::Element(_), Class::Struct) => {
                return Err(self.body.fail(format!(
                    "{is}, wanted a field of an element, as in {told}(1).x"
                )));
            }
            _ => return Err(self.body.fail(format!("{is}, which has no {step}"))),
        };
        let Some(child) = child else {
            let at = element.map_or_else(
                || step.to_string(),
                |e| Step::Element(e.to_vec()).to_string(),
            );
            return Err(self.body.fail(format!("{is}, which has no {at}")));
        };
        for _ in 0..child {
            let tag = self.body.tag(self.head.end)?;
            self.body.skip_to(self.body.at + tag.bytes)?;
        }
        let head = Head::read(&mut self.body, self.head.end)?;
        Ok(Self {
            body: self.body,
            head,
        })
    }
}

/// Says that there is no such name, and which there are.
pub(super) fn absent(what: &str, name: &str, names: &[&str]) -> String {
    let distance = |n: &&&str| strsim::damerau_levenshtein(n, name);
    let near = names
        .iter()
        .min_by_key(distance)
        .filter(|n| distance(n) <= 2);
    let near = near.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
    let mut all = names
        .iter()
        .take(20)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > 20 {
        all.push_str(", ..");
    }
    match names.is_empty() {
        true => format!("has no {what} `{name}`: it has none at all"),
        false => format!("has no {what} `{name}`, only {all}{near}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_by_the_first_bytes() {
        let mut five = vec![b' '; 128];
        five[124..].copy_from_slice(b"\x00\x01IM");
        assert_eq!(version_of(&five), Version::Five { big_endian: false });
        five[124..].copy_from_slice(b"\x01\x00MI");
        assert_eq!(version_of(&five), Version::Five { big_endian: true });
        let mut hdf5 = vec![b' '; 520];
        hdf5[512..].copy_from_slice(HDF5);
        assert_eq!(version_of(&hdf5), Version::Hdf5);
        let four = [
            0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'x', 0,
        ];
        assert_eq!(version_of(&four), Version::Four);
        assert_eq!(version_of(b"PK\x03\x04"), Version::Other);
        assert_eq!(version_of(b""), Version::Other);
    }

    #[test]
    fn a_near_name_is_offered() {
        assert!(absent("field", "rsp", &["resp", "istim"]).ends_with("did you mean `resp`?"));
        assert!(absent("field", "x", &["resp"]).ends_with("only resp"));
    }
}
