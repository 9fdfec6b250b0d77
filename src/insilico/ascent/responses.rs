//! What whole models say to whole images, each for one neuron.

use super::Member;
use crate::Result;
use crate::insilico::Watch;
use crate::model::Model;

use ndarray::{ArrayView3, Axis};

/// Images per batch.
const BATCH: usize = 32;

/// The response of `neurons[i]` to the z-scored image i of (n, H, W), in the recording's unit, averaged over members.
pub(super) fn responses(
    members: &mut [Member],
    neurons: &[usize],
    images: ArrayView3<f32>,
    watch: &mut Watch,
) -> Result<Vec<f64>> {
    watch.begin("responses");
    let count = members.len() as f64;
    let mut responses = vec![0.0; neurons.len()];
    for member in members {
        let scales: Vec<f64> = neurons.iter().map(|&n| member.scale(n)).collect();
        let rates = rates_of(&mut member.model, member.index, neurons, images, watch)?;
        for ((response, rate), scale) in responses.iter_mut().zip(rates).zip(scales) {
            *response += rate * scale / count;
        }
    }
    Ok(responses)
}

fn rates_of(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    images: ArrayView3<f32>,
    watch: &mut Watch,
) -> Result<Vec<f64>> {
    let batch = BATCH.min(neurons.len().max(1));
    let mut predictor = model.predictor(index, batch)?;
    let all = neurons.len();
    let mut own = Vec::with_capacity(neurons.len());
    let chunks = images.axis_chunks_iter(Axis(0), batch);
    for (images, neurons) in chunks.zip(neurons.chunks(batch)) {
        watch.tick(own.len(), all)?;
        let rates = predictor.rates(images)?;
        let pairs = neurons.iter().enumerate();
        own.extend(pairs.map(|(i, &n)| f64::from(rates[(i, n)])));
    }
    Ok(own)
}
