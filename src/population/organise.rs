//! All that `organise` says of a run: from its tables to tests, correlations, combinations and sparsity.

use super::differences::{
    self, Binarised, Combination, Difference, Index, Thresholds, combinations, differences,
    shuffled,
};
use super::{BarCodes, sparsity};
use crate::insilico::found::Found;
use crate::model::Model;
use crate::results::{MADE_WITH, Together};
use crate::statistics::mean_of_known;
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The indices of `tuning.csv` that are looked at, where they are there.
pub const INDICES: [&str; 9] = [
    "orientation_index",
    "phase_index",
    "suppression_index",
    "contrast_index",
    "plaid_index",
    "gabor_vs_dog",
    "gabor_vs_mei",
    "dog_vs_mei",
    "nonlinearity_index",
];

/// The tables that are written.
pub const FILES: [&str; 6] = [
    "cluster_tests.csv",
    "random_tests.csv",
    "index_correlations.csv",
    "combinations.csv",
    "readout_sparsity.csv",
    "organisation_by_recording.csv",
];

/// What earlier commands left, of the neurons that are asked for.
#[derive(Debug)]
pub struct Inputs {
    codes: BarCodes,
    /// Rows of each readout in turn.
    parts: Vec<(String, usize)>,
    /// Each neuron's cluster.
    pub labels: Vec<Option<usize>>,
    /// How many clusters there are.
    pub clusters: usize,
    /// What `tuning.csv` says.
    pub indices: Vec<Index>,
    /// Options of `clusters.csv` and `tuning.csv`.
    pub made_with: [String; 2],
}

impl Inputs {
    /// Reads `clusters.csv` and `tuning.csv`, which must both be there.
    pub fn read(
        files: &[PathBuf; 2],
        model: &Model,
        chosen: &[(usize, Vec<usize>)],
    ) -> Result<Self> {
        let open = |path: &Path, command: &str| {
            let found = Found::open(path, model)?;
            let missing = || {
                Error::file(
                    path,
                    format!("does not exist; `striate {command}` writes it"),
                )
            };
            found.ok_or_else(missing)
        };
        let clusters = open(&files[0], "cluster")?;
        let tuning = open(&files[1], "tune")?;
        let (mut codes, mut parts) = (Vec::new(), Vec::new());
        let mut labels: Vec<Option<usize>> = Vec::new();
        let names: Vec<&str> = INDICES.into_iter().filter(|n| tuning.has(n)).collect();
        if names.is_empty() {
            let wanted = format!("has none of the columns {}", INDICES.join(", "));
            return Err(Error::file(&files[1], wanted));
        }
        let mut values = vec![Vec::new(); names.len()];
        for (index, rows) in chosen {
            codes.push(BarCodes::of(model, *index, rows));
            parts.push((model.readouts[*index].name.clone(), rows.len()));
            labels.extend(clusters.labels("cluster", &clusters.rows(model, *index, rows)?)?);
            let places = tuning.rows(model, *index, rows)?;
            for (name, values) in names.iter().zip(&mut values) {
                values.extend(tuning.values(name, &places)?);
            }
        }
        if labels.iter().all(Option::is_none) {
            let what = "none of the neurons that are asked for has a cluster";
            return Err(Error::file(&files[0], what));
        }
        let indices = names.iter().zip(values).map(|(name, values)| Index {
            name: (*name).to_string(),
            values,
        });
        let made_with = |path: &Path| -> Result<String> {
            let all = Table::read_csv(path)?.text(MADE_WITH).unwrap_or_default();
            let filled = all.into_iter().find(|m| !m.is_empty());
            Ok(filled.unwrap_or("as given".into()))
        };
        Ok(Self {
            codes: BarCodes::pooled(codes),
            parts,
            clusters: labels.iter().flatten().max().map_or(0, |most| most + 1),
            labels,
            indices: indices.collect(),
            made_with: [made_with(&files[0])?, made_with(&files[1])?],
        })
    }

    fn index(&self, name: &str) -> Option<&[f64]> {
        let found = self.indices.iter().find(|i| i.name == name);
        found
            .map(|i| &i.values[..])
            .filter(|v| v.iter().any(|v| !v.is_nan()))
    }
}

/// What `organise` finds.
#[derive(Debug)]
pub struct Organisation {
    /// Each cluster against the rest.
    pub tests: Vec<Difference>,
    /// The same with shuffled labels.
    pub random: Vec<Difference>,
    /// The eight combinations, where their indices are known.
    pub combinations: Option<(Vec<Combination>, Thresholds)>,
    /// Whether a Gabor-to-MEI index told which clusters are Gabor-like.
    pub gabor_like: bool,
    /// Share of the neurons with more than half of their readout in one feature.
    pub sparse_share: f64,
}

