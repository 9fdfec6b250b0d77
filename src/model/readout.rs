//! One recording's readout: masks or places, features and biases of its neurons, and the loss of their responses.
//!
//! Behind cores whose output is weighed whole (Kindel et al. 2017, the linear model) each neuron is a linear unit.

pub mod gaussian;

use super::config::{Config, CoreKind, FeaturesPenalty, ReadoutKind};
use super::params::{Arena, Layout};
use super::{Mode, Model, Population, Workspace, core};
use crate::Result;
use crate::device::Array;
use crate::ops::readout::{Gradients, Shape, Weights, Windows};
use crate::ops::{dense, loss, penalty, readout};
use gaussian::{Places, Sampled};
use std::sync::Arc;

/// Where on the map a readout's neurons look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spatial {
    /// Slot of the masks: (N, H, W), or one after the other what is inside the windows. [`Model::mask`] shows one whole.
    Masks(usize),
    /// A place each.
    Places(Places),
    /// Everywhere: each neuron weighs all of the core's output by itself.
    Whole,
}

/// Where a readout's numbers lie.
#[derive(Clone, Debug)]
pub struct Readout {
    /// The recording's name.
    pub name: String,
    /// N.
    pub neurons: usize,
    /// Height and width of the images.
    pub image: (usize, usize),
    /// Height and width of the core's output.
    pub map: (usize, usize),
    /// C.
    pub channels: usize,
    /// Where the neurons look, if not at all of the map; then the masks lie inside their windows.
    pub windows: Option<Arc<Windows>>,
    /// What says where they look.
    pub spatial: Spatial,
    /// Slot of the features (N, C), which follow the masks or places; of neurons that weigh all, of their weights (N, C H W).
    pub features: usize,
    /// Slot of the biases (N); follows the features.
    pub bias: usize,
    /// Slot of the log norms (N), where the penalty's strength is learned.
    pub log_norm: Option<usize>,
    /// SD by which responses were divided (N).
    pub response_scale: Vec<f32>,
}

impl Readout {
    /// Declares the tensors.
    ///
    /// # Errors
    /// When the images are too small for the filters.
    pub fn declare(config: &Config, population: &Population, params: &mut Layout) -> Result<Self> {
        let map = core::output_size(config, population.height, population.width)?;
        let channels = match config.core.kind {
            CoreKind::Kindel => config.core.dense,
            CoreKind::Linear => 1,
            _ => config.orientations() * config.core.features.last().copied().unwrap_or(0),
        };
        let neurons = population.response_scale.len();
        let name = |what: &str| format!("readout.{}.{what}", population.name);
        let spatial = match (config.core.kind, config.readout.kind) {
            (CoreKind::Kindel | CoreKind::Linear, _) => Spatial::Whole,
            (_, ReadoutKind::Factorised) => {
                let shape = vec![neurons, map.0, map.1];
                Spatial::Masks(params.declare_aligned(name("mask"), shape))
            }
            (_, ReadoutKind::Gaussian) => {
                Spatial::Places(Places::declare(config, name, neurons, params))
            }
        };
        let features = match config.core.kind {
            CoreKind::Kindel => params.declare_aligned(name("features"), vec![neurons, channels]),
            CoreKind::Linear => {
                params.declare_aligned(name("weights"), vec![neurons, map.0, map.1])
            }
            _ => params.declare(name("features"), vec![neurons, channels]),
        };
        Ok(Self {
            name: population.name.clone(),
            neurons,
            image: (population.height, population.width),
            map,
            channels,
            windows: None,
            spatial,
            features,
            bias: params.declare(name("bias"), vec![neurons]),
            log_norm: (config.readout.features_penalty == FeaturesPenalty::AdaptiveLogNorm)
                .then(|| params.declare(name("log_norm"), vec![neurons])),
            response_scale: population.response_scale.clone(),
        })
    }

