//! Reading and writing a recording: a directory of `images.npy`, `responses.npy`, `trials.csv` and, optionally,
//! `neurons.csv` and `recording.toml`.

use super::{Recording, Tier, Trial};
use crate::npy::{Kind, Stored, shown};
use crate::table::Table;
use crate::{Error, Result, files, npy};
use ndarray::{Array, Dimension};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const METADATA: [&str; 4] = ["name", "degrees_per_pixel", "response_unit", "source"];

impl Recording {
    /// The name of the recording in a directory, without reading it: that of its `recording.toml`, else the directory's.
    pub fn name_at(directory: &Path) -> String {
        let declared = Metadata::read(&directory.join("recording.toml"));
        declared
            .ok()
            .and_then(|m| m.name)
            .unwrap_or_else(|| name_of(directory))
    }

    /// Reads and checks a recording.
    ///
    /// `images.npy` is `uint8` or `float32`, (images, height, width); `responses.npy` is `float32` or `float64`,
    /// (trials, neurons), NaN where a neuron was not recorded; `trials.csv` has the header `image,tier`.
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
        let images = array(
            &directory.join("images.npy"),
            &[(Kind::Unsigned, 1), (Kind::Float, 4)],
            "uint8 or float32",
            "(images, height, width)",
        )?;
        let responses = array(
            &directory.join("responses.npy"),
            &[(Kind::Float, 4), (Kind::Float, 8)],
            "float32 or float64",
            "(trials, neurons)",
        )?;
        let trials = read_trials(&directory.join("trials.csv"))?;
        let neurons = match directory.join("neurons.csv") {
            file if file.exists() => Some(Table::read_csv(&file)?),
            _ => None,
        };
        let metadata = match directory.join("recording.toml") {
            file if file.exists() => Metadata::read(&file)?,
            _ => Metadata::default(),
        };
        let recording = Self {
            name: metadata.name.unwrap_or_else(|| name_of(directory)),
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
        self.check(directory)?;
        let fail = |e: std::io::Error| Error::file(directory, format!("cannot write: {e}"));
        if directory.exists() {
            let mut entries = std::fs::read_dir(directory).map_err(fail)?;
            if entries.next().is_some() {
                let what = "exists and is not empty, wanted a new directory";
                return Err(Error::file(directory, what));
            }
        }
        let parent = match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        files::create_directory(parent)?;
        let temporary = tempfile::Builder::new()
            .prefix(".striate-")
            .tempdir_in(parent)
            .map_err(fail)?;
        self.fill(temporary.path())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(temporary.path(), mode).map_err(fail)?;
        }
        // Renaming replaces an empty directory; from here on there is nothing to clean up.
        std::fs::rename(temporary.path(), directory).map_err(fail)?;
        let _moved: PathBuf = temporary.keep();
        Ok(())
    }

    fn fill(&self, directory: &Path) -> Result<()> {
        let images = directory.join("images.npy");
        let exact = |x: &f32| f32::from(*x as u8).to_bits() == x.to_bits();
        if self.images.iter().all(exact) {
            npy::write(&images, self.images.mapv(|x| x as u8).view())?;
        } else {
            npy::write(&images, self.images.view())?;
        }
        npy::write(&directory.join("responses.npy"), self.responses.view())?;
        files::write(&directory.join("trials.csv"), |w| {
            writeln!(w, "image,tier")?;
            self.trials
                .iter()
                .try_for_each(|t| writeln!(w, "{},{}", t.image, t.tier))
        })?;
        if let Some(neurons) = &self.neurons {
            neurons.write_csv(&directory.join("neurons.csv"))?;
        }
        let text = self.metadata();
        files::write(&directory.join("recording.toml"), |w| {
            w.write_all(text.as_bytes())
        })
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

/// The directory's own name, also for `.` and `..`.
fn name_of(directory: &Path) -> String {
    let absolute = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_path_buf());
    absolute.file_name().map_or_else(
        || "recording".to_string(),
        |n| n.to_string_lossy().into_owned(),
    )
}

fn array<D: Dimension>(
    file: &Path,
    types: &[(Kind, usize)],
    type_names: &str,
    axes: &str,
) -> Result<Array<f32, D>> {
    let stored = Stored::open(file)?;
    let bad = |what, got, wanted| Error::bad(file.display(), what, got, wanted);
    let dtype = stored.header().dtype;
    if !types.contains(&(dtype.kind, dtype.size)) {
        return Err(bad("dtype", dtype.name(), type_names));
    }
    let shape = shown(stored.shape());
    if Some(stored.shape().len()) != D::NDIM {
        return Err(bad("shape", shape, axes));
    }
    stored
        .numbers()?
        .into_dimensionality()
        .map_err(|_| bad("shape", shape, axes))
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
