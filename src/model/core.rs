//! The core: convolution, normalisation, activation, layer after layer, and the way back.

use super::Model;
use super::config::{Config, CoreKind, Padding};
use super::params::{Arena, Layout};
use crate::device::{Array, Device};
use crate::ops::activation::Activation;
use crate::ops::basis::Basis;
use crate::ops::norm::Affine;
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

/// How normalisation behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With the batch's statistics, which move the running ones.
    Training,
    /// With the running statistics.
    Prediction,
}

/// Declares every layer's tensors.
pub fn declare(config: &Config, params: &mut Layout, statistics: &mut Layout) -> Vec<Layer> {
    let c = &config.core;
    let (o, steerable) = (config.orientations(), c.kind == CoreKind::RotationEquivariant);
    let last = c.features.len() - 1;
    (0..=last)
        .map(|l| {
            let (kernel, features) = (c.filter_sizes[l], c.features[l]);
            let in_features = if l == 0 { 1 } else { c.features[l - 1] };
            let in_channels = if l == 0 { 1 } else { o * in_features };
            let groups = if c.shared_norm { features } else { o * features };
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
                activation: if l < last { c.activation } else { Activation::None },
                strength: Strength {
                    smoothness: p.smoothness * p.smoothness_per_layer[l],
                    group_sparsity: p.group_sparsity * p.group_sparsity_per_layer[l],
                },
                metric: steerable.then(|| Metric::new(&Basis::new(kernel), o)),
            }
        })
        .collect()
}

