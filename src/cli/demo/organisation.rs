//! The second half of the demo, the population's organisation, by the commands that a user would give.

use crate::cli::planted::{Planted, Tuned};
use crate::cli::{Cli, Global, done};
use clap::Parser;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use striate::table::Table;
use striate::{Error, Result};

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
pub fn organise(global: &Global, run: &Path, truth: &Table) -> Result<Types> {
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
    let path = run.join("tuning.csv");
    let tuning = Table::read_csv(&path)?;
    let tuning = Tuned::of(|name| {
        let column = tuning.numbers(name).map(|v| v.to_vec());
        column.ok_or_else(|| Error::file(&path, format!("no column {name} of numbers")))
    })?;
    let planted = Planted::of(truth, &labels.collect::<Vec<_>>(), Some(&tuning))?;
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
