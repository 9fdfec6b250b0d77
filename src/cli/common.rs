//! What several commands share: the summary, opening a run, choosing neurons.

use ndarray::ArrayView3;
use serde_json::{Map, Value};
use std::io::Write;
use std::path::{Path, PathBuf};
use striate::device::Device;
use striate::lock::Lock;
use striate::model::Model;
use striate::recording::warnings::grey;
use striate::recording::{chosen_rows, image_size};
use striate::results::{Results, USUAL};
use striate::{Error, Result, files, say};

use super::Global;

/// One summary for standard output: text, or the same facts as JSON.
#[derive(Debug)]
pub struct Report {
    text: String,
    facts: Map<String, Value>,
    /// Whether the answer is good: decides between exit codes 0 and 1.
    pub good: bool,
    /// Whether the text is all that the command makes.
    only: bool,
}

impl Report {
    /// Text only; as JSON it stands under `text`.
    pub fn text(text: String) -> Self {
        Self {
            only: true,
            ..Self::new(text.clone()).fact("text", text)
        }
    }

    /// A summary; facts are added one by one.
    pub fn new(text: String) -> Self {
        Self {
            text,
            facts: Map::new(),
            good: true,
            only: false,
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

    /// With a further line of text.
    #[must_use]
    pub fn line(mut self, text: &str) -> Self {
        self.text = format!("{}\n{text}", self.text.trim_end());
        self
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

    /// Prints. A closed pipe is not an error, and a summary that cannot be written costs no work that is done; only a
    /// text that is all there is must arrive.
    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json {
            serde_json::to_string_pretty(&self.facts).unwrap_or_default()
        } else {
            self.text.trim_end().to_string()
        };
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) if self.only => Err(Error::Other(format!("standard output: cannot write: {e}"))),
            Err(e) => {
                say(format_args!("striate: standard output: cannot write: {e}"));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// One line of warning on standard error; whether anybody reads it is not this program's concern.
pub fn warn(text: &str) {
    say(format_args!("warning: {text}"));
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

/// As [`open_run`], for images of a file or a recording where the run does not tell their size.
pub fn open_run_for(global: &Global, run: &Path, images: &Path) -> Result<Model> {
    Model::open_for(run, &Device::open(&global.device)?, image_size(images))
}

/// Opens the device and a run.
pub fn open_run(global: &Global, run: &Path) -> Result<Model> {
    Model::open(run, &Device::open(&global.device)?)
}

/// As [`open_run`], of a model whose readouts have bar codes.
pub fn open_factorised(global: &Global, run: &Path) -> Result<Model> {
    let model = open_run(global, run)?;
    match model.config.is_unfactorised() {
        false => Ok(model),
        true => Err(Error::file(
            run,
            "its readouts are no masks and features, so that there are no bar codes: wanted core.kind = \
             \"rotation-equivariant\" or \"convolutional\"",
        )),
    }
}

/// Rows chosen by `0-99,250`; all without a choice.
pub fn neurons(choice: Option<&str>, count: usize) -> Result<Vec<usize>> {
    let Some(choice) = choice else {
        return Ok((0..count).collect());
    };
    chosen_rows(choice, count).map_err(|got| {
        let wanted = format!(
            "neurons from 0 to {}, as in 0-99,250",
            count.saturating_sub(1)
        );
        Error::bad("--neurons", "the choice", got, wanted)
    })
}

/// Where a command's results go.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Write results here instead of into the run; what earlier commands wrote here is read before the run's own
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A command's results in their place, kept for it alone.
#[derive(Debug)]
pub struct Output {
    run: PathBuf,
    directory: PathBuf,
    _locks: [Lock; 2],
    // Goes after the locks, whose files are in it.
    _made: Made,
}

/// A directory for results, made where it is not there; it goes again if nothing was written into it.
#[derive(Debug)]
pub struct Made(Option<PathBuf>);

impl Made {
    /// Makes the directory.
    pub fn new(directory: &Path) -> Result<Self> {
        let fresh = !directory.exists();
        files::create_directory(directory)?;
        Ok(Self(fresh.then(|| directory.to_path_buf())))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // One that holds something stays.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

impl Place {
    /// Takes the place for `command`.
    pub fn open(&self, run: &Path, command: &str) -> Result<Output> {
        let directory = self.out.clone().unwrap_or_else(|| run.to_path_buf());
        let made = Made::new(&directory)?;
        let locks = Lock::part(&directory, command)?;
        files::clear_abandoned(&directory);
        Ok(Output {
            run: run.to_path_buf(),
            directory,
            _locks: locks,
            _made: made,
        })
    }
}

impl Output {
    /// The directory that results go into.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a result of an earlier command is.
    pub fn find(&self, name: &str) -> PathBuf {
        let own = self.directory.join(name);
        if own.exists() {
            own
        } else {
            self.run.join(name)
        }
    }

    /// A place for a table of neurons, see [`Results::open`].
    pub fn results(
        &self,
        files: (&str, &[&str]),
        options: String,
        model: &Model,
        chosen: Option<&[(String, Vec<usize>)]>,
    ) -> Result<Results> {
        let names: Vec<String> = model.readouts.iter().map(|r| r.name.clone()).collect();
        let origin = model.origin(options);
        Results::open(&self.directory, files, origin, &names, chosen)
    }
}

/// The readouts and neurons that a command is about.
pub struct Chosen {
    /// Index of each readout, and rows of its neurons.
    pub parts: Vec<(usize, Vec<usize>)>,
    names: Vec<(String, Vec<usize>)>,
    all: bool,
}

impl Chosen {
    /// By `--readout` (without it all) and `--neurons`.
    pub fn new(model: &Model, readout: Option<&str>, choice: Option<&str>) -> Result<Self> {
        let indices: Vec<usize> = match readout {
            Some(name) => vec![model.readout(Some(name))?],
            None => (0..model.readouts.len()).collect(),
        };
        Self::of(model, &indices, choice)
    }

    /// These readouts, and `--neurons` of each.
    pub fn of(model: &Model, indices: &[usize], choice: Option<&str>) -> Result<Self> {
        let rows = |&i: &usize| Ok((i, neurons(choice, model.readouts[i].neurons)?));
        let parts: Vec<(usize, Vec<usize>)> = indices.iter().map(rows).collect::<Result<_>>()?;
        let named = parts.iter();
        let named = named.map(|(i, rows)| (model.readouts[*i].name.clone(), rows.clone()));
        Ok(Self {
            names: named.collect(),
            all: choice.is_none() && indices.len() == model.readouts.len(),
            parts,
        })
    }

    /// What [`Results::open`] wants to know.
    pub fn names(&self) -> Option<&[(String, Vec<usize>)]> {
        (!self.all).then_some(&self.names)
    }
}

/// The readout of that name in another run.
pub fn of_name(path: &Path, model: &Model, name: &str) -> Result<usize> {
    let names: Vec<&str> = model.readouts.iter().map(|r| r.name.as_str()).collect();
    let found = names.iter().position(|n| *n == name);
    found.ok_or_else(|| {
        let wanted = format!("one named {name}");
        Error::bad(path.display(), "readouts", names.join(", "), wanted)
    })
}

/// Options as tables carry them: those that are not the usual ones.
pub fn options(all: &[(&str, String, String)]) -> String {
    let changed = all.iter().filter(|(_, got, usual)| got != usual);
    let text: Vec<String> = changed.map(|(n, got, _)| format!("{n}={got}")).collect();
    match text.is_empty() {
        true => USUAL.into(),
        false => text.join("; "),
    }
}

/// Numbers as options show them: without commas, for readers that split lines at them.
pub fn numbers(values: &[f64]) -> String {
    let text: Vec<String> = values.iter().map(ToString::to_string).collect();
    text.join(" ")
}
