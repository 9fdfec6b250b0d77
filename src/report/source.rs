//! What a run holds so far: its neurons, and the tables that commands left about them.

use super::tensors::Tensors;
use crate::npy::{self, Archive};
use crate::recording::{Recording, chosen_rows};
use crate::table::{Column, Table};
use crate::{Error, Result, files, results};
use ndarray::ArrayD;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

/// A run as a page sees it.
#[derive(Debug)]
pub struct Source {
    /// Its directory.
    pub directory: PathBuf,
    /// Its model, where there is one.
    pub model: Option<Tensors>,
    /// The text of its configuration, and what it says.
    pub config: (String, toml::Table),
    /// Its readouts, and how many neurons each has.
    pub readouts: Vec<(String, usize)>,
    /// Readout and row of every neuron.
    pub neurons: Vec<(usize, usize)>,
    /// First neuron of each readout.
    starts: Vec<usize>,
    /// Where the GLMs' table is, if it was given.
    pub glm: Option<PathBuf>,
    /// Tables that were read already.
    read: RefCell<HashMap<PathBuf, std::result::Result<Rc<Found>, Lack>>>,
}

/// Why something cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The file is not there.
    Missing,
    /// It is there and cannot be used.
    Unusable(String),
}

/// A table of the run.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// As it was read.
    pub table: Table,
    /// Each neuron's row, where it has one; empty for a table that is not about neurons.
    rows: Vec<Option<usize>>,
    /// Its columns of numbers, read from their cells when first asked for.
    numbers: OnceLock<HashMap<String, Vec<f64>>>,
}

impl Found {
    /// A column's numbers, row by row.
    fn numbers(&self, name: &str) -> Option<&[f64]> {
        let all = self.numbers.get_or_init(|| {
            let of = |name: &str| Some((name.to_string(), self.table.numbers(name)?.to_vec()));
            self.table.names().filter_map(of).collect()
        });
        all.get(name).map(Vec::as_slice)
    }

    /// The number of a column in a row.
    pub fn number(&self, name: &str, row: usize) -> Option<f64> {
        self.numbers(name).map(|v| v[row])
    }

    /// A column's number for every neuron of the run; NaN where there is none.
    pub fn values(&self, column: &str) -> Option<Vec<f64>> {
        let all = self.numbers(column)?;
        Some(
            self.rows
                .iter()
                .map(|r| r.map_or(f64::NAN, |r| all[r]))
                .collect(),
        )
    }

    /// A column's text for every neuron of the run.
    pub fn words(&self, column: &str) -> Option<Vec<String>> {
        let all = self.table.text(column)?;
        Some(
            self.rows
                .iter()
                .map(|r| r.map_or_else(String::new, |r| all[r].clone()))
                .collect(),
        )
    }

    /// The row of a neuron.
    pub fn row(&self, neuron: usize) -> Option<usize> {
        self.rows.get(neuron).copied().flatten()
    }

    /// A column's numbers, row by row.
    pub fn column(&self, name: &str) -> Vec<f64> {
        self.numbers(name).unwrap_or_default().to_vec()
    }

    /// The options that it was made with.
    pub fn made_with(&self) -> Option<String> {
        let all = self.table.text(results::MADE_WITH)?;
        all.into_iter().find(|m| !m.is_empty())
    }
}

impl Source {
    /// Opens a run, of which nothing but the directory needs to be there.
    ///
    /// # Errors
    /// When it is no directory with a configuration or a model, or the model's file is broken.
    pub fn open(directory: &Path) -> Result<Self> {
        let model = directory.join("model.safetensors");
        let config = directory.join("config.toml");
        if !model.exists() && !config.exists() {
            let what = match directory.is_dir() {
                true => "holds neither config.toml nor model.safetensors, wanted a run",
                false => "no directory, wanted a run",
            };
            return Err(Error::file(directory, what));
        }
        let model = match model.exists() {
            true => Some(Tensors::open(&model)?),
            false => None,
        };
        let text = match config.exists() {
            true => files::read_text(&config)?,
            false => String::new(),
        };
        let said = text.parse().unwrap_or_default();
        let mut readouts = Vec::new();
        for name in model.iter().flat_map(Tensors::names) {
            let own = name
                .strip_prefix("readout.")
                .and_then(|n| n.strip_suffix(".bias"));
            if let (Some(own), Some(shape)) = (own, model.as_ref().and_then(|m| m.shape(name))) {
                readouts.push((own.to_string(), shape[0]));
            }
        }
        let mut this = Self {
            directory: directory.to_path_buf(),
            model,
            config: (text, said),
            readouts,
            neurons: Vec::new(),
            starts: Vec::new(),
            glm: None,
            read: RefCell::default(),
        };
        this.order_readouts();
        Ok(this)
    }

