//! The core: convolution, normalisation, activation, layer after layer, and the way back.

use super::Model;
use super::config::{Config, CoreKind, Padding};
use super::kindel::{self, Sizes};
use super::params::{Arena, Layout};
use super::workspace::{Operation, Workspace, first_input};
use crate::device::{Device, View};
use crate::ops::activation::Activation;
use crate::ops::basis::Basis;
use crate::ops::norm::{Affine, Finish};
use crate::ops::penalty::{Metric, Strength};
use crate::ops::{conv, group_conv, norm, penalty};
use crate::{Error, Result};

/// One layer: where its numbers lie, and its sizes that no image decides.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Slot of the Hermite coefficients, or of the pixel weights.
    pub filters: usize,
    /// Slot of the gain; none in the last layer and in plain CNNs.
    pub gain: Option<usize>,
    /// Slot of the offset; follows the gain.
    pub offset: usize,
    /// Slots of the running mean and variance, one after the other.
    pub mean: usize,
    /// Follows the mean.
    pub variance: usize,
    /// Filter width.
    pub kernel: usize,
    /// Input features per orientation.
    pub in_features: usize,
    /// Output features per orientation.
    pub features: usize,
    /// Groups of channels with normalisation statistics of their own.
    pub groups: usize,
    /// What follows the normalisation.
    pub activation: Activation,
    /// Weights of the penalties.
    pub strength: Strength,
    /// The penalties' quadratic forms (rotation-equivariant).
    metric: Option<Metric>,
}

/// How normalisation and dropout behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With the batch's statistics, which move the running ones, and with units dropped.
    Training,
    /// With the running statistics and all units.
    Prediction,
}

/// Declares the tensors of every layer with a normalisation; other kinds of core have none.
pub fn declare(
    device: &Device,
    config: &Config,
    params: &mut Layout,
    statistics: &mut Layout,
) -> Vec<Layer> {
    if config.is_unfactorised() {
        return Vec::new();
    }
    let c = &config.core;
    let (o, steerable) = (
        config.orientations(),
        c.kind == CoreKind::RotationEquivariant,
    );
    let last = c.features.len() - 1;
    (0..=last)
        .map(|l| {
            let (kernel, features) = (c.filter_sizes[l], c.features[l]);
            let in_features = if l == 0 { 1 } else { c.features[l - 1] };
            let in_channels = if l == 0 { 1 } else { o * in_features };
            let groups = if c.shared_norm {
                features
            } else {
                o * features
            };
            let name = |what: &str| format!("core.{l}.{what}");
            let filters = if steerable {
                let shape = vec![Basis::count(kernel), in_channels, features];
                params.declare(name("coefficients"), shape)
            } else {
                params.declare(name("weights"), vec![features, in_channels, kernel, kernel])
            };
            let gain =
                (steerable && l < last).then(|| params.declare(name("norm.gain"), vec![groups]));
            let p = &config.penalties;
            Layer {
                filters,
                gain,
                offset: params.declare(name("norm.offset"), vec![groups]),
                mean: statistics.declare(name("norm.mean"), vec![groups]),
                variance: statistics.declare(name("norm.variance"), vec![groups]),
                kernel,
                in_features,
                features,
                groups,
                activation: if l < last {
                    c.activation
                } else {
                    Activation::None
                },
                strength: Strength {
                    smoothness: p.smoothness * p.smoothness_per_layer[l],
                    group_sparsity: p.group_sparsity * p.group_sparsity_per_layer[l],
                },
                metric: steerable.then(|| Metric::new(device, &Basis::new(kernel), o)),
            }
        })
        .collect()
}

/// Height and width of the core's output for images of this size; 1 x 1 where it is a vector.
///
/// # Errors
/// When valid padding or pooling leaves nothing of the image.
pub fn output_size(config: &Config, height: usize, width: usize) -> Result<(usize, usize)> {
    match config.core.kind {
        CoreKind::Kindel => return Sizes::of(config, (height, width)).map(|_| (1, 1)),
        CoreKind::Linear => return Ok((height, width)),
        CoreKind::RotationEquivariant | CoreKind::Convolutional => {}
    }
    let lost: usize = match config.core.padding {
        Padding::Same => 0,
        Padding::Valid => config.core.filter_sizes.iter().map(|k| k - 1).sum(),
    };
    if height <= lost || width <= lost {
        return Err(Error::bad(
            "core.padding = \"valid\"",
            "the image",
            format!("{height} x {width} pixels"),
            format!("more than {lost} in both directions for these filter sizes"),
        ));
    }
    Ok((height - lost, width - lost))
}

