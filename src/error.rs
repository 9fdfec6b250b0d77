//! One error for the whole crate: where, what, got, wanted. The library returns it; `main` prints it.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Result with the crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the words of the person who gave the input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that cannot be used.
    #[error("{place}: {what} is {got}, wanted {wanted}")]
    Bad {
        /// File, row, key or argument.
        place: String,
        /// The quantity.
        what: String,
        /// Its value.
        got: String,
        /// What would have been accepted.
        wanted: String,
    },
    /// A file that cannot be read or written, or whose content makes no sense.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        what: String,
    },
    /// Anything else, one sentence.
    #[error("{0}")]
    Other(String),
    /// Ctrl-C or SIGTERM; the payload is the signal's number.
    #[error("interrupted by {}; continue with --resume", signal_name(*.0))]
    Interrupted(i32),
    /// The same, in what goes on by itself when it is asked for again.
    #[error("interrupted by {}; the same command goes on", signal_name(*.0))]
    Paused(i32),
    /// The same, in what cannot be continued.
    #[error("interrupted by {}; nothing was written", signal_name(*.0))]
    Stopped(i32),
}

fn signal_name(signal: i32) -> String {
    match signal {
        1 => "SIGHUP".to_string(),
        2 => "Ctrl-C".to_string(),
        10 => "SIGUSR1".to_string(),
        15 => "SIGTERM".to_string(),
        n => format!("signal {n}"),
    }
}

impl Error {
    /// `place: what is got, wanted wanted`.
    pub fn bad(
        place: impl Display,
        what: impl Display,
        got: impl Display,
        wanted: impl Display,
    ) -> Self {
        Self::Bad {
            place: place.to_string(),
            what: what.to_string(),
            got: got.to_string(),
            wanted: wanted.to_string(),
        }
    }

    /// `path: what`.
    pub fn file(path: impl AsRef<Path>, what: impl Display) -> Self {
        Self::File {
            path: path.as_ref().to_path_buf(),
            what: what.to_string(),
        }
    }
}
