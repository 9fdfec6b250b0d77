//! Responses whose neurons lie one after the other, turned so that trials do: memory for a block of neurons.

use super::number::{Number, infinite_at};
use crate::Result;
use crate::recording::part::Recorded;
use crate::recording::sink::ResponseFile;
use std::path::Path;

/// Bytes of responses turned at a time.
const BLOCK: usize = 1 << 26;

/// Trials that are turned together: what memory hands over in one go.
const TILE: usize = 16;

/// How many neurons of so many trials are turned at a time.
pub(super) fn at_once<T>(trials: usize) -> usize {
    (BLOCK / (trials * size_of::<T>()).max(1)).max(1)
}

/// Turns blocks of neurons.
pub(super) struct Turn<'a> {
    file: &'a ResponseFile,
    /// Which trials train.
    trained: Vec<bool>,
    place: &'a Path,
    pub(super) recorded: Recorded,
}

impl<'a> Turn<'a> {
    /// Makes room for the trials; `place` is what to name.
    pub(super) fn begin(
        file: &'a mut ResponseFile,
        neurons: usize,
        trained: Vec<bool>,
        place: &'a Path,
    ) -> Self {
        file.reserve(trained.len());
        Self {
            file,
            trained,
            place,
            recorded: Recorded::new(neurons),
        }
    }

    /// Writes neurons from `first`: all trials of the first of them, then those of the next.
    pub(super) fn put<T: Number>(&mut self, first: usize, block: &[T]) -> Result<()> {
        let count = self.trained.len();
        let neurons = block.len() / count.max(1);
        let mut known = vec![false; neurons];
        for (neuron, all) in block.chunks_exact(count.max(1)).enumerate() {
            if let Some(at) = all.iter().position(|r| r.beyond()) {
                let at = format!("neuron {}, trial {at}", first + neuron);
                return Err(infinite_at(self.place, at));
            }
            let seen = |(r, trained): (&T, &bool)| *trained && !r.unknown();
            known[neuron] = all.iter().zip(&self.trained).any(seen);
        }
        let seen = |n: usize| n.checked_sub(first).and_then(|n| known.get(n)) == Some(&true);
        self.recorded.see(seen);
        if !self.file.written() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(neurons * size_of::<T>());
        let mut tile: Vec<T> = Vec::with_capacity(neurons * TILE);
        for start in (0..count).step_by(TILE) {
            let trials = TILE.min(count - start);
            tile.clear();
            for all in block.chunks_exact(count) {
                tile.extend_from_slice(&all[start..start + trials]);
            }
            for trial in 0..trials {
                bytes.clear();
                let own = tile.iter().skip(trial).step_by(trials);
                own.for_each(|r| r.put(&mut bytes));
                self.file.patch(start + trial, first, &bytes)?;
            }
        }
        Ok(())
    }
}
