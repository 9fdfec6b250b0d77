//! What several commands share: the summary, opening a run, choosing neurons.

use ndarray::ArrayView3;
use serde_json::{Map, Value};
use std::io::Write;
use std::path::Path;
use striate::device::Device;
use striate::model::Model;
use striate::recording::warnings::grey;
use striate::{Error, Result};

use super::Global;

/// One summary for standard output: text, or the same facts as JSON.
#[derive(Debug)]
pub struct Report {
    text: String,
    facts: Map<String, Value>,
    /// Whether the answer is good: decides between exit codes 0 and 1.
    pub good: bool,
}

impl Report {
    /// Text only; as JSON it stands under `text`.
    pub fn text(text: String) -> Self {
        Self::new(text.clone()).fact("text", text)
    }

    /// A summary; facts are added one by one.
    pub fn new(text: String) -> Self {
        Self {
            text,
            facts: Map::new(),
            good: true,
        }
    }

    /// Adds a fact for `--json`; numbers that are not finite become null.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_string(), value.into());
        self
    }

    /// Adds every field of a serialisable value.
    pub fn facts(mut self, value: &impl serde::Serialize) -> Result<Self> {
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => self.facts.extend(fields),
            Ok(other) => {
                self.facts.insert("value".into(), other);
            }
            Err(e) => return Err(Error::Other(format!("--json: {e}"))),
        }
        Ok(self)
    }

    /// The facts alone.
    pub fn into_facts(self) -> Map<String, Value> {
        self.facts
    }

    /// Sets whether the answer is good.
    #[must_use]
    pub fn good(mut self, good: bool) -> Self {
        self.good = good;
        self
    }

    /// Prints; a closed pipe is not an error.
    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json {
            serde_json::to_string_pretty(&self.facts).unwrap_or_default()
        } else {
            self.text.trim_end().to_string()
        };
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::Other(format!("standard output: cannot write: {e}")))
            }
            _ => Ok(()),
        }
    }
}

/// One line of warning on standard error; whether anybody reads it is not this program's concern.
pub fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {text}");
}

/// Warns of images on another grey scale than the model's.
pub fn warn_of_grey(place: impl std::fmt::Display, model: &Model, images: ArrayView3<'_, f32>) {
    if let Some(text) = grey(&model.preprocessing, images) {
        warn(&format!("{place}: {text}"));
    }
}

/// Names the neurons that have no optimum.
pub fn warn_of_flat(flat: &[usize], all: usize) {
    if flat.is_empty() {
        return;
    }
    let named: Vec<String> = flat.iter().take(20).map(ToString::to_string).collect();
    let more = if flat.len() > 20 { ", ..." } else { "" };
    let (count, named) = (flat.len(), named.join(", "));
    warn(&format!(
        "{count} of {all} neurons answer alike to every image and have no optimum: {named}{more}"
    ));
}

/// Opens the device and a run.
pub fn open_run(global: &Global, run: &Path) -> Result<Model> {
    Model::open(run, &Device::open(&global.device)?)
}

/// Rows chosen by `0-99,250`; all without a choice.
pub fn neurons(choice: Option<&str>, count: usize) -> Result<Vec<usize>> {
    let Some(choice) = choice else {
        return Ok((0..count).collect());
    };
    let bad = |got: &str| {
        let wanted = format!(
            "neurons from 0 to {}, as in 0-99,250",
            count.saturating_sub(1)
        );
        Error::bad("--neurons", "the choice", got, wanted)
    };
    let number = |t: &str| {
        t.trim()
            .parse::<usize>()
            .map_err(|_| bad(&format!("\"{choice}\"")))
    };
    let mut rows = Vec::new();
    for part in choice.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((a, b)) => (number(a)?, number(b)?),
            None => (number(part)?, number(part)?),
        };
        if first > last || last >= count {
            return Err(bad(&format!("\"{choice}\"")));
        }
        rows.extend(first..=last);
    }
    let mut seen = std::collections::HashSet::new();
    match rows.iter().find(|r| !seen.insert(**r)) {
        Some(twice) => Err(bad(&format!("\"{choice}\", neuron {twice} twice"))),
        None => Ok(rows),
    }
}
