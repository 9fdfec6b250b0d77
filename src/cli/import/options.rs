//! Options that several kinds of import share.

use super::told;
use crate::cli::Global;
use crate::cli::common::Report;
use crate::cli::progress::watched;
use std::ops::Range;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::recording::import::Rescale;
use striate::recording::{Progress, Shares, Summary, Test};

/// Where the recording goes.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The recording to write
    #[arg(long, value_name = "REC", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Read everything and tell what would be imported, but write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Target {
    /// Makes the recording, or only looks.
    pub fn make(
        &self,
        import: impl FnOnce(Option<&Path>, &mut Progress) -> Result<Summary>,
    ) -> Result<Report> {
        let out = self.out.as_deref().filter(|_| !self.dry_run);
        let summary = watched(|progress| import(out, progress))?;
        told(&[(summary, out.map(Path::to_path_buf))])
    }
}

/// How tiers are drawn, by image.
#[derive(Debug, clap::Args)]
pub struct Split {
    /// Share of the images that are tested
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    test: f64,
    /// Share of the other images that validate
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    validation: f64,
}

impl Split {
    pub fn shares(&self) -> Shares {
        Shares {
            test: Test::Share(self.test),
            validation: self.validation,
        }
    }

    /// Draws the tiers.
    pub fn seed(global: &Global) -> u64 {
        global.seed.unwrap_or(1)
    }
}

/// What is kept of each image.
#[derive(Debug, clap::Args)]
pub struct Cut {
    /// Columns of the images to keep: the first, and the first that is left out
    #[arg(long, value_name = "A:B", value_parser = super::columns)]
    pub crop: Option<Range<usize>>,
    /// Make images smaller: 0.25 (mean of the central 2 x 2 of every 4 x 4 pixels) or area:K (mean of K x K)
    #[arg(long, value_name = "HOW")]
    pub rescale: Option<Rescale>,
}
