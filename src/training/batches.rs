//! A recording on the device, and the order in which its training trials come.

use super::schedule::Rows;
use crate::device::{Array, Device, View};
use crate::model::{Workspace, readout};
use crate::ops::gather;
use crate::ops::loss::Loss;
use crate::recording::preprocess::Preprocessing;
use crate::recording::{Recording, Tier};
use ndarray::{Array2, ArrayView1};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Images and normalised responses, resident on the device.
#[derive(Debug)]
pub struct Data {
    images: Array,
    responses: Array,
    image_of_trial: Vec<u32>,
    /// Height and width.
    pub image: (usize, usize),
    /// Training trials.
    pub training: Vec<u32>,
    /// Validation trials; none if nothing was recorded on any of them.
    pub validation: Vec<u32>,
    /// Validation loss of a prediction that is each neuron's mean training response, whatever the image; 0 without
    /// validation.
    pub constant_loss: f64,
}

impl Data {
    /// Uploads z-scored images and the given responses (trials, neurons), whose means over training trials are given too.
    pub fn new(
        device: &Device,
        recording: &Recording,
        preprocessing: &Preprocessing,
        (responses, means): (Array2<f32>, &[f32]),
        loss: Loss,
    ) -> Self {
        let z = preprocessing.z_score(recording.images.view());
        let (n, h, w) = z.dim();
        let of_tier = |tier| {
            recording
                .trials_of(tier)
                .into_iter()
                .map(|t| t as u32)
                .collect()
        };
        let (trials, neurons) = responses.dim();
        let mut validation: Vec<u32> = of_tier(Tier::Validation);
        let known = |t: &u32| responses.row(*t as usize).iter().any(|r| !r.is_nan());
        if !validation.iter().any(known) {
            validation.clear();
        }
        let constant_loss = validation
            .iter()
            .map(|t| loss_of_means(loss, responses.row(*t as usize), means))
            .sum::<f64>()
            / validation.len().max(1) as f64;
        let flat: Vec<f32> = responses.into_iter().collect();
        Self {
            images: device.upload(&z.into_iter().collect::<Vec<f32>>(), &[n, h * w]),
            responses: device.upload(&flat, &[trials, neurons]),
            image_of_trial: recording.trials.iter().map(|t| t.image as u32).collect(),
            image: (h, w),
            training: of_tier(Tier::Train),
            validation,
            constant_loss,
        }
    }

    /// Copies images and responses of these trials (rows of the recording) into the buffers.
    pub fn load(
        &self,
        device: &Device,
        trials: &[u32],
        space: &mut Workspace,
        buffers: &mut readout::Buffers,
    ) {
        let images: Vec<u32> = trials.iter().map(|&t| self.image_of(t)).collect();
        pick(device, &self.images, &images, &mut space.images);
        pick(device, &self.responses, trials, &mut buffers.responses);
    }

    /// Row of the image of a trial.
    pub fn image_of(&self, trial: u32) -> u32 {
        self.image_of_trial[trial as usize]
    }

    /// Copies images and responses of the trials of step `step[0]` into the buffers.
    pub fn load_scheduled(
        &self,
        device: &Device,
        rows: &Rows,
        step: View<u32>,
        space: &mut Workspace,
        buffers: &mut readout::Buffers,
    ) {
        let batch = rows.trials.shape()[1];
        let pick = |source: &Array, rows: &Array<u32>, out: &mut Array| {
            let width = source.shape()[1];
            let out = out.slice_mut(0..batch * width);
            gather::scheduled_rows(device, width, source.view(), rows.view(), step, out);
        };
        pick(&self.images, &rows.images, &mut space.images);
        pick(&self.responses, &rows.trials, &mut buffers.responses);
    }
}

/// Loss of a trial where every rate is the neuron's mean.
fn loss_of_means(loss: Loss, responses: ArrayView1<'_, f32>, means: &[f32]) -> f64 {
    let pairs = responses.into_iter().zip(means);
    let recorded = pairs.filter(|(r, _)| !r.is_nan());
    recorded
        .map(|(r, m)| loss.value(f64::from(*m), f64::from(*r)))
        .sum()
}

fn pick(device: &Device, source: &Array, rows: &[u32], out: &mut Array) {
    let width = source.shape()[1];
    let index = device.upload(rows, &[rows.len()]);
    let out = out.slice_mut(0..rows.len() * width);
    gather::rows(device, width, source.view(), index.view(), out);
}

/// A new random order of the training trials every epoch; the last incomplete batch is dropped. Epoch e is a function
/// of seed, recording and e alone, so a resumed run draws the same batches.
#[derive(Debug)]
pub struct Order {
    /// Trials per batch.
    pub batch: usize,
    count: usize,
    seed: u64,
    stream: u64,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl Order {
    /// Of `count` trials.
    pub fn new(count: usize, batch: usize, seed: u64, recording: u64) -> Self {
        // Weights use the streams from 0, one per tensor.
        let stream = (recording + 1) << 32;
        Self {
            batch: batch.min(count),
            count,
            seed,
            stream,
            epoch: None,
            order: Vec::new(),
        }
    }

    /// Positions (among the training trials) of the batch of step `taken`.
    pub fn positions(&mut self, taken: u64) -> &[u32] {
        let per_epoch = (self.count / self.batch) as u64;
        let epoch = taken / per_epoch;
        if self.epoch != Some(epoch) {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(self.stream + epoch);
            self.order = (0..self.count as u32).collect();
            self.order.shuffle(&mut rng);
            self.epoch = Some(epoch);
        }
        let at = (taken % per_epoch) as usize * self.batch;
        &self.order[at..at + self.batch]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::loss::EPSILON;

    #[test]
    fn the_loss_of_a_constant_rate_is_that_of_the_recorded_neurons() {
        let responses = ndarray::array![2.0_f32, f32::NAN, 0.0];
        let got = |loss| loss_of_means(loss, responses.view(), &[1.0, 5.0, 0.5]);
        let wanted = 1.0 - 2.0 * (1.0 + EPSILON).ln() + 0.5;
        assert!((got(Loss::Poisson) - wanted).abs() <= 1e-12);
        assert!((got(Loss::VarianceScaledMse) - 1.25).abs() <= 1e-12);
    }
}
