//! What is read of a scan, and everything of it but its arrays.

use super::Sensorium;
use super::meta;
use super::name_of_scan;
use super::tree::Tree;
use super::trial::{self, Reader, Series};
use crate::recording::Tier;
use crate::recording::check::{check_neurons, check_tiers};
use crate::recording::draft::Draft;
use crate::recording::import::Rescale;
use crate::recording::listing::{self, check_names};
use crate::recording::metadata::Metadata;
use crate::recording::part::Progress;
use crate::recording::summary::{Summary, tiers};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

pub(super) struct Scan<'a> {
    pub(super) source: &'a Path,
    options: &'a Sensorium,
    pub(super) reader: Reader<'a>,
    /// Numbers of the trials that are kept, with their tiers and the words for them.
    pub(super) kept: Vec<(usize, Tier, String)>,
    neurons: Vec<(String, Vec<String>)>,
    trials: Vec<(String, Vec<String>)>,
    /// Names of the numbers that go with each trial.
    pub(super) further: Vec<String>,
}

impl<'a> Scan<'a> {
    pub(super) fn open(tree: &'a Tree, source: &'a Path, options: &'a Sensorium) -> Result<Self> {
        let tiers = meta::tiers(tree)?;
        let rows = tiers.len();
        let links = links(tree)?;
        let find = |name: &str| {
            let own = Series::find(tree, name, rows)?;
            match (own, links.get(name)) {
                (None, Some(other)) => Series::find(tree, other, rows),
                (own, _) => Ok(own),
            }
        };
        let wanted = |name: &str| {
            find(name)?.ok_or_else(|| {
                let clips = tree.arrays("data/videos").is_ok_and(|v| v.is_some());
                let what = match clips {
                    true => "does not exist, but data/videos does: clips are not images",
                    false => "does not exist, wanted a file per trial",
                };
                Error::file(tree.place(&format!("data/{name}")), what)
            })
        };
        let (images, responses) = (wanted("images")?, wanted("responses")?);
        let kept = tiers.into_iter().enumerate();
        let kept: Vec<(usize, Tier, String)> = kept
            .filter_map(|(row, (word, tier))| Some((row, tier?, word)))
            .collect();
        let Some((first, ..)) = kept.first() else {
            let place = tree.place(meta::TIERS);
            let what = "number of trials that are not none";
            return Err(Error::bad(place.display(), what, 0, "at least 1"));
        };
        let (size, count, wide) = trial::shape_of(tree, &images, &responses, *first)?;
        if let Some(k) = options.rescale.map(Rescale::factor)
            && (size.0 % k != 0 || size.1 % k != 0)
        {
            return Err(Error::bad(
                images.place(tree, *first),
                "image size",
                format!("{} x {}", size.0, size.1),
                format!("multiples of {k}, for --rescale"),
            ));
        }
        let mut further = Vec::new();
        let mut names = Vec::new();
        for folder in ["behavior", "pupil_center"] {
            if let Some(series) = find(folder)? {
                let width = trial::width_of(tree, &series, *first)?;
                names.extend((0..width).map(|i| further_name(folder, i, width)));
                further.push((series, width));
            }
        }
        let neurons = meta::columns(tree, "meta/neurons", count, &["neuron"])?;
        let own = ["image", "tier", "source_tier", "source_trial"];
        let trials = meta::columns(tree, "meta/trials", rows, &own)?;
        let filters = [
            ("area", options.area.as_deref()),
            ("layer", options.layer.as_deref()),
        ];
        let chosen = meta::chosen(tree, &neurons, count, filters)?;
        Ok(Self {
            source,
            options,
            reader: Reader {
                tree,
                images,
                responses,
                further,
                size,
                rescale: options.rescale,
                neurons: count,
                kept: (chosen.len() < count).then_some(chosen),
                wide,
            },
            kept,
            neurons,
            trials,
            further: names,
        })
    }

    /// Height and width of the recording's images.
    pub(super) fn size(&self) -> (usize, usize) {
        let k = self.options.rescale.map_or(1, Rescale::factor);
        (self.reader.size.0 / k, self.reader.size.1 / k)
    }

    pub(super) fn count(&self) -> usize {
        let kept = self.reader.kept.as_ref();
        kept.map_or(self.reader.neurons, Vec::len)
    }

    /// What its arrays will take on a disk, about.
    pub(super) fn bytes(&self) -> u128 {
        let (h, w) = self.size();
        let row = self.count() * if self.reader.wide { 8 } else { 4 };
        self.kept.len() as u128 * (row + h * w) as u128
    }

