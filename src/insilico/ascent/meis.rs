//! Most exciting images (Ecker et al. 2019): images of a given norm that a neuron responds to most.

use super::climb::Climb;
use super::eyes::{self, Eyes, Member, of_seat};
use super::responses::responses;
use super::turns::take_turns;
use super::walk::Walk;
use crate::Result;
use crate::insilico::preconditioner::{convolution, transfer};
use crate::insilico::{Flat, Watch};
use crate::ops::ascent::{AVERAGES, Follow, Outcome};
use crate::table::{Column, Table};
use ndarray::{Array2, Array3, Array4, ArrayView3, Axis};

/// Whose steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Ecker et al. 2019: images of one norm, smooth, Adam.
    Ecker,
    /// Walker et al. 2019: 1,000 steps along the gradient over its mean size on the whole image, within grey levels 0 to
    /// 255, blurred less and less; norm, smoothness and patience do not apply.
    Walker,
}

/// How images are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Whose.
    pub method: Method,
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
            method: Method::Ecker,
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
    /// Response to the whole image, in the recording's unit; NaN where it is not finite, or the same to every image: then
    /// there is no most exciting one, and the image is 0.
    pub response: f64,
    /// Norm of the image; NaN without one.
    pub norm: f64,
    /// Steps taken by the start that was kept.
    pub steps: u32,
    /// How that start ended.
    pub outcome: Outcome,
}

impl Mei {
    /// Whether the image is one that excites most.
    pub fn converged(&self) -> bool {
        self.outcome == Outcome::Converged && !self.response.is_nan()
    }

    /// Whether there is none, for the neuron answers alike to every image.
    pub fn is_flat(&self) -> bool {
        self.outcome != Outcome::Diverged && self.response.is_nan()
    }
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
    /// Steps that every start took, (n, starts).
    pub steps: Array2<u32>,
}

impl Meis {
    /// Columns `neuron,response,norm,steps,converged`.
    pub fn table(&self) -> Table {
        let number = |f: fn(&Mei) -> f64| Column::Number(self.found.iter().map(f).collect());
        let integer = |f: fn(&Mei) -> i64| Column::Integer(self.found.iter().map(f).collect());
        let converged = self.found.iter().map(Mei::converged);
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
    let kept = if recipe.keep_all { recipe.starts } else { 0 };
    let mut found = Found {
        images: Array3::zeros((neurons.len(), height, width)),
        all: Array4::zeros((neurons.len(), kept, height, width)),
        ends: vec![None; neurons.len()],
        steps: Array2::zeros((neurons.len(), recipe.starts)),
    };
    let (mut done, sought) = (0, neurons.len() * recipe.starts);
    watch.begin("most exciting images");
    let table = convolution(&transfer(height, width));
    let whole = recipe.whole || recipe.method == Method::Walker;
    for groups in eyes::crops(members, neurons, whole)? {
        let jobs = groups[0].neurons.len() * recipe.starts;
        let preprocessing = members[0].model.preprocessing;
        let eyes = Eyes::new(members, &groups, jobs)?;
        let count = (&mut done, sought);
        match recipe.method {
            Method::Ecker => {
                let mut climb = Climb::new(eyes, recipe, &table, &mut found);
                take_turns(&mut climb, jobs, count, watch)?;
            }
            Method::Walker => {
                let mut walk = Walk::new(eyes, recipe, preprocessing, &mut found);
                take_turns(&mut walk, jobs, count, watch)?;
            }
        }
    }
    let rows = report(members, neurons, found.images.view(), found.ends, watch)?;
    for (row, _) in rows.iter().enumerate().filter(|(_, m)| m.response.is_nan()) {
        found.images.index_axis_mut(Axis(0), row).fill(0.0);
        found.all.index_axis_mut(Axis(0), row).fill(0.0);
    }
    Ok(Meis {
        found: rows,
        images: found.images,
        all: recipe.keep_all.then_some(found.all),
        steps: found.steps,
    })
}

fn report(
    members: &mut [Member],
    neurons: &[usize],
    images: ArrayView3<f32>,
    ends: Vec<Option<End>>,
    watch: &mut Watch,
) -> Result<Vec<Mei>> {
    let responses = responses(members, neurons, images, watch)?;
    let flat: Vec<Flat> = members
        .iter_mut()
        .map(|m| Flat::of(&mut m.model, m.index, neurons))
        .collect::<Result<_>>()?;
    let flat = Flat::mean(&flat);
    let square = |v: &f32| f64::from(*v) * f64::from(*v);
    Ok(neurons
        .iter()
        .zip(images.outer_iter())
        .zip(responses.iter().zip(ends))
        .enumerate()
        .map(|(place, ((&neuron, image), (&response, end)))| {
            let diverged = !response.is_finite();
            let none = flat.explains(place, response);
            let known = |v: f64| if none { f64::NAN } else { v };
            Mei {
                neuron,
                response: known(response),
                norm: known(image.iter().map(square).sum::<f64>().sqrt()),
                steps: end.as_ref().map_or(0, |e| e.steps),
                outcome: match end {
                    Some(end) if !diverged => end.outcome,
                    _ => Outcome::Diverged,
                },
            }
        })
        .collect())
}

/// The best images so far.
pub(super) struct Found {
    images: Array3<f32>,
    /// (n, 0, H, W) where only the best are kept.
    all: Array4<f32>,
    ends: Vec<Option<End>>,
    /// (n, starts).
    steps: Array2<u32>,
}

impl Found {
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