    /// Slot of the masks, if there are any.
    pub fn masks(&self) -> Option<usize> {
        match self.spatial {
            Spatial::Masks(slot) => Some(slot),
            Spatial::Places(_) | Spatial::Whole => None,
        }
    }

    fn shape(&self, config: &Config, batch: usize) -> Shape {
        Shape {
            batch,
            channels: self.channels,
            pixels: self.map.0 * self.map.1,
            neurons: self.neurons,
            positive_features: config.readout.positive_features,
        }
    }

    /// Whether neurons weigh all of the core's output.
    pub fn is_whole(&self) -> bool {
        self.spatial == Spatial::Whole
    }

    /// Numbers of the core's output that a neuron weighs.
    pub fn inputs(&self) -> usize {
        self.channels * self.map.0 * self.map.1
    }

    fn dense(&self, batch: usize) -> dense::Shape {
        dense::Shape {
            batch,
            inputs: self.inputs(),
            units: self.neurons,
        }
    }

    /// Floats that the forward pass of so many images can keep for the backward one.
    fn kept(&self, model: &Model, batch: usize) -> usize {
        if self.masks().is_none() {
            return 0;
        }
        let shape = self.shape(&model.config, batch);
        shape.kept(&model.device, self.windows.as_deref())
    }

    fn weights<'a>(&'a self, mask: usize, params: &'a Arena) -> Weights<'a> {
        Weights {
            mask: params.view(mask),
            features: params.view(self.features),
            bias: params.view(self.bias),
            windows: self.windows.as_deref(),
        }
    }

    fn gradients<'a>(
        &self,
        mask: usize,
        gradients: &'a mut Arena,
        sparsity: &'a Array,
    ) -> Gradients<'a> {
        let slots = &gradients.layout.slots;
        let (mask, features) = (slots[mask].range(), slots[self.features].range());
        let all = mask.start..slots[self.bias].range().end;
        let (mask_view, rest) = gradients.values.slice_mut(all).split_at(mask.len());
        let (features, bias) = rest.split_at(features.len());
        Gradients {
            sparsity: sparsity.view(),
            mask: mask_view,
            features,
            bias,
        }
    }
}

/// Floats that may be kept between the passes: 1 GiB.
const KEPT: usize = 1 << 28;

/// A readout's buffers, allocated once.
#[derive(Debug)]
pub struct Buffers {
    /// Sums before the output nonlinearity (B, N).
    pub h: Array,
    /// Rates (B, N).
    pub rates: Array,
    /// Normalised responses of the batch (B, N), NaN where not recorded.
    pub responses: Array,
    /// Each image's share of the loss (B).
    pub losses: Array,
    dh: Array,
    /// What the penalty gives to the gradients of the masks (N), if there are any.
    sparsity: Array,
    kept: Option<Array>,
    sampled: Option<Sampled>,
}

impl Buffers {
    /// For batches of up to `batch` images; with `gradients`, keeps what the way back needs.
    pub fn new(model: &Model, readout: &Readout, batch: usize, gradients: bool) -> Self {
        let device = &model.device;
        let zeros = || device.zeros(&[batch, readout.neurons]);
        let kept = readout.kept(model, batch);
        let masks = gradients && readout.masks().is_some();
        let mut sparsity = device.zeros(&[if masks { readout.neurons } else { 0 }]);
        if model.config.readout.features_penalty == FeaturesPenalty::L2 {
            // The same for every mask, at every step.
            sparsity.fill(model.config.penalties.readout_sparsity as f32);
        }
        Self {
            h: zeros(),
            rates: zeros(),
            responses: zeros(),
            losses: device.zeros(&[batch]),
            dh: if gradients {
                zeros()
            } else {
                device.zeros(&[0])
            },
            sparsity,
            kept: (gradients && kept <= KEPT).then(|| device.zeros(&[kept])),
            sampled: match readout.spatial {
                Spatial::Masks(_) | Spatial::Whole => None,
                Spatial::Places(_) => Some(Sampled::new(model, readout, batch, gradients)),
            },
        }
    }
}

