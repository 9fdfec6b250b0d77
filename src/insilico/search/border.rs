//! Neurons that look at a padded border, where estimates are coarse: stimuli shown to them directly, on the crops that they
//! look at, border and all.
//!
//! From the best stimulus so far every place within half of the core's reach is tried, and every shape that differs in one or two
//! parameters, until nothing is better; these crops leave the faint rest of trained masks out, so that the caller confirms what
//! was best on the image itself. On request it is every stimulus of the grid, with all of the mask.

use super::grid::Grid;
use super::screen::{Candidate, insert};
use super::{KEPT, Winner};
use crate::Result;
use crate::insilico::Watch;
use crate::insilico::show::{answers, exact};
use crate::model::Model;
use crate::model::closeup::{self, Group};
use crate::model::config::Padding;
use std::collections::HashSet;

/// Share of a mask's sum near the border from which on a neuron is shown stimuli directly.
const NEAR: f32 = 0.02;
/// Most rounds of a neuron's search.
const ROUNDS: usize = 12;
/// Stimuli that are shown at a time.
const AT_ONCE: usize = 1 << 18;

/// Which of these neurons look at a padded border: what the core sees of the image from there is cut off.
fn near(model: &Model, index: usize, neurons: &[usize]) -> Vec<usize> {
    let readout = &model.readouts[index];
    // Models without masks have been shown them from the start.
    if model.config.core.padding == Padding::Valid || readout.is_whole() {
        return Vec::new();
    }
    let reach = closeup::reach(model);
    let (height, width) = readout.map;
    let looks = |n: usize| {
        let mask = model.mask(index, n);
        let (mut all, mut outer) = (0.0, 0.0);
        for (p, m) in mask.iter().enumerate() {
            let (y, x) = (p / width, p % width);
            let inside = |v: usize, n: usize| v >= reach && v + reach < n;
            all += m.abs();
            if !(inside(y, height) && inside(x, width)) {
                outer += m.abs();
            }
        }
        outer > NEAR * all
    };
    (0..neurons.len()).filter(|&i| looks(neurons[i])).collect()
}

/// For the neurons near the border (rows of readout `index`) what is best on their crops, best first; nothing for the
/// others.
pub(super) fn candidates(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    grid: &Grid,
    found: &[Winner],
    watch: &mut Watch,
) -> Result<Vec<Vec<Candidate>>> {
    let mut best = vec![Vec::new(); neurons.len()];
    let mut near = near(model, index, neurons);
    near.retain(|&i| found[i].answer.drive.is_finite());
    if near.is_empty() {
        return Ok(best);
    }
    watch.begin("stimuli near the border");
    let rows: Vec<usize> = near.iter().map(|&i| neurons[i]).collect();
    let lists = match grid.exhaustive {
        true => {
            let groups = exact(model, index, &rows)?;
            all(model, &groups, grid, near.len(), watch)?
        }
        false => {
            let windows = closeup::looked_at(model, index, &rows);
            let groups = closeup::groups(model, index, &rows, &windows)?;
            let starts = near.iter().map(|&i| (found[i].shape, found[i].place));
            climb(model, &groups, grid, starts.collect(), watch)?
        }
    };
    for (i, list) in near.into_iter().zip(lists) {
        best[i] = list;
    }
    Ok(best)
}

/// The best of all stimuli of the grid.
fn all(
    model: &mut Model,
    groups: &[Group],
    grid: &Grid,
    neurons: usize,
    watch: &mut Watch,
) -> Result<Vec<Vec<Candidate>>> {
    let mut best = vec![Vec::new(); neurons];
    let at_once = (AT_ONCE / neurons).max(1);
    for first in (0..grid.len()).step_by(at_once) {
        let shown: Vec<(usize, usize)> = (first..grid.len().min(first + at_once))
            .map(|i| (i % grid.shapes.len(), i / grid.shapes.len()))
            .collect();
        let shown = vec![&shown[..]; neurons];
        show(model, groups, grid, &shown, &mut best, watch)?;
    }
    Ok(best)
}

/// The best on the way up from each neuron's shape and place.
fn climb(
    model: &mut Model,
    groups: &[Group],
    grid: &Grid,
    starts: Vec<(usize, usize)>,
    watch: &mut Watch,
) -> Result<Vec<Vec<Candidate>>> {
    let reach = closeup::reach(model).div_ceil(2) as i64;
    let mut best: Vec<Vec<Candidate>> = vec![Vec::new(); starts.len()];
    let mut from: Vec<Option<(usize, usize)>> = starts.into_iter().map(Some).collect();
    let mut seen = vec![HashSet::new(); from.len()];
    for _ in 0..ROUNDS {
        if from.iter().all(Option::is_none) {
            break;
        }
        let places = from.iter().zip(&mut seen);
        let shown: Vec<_> = places
            .map(|(from, seen)| {
                let mut list = from.map_or(Vec::new(), |from| around(grid, from, reach));
                list.retain(|&stimulus| seen.insert(stimulus));
                list
            })
            .collect();
        show(model, groups, grid, &shown, &mut best, watch)?;
        for (from, best) in from.iter_mut().zip(&best) {
            let first = best.first().map(|c| (c.shape as usize, c.place as usize));
            *from = first.filter(|_| *from != first && from.is_some());
        }
    }
    Ok(best)
}

/// This stimulus, its shape at the places within `reach`, and related shapes at its place.
fn around(grid: &Grid, (shape, place): (usize, usize), reach: i64) -> Vec<(usize, usize)> {
    let (row, column) = grid.places.at(place);
    let within = |&p: &usize| {
        let (y, x) = grid.places.at(p);
        (y - row).abs() <= reach && (x - column).abs() <= reach
    };
    let places = (0..grid.places.count()).filter(within).map(|p| (shape, p));
    let shapes = grid.related(shape).into_iter().map(|s| (s, place));
    places.chain(shapes).collect()
}

/// Shows each neuron its shapes at places and keeps the best.
fn show(
    model: &mut Model,
    groups: &[Group],
    grid: &Grid,
    shown: &[impl AsRef<[(usize, usize)]>],
    best: &mut [Vec<Candidate>],
    watch: &mut Watch,
) -> Result<()> {
    let drawn = |list: &[(usize, usize)]| -> Vec<f32> {
        let stimuli = list.iter().flat_map(|&(s, p)| grid.stimulus(s, p));
        stimuli.collect()
    };
    let stimuli: Vec<Vec<f32>> = shown.iter().map(|list| drawn(list.as_ref())).collect();
    let found = answers(model, groups, grid.family, &stimuli, watch)?;
    for ((best, list), answers) in best.iter_mut().zip(shown).zip(found) {
        for (&(shape, place), answer) in list.as_ref().iter().zip(answers) {
            let candidate = Candidate {
                drive: answer.drive,
                shape: shape as u32,
                place: place as u32,
            };
            if !best.contains(&candidate) {
                insert(best, candidate, KEPT);
            }
        }
    }
    Ok(())
}
