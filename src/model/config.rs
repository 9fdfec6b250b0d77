//! The configuration: TOML, defaults of Ecker et al. 2019, unknown keys refused.

use crate::ops::activation::{Activation, Output};
use crate::{Error, Result, files};
use documented::DocumentedFields;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything that `train` needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directories of the recordings, one or more; one readout each, one shared core.
    /// A relative path is looked up beside this file, then in the working directory.
    pub recordings: Vec<PathBuf>,
    /// The convolutional core that all neurons share.
    pub core: Core,
    /// What carries the core's output to each neuron.
    pub readout: Readout,
    /// Weights of the regularisation terms. The Poisson loss sums over neurons: for N neurons instead of the 6005 of
    /// Ecker et al. start from the core's weights times N / 6005.
    pub penalties: Penalties,
    /// How the parameters are fitted.
    pub training: Training,
}

/// `[core]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Core {
    /// "rotation-equivariant", or "convolutional" (plain CNN).
    pub kind: CoreKind,
    /// Number of filter orientations over the full turn (rotation-equivariant).
    pub orientations: usize,
    /// Filter width of each layer in pixels, odd.
    pub filter_sizes: Vec<usize>,
    /// Features of each layer: per orientation (rotation-equivariant), or channels (convolutional).
    pub features: Vec<usize>,
    /// "same" (zero padding) or "valid" (maps shrink).
    pub padding: Padding,
    /// Between layers: "softplus", "relu" or "none"; the last layer has none.
    pub activation: Activation,
    /// One set of normalisation statistics for all orientations: makes the trained core exactly equivariant.
    pub shared_norm: bool,
}

/// `core.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoreKind {
    /// Steerable filters at several orientations (Ecker et al. 2019).
    RotationEquivariant,
    /// Plain CNN.
    Convolutional,
    /// Conv-pool-dense (Kindel et al. 2017).
    Kindel,
    /// One filter per neuron.
    Linear,
}

/// `core.padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Zeros at the border: maps keep the image's size.
    Same,
    /// None: maps shrink by the filter width minus 1.
    Valid,
}

/// `[readout]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Readout {
    /// "factorised": one spatial mask and one feature vector per neuron.
    pub kind: ReadoutKind,
    /// Whether feature weights count by their absolute value.
    pub positive_features: bool,
    /// "softplus", "elu+1", "exponential" or "linear".
    pub output: Output,
}

/// `readout.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadoutKind {
    /// Mask times features (Klindt et al. 2017).
    Factorised,
    /// Sampled position (Lurz et al. 2021).
    Gaussian,
}

/// `[penalties]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Penalties {
    /// Laplacian of the filters, relative to their norm.
    pub smoothness: f64,
    /// Factor of each layer; by default 1 for the first and 0.5 for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub smoothness_per_layer: Vec<f64>,
    /// Sparsity over the input channels of each filter.
    pub group_sparsity: f64,
    /// Factor of each layer; by default 0 for the first and 1 for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_sparsity_per_layer: Vec<f64>,
    /// Sum over neurons of (sum of the mask) times (sum of the absolute feature weights).
    pub readout_sparsity: f64,
}

/// `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Of the initial weights and of the order of trials.
    pub seed: u64,
    /// "poisson".
    pub loss: Loss,
    /// "adam" (in TensorFlow's form) or "sgd".
    pub optimiser: Optimiser,
    /// Of the first phase.
    pub learning_rate: f64,
    /// Trials of each recording per step; the last incomplete batch of an epoch is dropped.
    pub batch_size: usize,
    /// Steps of all phases together.
    pub max_steps: u64,
    /// Steps between validations.
    pub validate_every: u64,
    /// Validations without improvement that end a phase.
    pub patience: u64,
    /// Phases of decreasing learning rate; each starts from the best weights so far.
    pub phases: u32,
    /// The learning rate is divided by this after each phase.
    pub decay: f64,
    /// "f32", "tf32" or "bf16": what the matrix products of a GPU compute in. A CPU always uses f32.
    pub precision: Precision,
}

/// `training.loss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Poisson negative log-likelihood.
    Poisson,
    /// Squared error over variance (Kindel et al. 2017).
    VarianceScaledMse,
}

/// `training.optimiser`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Kingma and Ba 2015, in TensorFlow's form.
    Adam,
    /// Plain gradient descent.
    Sgd,
}

/// `training.precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// TF32 tensor cores.
    Tf32,
    /// bfloat16 tensor cores.
    Bf16,
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            recordings: Vec::new(),
            core: Core::default(),
            readout: Readout::default(),
            penalties: Penalties::default(),
            training: Training::default(),
        };
        config.fill_layers();
        config
    }
}

impl Default for Core {
    fn default() -> Self {
        Self {
            kind: CoreKind::RotationEquivariant,
            orientations: 8,
            filter_sizes: vec![13, 5, 5],
            features: vec![16, 16, 16],
            padding: Padding::Same,
            activation: Activation::Softplus,
            shared_norm: false,
        }
    }
}

