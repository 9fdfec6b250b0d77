//! The Gaussian readout's side of the model: where its numbers lie, its noise, its starts, and the mask that a place is.

use super::{Buffers, Readout, Spatial};
use crate::device::{Array, View};
use crate::model::config::{self, Config};
use crate::model::params::{Arena, Layout};
use crate::model::{Model, Workspace};
use crate::ops::gaussian::reference::Place;
use crate::ops::gaussian::{self, Gradients, Shape, Weights};
use crate::ops::random;

/// Slots of a readout's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// (N, 2): x to the right and y down, -1 and 1 the centres of the outermost pixels.
    pub position: usize,
    /// (N, 2, 2), or (N) where it is isotropic; follows the positions, and the features follow it.
    pub spread: usize,
    /// Whether the spread is one number.
    pub isotropic: bool,
}

impl Places {
    pub(super) fn declare(
        config: &Config,
        name: impl Fn(&str) -> String,
        neurons: usize,
        params: &mut Layout,
    ) -> Self {
        let isotropic = config.readout.spread == config::Spread::Isotropic;
        let shape = match isotropic {
            true => vec![neurons],
            false => vec![neurons, 2, 2],
        };
        Self {
            position: params.declare(name("position"), vec![neurons, 2]),
            spread: params.declare(name("spread"), shape),
            isotropic,
        }
    }
}

/// What the passes of a batch keep.
#[derive(Debug)]
pub struct Sampled {
    /// Of each neuron and image (B, N, 2); none where places are not sampled.
    noise: Array,
    /// What the features make of four pixels (B, N, 4).
    corners: Array,
    key: Array<u32>,
}

impl Sampled {
    pub(super) fn new(model: &Model, readout: &Readout, batch: usize, gradients: bool) -> Self {
        let device = &model.device;
        let n = readout.neurons;
        let noise = if gradients { 2 * batch * n } else { 0 };
        let stream = model.readouts.iter().position(|r| r.name == readout.name);
        let stream = stream.unwrap_or_default() as u32;
        Self {
            noise: device.zeros(&[noise]),
            corners: device.zeros(&[4 * batch * n]),
            key: random::key(device, model.config.training.seed, stream),
        }
    }
}

impl Readout {
    fn sampled_shape(&self, places: Places, batch: usize) -> Shape {
        Shape {
            batch,
            channels: self.channels,
            height: self.map.0,
            width: self.map.1,
            neurons: self.neurons,
            isotropic: places.isotropic,
        }
    }

    fn places_of<'a>(&self, places: Places, params: &'a Arena) -> Weights<'a> {
        Weights {
            position: params.view(places.position),
            spread: params.view(places.spread),
            features: params.view(self.features),
            bias: params.view(self.bias),
        }
    }

    /// The mask (H, W) that stands for a place: the four pixels between which it is, by how much each counts.
    pub(in crate::model) fn mask_at(&self, place: [f32; 2]) -> Vec<f32> {
        let places = Places {
            position: 0,
            spread: 0,
            isotropic: true,
        };
        let shape = self.sampled_shape(places, 1);
        let place = Place::at(&shape, place[0], place[1]);
        let mut mask = vec![0.0; self.map.0 * self.map.1];
        for (pixel, weight) in place.pixels(&shape).into_iter().zip(place.weights()) {
            if let Some(p) = pixel {
                mask[p] = weight;
            }
        }
        mask
    }
}

/// Draws a training batch's noise: a function of the seed, the readout, the number of the step, the image's place in the batch
/// and the neuron.
pub fn draw(
    model: &Model,
    index: usize,
    buffers: &mut Buffers,
    batch: usize,
    counter: (View<u32>, View<u32>),
) {
    let neurons = model.readouts[index].neurons;
    if let Some(sampled) = &mut buffers.sampled {
        let noise = sampled.noise.slice_mut(0..2 * batch * neurons);
        let key = sampled.key.view();
        random::normal_pairs(&model.device, (batch, neurons), key, counter, noise);
    }
}