    /// The neurons of one recording, without any run.
    pub fn of_one(directory: &Path, name: &str, neurons: usize) -> Self {
        Self {
            directory: directory.to_path_buf(),
            model: None,
            config: (String::new(), toml::Table::new()),
            readouts: vec![(name.to_string(), neurons)],
            neurons: (0..neurons).map(|n| (0, n)).collect(),
            starts: vec![0],
            glm: None,
            read: RefCell::default(),
        }
    }

    /// In the order of the configuration's recordings, as the tables have them.
    fn order_readouts(&mut self) {
        let names: Vec<String> = self
            .recordings()
            .iter()
            .map(|p| Recording::name_at(p))
            .collect();
        self.readouts
            .sort_by_key(|(name, _)| names.iter().position(|n| n == name).unwrap_or(usize::MAX));
        for (readout, (_, count)) in self.readouts.iter().enumerate() {
            self.starts.push(self.neurons.len());
            self.neurons.extend((0..*count).map(|n| (readout, n)));
        }
    }

    /// The recordings that the configuration names.
    pub fn recordings(&self) -> Vec<PathBuf> {
        let list = self.config.1.get("recordings").and_then(|r| r.as_array());
        let paths = list.into_iter().flatten().filter_map(|r| r.as_str());
        paths.map(PathBuf::from).collect()
    }

    /// The recording of a readout.
    pub fn recording_of(&self, readout: usize) -> Option<PathBuf> {
        let paths = self.recordings();
        let name = &self.readouts.get(readout)?.0;
        let by_name = paths.iter().find(|p| Recording::name_at(p) == *name);
        match by_name {
            Some(path) => Some(path.clone()),
            None if paths.len() == 1 && self.readouts.len() == 1 => paths.into_iter().next(),
            None => None,
        }
    }

    /// Of a recording's table of neurons the rows of those that were fitted, by their numbers in the readout.
    pub fn fitted(&self, table: Table) -> Table {
        let choice = self.setting("training", "neurons");
        let choice = choice.and_then(toml::Value::as_str).unwrap_or_default();
        let Ok(rows) = chosen_rows(choice, table.rows()) else {
            return table;
        };
        if table.column("neuron").is_none() {
            return table;
        }
        let own = Column::Integer((0..rows.len() as i64).collect());
        let others = table.select(&rows).dropped("neuron");
        Table::new().with("neuron", own).beside(others)
    }

    /// A number of the configuration, as in `core.orientations`.
    pub fn setting(&self, part: &str, key: &str) -> Option<&toml::Value> {
        self.config.1.get(part)?.get(key)
    }

    /// Whether readouts are masks and features, so that there can be clusters.
    pub fn has_bar_codes(&self) -> bool {
        let kind = self.setting("core", "kind").and_then(|k| k.as_str());
        !matches!(kind, Some("kindel" | "linear"))
    }

    /// Orientations of the core; 1 for one that has none.
    pub fn orientations(&self) -> usize {
        let kind = self.setting("core", "kind").and_then(|k| k.as_str());
        let said = self
            .setting("core", "orientations")
            .and_then(|o| o.as_integer());
        match kind {
            None | Some("rotation-equivariant") => said.map_or(8, |o| o.max(1) as usize),
            _ => 1,
        }
    }

    /// Whether there are several readouts.
    pub fn several(&self) -> bool {
        self.readouts.len() > 1
    }

    /// What a neuron is called in a figure.
    pub fn name(&self, neuron: usize) -> String {
        let (readout, row) = self.neurons[neuron];
        match self.several() {
            true => format!("{row}, {}", self.readouts[readout].0),
            false => row.to_string(),
        }
    }

    /// A table of the run about neurons or about anything else, if it is there and this model made it.
    pub fn table(&self, name: &str) -> std::result::Result<Rc<Found>, Lack> {
        let path = self.directory.join(name);
        if let Some(known) = self.read.borrow().get(&path) {
            return known.clone();
        }
        let found = self.look(&path).map(Rc::new);
        self.read.borrow_mut().insert(path, found.clone());
        found
    }