fn finish<'a>(params: &'a Arena, layer: &Layer, statistics: (View<'a>, View<'a>)) -> Finish<'a> {
    Finish {
        statistics,
        affine: Affine {
            gain: layer.gain.map(|g| params.view(g)),
            offset: params.view(layer.offset),
        },
        activation: layer.activation,
    }
}

/// Runs `batch` of the workspace's images through the core.
pub fn forward(model: &mut Model, space: &mut Workspace, batch: usize, mode: Mode) {
    if let Some(core) = &model.kindel {
        return kindel::forward(model, core, space, batch, mode);
    }
    let batch = batch.next_multiple_of(space.lanes);
    space.take_images(&model.device, batch);
    for l in 0..space.layers.len() {
        let finished = mode == Mode::Prediction
            && !space.keeps_gradients()
            && predict_layer(model, space, batch, l);
        if !finished {
            forward_layer(model, space, batch, l, mode);
        }
        if l + 1 < space.layers.len() {
            space.clear_output(&model.device, l, batch);
        }
    }
}

fn forward_layer(model: &mut Model, space: &mut Workspace, batch: usize, l: usize, mode: Mode) {
    let (slot, sized) = (l.min(space.before.len() - 1), &space.layers[l]);
    let out_len = batch * sized.channels * sized.out_pixels;
    let input = match l {
        0 => first_input(&space.images, &space.stored_images, batch * sized.in_len),
        _ => space.after[slot.min(l - 1)].slice(0..batch * sized.in_len),
    };
    let filters = model.params.view(model.layers[l].filters);
    let output = space.before[slot].slice_mut(0..out_len);
    match &sized.operation {
        Operation::Steerable(layer) => {
            group_conv::forward(&model.device, layer, batch, input, filters, output);
        }
        Operation::Plain(shape) => {
            let shape = conv::Shape { batch, ..*shape };
            conv::forward(&model.device, &shape, input, filters, output);
        }
    }
    if mode == Mode::Prediction {
        hold_statistics(model, space, l);
    }
    let shape = space.norm_shape(model, l, batch);
    let y = space.before[slot].slice(0..out_len);
    let layer = &model.layers[l];
    if mode == Mode::Training {
        let decay = match model.config.core.kind {
            CoreKind::RotationEquivariant => 0.9,
            _ => 0.98,
        };
        let batch_statistics = (space.mean[l].view_mut(), space.variance[l].view_mut());
        let running = model.statistics.pair_mut(layer.mean);
        norm::statistics(&model.device, &shape, y, decay, batch_statistics, running);
    }
    let statistics = (space.mean[l].view(), space.variance[l].view());
    let finish = finish(&model.params, layer, statistics);
    let z = space.after[slot].slice_mut(0..out_len);
    norm::forward(&model.device, &shape, y, &finish, z);
}

/// Has layer `l` normalise with the running statistics.
fn hold_statistics(model: &Model, space: &mut Workspace, l: usize) {
    let layer = &model.layers[l];
    let held = [
        (&mut space.mean[l], layer.mean),
        (&mut space.variance[l], layer.variance),
    ];
    for (held, running) in held {
        held.view_mut().copy_from(model.statistics.view(running));
    }
}

/// A steerable layer whose map before normalisation nobody will ask for, in one op; false if `l` is none.
fn predict_layer(model: &Model, space: &mut Workspace, batch: usize, l: usize) -> bool {
    let (layer, sized) = (&model.layers[l], &space.layers[l]);
    let Operation::Steerable(operation) = &sized.operation else {
        return false;
    };
    // The two buffers take turns: `after` holds the layer's input, `before` takes its output, then they swap.
    let input = match l {
        0 => first_input(&space.images, &space.stored_images, batch * sized.in_len),
        _ => space.after[0].slice(0..batch * sized.in_len),
    };
    let output = space.before[0].slice_mut(0..batch * sized.channels * sized.out_pixels);
    let statistics = (
        model.statistics.view(layer.mean),
        model.statistics.view(layer.variance),
    );
    let finish = finish(&model.params, layer, statistics);
    let filters = model.params.view(layer.filters);
    group_conv::forward_finished(
        &model.device,
        operation,
        batch,
        (input, filters),
        &finish,
        output,
    );
    std::mem::swap(&mut space.before, &mut space.after);
    true
}

