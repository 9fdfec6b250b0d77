//! Each image seen by one neuron, on the crop that its mask can see.
//!
//! A neuron's mask looks at a [`Window`] of the core's last map; the image that this window depends on is the window and
//! the core's reach around it. So an image needs no more than that crop and one neuron's readout: with filters of 13, 5
//! and 5 pixels and a window of 7 x 7 a 25th of the arithmetic of the whole image. Neurons are sorted into [`Group`]s
//! with crops of one size, which share batches.
//!
//! Convolutions of a crop are valid ones. Where the model pads, crops may reach over the border of the image, and every
//! layer's map is held at zero outside of it, which is what padding does. The last layer has no activation, so that it and
//! the readout are one linear filter per neuron on the map below, calculated once. What a window leaves out of the mask counts as
//! it does for a blank image (0 after z-scoring); with nothing left out, responses are those of the whole image.
//!
//! Models without masks (Kindel et al. 2017, the linear model) see whole images: there the filter of a neuron is its weights of the
//! core's output.

mod group;
mod linear;
mod window;

pub use crate::ops::readout::Window;
pub use group::Group;
pub use window::Tail;

use super::windows::tight;
use super::workspace::Workspace;
use super::{Mode, Model, core, readout};
use crate::Result;
use crate::device::{Array, View, ViewMut};
use crate::ops::{closeup, loss};

/// The windows of these neurons (rows of readout `index`).
pub fn windows(model: &Model, index: usize, neurons: &[usize], tail: Tail) -> Vec<Window> {
    let readout = &model.readouts[index];
    if readout.is_whole() {
        return vec![Window::whole(readout.map); neurons.len()];
    }
    let width = readout.map.1;
    let window = |&n: &usize| Window::of_mask(&model.mask(index, n), width, tail);
    neurons.iter().map(window).collect()
}

/// Where these neurons (rows of readout `index`) look, for searches: what is not 0 of a mask that lies in a window or is a
/// place; of whole masks, windows without the faint rest that training leaves all over them. What they leave out counts as for a blank image.
pub fn looked_at(model: &Model, index: usize, neurons: &[usize]) -> Vec<Window> {
    /// Weights below this share of the largest do not count.
    const FAINT: f32 = 0.05;
    /// What a window may leave out of the others.
    const TAIL: Tail = Tail::Energy(1e-2);
    let readout = &model.readouts[index];
    if readout.is_whole() {
        return vec![Window::whole(readout.map); neurons.len()];
    }
    let width = readout.map.1;
    let window = |&n: &usize| {
        let mut mask = model.mask(index, n);
        let own = readout.windows.as_ref().map(|windows| windows.of(n));
        let small = own.is_some_and(|own| own != Window::whole(readout.map));
        if (small || readout.masks().is_none())
            && let Some(all) = tight(&mask, width)
        {
            return all;
        }
        let largest = mask.iter().fold(0.0f32, |most, m| most.max(m.abs()));
        for m in &mut mask {
            if m.abs() < FAINT * largest {
                *m = 0.0;
            }
        }
        Window::of_mask(&mask, width, TAIL)
    };
    neurons.iter().map(window).collect()
}

/// Sorts neurons (rows of readout `index`) with these windows into groups, smallest crops first.
///
/// # Errors
/// When the maps of a few images do not fit into memory.
pub fn groups(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    windows: &[Window],
) -> Result<Vec<Group>> {
    assert_eq!(neurons.len(), windows.len(), "one window per neuron");
    let mut groups = group::sorted(model, index, neurons, windows);
    let blank = blank(model, index)?;
    for group in &mut groups {
        group.bias = vec![0.0; group.neurons.len()];
        let mut eye = Closeup::new(model, group, group.batch(model, false).min(32), false)?;
        let mut bias = Vec::with_capacity(group.neurons.len());
        let seats: Vec<u32> = (0..group.neurons.len() as u32).collect();
        for seats in seats.chunks(eye.batch()) {
            eye.images(seats.len()).fill(0.0);
            eye.forward(seats);
            bias.extend(eye.drives(seats.len()).download());
        }
        let neurons = bias.iter().zip(&group.neurons);
        group.bias = neurons.map(|(own, &n)| blank[n] - own).collect();
    }
    Ok(groups)
}

