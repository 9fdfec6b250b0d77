//! Tables about neurons that commands leave in a directory, and the arrays beside them.
//!
//! Every table says in its last columns what it came from: `model_hash` (the first digits of the SHA-256 of
//! `model.safetensors`), `array_hash` where an array belongs to it, and `made_with` (the options that matter). Readers refuse
//! what another model made; rows of other neurons stay where the same model and options made them.

mod together;

pub use together::Together;

use crate::files::{self, Prepared};
use crate::table::{Column, Table};
use crate::{Error, Result, npy};
use ndarray::{ArrayD, Axis, concatenate};
use std::collections::HashSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Column with the hash of the model that a row came from.
pub const MODEL_HASH: &str = "model_hash";
/// Column with a neuron's row in its recording, where a readout has not all of its neurons.
pub const RECORDED_NEURON: &str = "recorded_neuron";
/// Column with the hash of the recording that a row came from.
pub const RECORDING_HASH: &str = "recording_hash";
/// Column with the hash of the array that belongs to the table.
pub const ARRAY_HASH: &str = "array_hash";
/// Column with the options that a row was made with.
pub const MADE_WITH: &str = "made_with";

/// What commands derive from a run's model: stale when the model changes.
pub const DERIVED: [&str; 33] = [
    "evaluation.csv",
    "evaluation_with.csv",
    "equivariance.csv",
    "gabors.csv",
    "dogs.csv",
    "meis.csv",
    "meis.npy",
    "meis_all.npy",
    "synthesized.csv",
    "synthesized.npy",
    "tuning.csv",
    "tuning.npz",
    "selected_gabors.csv",
    "selection.npz",
    "tuning_comparison.csv",
    "clusters.csv",
    "aligned.npy",
    "alignment.csv",
    "cluster_counts.csv",
    "cluster_confusion.npy",
    "clusters_summary.csv",
    "cluster_gabors.csv",
    "cluster_dogs.csv",
    "cluster_meis.csv",
    "cluster_meis.npy",
    "cluster_turns.csv",
    "cluster_tests.csv",
    "random_tests.csv",
    "index_correlations.csv",
    "combinations.csv",
    "readout_sparsity.csv",
    "organisation_by_recording.csv",
    "report.html",
];

/// The directory of a report's figures in a run.
pub const FIGURES: &str = "figures";
/// By what a figure that striate drew is known.
const OURS: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"360\"";

/// Removes all that was derived from a run's model.
pub(crate) fn clear(run: &Path) -> Result<()> {
    for name in DERIVED {
        files::remove(&run.join(name))?;
    }
    let figures = run.join(FIGURES);
    clear_figures(&figures, |_| false)?;
    // One that holds something else stays.
    let _ = std::fs::remove_dir(figures);
    Ok(())
}

/// Removes the figures that a report drew here, and their numbers, but for those of these names; what somebody else put there
/// stays.
pub(crate) fn clear_figures(figures: &Path, keeps: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(figures) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let svg = path.extension().is_some_and(|e| e == "svg");
        if !svg || stem.is_none_or(|s| keeps(&s)) {
            continue;
        }
        let ours = std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(OURS.as_bytes()));
        if ours {
            files::remove(&path)?;
            files::remove(&path.with_extension("csv"))?;
        }
    }
    Ok(())
}

/// [`MADE_WITH`] where no option was given.
pub const USUAL: &str = "usual options";

/// A hash as tables show it: with its kind in front, so that no program takes it for a number.
pub fn shown(hash: &str) -> String {
    format!("sha256:{hash}")
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Hash of the model's file, as [`shown`].
    pub model: String,
    /// The options that matter.
    pub options: String,
    /// The row in the recording of every neuron of a readout, where those are not the same (`training.neurons`).
    pub recorded: Option<Vec<usize>>,
}

/// Arrays with a row (along the first axis) per row of a table, in one file.
#[derive(Clone, Debug)]
pub enum Arrays {
    /// A `.npy`.
    One(ArrayD<f32>),
    /// A `.npz`: arrays by name, and whether they have a row per row of the table.
    Several(Vec<(String, ArrayD<f32>, bool)>),
}

/// A place for a table, looked at before the work that fills it.
#[derive(Debug)]
pub struct Results {
    table: PathBuf,
    arrays: Vec<PathBuf>,
    origin: Origin,
    /// Readouts in the order of the rows.
    order: Vec<String>,
    /// Rows of other neurons, and which of the old ones they are.
    kept: Option<(Table, Vec<usize>)>,
}

/// A neuron in a table: its recording, where that is named, and its number.
type Key = (Option<String>, i64);

