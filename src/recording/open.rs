//! Reading and writing a recording: a directory of `images.npy`, `responses.npy`, `trials.csv` and, optionally,
//! `neurons.csv` and `recording.toml`.

use super::Recording;
use super::check::Places;
use super::draft::Draft;
use super::images::grey;
use super::listing::{self, Listing, Tiers};
use super::metadata::Metadata;
use crate::npy::{Kind, Stored, shown};
use crate::table::Table;
use crate::{Error, Result, files, npy};
use ndarray::{Array2, ArrayD, Ix2};
use std::io::Write;
use std::path::Path;

/// What is written besides what a recording holds: tables by their file names, responses with all their digits.
type Further<'a> = (&'a [(&'a str, &'a Table)], Option<&'a Array2<f64>>);

impl Recording {
    /// The name of the recording in a directory, without reading it: that of its `recording.toml`, else the directory's.
    pub fn name_at(directory: &Path) -> String {
        let declared = Metadata::read(&directory.join("recording.toml"));
        declared
            .ok()
            .and_then(|m| m.name)
            .unwrap_or_else(|| name_of(directory).unwrap_or_default())
    }

    /// Reads and checks a recording.
    ///
    /// `images.npy` is `uint8` or `float32`, shaped as for [`super::read_images`]; `responses.npy` is `float32` or
    /// `float64`, (trials, neurons), NaN where a neuron was not recorded; the header of `trials.csv` starts with
    /// `image,tier`.
    ///
    /// # Errors
    /// The first thing that is wrong: which file, what, got and wanted; see [`Recording::check`].
    pub fn open(directory: &Path) -> Result<Self> {
        if !directory.is_dir() {
            let what = if directory.exists() {
                "not a directory"
            } else {
                "does not exist"
            };
            return Err(Error::file(
                directory,
                format!("{what}, wanted a recording"),
            ));
        }
        let images_file = directory.join("images.npy");
        let images = array(
            &images_file,
            &[(Kind::Unsigned, 1), (Kind::Float, 4)],
            "uint8 or float32",
        )?;
        let images = grey(&images_file, images)?;
        let responses_file = directory.join("responses.npy");
        let responses = array(
            &responses_file,
            &[(Kind::Float, 4), (Kind::Float, 8)],
            "float32 or float64",
        )?;
        let shape = shown(responses.shape());
        let responses = responses.into_dimensionality::<Ix2>().map_err(|_| {
            Error::bad(
                responses_file.display(),
                "shape",
                shape,
                "(trials, neurons)",
            )
        })?;
        let listing = Listing::read(&directory.join("trials.csv"), Tiers::Wanted)?;
        let neurons = match directory.join("neurons.csv") {
            file if file.exists() => Some(Table::read_csv(&file)?),
            _ => None,
        };
        let metadata = match directory.join("recording.toml") {
            file if file.exists() => Metadata::read(&file)?,
            _ => Metadata::default(),
        };
        let name = match metadata.name {
            Some(name) => name,
            None => name_of(directory)?,
        };
        let recording = Self {
            name,
            images,
            responses,
            trials: listing.trials,
            neurons,
            trial_columns: listing.columns,
            degrees_per_pixel: metadata.degrees_per_pixel,
            response_unit: metadata.response_unit,
            source: metadata.source,
        };
        recording.check(directory)?;
        Ok(recording)
    }

