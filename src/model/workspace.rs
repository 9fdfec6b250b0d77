//! Every buffer of the core's passes, allocated once.

use super::Model;
use super::config::{Config, CoreKind, Padding};
use crate::device::{Array, Device};
use crate::ops::{conv, group_conv, norm};

/// A layer at one image size.
#[derive(Debug)]
pub(super) struct Sized {
    pub operation: Operation,
    pub channels: usize,
    pub out_pixels: usize,
    /// Numbers of one image's input.
    pub in_len: usize,
}

#[derive(Debug)]
pub(super) enum Operation {
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
    pub(super) layers: Vec<Sized>,
    /// Per layer before normalisation; one for all without gradients.
    pub(super) before: Vec<Array>,
    /// Per layer after activation; one for all without gradients.
    pub(super) after: Vec<Array>,
    /// Per layer: the statistics that normalised the last batch.
    pub(super) mean: Vec<Array>,
    pub(super) variance: Vec<Array>,
    /// Gradient at the output of a layer, and the buffer for the one below.
    pub(super) gradient: [Array; 2],
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
    pub fn new(
        model: &Model,
        (height, width): (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> Self {
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
                        Operation::Steerable(Box::new(group_conv::Layer::new(device, shape)))
                    }
                    _ => Operation::Plain(direct),
                },
                channels: direct.out_channels,
                out_pixels: h * w,
                in_len,
            });
        }
        let largest = layers
            .iter()
            .map(|l| l.channels * l.out_pixels)
            .max()
            .unwrap_or(0);
        let buffers = |device: &Device| -> Vec<Array> {
            if gradients {
                layers
                    .iter()
                    .map(|l| device.zeros(&[batch, l.channels, l.out_pixels]))
                    .collect()
            } else {
                vec![device.zeros(&[batch * largest])]
            }
        };
        let widest = largest.max(height * width);
        let spare = if gradients { batch * widest } else { 0 };
        let groups = || {
            model
                .layers
                .iter()
                .map(|l| device.zeros(&[l.groups]))
                .collect()
        };
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

    /// Whether the way back is possible.
    pub fn keeps_gradients(&self) -> bool {
        !self.gradient[0].is_empty()
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

    pub(super) fn norm_shape(&self, model: &Model, l: usize, batch: usize) -> norm::Shape {
        norm::Shape {
            batch,
            channels: self.layers[l].channels,
            groups: model.layers[l].groups,
            pixels: self.layers[l].out_pixels,
        }
    }

    /// Output map of layer `l` (B, C, P) after activation, of the last forward pass with gradients kept.
    pub fn map(&self, l: usize) -> &Array {
        &self.after[l.min(self.after.len() - 1)]
    }
}
