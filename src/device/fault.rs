//! The first fault of a device, kept until somebody asks: launches return nothing, so that ops need no plumbing.

use crate::{Error, Result};
use std::sync::{Mutex, PoisonError};

/// Holds the first fault.
#[derive(Debug, Default)]
pub struct Fault(Mutex<Option<String>>);

impl Fault {
    /// Keeps the first.
    pub fn set(&self, message: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert(message);
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// The first fault as an error.
    pub fn check(&self) -> Result<()> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            None => Ok(()),
            Some(message) => Err(Error::Other(message.clone())),
        }
    }
}
