//! Few stimuli that drive many neurons (Ustyuzhaninov et al. 2022's choice for experiments in vivo).
//!
//! All Gabors stand in the middle of the image. The one that brings most neurons to a share of their optimal response is
//! picked, then the one that brings most of the others there, and so on.

use super::Watch;
use crate::Result;
use crate::model::Model;
use crate::stimuli::{Canvas, gabor};
use rayon::prelude::*;

/// How many shares of the optimal response each neuron reaches with each stimulus.
#[derive(Clone, Debug)]
pub struct Reached {
    /// (neurons, stimuli).
    levels: Vec<u8>,
    stimuli: usize,
    /// Neurons that have an optimal response.
    neurons: usize,
}

/// One stimulus that was picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// Its place in the list of stimuli.
    pub stimulus: usize,
    /// Neurons that none of the earlier ones had brought there.
    pub newly: usize,
    /// Share of neurons that this or an earlier one brings there.
    pub share: f64,
}

/// Parameters of the same Gabors (n, 7) with their centre in the middle of the image.
pub fn centred(gabors: &[Vec<f32>], (height, width): (usize, usize)) -> Vec<f32> {
    let middle = |pixels: usize| (pixels as f32 - 1.0) / 2.0;
    let mut all = gabors.concat();
    for one in all.chunks_exact_mut(gabor::PARAMETERS) {
        (one[0], one[1]) = (middle(width), middle(height));
    }
    all
}

impl Reached {
    /// Shows Gabors (n, 7) to neurons (rows of readout `index`) and compares with their optimal responses, in the
    /// recording's unit: `shares` are ascending, at most 255. Neurons without an optimal response above 0 do not count.
    ///
    /// # Errors
    /// When memory does not suffice, the device fails or a signal has come.
    pub fn show(
        model: &mut Model,
        index: usize,
        (neurons, optimal): (&[usize], &[f64]),
        gabors: &[f32],
        shares: &[f64],
        watch: &mut Watch,
    ) -> Result<Self> {
        assert!(neurons.len() == optimal.len() && shares.len() < 256);
        let readout = &model.readouts[index];
        let ((height, width), all) = (readout.image, readout.neurons);
        // Normalised rates at which each share is reached.
        let wanted: Vec<(usize, Vec<f32>)> = neurons
            .iter()
            .zip(optimal)
            .filter(|(_, optimal)| **optimal > 0.0)
            .map(|(&n, optimal)| {
                let best = optimal / f64::from(readout.response_scale[n]);
                (n, shares.iter().map(|s| (s * best) as f32).collect())
            })
            .collect();
        let stimuli = gabors.len() / gabor::PARAMETERS;
        let mut levels = vec![0u8; wanted.len() * stimuli];
        let device = model.device.clone();
        let batch = match device {
            crate::device::Device::Cpu => 32,
            _ => 256,
        };
        let mut predictor = model.predictor(index, batch)?;
        watch.begin("Gabors in the middle of the image");
        for first in (0..stimuli).step_by(batch) {
            let count = batch.min(stimuli - first);
            let canvas = Canvas {
                count,
                height,
                width,
            };
            let range = first * gabor::PARAMETERS..(first + count) * gabor::PARAMETERS;
            let shown = device.upload(&gabors[range], &[count, gabor::PARAMETERS]);
            let rates = predictor.drawn(count, |images| {
                gabor::draw(&device, &canvas, 1, shown.view(), images);
            });
            device.check()?;
            levels
                .par_chunks_exact_mut(stimuli)
                .zip(&wanted)
                .for_each(|(levels, (n, wanted))| {
                    for (i, level) in levels[first..first + count].iter_mut().enumerate() {
                        let rate = rates[i * all + n];
                        *level = wanted.iter().filter(|w| rate >= **w).count() as u8;
                    }
                });
            watch.tick(first + count, stimuli)?;
        }
        watch.finish();
        Ok(Self {
            levels,
            stimuli,
            neurons: wanted.len(),
        })
    }

    /// Neurons that have an optimal response.
    pub fn neurons(&self) -> usize {
        self.neurons
    }

    /// Picks up to `count` stimuli, each of which brings most of the neurons left to the `share`-th share; of equal ones
    /// the first. Fewer when none brings any.
    pub fn pick(&self, share: usize, count: usize) -> Vec<Pick> {
        let mut left: Vec<&[u8]> = self.levels.chunks_exact(self.stimuli.max(1)).collect();
        let reaches = |levels: &[u8], stimulus: usize| usize::from(levels[stimulus]) > share;
        let mut gains: Vec<usize> = (0..self.stimuli)
            .into_par_iter()
            .map(|s| left.iter().filter(|levels| reaches(levels, s)).count())
            .collect();
        let mut picks = Vec::new();
        while picks.len() < count {
            let best = gains
                .iter()
                .enumerate()
                .rev()
                .max_by_key(|(_, gain)| **gain);
            let Some((stimulus, &newly)) = best.filter(|(_, gain)| **gain > 0) else {
                break;
            };
            let (gone, rest): (Vec<&[u8]>, Vec<&[u8]>) = left
                .into_iter()
                .partition(|levels| reaches(levels, stimulus));
            gains.par_iter_mut().enumerate().for_each(|(s, gain)| {
                *gain -= gone.iter().filter(|levels| reaches(levels, s)).count();
            });
            left = rest;
            picks.push(Pick {
                stimulus,
                newly,
                share: (self.neurons - left.len()) as f64 / self.neurons as f64,
            });
        }
        picks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five neurons, four stimuli, one share.
    fn reached() -> Reached {
        let levels = [
            [1, 0, 1, 0],
            [1, 0, 1, 0],
            [1, 1, 0, 0],
            [0, 1, 0, 0],
            [0, 0, 0, 0],
        ];
        Reached {
            levels: levels.concat(),
            stimuli: 4,
            neurons: 5,
        }
    }

    #[test]
    fn each_pick_reaches_most_of_those_that_are_left() {
        let pick = |stimulus, newly, share| Pick {
            stimulus,
            newly,
            share,
        };
        // After the first, stimulus 2 brings nobody new.
        assert_eq!(reached().pick(0, 9), [pick(0, 3, 0.6), pick(1, 1, 0.8)]);
        assert_eq!(reached().pick(0, 1), [pick(0, 3, 0.6)]);
        assert_eq!(reached().pick(1, 9), []);
    }

    #[test]
    fn the_first_of_equal_stimuli_is_picked() {
        let levels = [[0, 1, 1], [0, 1, 1]];
        let reached = Reached {
            levels: levels.concat(),
            stimuli: 3,
            neurons: 2,
        };
        assert_eq!(reached.pick(0, 5)[0].stimulus, 1);
    }
}
