//! What is linear in the last layer's input: the last layer, which has no activation, and a neuron's readout of it.

use super::Group;
use crate::device::{Array, View};
use crate::model::workspace::Workspace;
use crate::model::{Model, core};
use crate::ops::closeup;
use std::ops::Range;

/// Neurons whose filters are calculated at once.
const AT_ONCE: usize = 32;

/// The gradient of each neuron's drive at the last layer's input, (neurons of the group, inputs): the same at every
/// input. 0 outside of `frames`, those of that map, where there are any.
pub(super) fn filters(model: &Model, group: &Group, frames: Option<View<u32>>) -> Array {
    let device = model.device.clone();
    let neurons = group.neurons.len();
    let readout = &model.readouts[group.index];
    if readout.is_whole() {
        let (all, inputs) = (model.params.view(readout.features), readout.inputs());
        let mut filters = device.zeros(&[neurons, inputs]);
        for (row, &n) in group.neurons.iter().enumerate() {
            let to = filters.slice_mut(row * inputs..(row + 1) * inputs);
            to.copy_from(all.slice(n * inputs..(n + 1) * inputs));
        }
        return filters;
    }
    let at_once = AT_ONCE.min(group.batch(model, true)).min(neurons);
    let cut = group.cut_of(model, model.layers.len(), 1);
    let mut space = Workspace::of_layers(model, cut, group.size, at_once, true);
    let below = space.layers.len() - 1;
    let inputs = space.layers[below].in_len;
    let size = match below {
        0 => (1, group.size.0, group.size.1),
        _ => space.layers[below - 1].size(),
    };
    let own: Vec<u32> = (0..neurons as u32).collect();
    let own = device.upload(&own, &[neurons]);
    let mut filters = device.zeros(&[neurons, inputs]);
    for first in (0..neurons).step_by(at_once) {
        let some = first..neurons.min(first + at_once);
        let count = some.len();
        let gradient = readouts(model, group, some);
        space
            .output_gradient()
            .slice_mut(0..gradient.len())
            .fill_from(&gradient);
        core::backward_last(model, &mut space, count);
        let mut gradient = space.output_gradient().slice_mut(0..count * inputs);
        if let Some(frames) = frames {
            let seats = own.slice(first..first + count);
            closeup::clear_outside(&device, size, 1, seats, frames, gradient.reborrow());
        }
        filters
            .slice_mut(first * inputs..(first + count) * inputs)
            .fill_from(&gradient.read().download());
    }
    filters
}

/// Masks times features of some of the group's neurons, as they count, on their windows: (neurons, channels, pixels).
fn readouts(model: &Model, group: &Group, some: Range<usize>) -> Vec<f32> {
    let readout = &model.readouts[group.index];
    let channels = readout.channels;
    let features = model.params.view(readout.features);
    let positive = model.config.readout.positive_features;
    let mut all = Vec::new();
    for (&n, window) in group.neurons[some.clone()].iter().zip(&group.windows[some]) {
        let whole = model.mask(group.index, n);
        let rows = whole.chunks_exact(readout.map.1).skip(window.top);
        let mask: Vec<f32> = rows
            .take(window.height)
            .flat_map(|row| &row[window.left..][..window.width])
            .map(|m| m.abs())
            .collect();
        for v in features.slice(n * channels..(n + 1) * channels).download() {
            let v = if positive { v.abs() } else { v };
            all.extend(mask.iter().map(|m| m * v));
        }
    }
    all
}
