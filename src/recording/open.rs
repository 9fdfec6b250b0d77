//! Reading and writing a recording: a directory of `images.npy`, `responses.npy`, `trials.csv` and, optionally,
//! `neurons.csv` and `recording.toml`.

use super::check::Places;
use super::images::grey;
use super::{Recording, Tier, Trial};
use crate::npy::{Kind, Stored, shown};
use crate::table::{Table, check_separator};
use crate::{Error, Result, files, npy};
use ndarray::{ArrayD, Ix2};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

const METADATA: [&str; 4] = ["name", "degrees_per_pixel", "response_unit", "source"];

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
    /// `float64`, (trials, neurons), NaN where a neuron was not recorded; `trials.csv` has the header `image,tier`.
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
        let trials = read_trials(&directory.join("trials.csv"))?;
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
            trials,
            neurons,
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
        self.check_at(&Places::all(directory))?;
        files::require_space(directory, self.bytes())?;
        let fail = |e: std::io::Error| {
            Error::file(directory, format!("cannot write: {}", files::reason(e)))
        };
        if directory.exists() {
            let mut entries = std::fs::read_dir(directory).map_err(fail)?;
            if entries.next().is_some() {
                let what = "exists and is not empty, wanted a new directory";
                return Err(Error::file(directory, what));
            }
        }
        let parent = files::directory_of(directory);
        files::create_directory(parent)?;
        files::clear_abandoned(parent);
        let temporary = files::temporary_directory(parent)?;
        let filled = self.fill(temporary.path(), tables, stop);
        if let Some(signal) = stop() {
            return Err(Error::Stopped(signal));
        }
        filled.map_err(|e| moved(e, temporary.path(), directory))?;
        // Renaming replaces an empty directory; from here on there is nothing to clean up.
        std::fs::rename(temporary.path(), directory).map_err(fail)?;
        let _moved: PathBuf = temporary.keep();
        Ok(())
    }

    /// What its arrays take on a disk, at most.
    fn bytes(&self) -> u128 {
        let numbers = self.images.len() as u128 + self.responses.len() as u128;
        numbers * size_of::<f32>() as u128
    }

    fn fill(
        &self,
        directory: &Path,
        tables: &[(&str, &Table)],
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
        write("responses.npy", &|w| npy::fill(w, &self.responses.view()))?;
        write("trials.csv", &|w| {
            writeln!(w, "image,tier")?;
            self.trials
                .iter()
                .try_for_each(|t| writeln!(w, "{},{}", t.image, t.tier))
        })?;
        if let Some(neurons) = &self.neurons {
            neurons.write_csv(&directory.join("neurons.csv"))?;
        }
        for (name, table) in tables {
            table.write_csv(&directory.join(name))?;
        }
        let text = self.metadata();
        write("recording.toml", &|w| w.write_all(text.as_bytes()))
    }

    fn metadata(&self) -> String {
        let mut table = toml::Table::new();
        table.insert("name".to_string(), self.name.clone().into());
        if let Some(degrees) = self.degrees_per_pixel {
            table.insert("degrees_per_pixel".to_string(), degrees.into());
        }
        for (key, value) in [
            ("response_unit", &self.response_unit),
            ("source", &self.source),
        ] {
            if let Some(value) = value {
                table.insert(key.to_string(), value.clone().into());
            }
        }
        let mut text = String::new();
        for key in METADATA {
            if let Some(value) = table.get(key) {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}

/// A writer that fails once a signal has come.
struct Stoppable<'a> {
    writer: &'a mut dyn Write,
    stop: &'a dyn Fn() -> Option<i32>,
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

/// An error about a file in the temporary directory `from`, as one about the file that it would have become in `to`.
fn moved(error: Error, from: &Path, to: &Path) -> Error {
    match error {
        Error::File { path, what } => {
            let path = path.strip_prefix(from).map_or(path.clone(), |p| to.join(p));
            Error::file(path, files::reason(what))
        }
        other => other,
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

fn read_trials(file: &Path) -> Result<Vec<Trial>> {
    let text = files::read_text(file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let bad = |place: String, what, got, wanted: &str| {
        Error::bad(format!("{}{place}", file.display()), what, got, wanted)
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| Error::file(file, e))?;
    check_separator(file, header)?;
    if header != vec!["image", "tier"] {
        let got = format!("\"{}\"", header.iter().collect::<Vec<_>>().join(","));
        return Err(bad(String::new(), "header", got, "\"image,tier\""));
    }
    let mut trials = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| Error::file(file, e))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let row = trials.len();
        let place = match record.position() {
            Some(p) => format!(", line {} (trial {row})", p.line()),
            None => format!(", trial {row}"),
        };
        let (Some(image), Some(tier), 2) = (record.get(0), record.get(1), record.len()) else {
            return Err(bad(
                place,
                "number of cells",
                record.len().to_string(),
                "2: image,tier",
            ));
        };
        trials.push(Trial {
            image: image.parse().map_err(|_| {
                bad(
                    place.clone(),
                    "image",
                    format!("\"{image}\""),
                    "a row number of images.npy",
                )
            })?,
            tier: Tier::from_name(tier).ok_or_else(|| {
                bad(
                    place,
                    "tier",
                    format!("\"{tier}\""),
                    "train, validation or test",
                )
            })?,
        });
    }
    Ok(trials)
}

#[derive(Default)]
struct Metadata {
    name: Option<String>,
    degrees_per_pixel: Option<f64>,
    response_unit: Option<String>,
    source: Option<String>,
}

impl Metadata {
    fn read(file: &Path) -> Result<Self> {
        let text = files::read_text(file)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            let before = e
                .span()
                .and_then(|s| text.get(..s.start))
                .unwrap_or_default();
            Error::file(
                file,
                format!("line {}: {}", before.matches('\n').count() + 1, e.message()),
            )
        })?;
        let mut metadata = Self::default();
        for (key, value) in &table {
            let bad = |got: &str, wanted| Error::bad(file.display(), key, got, wanted);
            let text = || match value {
                toml::Value::String(text) => Ok(Some(text.clone())),
                other => Err(bad(&format!("{other} ({})", other.type_str()), "a string")),
            };
            match key.as_str() {
                "name" => metadata.name = text()?,
                "response_unit" => metadata.response_unit = text()?,
                "source" => metadata.source = text()?,
                "degrees_per_pixel" => {
                    metadata.degrees_per_pixel = match value {
                        toml::Value::Float(x) => Some(*x),
                        toml::Value::Integer(x) => Some(*x as f64),
                        other => {
                            let got = format!("{other} ({})", other.type_str());
                            return Err(bad(&got, "a positive number"));
                        }
                    }
                }
                unknown => return Err(unknown_key(file, unknown)),
            }
        }
        Ok(metadata)
    }
}

fn unknown_key(file: &Path, key: &str) -> Error {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, key);
    let nearest = METADATA
        .into_iter()
        .min_by_key(distance)
        .unwrap_or_default();
    let got = format!("unknown; the nearest known one is `{nearest}`");
    let wanted = format!("one of {}", METADATA.join(", "));
    Error::bad(file.display(), format!("key `{key}`"), got, wanted)
}
