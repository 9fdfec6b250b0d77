//! `striate import`

use super::Global;
use super::common::Report;
use std::path::PathBuf;
use striate::Result;
use striate::recording::{describe, import};
use striate::training::Interrupts;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    layout: Layout,
}

#[derive(Debug, clap::Subcommand)]
enum Layout {
    /// A folder of .npy files or an .npz: images, responses, and optionally image_ids, tiers, or one pair per tier
    Npy {
        /// The folder or .npz file
        source: PathBuf,
        /// The recording to write
        #[arg(long, value_name = "REC")]
        out: PathBuf,
    },
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let Layout::Npy { source, out } = &arguments.layout;
    let recording = import::npy(source, global.seed.unwrap_or(1))?;
    let interrupts = Interrupts::listen()?;
    recording.write_with(out, &[], &|| interrupts.signal())?;
    drop(interrupts);
    let description = describe(&recording);
    let text = format!("{description}\nrecording: {}", out.display());
    Ok(Report::new(text)
        .facts(&description)?
        .fact("recording", out.display().to_string()))
}
