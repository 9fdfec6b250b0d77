//! How alike clusters respond: hypothetical neurons with a cluster's mean as their readout see the training images
//! (Ustyuzhaninov et al. 2020, cluster confusion).

use super::BarCodes;
use crate::insilico::Watch;
use crate::model::closeup::reach;
use crate::model::config::{FeaturesPenalty, ReadoutKind};
use crate::model::{Model, Population};
use crate::statistics::{mean, pearson};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

/// Images per batch.
const BATCH: usize = 64;

/// A hypothetical neuron of each cluster: the mean of its members' effective readouts in the common frame.
#[derive(Clone, Debug)]
pub struct Hypothetical {
    /// (K, F, O), by which the pixel under the neuron's mask is multiplied.
    pub codes: Array3<f32>,
    /// (K), before the output nonlinearity.
    pub bias: Vec<f64>,
}

impl Hypothetical {
    /// Of clusters 0..`clusters`: `turned` (N, F, O) are the members' codes in the common frame, of any length; the mean has
    /// the length that the members' own codes times their masks have on average.
    pub fn of(
        codes: &BarCodes,
        turned: ArrayView3<f32>,
        labels: &[Option<usize>],
        clusters: usize,
    ) -> Self {
        let (_, features, orientations) = turned.dim();
        let mut means = Array3::zeros((clusters, features, orientations));
        let mut bias = vec![0.0; clusters];
        for (cluster, bias) in bias.iter_mut().enumerate() {
            let members: Vec<usize> = (0..labels.len())
                .filter(|&n| labels[n] == Some(cluster))
                .collect();
            let mut sum = Array2::<f64>::zeros((features, orientations));
            let mut lengths = Vec::with_capacity(members.len());
            for &n in &members {
                let code = turned.index_axis(Axis(0), n);
                sum.zip_mut_with(&code, |s, &w| *s += f64::from(w));
                lengths.push(codes.mass[n] * length(codes.codes.index_axis(Axis(0), n).iter()));
            }
            let own = sum.iter().map(|w| w * w).sum::<f64>().sqrt();
            let scale = if own > 0.0 { mean(&lengths) / own } else { 0.0 };
            means
                .index_axis_mut(Axis(0), cluster)
                .assign(&sum.mapv(|w| (w * scale) as f32));
            let biases: Vec<f64> = members.iter().map(|&n| codes.bias[n]).collect();
            *bias = if biases.is_empty() {
                0.0
            } else {
                mean(&biases)
            };
        }
        Self { codes: means, bias }
    }
}

