//! What changes from one step to the next, on the device for many steps ahead, so that a step asks nothing of the host.

use crate::device::{Array, Device};

/// Steps that are prepared at once at most.
pub const AHEAD: usize = 256;

/// The next steps' trials and learning rates, and the losses of those done.
#[derive(Debug)]
pub struct Schedule {
    /// Which of the prepared steps comes next.
    pub step: Array<u32>,
    /// The number of each among all steps taken: what random numbers are counted by.
    pub numbers: Array<u32>,
    /// The optimiser's rate in each.
    pub rates: Array,
    /// Each one's loss, summed over recordings.
    pub losses: Array,
    /// Per recording.
    pub rows: Vec<Rows>,
}

/// One recording's batches.
#[derive(Debug)]
pub struct Rows {
    /// Row of each trial among the responses (steps, B).
    pub trials: Array<u32>,
    /// Row of each trial's image among the images (steps, B).
    pub images: Array<u32>,
    /// What the step drops units by, see [`crate::ops::dropout::draw`] (4); goes on with the step.
    pub draw: Array<u32>,
}

impl Schedule {
    /// Room for [`AHEAD`] steps with batches of these sizes.
    pub fn new(device: &Device, batches: impl Iterator<Item = usize>) -> Self {
        let rows = |batch| Rows {
            trials: device.zeros(&[AHEAD, batch]),
            images: device.zeros(&[AHEAD, batch]),
            draw: device.zeros(&[4]),
        };
        Self {
            step: device.zeros(&[1]),
            numbers: device.zeros(&[AHEAD]),
            rates: device.zeros(&[AHEAD]),
            losses: device.zeros(&[AHEAD]),
            rows: batches.map(rows).collect(),
        }
    }

    /// Starts over after `taken` steps with these rates; the rows must have been set before.
    pub fn begin(&mut self, taken: u64, rates: &[f32]) {
        let numbers: Vec<u32> = (0..rates.len() as u64)
            .map(|i| (taken + i) as u32)
            .collect();
        self.numbers.slice_mut(0..numbers.len()).fill_from(&numbers);
        self.rates.slice_mut(0..rates.len()).fill_from(rates);
        self.step.fill(0);
    }

    /// Losses of the first `done` steps; waits for them.
    pub fn losses(&self, done: usize) -> Vec<f32> {
        self.losses.slice(0..done).download()
    }
}

impl Rows {
    /// The rows of as many steps as they fill, and the draw of the first one.
    pub fn set(&mut self, trials: &[u32], images: &[u32], draw: [u32; 4]) {
        self.draw.view_mut().fill_from(&draw);
        self.trials.slice_mut(0..trials.len()).fill_from(trials);
        self.images.slice_mut(0..images.len()).fill_from(images);
    }
}