/// Pixels that a pixel of the last map sees on each side.
pub fn reach(model: &Model) -> usize {
    model.layers.iter().map(|l| l.kernel / 2).sum()
}

/// One group's neurons and the buffers of their images.
#[derive(Debug)]
pub struct Closeup<'m> {
    model: &'m mut Model,
    own: Waiting,
}

/// A [`Closeup`] without its model: what waits while the model looks at another group's images.
#[derive(Debug)]
pub struct Waiting {
    group: Group,
    space: Workspace,
    seats: Array<u32>,
    filters: Array,
    bias: Array,
    h: Array,
    rates: Array,
    slopes: Array,
}

impl Waiting {
    /// The model, which must be the same as before, looks again.
    pub fn look(self, model: &mut Model) -> Closeup<'_> {
        Closeup { model, own: self }
    }

    /// The neurons.
    pub fn group(&self) -> &Group {
        &self.group
    }
}

impl<'m> Closeup<'m> {
    /// For up to `batch` images at a time; with `gradients`, for [`Closeup::backward`] too.
    ///
    /// # Errors
    /// When it does not fit into memory.
    pub fn new(model: &'m mut Model, group: &Group, batch: usize, gradients: bool) -> Result<Self> {
        let device = model.device.clone();
        let (depth, neurons) = (group::depth(model), group.neurons.len());
        let lanes = group.lanes(model);
        let batch = batch.next_multiple_of(lanes);
        let maps = Workspace::bytes_of(&device, &model.config, depth, group.size, batch, gradients);
        let filters = (neurons * group.inputs(model) * size_of::<f32>()) as u128;
        device.require("the maps of images of one neuron each", maps + filters)?;
        let frames = group.frames(model, batch);
        let of_input = frames.as_ref().map(|f| f.of_maps[depth].view());
        let filters = linear::filters(model, group, of_input);
        let cut = group.cut_of(model, depth, lanes);
        let own = Waiting {
            space: Workspace::of_layers(model, cut, group.size, batch, gradients).framed(frames),
            seats: device.zeros(&[batch]),
            filters,
            bias: device.upload(&group.bias, &[neurons]),
            h: device.zeros(&[batch]),
            rates: device.zeros(&[batch]),
            slopes: device.zeros(&[if gradients { batch } else { 0 }]),
            group: group.clone(),
        };
        model.device.check()?;
        Ok(Self { model, own })
    }

    /// Leaves the model to others for a while.
    pub fn wait(self) -> Waiting {
        self.own
    }

    /// The neurons.
    pub fn group(&self) -> &Group {
        &self.own.group
    }

    /// The model that they belong to.
    pub fn model(&self) -> &Model {
        self.model
    }

    /// Images that fit.
    pub fn batch(&self) -> usize {
        self.own.space.batch
    }

