//! Messages on standard error: whatever becomes of it (a full disk, a terminal that is gone), work goes on.

use std::fmt::Display;
use std::io::Write;

/// Writes one line, in one piece, to standard error; one that cannot be written is dropped.
pub fn say(text: impl Display) {
    let line = format!("{text}\n");
    // Nobody is left to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
