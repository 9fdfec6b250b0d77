//! `striate split`

use super::Global;
use super::common::Report;
use super::progress::watched;
use std::path::PathBuf;
use striate::Result;
use striate::recording::{Shares, Test, split};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The recording, with or without tiers
    recording: PathBuf,
    /// The recording to write
    #[arg(long, value_name = "REC")]
    out: PathBuf,
    /// Share of the images that are tested [default: 0.2]
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["folds", "fold"])]
    test: Option<f64>,
    /// Share of the other images that validate
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    validation: f64,
    /// Parts of the images of which each is tested once
    #[arg(long, value_name = "N", requires = "fold")]
    folds: Option<usize>,
    /// The part that is tested here, from 0
    #[arg(long, value_name = "N", requires = "folds")]
    fold: Option<usize>,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let test = match (arguments.folds, arguments.fold) {
        (Some(folds), Some(fold)) => Test::Fold { folds, fold },
        _ => Test::Share(arguments.test.unwrap_or(0.2)),
    };
    let shares = Shares {
        test,
        validation: arguments.validation,
    };
    let (source, out) = (&arguments.recording, &arguments.out);
    let seed = global.seed.unwrap_or(1);
    let summary = watched(|progress| split(source, out, &shares, seed, progress))?;
    Ok(
        Report::new(format!("{summary}\nrecording: {}", out.display()))
            .facts(&summary)?
            .fact("recording", out.display().to_string()),
    )
}
