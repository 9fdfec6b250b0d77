//! The ascent of Walker et al. 2019: images are grey levels near a uniform screen's, in z-scores; each step goes along the
//! damped gradient over its mean size, is clipped to what a screen shows, and blurred; steps and blur shrink.

use super::eyes::{Eyes, move_followed, move_seat, of_seat_mut};
use super::found::Found;
use super::noise::white;
use super::recipe::Recipe;
use super::turns::Searches;
use crate::Result;
use crate::device::Array;
use crate::insilico::preconditioner::{convolution, damping};
use crate::ops::ascent::{self, COUNTERS, Follow, Outcome, Patience};
use crate::recording::preprocess::Preprocessing;

/// Grey levels that images start from: mean and SD.
const START: [f32; 2] = [128.0, 8.0];
/// Lowest and highest grey level.
const GREY: [f32; 2] = [0.0, 255.0];
/// The step's size at the start and at the end.
const SIZES: [f64; 2] = [3.0, 0.125];
/// What sizes are multiplied by.
const GAIN: f64 = 0.1 / 255.0;
/// SD of the blur in pixels, at the start and at the end.
const BLUR: [f64; 2] = [1.5, 0.01];
/// Power of the frequency by which gradients are damped: 0.1 of its square.
const POWER: f64 = 0.2;
/// SDs at which the blur is cut off.
const CUT: f64 = 4.0;

/// Starts of one group's neurons on the seats of a batch; whole images.
pub(super) struct Walk<'m, 'o> {
    eyes: Eyes<'m>,
    recipe: &'o Recipe,
    preprocessing: Preprocessing,
    table: Array,
    sizes: Array,
    weights: Array,
    taps: usize,
    x: Array,
    between: Array,
    gradient: Array,
    damped: Array,
    /// 0: nothing but the rate counts.
    smoothness: Array,
    follow: Follow,
    found: &'o mut Found,
}

impl<'m, 'o> Walk<'m, 'o> {
    /// With grey levels as the model sees them.
    pub fn new(
        eyes: Eyes<'m>,
        recipe: &'o Recipe,
        preprocessing: Preprocessing,
        found: &'o mut Found,
    ) -> Self {
        let (device, batch) = (eyes.device().clone(), eyes.batch());
        let shape = eyes.shape(batch);
        let (h, w) = (shape.height, shape.width);
        let table = convolution(&damping(h, w, POWER));
        let table: Vec<f32> = table.iter().map(|&t| t as f32).collect();
        let steps = recipe.steps as usize;
        let along = |[first, last]: [f64; 2], step: usize| {
            first + (last - first) * step as f64 / (steps.max(2) - 1) as f64
        };
        let size = |step| (GAIN * along(SIZES, step)) as f32;
        let sizes: Vec<f32> = (0..steps).map(size).collect();
        let taps = (CUT * BLUR[0]).round() as usize + 1;
        let weights: Vec<f32> = (0..steps)
            .flat_map(|step| gaussian(along(BLUR, step), taps))
            .collect();
        let zeros = || device.zeros(&[batch, h, w]);
        Self {
            table: device.upload(&table, &[h, w]),
            sizes: device.upload(&sizes, &[steps]),
            weights: device.upload(&weights, &[steps, taps]),
            taps,
            x: zeros(),
            between: zeros(),
            gradient: zeros(),
            damped: zeros(),
            smoothness: device.zeros(&[batch]),
            follow: Follow::new(&device, &shape),
            eyes,
            recipe,
            preprocessing,
            found,
        }
    }

    fn z(&self, grey: f32) -> f32 {
        (grey - self.preprocessing.image_mean) / self.preprocessing.image_sd
    }
}

/// Weights of the middle and of each distance, whose sum over both sides is 1.
fn gaussian(sd: f64, taps: usize) -> Vec<f32> {
    let weights: Vec<f64> = (0..taps)
        .map(|d| (-0.5 * (d as f64 / sd).powi(2)).exp())
        .collect();
    let sum = 2.0 * weights.iter().sum::<f64>() - weights[0];
    weights.into_iter().map(|w| (w / sum) as f32).collect()
}