impl Default for Readout {
    fn default() -> Self {
        Self {
            kind: ReadoutKind::Factorised,
            positive_features: false,
            output: Output::Softplus,
        }
    }
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            smoothness: 0.024_969_2,
            smoothness_per_layer: Vec::new(),
            group_sparsity: 0.015_248_2,
            group_sparsity_per_layer: Vec::new(),
            readout_sparsity: 0.017_069_6,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            seed: 1,
            loss: Loss::Poisson,
            optimiser: Optimiser::Adam,
            learning_rate: 0.002,
            batch_size: 256,
            max_steps: 10_000,
            validate_every: 50,
            patience: 5,
            phases: 2,
            decay: 10.0,
            precision: Precision::F32,
        }
    }
}

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
        // Without the section the default of the whole configuration would count, which has factors for its own layers.
        table
            .entry("penalties")
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
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
    fn fill_layers(&mut self) {
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

    fn check(&self, place: &str) -> Result<()> {
        let bad = |key: &str, got: &dyn std::fmt::Debug, wanted: &str| {
            Err(Error::bad(place, key, format!("{got:?}"), wanted))
        };
        let c = &self.core;
        match c.kind {
            CoreKind::RotationEquivariant | CoreKind::Convolutional => {}
            CoreKind::Kindel | CoreKind::Linear => {
                return bad(
                    "core.kind",
                    &c.kind,
                    "\"rotation-equivariant\" or \"convolutional\" in this version",
                );
            }
        }
        if self.readout.kind != ReadoutKind::Factorised {
            return bad(
                "readout.kind",
                &self.readout.kind,
                "\"factorised\" in this version",
            );
        }
        if self.training.loss != Loss::Poisson {
            return bad(
                "training.loss",
                &self.training.loss,
                "\"poisson\" in this version",
            );
        }
        if !(1..=64).contains(&c.orientations) {
            return bad("core.orientations", &c.orientations, "1 to 64");
        }
        let layers = c.filter_sizes.len();
        if !(1..=16).contains(&layers) {
            return bad(
                "core.filter_sizes",
                &c.filter_sizes,
                "one filter width per layer, 1 to 16 layers",
            );
        }
        if c.features.len() != layers {
            let wanted = format!("one number per layer, {layers} as in core.filter_sizes");
            return bad("core.features", &c.features, &wanted);
        }
        if c.filter_sizes.iter().any(|k| k % 2 == 0 || *k > 25) {
            return bad(
                "core.filter_sizes",
                &c.filter_sizes,
                "odd widths from 1 to 25 pixels",
            );
        }
        if c.features.iter().any(|f| !(1..=4096).contains(f)) {
            return bad(
                "core.features",
                &c.features,
                "1 to 4096 features in each layer",
            );
        }
        let p = &self.penalties;
        for (key, values) in [
            ("penalties.smoothness_per_layer", &p.smoothness_per_layer),
            (
                "penalties.group_sparsity_per_layer",
                &p.group_sparsity_per_layer,
            ),
        ] {
            if values.len() != layers || values.iter().any(|v| !(v.is_finite() && *v >= 0.0)) {
                let wanted = format!("{layers} numbers, none negative: one per layer");
                return bad(key, values, &wanted);
            }
        }
        for (key, value) in [
            ("penalties.smoothness", p.smoothness),
            ("penalties.group_sparsity", p.group_sparsity),
            ("penalties.readout_sparsity", p.readout_sparsity),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return bad(key, &value, "a finite number, not negative");
            }
        }
        let t = &self.training;
        for (key, value) in [
            ("training.learning_rate", t.learning_rate),
            ("training.decay", t.decay),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return bad(key, &value, "a finite number above 0");
            }
        }
        for (key, value) in [
            ("training.batch_size", t.batch_size as u64),
            ("training.max_steps", t.max_steps),
            ("training.validate_every", t.validate_every),
            ("training.patience", t.patience),
            ("training.phases", u64::from(t.phases)),
        ] {
            if value == 0 {
                return bad(key, &value, "at least 1");
            }
        }
        if t.batch_size > 1 << 20 {
            return bad("training.batch_size", &t.batch_size, "at most 1048576");
        }
        if t.phases > 100 {
            return bad("training.phases", &t.phases, "at most 100");
        }
        Ok(())
    }

    /// TOML with every key written out.
    ///
    /// # Errors
    /// Only if serialisation fails, which no valid configuration does.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Other(format!("configuration: {e}")))
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
            ("[core]\nkind = \"kindel\"", "core.kind"),
            ("[core]\nkind = \"round\"", "round"),
            ("[core]\npadding = 3", "padding"),
            ("[readout]\noutput = \"relu\"", "relu"),
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
