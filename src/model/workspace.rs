//! Every buffer of the core's passes, allocated once.

mod bytes;

use super::Model;
use super::config::{CoreKind, Padding};
use super::kindel;
use crate::device::{Array, Device, MapView, MapViewMut, Maps, Precision, View, ViewMut};
use crate::ops::{closeup, conv, group_conv, maps, norm};

/// Which layers a workspace runs, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The first so many.
    pub depth: usize,
    pub padding: Padding,
    /// Images that lie interleaved in maps, 1 or [`maps::LANES`]. With lanes, layers are steerable ones on the CPU and keep
    /// the filters that they have now.
    pub lanes: usize,
}

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
    /// Images that lie interleaved in maps.
    pub(super) lanes: usize,
    /// Height and width of the images.
    pub image: (usize, usize),
    /// z-scored images (B, H, W).
    pub images: Array,
    pub(super) layers: Vec<Sized>,
    /// Buffers of Kindel et al.'s core, where the model has that one; `before` and `after` are its dense layer's then.
    pub(super) kindel: Option<kindel::Space>,
    /// The images as the first layer reads them, where they are not float32 or interleaved.
    pub(super) stored_images: Option<Maps>,
    /// Per layer before normalisation; one for all without gradients, none without layers.
    pub(super) before: Vec<Maps>,
    /// Per layer after activation; one for all without gradients, none without layers.
    pub(super) after: Vec<Maps>,
    /// Per layer: the statistics that normalised the last batch.
    pub(super) mean: Vec<Array>,
    pub(super) variance: Vec<Array>,
    /// Gradient at the output of a layer, and the buffer for the one below.
    pub(super) gradient: [Maps; 2],
    /// The gradient at the images (B, H, W) after a way back to them, where maps are not float32 or interleaved.
    image_gradient: Option<Array>,
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
    /// For batches of up to `batch` images; with `gradients`, keeps what the way back needs.
    pub fn new(model: &Model, image: (usize, usize), batch: usize, gradients: bool) -> Self {
        let cut = Cut {
            depth: model.layers.len(),
            padding: model.config.core.padding,
            lanes: 1,
        };
        Self::of_layers(model, cut, image, batch, gradients)
    }

    /// As [`Workspace::new`] for some layers alone; images are rounded up to whole lanes.
    pub(super) fn of_layers(
        model: &Model,
        cut: Cut,
        (height, width): (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> Self {
        let (device, depth, lanes) = (&model.device, cut.depth, cut.lanes);
        let batch = batch.next_multiple_of(lanes);
        let mut layers = Vec::new();
        let (mut h, mut w) = (height, width);
        let o = model.config.orientations();
        for (l, layer) in model.layers[..depth].iter().enumerate() {
            let padding = match cut.padding {
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
                    CoreKind::RotationEquivariant => Operation::Steerable(Box::new(match lanes {
                        1 => group_conv::Layer::new(device, shape),
                        _ => {
                            let filters = model.params.view(layer.filters);
                            group_conv::Layer::interleaved(shape, filters)
                        }
                    })),
                    _ => Operation::Plain(direct),
                },
                channels: direct.out_channels,
                out_pixels: h * w,
                out_width: w,
                in_len,
            });
        }
        let sizes = model.kindel.as_ref().map(kindel::Kindel::sizes);
        let largest = layers
            .iter()
            .map(|l| l.channels * l.out_pixels)
            .chain(sizes.map(kindel::Sizes::largest))
            .max()
            .unwrap_or(0);
        let buffers = |device: &Device| -> Vec<Maps> {
            if let Some(sizes) = sizes {
                vec![device.maps(&[batch, sizes.units()])]
            } else if gradients || layers.is_empty() {
                layers
                    .iter()
                    .map(|l| device.maps(&[batch, l.channels, l.out_pixels]))
                    .collect()
            } else {
                vec![device.maps(&[batch * largest])]
            }
        };
        let widest = largest.max(height * width);
        let spare = if gradients { batch * widest } else { 0 };
        let as_images = device.precision() != Precision::Bf16 && lanes == 1;
        let groups = || {
            let layers = model.layers[..depth].iter();
            layers.map(|l| device.zeros(&[l.groups])).collect()
        };
        Self {
            batch,
            lanes,
            image: (height, width),
            images: device.zeros(&[batch, height, width]),
            stored_images: (!as_images).then(|| device.maps(&[batch, height, width])),
            before: buffers(device),
            after: buffers(device),
            mean: groups(),
            variance: groups(),
            gradient: [device.maps(&[spare]), device.maps(&[spare])],
            image_gradient: (!as_images && gradients)
                .then(|| device.zeros(&[batch, height, width])),
            frames: None,
            kindel: sizes.map(|s| kindel::Space::new(device, s, batch)),
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

    /// The core's output (B, C, P) of the last forward pass.
    ///
    /// # Panics
    /// Without layers: see `output_part`.
    pub fn output(&self) -> &Maps {
        &self.after[self.after.len() - 1]
    }

    /// The first `len` numbers of it; without layers, of the images.
    pub(super) fn output_part(&self, len: usize) -> MapView<'_> {
        match self.after.last() {
            Some(output) => output.slice(0..len),
            None => first_input(&self.images, &self.stored_images, len),
        }
    }

    /// What units are dropped by in the next passes in training mode, see [`crate::ops::dropout::draw`] (4).
    pub fn draw(&mut self, draw: View<u32>) {
        if let Some(own) = &mut self.kindel {
            own.draw.view_mut().copy_from(draw);
        }
    }

    /// Where the readout leaves the gradient at the core's output.
    pub fn output_gradient(&mut self) -> &mut Maps {
        &mut self.gradient[0]
    }

    /// The gradient at the first `count` images (count, H, W), after the last way back to them.
    pub fn image_gradient(&self, count: usize) -> View<'_> {
        let len = count * self.image.0 * self.image.1;
        match (&self.gradient[0], &self.image_gradient) {
            (_, Some(gradient)) | (Maps::Float(gradient), None) => gradient.slice(0..len),
            (Maps::Half(_), None) => panic!("a workspace without gradients"),
        }
    }

    /// The same, to change.
    pub(super) fn image_gradient_mut(&mut self, count: usize) -> ViewMut<'_> {
        let len = count * self.image.0 * self.image.1;
        match (&mut self.gradient[0], &mut self.image_gradient) {
            (_, Some(gradient)) | (Maps::Float(gradient), None) => gradient.slice_mut(0..len),
            (Maps::Half(_), None) => panic!("a workspace without gradients"),
        }
    }

    /// The first `len` numbers of the output, and where its gradient goes, together.
    pub(super) fn output_and_gradient(&mut self, len: usize) -> (MapView<'_>, &mut Maps) {
        let output = match self.after.last() {
            Some(output) => output.slice(0..len),
            None => first_input(&self.images, &self.stored_images, len),
        };
        (output, &mut self.gradient[0])
    }

    /// Makes the first layer's input of the images, zero outside of their frames.
    pub(super) fn take_images(&mut self, device: &Device, batch: usize) {
        let (h, w) = self.image;
        let len = batch * h * w;
        if let Some(stored) = &mut self.stored_images {
            let (images, stored) = (self.images.slice(0..len), stored.slice_mut(0..len));
            match self.lanes {
                1 => maps::store(device, images, stored),
                lanes => maps::interleave(h * w, lanes, images, stored),
            }
        }
        if let Some(frames) = &self.frames {
            let maps = match &mut self.stored_images {
                Some(stored) => stored.slice_mut(0..len),
                None => self.images.slice_mut(0..len).into(),
            };
            frames.clear(device, 0, (1, h, w), self.lanes, batch, maps);
        }
    }

    /// Makes the gradient at the images of that at the first layer's input.
    pub(super) fn give_image_gradient(&mut self, device: &Device, batch: usize) {
        let len = batch * self.image.0 * self.image.1;
        if let Some(gradient) = &mut self.image_gradient {
            let (at_input, gradient) = (self.gradient[0].slice(0..len), gradient.slice_mut(0..len));
            match self.lanes {
                1 => maps::load(device, at_input, gradient),
                lanes => maps::separate(len / batch, lanes, at_input, gradient),
            }
        }
    }

    /// Zeroes the output of layer `l` outside of its frames.
    pub(super) fn clear_output(&mut self, device: &Device, l: usize, batch: usize) {
        if let Some(frames) = &self.frames {
            let slot = l.min(self.after.len() - 1);
            let size = self.layers[l].size();
            let len = batch * size.0 * size.1 * size.2;
            let maps = self.after[slot].slice_mut(0..len);
            frames.clear(device, l + 1, size, self.lanes, batch, maps);
        }
    }

    /// Zeroes the gradient at the input of layer `l` outside of its frames.
    pub(super) fn clear_gradient(&mut self, device: &Device, l: usize, batch: usize) {
        if let Some(frames) = &self.frames {
            let size = match l {
                0 => (1, self.image.0, self.image.1),
                _ => self.layers[l - 1].size(),
            };
            let len = batch * size.0 * size.1 * size.2;
            let maps = self.gradient[0].slice_mut(0..len);
            frames.clear(device, l, size, self.lanes, batch, maps);
        }
    }

    pub(super) fn norm_shape(&self, model: &Model, l: usize, batch: usize) -> norm::Shape {
        norm::Shape {
            batch: batch / self.lanes,
            channels: self.layers[l].channels,
            groups: model.layers[l].groups,
            pixels: self.layers[l].out_pixels * self.lanes,
        }
    }

    /// Output map of layer `l` (B, C, P) after activation, of the last forward pass with gradients kept.
    pub fn map(&self, l: usize) -> &Maps {
        &self.after[l.min(self.after.len() - 1)]
    }
}

/// What the first layer reads of the workspace's images.
pub(super) fn first_input<'a>(
    images: &'a Array,
    stored_images: &'a Option<Maps>,
    len: usize,
) -> MapView<'a> {
    match stored_images {
        Some(stored) => stored.slice(0..len),
        None => images.slice(0..len).into(),
    }
}

impl Frames {
    fn clear(
        &self,
        device: &Device,
        map: usize,
        size: (usize, usize, usize),
        lanes: usize,
        batch: usize,
        maps: MapViewMut,
    ) {
        let seats = self.seats.slice(0..batch);
        closeup::clear_outside(device, size, lanes, seats, self.of_maps[map].view(), maps);
    }
}