impl Results {
    /// A place in `directory` for `table` (and `arrays` beside it) about the chosen neurons of these readouts (all there
    /// are, in order, by name). `chosen` is none where all neurons of all readouts are asked for.
    ///
    /// # Errors
    /// When it cannot be written, or holds rows of other neurons that another model or other options made.
    pub fn open(
        directory: &Path,
        (table, arrays): (&str, &[&str]),
        origin: Origin,
        readouts: &[String],
        chosen: Option<&[(String, Vec<usize>)]>,
    ) -> Result<Self> {
        let mut this = Self {
            table: directory.join(table),
            arrays: arrays.iter().map(|a| directory.join(a)).collect(),
            origin,
            order: readouts.to_vec(),
            kept: None,
        };
        files::check_writable(&this.table)?;
        for array in &this.arrays {
            files::check_writable(array)?;
        }
        if let (Some(chosen), true) = (chosen, this.table.exists()) {
            this.keep(chosen)?;
        }
        Ok(this)
    }

    /// The table's file.
    pub fn path(&self) -> &Path {
        &self.table
    }

    fn keep(&mut self, chosen: &[(String, Vec<usize>)]) -> Result<()> {
        let old = Table::read_csv(&self.table)?;
        let several = self.order.len() > 1;
        let asked: HashSet<Key> = chosen
            .iter()
            .flat_map(|(name, rows)| {
                let name = several.then(|| name.clone());
                rows.iter().map(move |&n| (name.clone(), n as i64))
            })
            .collect();
        let keys = keys(&old);
        let others: Vec<usize> = (0..keys.len())
            .filter(|&r| !asked.contains(&keys[r]))
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let refuse = |why: &str| {
            let what = format!(
                "holds rows of {} other neurons, {why}: ask for all neurons, or write elsewhere with --out",
                others.len()
            );
            Err(Error::file(&self.table, what))
        };
        let (model, options) = (old.text(MODEL_HASH), old.text(MADE_WITH));
        let same = |column: &Option<Vec<String>>, wanted: &str| {
            column
                .as_ref()
                .is_some_and(|c| others.iter().all(|&r| c[r].is_empty() || c[r] == wanted))
        };
        if !same(&model, &self.origin.model) {
            return refuse("which this model did not make");
        }
        if !same(&options, &self.origin.options) {
            let filled =
                |o: Vec<String>| others.iter().map(|&r| o[r].clone()).find(|o| !o.is_empty());
            let were = options.and_then(filled).unwrap_or_default();
            return refuse(&format!(
                "made with \"{were}\" and not \"{}\"",
                self.origin.options
            ));
        }
        if let Some(array) = self.arrays.first()
            && check_array(&old, &self.table, array).is_err()
        {
            return refuse(&format!("and {} is not theirs", array.display()));
        }
        self.kept = Some((old, others));
        Ok(())
    }

    /// Writes the rows of this time, with those that stay, in the order of readouts and neurons; `arrays` in the order of
    /// their names, of which the first is the one that the table names by its hash.
    ///
    /// # Errors
    /// Names the file that cannot be written, or the array whose rows do not fit to those that stay.
    pub fn write(self, new: &Table, arrays: Vec<Arrays>) -> Result<()> {
        let ready = self.prepare(new, arrays)?;
        ready.into_iter().try_for_each(Prepared::commit)
    }

    /// As [`Results::write`], up to the files' names: tables that belong together are prepared first, then committed one after
    /// the other.
    ///
    /// # Errors
    /// As [`Results::write`].
    pub(crate) fn prepare(self, new: &Table, arrays: Vec<Arrays>) -> Result<Vec<Prepared>> {
        let mut table = with_origin(new.clone(), &self.origin);
        let mut join = None;
        if let Some((old, rows)) = &self.kept {
            let old = old.select(rows).dropped(ARRAY_HASH);
            let all = Table::stacked(vec![(String::new(), old), (String::new(), table)], None);
            let keys = keys(&all);
            let place = |k: &Key| {
                let at = self.order.iter().position(|n| Some(n) == k.0.as_ref());
                (at.unwrap_or(0), k.1)
            };
            let mut picks: Vec<usize> = (0..all.rows()).collect();
            picks.sort_by_key(|&r| place(&keys[r]));
            table = all
                .select(&picks)
                .reordered(&[RECORDING_HASH, MODEL_HASH, MADE_WITH]);
            join = Some(Join { rows, picks });
        }
        let paths = self.arrays.iter().zip(arrays);
        let ready = paths.map(|(path, array)| array.prepare(path, join.as_ref()));
        let mut ready: Vec<Prepared> = ready.collect::<Result<_>>()?;
        if let Some(array) = ready.first() {
            let models = table.text(MODEL_HASH).unwrap_or_default();
            let held: Vec<bool> = models.iter().map(|m| !m.is_empty()).collect();
            let hash = Column::Text(where_held(&held, |_| shown(array.hash())));
            table = table.with(ARRAY_HASH, hash).reordered(&[MADE_WITH]);
        }
        ready.push(table.prepare(&self.table)?);
        Ok(ready)
    }
}

/// How old rows that stay and new ones make a whole.
struct Join<'a> {
    /// Those of the old ones.
    rows: &'a [usize],
    /// The order of both, the new ones below the old ones.
    picks: Vec<usize>,
}

