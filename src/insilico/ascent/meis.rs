//! Most exciting images (Ecker et al. 2019): images of a given norm that a neuron responds to most.

use super::climb::Climb;
use super::eyes::{self, Eyes, Member};
use super::found::{End, Found};
use super::recipe::{Method, Recipe};
use super::responses::responses;
use super::turns::take_turns;
use super::walk::Walk;
use crate::Result;
use crate::insilico::preconditioner::{convolution, transfer};
use crate::insilico::{Flat, Watch};
use crate::ops::ascent::Outcome;
use crate::table::{Column, Table};
use ndarray::{Array2, Array3, Array4, ArrayView3, Axis};

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
    let size = (height, width);
    let mut found = Found::none(neurons.len(), recipe.starts, size, recipe.keep_all);
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