/// From the core's output to h, for `batch` images. In training, places are sampled with the noise of [`gaussian::draw`].
pub fn forward(
    model: &Model,
    index: usize,
    space: &Workspace,
    buffers: &mut Buffers,
    batch: usize,
    mode: Mode,
) {
    let readout = &model.readouts[index];
    let mask = match readout.spatial {
        Spatial::Masks(slot) => slot,
        Spatial::Places(places) => {
            let (own, samples) = ((readout, places), mode == Mode::Training);
            return gaussian::forward(model, own, space, buffers, batch, samples);
        }
        Spatial::Whole => {
            let x = space.output_part(batch * readout.inputs());
            let (w, bias) = (readout.features, model.params.view(readout.bias));
            let h = buffers.h.slice_mut(0..batch * readout.neurons);
            let (device, shape) = (&model.device, readout.dense(batch));
            return dense::forward(device, &shape, x, model.params.view(w), Some(bias), h);
        }
    };
    let shape = readout.shape(&model.config, batch);
    let x = space.output_part(batch * shape.channels * shape.pixels);
    let keep = buffers
        .kept
        .as_mut()
        .map(|k| k.slice_mut(0..readout.kept(model, batch)));
    let h = buffers.h.slice_mut(0..batch * readout.neurons);
    readout::forward(
        &model.device,
        &shape,
        x,
        readout.weights(mask, &model.params),
        h,
        keep,
    );
}

/// From h to rates.
pub fn rates(model: &Model, index: usize, buffers: &mut Buffers, batch: usize) {
    let neurons = model.readouts[index].neurons;
    let shape = loss::Shape {
        batch,
        neurons,
        output: model.config.readout.output,
    };
    let h = buffers.h.slice(0..batch * neurons);
    loss::rates(
        &model.device,
        &shape,
        h,
        buffers.rates.slice_mut(0..batch * neurons),
    );
}

/// Each image's share of the loss, and with `gradient` what [`backward`] starts from.
pub fn losses(model: &Model, index: usize, buffers: &mut Buffers, batch: usize, gradient: bool) {
    let neurons = model.readouts[index].neurons;
    let shape = loss::Shape {
        batch,
        neurons,
        output: model.config.readout.output,
    };
    let len = batch * neurons;
    loss::losses(
        &model.device,
        &shape,
        model.config.training.loss,
        buffers.h.slice(0..len),
        buffers.responses.slice(0..len),
        gradient.then(|| buffers.dh.slice_mut(0..len)),
        buffers.losses.slice_mut(0..batch),
    );
}

/// Writes the gradient of the masks, with what [`penalties`] left, adds to those of the other parameters, and leaves the core output's in
/// the workspace.
pub fn backward(
    model: &Model,
    index: usize,
    space: &mut Workspace,
    buffers: &mut Buffers,
    batch: usize,
    gradients: &mut Arena,
) {
    let readout = &model.readouts[index];
    let mask = match readout.spatial {
        Spatial::Masks(slot) => slot,
        Spatial::Places(places) => {
            let own = (readout, places);
            return gaussian::backward(model, own, space, buffers, batch, gradients);
        }
        Spatial::Whole => return backward_whole(model, readout, space, buffers, batch, gradients),
    };
    let shape = readout.shape(&model.config, batch);
    let len = batch * readout.inputs();
    let dh = buffers.dh.slice(0..batch * readout.neurons);
    let (x, dx) = space.output_and_gradient(len);
    let own_gradients = readout.gradients(mask, gradients, &buffers.sparsity);
    readout::backward(
        &model.device,
        &shape,
        x,
        readout.weights(mask, &model.params),
        dh,
        (dx.slice_mut(0..len), own_gradients),
        buffers
            .kept
            .as_mut()
            .map(|k| k.slice_mut(0..readout.kept(model, batch))),
    );
}

