//! The files of a recording's GLMs.

use super::Glms;
use crate::Result;
use crate::recording::Recording;
use crate::results::{Arrays, Origin, Results};
use crate::scoring::on_recording;
use std::path::Path;

/// The table of the fits.
pub const TABLE: &str = "glm.csv";
/// Their weights on z-scored pixels, (neurons, height, width).
pub const WEIGHTS: &str = "glm_weights.npy";

/// A GLM is its own model: what its rows come from are the recordings.
pub fn origin(recordings: &[&Recording], options: String) -> Origin {
    let hashes: Vec<String> = recordings.iter().map(|r| r.hash()).collect();
    Origin {
        model: hashes.join("+"),
        options,
        recorded: None,
    }
}

/// A place for `glm.csv` and `glm_weights.npy` in a directory; `rows`: of these neurons alone.
///
/// # Errors
/// When it cannot be written to, or holds other neurons' rows of another origin.
pub fn place(
    directory: &Path,
    recording: &Recording,
    options: String,
    rows: Option<&[usize]>,
) -> Result<Results> {
    let chosen = rows.map(|rows| [(String::new(), rows.to_vec())]);
    let chosen = chosen.as_ref().map(<[_; 1]>::as_slice);
    let origin = origin(&[recording], options);
    Results::open(
        directory,
        (TABLE, &[WEIGHTS]),
        origin,
        &[String::new()],
        chosen,
    )
}

impl Glms {
    /// Writes both.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, place: Results, recording: &Recording) -> Result<()> {
        let table = on_recording(self.table.clone(), recording);
        let weights = Arrays::One(self.weights.clone().into_dyn());
        place.write(&table, vec![weights])
    }
}
