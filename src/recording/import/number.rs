//! What responses are kept as.

use crate::Error;
use crate::npy::Real;
use std::path::Path;

/// `f32`, or `f64` where the source needs it.
pub(super) trait Number: Real {
    /// Whether `float32` cannot hold it.
    fn beyond(self) -> bool;
    fn unknown(self) -> bool;
    fn put(self, bytes: &mut Vec<u8>);
}

impl Number for f32 {
    fn beyond(self) -> bool {
        self.is_infinite()
    }
    fn unknown(self) -> bool {
        self.is_nan()
    }
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Number for f64 {
    fn beyond(self) -> bool {
        (self as f32).is_infinite()
    }
    fn unknown(self) -> bool {
        self.is_nan()
    }
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

pub(super) fn infinite_at(place: &Path, at: String) -> Error {
    Error::bad(
        place.display(),
        format!("response at {at}"),
        "infinite, or beyond the range of float32",
        "a number, or NaN where it was not recorded",
    )
}
