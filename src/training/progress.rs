//! What standard error shows of a fit: a bar on a terminal, a line per validation otherwise.

use super::history::Row;
use crate::model::config::Training;
use crate::say;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal, at most.
pub const PAUSE: Duration = Duration::from_secs(30);

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// Nobody.
    Nobody,
    /// People: a bar on a terminal, lines elsewhere.
    People,
    /// Programs: an object of JSON per line.
    Programs,
}

/// Shows how far a fit is.
#[derive(Debug)]
pub struct Progress {
    reader: Reader,
    every: Duration,
    /// Of one of several fits that tell of themselves: no bar, and nothing at validations.
    name: Option<String>,
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
    /// Steps taken in this session.
    taken: u64,
    max_steps: u64,
}

impl Progress {
    /// On standard error.
    pub fn stderr() -> Self {
        Self {
            reader: Reader::People,
            every: PAUSE,
            name: None,
            bar: None,
            started: Instant::now(),
            told: Instant::now(),
            taken: 0,
            max_steps: 0,
        }
    }

    /// A line every so often, for one of several fits at a time.
    pub fn named(name: String) -> Self {
        Self {
            name: Some(name),
            ..Self::stderr()
        }
    }

    /// Nowhere.
    pub fn hidden() -> Self {
        Self {
            reader: Reader::Nobody,
            ..Self::stderr()
        }
    }

    /// A line (a JSON object where programs read it) at least every so often.
    pub fn every(self, every: Duration, json: bool) -> Self {
        let reader = match json {
            true => Reader::Programs,
            false => Reader::People,
        };
        Self {
            reader,
            every,
            ..self
        }
    }

    pub(super) fn start(&mut self, settings: &Training, step: u64) {
        (self.started, self.max_steps) = (Instant::now(), settings.max_steps);
        (self.told, self.taken) = (self.started, 0);
        let has_terminal = self.reader == Reader::People && self.name.is_none();
        if has_terminal && std::io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("{bar:32} step {pos}/{len}, {eta} left  {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(settings.max_steps).with_style(style);
            bar.set_position(step);
            self.bar = Some(bar);
        }
    }

    /// A step of the phase's path, and how many were taken in all, those undone by early stopping included.
    pub(super) fn step(&mut self, step: u64, taken: u64) {
        self.taken += 1;
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        } else if self.reader != Reader::Nobody && self.told.elapsed() >= self.every {
            self.told = Instant::now();
            match self.reader {
                Reader::Programs => self.tell(step, json!({ "taken": taken })),
                _ => {
                    let name = self.name.as_ref().map(|n| format!("{n}: "));
                    let name = name.unwrap_or_default();
                    say(format_args!("{name}step {taken}: {}", self.pace(step)));
                }
            }
        }
    }

    /// Seconds per step, and those left if every step that is allowed is taken.
    fn seconds(&self, step: u64) -> (f64, f64) {
        let per_step = self.started.elapsed().as_secs_f64() / self.taken.max(1) as f64;
        let left = per_step * self.max_steps.saturating_sub(step) as f64;
        (per_step, left)
    }

    /// A line for programs: facts, the step, and how long it takes.
    fn tell(&self, step: u64, mut facts: Value) {
        let (per_step, left) = self.seconds(step);
        facts["step"] = step.into();
        facts["max_steps"] = self.max_steps.into();
        facts["seconds_per_step"] = per_step.into();
        facts["seconds_left_at_most"] = left.into();
        say(facts);
    }

    fn pace(&self, step: u64) -> String {
        let (per_step, left) = self.seconds(step);
        format!("{per_step:.3} s/step, at most {} left", duration(left))
    }

    pub(super) fn validated(&mut self, row: &Row, step: u64, worse: u64) {
        if self.reader == Reader::Nobody || self.name.is_some() {
            return;
        }
        if self.reader == Reader::Programs {
            self.told = Instant::now();
            let facts = json!({
                "taken": row.step,
                "phase": row.phase,
                "without_improvement": worse,
                "learning_rate": row.learning_rate,
                "train_loss": row.train_loss,
                "validation_loss": row.validation_loss,
                "validation_correlation": row.validation_correlation,
                "seconds": row.seconds,
            });
            return self.tell(step, facts);
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
        self.told = Instant::now();
        say(format_args!(
            "step {} (phase {}, {worse} without improvement): {scores}; {}",
            row.step,
            row.phase,
            self.pace(step)
        ));
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
