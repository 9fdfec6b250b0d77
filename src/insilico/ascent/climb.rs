//! The ascent of Ecker et al. 2019 (its mathematics: [`crate::ops::ascent`]).

use super::eyes::{Eyes, move_followed, move_seat, of_seat_mut};
use super::found::Found;
use super::noise::white;
use super::recipe::Recipe;
use super::turns::Searches;
use crate::Result;
use crate::device::Array;
use crate::ops::ascent::{self, COUNTERS, Follow, Outcome, Patience};
use crate::ops::optimiser::adam_rate;
use ndarray::Array2;

/// Starts of one group's neurons on the seats of a batch.
pub(super) struct Climb<'m, 'o> {
    eyes: Eyes<'m>,
    recipe: &'o Recipe,
    /// The frequency factor, as a convolution.
    table: Array,
    /// Adam's, by step.
    rates: Array,
    z: Array,
    first: Array,
    second: Array,
    lengths: Array,
    x: Array,
    smoothness: Array,
    gradient: Array,
    damped: Array,
    follow: Follow,
    found: &'o mut Found,
}

impl<'m, 'o> Climb<'m, 'o> {
    /// With the whole image's frequency factor, as a convolution.
    pub fn new(
        eyes: Eyes<'m>,
        recipe: &'o Recipe,
        table: &Array2<f64>,
        found: &'o mut Found,
    ) -> Self {
        let (device, batch) = (eyes.device().clone(), eyes.batch());
        let shape = eyes.shape(batch);
        let (h, w) = (shape.height, shape.width);
        // Pixels of the crop that lie farther apart than the image is high or wide do not exist.
        let near = |p: usize| table.get((p / w, p % w)).map_or(0.0, |&t| t as f32);
        let near: Vec<f32> = (0..h * w).map(near).collect();
        let rate = |t: u32| adam_rate(recipe.learning_rate, u64::from(t));
        let rates: Vec<f32> = (1..=recipe.steps.max(1)).map(rate).collect();
        let zeros = || device.zeros(&[batch, h, w]);
        Self {
            table: device.upload(&near, &[h, w]),
            rates: device.upload(&rates, &[rates.len()]),
            z: zeros(),
            first: zeros(),
            second: zeros(),
            lengths: device.zeros(&[batch]),
            x: zeros(),
            smoothness: device.zeros(&[batch]),
            gradient: zeros(),
            damped: zeros(),
            follow: Follow::new(&device, &shape),
            eyes,
            recipe,
            found,
        }
    }
}

impl Searches for Climb<'_, '_> {
    fn seats(&self) -> usize {
        self.eyes.batch()
    }

    fn look(&self) -> usize {
        25
    }

    fn sit(&mut self, seat: usize, job: usize) {
        let (place, start) = self.recipe.job(job);
        let neuron = self.eyes.group().neurons[place];
        let noise = white(self.recipe.seed, neuron, start, self.found.pixels());
        let crop = self.eyes.group().cut(place, &noise);
        self.eyes.sit(seat, place);
        of_seat_mut(&mut self.z, seat).fill_from(&crop);
        for zero in [&mut self.first, &mut self.second] {
            of_seat_mut(zero, seat).fill(0.0);
        }
        of_seat_mut(&mut self.follow.counters, seat).fill(0);
    }

    fn step(&mut self, count: usize) -> Result<()> {
        let (device, shape) = (self.eyes.device().clone(), self.eyes.shape(count));
        let len = shape.len();
        let (device, norm) = (&device, self.recipe.norm);
        ascent::constrain(
            device,
            &shape,
            norm,
            self.z.slice(0..len),
            self.x.slice_mut(0..len),
            self.lengths.slice_mut(0..count),
        );
        self.eyes.forward(count, self.x.slice(0..len));
        let values = self.smoothness.slice_mut(0..count);
        ascent::smooth(
            device,
            &shape,
            self.recipe.smoothness,
            self.eyes.frames(count),
            self.x.slice(0..len),
            (self.gradient.slice_mut(0..len), values),
        );
        let rule = Patience {
            steps: self.recipe.steps,
            patience: self.recipe.patience,
        };
        let losses = (self.eyes.rates(count), self.smoothness.slice(0..count));
        let x = self.x.slice(0..len);
        ascent::track(device, &shape, &rule, losses, x, &mut self.follow);
        self.eyes
            .add_gradient(count, -1.0, self.gradient.slice_mut(0..len));
        ascent::precondition(
            device,
            &shape,
            self.table.view(),
            self.gradient.slice(0..len),
            self.damped.slice_mut(0..len),
        );
        ascent::advance(
            device,
            &shape,
            (norm, self.rates.view()),
            self.eyes.frames(count),
            (
                self.x.slice(0..len),
                self.damped.slice(0..len),
                self.lengths.slice(0..count),
            ),
            (
                self.z.slice_mut(0..len),
                self.first.slice_mut(0..len),
                self.second.slice_mut(0..len),
            ),
            self.follow.counters.slice_mut(0..count * COUNTERS),
        );
        device.check()
    }

    fn counters(&self, count: usize) -> Vec<u32> {
        self.follow.counters.slice(0..count * COUNTERS).download()
    }

    fn leave(&mut self, seat: usize, job: usize, steps: u32, outcome: Outcome) {
        let job = self.recipe.job(job);
        let end = (steps, outcome);
        self.found.note(&self.eyes, &self.follow, seat, job, end);
    }

    fn move_seat(&mut self, from: usize, to: usize) {
        self.eyes.move_seat(from, to);
        for array in [&mut self.z, &mut self.first, &mut self.second] {
            move_seat(array, from, to);
        }
        move_followed(&mut self.follow, from, to);
    }
}
