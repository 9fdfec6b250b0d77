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

mod linear;
mod window;

pub use window::{Tail, Window};

use super::config::{CoreKind, Padding};
use super::workspace::{Cut, Frames, Workspace};
use super::{Mode, Model, core, readout};
use crate::Result;
use crate::device::{Array, Device, View, ViewMut};
use crate::ops::maps::LANES;
use crate::ops::{closeup, loss};

/// Widths of windows that groups are made for.
const WIDTHS: [usize; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 21, 27, 35, 45];

/// Pixels of all crops of a group: its filters take so many numbers for each channel.
const FILTERS: usize = 1 << 20;

/// The windows of these neurons (rows of readout `index`).
pub fn windows(model: &Model, index: usize, neurons: &[usize], tail: Tail) -> Vec<Window> {
    let readout = &model.readouts[index];
    let (height, width) = readout.map;
    let masks = model.params.view(readout.mask);
    let pixels = height * width;
    let window = |&n: &usize| {
        let mask = masks.slice(n * pixels..(n + 1) * pixels).download();
        Window::of_mask(&mask, width, tail)
    };
    neurons.iter().map(window).collect()
}

/// Neurons of one readout whose crops have one size.
#[derive(Clone, Debug)]
pub struct Group {
    /// The readout.
    pub index: usize,
    /// Rows of the readout.
    pub neurons: Vec<usize>,
    /// Where each stands in the list that the groups were made of.
    pub places: Vec<usize>,
    /// Height and width of the images.
    pub image: (usize, usize),
    /// Height and width of the crops, in pixels.
    pub size: (usize, usize),
    /// Row and column of each crop's first pixel in the image; outside of the image where the crop reaches over it.
    pub origins: Vec<(i64, i64)>,
    windows: Vec<Window>,
    /// Of h, such that a blank image's is the whole model's: it takes up what the windows leave out.
    bias: Vec<f32>,
    /// The whole image, padded as the model pads.
    whole: bool,
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
    let mut groups = sorted(model, index, neurons, windows);
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

fn sorted(model: &Model, index: usize, neurons: &[usize], windows: &[Window]) -> Vec<Group> {
    let readout = &model.readouts[index];
    let (reach, padded) = (reach(model), model.config.core.padding == Padding::Same);
    let (height, width) = readout.map;
    let class = |w: &Window| {
        let needed = w.height.max(w.width);
        let side = WIDTHS.into_iter().find(|&side| side >= needed);
        let side = side.unwrap_or(usize::MAX);
        let (h, w) = (side.min(height), side.min(width));
        let pays = products(model, (h, w)) < products_of_whole(model, readout.image);
        if pays { (h, w) } else { (height, width) }
    };
    let classes: Vec<(usize, usize)> = windows.iter().map(class).collect();
    let mut sizes = classes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let crop = |size: (usize, usize)| match size == (height, width) {
        true => readout.image,
        false => (size.0 + 2 * reach, size.1 + 2 * reach),
    };
    let group = |size: (usize, usize), places: &[usize]| {
        let whole = size == (height, width);
        let windows: Vec<Window> = places
            .iter()
            .map(|&i| windows[i].resized(size.0, size.1, readout.map))
            .collect();
        let lead = if whole || !padded { 0 } else { reach as i64 };
        Group {
            index,
            neurons: places.iter().map(|&i| neurons[i]).collect(),
            places: places.to_vec(),
            image: readout.image,
            size: crop(size),
            origins: windows
                .iter()
                .map(|w| (w.top as i64 - lead, w.left as i64 - lead))
                .collect(),
            windows,
            bias: Vec::new(),
            whole,
        }
    };
    let of_size = |size: (usize, usize)| {
        let places: Vec<usize> = (0..neurons.len()).filter(|&i| classes[i] == size).collect();
        let (h, w) = crop(size);
        let some = places.chunks((FILTERS / (h * w)).max(1));
        some.map(|places| group(size, places)).collect::<Vec<_>>()
    };
    sizes.into_iter().flat_map(of_size).collect()
}

/// Pixels that a pixel of the last map sees on each side.
pub fn reach(model: &Model) -> usize {
    model.layers.iter().map(|l| l.kernel / 2).sum()
}

/// Multiply-adds for an image of valid convolutions that end in this window, up to a factor.
fn products(model: &Model, (mut h, mut w): (usize, usize)) -> usize {
    let mut sum = 0;
    for (l, layer) in model.layers.iter().enumerate().rev() {
        // The last layer is part of the filters.
        let images = if l + 1 == model.layers.len() { 0 } else { 1 };
        sum += images * h * w * layer.kernel * layer.kernel * layer.in_features * layer.features;
        (h, w) = (h + layer.kernel - 1, w + layer.kernel - 1);
    }
    sum
}

fn products_of_whole(model: &Model, (mut h, mut w): (usize, usize)) -> usize {
    let mut sum = 0;
    for layer in &model.layers {
        if model.config.core.padding == Padding::Valid {
            (h, w) = (h + 1 - layer.kernel, w + 1 - layer.kernel);
        }
        sum += h * w * layer.kernel * layer.kernel * layer.in_features * layer.features;
    }
    sum
}

/// One group's neurons and the buffers of their images.
#[derive(Debug)]
pub struct Closeup<'m> {
    model: &'m mut Model,
    group: Group,
    space: Workspace,
    seats: Array<u32>,
    filters: Array,
    bias: Array,
    h: Array,
    rates: Array,
    slopes: Array,
}

