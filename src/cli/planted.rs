//! Simulated neurons whose types are known: how well clusters find them.

use ndarray::{Array2, ArrayView2, Axis};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use striate::device::Device;
use striate::insilico::Watch;
use striate::model::Model;
use striate::population::clusters::{self, adjusted_rand};
use striate::population::measures::{self, TUNING};
use striate::table::Table;
use striate::{Error, Result};

/// How clusters agree with what was planted in simulated neurons: adjusted Rand indices.
#[derive(Debug, Serialize)]
pub struct Planted {
    /// Types that were planted.
    planted_types: usize,
    /// Of clusters and types.
    cluster_rand_index: f64,
    /// Of clusters and what drives the neurons, suppressed or not: one filter, an energy, or a centre and its surround.
    drive_rand_index: f64,
    /// Of types and as many clusters of the neurons' true parameters instead of their bar codes.
    true_parameter_rand_index: f64,
    /// Of types and as many clusters of the twins' tuning indices.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuning_rand_index: Option<f64>,
    /// The same of the simulated neurons' own tuning: what these indices allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_tuning_rand_index: Option<f64>,
    /// Of types and clusters of the neurons' own tuning to which the twins' errors were added, each neuron those of another: what such
    /// errors allow. Mean, 5th and 95th percentile over [`SHUFFLES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    noisy_tuning_rand_index: Option<[f64; 3]>,
}

/// Times that errors are shuffled.
const SHUFFLES: usize = 40;

/// Tuning indices of simulated neurons as `tune --truth` finds them, one column each.
#[derive(Debug)]
pub struct Tuned {
    twins: Vec<Vec<f64>>,
    truth: Vec<Vec<f64>>,
}

impl Tuned {
    /// Of the columns of `tuning.csv`.
    pub fn of(column: impl Fn(&str) -> Result<Vec<f64>>) -> Result<Self> {
        let columns = |prefix: &str| -> Result<Vec<Vec<f64>>> {
            let columns = TUNING.iter().map(|name| column(&format!("{prefix}{name}")));
            columns.collect()
        };
        Ok(Self {
            twins: columns("")?,
            truth: columns("true_")?,
        })
    }

    /// The neurons' own tuning, with the errors of the twins of other neurons.
    fn noisy(&self, rng: &mut impl Rng) -> Vec<Vec<f64>> {
        let neurons = self.truth.first().map_or(0, Vec::len);
        let known = |n: &usize| {
            let mut columns = self.twins.iter().chain(&self.truth);
            columns.all(|c| c[*n].is_finite())
        };
        let known: Vec<usize> = (0..neurons).filter(known).collect();
        let mut others = known.clone();
        others.shuffle(rng);
        let columns = self.twins.iter().zip(&self.truth);
        let noisy = columns.map(|(twins, truth)| {
            let mut column = vec![f64::NAN; neurons];
            for (&own, &other) in known.iter().zip(&others) {
                column[own] = truth[own] + (twins[other] - truth[other]);
            }
            column
        });
        noisy.collect()
    }
}

