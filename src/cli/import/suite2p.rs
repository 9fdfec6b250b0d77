//! `striate import suite2p`

use super::options::{Cut, Split, Target};
use crate::cli::Global;
use crate::cli::common::Report;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::recording::import::{self, Frames, Signal, Suite2p};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Folders of planes, or the folder suite2p that holds them
    #[arg(required = true, num_args = 1.., value_name = "FOLDER")]
    sources: Vec<PathBuf>,
    /// The frame in which each image came on, from 0
    #[arg(long, value_name = "FILE.npy")]
    onsets: PathBuf,
    /// The number of each of these images, from 0
    #[arg(long, value_name = "FILE.npy")]
    image_of_trial: PathBuf,
    /// All images: an .npy of (images, height, width), or a MATLAB file
    #[arg(long, value_name = "FILE")]
    images: PathBuf,
    /// Frames after the onset whose mean is the response, both included
    #[arg(long, value_name = "A-B")]
    window: Frames,
    /// What counts as the response: deconvolved activity, fluorescence, or its relative change
    #[arg(long, value_name = "spks|F|dff", default_value = "spks")]
    signal: Signal,
    /// Keep what suite2p does not call cells, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    cut: Cut,
    #[command(flatten)]
    split: Split,
    #[command(flatten)]
    target: Target,
}

impl Arguments {
    /// What to look at if it cannot be imported.
    pub fn source(&self) -> Option<&Path> {
        self.sources.first().map(PathBuf::as_path)
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let options = Suite2p {
        onsets: arguments.onsets.clone(),
        image_of_trial: arguments.image_of_trial.clone(),
        images: arguments.images.clone(),
        window: arguments.window.clone(),
        signal: arguments.signal,
        all: arguments.all,
        crop: arguments.cut.crop.clone(),
        rescale: arguments.cut.rescale,
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let sources = &arguments.sources;
    arguments
        .target
        .make(|out, progress| import::suite2p(sources, out, &options, progress))
}
