//! What MATLAB adds to HDF5: characters as numbers, cell arrays of references.

use super::element::Element;
use super::{Dataset, File};
use crate::{Error, Result};
use std::io::Read;
use std::path::Path;

/// Whether the user block says that MATLAB wrote the file.
pub(super) fn is_named(path: &Path) -> bool {
    let mut first = [0; 10];
    let read = std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut first));
    read.is_ok() && &first == b"MATLAB 7.3"
}

impl File {
    /// The words of a dataset: strings, or in a MATLAB file the rows of a character array or the cells of a cell array.
    /// Numbers are written in decimal.
    ///
    /// # Errors
    /// Names the dataset when it holds none, or not valid text.
    pub fn words(&self, dataset: &Dataset) -> Result<Vec<String>> {
        let class = dataset.attributes().word("MATLAB_class");
        match (class.as_deref(), dataset.element()) {
            (Some("char"), _) => characters(dataset),
            (_, Element::Reference) => {
                let cells = dataset.references()?;
                cells.into_iter().map(|at| self.cell(at, dataset)).collect()
            }
            _ => dataset.cells(),
        }
    }

    /// What one cell of a cell array says.
    fn cell(&self, address: u64, holder: &Dataset) -> Result<String> {
        let path = self.referred(address, holder.place())?;
        let dataset = self.dataset(path)?;
        if dataset.attributes().has("MATLAB_empty") {
            return Ok(String::new());
        }
        let words = match dataset.element() {
            // Cells within cells are not followed: they could go round in circles.
            Element::Reference => Vec::new(),
            _ => self.words(&dataset)?,
        };
        match <[String; 1]>::try_from(words) {
            Ok([word]) => Ok(word),
            Err(words) => Err(Error::bad(
                dataset.place().display(),
                "number of words in a cell",
                words.len(),
                1,
            )),
        }
    }
}

/// The rows of a character array: MATLAB stores them column by column.
fn characters(dataset: &Dataset) -> Result<Vec<String>> {
    if dataset.attributes().has("MATLAB_empty") {
        return Ok(vec![String::new()]);
    }
    let rows = *dataset.shape().last().unwrap_or(&1);
    let units: Vec<f64> = dataset.numbers()?;
    let word = |row: usize| {
        let units: Vec<u16> = units
            .iter()
            .skip(row)
            .step_by(rows)
            .map(|u| *u as u16)
            .collect();
        let text = String::from_utf16(&units).ok();
        let text = text.map(|t| t.trim_end_matches(['\0', ' ']).to_string());
        text.ok_or_else(|| Error::file(dataset.place(), "is not valid text"))
    };
    (0..rows).map(word).collect()
}
