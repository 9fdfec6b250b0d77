//! `striate pool`

use super::common::{Report, warn};
use super::progress::watched;
use std::path::PathBuf;
use striate::Result;
use striate::recording::{Pooling, pool};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Recordings of one image set
    #[arg(required = true, num_args = 1.., value_name = "REC")]
    recordings: Vec<PathBuf>,
    /// The recording to write
    #[arg(long, value_name = "REC")]
    out: PathBuf,
    /// Keep only images that all of them show
    #[arg(long)]
    common: bool,
    /// Column of trials.csv that names images, where the same one differs in its pixels from recording to recording; without
    /// it images are the same if their pixels are
    #[arg(long, value_name = "COLUMN")]
    image_id: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<Report> {
    let Arguments {
        recordings,
        out,
        common,
        image_id,
    } = arguments;
    let how = Pooling {
        common: *common,
        image_id: image_id.clone(),
    };
    let summary = watched(|progress| pool(recordings, out, &how, progress))?;
    summary.warnings.iter().for_each(|w| warn(w));
    Ok(
        Report::new(format!("{summary}\nrecording: {}", out.display()))
            .facts(&summary)?
            .fact("recording", out.display().to_string()),
    )
}
