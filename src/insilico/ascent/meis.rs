//! Most exciting images (Ecker et al. 2019): images of a given norm that a neuron responds to most.

use super::eyes::{self, Eyes, Member, move_seat, of_seat, of_seat_mut};
use super::noise::white;
use super::responses::responses;
use super::turns::{Searches, take_turns};
use crate::Result;
use crate::device::Array;
use crate::insilico::Watch;
use crate::insilico::preconditioner::{convolution, transfer};
use crate::ops::ascent::{self, AVERAGES, COUNTERS, Follow, Outcome, Patience};
use crate::ops::optimiser::adam_rate;
use crate::table::{Column, Table};
use ndarray::{Array2, Array3, Array4, ArrayView3, Axis};

/// How images are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Norm of the whole image, in z-scores.
    pub norm: f64,
    /// Random starts per neuron, of which the one with the lowest loss is kept.
    pub starts: usize,
    /// Most steps.
    pub steps: u32,
    /// Weight of the sum of squares of the image's Laplacian.
    pub smoothness: f64,
    /// Adam's.
    pub learning_rate: f64,
    /// Steps without a new minimum of the moving average of the loss, after which an image is done.
    pub patience: u32,
    /// Of the starts.
    pub seed: u64,
    /// Whether to keep the images of all starts.
    pub keep_all: bool,
    /// Whether to search on whole images: slower, and a check of the crops.
    pub whole: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            norm: 12.0,
            starts: 8,
            steps: 2000,
            smoothness: 0.005,
            learning_rate: 1.0,
            patience: 100,
            seed: 1,
            keep_all: false,
            whole: false,
        }
    }
}

/// One neuron's most exciting image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mei {
    /// Row of the readout.
    pub neuron: usize,
    /// Response to the whole image, in the recording's unit.
    pub response: f64,
    /// Norm of the image.
    pub norm: f64,
    /// Steps taken by the start that was kept.
    pub steps: u32,
    /// How that start ended.
    pub outcome: Outcome,
}

/// The most exciting images of several neurons.
#[derive(Clone, Debug)]
pub struct Meis {
    /// One per neuron.
    pub found: Vec<Mei>,
    /// z-scored images (n, H, W).
    pub images: Array3<f32>,
    /// Of every start (n, starts, H, W).
    pub all: Option<Array4<f32>>,
}

impl Meis {
    /// Columns `neuron,response,norm,steps,converged`.
    pub fn table(&self) -> Table {
        let number = |f: fn(&Mei) -> f64| Column::Number(self.found.iter().map(f).collect());
        let integer = |f: fn(&Mei) -> i64| Column::Integer(self.found.iter().map(f).collect());
        let converged = self.found.iter().map(|m| m.outcome == Outcome::Converged);
        Table::new()
            .with("neuron", integer(|m| m.neuron as i64))
            .with("response", number(|m| m.response))
            .with("norm", number(|m| m.norm))
            .with("steps", integer(|m| i64::from(m.steps)))
            .with("converged", Column::Boolean(converged.collect()))
    }
}

/// Where one start ended.
#[derive(Clone, Debug)]
struct End {
    loss: f32,
    start: usize,
    steps: u32,
    outcome: Outcome,
}

/// Seeks the most exciting image of each of these neurons; of several runs, of the mean of their responses.
///
/// # Errors
/// When the runs do not fit together, memory does not suffice, or the watch ends it.
pub fn meis(
    members: &mut [Member],
    neurons: &[usize],
    recipe: &Recipe,
    watch: &mut Watch,
) -> Result<Meis> {
    eyes::check(members)?;
    let (height, width) = members[0].image();
    let mut images = Array3::zeros((neurons.len(), height, width));
    let kept = if recipe.keep_all { recipe.starts } else { 0 };
    let mut all = Array4::zeros((neurons.len(), kept, height, width));
    let mut ends: Vec<Option<End>> = vec![None; neurons.len()];
    let (mut done, sought) = (0, neurons.len() * recipe.starts);
    watch.begin("most exciting images");
    let table = convolution(&transfer(height, width));
    for groups in eyes::crops(members, neurons, recipe.whole)? {
        let jobs = groups[0].neurons.len() * recipe.starts;
        let eyes = Eyes::new(members, &groups, jobs)?;
        let mut climb = Climb::new(eyes, recipe, &table, &mut images, &mut all, &mut ends);
        take_turns(&mut climb, jobs, (&mut done, sought), watch)?;
    }
    let found = report(members, neurons, images.view(), ends, watch)?;
    let all = recipe.keep_all.then_some(all);
    Ok(Meis { found, images, all })
}