impl<'m> Closeup<'m> {
    /// For up to `batch` images at a time; with `gradients`, for [`Closeup::backward`] too.
    ///
    /// # Errors
    /// When it does not fit into memory.
    pub fn new(model: &'m mut Model, group: &Group, batch: usize, gradients: bool) -> Result<Self> {
        let device = model.device.clone();
        let (depth, neurons) = (model.layers.len() - 1, group.neurons.len());
        let lanes = group.lanes(model, batch);
        let batch = batch.next_multiple_of(lanes);
        let maps = Workspace::bytes_of(&device, &model.config, depth, group.size, batch, gradients);
        let filters = (neurons * group.inputs(model) * size_of::<f32>()) as u128;
        device.require("the maps of images of one neuron each", maps + filters)?;
        let frames = group.frames(model, batch);
        let of_input = frames.as_ref().map(|f| f.of_maps[depth].view());
        let filters = linear::filters(model, group, of_input);
        let cut = group.cut_of(model, depth, lanes);
        let this = Self {
            space: Workspace::of_layers(model, cut, group.size, batch, gradients).framed(frames),
            seats: device.zeros(&[batch]),
            filters,
            bias: device.upload(&group.bias, &[neurons]),
            h: device.zeros(&[batch]),
            rates: device.zeros(&[batch]),
            slopes: device.zeros(&[if gradients { batch } else { 0 }]),
            group: group.clone(),
            model,
        };
        this.model.device.check()?;
        Ok(this)
    }

    /// The neurons.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The model that they belong to.
    pub fn model(&self) -> &Model {
        self.model
    }

    /// Images that fit.
    pub fn batch(&self) -> usize {
        self.space.batch
    }