impl Organisation {
    /// Runs all tests.
    pub fn of(inputs: &Inputs, seed: u64) -> Self {
        let test = |labels: &[Option<usize>]| differences(labels, inputs.clusters, &inputs.indices);
        let gabor = inputs.index("gabor_vs_mei");
        let of = (
            inputs.index("phase_index"),
            inputs.index("suppression_index"),
            inputs.index("plaid_index"),
        );
        let combinations = match of {
            (Some(phase), Some(suppression), Some(plaid)) => {
                let of = Binarised {
                    phase,
                    suppression,
                    plaid,
                    gabor,
                };
                Some(combinations(&inputs.labels, inputs.clusters, of))
            }
            _ => None,
        };
        Self {
            tests: test(&inputs.labels),
            random: test(&shuffled(&inputs.labels, seed)),
            combinations,
            gabor_like: gabor.is_some(),
            sparse_share: sparse_share(&sparsity::table(&inputs.codes)),
        }
    }

    /// Adds all tables.
    pub fn add_to(&self, files: &mut Together, inputs: &Inputs) -> Result<()> {
        let [tests, random, correlations, combined, sparse, by_recording] = FILES;
        let indices = &inputs.indices;
        let table = |tests| differences::tests_table(tests, indices);
        files.table(tests, table(&self.tests), None)?;
        files.table(random, table(&self.random), None)?;
        let mut parts = vec![("all".to_string(), differences::correlations_table(indices))];
        let several = inputs.parts.len() > 1;
        if several {
            let of_parts = inputs.rows_of_parts().map(|(name, rows)| {
                let own: Vec<Index> = indices.iter().map(|i| i.part(rows.clone())).collect();
                (name, differences::correlations_table(&own))
            });
            parts.extend(of_parts);
        }
        let mut table = Table::stacked(parts, None);
        if several {
            let each = table.rows() / (inputs.parts.len() + 1);
            let names = std::iter::once("all").chain(inputs.parts.iter().map(|p| p.0.as_str()));
            let names = names.flat_map(|n| vec![n.to_string(); each]).collect();
            table = table.with("recording", Column::Text(names));
        }
        files.table(correlations, table, None)?;
        match &self.combinations {
            Some((found, _)) => {
                files.table(combined, differences::combinations_table(found), None)?;
            }
            None => files.without(combined),
        }
        let mut table = sparsity::table(&inputs.codes);
        if several {
            let names = inputs.codes.who.iter().map(|w| w.recording.clone());
            let names = Table::new().with("recording", Column::Text(names.collect()));
            table = names.beside(table);
        }
        files.table(sparse, table, None)?;
        files.table(by_recording, self.by_recording(inputs), None)
    }

    /// A row per recording: how many neurons, how many of them with a cluster, how sparse their readouts are, and the mean
    /// of each index.
    fn by_recording(&self, inputs: &Inputs) -> Table {
        let parts: Vec<_> = inputs.rows_of_parts().collect();
        let names = parts.iter().map(|(name, _)| name.clone()).collect();
        let counts = parts.iter().map(|(_, rows)| rows.len() as i64).collect();
        let clustered = parts.iter().map(|(_, rows)| {
            let own = &inputs.labels[rows.clone()];
            own.iter().flatten().count() as i64
        });
        let sparse = sparsity::table(&inputs.codes);
        let shares = parts.iter().map(|(_, rows)| {
            let rows: Vec<usize> = rows.clone().collect();
            sparse_share(&sparse.select(&rows))
        });
        let table = Table::new()
            .with("recording", Column::Text(names))
            .with("neurons", Column::Integer(counts))
            .with("clustered", Column::Integer(clustered.collect()))
            .with("one_feature_share", Column::Number(shares.collect()));
        inputs.indices.iter().fold(table, |table, index| {
            let means = parts
                .iter()
                .map(|(_, rows)| mean_of_known(&index.values[rows.clone()]));
            table.with(
                &format!("mean_{}", index.name),
                Column::Number(means.collect()),
            )
        })
    }
}

impl Inputs {
    /// Each readout's name and its rows.
    fn rows_of_parts(&self) -> impl Iterator<Item = (String, Range<usize>)> + '_ {
        let mut start = 0;
        self.parts.iter().map(move |(name, count)| {
            start += count;
            (name.clone(), start - count..start)
        })
    }
}

/// Share of the neurons with a readout that have more than half of its energy in one feature.
fn sparse_share(table: &Table) -> f64 {
    let shares = table.numbers("energy_share").unwrap_or_default();
    let known: Vec<f64> = shares.iter().copied().filter(|s| !s.is_nan()).collect();
    let above = known.iter().filter(|s| **s > 0.5).count();
    above as f64 / known.len() as f64
}