impl Searches for Walk<'_, '_> {
    fn seats(&self) -> usize {
        self.eyes.batch()
    }

    fn look(&self) -> usize {
        25
    }

    fn sit(&mut self, seat: usize, job: usize) {
        let (place, start) = self.recipe.job(job);
        let neuron = self.eyes.group().neurons[place];
        let mut image = white(self.recipe.seed, neuron, start, self.found.pixels());
        for v in &mut image {
            *v = self.z(START[0] + START[1] * *v);
        }
        let image = self.eyes.group().cut(place, &image);
        self.eyes.sit(seat, place);
        of_seat_mut(&mut self.x, seat).fill_from(&image);
        for zero in [&mut self.follow.best, &mut self.follow.averages] {
            of_seat_mut(zero, seat).fill(0.0);
        }
        of_seat_mut(&mut self.follow.counters, seat).fill(0);
    }

    fn step(&mut self, count: usize) -> Result<()> {
        let (device, shape) = (self.eyes.device().clone(), self.eyes.shape(count));
        let len = shape.len();
        let (lowest, highest) = (self.z(GREY[0]), self.z(GREY[1]));
        self.eyes.forward(count, self.x.slice(0..len));
        let rule = Patience {
            steps: self.recipe.steps,
            patience: u32::MAX,
        };
        let losses = (self.eyes.rates(count), self.smoothness.slice(0..count));
        let x = self.x.slice(0..len);
        ascent::track(&device, &shape, &rule, losses, x, &mut self.follow);
        self.gradient.slice_mut(0..len).fill(0.0);
        self.eyes
            .add_gradient(count, 1.0, self.gradient.slice_mut(0..len));
        ascent::precondition(
            &device,
            &shape,
            self.table.view(),
            self.gradient.slice(0..len),
            self.damped.slice_mut(0..len),
        );
        let counters = count * COUNTERS;
        ascent::walk(
            &device,
            &shape,
            self.sizes.view(),
            (lowest, highest),
            self.damped.slice(0..len),
            self.x.slice_mut(0..len),
            self.follow.counters.slice_mut(0..counters),
        );
        for down in [true, false] {
            let (from, to) = match down {
                true => (&self.x, &mut self.between),
                false => (&self.between, &mut self.x),
            };
            ascent::blur(
                &device,
                &shape,
                (self.weights.view(), self.taps),
                down,
                from.slice(0..len),
                to.slice_mut(0..len),
                self.follow.counters.slice(0..counters),
            );
        }
        device.check()
    }

    fn counters(&self, count: usize) -> Vec<u32> {
        self.follow.counters.slice(0..count * COUNTERS).download()
    }

    fn leave(&mut self, seat: usize, job: usize, steps: u32, outcome: Outcome) {
        let job = self.recipe.job(job);
        // There is no other end than that of the steps.
        let outcome = match outcome {
            Outcome::OutOfSteps => Outcome::Converged,
            other => other,
        };
        let end = (steps, outcome);
        self.found.note(&self.eyes, &self.follow, seat, job, end);
    }

    fn move_seat(&mut self, from: usize, to: usize) {
        self.eyes.move_seat(from, to);
        move_seat(&mut self.x, from, to);
        move_followed(&mut self.follow, from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blur_keeps_the_mean_and_ends_as_none() {
        for sd in [1.5, 0.7, 0.01] {
            let weights = gaussian(sd, 7);
            let sum: f32 = weights.iter().sum::<f32>() * 2.0 - weights[0];
            assert!((sum - 1.0).abs() <= 1e-6);
        }
        assert_eq!(gaussian(0.01, 3), [1.0, 0.0, 0.0]);
        let wide = gaussian(1.5, 7);
        assert!((f64::from(wide[1] / wide[0]) - (-0.5f64 / 2.25).exp()).abs() <= 1e-6);
    }
}