    pub(super) fn import(
        mut self,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let arrays = match self.arrays(path, progress)? {
            Some(arrays) => arrays,
            None => {
                // A later trial needs more digits than the first.
                self.reader.wide = true;
                for name in ["images.npy", "responses.npy"] {
                    if let Some(path) = path(name) {
                        files::remove(&path)?;
                    }
                }
                let arrays = self.arrays(path, progress)?;
                arrays.ok_or_else(|| Error::Other("responses: no type holds them".into()))?
            }
        };
        let place = self.reader.tree.place(meta::TIERS);
        check_tiers(&arrays.trials, &place)?;
        let name = name_of_scan(self.source)?;
        let metadata = Metadata {
            name: Some(name.clone()),
            source: Some(self.described()),
            ..Metadata::default()
        };
        metadata.check(&name, self.source)?;
        let columns = self.trial_table(arrays.further);
        check_names(listing::OWN.into_iter().chain(columns.names()), self.source)?;
        let neurons = self.neuron_table();
        if let Some(neurons) = &neurons {
            check_neurons(neurons, self.count(), self.source)?;
        }
        if let Some(draft) = draft {
            let at = |name: &str| draft.path().join(name);
            files::write(&at("trials.csv"), |w| {
                listing::fill(w, &arrays.trials, Some(&columns))
            })?;
            if let Some(neurons) = &neurons {
                neurons.write_csv(&at("neurons.csv"))?;
            }
            files::write(&at("recording.toml"), |w| {
                w.write_all(metadata.text().as_bytes())
            })?;
        }
        let (height, width) = self.size();
        Ok(Summary {
            name,
            images: arrays.images,
            height,
            width,
            neurons: self.count(),
            tiers: tiers(&arrays.trials),
            warnings: arrays.warnings,
        })
    }

    /// Where the recording comes from.
    fn described(&self) -> String {
        let mut text = format!("Sensorium scan {}", self.source.display());
        let options = [
            ("rescale", self.options.rescale.map(|r| r.to_string())),
            ("area", self.options.area.clone()),
            ("layer", self.options.layer.clone()),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                // Writing to a string does not fail.
                let _ = write!(text, ", {name} {value}");
            }
        }
        text
    }

    fn trial_table(&self, further: Vec<Vec<String>>) -> Table {
        let rows: Vec<usize> = self.kept.iter().map(|t| t.0).collect();
        let words = self.kept.iter().map(|t| t.2.clone()).collect();
        let table = Table::new()
            .with("source_tier", Column::Text(words))
            .with(
                "source_trial",
                Column::Integer(rows.iter().map(|r| *r as i64).collect()),
            )
            .beside(meta::table(&self.trials, &rows));
        let further = self.further.iter().zip(further);
        further.fold(table, |table, (name, cells)| {
            table.with(name, Column::Text(cells))
        })
    }

    fn neuron_table(&self) -> Option<Table> {
        if self.neurons.is_empty() {
            return None;
        }
        let all: Vec<usize> = (0..self.reader.neurons).collect();
        let rows = self.reader.kept.as_ref().unwrap_or(&all);
        let numbers = (0..rows.len() as i64).collect();
        let place = |name: &str| ["x", "y", "z"].iter().position(|n| *n == name).unwrap_or(3);
        let mut columns = self.neurons.clone();
        columns.sort_by_key(|(name, _)| place(name));
        Some(
            Table::new()
                .with("neuron", Column::Integer(numbers))
                .beside(meta::table(&columns, rows)),
        )
    }
}

/// What `config.json` says is found under another name.
fn links(tree: &Tree) -> Result<HashMap<String, String>> {
    let mut links = HashMap::new();
    if !tree.has("config.json") {
        return Ok(links);
    }
    let place = tree.place("config.json");
    let text = tree.bytes("config.json")?;
    let config: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| Error::file(&place, format!("is no JSON: {e}")))?;
    for (name, other) in config["links"].as_object().into_iter().flatten() {
        if let Some(other) = other.as_str() {
            links.insert(name.clone(), other.to_string());
        }
    }
    Ok(links)
}

fn further_name(folder: &str, index: usize, width: usize) -> String {
    let behaviour = ["pupil_dilation", "pupil_dilation_change", "running_speed"];
    match (folder, width) {
        ("behavior", 3) => behaviour[index].to_string(),
        ("pupil_center", 2) => ["pupil_x", "pupil_y"][index].to_string(),
        _ => format!("{folder}_{index}"),
    }
}
