//! Simulated neurons whose types are known: how well clusters find them; and the second half of the demo, the population's
//! organisation, by the commands that a user would give.

use super::{Cli, Global, done};
use clap::Parser;
use ndarray::Array2;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use striate::device::Device;
use striate::insilico::Watch;
use striate::model::Model;
use striate::population::clusters::{self, adjusted_rand};
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
}

impl Planted {
    /// Of neurons without a cluster nothing is asked.
    pub fn of(truth: &Table, labels: &[Option<usize>]) -> Result<Self> {
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
        let rows = parameters(truth);
        let best = clusters::k_means(&Device::Cpu, rows.view(), &settings, &mut Watch::hidden())?;
        Ok(Self {
            planted_types: names.len(),
            cluster_rand_index: adjusted_rand(&of(&planted), &found)?,
            drive_rand_index: adjusted_rand(&of(&drives), &found)?,
            true_parameter_rand_index: adjusted_rand(&planted, &best.labels)?,
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
        )
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

/// How the planted types come back.
#[derive(Debug, Serialize)]
pub struct Types {
    #[serde(flatten)]
    planted: Planted,
    /// Share of its own optimum that a cluster's Gabor reaches on average.
    gabor_share_of_own: f64,
    /// The same of a cluster's MEI.
    mei_share_of_own: f64,
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nshare of their own optimum that neurons reach with their cluster's Gabor: {:.3}, MEI: {:.3}",
            self.planted, self.gabor_share_of_own, self.mei_share_of_own
        )
    }
}

/// Runs `meis`, `cluster`, `cluster-stimuli` and `organise` on the run.
pub fn organisation(global: &Global, run: &Path, truth: &Table) -> Result<Types> {
    let mut types = truth.text("type").unwrap_or_default();
    types.sort();
    types.dedup();
    let count = types.len();
    let clusters = count.to_string();
    let tell = |what: &str| striate::say(format_args!("{what} ..."));
    tell("looking for most exciting images");
    step(global, run, &["meis", "--starts", "1", "--steps", "40"])?;
    tell("aligning and clustering the bar codes");
    step(
        global,
        run,
        &["cluster", "--clusters", &clusters, "--perplexity", "15"],
    )?;
    tell("looking for the clusters' stimuli");
    let stimuli = [
        "cluster-stimuli",
        "--sizes",
        "8,10,12.5,15.625",
        "--contrasts",
        "1",
        "--sigmas",
        "2,4",
        "--ratios",
        "1.6",
        "--dog-contrasts=-1,1",
        "--surround-contrasts",
        "0.5,1",
        "--no-refine",
        "--starts",
        "1",
        "--steps",
        "40",
        "--angles",
        "12",
    ];
    step(global, run, &stimuli)?;
    tell("comparing clusters");
    step(global, run, &["organise"])?;

    let path = run.join("clusters.csv");
    let found = Table::read_csv(&path)?;
    let labels = found.numbers("cluster").unwrap_or_default();
    if labels.len() != truth.rows() {
        return Err(Error::file(path, "not a row for each simulated neuron"));
    }
    let labels = labels.iter().map(|l| (!l.is_nan()).then_some(*l as usize));
    let planted = Planted::of(truth, &labels.collect::<Vec<_>>())?;
    let share = |file: &str| -> Result<f64> {
        let table = Table::read_csv(&run.join(file))?;
        let shares = table.numbers("share_of_own").unwrap_or_default();
        Ok(striate::statistics::mean_of_known(&shares))
    };
    Ok(Types {
        planted,
        gabor_share_of_own: share("cluster_gabors.csv")?,
        mei_share_of_own: share("cluster_meis.csv")?,
    })
}

/// A command with the demo's device and seed, as on the command line: COMMAND RUN OPTIONS.
fn step(global: &Global, run: &Path, line: &[&str]) -> Result<()> {
    let mut words: Vec<OsString> = vec!["striate".into(), line[0].into(), run.into()];
    words.extend(line[1..].iter().map(OsString::from));
    words.extend(["--device".into(), global.device.clone().into()]);
    if let Some(seed) = global.seed {
        words.extend(["--seed".into(), seed.to_string().into()]);
    }
    let cli = Cli::try_parse_from(words).map_err(|e| Error::Other(e.to_string()))?;
    done(&cli).map(|_| ())
}

/// What defines each neuron besides place, orientation and type: size, frequency, phase, surround and its strength, each with mean 0
/// and SD 1. What a neuron does not have is 0 before.
fn parameters(truth: &Table) -> Array2<f32> {
    let column = |name: &str| truth.numbers(name).unwrap_or_default().to_vec();
    let phase = column("phase");
    let mut columns = [
        column("size"),
        column("frequency"),
        column("surround_size"),
        column("suppression"),
        phase.iter().map(|p| p.cos()).collect(),
        phase.iter().map(|p| p.sin()).collect(),
    ];
    let rows = truth.rows();
    let mut all = Array2::zeros((rows, columns.len()));
    for (at, values) in columns.iter_mut().enumerate() {
        for v in values.iter_mut().filter(|v| v.is_nan()) {
            *v = 0.0;
        }
        let mean = striate::statistics::mean(values);
        let sd = striate::statistics::variance(values, 0)
            .sqrt()
            .max(f64::MIN_POSITIVE);
        for (row, v) in values.iter().enumerate() {
            all[(row, at)] = ((v - mean) / sd) as f32;
        }
    }
    all
}
