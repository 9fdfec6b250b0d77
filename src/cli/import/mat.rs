//! `striate import mat`

use super::options::{Split, Target};
use crate::cli::Global;
use crate::cli::common::Report;
use std::path::{Path, PathBuf};
use striate::hdf5::is_hdf5;
use striate::recording::import::{self, Hdf5, ImageAxis, Mat};
use striate::{Error, Result};

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

impl Arguments {
    /// What to look at if it cannot be imported.
    pub fn source(&self) -> &Path {
        &self.source
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    if is_hdf5(&arguments.source) {
        return version_7_3(global, arguments);
    }
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

/// Since 7.3 MATLAB's files are HDF5: a field is a path there.
fn version_7_3(global: &Global, arguments: &Arguments) -> Result<Report> {
    if arguments.image_axis.is_some() {
        let wanted = "no --image-axis: a file of version 7.3 has images x height x width";
        return Err(Error::bad(
            arguments.source.display(),
            "--image-axis",
            "given",
            wanted,
        ));
    }
    let path = |address: &Option<String>| {
        let address = address.as_ref()?;
        Some(format!(
            "/{}",
            address.trim_start_matches('/').replace('.', "/")
        ))
    };
    let options = Hdf5 {
        images: path(&arguments.images),
        responses: path(&arguments.responses),
        image_of_trial: path(&arguments.image_of_trial),
        tiers: path(&arguments.tiers),
        transpose: false,
        first_image: None,
        test_names: Vec::new(),
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let sources = std::slice::from_ref(&arguments.source);
    arguments
        .target
        .make(|out, progress| import::hdf5(sources, out, &options, progress))
}
