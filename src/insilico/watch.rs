//! How far a long experiment is, on standard error, and whether it shall stop: a bar on a terminal, a line every few
//! seconds otherwise.

use crate::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Shows progress and listens for the end.
pub struct Watch<'a> {
    stop: &'a dyn Fn() -> Option<i32>,
    shown: bool,
    told: Instant,
    started: Instant,
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl<'a> Watch<'a> {
    /// Shows progress on standard error; `stop` gives the number of a signal that has come.
    pub fn stderr(stop: &'a dyn Fn() -> Option<i32>) -> Self {
        Self {
            stop,
            shown: true,
            told: Instant::now(),
            started: Instant::now(),
            what: "",
            bar: None,
        }
    }

    /// Shows nothing and never stops.
    pub fn hidden() -> Watch<'static> {
        Watch {
            shown: false,
            ..Watch::stderr(&|| None)
        }
    }

    /// Another part of the work begins.
    pub fn begin(&mut self, what: &'static str) {
        self.finish();
        (self.what, self.started, self.told) = (what, Instant::now(), Instant::now());
        if self.shown && std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg} {bar:32} {percent} %, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(1000).with_style(style);
            bar.set_message(what);
            self.bar = Some(bar);
        }
    }

    /// Between two ticks: whether to go on.
    ///
    /// # Errors
    /// [`Error::Stopped`] when a signal has come.
    pub fn listen(&mut self) -> Result<()> {
        match (self.stop)() {
            Some(signal) => {
                self.finish();
                Err(Error::Stopped(signal))
            }
            None => Ok(()),
        }
    }

    /// `done` of `all` are done.
    ///
    /// # Errors
    /// As [`Watch::listen`].
    pub fn tick(&mut self, done: usize, all: usize) -> Result<()> {
        self.listen()?;
        if let Some(bar) = &self.bar {
            bar.set_position((1000 * done / all.max(1)) as u64);
        } else if self.shown && self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            let seconds = self.started.elapsed().as_secs_f64();
            crate::say(format_args!(
                "{}: {done} of {all} in {seconds:.0} s",
                self.what
            ));
        }
        Ok(())
    }

    /// The work is done.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("what", &self.what).finish()
    }
}
