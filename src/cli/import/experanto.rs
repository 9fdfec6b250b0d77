//! `striate import experanto`

use super::options::{Cut, Target};
use crate::cli::common::Report;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::recording::import::{self, Experanto, Seconds};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder that holds screen and responses
    source: PathBuf,
    /// Seconds after the onset whose mean is the response, from and to
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    window: Seconds,
    #[command(flatten)]
    cut: Cut,
    #[command(flatten)]
    target: Target,
}

impl Arguments {
    /// What to look at if it cannot be imported.
    pub fn source(&self) -> &Path {
        &self.source
    }
}

pub fn run(arguments: &Arguments) -> Result<Report> {
    let options = Experanto {
        window: arguments.window.clone(),
        crop: arguments.cut.crop.clone(),
        rescale: arguments.cut.rescale,
    };
    let source = &arguments.source;
    arguments
        .target
        .make(|out, progress| import::experanto(source, out, &options, progress))
}
