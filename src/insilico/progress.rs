//! How far a search is, on standard error: a bar on a terminal, a line every few seconds otherwise.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Whether to show anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// On standard error.
    Stderr,
    /// Nowhere.
    Hidden,
}

/// A count on its way to a total.
#[derive(Debug)]
pub(super) struct Count {
    shown: bool,
    what: &'static str,
    bar: Option<ProgressBar>,
    done: usize,
    all: usize,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Of `all` images, called `what`.
    pub(super) fn count(self, what: &'static str, all: usize) -> Count {
        let shown = self == Self::Stderr;
        let bar = (shown && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len}, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(all as u64)
                .with_style(style)
                .with_message(what)
        });
        Count {
            shown,
            what,
            bar,
            done: 0,
            all,
            started: Instant::now(),
            told: Instant::now(),
        }
    }
}

impl Count {
    /// `more` are done; called now and then also with none.
    pub(super) fn add(&mut self, more: usize) {
        self.done += more;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        } else if self.shown && self.told.elapsed() >= PAUSE {
            self.line();
        }
    }

    /// All is done.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.shown {
            self.line();
        }
    }

    fn line(&mut self) {
        self.told = Instant::now();
        eprintln!(
            "{}: {} of {} in {:.1} s",
            self.what,
            self.done,
            self.all,
            self.started.elapsed().as_secs_f64()
        );
    }
}
