//! How far a fit is, on standard error: a bar on a terminal, a line every few seconds otherwise.

use argmin::core::observers::Observe;
use argmin::core::{Error, KV, State};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Whether to show anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// On standard error.
    Stderr,
    /// Nowhere.
    Hidden,
}

impl Progress {
    /// What the solver tells how many columns are left.
    pub(super) fn observer(self, what: &'static str) -> Observer {
        Observer {
            shown: self == Self::Stderr,
            what,
            bar: None,
            all: 0.0,
            started: Instant::now(),
            told: Instant::now(),
        }
    }
}

/// Observes a solver whose cost is the number of columns left.
#[derive(Debug)]
pub(super) struct Observer {
    shown: bool,
    what: &'static str,
    bar: Option<ProgressBar>,
    all: f64,
    started: Instant,
    told: Instant,
}

impl Observer {
    fn line(&mut self, left: f64) {
        self.told = Instant::now();
        crate::say(format_args!(
            "{}: {} of {} columns in {:.1} s",
            self.what,
            self.all - left,
            self.all,
            self.started.elapsed().as_secs_f64()
        ));
    }
}

impl<I: State<Float = f64>> Observe<I> for Observer {
    fn observe_init(&mut self, _: &str, state: &I, _: &KV) -> Result<(), Error> {
        (self.all, self.started) = (state.get_cost(), Instant::now());
        self.told = self.started;
        if self.shown && std::io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} columns, {eta} left")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(self.all as u64).with_style(style);
            bar.set_message(self.what);
            self.bar = Some(bar);
        }
        Ok(())
    }

    fn observe_iter(&mut self, state: &I, _: &KV) -> Result<(), Error> {
        let left = state.get_cost();
        if let Some(bar) = &self.bar {
            bar.set_position((self.all - left) as u64);
        } else if self.shown && self.told.elapsed() >= PAUSE {
            self.line(left);
        }
        Ok(())
    }

    fn observe_final(&mut self, state: &I) -> Result<(), Error> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.shown {
            self.line(state.get_cost());
        }
        Ok(())
    }
}
