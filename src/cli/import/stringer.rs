//! `striate import stringer`

use super::options::{Cut, Split, Target};
use crate::cli::Global;
use crate::cli::common::Report;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::recording::import::{self, Stringer};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The session: natimg2800_*.mat
    source: PathBuf,
    /// All images: images_natimg2800_all.mat, or an .npy of (images, height, width)
    #[arg(long, value_name = "FILE")]
    images: PathBuf,
    #[command(flatten)]
    cut: Cut,
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
    let options = Stringer {
        images: arguments.images.clone(),
        crop: arguments.cut.crop.clone(),
        rescale: arguments.cut.rescale,
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let source = &arguments.source;
    arguments
        .target
        .make(|out, progress| import::stringer(source, out, &options, progress))
}
