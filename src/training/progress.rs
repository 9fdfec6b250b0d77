//! What standard error shows of a fit: a bar on a terminal, a line per validation otherwise.

use super::history::Row;
use crate::model::config::Training;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows how far a fit is.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    started: Instant,
    first: u64,
    max_steps: u64,
}

impl Progress {
    /// On standard error.
    pub fn stderr() -> Self {
        Self {
            quiet: false,
            bar: None,
            started: Instant::now(),
            first: 0,
            max_steps: 0,
        }
    }

    /// Nowhere.
    pub fn hidden() -> Self {
        Self {
            quiet: true,
            ..Self::stderr()
        }
    }

    pub(super) fn start(&mut self, settings: &Training, step: u64, taken: u64) {
        (self.started, self.first, self.max_steps) = (Instant::now(), taken, settings.max_steps);
        if !self.quiet && std::io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("{bar:32} step {pos}/{len}, {eta} left  {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(settings.max_steps).with_style(style);
            bar.set_position(step);
            self.bar = Some(bar);
        }
    }

    pub(super) fn step(&self, step: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
    }

    pub(super) fn validated(&self, row: &Row, step: u64, worse: u64) {
        if self.quiet {
            return;
        }
        let text =
            |v: Option<f64>, digits: usize| v.map_or("-".into(), |v| format!("{v:.digits$}"));
        let scores = format!(
            "train loss {:.4}, validation loss {}, correlation {}",
            row.train_loss,
            text(row.validation_loss, 4),
            text(row.validation_correlation, 4),
        );
        if let Some(bar) = &self.bar {
            bar.set_message(scores);
            return;
        }
        let taken = (row.step - self.first).max(1);
        let per_step = self.started.elapsed().as_secs_f64() / taken as f64;
        let left = per_step * self.max_steps.saturating_sub(step) as f64;
        eprintln!(
            "step {} (phase {}, {worse} without improvement): {scores}; {:.3} s/step, at most {} left",
            row.step,
            row.phase,
            per_step,
            duration(left)
        );
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds in words.
pub fn duration(seconds: f64) -> String {
    indicatif::HumanDuration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9))).to_string()
}
