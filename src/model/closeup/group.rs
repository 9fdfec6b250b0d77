//! Neurons whose crops have one size: which they are, and where each crop lies.

use super::{Window, reach};
use crate::device::Device;
use crate::model::Model;
use crate::model::config::{CoreKind, Padding};
use crate::model::workspace::{Cut, Frames, Workspace};
use crate::ops::maps::LANES;

/// Widths of windows that groups are made for.
const WIDTHS: [usize; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 21, 27, 35, 45];

/// Pixels of all crops of a group: its filters take so many numbers for each channel.
const FILTERS: usize = 1 << 20;

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
    pub(super) windows: Vec<Window>,
    /// Of h, such that a blank image's is the whole model's: it takes up what the windows leave out.
    pub(super) bias: Vec<f32>,
    /// The whole image, padded as the model pads.
    pub(super) whole: bool,
}

pub(super) fn sorted(
    model: &Model,
    index: usize,
    neurons: &[usize],
    windows: &[Window],
) -> Vec<Group> {
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

/// Layers below the last one, which is part of the filters.
pub(super) fn depth(model: &Model) -> usize {
    model.layers.len().saturating_sub(1)
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

impl Group {
    /// Images at a time that keep the device busy within a modest part of its memory.
    pub fn batch(&self, model: &Model, gradients: bool) -> usize {
        let (memory, most) = match model.device {
            Device::Cpu => (1 << 28, (16 * rayon::current_num_threads()).max(32)),
            _ => (1 << 32, 1024),
        };
        let depth = depth(model);
        let (device, config) = (&model.device, &model.config);
        let bytes = Workspace::bytes_of(device, config, depth, self.size, 1, gradients).max(1);
        (memory / bytes).clamp(1, most as u128) as usize
    }

    /// The model's first layers on its crops.
    pub(super) fn cut_of(&self, model: &Model, depth: usize, lanes: usize) -> Cut {
        Cut {
            depth,
            padding: self.padding(model),
            lanes,
        }
    }

    /// Images to interleave: crops are small beside the filters. However few they are, so that an answer does not depend on
    /// who else is asked.
    pub(super) fn lanes(&self, model: &Model) -> usize {
        let steerable = model.config.core.kind == CoreKind::RotationEquivariant;
        let on_host = matches!(model.device, Device::Cpu);
        match on_host && steerable && !self.whole {
            true => LANES,
            false => 1,
        }
    }

    /// Of its convolutions.
    pub(super) fn padding(&self, model: &Model) -> Padding {
        match self.whole {
            true => model.config.core.padding,
            false => Padding::Valid,
        }
    }

    /// Numbers of a crop's map that the last layer sees.
    pub(super) fn inputs(&self, model: &Model) -> usize {
        let readout = &model.readouts[self.index];
        if readout.is_whole() {
            return readout.inputs();
        }
        let (channels, lost) = match depth(model) {
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
    pub(super) fn frames(&self, model: &Model, batch: usize) -> Option<Frames> {
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
