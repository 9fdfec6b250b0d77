//! A system of a search that is no network: a generalised linear model per neuron.

use super::{End, Finished};
use crate::glm::progress::Progress;
use crate::glm::{Settings, fit, keep};
use crate::model::Config;
use crate::recording::Recording;
use crate::results::{Results, USUAL};
use crate::scoring::on_recording;
use crate::table::Table;
use crate::training::{Interrupts, seen};
use crate::{Result, files};
use std::path::Path;
use std::time::Instant;

/// Fits all neurons that the configuration names and leaves `evaluation.csv`, and of each recording `glm.csv` and
/// `glm_weights.npy`: beside it, or, of several, in directories of their names.
///
/// # Errors
/// As [`fit`], or the file that cannot be written.
pub(super) fn fitted(
    out: &Path,
    config: &Config,
    recordings: &[Recording],
    interrupts: &Interrupts,
    is_shown: bool,
) -> Result<Finished> {
    let started = Instant::now();
    let settings = Settings {
        seed: config.training.seed,
        ..Settings::default()
    };
    let stop = || interrupts.signal();
    let mut scores = Vec::new();
    let several = recordings.len() > 1;
    let seen = seen(&config.training, recordings)?;
    for (whole, recording) in recordings.iter().zip(seen.iter()) {
        let rows: Vec<usize> = (0..recording.neuron_count()).collect();
        let progress = match is_shown {
            true => Progress::Stderr,
            false => Progress::Hidden,
        };
        let glms = fit(recording, &rows, &settings, progress, &stop)?;
        let place = match several {
            true => out.join(&recording.name),
            false => out.to_path_buf(),
        };
        files::create_directory(&place)?;
        glms.write(keep::place(&place, whole, USUAL.into(), None)?, whole)?;
        if let Some(table) = glms.scores {
            scores.push((recording.name.clone(), on_recording(table, whole)));
        }
    }
    let mut finished = Finished {
        status: End::Done,
        seconds: Some(started.elapsed().as_secs_f64()),
        ..Finished::default()
    };
    if !scores.is_empty() {
        let names: Vec<String> = scores.iter().map(|(name, _)| name.clone()).collect();
        let scores = Table::stacked(scores, several.then_some("recording"));
        finished.score(&scores);
        let origin = keep::origin(&recordings.iter().collect::<Vec<_>>(), USUAL.into());
        Results::open(out, ("evaluation.csv", &[]), origin, &names, None)?
            .write(&scores, Vec::new())?;
    }
    Ok(finished)
}
