//! What every neuron's features make of canvases of any size, as if the image had no border.
//!
//! `g[b, n, d] = sum_c v[n, c] x[b, c, d]`, x the core's output for canvas b with valid convolutions, v the features that
//! count. Weighed with the mask, g is the neuron's drive for the canvas' content wherever the mask looks.

use super::closeup::reach;
use super::config::Padding;
use super::workspace::{Cut, Workspace};
use super::{Mode, Model, core};
use crate::Result;
use crate::device::{Array, Device, MapView, Maps, ViewMut};
use crate::ops::conv;
use std::ops::Range;

/// A readout's features over canvases of one size.
#[derive(Debug)]
pub struct Projector<'m> {
    model: &'m mut Model,
    space: Workspace,
    features: Array,
    channels: usize,
    seen: (usize, usize),
    projections: Maps,
}

impl<'m> Projector<'m> {
    /// For the features of these neurons (rows of readout `index`), maps of height and width `seen`, up to `batch`
    /// canvases and `at_once` neurons at a time.
    ///
    /// # Errors
    /// When it does not fit into memory.
    pub fn new(
        model: &'m mut Model,
        index: usize,
        neurons: &[usize],
        seen: (usize, usize),
        batch: usize,
        at_once: usize,
    ) -> Result<Self> {
        let reach = reach(model);
        let canvas = (seen.0 + 2 * reach, seen.1 + 2 * reach);
        let device = model.device.clone();
        let numbers = batch as u128 * (at_once * seen.0 * seen.1) as u128;
        let projections = numbers * device.precision().map_bytes() as u128;
        let maps = Workspace::bytes(&device, &model.config, canvas, batch, false);
        device.require("the maps of canvases", maps + projections)?;
        let readout = &model.readouts[index];
        let channels = readout.channels;
        let all = model.params.view(readout.features).download();
        let positive = model.config.readout.positive_features;
        let features: Vec<f32> = neurons
            .iter()
            .flat_map(|n| &all[n * channels..(n + 1) * channels])
            .map(|&v| if positive { v.abs() } else { v })
            .collect();
        let cut = Cut {
            depth: model.layers.len(),
            padding: Padding::Valid,
            lanes: 1,
        };
        Ok(Self {
            space: Workspace::of_layers(model, cut, canvas, batch, false),
            features: device.upload(&features, &[neurons.len(), channels]),
            projections: device.maps(&[batch, at_once, seen.0, seen.1]),
            channels,
            seen,
            model,
        })
    }

    /// Height and width of the canvases: what is seen and the core's reach around it.
    pub fn canvas(&self) -> (usize, usize) {
        self.space.image
    }

    /// Canvases that fit.
    pub fn batch(&self) -> usize {
        self.space.batch
    }

    /// The first `count` canvases (count, height, width), to write; z-scored.
    pub fn images(&mut self, count: usize) -> ViewMut<'_> {
        let (h, w) = self.space.image;
        self.space.images.slice_mut(0..count * h * w)
    }

    /// Where the model lives.
    pub fn device(&self) -> Device {
        self.model.device.clone()
    }

    /// Runs the first `count` canvases through the core.
    pub fn forward(&mut self, count: usize) {
        core::forward(self.model, &mut self.space, count, Mode::Prediction);
    }

    /// g of the first `count` canvases and of some of the neurons, by their place in the list: (count, N, seen).
    pub fn project(&mut self, count: usize, neurons: Range<usize>) -> MapView<'_> {
        let (height, width) = self.seen;
        let shape = conv::Shape {
            batch: count,
            in_channels: self.channels,
            out_channels: neurons.len(),
            height,
            width,
            kernel: 1,
            padding: 0,
        };
        let (x_len, _, y_len) = shape.lengths();
        let x = self.space.output().slice(0..x_len);
        let own = neurons.start * self.channels..neurons.end * self.channels;
        let (features, to) = (
            self.features.slice(own),
            self.projections.slice_mut(0..y_len),
        );
        conv::forward(&self.model.device, &shape, x, features, to);
        self.projections.slice(0..y_len)
    }
}
