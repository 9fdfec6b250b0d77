//! `striate import hdf5`

use super::options::{Split, Target};
use crate::cli::Global;
use crate::cli::common::Report;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::recording::import::{self, Hdf5};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The file; or the files of training, validation and testing, in this order
    #[arg(required = true, num_args = 1..=3, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The images, (images, height, width): a path in the file, as in /stimuli/images; without it known layouts are looked for
    #[arg(long, value_name = "PATH")]
    images: Option<String>,
    /// The responses: (trials, neurons) or (repeats, images, neurons)
    #[arg(long, value_name = "PATH")]
    responses: Option<String>,
    /// The number of the image that each trial showed; without it trial t showed image t
    #[arg(long, value_name = "PATH")]
    image_of_trial: Option<String>,
    /// The tier of each trial or image: train, validation, test or none
    #[arg(long, value_name = "PATH")]
    tiers: Option<String>,
    /// All axes are the other way round; MATLAB's files are turned without it
    #[arg(long)]
    transpose: bool,
    /// What the first image is called [default: 0, of MATLAB's files 1]
    #[arg(long, value_name = "N")]
    first_image: Option<usize>,
    /// openretina: stimuli that are tested; without it tiers are drawn by image
    #[arg(long, value_name = "NAME", num_args = 1..)]
    test_names: Vec<String>,
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
    let options = Hdf5 {
        images: arguments.images.clone(),
        responses: arguments.responses.clone(),
        image_of_trial: arguments.image_of_trial.clone(),
        tiers: arguments.tiers.clone(),
        transpose: arguments.transpose,
        first_image: arguments.first_image,
        test_names: arguments.test_names.clone(),
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let sources = &arguments.sources;
    arguments
        .target
        .make(|out, progress| import::hdf5(sources, out, &options, progress))
}