pub(super) fn forward(
    model: &Model,
    (readout, places): (&Readout, Places),
    space: &Workspace,
    buffers: &mut Buffers,
    batch: usize,
    samples: bool,
) {
    let shape = readout.sampled_shape(places, batch);
    let Some(sampled) = &mut buffers.sampled else {
        unreachable!("a Gaussian readout's buffers");
    };
    let count = batch * readout.neurons;
    let noise = samples.then(|| sampled.noise.slice(0..2 * count));
    let to = (
        buffers.h.slice_mut(0..count),
        sampled.corners.slice_mut(0..4 * count),
    );
    gaussian::forward(
        &model.device,
        &shape,
        space.output().slice(0..shape.maps()),
        readout.places_of(places, &model.params),
        noise,
        to,
    );
}

/// From a training batch.
pub(super) fn backward(
    model: &Model,
    (readout, places): (&Readout, Places),
    space: &mut Workspace,
    buffers: &Buffers,
    batch: usize,
    gradients: &mut Arena,
) {
    let shape = readout.sampled_shape(places, batch);
    let Some(sampled) = &buffers.sampled else {
        unreachable!("a Gaussian readout's buffers");
    };
    let (maps, count) = (shape.maps(), batch * readout.neurons);
    let (x, dx) = space.output_and_gradient(maps);
    let slots = &gradients.layout.slots;
    let range = |slot: usize| slots[slot].range();
    let (position, spread) = (range(places.position), range(places.spread));
    let (features, bias) = (range(readout.features), range(readout.bias));
    let all = gradients.values.slice_mut(position.start..bias.end);
    let (position, rest) = all.split_at(position.len());
    let (spread, rest) = rest.split_at(spread.len());
    let (features, bias) = rest.split_at(features.len());
    let to = Gradients {
        position,
        spread,
        features,
        bias,
    };
    gaussian::backward(
        &model.device,
        &shape,
        x,
        readout.places_of(places, &model.params),
        Some(sampled.noise.slice(0..2 * count)),
        (
            sampled.corners.slice(0..4 * count),
            buffers.dh.slice(0..count),
        ),
        (dx.slice_mut(0..maps), to),
    );
}

/// Of a prediction.
pub(super) fn backward_images(
    model: &Model,
    (readout, places): (&Readout, Places),
    space: &mut Workspace,
    dh: View,
    batch: usize,
) {
    let shape = readout.sampled_shape(places, batch);
    let weights = readout.places_of(places, &model.params);
    let dx = space.output_gradient().slice_mut(0..shape.maps());
    gaussian::backward_input(&model.device, &shape, weights, None, dh, dx);
}

impl Model {
    /// Moves places that lie beyond the map to its edge, as after every update.
    pub fn clamp_places(&mut self) {
        for readout in &self.readouts {
            if let Spatial::Places(places) = readout.spatial {
                gaussian::clamp(&self.device, self.params.view_mut(places.position));
            }
        }
    }

    /// The places (N, 2) of a readout's neurons, if they have any.
    pub fn places(&self, index: usize) -> Option<Vec<[f32; 2]>> {
        let Spatial::Places(places) = self.readouts[index].spatial else {
            return None;
        };
        let numbers = self.params.view(places.position).download();
        Some(numbers.chunks_exact(2).map(|p| [p[0], p[1]]).collect())
    }

    /// Puts a readout's neurons at these places.
    ///
    /// # Panics
    /// When it has none, or as many as it has not.
    pub fn put_places(&mut self, index: usize, at: &[[f32; 2]]) {
        let Spatial::Places(places) = self.readouts[index].spatial else {
            panic!("readout {index} has masks");
        };
        let numbers: Vec<f32> = at.iter().flatten().copied().collect();
        self.params.view_mut(places.position).fill_from(&numbers);
    }
}

/// The identity times a number for each neuron, or the number itself.
pub(in crate::model) fn spread(len: usize, neurons: usize, value: f64) -> Vec<f32> {
    let value = value as f32;
    match len == neurons {
        true => vec![value; neurons],
        false => [value, 0.0, 0.0, value].repeat(neurons),
    }
}

/// Whether a tensor of this name is a readout's places.
pub(in crate::model) fn readout_of(name: &str) -> Option<&str> {
    name.strip_prefix("readout.")?.strip_suffix(".position")
}
