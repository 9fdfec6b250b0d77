//! Neurons without masks (Kindel et al. 2017, the linear model): no map can be moved in the stimulus' place, but one pass
//! answers for all neurons. So stimuli are drawn on the image itself, each at every fourth row and column; the search goes
//! on from the best of them in steps of one pixel. On request every place is tried.

use super::grid::Grid;
use super::screen::{Candidate, insert};
use crate::Result;
use crate::device::Device;
use crate::insilico::Watch;
use crate::model::Model;
use crate::stimuli::Canvas;

/// Rows and columns from one place to the next.
const STEP: usize = 4;

/// For each neuron (row of readout `index`) the `keep` stimuli with the largest drives, best first.
pub(super) fn screen(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    grid: &Grid,
    keep: usize,
    watch: &mut Watch,
) -> Result<Vec<Vec<Candidate>>> {
    let device = model.device.clone();
    let (readout, places) = (&model.readouts[index], places(grid));
    let ((height, width), all) = (readout.image, readout.neurons);
    let most = match device {
        Device::Cpu => 64,
        _ => 1024,
    };
    let count = places.len() * grid.shapes.len();
    let mut predictor = model.predictor(index, most.min(count))?;
    let mut best: Vec<Vec<Candidate>> = vec![Vec::new(); neurons.len()];
    let n = grid.family.parameters();
    for first in (0..count).step_by(most) {
        let shown: Vec<(usize, usize)> = (first..count.min(first + most))
            .map(|i| (i % grid.shapes.len(), places[i / grid.shapes.len()]))
            .collect();
        let stimuli = shown.iter().flat_map(|&(s, p)| grid.stimulus(s, p));
        let parameters = device.upload(&stimuli.collect::<Vec<f32>>(), &[shown.len(), n]);
        let canvas = Canvas {
            count: shown.len(),
            height,
            width,
        };
        let drives = predictor.drives(shown.len(), |images| {
            grid.family
                .draw(&device, &canvas, parameters.view(), images);
        });
        for (&(shape, place), drives) in shown.iter().zip(drives.chunks_exact(all)) {
            for (best, &neuron) in best.iter_mut().zip(neurons) {
                let candidate = Candidate {
                    drive: drives[neuron],
                    shape: shape as u32,
                    place: place as u32,
                };
                insert(best, candidate, keep);
            }
        }
        device.check()?;
        watch.tick(first + shown.len(), count)?;
    }
    Ok(best)
}

/// The places that are tried.
fn places(grid: &Grid) -> Vec<usize> {
    let of = &grid.places;
    let tried = |at: i64, first: i64, count: usize| {
        let begin = (STEP / 2).min((count - 1) / 2);
        grid.exhaustive || (at - first) as usize % STEP == begin
    };
    let on_grid = |&p: &usize| {
        let (row, column) = of.at(p);
        tried(row, of.row, of.rows) && tried(column, of.column, of.columns)
    };
    (0..of.count()).filter(on_grid).collect()
}
