//! Words: strings of datasets and attributes.

use super::Dataset;
use super::element::{self, Element};
use crate::npy::cell;
use crate::{Error, Result};
use hdf5_reader::{Datatype, StringSize};

/// Text may be this many times longer than the file: strings can be shared.
const MOST_TEXT: u64 = 16;

/// Attributes of an object.
#[derive(Debug)]
pub struct Attributes(Vec<Attribute>);

/// One attribute.
pub type Attribute = hdf5_reader::Attribute;

impl Attributes {
    pub(super) fn new(all: Vec<Attribute>) -> Self {
        Self(all)
    }

    fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|a| a.name == name)
    }

    /// Whether there is one of that name.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Its words; none if it is missing or holds others.
    pub fn words(&self, name: &str) -> Vec<String> {
        let words = self.get(name).and_then(|a| a.read_strings().ok());
        let words = words.unwrap_or_default().into_iter();
        words
            .map(|w| w.trim_end_matches('\0').to_string())
            .collect()
    }

    /// Its only word.
    pub fn word(&self, name: &str) -> Option<String> {
        self.words(name).into_iter().next()
    }

    /// Its only number.
    pub fn number(&self, name: &str) -> Option<f64> {
        let attribute = self.get(name)?;
        let number = attribute.read_scalar::<element::Number<f64>>().ok()?;
        Some(number.0)
    }

    /// The object that it refers to, by its address.
    pub fn reference(&self, name: &str) -> Option<u64> {
        let attribute = self.get(name)?;
        let eight: [u8; 8] = attribute.raw_data.get(..8)?.try_into().ok()?;
        let refers = matches!(attribute.datatype, Datatype::Reference { .. });
        refers.then_some(u64::from_le_bytes(eight))
    }
}

impl Dataset {
    /// All strings, in C order, without their padding.
    ///
    /// # Errors
    /// Names the dataset when its elements are no strings, or not valid text.
    pub fn words(&self) -> Result<Vec<String>> {
        if *self.element() != Element::Word {
            return Err(self.bad_element("strings"));
        }
        self.check_text()?;
        let words = self.inner().read_strings().map_err(|e| self.failed(&e))?;
        Ok(words
            .into_iter()
            .map(|w| w.trim_end_matches('\0').to_string())
            .collect())
    }

    /// Refuses strings that are longer altogether than the file could hold.
    fn check_text(&self) -> Result<()> {
        let fixed = matches!(
            self.inner().dtype(),
            Datatype::String {
                size: StringSize::Fixed(_),
                ..
            }
        );
        if fixed || self.shape().contains(&0) {
            return Ok(());
        }
        let raw = self.inner().read_raw_bytes().map_err(|e| self.failed(&e))?;
        let width = self.inner().vlen_reference_size().max(4);
        let lengths = raw
            .chunks_exact(width)
            .map(|r| u64::from(u32::from_le_bytes([r[0], r[1], r[2], r[3]])));
        let text = lengths.fold(0, u64::saturating_add);
        match text <= MOST_TEXT * self.file_length() + (1 << 16) {
            true => Ok(()),
            false => Err(self.claims(text)),
        }
    }

    /// All elements as cells of a table, in C order: words, `true` and `false`, numbers with as many digits as give them
    /// back; NaN is an empty cell.
    ///
    /// # Errors
    /// Names the dataset when its elements are neither numbers nor words.
    pub fn cells(&self) -> Result<Vec<String>> {
        let Element::Number(dtype) = *self.element() else {
            return self.words();
        };
        let raw = self.inner().read_raw_bytes().map_err(|e| self.failed(&e))?;
        let elements = raw.chunks_exact(dtype.size);
        let cells: Option<Vec<String>> = elements.map(|b| cell(dtype, b)).collect();
        cells.ok_or_else(|| self.bad_element("numbers or strings"))
    }

    /// Addresses of the objects that the elements refer to.
    ///
    /// # Errors
    /// Names the dataset when they are no references.
    pub fn references(&self) -> Result<Vec<u64>> {
        if *self.element() != Element::Reference {
            return Err(self.bad_element("references"));
        }
        let raw = self.inner().read_raw_bytes().map_err(|e| self.failed(&e))?;
        let width = element::size(self.inner().dtype()).unwrap_or(8).max(1);
        let address = |r: &[u8]| {
            let mut eight = [0; 8];
            let few = r.len().min(8);
            eight[..few].copy_from_slice(&r[..few]);
            u64::from_le_bytes(eight)
        };
        Ok(raw.chunks_exact(width).map(address).collect())
    }

    pub(super) fn bad_element(&self, wanted: &str) -> Error {
        Error::bad(self.place().display(), "dtype", self.element(), wanted)
    }
}