/// Carries the gradient at the core's output, already in the workspace, to the parameters: adds to `gradients`.
pub fn backward(model: &Model, space: &mut Workspace, batch: usize, gradients: &mut Arena) {
    if let Some(core) = &model.kindel {
        return kindel::backward(model, core, space, batch, Some(gradients));
    }
    for l in (0..model.layers.len()).rev() {
        let shape = space.norm_shape(model, l, batch);
        let (layer, sized) = (&model.layers[l], &space.layers[l]);
        let out_len = batch * sized.channels * sized.out_pixels;
        let [gradient, below] = &mut space.gradient;
        let (dgain, doffset) = match layer.gain {
            Some(gain) => {
                let (gain, offset) = gradients.pair_mut(gain);
                (Some(gain), offset)
            }
            None => (None, gradients.view_mut(layer.offset)),
        };
        let statistics = (space.mean[l].view(), space.variance[l].view());
        norm::backward(
            &model.device,
            &shape,
            space.before[l].slice(0..out_len),
            &finish(&model.params, layer, statistics),
            gradient.slice_mut(0..out_len),
            (dgain, doffset),
        );
        let dy = gradient.slice(0..out_len);
        let x = match l {
            0 => first_input(&space.images, &space.stored_images, batch * sized.in_len),
            _ => space.after[l - 1].slice(0..batch * sized.in_len),
        };
        let filters = model.params.view(layer.filters);
        let dfilters = gradients.view_mut(layer.filters);
        let dx = below.slice_mut(0..batch * sized.in_len);
        match (&sized.operation, l) {
            (Operation::Steerable(layer), 0) => {
                group_conv::backward_coefficients(&model.device, layer, batch, x, dy, dfilters);
            }
            (Operation::Steerable(layer), _) => {
                group_conv::backward(&model.device, layer, batch, (x, filters), dy, dx, dfilters);
            }
            (Operation::Plain(shape), 0) => {
                let shape = conv::Shape { batch, ..*shape };
                conv::backward_weights(&model.device, &shape, x, dy, dfilters);
            }
            (Operation::Plain(shape), _) => {
                let shape = conv::Shape { batch, ..*shape };
                conv::backward(&model.device, &shape, (x, filters), dy, dx, dfilters);
            }
        }
        space.gradient.swap(0, 1);
    }
}

/// Carries the gradient at the core's output to the images, statistics held fixed: [`Workspace::image_gradient`].
pub fn backward_images(model: &Model, space: &mut Workspace, batch: usize) {
    let batch = batch.next_multiple_of(space.lanes);
    if let Some(core) = &model.kindel {
        kindel::backward(model, core, space, batch, None);
    }
    for l in (0..space.layers.len()).rev() {
        backward_layer(model, space, batch, l);
    }
    space.give_image_gradient(&model.device, batch);
}

/// Carries the gradient at the core's output to the input of the last layer, which is linear in it: no forward pass is
/// needed. It ends where it began, in [`Workspace::output_gradient`].
pub(super) fn backward_last(model: &Model, space: &mut Workspace, batch: usize) {
    let last = model.layers.len() - 1;
    assert_eq!(model.layers[last].activation, Activation::None);
    hold_statistics(model, space, last);
    backward_layer(model, space, batch, last);
}

fn backward_layer(model: &Model, space: &mut Workspace, batch: usize, l: usize) {
    let shape = space.norm_shape(model, l, batch);
    let (layer, sized) = (&model.layers[l], &space.layers[l]);
    let out_len = batch * sized.channels * sized.out_pixels;
    let [gradient, below] = &mut space.gradient;
    let statistics = (space.mean[l].view(), space.variance[l].view());
    norm::backward_fixed(
        &model.device,
        &shape,
        space.before[l].slice(0..out_len),
        &finish(&model.params, layer, statistics),
        gradient.slice_mut(0..out_len),
    );
    let dy = gradient.slice(0..out_len);
    let filters = model.params.view(layer.filters);
    let dx = below.slice_mut(0..batch * sized.in_len);
    match &sized.operation {
        Operation::Steerable(layer) => {
            group_conv::backward_input(&model.device, layer, batch, filters, dy, dx);
        }
        Operation::Plain(shape) => {
            let shape = conv::Shape { batch, ..*shape };
            conv::backward_input(&model.device, &shape, filters, dy, dx);
        }
    }
    space.gradient.swap(0, 1);
    space.clear_gradient(&model.device, l, batch);
}

/// Adds the gradients of the core's penalties.
pub fn penalties(model: &Model, gradients: &mut Arena) {
    let device = &model.device;
    for layer in &model.layers {
        let strength = layer.strength;
        if strength.smoothness == 0.0 && strength.group_sparsity == 0.0 {
            continue;
        }
        let filters = model.params.view(layer.filters);
        let dfilters = gradients.view_mut(layer.filters);
        match &layer.metric {
            Some(metric) => {
                let features = layer.features;
                penalty::steerable(device, metric, features, strength, filters, dfilters);
            }
            None => {
                let shape = (layer.in_features, layer.kernel);
                penalty::filters(device, shape, strength, filters, dfilters);
            }
        }
    }
}
