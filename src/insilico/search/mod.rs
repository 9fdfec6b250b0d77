//! Optimal stimuli: every shape at every place, then a climb in the continuous parameters.
//!
//! All places of a shape are estimated at once (`screen.rs`). The best estimates of each neuron are then shown to it on the
//! image itself, in falling order, until none that is left can win: until the next estimate, and the largest error of an
//! estimate seen so far on top of it, is below the best answer. From the winner the search steps to neighbouring places as long as that
//! helps; neurons that look at a padded border, which estimates ignore, are shown stimuli directly (`border.rs`). Answers are
//! those of the model for the whole image. Models without masks are shown stimuli from the first step on (`whole.rs`).

mod border;
mod climber;
mod grid;
mod refine;
mod screen;
mod whole;

pub(super) use climber::{Climber, natural_steps};
pub use grid::{Differences, Gabors, Grid};
pub use refine::refine;

use super::show::{Answer, answers};
use super::{Family, Watch};
use crate::Result;
use crate::model::Model;
use crate::model::closeup::Group;
use screen::Candidate;

/// Estimates that are kept per neuron.
const KEPT: usize = 256;
/// Of these, shown at a time.
const AT_ONCE: usize = 16;

/// A stimulus and one neuron's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// Its parameters, as the [`Family`] orders them, in the image's coordinates.
    pub stimulus: Vec<f32>,
    /// The answer.
    pub answer: Answer,
}

/// The best stimulus of the grid for each neuron (rows of readout `index`, of which `groups` were made). Of equal
/// answers the first in the grid's order counts.
///
/// # Errors
/// When the maps do not fit into memory, or a signal has come.
pub fn search(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    groups: &[Group],
    grid: &Grid,
    watch: &mut Watch,
) -> Result<Vec<Optimum>> {
    watch.begin("shapes at all places");
    let candidates = match model.readouts[index].is_whole() {
        false => screen::screen(model, index, neurons, grid, KEPT, watch)?,
        true => whole::screen(model, index, neurons, grid, KEPT, watch)?,
    };
    watch.begin("best shapes on the image");
    let mut found = vec![Winner::NONE; neurons.len()];
    confirm(model, groups, grid, &candidates, &mut found, watch)?;
    let near = border::candidates(model, index, neurons, grid, &found, watch)?;
    watch.begin("best stimuli on the image");
    confirm(model, groups, grid, &near, &mut found, watch)?;
    watch.begin("neighbouring places");
    settle(model, groups, grid, &mut found, watch)?;
    let optimum = |w: &Winner| Optimum {
        stimulus: grid.stimulus(w.shape, w.place),
        answer: w.answer,
    };
    Ok(found.iter().map(optimum).collect())
}

/// The best of what a neuron was shown.
#[derive(Clone, Copy, Debug)]
struct Winner {
    shape: usize,
    place: usize,
    answer: Answer,
    /// Largest difference so far between an estimate and the answer.
    error: f32,
}

impl Winner {
    /// Anything is better.
    const NONE: Self = Self {
        shape: 0,
        place: 0,
        answer: Answer {
            drive: f32::NEG_INFINITY,
            rate: f32::NAN,
        },
        error: 0.0,
    };

    fn challenge(&mut self, shape: usize, place: usize, answer: Answer) -> bool {
        let (h, best) = (answer.drive, self.answer.drive);
        let earlier = (place, shape) < (self.place, self.shape);
        let wins = h > best || (h == best && earlier);
        if wins {
            *self = Self {
                shape,
                place,
                answer,
                ..*self
            };
        }
        wins
    }
}

