//! Bar codes: what a neuron's readout takes from each feature at each orientation (Ustyuzhaninov et al. 2020).

use crate::model::Model;
use ndarray::{Array3, ArrayView3};

/// A neuron of a population: which readout it belongs to, and its row there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who {
    /// Name of the readout.
    pub recording: String,
    /// Row in the readout.
    pub neuron: usize,
}

/// The feature weights of neurons, by feature and orientation.
#[derive(Clone, Debug)]
pub struct BarCodes {
    /// Whose they are, in the order of the rows.
    pub who: Vec<Who>,
    /// (N, F, O): feature-major, unlike the network's channels.
    pub codes: Array3<f32>,
    /// Sum of each neuron's mask (N), by which its code is multiplied in the response.
    pub mass: Vec<f64>,
    /// Bias of each neuron (N).
    pub bias: Vec<f64>,
}

impl BarCodes {
    /// Those of these neurons (rows of readout `index`), as the network applies them: positive where the configuration
    /// wants positive features. A plain core has one orientation.
    pub fn of(model: &Model, index: usize, neurons: &[usize]) -> Self {
        let readout = &model.readouts[index];
        let orientations = model.config.orientations();
        let features = readout.channels / orientations;
        let weights = model.params.view(readout.features);
        let biases = model.params.view(readout.bias).download();
        let positive = model.config.readout.positive_features;
        let mut codes = Array3::zeros((neurons.len(), features, orientations));
        let mut mass = Vec::with_capacity(neurons.len());
        for (row, &n) in neurons.iter().enumerate() {
            let own = weights.slice(n * readout.channels..(n + 1) * readout.channels);
            for (c, w) in own.download().into_iter().enumerate() {
                let w = if positive { w.abs() } else { w };
                codes[(row, c % features, c / features)] = w;
            }
            let mask = model.mask(index, n);
            mass.push(mask.iter().map(|m| f64::from(m.abs())).sum());
        }
        let who = neurons.iter().map(|&neuron| Who {
            recording: readout.name.clone(),
            neuron,
        });
        Self {
            who: who.collect(),
            codes,
            mass,
            bias: neurons.iter().map(|&n| f64::from(biases[n])).collect(),
        }
    }

    /// Those of several readouts as one population, in order.
    ///
    /// # Panics
    /// When the codes differ in features or orientations, or there are none: that is a bug, not input.
    pub fn pooled(parts: Vec<Self>) -> Self {
        let views: Vec<ArrayView3<f32>> = parts.iter().map(|p| p.codes.view()).collect();
        let codes = ndarray::concatenate(ndarray::Axis(0), &views);
        Self {
            codes: codes.expect("codes of one width"),
            who: parts.iter().flat_map(|p| p.who.clone()).collect(),
            mass: parts.iter().flat_map(|p| p.mass.clone()).collect(),
            bias: parts.iter().flat_map(|p| p.bias.clone()).collect(),
        }
    }

    /// N.
    pub fn len(&self) -> usize {
        self.who.len()
    }

    /// Whether there is no neuron.
    pub fn is_empty(&self) -> bool {
        self.who.is_empty()
    }

    /// F.
    pub fn features(&self) -> usize {
        self.codes.dim().1
    }

    /// O.
    pub fn orientations(&self) -> usize {
        self.codes.dim().2
    }

    /// Rows whose code is not all zero.
    pub fn filled(&self) -> Vec<usize> {
        filled_rows(self.codes.view())
    }
}

/// Rows of codes (N, F, O) that are not all zero.
pub(super) fn filled_rows(codes: ArrayView3<f32>) -> Vec<usize> {
    let rows = codes.outer_iter().enumerate();
    let rows = rows.filter(|(_, code)| code.iter().any(|w| *w != 0.0));
    rows.map(|(row, _)| row).collect()
}

/// Divides each code, none of which is all zero, by its length.
pub(super) fn make_unit(codes: &mut Array3<f32>) {
    for mut code in codes.outer_iter_mut() {
        let squares = code.iter().map(|w| f64::from(*w).powi(2));
        let length = squares.sum::<f64>().sqrt();
        code.mapv_inplace(|w| (f64::from(w) / length) as f32);
    }
}
