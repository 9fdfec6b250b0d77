//! All places at the price of one: a canvas per shape, and each neuron's mask moved over it.
//!
//! A stimulus that moves moves the core's maps, away from the image's border. So the drive for a shape at a place is that
//! for the blank image plus the mask, moved against the stimulus, over what the neuron's features make of the shape on a
//! canvas without border. This is exact for masks whose pixels lie as far from the border as the core reaches, and for all
//! masks of models with valid padding; the search confirms what it finds on the image itself.

use super::grid::Grid;
use crate::Result;
use crate::device::Device;
use crate::insilico::Watch;
use crate::model::config::Padding;
use crate::model::{Model, Projector, closeup};
use crate::ops::scan::{self, Masks, Places, Window};
use crate::stimuli::Canvas;

/// Share of a mask's sum that a list of its strongest pixels may leave out.
const LEFT_OUT: f32 = 0.02;
/// Neurons that share a product.
const NEURONS: usize = 512;

/// One shape at its best place for one neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Estimated h.
    pub drive: f32,
    /// Number of the shape.
    pub shape: u32,
    /// Number of the place.
    pub place: u32,
}

impl Candidate {
    /// Before or after another one in a list with the best first; equal ones in the order of the grid.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let by_number = (self.place, self.shape).cmp(&(other.place, other.shape));
        other.drive.total_cmp(&self.drive).then(by_number)
    }
}

/// For each neuron (row of readout `index`) the `keep` shapes with the largest drives, best first.
pub(super) fn screen(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    grid: &Grid,
    keep: usize,
    watch: &mut Watch,
) -> Result<Vec<Vec<Candidate>>> {
    let blank = closeup::blank(model, index)?;
    let lead = match model.config.core.padding {
        Padding::Same => 0,
        Padding::Valid => closeup::reach(model) as i64,
    };
    let places = Places {
        row: grid.places.row - lead,
        column: grid.places.column - lead,
        ..grid.places
    };
    let chunks: Vec<&[usize]> = neurons.chunks(NEURONS).collect();
    let masks = chunks
        .iter()
        .map(|chunk| masks(model, index, chunk))
        .collect::<Result<Vec<_>>>()?;
    let mut best: Vec<Vec<Candidate>> = vec![Vec::new(); neurons.len()];
    let mut done = 0;
    for (radius, shapes) in by_radius(grid) {
        let window = window(model, index, radius, &places);
        let batch = batch(model, chunks[0].len(), &window).min(shapes.len());
        let mut projector = Projector::new(
            model,
            index,
            neurons,
            (window.height, window.width),
            batch,
            chunks[0].len(),
        )?;
        for shapes in shapes.chunks(batch) {
            draw(grid, shapes, &window, &mut projector);
            projector.forward(shapes.len());
            for (at, masks) in masks.iter().enumerate() {
                let first = at * NEURONS;
                let n = masks.neurons();
                let device = projector.device();
                let mut values = device.zeros(&[shapes.len(), n]);
                let mut found = device.zeros::<u32>(&[shapes.len(), n]);
                let g = projector.project(shapes.len(), first..first + n);
                let to = (values.view_mut(), found.view_mut());
                scan::best(&device, (&window, &places), masks, g, to.0, to.1);
                let (values, found) = (values.download(), found.download());
                for (i, &shape) in shapes.iter().enumerate() {
                    for k in 0..n {
                        let candidate = Candidate {
                            drive: blank[neurons[first + k]] + values[i * n + k],
                            shape: shape as u32,
                            place: found[i * n + k],
                        };
                        insert(&mut best[first + k], candidate, keep);
                    }
                }
            }
            projector.device().check()?;
            done += shapes.len();
            watch.tick(done, grid.shapes.len())?;
        }
    }
    Ok(best)
}

/// Keeps a list sorted and no longer than `keep`.
pub(super) fn insert(list: &mut Vec<Candidate>, candidate: Candidate, keep: usize) {
    if candidate.drive.is_nan() {
        return;
    }
    if list.len() == keep {
        match list.last() {
            Some(last) if candidate.order(last).is_lt() => list.pop(),
            _ => return,
        };
    }
    let at = list.partition_point(|c| c.order(&candidate).is_lt());
    list.insert(at, candidate);
}

