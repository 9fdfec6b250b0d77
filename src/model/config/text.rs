//! TOML in and out: overrides, unknown keys, explanations.

use super::check::MOST_NEURONS;
use super::{Config, Core, CoreKind, Penalties, Readout, Training};
use crate::recording::chosen_rows;
use crate::{Error, Result, files};
use documented::DocumentedFields;
use std::path::Path;

impl Config {
    /// Reads a configuration, applies `key=value` overrides, and checks it.
    ///
    /// # Errors
    /// Names the file and the key, the value found and what is accepted.
    pub fn open(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = files::read_text(path)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut config = Self::parse(text, &path.display().to_string(), overrides)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for recording in &mut config.recordings {
            let beside = folder.join(&*recording);
            if beside.exists() {
                *recording = beside;
            }
        }
        Ok(config)
    }

    /// Parses and checks a configuration; `place` names it in messages.
    ///
    /// # Errors
    /// As [`Config::open`].
    pub fn parse(text: &str, place: &str, overrides: &[String]) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(text).map_err(|e: toml::de::Error| {
            let before = e
                .span()
                .and_then(|s| text.get(..s.start))
                .unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Error::Other(format!("{place}: not TOML: line {line}: {}", e.message()))
        })?;
        check_keys(&table, place)?;
        for text in overrides {
            apply(&mut table, text)?;
        }
        fill_kind(&mut table)?;
        let mut config: Self =
            toml::Value::Table(table)
                .try_into()
                .map_err(|e: toml::de::Error| {
                    Error::Other(format!(
                        "{place}: {}",
                        e.to_string().trim().replace('\n', " ")
                    ))
                })?;
        config.fill_layers();
        config.check(place)?;
        Ok(config)
    }

    /// The per-layer factors of the penalties, where none are given.
    pub(super) fn fill_layers(&mut self) {
        let n = self.core.features.len();
        let per_layer = |first: f64, others: f64| {
            (0..n)
                .map(|l| if l == 0 { first } else { others })
                .collect()
        };
        let p = &mut self.penalties;
        if p.smoothness_per_layer.is_empty() {
            p.smoothness_per_layer = per_layer(1.0, 0.5);
        }
        if p.group_sparsity_per_layer.is_empty() {
            p.group_sparsity_per_layer = per_layer(0.0, 1.0);
        }
    }

    /// The orientations that the core really has: 1 for a plain CNN.
    pub fn orientations(&self) -> usize {
        match self.core.kind {
            CoreKind::RotationEquivariant => self.core.orientations,
            _ => 1,
        }
    }

    /// Rows in the recording of the neurons that are fitted, where they are not all of them.
    pub fn chosen_neurons(&self) -> Option<Vec<usize>> {
        let choice = self.training.neurons.as_str();
        let rows = (!choice.is_empty()).then(|| chosen_rows(choice, MOST_NEURONS));
        rows.and_then(std::result::Result::ok)
    }

    /// TOML with every key written out.
    ///
    /// # Errors
    /// Names the recording whose path is not UTF-8, for TOML holds nothing else.
    pub fn to_toml(&self) -> Result<String> {
        if let Some(path) = self.recordings.iter().find(|p| p.to_str().is_none()) {
            return Err(Error::bad(
                "configuration",
                "recordings",
                format!("{path:?}"),
                "a path in UTF-8: rename the folder",
            ));
        }
        toml::to_string(self).map_err(|e| Error::Other(format!("configuration: {e}")))
    }

    /// TOML of the sections that weights are for: core and readout.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn architecture(&self) -> Result<String> {
        let text = |e| Error::Other(format!("configuration: {e}"));
        let mut table = toml::Table::try_from(self).map_err(text)?;
        table.retain(|key, _| ["core", "readout"].contains(&key));
        toml::to_string(&table).map_err(text)
    }

    /// The same of what [`Config::architecture`] wrote, with keys that it did not know yet at their defaults.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub(crate) fn architecture_of(text: &str) -> Result<String> {
        match toml::from_str::<Self>(text) {
            Ok(config) => config.architecture(),
            // Written by a later version: it can only be compared letter by letter.
            Err(_) => Ok(text.to_string()),
        }
    }

    /// TOML with every key written out and explained.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn explained(&self) -> Result<String> {
        let mut out = String::new();
        for line in self.to_toml()?.lines() {
            let key = line.split([' ', '=']).next().unwrap_or_default();
            let documentation = if let Some(section) = line.strip_prefix('[') {
                Self::get_field_docs(section.trim_end_matches(']')).ok()
            } else if line.is_empty() {
                None
            } else {
                documentation_of(&out, key)
            };
            for text in documentation.unwrap_or_default().lines() {
                out.push_str(&format!("# {text}\n"));
            }
            out.push_str(line);
            out.push('\n');
        }
        Ok(out)
    }
}