    /// The first `count` images (count, height, width), to write: crops of z-scored images. What is written outside of
    /// the real image is forgotten.
    pub fn images(&mut self, count: usize) -> ViewMut<'_> {
        let pixels = self.own.group.size.0 * self.own.group.size.1;
        self.own.space.images.slice_mut(0..count * pixels)
    }

    /// Has each image seen by the neuron of the group that its seat names.
    ///
    /// # Panics
    /// When there are more seats than images fit, or a seat names no neuron: that is a bug, not input.
    pub fn forward(&mut self, seats: &[u32]) {
        let neurons = self.own.group.neurons.len() as u32;
        assert!(seats.iter().all(|&s| s < neurons), "{neurons} neurons");
        let count = seats.len();
        self.own.seats.slice_mut(0..count).fill_from(seats);
        if let Some(frames) = &mut self.own.space.frames {
            frames.seats.slice_mut(0..count).fill_from(seats);
        }
        core::forward(self.model, &mut self.own.space, count, Mode::Prediction);
        let shape = self.shape(count);
        let x = self.own.space.output_part(self.whole(count) * shape.inputs);
        closeup::forward(
            &self.model.device,
            &shape,
            x,
            self.own.seats.slice(0..count),
            (self.own.filters.view(), self.own.bias.view()),
            self.own.h.slice_mut(0..count),
        );
        let of_rates = self.of_rates(count);
        let (h, rates) = (
            self.own.h.slice(0..count),
            self.own.rates.slice_mut(0..count),
        );
        loss::rates(&self.model.device, &of_rates, h, rates);
    }

    /// Drives h of the last [`Closeup::forward`], before the output nonlinearity, (count).
    pub fn drives(&self, count: usize) -> View<'_> {
        self.own.h.slice(0..count)
    }

    /// Normalised rates of the last [`Closeup::forward`], (count).
    pub fn rates(&self, count: usize) -> View<'_> {
        self.own.rates.slice(0..count)
    }

    /// Carries each rate of the last [`Closeup::forward`] back to its image. What is carried is the drive's gradient, and
    /// the rate's slope comes last: a silent neuron's would vanish on the way.
    pub fn backward(&mut self, count: usize) {
        let (shape, of_rates) = (self.shape(count), self.of_rates(count));
        let device = self.model.device.clone();
        let inputs = self.whole(count) * shape.inputs;
        closeup::backward_input(
            &device,
            &shape,
            self.own.seats.slice(0..count),
            self.own.filters.view(),
            self.own.space.output_gradient().slice_mut(0..inputs),
        );
        core::backward_images(self.model, &mut self.own.space, count);
        let (h, slopes) = (
            self.own.h.slice(0..count),
            self.own.slopes.slice_mut(0..count),
        );
        loss::slopes(&device, &of_rates, h, slopes);
        let slopes = self.own.slopes.slice(0..count);
        closeup::scale(&device, slopes, self.own.space.image_gradient_mut(count));
    }

    /// The gradient of each rate at its image, (count, height, width), after [`Closeup::backward`]; 0 outside of the
    /// real image.
    pub fn gradient(&self, count: usize) -> View<'_> {
        self.own.space.image_gradient(count)
    }

    /// So many images in whole lanes.
    fn whole(&self, count: usize) -> usize {
        count.next_multiple_of(self.own.space.lanes)
    }

    fn shape(&self, batch: usize) -> closeup::Shape {
        let neurons = self.own.group.neurons.len();
        closeup::Shape {
            batch,
            inputs: self.own.filters.len() / neurons,
            neurons,
            lanes: self.own.space.lanes,
        }
    }

    fn of_rates(&self, batch: usize) -> loss::Shape {
        loss::Shape {
            batch,
            neurons: 1,
            output: self.model.config.readout.output,
        }
    }
}

/// Every neuron's drive h, before the output nonlinearity, for the blank image (0 after z-scoring).
///
/// # Errors
/// When one image's maps do not fit into memory.
pub fn blank(model: &mut Model, index: usize) -> Result<Vec<f32>> {
    let image = model.readouts[index].image;
    let bytes = Workspace::bytes(&model.device, &model.config, image, 1, false);
    model.device.require("the maps of an image", bytes)?;
    let mut space = Workspace::new(model, image, 1, false);
    let mut buffers = readout::Buffers::new(model, &model.readouts[index], 1, false);
    core::forward(model, &mut space, 1, Mode::Prediction);
    readout::forward(model, index, &space, &mut buffers, 1, Mode::Prediction);
    model.device.check()?;
    Ok(buffers.h.download())
}