fn length<'a>(values: impl Iterator<Item = &'a f32>) -> f64 {
    values.map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Correlations (K, K) over the images of the clusters' hypothetical neurons, which look at the middle of the map: for each
/// pair and each turn of one against the other the mean over the pair's common orientations, of which the best turn
/// counts. Symmetric, 1 on the diagonal; 0 for a neuron that answers alike to all images.
///
/// `images` (n, H, W) are z-scored, of the size of readout `index`.
///
/// # Errors
/// When memory does not suffice, the device fails or a signal has come.
pub fn confusion(
    model: &Model,
    index: usize,
    of: &Hypothetical,
    images: ArrayView3<f32>,
    watch: &mut Watch,
) -> Result<Array2<f64>> {
    let (clusters, _, orientations) = of.codes.dim();
    let images = middle(images, reach(model));
    let mut model = with_readout(model, index, of, images.view())?;
    watch.begin("cluster confusion");
    let mut responses = vec![Vec::with_capacity(images.dim().0); clusters * orientations];
    let all = images.dim().0;
    let mut predictor = model.predictor(0, BATCH.min(all.max(1)))?;
    for (at, chunk) in images.axis_chunks_iter(Axis(0), BATCH).enumerate() {
        watch.tick(at * BATCH, all)?;
        let rates = predictor.rates(chunk)?;
        for (neuron, own) in responses.iter_mut().enumerate() {
            own.extend(rates.column(neuron).iter().map(|r| f64::from(*r)));
        }
    }
    watch.finish();
    let of = |cluster: usize, turn: usize| &responses[cluster * orientations + turn % orientations];
    let cell = |(a, b): (usize, usize)| {
        if a == b {
            return 1.0;
        }
        let best = (0..orientations).map(|turn| {
            let pairs = (0..orientations).map(|q| {
                let r = pearson(of(a, q), of(b, q + turn));
                if r.is_nan() { 0.0 } else { r }
            });
            pairs.sum::<f64>() / orientations as f64
        });
        best.fold(f64::NEG_INFINITY, f64::max)
    };
    let upper: Vec<(usize, usize)> = (0..clusters)
        .flat_map(|a| (a..clusters).map(move |b| (a, b)))
        .collect();
    let values: Vec<f64> = upper.par_iter().map(|&pair| cell(pair)).collect();
    let mut confusion = Array2::zeros((clusters, clusters));
    for ((a, b), value) in upper.into_iter().zip(values) {
        confusion[(a, b)] = value;
        confusion[(b, a)] = value;
    }
    Ok(confusion)
}

/// The part of the images that the middle pixel of the last map sees.
fn middle(images: ArrayView3<f32>, reach: usize) -> Array3<f32> {
    let (_, height, width) = images.dim();
    let range = |pixels: usize| {
        let centre = pixels / 2;
        centre.saturating_sub(reach)..(centre + reach + 1).min(pixels)
    };
    images.slice(s![.., range(height), range(width)]).to_owned()
}

/// The same core with hypothetical neurons, at all orientations, on images of this size.
fn with_readout(
    model: &Model,
    index: usize,
    of: &Hypothetical,
    images: ArrayView3<f32>,
) -> Result<Model> {
    let (clusters, features, orientations) = of.codes.dim();
    let (_, height, width) = images.dim();
    let mut config = model.config.clone();
    config.readout.positive_features = false;
    config.readout.kind = ReadoutKind::Factorised;
    config.readout.features_penalty = FeaturesPenalty::L1Joint;
    config.training.neurons.clear();
    let neurons = clusters * orientations;
    let population = Population {
        name: model.readouts[index].name.clone(),
        height,
        width,
        response_scale: vec![1.0; neurons],
    };
    let mut new = Model::zeros(&model.device, &config, model.preprocessing, &[population])?;
    for (slot, tensor) in new.params.layout.clone().slots.iter().enumerate() {
        let old = model
            .params
            .layout
            .slots
            .iter()
            .position(|s| s.name == tensor.name);
        if let (Some(old), true) = (old, tensor.name.starts_with("core.")) {
            let values = model.params.view(old).download();
            new.params.view_mut(slot).fill_from(&values);
        }
    }
    for slot in 0..new.statistics.layout.slots.len() {
        let values = model.statistics.view(slot).download();
        new.statistics.view_mut(slot).fill_from(&values);
    }
    let readout = new.readouts[0].clone();
    let (rows, columns) = readout.map;
    if readout.channels != features * orientations {
        let what = "features of the bar codes";
        let (got, wanted) = (features * orientations, readout.channels);
        return Err(Error::bad("clusters", what, got, wanted));
    }
    let mut mask = vec![0.0f32; neurons * rows * columns];
    let mut weights = vec![0.0f32; neurons * readout.channels];
    let mut bias = vec![0.0f32; neurons];
    for neuron in 0..neurons {
        let (cluster, turn) = (neuron / orientations, neuron % orientations);
        mask[(neuron * rows + rows / 2) * columns + columns / 2] = 1.0;
        bias[neuron] = of.bias[cluster] as f32;
        for c in 0..readout.channels {
            let (o, f) = (c / features, c % features);
            let from = (o + orientations - turn) % orientations;
            weights[neuron * readout.channels + c] = of.codes[(cluster, f, from)];
        }
    }
    if let Some(masks) = readout.masks() {
        new.params.view_mut(masks).fill_from(&mask);
    }
    new.params.view_mut(readout.features).fill_from(&weights);
    new.params.view_mut(readout.bias).fill_from(&bias);
    Ok(new)
}