/// Adds the defaults that the kind of core brings, where it is one and nothing else is given.
fn fill_kind(table: &mut toml::Table) -> Result<()> {
    let given = table.get("core").and_then(|core| core.get("kind")).cloned();
    let kind = match given.map(toml::Value::try_into) {
        Some(Ok(kind)) => kind,
        // What is no kind is refused when all is read.
        Some(Err(_)) | None => CoreKind::RotationEquivariant,
    };
    let defaults = toml::Table::try_from(Config::of_kind(kind))
        .map_err(|e| Error::Other(format!("configuration: {e}")))?;
    for (key, default) in defaults {
        match (table.get_mut(&key), default) {
            (None, default) => drop(table.insert(key, default)),
            (Some(toml::Value::Table(given)), toml::Value::Table(section)) => {
                for (name, value) in section {
                    given.entry(name).or_insert(value);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The doc comment of `key` in the section that `written` ends in.
fn documentation_of(written: &str, key: &str) -> Option<&'static str> {
    let section = written.lines().rev().find_map(|l| l.strip_prefix('['));
    match section.map(|s| s.trim_end_matches(']')) {
        None => Config::get_field_docs(key).ok(),
        Some("core") => Core::get_field_docs(key).ok(),
        Some("readout") => Readout::get_field_docs(key).ok(),
        Some("penalties") => Penalties::get_field_docs(key).ok(),
        _ => Training::get_field_docs(key).ok(),
    }
}

/// Refuses unknown keys with the nearest known one.
fn check_keys(table: &toml::Table, place: &str) -> Result<()> {
    let known = toml::Table::try_from(Config::default())
        .map_err(|e| Error::Other(format!("configuration: {e}")))?;
    for (key, value) in table {
        let Some(known_value) = known.get(key) else {
            return Err(unknown(place, key, &known));
        };
        if let (toml::Value::Table(inner), toml::Value::Table(known)) = (value, known_value) {
            for name in inner.keys() {
                if !known.contains_key(name) {
                    return Err(unknown(&format!("{place}: [{key}]"), name, known));
                }
            }
        }
    }
    Ok(())
}

fn unknown(place: &str, key: &str, known: &toml::Table) -> Error {
    let nearest = known
        .keys()
        .max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    let hint = nearest.map_or_else(String::new, |n| format!("; did you mean \"{n}\"?"));
    Error::Other(format!("{place}: unknown key \"{key}\"{hint}"))
}

/// Sets `section.key=value`; the value is TOML, or else a word.
fn apply(table: &mut toml::Table, text: &str) -> Result<()> {
    let malformed = || {
        Error::bad(
            "--set",
            "the override",
            format!("\"{text}\""),
            "KEY=VALUE, as in training.max_steps=100",
        )
    };
    let (path, value) = text.split_once('=').ok_or_else(malformed)?;
    let value: toml::Value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .filter(|t| t.len() == 1)
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.trim().to_string()));
    let keys: Vec<&str> = path.trim().split('.').collect();
    match keys[..] {
        [key] => {
            table.insert(key.to_string(), value);
        }
        [section, key] => {
            let inner = table
                .entry(section)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let toml::Value::Table(inner) = inner else {
                return Err(malformed());
            };
            inner.insert(key.to_string(), value);
        }
        _ => return Err(malformed()),
    }
    check_keys(table, "--set")
}

#[cfg(test)]
mod tests {
    use super::super::Padding;
    use super::*;

    #[test]
    fn the_explained_default_is_the_default() {
        let text = Config::default().explained().unwrap();
        assert_eq!(
            Config::parse(&text, "default", &[]).unwrap(),
            Config::default()
        );
        let explained = text.lines().filter(|l| l.starts_with('#')).count();
        assert!(explained >= 30, "{text}");
    }

    #[test]
    fn factors_per_layer_follow_the_layers() {
        let text = "[core]\nfilter_sizes = [5, 3]\nfeatures = [2, 2]\n";
        for text in [
            text.to_string(),
            format!("{text}[penalties]\nsmoothness = 1.0"),
        ] {
            let config = Config::parse(&text, "x", &[]).unwrap();
            assert_eq!(config.penalties.smoothness_per_layer, [1.0, 0.5]);
            assert_eq!(config.penalties.group_sparsity_per_layer, [0.0, 1.0]);
        }
    }

    #[test]
    fn overrides_reach_their_key() {
        let set = [
            "training.max_steps=7".into(),
            "core.padding=valid".into(),
            "core.features=[1, 2, 3]".into(),
        ];
        let config = Config::parse("", "x", &set).unwrap();
        assert_eq!(config.training.max_steps, 7);
        assert_eq!(config.core.padding, Padding::Valid);
        assert_eq!(config.core.features, [1, 2, 3]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, wanted) in [
            ("recording = []", "did you mean \"recordings\""),
            ("[core]\norientation = 8", "did you mean \"orientations\""),
            ("[core]\norientations = 0", "core.orientations is 0"),
            ("[core]\nfilter_sizes = [4, 5, 5]", "odd"),
            ("[core]\nfilter_sizes = []", "core.filter_sizes"),
            ("[core]\nfeatures = [1]", "core.features"),
            ("[core]\nkind = \"round\"", "round"),
            ("[core]\npadding = 3", "padding"),
            ("[readout]\noutput = \"relu\"", "relu"),
            ("[readout]\nwindow = 3", "readout.window is 3"),
            ("[readout]\nwindow_mass = 1.5", "readout.window_mass"),
            ("[readout]\nwindow_mass = nan", "readout.window_mass"),
            (
                "[readout]\nkind = \"gaussian\"\npositive_features = true",
                "readout.positive_features is true",
            ),
            (
                "[readout]\nkind = \"gaussian\"\nwindow = 16",
                "readout.window is 16",
            ),
            (
                "[readout]\nkind = \"gaussian\"\nfeatures_penalty = \"l2\"",
                "readout.features_penalty is L2",
            ),
            (
                "[penalties]\nlog_norm_sd = 0.0",
                "penalties.log_norm_sd is 0",
            ),
            ("[readout]\nspread = \"round\"", "round"),
            (
                "[readout]\ninitial_range = 1.5",
                "readout.initial_range is 1.5",
            ),
            (
                "[readout]\ninitial_spread = nan",
                "readout.initial_spread is NaN",
            ),
            ("[penalties]\nsmoothness = -1", "penalties.smoothness is -1"),
            (
                "[penalties]\nsmoothness = nan",
                "penalties.smoothness is NaN",
            ),
            (
                "[penalties]\nsmoothness_per_layer = [1.0]",
                "penalties.smoothness_per_layer",
            ),
            ("[training]\nlearning_rate = 0.0", "training.learning_rate"),
            ("[training]\nlearning_rate = inf", "training.learning_rate"),
            ("[training]\nbatch_size = 0", "training.batch_size"),
            ("[training]\nbatch_size = -4", "-4"),
            ("[training]\nbatch_size = 1.5", "1.5"),
            ("[training]\nprecision = \"f16\"", "f16"),
            ("[training]\nfrozen = [\"readout\"]", "readout"),
            (
                "[training]\ntrial_fraction = 0.0",
                "training.trial_fraction is 0",
            ),
            (
                "[training]\nneurons = \"5-3\"",
                "training.neurons is \"5-3\"",
            ),
            ("[training\n", "not TOML"),
        ] {
            let message = Config::parse(text, "c.toml", &[]).unwrap_err().to_string();
            assert!(
                message.contains(wanted) && message.contains("c.toml"),
                "{text}: {message}"
            );
        }
        for set in ["training", "a.b.c=1", "training.step=3", "core=3"] {
            assert!(Config::parse("", "c.toml", &[set.into()]).is_err(), "{set}");
        }
    }
}