    /// Writes a recording that [`Recording::open`] gives back bit for bit: grey levels as `uint8` where that loses
    /// nothing, else `float32`. The directory appears whole or not at all.
    ///
    /// # Errors
    /// When the recording is invalid, `directory` holds something already, or it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        self.write_with(directory, &[], &|| None)
    }

    /// As [`Recording::write`], with tables of these file names beside it, until `stop` gives the number of a signal.
    ///
    /// # Errors
    /// As [`Recording::write`], naming the files that should have been; [`Error::Stopped`] after a signal.
    pub fn write_with(
        &self,
        directory: &Path,
        tables: &[(&str, &Table)],
        stop: &dyn Fn() -> Option<i32>,
    ) -> Result<()> {
        self.fill_new(directory, (tables, None), stop)
    }

    /// As [`Recording::write`], with responses as they were before they were rounded to `float32`, until `stop` gives the
    /// number of a signal.
    ///
    /// # Errors
    /// As [`Recording::write`]; [`Error::Stopped`] after a signal.
    pub fn write_with_digits(
        &self,
        directory: &Path,
        responses: Option<&Array2<f64>>,
        stop: &dyn Fn() -> Option<i32>,
    ) -> Result<()> {
        self.fill_new(directory, (&[], responses), stop)
    }

    fn fill_new(
        &self,
        directory: &Path,
        further: Further,
        stop: &dyn Fn() -> Option<i32>,
    ) -> Result<()> {
        self.check_at(&Places::all(directory))?;
        let draft = Draft::begin(directory, self.bytes(further.1.is_some()))?;
        let filled = self.fill(draft.path(), further, stop);
        if let Some(signal) = stop() {
            return Err(Error::Stopped(signal));
        }
        filled.map_err(|e| draft.named(e))?;
        draft.finish()
    }

    /// What its arrays take on a disk, at most.
    fn bytes(&self, wide: bool) -> u128 {
        let each = if wide {
            size_of::<f64>()
        } else {
            size_of::<f32>()
        };
        let images = self.images.len() as u128 * size_of::<f32>() as u128;
        images + self.responses.len() as u128 * each as u128
    }

    fn fill(
        &self,
        directory: &Path,
        (tables, wide): Further,
        stop: &dyn Fn() -> Option<i32>,
    ) -> Result<()> {
        let write = |name: &str, fill: &dyn Fn(&mut dyn Write) -> std::io::Result<()>| {
            files::write(&directory.join(name), |writer| {
                fill(&mut Stoppable { writer, stop })
            })
        };
        let exact = |x: &f32| f32::from(*x as u8).to_bits() == x.to_bits();
        if self.images.iter().all(exact) {
            let bytes = self.images.mapv(|x| x as u8);
            write("images.npy", &|w| npy::fill(w, &bytes.view()))?;
        } else {
            write("images.npy", &|w| npy::fill(w, &self.images.view()))?;
        }
        write("responses.npy", &|w| match wide {
            Some(wide) => npy::fill(w, &wide.view()),
            None => npy::fill(w, &self.responses.view()),
        })?;
        write("trials.csv", &|w| {
            listing::fill(w, &self.trials, self.trial_columns.as_ref())
        })?;
        if let Some(neurons) = &self.neurons {
            neurons.write_csv(&directory.join("neurons.csv"))?;
        }
        for (name, table) in tables {
            table.write_csv(&directory.join(name))?;
        }
        let text = Metadata {
            name: Some(self.name.clone()),
            degrees_per_pixel: self.degrees_per_pixel,
            response_unit: self.response_unit.clone(),
            source: self.source.clone(),
        }
        .text();
        write("recording.toml", &|w| w.write_all(text.as_bytes()))
    }
}

/// A writer that fails once a signal has come.
pub(super) struct Stoppable<'a> {
    pub(super) writer: &'a mut dyn Write,
    pub(super) stop: &'a dyn Fn() -> Option<i32>,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match (self.stop)() {
            Some(signal) => Err(std::io::Error::other(format!("signal {signal}"))),
            None => self.writer.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// The name of the recording in a directory that says no other: its own, also for `.` and `..`.
///
/// # Errors
/// Names a directory whose name is not UTF-8.
pub fn name_of(directory: &Path) -> Result<String> {
    let absolute = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_path_buf());
    let Some(name) = absolute.file_name() else {
        return Ok("recording".to_string());
    };
    match name.to_str() {
        Some(name) => Ok(name.to_string()),
        None => Err(Error::bad(
            directory.display(),
            "its name",
            format!("{name:?}"),
            "UTF-8: rename it, or give the recording another `name` in recording.toml",
        )),
    }
}

fn array(file: &Path, types: &[(Kind, usize)], type_names: &str) -> Result<ArrayD<f32>> {
    let stored = Stored::open(file)?;
    stored.refuse_objects("numbers", "numpy.float32")?;
    let dtype = stored.header().dtype;
    if !types.contains(&(dtype.kind, dtype.size)) {
        return Err(Error::bad(
            file.display(),
            "dtype",
            dtype.name(),
            type_names,
        ));
    }
    stored.numbers()
}
