//! `recording.toml`: what a recording is called and where it is from.

use crate::{Error, Result, files};
use std::fmt::Write as _;
use std::path::Path;

const METADATA: [&str; 4] = ["name", "degrees_per_pixel", "response_unit", "source"];

/// What `recording.toml` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) degrees_per_pixel: Option<f64>,
    pub(super) response_unit: Option<String>,
    pub(super) source: Option<String>,
}

impl Metadata {
    pub(super) fn read(file: &Path) -> Result<Self> {
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

    /// Checks what it says, and the name that the recording has by it or by its directory.
    pub(super) fn check(&self, name: &str, file: &Path) -> Result<()> {
        let bad = |what, got: String, wanted| Err(Error::bad(file.display(), what, got, wanted));
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            let got = format!("\"{}\"", name.escape_default());
            return bad("name", got, "a printable word");
        }
        if name.contains('/') {
            return bad("name", format!("\"{name}\""), "a word without slashes");
        }
        match self.degrees_per_pixel {
            Some(d) if !(d > 0.0 && d.is_finite()) => {
                bad("degrees_per_pixel", d.to_string(), "a positive number")
            }
            _ => Ok(()),
        }
    }

    /// The file's content.
    pub(super) fn text(&self) -> String {
        let mut table = toml::Table::new();
        if let Some(degrees) = self.degrees_per_pixel {
            table.insert("degrees_per_pixel".to_string(), degrees.into());
        }
        for (key, value) in [
            ("name", &self.name),
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
