//! The best images of the starts so far.

use super::eyes::{Eyes, of_seat};
use crate::ops::ascent::{AVERAGES, Follow, Outcome};
use ndarray::{Array2, Array3, Array4, Axis};

/// The best images so far.
pub(super) struct Found {
    pub images: Array3<f32>,
    /// (n, 0, H, W) where only the best are kept.
    pub all: Array4<f32>,
    pub ends: Vec<Option<End>>,
    /// (n, starts).
    pub steps: Array2<u32>,
}

impl Found {
    /// Nothing yet of so many neurons' starts on images of this size; the images of all starts on request.
    pub fn none(neurons: usize, starts: usize, (height, width): (usize, usize), all: bool) -> Self {
        let kept = if all { starts } else { 0 };
        Self {
            images: Array3::zeros((neurons, height, width)),
            all: Array4::zeros((neurons, kept, height, width)),
            ends: vec![None; neurons],
            steps: Array2::zeros((neurons, starts)),
        }
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> usize {
        self.images.len_of(Axis(1)) * self.images.len_of(Axis(2))
    }

    /// A start of that neuron of the group ended on this seat.
    pub fn note(
        &mut self,
        eyes: &Eyes,
        follow: &Follow,
        seat: usize,
        (place, start): (usize, usize),
        (steps, outcome): (u32, Outcome),
    ) {
        let row = eyes.group().places[place];
        self.steps[(row, start)] = steps;
        let best = of_seat(&follow.best, seat).download();
        let loss = match outcome {
            Outcome::Diverged => f32::INFINITY,
            _ => of_seat(&follow.averages, seat).download()[AVERAGES - 1],
        };
        let found = self.ends[row].as_ref();
        if found.is_none_or(|f| loss < f.loss || (loss == f.loss && start < f.start)) {
            self.ends[row] = Some(End {
                loss,
                start,
                steps,
                outcome,
            });
            let mut image = self.images.index_axis_mut(Axis(0), row);
            if let Some(whole) = image.as_slice_mut() {
                eyes.group().paste(place, &best, whole);
            }
        }
        if self.all.len_of(Axis(1)) > 0 {
            let mut of_neuron = self.all.index_axis_mut(Axis(0), row);
            let mut image = of_neuron.index_axis_mut(Axis(0), start);
            if let Some(whole) = image.as_slice_mut() {
                eyes.group().paste(place, &best, whole);
            }
        }
    }
}

/// Where one start ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub loss: f32,
    pub start: usize,
    pub steps: u32,
    pub outcome: Outcome,
}
