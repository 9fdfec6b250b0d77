//! `striate report`

use super::common::Report;
use std::path::{Path, PathBuf};
use striate::lock::Lock;
use striate::report::{Written, report};
use striate::{Result, files};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run, at any stage
    run: PathBuf,
    /// Write the page here instead of RUN/report.html; figures go into RUN/figures
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Directory of `glm --out`, to show the twin against the GLMs [default: the run]
    #[arg(long, value_name = "DIR")]
    glm: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Report> {
    let written = page(
        &arguments.run,
        arguments.out.as_deref(),
        arguments.glm.as_deref(),
    )?;
    Ok(summary(&written))
}

/// Writes the page of a run, alone.
pub fn page(run: &Path, out: Option<&Path>, glm: Option<&Path>) -> Result<Written> {
    if !run.is_dir() {
        return Err(striate::Error::file(run, "no directory, wanted a run"));
    }
    let _locks = Lock::part(run, "report")?;
    files::clear_abandoned(run);
    report(run, out, glm)
}

/// What was written.
pub fn summary(written: &Written) -> Report {
    let mut text = format!("{}\n", written.page.display());
    text.push_str(&format!(
        "{} figures, each as SVG and CSV: {}",
        written.count,
        written.figures.display()
    ));
    for note in &written.missing {
        text.push_str(&format!("\n{}", note.replace('`', "")));
    }
    Report::new(text)
        .fact("page", written.page.display().to_string())
        .fact("figures", written.count)
        .fact("directory", written.figures.display().to_string())
        .fact("missing", written.missing.clone())
}
