//! Tuning experiments around each neuron's optimal Gabor, and the indices that sum them up (Ustyuzhaninov et al. 2022).

mod curve;
pub mod energy;
mod indices;
mod run;
mod truth;

pub use curve::{Axis, Curve};
pub use indices::Indices;
pub use run::Inputs;
pub use truth::{Agreement, Truth};

use super::{Watch, show};
use crate::Result;
use crate::model::Model;
use crate::model::closeup::Group;
use crate::results::Arrays;
use crate::stimuli::Gabor;
use ndarray::{Array1, Array2, ArrayD, IxDyn};

/// Responses of several neurons of one readout, in the recording's unit.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// (neurons, conditions) of each of [`Curve::ALL`], conditions with the last axis fastest; NaN where a neuron has no
    /// optimal Gabor.
    pub curves: [Array2<f64>; 4],
}

impl Tuning {
    /// What each neuron's curves come to.
    pub fn indices(&self) -> Vec<Indices> {
        let neurons = self.curves[0].nrows();
        let of = |n: usize| Indices::of(&self.curves.each_ref().map(|c| c.row(n).to_vec()));
        (0..neurons).map(of).collect()
    }

    /// One curve with an axis of its own for each of the curve's: (neurons, ..).
    pub fn curve(&self, curve: Curve) -> ArrayD<f32> {
        let values = &self.curves[curve as usize];
        let axes = curve.axes();
        let lengths = axes.iter().map(|a| a.values.len());
        let shape: Vec<usize> = std::iter::once(values.nrows()).chain(lengths).collect();
        ArrayD::from_shape_fn(IxDyn(&shape), |at| {
            let column = (1..shape.len()).fold(0, |column, i| column * shape[i] + at[i]);
            values[(at[0], column)] as f32
        })
    }

    /// Every curve of the neurons of several readouts, one readout after the other (a row per neuron), and each axis as
    /// `<curve>_<axis>`.
    ///
    /// # Panics
    /// Never: all readouts have the same axes.
    pub fn arrays(readouts: &[Self]) -> Arrays {
        let mut arrays = Vec::new();
        for curve in Curve::ALL {
            let parts: Vec<ArrayD<f32>> = readouts.iter().map(|t| t.curve(curve)).collect();
            let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
            let all = ndarray::concatenate(ndarray::Axis(0), &views)
                .expect("curves of one kind have the same axes");
            arrays.push((curve.name().into(), all, true));
            for axis in curve.axes() {
                let values: Array1<f32> = axis.values.iter().map(|&v| v as f32).collect();
                let name = format!("{}_{}", curve.name(), axis.name);
                arrays.push((name, values.into_dyn(), false));
            }
        }
        Arrays::Several(arrays)
    }
}

/// Runs all experiments on neurons in groups, each with its own optimal Gabor, in the order of the list that the groups
/// were made of.
///
/// # Errors
/// When memory does not suffice, the device fails or a signal has come.
pub fn tune(
    model: &mut Model,
    groups: &[Group],
    optimal: &[Option<Gabor>],
    watch: &mut Watch,
) -> Result<Tuning> {
    let scales = response_scales(model, groups, optimal.len());
    let mut curves =
        Curve::ALL.map(|c| Array2::from_elem((optimal.len(), c.conditions().len()), f64::NAN));
    for (curve, out) in Curve::ALL.into_iter().zip(&mut curves) {
        watch.begin(curve.title());
        let conditions = curve.conditions();
        let of_neuron = |gabor: &Option<Gabor>| {
            let images = gabor
                .iter()
                .flat_map(|g| conditions.iter().map(|c| curve.stimulus(g, c)));
            images
                .flatten()
                .flat_map(|part| part.parameters())
                .collect()
        };
        let stimuli: Vec<Vec<f32>> = optimal.iter().map(of_neuron).collect();
        let answers = show::answers(model, groups, curve.family(), &stimuli, watch)?;
        for ((answers, mut row), scale) in answers.iter().zip(out.rows_mut()).zip(&scales) {
            for (response, answer) in row.iter_mut().zip(answers) {
                *response = scale * f64::from(answer.rate);
            }
        }
        watch.finish();
    }
    Ok(Tuning { curves })
}

/// What normalised rates are multiplied by, in the order of the list that the groups were made of.
fn response_scales(model: &Model, groups: &[Group], neurons: usize) -> Vec<f64> {
    let mut scales = vec![f64::NAN; neurons];
    for group in groups {
        let all = &model.readouts[group.index].response_scale;
        for (&place, &neuron) in group.places.iter().zip(&group.neurons) {
            scales[place] = f64::from(all[neuron]);
        }
    }
    scales
}