/// Shows the candidates until none that is left can win over what was found before.
fn confirm(
    model: &mut Model,
    groups: &[Group],
    grid: &Grid,
    candidates: &[Vec<Candidate>],
    winners: &mut [Winner],
    watch: &mut Watch,
) -> Result<()> {
    for first in (0..KEPT).step_by(AT_ONCE) {
        let open = |(list, winner): (&Vec<Candidate>, &Winner)| {
            let next = list.get(first);
            next.is_some_and(|c| c.drive + winner.error >= winner.answer.drive)
        };
        let open: Vec<bool> = candidates.iter().zip(&*winners).map(open).collect();
        if !open.contains(&true) {
            break;
        }
        let shown: Vec<&[Candidate]> = candidates
            .iter()
            .zip(&open)
            .map(|(list, open)| match open {
                true => &list[first..(first + AT_ONCE).min(list.len())],
                false => &[],
            })
            .collect();
        let stimuli: Vec<Vec<f32>> = shown
            .iter()
            .map(|list| {
                list.iter()
                    .flat_map(|c| grid.stimulus(c.shape as usize, c.place as usize))
                    .collect()
            })
            .collect();
        let found = answers(model, groups, grid.family, &stimuli, watch)?;
        for ((winner, list), found) in winners.iter_mut().zip(&shown).zip(found) {
            for (c, answer) in list.iter().zip(found) {
                winner.error = winner.error.max((answer.drive - c.drive).abs());
                winner.challenge(c.shape as usize, c.place as usize, answer);
            }
        }
    }
    Ok(())
}

/// Steps to the best of the eight neighbouring places until there is none better.
fn settle(
    model: &mut Model,
    groups: &[Group],
    grid: &Grid,
    winners: &mut [Winner],
    watch: &mut Watch,
) -> Result<()> {
    let (rows, columns) = (grid.places.rows as i64, grid.places.columns as i64);
    let neighbours = |place: usize| -> Vec<usize> {
        let (row, column) = (place as i64 % rows, place as i64 / rows);
        let steps = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (row + dy, column + dx)));
        let inside = steps.filter(|&(y, x)| {
            (0..rows).contains(&y) && (0..columns).contains(&x) && (y, x) != (row, column)
        });
        inside.map(|(y, x)| (x * rows + y) as usize).collect()
    };
    let mut moving: Vec<bool> = winners.iter().map(|w| w.answer.rate.is_finite()).collect();
    while moving.contains(&true) {
        let tried: Vec<Vec<usize>> = winners
            .iter()
            .zip(&moving)
            .map(|(w, moving)| match moving {
                true => neighbours(w.place),
                false => Vec::new(),
            })
            .collect();
        let stimuli: Vec<Vec<f32>> = tried
            .iter()
            .zip(winners.iter())
            .map(|(places, w)| {
                places
                    .iter()
                    .flat_map(|&p| grid.stimulus(w.shape, p))
                    .collect()
            })
            .collect();
        let found = answers(model, groups, grid.family, &stimuli, watch)?;
        for (i, (places, answers)) in tried.iter().zip(found).enumerate() {
            let winner = &mut winners[i];
            let shape = winner.shape;
            let mut moved = false;
            for (&place, answer) in places.iter().zip(answers) {
                moved |= winner.challenge(shape, place, answer);
            }
            moving[i] = moved;
        }
    }
    Ok(())
}

/// The family's parameters that a refinement may change, with the range of the grid.
pub(in crate::insilico) fn ranges(grid: &Grid) -> Vec<(f32, f32)> {
    let n = grid.family.parameters();
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); n];
    for shape in &grid.shapes {
        for (range, &v) in ranges.iter_mut().zip(shape) {
            *range = (range.0.min(v), range.1.max(v));
        }
    }
    let (row, column) = grid.places.at(0);
    let (last_row, last_column) = grid.places.at(grid.places.count() - 1);
    ranges[0] = (column as f32, last_column as f32);
    ranges[1] = (row as f32, last_row as f32);
    if grid.family == Family::Gabors {
        // Angles go round.
        for angle in [5, 6] {
            ranges[angle] = (f32::NEG_INFINITY, f32::INFINITY);
        }
    }
    ranges
}