    /// The first `count` images (count, height, width), to write: crops of z-scored images. What is written outside of
    /// the real image is forgotten.
    pub fn images(&mut self, count: usize) -> ViewMut<'_> {
        let pixels = self.group.size.0 * self.group.size.1;
        self.space.images.slice_mut(0..count * pixels)
    }

    /// Has each image seen by the neuron of the group that its seat names.
    ///
    /// # Panics
    /// When there are more seats than images fit, or a seat names no neuron: that is a bug, not input.
    pub fn forward(&mut self, seats: &[u32]) {
        let neurons = self.group.neurons.len() as u32;
        assert!(seats.iter().all(|&s| s < neurons), "{neurons} neurons");
        let count = seats.len();
        self.seats.slice_mut(0..count).fill_from(seats);
        if let Some(frames) = &mut self.space.frames {
            frames.seats.slice_mut(0..count).fill_from(seats);
        }
        core::forward(self.model, &mut self.space, count, Mode::Prediction);
        let shape = self.shape(count);
        let x = self.space.output_part(self.whole(count) * shape.inputs);
        closeup::forward(
            &self.model.device,
            &shape,
            x,
            self.seats.slice(0..count),
            (self.filters.view(), self.bias.view()),
            self.h.slice_mut(0..count),
        );
        let of_rates = self.of_rates(count);
        let (h, rates) = (self.h.slice(0..count), self.rates.slice_mut(0..count));
        loss::rates(&self.model.device, &of_rates, h, rates);
    }

    /// Drives h of the last [`Closeup::forward`], before the output nonlinearity, (count).
    pub fn drives(&self, count: usize) -> View<'_> {
        self.h.slice(0..count)
    }

    /// Normalised rates of the last [`Closeup::forward`], (count).
    pub fn rates(&self, count: usize) -> View<'_> {
        self.rates.slice(0..count)
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
            self.seats.slice(0..count),
            self.filters.view(),
            self.space.output_gradient().slice_mut(0..inputs),
        );
        core::backward_images(self.model, &mut self.space, count);
        let (h, slopes) = (self.h.slice(0..count), self.slopes.slice_mut(0..count));
        loss::slopes(&device, &of_rates, h, slopes);
        let slopes = self.slopes.slice(0..count);
        closeup::scale(&device, slopes, self.space.image_gradient_mut(count));
    }

    /// The gradient of each rate at its image, (count, height, width), after [`Closeup::backward`]; 0 outside of the
    /// real image.
    pub fn gradient(&self, count: usize) -> View<'_> {
        self.space.image_gradient(count)
    }

    /// So many images in whole lanes.
    fn whole(&self, count: usize) -> usize {
        count.next_multiple_of(self.space.lanes)
    }

    fn shape(&self, batch: usize) -> closeup::Shape {
        let neurons = self.group.neurons.len();
        closeup::Shape {
            batch,
            inputs: self.filters.len() / neurons,
            neurons,
            lanes: self.space.lanes,
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

impl Group {
    /// Images at a time that keep the device busy within a modest part of its memory.
    pub fn batch(&self, model: &Model, gradients: bool) -> usize {
        let (memory, most) = match model.device {
            Device::Cpu => (1 << 28, (16 * rayon::current_num_threads()).max(32)),
            _ => (1 << 32, 1024),
        };
        let depth = model.layers.len() - 1;
        let (device, config) = (&model.device, &model.config);
        let bytes = Workspace::bytes_of(device, config, depth, self.size, 1, gradients).max(1);
        (memory / bytes).clamp(1, most as u128) as usize
    }

    /// The model's first layers on its crops.
    fn cut_of(&self, model: &Model, depth: usize, lanes: usize) -> Cut {
        Cut {
            depth,
            padding: self.padding(model),
            lanes,
        }
    }

    /// Images to interleave: crops are small beside the filters.
    fn lanes(&self, model: &Model, batch: usize) -> usize {
        let steerable = model.config.core.kind == CoreKind::RotationEquivariant;
        let on_host = matches!(model.device, Device::Cpu);
        match on_host && steerable && !self.whole && batch >= LANES {
            true => LANES,
            false => 1,
        }
    }

    /// Of its convolutions.
    fn padding(&self, model: &Model) -> Padding {
        match self.whole {
            true => model.config.core.padding,
            false => Padding::Valid,
        }
    }

    /// Numbers of a crop's map that the last layer sees.
    fn inputs(&self, model: &Model) -> usize {
        let (channels, lost) = match model.layers.len() - 1 {
            0 => (1, 0),
            depth => {
                let below = &model.layers[..depth];
                let channels = model.config.orientations() * below[depth - 1].features;
                let valid = self.padding(model) == Padding::Valid;
                let lost: usize = below.iter().map(|l| l.kernel - 1).sum();
                (channels, if valid { lost } else { 0 })
            }
        };
        channels * (self.size.0 - lost) * (self.size.1 - lost)
    }

    /// Where the real image lies in each map of the crops; none where crops never reach over it.
    fn frames(&self, model: &Model, batch: usize) -> Option<Frames> {
        if self.whole || model.config.core.padding == Padding::Valid {
            return None;
        }
        let image = self.image;
        let span = |origin: i64, lost: usize, crop: usize, image: usize| {
            let (first, size) = (origin + lost as i64, (crop - 2 * lost) as i64);
            let inside = |edge: i64| (edge - first).clamp(0, size) as u32;
            [inside(0), inside(image as i64)]
        };
        let mut lost = 0;
        let mut of_maps = Vec::new();
        for layer in std::iter::once(0).chain(model.layers.iter().map(|l| l.kernel / 2)) {
            lost += layer;
            let frames: Vec<u32> = self
                .origins
                .iter()
                .flat_map(|&(row, column)| {
                    let rows = span(row, lost, self.size.0, image.0);
                    [rows, span(column, lost, self.size.1, image.1)].concat()
                })
                .collect();
            of_maps.push(model.device.upload(&frames, &[self.neurons.len(), 4]));
        }
        Some(Frames {
            seats: model.device.zeros(&[batch]),
            of_maps,
        })
    }

    /// What the group's neuron `seat` sees of a whole image (H, W), 0 where its crop reaches over it.
    pub fn cut(&self, seat: usize, whole: &[f32]) -> Vec<f32> {
        let mut crop = vec![0.0; self.size.0 * self.size.1];
        self.shared(seat, |in_crop, in_image| crop[in_crop] = whole[in_image]);
        crop
    }

    /// Puts that neuron's crop back into a whole image (H, W).
    pub fn paste(&self, seat: usize, crop: &[f32], whole: &mut [f32]) {
        self.shared(seat, |in_crop, in_image| whole[in_image] = crop[in_crop]);
    }

    /// The pixels that crop and image share, by their numbers in each.
    fn shared(&self, seat: usize, mut pixel: impl FnMut(usize, usize)) {
        let ((h, w), (row, column)) = (self.size, self.origins[seat]);
        let inside = |v: i64, n: usize| usize::try_from(v).ok().filter(|&v| v < n);
        for p in 0..h * w {
            let (y, x) = (row + (p / w) as i64, column + (p % w) as i64);
            if let (Some(y), Some(x)) = (inside(y, self.image.0), inside(x, self.image.1)) {
                pixel(p, y * self.image.1 + x);
            }
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
    readout::forward(model, index, &space, &mut buffers, 1);
    model.device.check()?;
    Ok(buffers.h.download())
}