impl Planted {
    /// Of neurons without a cluster, or without an index, nothing is asked.
    pub fn of(truth: &Table, labels: &[Option<usize>], tuned: Option<&Tuned>) -> Result<Self> {
        let types = truth.text("type").unwrap_or_default();
        let oriented = truth.numbers("orientation").unwrap_or_default();
        let phases = truth.numbers("phase").unwrap_or_default();
        let drives = oriented.iter().zip(phases.iter());
        let drives: Vec<usize> = drives
            .map(|(turn, phase)| usize::from(!turn.is_nan()) + usize::from(!phase.is_nan()))
            .collect();
        let mut names: Vec<&String> = types.iter().collect();
        names.sort();
        names.dedup();
        let planted = types.iter().map(|t| names.binary_search(&t).unwrap_or(0));
        let planted: Vec<usize> = planted.collect();
        let known = || {
            labels
                .iter()
                .enumerate()
                .filter_map(|(n, l)| l.map(|l| (n, l)))
        };
        let found: Vec<usize> = known().map(|(_, label)| label).collect();
        let of = |truth: &[usize]| -> Vec<usize> { known().map(|(n, _)| truth[n]).collect() };
        let settings = clusters::Settings {
            clusters: names.len(),
            ..clusters::Settings::default()
        };
        let of_rows = |rows: ArrayView2<f32>| -> Result<f64> {
            let all: Vec<usize> = (0..rows.nrows()).collect();
            let known = all
                .into_iter()
                .filter(|&n| rows.row(n).iter().all(|v| v.is_finite()));
            let known: Vec<usize> = known.collect();
            let rows = rows.select(Axis(0), &known);
            let mut watch = Watch::hidden();
            let found = clusters::k_means(&Device::Cpu, rows.view(), &settings, &mut watch)?;
            let types: Vec<usize> = known.iter().map(|&n| planted[n]).collect();
            adjusted_rand(&types, &found.labels)
        };
        let of_tuned = |columns: fn(&Tuned) -> &Vec<Vec<f64>>| {
            let index = tuned.map(|t| of_rows(measures::rows(columns(t).clone()).view()));
            index.transpose()
        };
        let noisy = |tuned: &Tuned| -> Result<[f64; 3]> {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut found = Vec::with_capacity(SHUFFLES);
            for _ in 0..SHUFFLES {
                found.push(of_rows(measures::rows(tuned.noisy(&mut rng)).view())?);
            }
            found.sort_by(f64::total_cmp);
            let mean = striate::statistics::mean(&found);
            Ok([
                mean,
                found[SHUFFLES / 20],
                found[SHUFFLES - 1 - SHUFFLES / 20],
            ])
        };
        Ok(Self {
            planted_types: names.len(),
            cluster_rand_index: adjusted_rand(&of(&planted), &found)?,
            drive_rand_index: adjusted_rand(&of(&drives), &found)?,
            true_parameter_rand_index: of_rows(parameters(truth).view())?,
            tuning_rand_index: of_tuned(|t| &t.twins)?,
            true_tuning_rand_index: of_tuned(|t| &t.truth)?,
            noisy_tuning_rand_index: tuned.map(noisy).transpose()?,
        })
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "adjusted Rand index of clusters and the {} planted types: {:.3} (from true parameters: {:.3}), of clusters and what drives the neurons: {:.3}",
            self.planted_types,
            self.cluster_rand_index,
            self.true_parameter_rand_index,
            self.drive_rand_index
        )?;
        if let (Some(found), Some(truth), Some([mean, low, high])) = (
            self.tuning_rand_index,
            self.true_tuning_rand_index,
            self.noisy_tuning_rand_index,
        ) {
            write!(
                f,
                "\nof the types and clusters of tuning indices: {found:.3} (from the neurons' own tuning: {truth:.3}, \
                 from that with errors like the twins': {mean:.3}, 90 % within {low:.3} to {high:.3})"
            )?;
        }
        Ok(())
    }
}

/// `truth.csv` of the neurons that a run's only chosen readout was fitted to.
///
/// # Errors
/// Names the file, or several readouts.
pub fn truth_of(path: &Path, model: &Model, indices: &[usize]) -> Result<Table> {
    let &[index] = indices else {
        let wanted = "one readout; choose it by --readout";
        let got = indices.len();
        return Err(Error::bad("--truth", "the number of readouts", got, wanted));
    };
    let mut truth = Table::read_csv(path)?;
    if let Some(rows) = model.config.chosen_neurons()
        && rows.iter().all(|r| *r < truth.rows())
    {
        truth = truth.select(&rows);
    }
    let (got, wanted) = (truth.rows(), model.readouts[index].neurons);
    if got != wanted {
        let what = "the number of neurons";
        return Err(Error::bad(path.display(), what, got, wanted));
    }
    Ok(truth)
}

/// What defines each neuron besides place, orientation and type: size, frequency, phase, surround and its strength, each with mean 0
/// and SD 1. What a neuron does not have is 0 before.
fn parameters(truth: &Table) -> Array2<f32> {
    let column = |name: &str| match truth.numbers(name) {
        Some(numbers) => numbers.into_owned(),
        None => vec![0.0; truth.rows()],
    };
    let phase = column("phase");
    let mut columns = [
        column("size"),
        column("frequency"),
        column("surround_size"),
        column("suppression"),
        phase.iter().map(|p| p.cos()).collect(),
        phase.iter().map(|p| p.sin()).collect(),
    ];
    let unknown = columns.iter_mut().flatten().filter(|v| v.is_nan());
    unknown.for_each(|v| *v = 0.0);
    measures::rows(columns.into())
}