/// Height and width of the core's output for images of this size.
///
/// # Errors
/// When valid padding leaves nothing of the image.
pub fn output_size(config: &Config, height: usize, width: usize) -> Result<(usize, usize)> {
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

/// A layer at one image size.
#[derive(Debug)]
struct Sized {
    operation: Operation,
    channels: usize,
    out_pixels: usize,
    in_len: usize,
}

#[derive(Debug)]
enum Operation {
    Steerable(Box<group_conv::Layer>),
    Plain(conv::Shape),
}

/// Every buffer of the core's passes over images of one size, allocated once.
#[derive(Debug)]
pub struct Workspace {
    /// Images that fit.
    pub batch: usize,
    /// Height and width of the images.
    pub image: (usize, usize),
    /// z-scored images (B, H, W).
    pub images: Array,
    layers: Vec<Sized>,
    /// Per layer before normalisation and after activation; without gradients two buffers take turns.
    before: Vec<Array>,
    after: Vec<Array>,
    /// Per layer: the statistics that normalised the last batch.
    mean: Vec<Array>,
    variance: Vec<Array>,
    /// Gradient at the output of a layer, and the buffer for the one below.
    gradient: [Array; 2],
}

impl Workspace {
    /// Bytes that [`Workspace::new`] takes at least.
    pub fn bytes(
        config: &Config,
        (height, width): (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> u128 {
        let (mut h, mut w) = (height as u128, width as u128);
        let image = h * w;
        let (mut sum, mut largest) = (0, 0);
        for (kernel, features) in config.core.filter_sizes.iter().zip(&config.core.features) {
            if config.core.padding == Padding::Valid {
                let lost = *kernel as u128 - 1;
                (h, w) = (h.saturating_sub(lost), w.saturating_sub(lost));
            }
            let map = config.orientations() as u128 * *features as u128 * h * w;
            sum += map;
            largest = map.max(largest);
        }
        let per_image = match gradients {
            true => image + 2 * sum + 2 * largest.max(image),
            false => image + 2 * largest,
        };
        batch as u128 * per_image * size_of::<f32>() as u128
    }

    /// For batches of up to `batch` images; with `gradients`, keeps what the way back needs.
    pub fn new(model: &Model, (height, width): (usize, usize), batch: usize, gradients: bool) -> Self {
        let device = &model.device;
        let mut layers = Vec::new();
        let (mut h, mut w) = (height, width);
        let o = model.config.orientations();
        for (l, layer) in model.layers.iter().enumerate() {
            let padding = match model.config.core.padding {
                Padding::Same => layer.kernel / 2,
                Padding::Valid => 0,
            };
            let shape = group_conv::Shape {
                batch,
                orientations: o,
                in_features: layer.in_features,
                out_features: layer.features,
                oriented_input: l > 0,
                height: h,
                width: w,
                kernel: layer.kernel,
                padding,
            };
            let direct = shape.direct();
            let in_len = direct.in_channels * h * w;
            (h, w) = (direct.out_height(), direct.out_width());
            layers.push(Sized {
                operation: match model.config.core.kind {
                    CoreKind::RotationEquivariant => {
                        Operation::Steerable(Box::new(group_conv::Layer::new(shape)))
                    }
                    _ => Operation::Plain(direct),
                },
                channels: direct.out_channels,
                out_pixels: h * w,
                in_len,
            });
        }
        let largest = layers.iter().map(|l| l.channels * l.out_pixels).max().unwrap_or(0);
        let buffers = |device: &Device| -> Vec<Array> {
            if gradients {
                layers.iter().map(|l| device.zeros(&[batch, l.channels, l.out_pixels])).collect()
            } else {
                vec![device.zeros(&[batch * largest])]
            }
        };
        let widest = largest.max(height * width);
        let spare = if gradients { batch * widest } else { 0 };
        let groups = || model.layers.iter().map(|l| device.zeros(&[l.groups])).collect();
        Self {
            batch,
            image: (height, width),
            images: device.zeros(&[batch, height, width]),
            before: buffers(device),
            after: buffers(device),
            mean: groups(),
            variance: groups(),
            gradient: [device.zeros(&[spare]), device.zeros(&[spare])],
            layers,
        }
    }

    /// Pixels of the core's output map.
    pub fn out_pixels(&self) -> usize {
        self.layers.last().map_or(0, |l| l.out_pixels)
    }

    /// The core's output (B, C, P) of the last forward pass.
    pub fn output(&self) -> &Array {
        &self.after[self.after.len() - 1]
    }

    /// Where the readout leaves the gradient at the core's output.
    pub fn output_gradient(&mut self) -> &mut Array {
        &mut self.gradient[0]
    }

    /// The output and where its gradient goes, together.
    pub fn output_and_gradient(&mut self) -> (&Array, &mut Array) {
        (&self.after[self.after.len() - 1], &mut self.gradient[0])
    }

    fn norm_shape(&self, model: &Model, l: usize, batch: usize) -> norm::Shape {
        norm::Shape {
            batch,
            channels: self.layers[l].channels,
            groups: model.layers[l].groups,
            pixels: self.layers[l].out_pixels,
            activation: model.layers[l].activation,
        }
    }

    /// Output map of layer `l` (B, C, P) after activation, of the last forward pass with gradients kept.
    pub fn map(&self, l: usize) -> &Array {
        &self.after[l.min(self.after.len() - 1)]
    }
}

fn affine<'a>(params: &'a Arena, layer: &Layer) -> Affine<'a> {
    Affine { gain: layer.gain.map(|g| params.view(g)), offset: params.view(layer.offset) }
}

/// Runs `batch` of the workspace's images through the core.
pub fn forward(model: &mut Model, space: &mut Workspace, batch: usize, mode: Mode) {
    for l in 0..model.layers.len() {
        let (slot, sized) = (l.min(space.before.len() - 1), &space.layers[l]);
        let out_len = batch * sized.channels * sized.out_pixels;
        let input = match l {
            0 => space.images.slice(0..batch * sized.in_len),
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
        let shape = space.norm_shape(model, l, batch);
        let y = space.before[slot].slice(0..out_len);
        let layer = &model.layers[l];
        match mode {
            Mode::Training => {
                let decay = if model.config.core.kind == CoreKind::RotationEquivariant { 0.9 } else { 0.98 };
                let batch_statistics = (space.mean[l].view_mut(), space.variance[l].view_mut());
                let running = model.statistics.pair_mut(layer.mean);
                norm::statistics(&model.device, &shape, y, decay, batch_statistics, running);
            }
            Mode::Prediction => {
                let copy = |to: &mut Array, slot| to.fill_from(&model.statistics.view(slot).download());
                copy(&mut space.mean[l], layer.mean);
                copy(&mut space.variance[l], layer.variance);
            }
        }
        let statistics = (space.mean[l].view(), space.variance[l].view());
        let z = space.after[slot].slice_mut(0..out_len);
        norm::forward(&model.device, &shape, y, statistics, affine(&model.params, layer), z);
    }
}

/// Carries the gradient at the core's output, already in the workspace, to the parameters: adds to `gradients`.
pub fn backward(model: &Model, space: &mut Workspace, batch: usize, gradients: &mut Arena) {
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
        norm::backward(
            &model.device,
            &shape,
            space.before[l].slice(0..out_len),
            (space.mean[l].view(), space.variance[l].view()),
            affine(&model.params, layer),
            gradient.slice_mut(0..out_len),
            (dgain, doffset),
        );
        let dy = gradient.slice(0..out_len);
        let x = match l {
            0 => space.images.slice(0..batch * sized.in_len),
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
            (Operation::Plain(shape), _) => {
                let shape = conv::Shape { batch, ..*shape };
                conv::backward_weights(&model.device, &shape, x, dy, dfilters);
                if l > 0 {
                    conv::backward_input(&model.device, &shape, filters, dy, dx);
                }
            }
        }
        space.gradient.swap(0, 1);
    }
}

/// Carries the gradient at the core's output to the images, statistics held fixed; it ends where it began, in
/// [`Workspace::output_gradient`], as (B, H, W).
pub fn backward_images(model: &Model, space: &mut Workspace, batch: usize) {
    for l in (0..model.layers.len()).rev() {
        let shape = space.norm_shape(model, l, batch);
        let (layer, sized) = (&model.layers[l], &space.layers[l]);
        let out_len = batch * sized.channels * sized.out_pixels;
        let [gradient, below] = &mut space.gradient;
        norm::backward_fixed(
            &model.device,
            &shape,
            space.before[l].slice(0..out_len),
            (space.mean[l].view(), space.variance[l].view()),
            affine(&model.params, layer),
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
    }
}

/// The core's penalties; adds their gradients.
pub fn penalties(model: &Model, gradients: &mut Arena) -> f64 {
    let mut total = 0.0;
    for layer in &model.layers {
        if layer.strength.smoothness == 0.0 && layer.strength.group_sparsity == 0.0 {
            continue;
        }
        let filters = model.params.view(layer.filters);
        let dfilters = gradients.view_mut(layer.filters);
        total += match &layer.metric {
            Some(metric) => penalty::steerable(
                &model.device,
                metric,
                layer.features,
                layer.strength,
                filters,
                dfilters,
            ),
            None => {
                let shape = (layer.in_features, layer.kernel);
                penalty::filters(&model.device, shape, layer.strength, filters, dfilters)
            }
        };
    }
    total
}
