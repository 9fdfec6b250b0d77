//! Memory that ops borrow for the time of a call.

use super::{Card, Memory};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blocks to borrow. None is freed while a device is open on the card or a recorded step is left: it may point into any.
#[derive(Debug, Default)]
pub(in crate::device) struct Scratch(Mutex<Vec<Memory>>);

impl Scratch {
    fn kept(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The smallest block that fits, or a new one. So what a step borrows, it finds there when it is done again, whatever
    /// else was borrowed in between.
    pub fn take(&self, card: &Arc<Card>, bytes: usize) -> Memory {
        let mut kept = self.kept();
        let fits = (0..kept.len()).filter(|&i| kept[i].bytes() >= bytes);
        let smallest = fits.min_by_key(|&i| kept[i].bytes());
        let found = smallest.map(|i| kept.swap_remove(i));
        drop(kept);
        found.unwrap_or_else(|| Memory::zeros(card, bytes))
    }

    /// Gives it back.
    pub fn give(&self, memory: Memory) {
        self.kept().push(memory);
    }
}