/// Shapes of one radius, smallest first.
fn by_radius(grid: &Grid) -> Vec<(f64, Vec<usize>)> {
    let mut radii = grid.radii.clone();
    radii.sort_by(f64::total_cmp);
    radii.dedup();
    let of = |radius: f64| (0..grid.shapes.len()).filter(move |&s| grid.radii[s] == radius);
    radii.iter().map(|&r| (r, of(r).collect())).collect()
}

/// The displacements of map pixels from the stimulus at which anything is to be seen.
fn window(model: &Model, index: usize, radius: f64, places: &Places) -> Window {
    let (height, width) = model.readouts[index].map;
    let extent = radius.ceil() as i64 + closeup::reach(model) as i64;
    let span = |first: i64, count: usize, pixels: usize| {
        let (low, high) = (-(first + count as i64 - 1), pixels as i64 - 1 - first);
        let (low, high) = (low.max(-extent), high.min(extent));
        // Never empty, so that places far outside are answered too.
        (low, (high - low + 1).max(1) as usize)
    };
    let (top, height) = span(places.row, places.rows, height);
    let (left, width) = span(places.column, places.columns, width);
    Window {
        top,
        left,
        height,
        width,
    }
}

/// Canvases at a time, so that what the features make of them stays modest.
fn batch(model: &Model, neurons: usize, window: &Window) -> usize {
    let (numbers, most) = match model.device {
        Device::Cpu => (1 << 25, 16),
        _ => (1 << 29, 128),
    };
    (numbers / (neurons * window.height * window.width)).clamp(1, most)
}

fn draw(grid: &Grid, shapes: &[usize], window: &Window, projector: &mut Projector) {
    let (height, width) = projector.canvas();
    let canvas = Canvas {
        count: shapes.len(),
        height,
        width,
    };
    // Displacement 0 of the map, seen by the middle of the reach around it.
    let reach = ((width - window.width) / 2) as f32;
    let (column, row) = (reach - window.left as f32, reach - window.top as f32);
    let parameters: Vec<f32> = shapes
        .iter()
        .flat_map(|&s| grid.family.moved(&grid.shapes[s], column, row))
        .collect();
    let device = projector.device();
    let parameters = device.upload(&parameters, &[shapes.len(), grid.family.parameters()]);
    let images = projector.images(shapes.len());
    grid.family
        .draw(&device, &canvas, parameters.view(), images);
}

/// The strongest pixels of each mask, and what the features make of a blank canvas.
fn masks(model: &mut Model, index: usize, neurons: &[usize]) -> Result<Masks> {
    let device = model.device.clone();
    let mut projector = Projector::new(model, index, neurons, (1, 1), 1, neurons.len())?;
    let (h, w) = projector.canvas();
    projector.images(1).fill_from(&vec![0.0; h * w]);
    projector.forward(1);
    let blank = projector.project(1, 0..neurons.len()).download();
    let width = model.readouts[index].map.1;
    let list = |&n: &usize| strongest(&model.mask(index, n), width);
    let lists: Vec<_> = neurons.iter().map(list).collect();
    Ok(Masks::new(&device, &lists, &blank))
}

/// Pixels and absolute values of a mask, without the faintest ones; in the mask's order.
fn strongest(mask: &[f32], width: usize) -> Vec<((usize, usize), f32)> {
    let mut order: Vec<usize> = (0..mask.len()).filter(|&p| mask[p] != 0.0).collect();
    order.sort_by(|&a, &b| mask[a].abs().total_cmp(&mask[b].abs()).then(b.cmp(&a)));
    let total: f32 = order.iter().map(|&p| mask[p].abs()).sum();
    let mut left_out = 0.0;
    let faint = order
        .iter()
        .take_while(|&&p| {
            left_out += mask[p].abs();
            left_out <= LEFT_OUT * total
        })
        .count();
    let mut kept = order.split_off(faint);
    kept.sort_unstable();
    kept.into_iter()
        .map(|p| ((p / width, p % width), mask[p].abs()))
        .collect()
}
