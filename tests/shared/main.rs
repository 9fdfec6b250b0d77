//! What clusters share, on twins with planted clusters: their templates against what is known to be best, their patterns
//! against trying everything, and the command's files against `predict`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/small.rs"]
mod small;
#[path = "../common/twin.rs"]
mod twin;

mod command;
mod patterns;
mod templates;

use std::f64::consts::FRAC_PI_2;
use std::path::Path;
use striate::insilico::shared::{Best, Member};
use striate::stimuli::Gabor;
use twin::{Cell, gabors};

/// Orientations of the filters of both planted clusters.
const TURNS: [f64; 4] = [0.2, 0.9, 1.7, 2.6];
/// Phases of the two clusters.
const PHASES: [f64; 2] = [0.5, FRAC_PI_2];

/// Filter, row, column, gain: cluster 0 has the first four, cluster 1 the next.
const CELLS: [Cell; 11] = [
    cell(0, 12, 15, 6.0),
    cell(1, 9, 12, 4.0),
    cell(2, 11, 20, 5.0),
    cell(3, 14, 9, 8.0),
    cell(4, 10, 16, 6.0),
    cell(5, 13, 13, 7.0),
    cell(6, 12, 18, 5.0),
    cell(7, 15, 14, 4.0),
    // Alone in its cluster, one that answers to nothing, and one in no cluster.
    cell(1, 12, 11, 6.0),
    cell(0, 8, 8, 0.0),
    cell(2, 9, 9, 3.0),
];

const fn cell(filter: usize, row: usize, column: usize, gain: f32) -> Cell {
    Cell {
        filter,
        row,
        column,
        gain,
    }
}

/// Of the first cluster, then of the second.
fn filters() -> Vec<f32> {
    let of = |phase: f64| TURNS.map(|turn| (turn, phase));
    gabors(&PHASES.map(of).concat())
}

fn write(run: &Path, output: &str) {
    twin::write(run, output, &filters(), &CELLS, 0.25);
}

/// SD of a neuron's responses.
fn scale(neuron: usize) -> f64 {
    1.5 + 0.25 * neuron as f64
}

/// A neuron with its own Gabor there, as `orientation` says.
fn member(neuron: usize, cluster: usize, at: &Cell, orientation: f64) -> Member {
    let stimulus = Gabor {
        x: at.column as f64,
        y: at.row as f64,
        size: 8.0,
        frequency: 0.14,
        contrast: 1.0,
        orientation,
        phase: 0.0,
    };
    Member {
        readout: 0,
        neuron,
        cluster,
        gabor: Some(Best {
            stimulus,
            response: 1.0,
            refined: f64::NAN,
        }),
        difference: None,
        image: None,
    }
}
