//! Launches that are noted and not run: what a step asks of a card, at sizes that take the emulator too long.

use super::super::launch::Kernel;
use super::super::precision::Precision;
use std::sync::{Mutex, PoisonError};

/// One launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Launched {
    /// The kernel's name.
    pub kernel: &'static str,
    /// Of its factors; `f32` for kernels that know no other.
    pub precision: &'static str,
    /// All of the grid.
    pub blocks: usize,
    /// Of a block.
    pub threads: usize,
}

/// Launches in the order in which they were asked for.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<Launched>>);

impl Notes {
    pub fn add(&self, kernel: &'static Kernel, precision: Precision, grid: [u32; 3]) {
        let launched = Launched {
            kernel: kernel.name,
            precision: precision.name(),
            blocks: grid.iter().map(|&n| n as usize).product(),
            threads: kernel.threads,
        };
        self.lock().push(launched);
    }

    pub fn take(&self) -> Vec<Launched> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Launched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