fn report(
    members: &mut [Member],
    neurons: &[usize],
    images: ArrayView3<f32>,
    ends: Vec<Option<End>>,
    watch: &mut Watch,
) -> Result<Vec<Mei>> {
    let responses = responses(members, neurons, images, watch)?;
    let square = |v: &f32| f64::from(*v) * f64::from(*v);
    Ok(neurons
        .iter()
        .zip(images.outer_iter())
        .zip(responses.iter().zip(ends))
        .map(|((&neuron, image), (&response, end))| Mei {
            neuron,
            response,
            norm: image.iter().map(square).sum::<f64>().sqrt(),
            steps: end.as_ref().map_or(0, |e| e.steps),
            outcome: end.map_or(Outcome::Diverged, |e| e.outcome),
        })
        .collect())
}

/// Starts of one group's neurons on the seats of a batch.
struct Climb<'m, 'o> {
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
    images: &'o mut Array3<f32>,
    all: &'o mut Array4<f32>,
    ends: &'o mut [Option<End>],
}

impl<'m, 'o> Climb<'m, 'o> {
    fn new(
        eyes: Eyes<'m>,
        recipe: &'o Recipe,
        table: &Array2<f64>,
        images: &'o mut Array3<f32>,
        all: &'o mut Array4<f32>,
        ends: &'o mut [Option<End>],
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
            images,
            all,
            ends,
        }
    }

    /// Neuron of the group, and start.
    fn job(&self, job: usize) -> (usize, usize) {
        (job / self.recipe.starts, job % self.recipe.starts)
    }

    fn image(&self) -> usize {
        self.images.len_of(Axis(1)) * self.images.len_of(Axis(2))
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
        let (place, start) = self.job(job);
        let neuron = self.eyes.group().neurons[place];
        let noise = white(self.recipe.seed, neuron, start, self.image());
        let crop = self.eyes.cut(place, &noise);
        self.eyes.sit(seat, place);
        of_seat_mut(&mut self.z, seat).fill_from(&crop);
        for zero in [
            &mut self.first,
            &mut self.second,
            &mut self.follow.best,
            &mut self.follow.averages,
        ] {
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
        let (place, start) = self.job(job);
        let row = self.eyes.group().places[place];
        let best = of_seat(&self.follow.best, seat).download();
        let loss = match outcome {
            Outcome::Diverged => f32::INFINITY,
            _ => of_seat(&self.follow.averages, seat).download()[AVERAGES - 1],
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
                self.eyes.paste(place, &best, whole);
            }
        }
        if self.recipe.keep_all {
            let mut of_neuron = self.all.index_axis_mut(Axis(0), row);
            let mut image = of_neuron.index_axis_mut(Axis(0), start);
            if let Some(whole) = image.as_slice_mut() {
                self.eyes.paste(place, &best, whole);
            }
        }
    }

    fn move_seat(&mut self, from: usize, to: usize) {
        self.eyes.move_seat(from, to);
        for array in [
            &mut self.z,
            &mut self.first,
            &mut self.second,
            &mut self.follow.best,
            &mut self.follow.averages,
        ] {
            move_seat(array, from, to);
        }
        move_seat(&mut self.follow.counters, from, to);
    }
}
