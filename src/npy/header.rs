//! The header of an `.npy` file: magic, version, and a Python dictionary of three keys.
//!
//! Read with a scanner for just that dictionary: a general parser of Python literals can be made to recurse until
//! the stack ends.

use std::io::Read;

/// NumPy's own limit; the header of a plain array is about 120 bytes.
const LONGEST_HEADER: usize = 10_000;
const LONGEST_WORD: usize = 1 << 20;
const MOST_AXES: usize = 32;
const MAGIC: &[u8] = b"\x93NUMPY";

/// What one element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `True` or `False`, one byte.
    Bool,
    /// Signed integer.
    Signed,
    /// Unsigned integer.
    Unsigned,
    /// IEEE 754 binary16, 32 or 64.
    Float,
    /// Fixed number of code points, four bytes each, padded with zeros.
    Unicode,
    /// Fixed number of bytes, padded with zeros.
    Bytes,
    /// Pickled Python: never read, only named in what is said about it.
    Object,
}

/// Element type of an array in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtype {
    /// Its family.
    pub kind: Kind,
    /// Bytes per element.
    pub size: usize,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
}

impl Dtype {
    /// NumPy's name, as `array.dtype.name` gives it.
    pub fn name(&self) -> String {
        let bits = 8 * self.size;
        match self.kind {
            Kind::Bool => "bool".to_string(),
            Kind::Signed => format!("int{bits}"),
            Kind::Unsigned => format!("uint{bits}"),
            Kind::Float => format!("float{bits}"),
            Kind::Unicode => format!("str{bits}"),
            Kind::Bytes => format!("bytes{bits}"),
            Kind::Object => "object".to_string(),
        }
    }

    /// Whether elements are words, not numbers.
    pub fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Unicode | Kind::Bytes)
    }

    fn parse(code: &str) -> Result<Self, String> {
        let unusable = || {
            let code = code.escape_debug();
            format!("dtype is '{code}', wanted bool, an integer, a float or a string")
        };
        let (order, rest) = match code.chars().next() {
            Some(c @ ('<' | '>' | '|' | '=')) => (c, &code[1..]),
            _ => ('=', code),
        };
        if rest.starts_with('O') {
            return Ok(Self {
                kind: Kind::Object,
                size: 8,
                big_endian: false,
            });
        }
        let mut characters = rest.chars();
        let letter = characters.next().ok_or_else(unusable)?;
        let count: usize = characters.as_str().parse().map_err(|_| unusable())?;
        let (kind, sizes): (Kind, &[usize]) = match letter {
            'b' | '?' => (Kind::Bool, &[1]), // NumPy writes int8 as '|i1'.
            'i' => (Kind::Signed, &[1, 2, 4, 8]),
            'u' => (Kind::Unsigned, &[1, 2, 4, 8]),
            'f' => (Kind::Float, &[2, 4, 8]),
            'U' => (Kind::Unicode, &[]),
            'S' | 'a' => (Kind::Bytes, &[]),
            _ => return Err(unusable()),
        };
        let size = match kind {
            Kind::Unicode => count
                .checked_mul(4)
                .filter(|s| (1..=LONGEST_WORD).contains(s)),
            Kind::Bytes => Some(count).filter(|s| (1..=LONGEST_WORD).contains(s)),
            _ => Some(count).filter(|s| sizes.contains(s)),
        };
        Ok(Self {
            kind,
            size: size.ok_or_else(unusable)?,
            big_endian: order == '>',
        })
    }
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Element type.
    pub dtype: Dtype,
    /// Whether the first axis runs fastest.
    pub fortran: bool,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// Bytes before the data.
    pub offset: usize,
}

impl Header {
    /// Elements; the shape was checked not to overflow.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads magic, version and dictionary; leaves `source` at the first byte of the data.
    ///
    /// # Errors
    /// One sentence with what was found and what was wanted.
    pub fn read(source: &mut impl Read) -> Result<Self, String> {
        let mut start = [0_u8; 8];
        fill(source, &mut start)?;
        if &start[..6] != MAGIC {
            return Err(format!(
                "not an .npy file: it starts with {}, wanted \\x93NUMPY",
                start[..6].escape_ascii()
            ));
        }
        let (length, prefix) = match start[6] {
            1 => {
                let mut two = [0_u8; 2];
                fill(source, &mut two)?;
                (usize::from(u16::from_le_bytes(two)), 10)
            }
            2 | 3 => {
                let mut four = [0_u8; 4];
                fill(source, &mut four)?;
                (u32::from_le_bytes(four) as usize, 12)
            }
            v => return Err(format!(".npy version is {v}, wanted 1, 2 or 3")),
        };
        if length > LONGEST_HEADER {
            return Err(format!(
                "header is {length} bytes long, wanted at most {LONGEST_HEADER}"
            ));
        }
        let mut text = vec![0_u8; length];
        fill(source, &mut text)?;
        let text = std::str::from_utf8(&text).map_err(|_| "header is not text".to_string())?;
        Dictionary::parse(text)?.header(prefix + length)
    }
}

