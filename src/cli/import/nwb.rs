//! `striate import nwb`

use super::options::Split;
use super::told;
use crate::cli::Global;
use crate::cli::common::Report;
use crate::cli::progress::watched;
use std::path::{Path, PathBuf};
use striate::recording::import::{self, Nwb, Window};
use striate::{Error, Result};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The .nwb file, of version 2 or the Allen Institute's version 1
    source: PathBuf,
    /// Tell what the file offers: stimuli, responses and images
    #[arg(long)]
    list: bool,
    /// The stimulus, as in natural_scenes_presentations; without it the only one that numbers images
    #[arg(long, value_name = "NAME")]
    stimulus: Option<String>,
    /// The column of the stimulus that numbers the images [default: frame or frame_index]
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// units, or the path of a series of traces, as in /processing/ophys/DfOverF/series; without it units, else the only series
    #[arg(long, value_name = "PATH")]
    responses: Option<String>,
    /// When responses are looked at, in seconds after the onset of an image: from 0.05 up to 0.25, say
    #[arg(
        long,
        value_name = "FROM-TO",
        allow_hyphen_values = true,
        required_unless_present = "list"
    )]
    window: Option<Window>,
    /// Average traces over the window, and make spikes spikes per second; this is the default
    #[arg(long, conflicts_with = "sum")]
    mean: bool,
    /// Sum traces over the window, and count spikes
    #[arg(long)]
    sum: bool,
    /// The number that means that no image was shown
    #[arg(long, value_name = "NUMBER", default_value_t = -1.0, allow_hyphen_values = true)]
    blank: f64,
    /// The images: a path in the file or an .npy file of (images, height, width); without it those that belong to the stimulus
    #[arg(long, value_name = "IMAGES")]
    images: Option<String>,
    #[command(flatten)]
    split: Split,
    /// The recording to write
    #[arg(long, value_name = "REC", required_unless_present_any = ["dry_run", "list"])]
    out: Option<PathBuf>,
    /// Read everything and tell what would be imported, but write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    /// What to look at if it cannot be imported.
    pub fn source(&self) -> Option<&Path> {
        Some(&self.source)
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let source = &arguments.source;
    if arguments.list {
        return import::offers(source).map(Report::text);
    }
    let window = arguments.window;
    let options = Nwb {
        stimulus: arguments.stimulus.clone(),
        column: arguments.column.clone(),
        responses: arguments.responses.clone(),
        window: window.ok_or_else(|| Error::Other("--window is missing".into()))?,
        sum: arguments.sum,
        blank: arguments.blank,
        images: arguments.images.clone(),
        shares: arguments.split.shares(),
        seed: Split::seed(global),
    };
    let out = arguments.out.as_deref().filter(|_| !arguments.dry_run);
    let summary = watched(|progress| import::nwb(source, out, &options, progress))?;
    told(&[(summary, out.map(std::path::Path::to_path_buf))])
}
