//! `striate import mat`

use super::options::{Split, Target};
use crate::cli::Global;
use crate::cli::common::Report;
use std::path::PathBuf;
use striate::Result;
use striate::recording::import::{self, ImageAxis, Mat};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The .mat file
    source: PathBuf,
    /// The images: a variable or field, as in img or stim.images; without it the command tells what there is
    #[arg(long, value_name = "VARIABLE")]
    images: Option<String>,
    /// The responses: trials x neurons, neurons x trials, or repeats x images x neurons
    #[arg(long, value_name = "VARIABLE")]
    responses: Option<String>,
    /// The image that each trial showed, counted from 1; without it trial t showed image t
    #[arg(long, value_name = "VARIABLE")]
    image_of_trial: Option<String>,
    /// The tier of each trial or image: train, validation or test
    #[arg(long, value_name = "VARIABLE")]
    tiers: Option<String>,
    /// Which axis counts the images, first or last, where the file leaves that in doubt
    #[arg(long, value_name = "AXIS")]
    image_axis: Option<ImageAxis>,
    #[command(flatten)]
    split: Split,
    #[command(flatten)]
    target: Target,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let options = Mat {
        images: arguments.images.clone(),
        responses: arguments.responses.clone(),
        image_of_trial: arguments.image_of_trial.clone(),
        tiers: arguments.tiers.clone(),
        image_axis: arguments.image_axis,
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let source = &arguments.source;
    arguments
        .target
        .make(|out, progress| import::mat(source, out, &options, progress))
}