/// The same of neurons that weigh all of the output.
fn backward_whole(
    model: &Model,
    readout: &Readout,
    space: &mut Workspace,
    buffers: &Buffers,
    batch: usize,
    gradients: &mut Arena,
) {
    let (device, shape) = (&model.device, readout.dense(batch));
    let len = batch * readout.inputs();
    let dh = buffers.dh.slice(0..batch * readout.neurons);
    let (x, dx) = space.output_and_gradient(len);
    let (dw, dbias) = gradients.pair_mut(readout.features);
    dense::backward_weights(device, &shape, x, dh, dw, Some(dbias));
    // The linear model's images ask for no gradient.
    if model.kindel.is_some() {
        let w = model.params.view(readout.features);
        dense::backward_input(device, &shape, w, dh, dx.slice_mut(0..len));
    }
}

/// Leaves in the workspace the core output's gradient of the sum of `weights[b, n] h[b, n]`.
pub fn backward_images(
    model: &Model,
    index: usize,
    space: &mut Workspace,
    weights: &Array,
    batch: usize,
) {
    let readout = &model.readouts[index];
    let dh = weights.slice(0..batch * readout.neurons);
    let mask = match readout.spatial {
        Spatial::Masks(slot) => slot,
        Spatial::Places(places) => {
            return gaussian::backward_images(model, (readout, places), space, dh, batch);
        }
        Spatial::Whole => {
            let w = model.params.view(readout.features);
            let len = batch * readout.inputs();
            let dx = space.output_gradient().slice_mut(0..len);
            return dense::backward_input(&model.device, &readout.dense(batch), w, dh, dx);
        }
    };
    let shape = readout.shape(&model.config, batch);
    let len = batch * readout.inputs();
    let dx = space.output_gradient().slice_mut(0..len);
    readout::backward_input(
        &model.device,
        &shape,
        readout.weights(mask, &model.params),
        dh,
        dx,
    );
}

/// Adds the gradients of the readout's penalty; that of masks waits in the buffers for [`backward`].
pub fn penalties(model: &Model, index: usize, buffers: &mut Buffers, gradients: &mut Arena) {
    let (readout, device) = (&model.readouts[index], &model.device);
    let (settings, form) = (
        &model.config.penalties,
        model.config.readout.features_penalty,
    );
    let strength = settings.readout_sparsity;
    let view = |slot: usize| model.params.view(slot);
    let mask = match readout.spatial {
        Spatial::Masks(slot) => slot,
        Spatial::Places(_) => {
            let to = gradients.view_mut(readout.features);
            return penalty::absolutes(device, strength, view(readout.features), to);
        }
        Spatial::Whole => {
            let to = gradients.view_mut(readout.features);
            return penalty::squares(device, settings.pixel_ridge, view(readout.features), to);
        }
    };
    let windows = readout.windows.as_deref();
    let values = (view(mask), view(readout.features));
    match (form, readout.log_norm) {
        (FeaturesPenalty::L2, _) => {
            let to = gradients.view_mut(readout.features);
            penalty::squares(device, settings.features_ridge, values.1, to);
        }
        (FeaturesPenalty::AdaptiveLogNorm, Some(slot)) => {
            let features = gradients.layout.slots[readout.features].range();
            let norms = gradients.layout.slots[slot].range();
            let all = gradients.values.slice_mut(features.start..norms.end);
            let (dfeatures, rest) = all.split_at(features.len());
            let log_norm = penalty::LogNorm {
                values: view(slot),
                gradient: rest.slice(norms.start - features.end..norms.end - features.end),
                sd: settings.log_norm_sd,
            };
            penalty::adaptive(
                device,
                windows,
                strength,
                values,
                (buffers.sparsity.view_mut(), dfeatures),
                log_norm,
            );
        }
        _ if strength == 0.0 => {}
        _ => {
            let to = gradients.view_mut(readout.features);
            let to = (buffers.sparsity.view_mut(), to);
            penalty::readout(device, windows, strength, values, to);
        }
    }
}
