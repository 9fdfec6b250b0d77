//! What was shown when.

use super::find;
use crate::hdf5::{Dataset, Element, File};
use crate::{Error, Result};
use std::path::PathBuf;

/// Presentations of a stimulus.
pub(super) struct Stimulus {
    pub(super) path: String,
    /// Seconds.
    pub(super) onsets: Vec<f64>,
    /// The image of each, as the file numbers it.
    pub(super) numbers: Vec<f64>,
    /// What to name in a message about them.
    place: PathBuf,
    /// What else is known of presentations.
    pub(super) columns: Vec<(String, Vec<String>)>,
    /// The object of the file that has the images, if the stimulus says so.
    pub(super) linked: Option<String>,
}

impl Stimulus {
    pub(super) fn open(file: &File, name: Option<&str>, column: Option<&str>) -> Result<Self> {
        let found = find::stimulus(file, name, column)?;
        match found.column {
            Some(column) => Self::table(file, found.path, &column),
            None => Self::series(file, found.path),
        }
    }

    /// A row for each presentation.
    fn table(file: &File, path: String, column: &str) -> Result<Self> {
        let start = file.dataset(&format!("{path}/start_time"))?;
        start.check_line()?;
        let onsets: Vec<f64> = start.numbers()?;
        check_times(&onsets, &start)?;
        let numbers = file.dataset(&format!("{path}/{column}"))?;
        check_rows(&numbers, onsets.len())?;
        let mut columns = vec![("source_image".to_string(), numbers.cells()?)];
        for name in file.members(&path)?.1 {
            let other = file.dataset(&format!("{path}/{name}"))?;
            let plain = matches!(other.element(), Element::Number(_) | Element::Word);
            if name == column || name == "id" || !plain || *other.shape() != [onsets.len()] {
                continue;
            }
            let own = ["image", "tier", "source_image"].contains(&name.as_str());
            let name = if own { format!("source_{name}") } else { name };
            columns.push((name, other.cells()?));
        }
        Ok(Self {
            path,
            onsets,
            place: numbers.place().to_path_buf(),
            numbers: numbers.numbers()?,
            columns,
            linked: None,
        })
    }

    /// An element for each presentation.
    fn series(file: &File, path: String) -> Result<Self> {
        let data = file.dataset(&format!("{path}/data"))?;
        let count = data.shape()[0];
        let times = find::times(file, &path, Some(count))?;
        if times.count() != Some(count) {
            let got = times.count().unwrap_or(0);
            let wanted = format!("{count}, one per element of data");
            let place = file.place(&format!("{path}/timestamps"));
            return Err(Error::bad(place.display(), "number of times", got, wanted));
        }
        let onsets = times.all(count);
        let cells = |all: &[f64]| all.iter().map(ToString::to_string).collect();
        let mut linked = None;
        for link in ["indexed_images", "indexed_timeseries"] {
            let target = format!("{path}/{link}");
            if linked.is_none() && file.has_group(&target) {
                linked = Some(target);
            }
        }
        Ok(Self {
            columns: vec![
                ("source_image".to_string(), data.cells()?),
                ("onset".to_string(), cells(&onsets)),
            ],
            onsets,
            place: data.place().to_path_buf(),
            numbers: data.numbers()?,
            path,
            linked,
        })
    }

    /// The number of the image of a presentation.
    pub(super) fn number(&self, row: usize) -> Result<usize> {
        let number = self.numbers[row];
        // float64 tells whole numbers apart up to 2^53.
        if number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number) {
            return Ok(number as usize);
        }
        let what = format!("image of presentation {row}");
        let wanted = "a whole number from 0 on, or that of --blank";
        Err(Error::bad(self.place.display(), what, number, wanted))
    }

    /// What to name in a message about numbers of images.
    pub(super) fn place(&self) -> &std::path::Path {
        &self.place
    }
}

fn check_rows(column: &Dataset, rows: usize) -> Result<()> {
    column.check_line()?;
    let got = column.shape().iter().product::<usize>();
    if got == rows {
        return Ok(());
    }
    let wanted = format!("{rows}, as start_time has");
    Err(Error::bad(
        column.place().display(),
        "number of rows",
        got,
        wanted,
    ))
}

fn check_times(times: &[f64], place: &Dataset) -> Result<()> {
    match times.iter().position(|t| !t.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::bad(
            place.place().display(),
            format!("time at {at}"),
            times[at],
            "a finite number of seconds",
        )),
    }
}