impl Join<'_> {
    fn array(&self, path: &Path, old: &ArrayD<f32>, new: &ArrayD<f32>) -> Result<ArrayD<f32>> {
        let fail =
            |e: &dyn Display| Error::file(path, format!("does not go with the new rows: {e}"));
        if old.ndim() == 0 || self.rows.iter().any(|&r| r >= old.shape()[0]) {
            return Err(fail(&format!("it is {:?}", old.shape())));
        }
        let old = old.select(Axis(0), self.rows);
        let all = concatenate(Axis(0), &[old.view(), new.view()]).map_err(|e| fail(&e))?;
        Ok(all.select(Axis(0), &self.picks))
    }
}

impl Arrays {
    fn prepare(self, path: &Path, join: Option<&Join>) -> Result<Prepared> {
        match (self, join) {
            (Self::One(new), None) => Prepared::npy(path, &new),
            (Self::One(new), Some(join)) => {
                let old = npy::read(path)?.0;
                Prepared::npy(path, &join.array(path, &old, &new)?)
            }
            (Self::Several(all), join) => {
                let mut archive = join.map(|_| npy::Archive::open(path)).transpose()?;
                let mut whole = Vec::with_capacity(all.len());
                for (name, mut values, by_row) in all {
                    if let (true, Some(join), Some(archive)) = (by_row, join, &mut archive) {
                        let old = archive.array(&name)?.numbers()?;
                        values = join.array(path, &old, &values)?;
                    }
                    whole.push((name, values));
                }
                Prepared::npz(path, &whole)
            }
        }
    }
}

/// A table with what its rows came from; a row without any result came from nothing, and its cells stay empty.
#[must_use]
pub fn with_origin(table: Table, origin: &Origin) -> Table {
    let mut table = table;
    for name in [MODEL_HASH, ARRAY_HASH, MADE_WITH] {
        table = table.renamed(name, &format!("neurons.{name}"));
    }
    let mut table = with_recorded(table, origin.recorded.as_deref());
    let held = table.holds();
    let own = |text: &str| Column::Text(where_held(&held, |_| text.to_string()));
    if let Some(hashes) = table.text(RECORDING_HASH) {
        let hashes = Column::Text(where_held(&held, |row| hashes[row].clone()));
        table = table.dropped(RECORDING_HASH).with(RECORDING_HASH, hashes);
    }
    table
        .with(MODEL_HASH, own(&origin.model))
        .with(MADE_WITH, own(&origin.options))
}

/// A table about neurons with their rows in the recording, where these are others.
fn with_recorded(table: Table, recorded: Option<&[usize]>) -> Table {
    let neurons = table.column("neuron").and_then(Column::as_integers);
    let (Some(recorded), Some(neurons)) = (recorded, neurons) else {
        return table;
    };
    let row = |n: &i64| usize::try_from(*n).ok().and_then(|n| recorded.get(n));
    let cell = |n: &i64| row(n).map_or(String::new(), ToString::to_string);
    let cells = neurons.iter().map(cell).collect();
    let kept = format!("neurons.{RECORDED_NEURON}");
    table
        .renamed(RECORDED_NEURON, &kept)
        .with(RECORDED_NEURON, Column::Text(cells))
}

/// Cells of the rows that hold a result; empty ones elsewhere.
fn where_held(held: &[bool], cell: impl Fn(usize) -> String) -> Vec<String> {
    let cells = held.iter().enumerate();
    cells
        .map(|(row, held)| if *held { cell(row) } else { String::new() })
        .collect()
}

fn keys(table: &Table) -> Vec<Key> {
    let names = table.text("recording");
    let numbers = table
        .column("neuron")
        .and_then(Column::as_numbers)
        .unwrap_or_default();
    let name = |row: usize| names.as_ref().map(|n| n[row].clone());
    (0..numbers.len())
        .map(|row| (name(row), numbers[row] as i64))
        .collect()
}

/// Refuses a table that another model made. One that does not say, as of a hand-written run, passes.
///
/// # Errors
/// Names the table, the row and both hashes.
pub fn check_model(table: &Table, path: &Path, model: &str) -> Result<()> {
    let Some(hashes) = table.text(MODEL_HASH) else {
        return Ok(());
    };
    match hashes.iter().position(|h| h != model && !h.is_empty()) {
        Some(row) if !model.is_empty() => Err(Error::bad(
            format!("{}, row {}", path.display(), row + 2),
            "the model that it was made with",
            &hashes[row],
            format!("{model}, the model of this run; make the table anew, or remove it"),
        )),
        _ => Ok(()),
    }
}

/// Refuses an array that is not the one which a table was written with. A table that does not say passes.
///
/// # Errors
/// Names both files.
pub fn check_array(table: &Table, path: &Path, array: &Path) -> Result<()> {
    let Some(hashes) = table.text(ARRAY_HASH) else {
        return Ok(());
    };
    let got = shown(&files::hash_of(array)?);
    match hashes.iter().find(|h| !h.is_empty() && **h != got) {
        Some(wanted) => Err(Error::bad(
            array.display(),
            "its hash",
            got,
            format!(
                "{wanted}, as {} says: they are not of one kind; make both anew",
                path.display()
            ),
        )),
        None => Ok(()),
    }
}
