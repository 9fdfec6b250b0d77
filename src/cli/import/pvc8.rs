//! `striate import pvc8`

use super::options::{Split, Target};
use crate::cli::Global;
use crate::cli::common::Report;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::recording::import::{self, Extent, Milliseconds, Pvc8};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The session: 01.mat to 10.mat
    source: PathBuf,
    /// Milliseconds after the onset in which spikes are counted, from and to
    #[arg(long, value_name = "A-B", default_value = "50-100")]
    window: Milliseconds,
    /// Keep only the small, or only the large version of the natural images
    #[arg(long, value_name = "small|large")]
    images: Option<Extent>,
    /// Keep natural images only, no gratings
    #[arg(long)]
    natural: bool,
    #[command(flatten)]
    split: Split,
    #[command(flatten)]
    target: Target,
}

impl Arguments {
    /// What to look at if it cannot be imported.
    pub fn source(&self) -> &Path {
        &self.source
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let options = Pvc8 {
        window: arguments.window.clone(),
        images: arguments.images,
        natural: arguments.natural,
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let source = &arguments.source;
    arguments
        .target
        .make(|out, progress| import::pvc8(source, out, &options, progress))
}