    fn look(&self, path: &Path) -> std::result::Result<Found, Lack> {
        if !path.exists() {
            return Err(Lack::Missing);
        }
        let told = |e: Error| Lack::Unusable(e.to_string());
        let table = Table::read_csv(path).map_err(told)?;
        let hash = self.model.as_ref().map_or("", |m| m.hash.as_str());
        results::check_model(&table, path, hash).map_err(told)?;
        Ok(self.found(table))
    }

    /// A table with each neuron's row.
    pub fn found(&self, table: Table) -> Found {
        let rows = self.rows(&table);
        Found {
            table,
            rows,
            numbers: OnceLock::new(),
        }
    }

    /// Each neuron's row in a table.
    pub fn rows(&self, table: &Table) -> Vec<Option<usize>> {
        let Some(neurons) = table.column("neuron").and_then(Column::as_integers) else {
            return Vec::new();
        };
        let names = table.text("recording");
        let readouts: HashMap<&str, usize> = self
            .readouts
            .iter()
            .enumerate()
            .map(|(i, (name, _))| (name.as_str(), i))
            .collect();
        let mut rows = vec![None; self.neurons.len()];
        for (row, neuron) in neurons.into_iter().enumerate() {
            let readout = match &names {
                Some(names) => readouts.get(names[row].as_str()).copied(),
                None => (!self.several()).then_some(0),
            };
            let Some(readout) = readout.filter(|r| *r < self.readouts.len()) else {
                continue;
            };
            if (0..self.readouts[readout].1 as i64).contains(&neuron) {
                rows[self.starts[readout] + neuron as usize].get_or_insert(row);
            }
        }
        rows
    }

    /// An array beside a table that names it.
    pub fn array(
        &self,
        name: &str,
        of: &Table,
        table: &str,
    ) -> std::result::Result<ArrayD<f32>, Lack> {
        let path = self.directory.join(name);
        if !path.exists() {
            return Err(Lack::Missing);
        }
        let told = |e: Error| Lack::Unusable(e.to_string());
        results::check_array(of, &self.directory.join(table), &path).map_err(told)?;
        npy::read(&path).map(|(array, _)| array).map_err(told)
    }

    /// Arrays of an archive beside a table.
    pub fn archive(&self, name: &str) -> std::result::Result<Archive, Lack> {
        let path = self.directory.join(name);
        match path.exists() {
            true => Archive::open(&path).map_err(|e| Lack::Unusable(e.to_string())),
            false => Err(Lack::Missing),
        }
    }

    /// The columns that name neurons, for a table of these.
    pub fn who(&self, neurons: &[usize]) -> Table {
        let table = match self.several() {
            true => {
                let names = neurons
                    .iter()
                    .map(|&n| self.readouts[self.neurons[n].0].0.clone());
                Table::new().with("recording", Column::Text(names.collect()))
            }
            false => Table::new(),
        };
        let rows = neurons.iter().map(|&n| self.neurons[n].1 as i64);
        table.with("neuron", Column::Integer(rows.collect()))
    }

    /// All neurons.
    pub fn all(&self) -> Vec<usize> {
        (0..self.neurons.len()).collect()
    }

    /// Each neuron's score; none without an evaluation.
    pub fn scores(&self) -> Option<Vec<f64>> {
        let found = self.table("evaluation.csv").ok()?;
        let to_average = found.values("correlation_to_average");
        to_average.or_else(|| found.values("single_trial_correlation"))
    }

    /// Each neuron's cluster.
    pub fn clusters(&self) -> Option<Vec<Option<usize>>> {
        let labels = self.table("clusters.csv").ok()?.values("cluster")?;
        let label = |l: f64| (l >= 0.0).then_some(l as usize);
        Some(labels.into_iter().map(label).collect())
    }

    /// The best-predicted of these neurons, best first; without scores the first ones.
    pub fn best(&self, among: &[usize], scores: Option<&[f64]>, count: usize) -> Vec<usize> {
        let mut rows = among.to_vec();
        if let Some(scores) = scores {
            rows.retain(|&n| !scores[n].is_nan());
            rows.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        }
        rows.truncate(count);
        rows
    }
}