fn fill(source: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    source.read_exact(bytes).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "ends within its header".to_string(),
        _ => format!("cannot read: {e}"),
    })
}

#[derive(Default)]
struct Dictionary {
    descr: Option<String>,
    fortran: Option<bool>,
    shape: Option<Vec<usize>>,
}

impl Dictionary {
    fn parse(text: &str) -> Result<Self, String> {
        let mut scan = Scanner { rest: text };
        let mut found = Self::default();
        scan.expect('{')?;
        while !scan.take('}') {
            let key = scan.word()?;
            scan.expect(':')?;
            match key.as_str() {
                "descr" if scan.peek('[') => {
                    return Err("dtype is a record, wanted one number per element".to_string());
                }
                "descr" => found.descr = Some(scan.word()?),
                "fortran_order" => found.fortran = Some(scan.truth()?),
                "shape" => found.shape = Some(scan.tuple()?),
                _ => {
                    return Err(format!(
                        "header has the key '{}', wanted descr, fortran_order, shape",
                        key.escape_debug()
                    ));
                }
            }
            if !scan.take(',') && !scan.peek('}') {
                return Err(scan.lost("',' or '}'"));
            }
        }
        if !scan.rest.trim().is_empty() {
            return Err(scan.lost("nothing after '}'"));
        }
        Ok(found)
    }

    fn header(self, offset: usize) -> Result<Header, String> {
        let missing = |key: &str| format!("header has no '{key}'");
        let dtype = Dtype::parse(&self.descr.ok_or_else(|| missing("descr"))?)?;
        let shape = self.shape.ok_or_else(|| missing("shape"))?;
        // ndarray wants the product of the non-zero lengths to fit, so that strides do.
        let bytes = shape
            .iter()
            .try_fold(dtype.size.max(4), |product, n| {
                product.checked_mul((*n).max(1))
            })
            .filter(|b| isize::try_from(*b).is_ok());
        if bytes.is_none() {
            return Err(format!(
                "shape is {}, more than memory can address",
                shown(&shape)
            ));
        }
        Ok(Header {
            dtype,
            fortran: self.fortran.ok_or_else(|| missing("fortran_order"))?,
            shape,
            offset,
        })
    }
}

/// A shape as NumPy prints it: `(3,)`, `(3, 4)`.
pub fn shown(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => {
            let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("({})", lengths.join(", "))
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn peek(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.starts_with(wanted)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek(wanted);
        if found {
            self.rest = &self.rest[wanted.len_utf8()..];
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.lost(&format!("'{wanted}'")))
        }
    }

    fn lost(&self, wanted: &str) -> String {
        let near: String = self.rest.trim_start().chars().take(20).collect();
        format!(
            "header is malformed at \"{}\", wanted {wanted}",
            near.escape_default()
        )
    }

    fn word(&mut self) -> Result<String, String> {
        let quote = if self.peek('"') { '"' } else { '\'' };
        self.expect(quote)?;
        let end = self
            .rest
            .find(quote)
            .ok_or_else(|| self.lost("a closing quote"))?;
        let word = self.rest[..end].to_string();
        self.rest = &self.rest[end + 1..];
        Ok(word)
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.lost("True or False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        self.expect('(')?;
        let mut lengths = Vec::new();
        while !self.take(')') {
            self.rest = self.rest.trim_start();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let length = self.rest[..digits]
                .parse()
                .map_err(|_| self.lost("a length of at most 64 bits"))?;
            self.rest = &self.rest[digits..];
            self.take('L'); // Python 2 wrote long integers so.
            lengths.push(length);
            if lengths.len() > MOST_AXES {
                return Err(format!("shape has more than {MOST_AXES} axes"));
            }
            if !self.take(',') && !self.peek(')') {
                return Err(self.lost("',' or ')'"));
            }
        }
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, String> {
        Dictionary::parse(text)?.header(0)
    }

    #[test]
    fn keys_come_in_any_order() {
        let header =
            parse("{'shape': (3, 4L), \"descr\": '>f4', 'fortran_order': True}  \n").unwrap();
        assert_eq!(header.shape, [3, 4]);
        assert!(header.fortran && header.dtype.big_endian);
        assert_eq!(header.dtype.name(), "float32");
        assert_eq!(
            parse("{'descr':'|b1','fortran_order':False,'shape':()}")
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn lies_and_nonsense_are_refused() {
        for text in [
            "",
            "{",
            "{'descr'",
            "{'descr': '<f4'}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 8)}",
            "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f16', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<U99999999999', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<U0', 'fortran_order': False, 'shape': (999999999,)}",
            "{'descr': 'é', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} trailing",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
