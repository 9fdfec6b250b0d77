//! Every buffer of the core's passes, allocated once.

use super::Model;
use super::config::{Config, CoreKind, Padding};
use crate::device::{Array, Device};
use crate::ops::{closeup, conv, group_conv, norm};

/// A layer at one image size.
#[derive(Debug)]
pub(super) struct Sized {
    pub operation: Operation,
    pub channels: usize,
    pub out_pixels: usize,
    pub out_width: usize,
    /// Numbers of one image's input.
    pub in_len: usize,
}

impl Sized {
    /// Channels, height and width of its output.
    pub fn size(&self) -> (usize, usize, usize) {
        let height = self.out_pixels / self.out_width;
        (self.channels, height, self.out_width)
    }
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
    /// Where the images are crops that may reach over the border of what they are crops of.
    pub(super) frames: Option<Frames>,
}

/// The part of every map that is real; the rest is padding and held at zero.
#[derive(Debug)]
pub(super) struct Frames {
    /// Which of G frames each image has (B).
    pub seats: Array<u32>,
    /// Of the image, then of each layer's output: (G, 4), as `ops::closeup` wants them.
    pub of_maps: Vec<Array<u32>>,
}

impl Workspace {
    /// Bytes that [`Workspace::new`] takes at least.
    pub fn bytes(config: &Config, image: (usize, usize), batch: usize, gradients: bool) -> u128 {
        Self::bytes_of(config, config.core.features.len(), image, batch, gradients)
    }

    /// The same for the first `depth` layers alone.
    pub(super) fn bytes_of(
        config: &Config,
        depth: usize,
        (height, width): (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> u128 {
        let (mut h, mut w) = (height as u128, width as u128);
        let image = h * w;
        let (mut sum, mut largest) = (0, 0);
        let layers = config.core.filter_sizes.iter().zip(&config.core.features);
        for (kernel, features) in layers.take(depth) {
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
    pub fn new(model: &Model, image: (usize, usize), batch: usize, gradients: bool) -> Self {
        let layers = (model.layers.len(), model.config.core.padding);
        Self::of_layers(model, layers, image, batch, gradients)
    }

    /// As [`Workspace::new`] for the first `depth` layers alone, padded as said.
    pub(super) fn of_layers(
        model: &Model,
        (depth, padding): (usize, Padding),
        (height, width): (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> Self {
        let device = &model.device;
        let mut layers = Vec::new();
        let (mut h, mut w) = (height, width);
        let o = model.config.orientations();
        for (l, layer) in model.layers[..depth].iter().enumerate() {
            let padding = match padding {
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
                out_width: w,
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
            let layers = model.layers[..depth].iter();
            layers.map(|l| device.zeros(&[l.groups])).collect()
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
            frames: None,
            layers,
        }
    }

    /// Holds every map at zero outside of its frame.
    pub(super) fn framed(mut self, frames: Option<Frames>) -> Self {
        self.frames = frames;
        self
    }

    /// Whether the way back is possible.
    pub fn keeps_gradients(&self) -> bool {
        !self.gradient[0].is_empty()
    }

    /// The core's output (B, C, P) of the last forward pass; without layers, the images.
    pub fn output(&self) -> &Array {
        match self.layers.len() {
            0 => &self.images,
            _ => &self.after[self.after.len() - 1],
        }
    }

    /// Where the readout leaves the gradient at the core's output.
    pub fn output_gradient(&mut self) -> &mut Array {
        &mut self.gradient[0]
    }

    /// The gradient that the last way back ended with.
    pub fn gradient(&self) -> &Array {
        &self.gradient[0]
    }

    /// The output and where its gradient goes, together.
    pub fn output_and_gradient(&mut self) -> (&Array, &mut Array) {
        (&self.after[self.after.len() - 1], &mut self.gradient[0])
    }

    /// Zeroes the images outside of their frames.
    pub(super) fn clear_images(&mut self, device: &Device, batch: usize) {
        if let Some(frames) = &self.frames {
            let (h, w) = self.image;
            frames.clear(device, 0, (1, h, w), batch, &mut self.images);
        }
    }

    /// Zeroes the output of layer `l` outside of its frames.
    pub(super) fn clear_output(&mut self, device: &Device, l: usize, batch: usize) {
        if let Some(frames) = &self.frames {
            let slot = l.min(self.after.len() - 1);
            let size = self.layers[l].size();
            frames.clear(device, l + 1, size, batch, &mut self.after[slot]);
        }
    }

    /// Zeroes the gradient at the input of layer `l` outside of its frames.
    pub(super) fn clear_gradient(&mut self, device: &Device, l: usize, batch: usize) {
        if let Some(frames) = &self.frames {
            let size = match l {
                0 => (1, self.image.0, self.image.1),
                _ => self.layers[l - 1].size(),
            };
            frames.clear(device, l, size, batch, &mut self.gradient[0]);
        }
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

impl Frames {
    fn clear(
        &self,
        device: &Device,
        map: usize,
        size: (usize, usize, usize),
        batch: usize,
        maps: &mut Array,
    ) {
        let (channels, h, w) = size;
        let seats = self.seats.slice(0..batch);
        let maps = maps.slice_mut(0..batch * channels * h * w);
        closeup::clear_outside(device, size, seats, self.of_maps[map].view(), maps);
    }
}
