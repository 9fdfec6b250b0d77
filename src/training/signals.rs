//! Ctrl-C, SIGTERM and what batch systems send instead (SIGHUP, SIGUSR1): asked for between steps while training, fatal as usual otherwise.

use crate::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Which signal has come, if any. While this lives signals only leave a note; afterwards they kill again.
#[derive(Debug, Default)]
pub struct Interrupts {
    received: Arc<AtomicUsize>,
    fatal: Arc<AtomicBool>,
}

impl Interrupts {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn listen() -> Result<Self> {
        let this = Self::default();
        let ignored = ignored();
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
            // Under nohup.
            if signal == SIGHUP && ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            let fail = |e| Error::Other(format!("cannot listen for signals: {e}"));
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&this.fatal))
                .map_err(fail)?;
            let received = Arc::clone(&this.received);
            signal_hook::flag::register_usize(signal, received, signal as usize).map_err(fail)?;
        }
        Ok(this)
    }

    /// Never interrupts.
    pub fn none() -> Self {
        Self::default()
    }

    /// As if this signal had come.
    #[cfg(test)]
    pub(super) fn pretend(signal: usize) -> Self {
        let this = Self::default();
        this.received.store(signal, Ordering::Relaxed);
        this
    }

    /// The number of the signal that came.
    pub fn signal(&self) -> Option<i32> {
        match self.received.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}

/// The signals that the caller wants ignored, a bit each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok())
        .unwrap_or(0)
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.fatal.store(true, Ordering::Relaxed);
    }
}
