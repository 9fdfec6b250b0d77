//! `gabors.csv` and `dogs.csv`: each neuron's best stimulus of a grid, and the top of the hill that it lies on.

use super::search::{Grid, Optimum, refine, search};
use super::{Family, Flat, Watch, show};
use crate::Result;
use crate::model::Model;
use crate::table::{Column, Table};

/// File of the optimal Gabors in a run.
pub const GABORS: &str = "gabors.csv";
/// File of the optimal differences of Gaussians in a run.
pub const DIFFERENCES: &str = "dogs.csv";

/// Columns of a family's table and where each parameter stands in a stimulus.
fn columns(family: Family) -> &'static [(&'static str, usize)] {
    match family {
        Family::Gabors | Family::Plaids => &[
            ("x", 0),
            ("y", 1),
            ("size", 2),
            ("frequency", 3),
            ("orientation", 5),
            ("phase", 6),
            ("contrast", 4),
        ],
        Family::Differences => &[
            ("x", 0),
            ("y", 1),
            ("sigma_centre", 2),
            ("sigma_surround", 3),
            ("contrast", 4),
            ("surround_contrast", 5),
        ],
    }
}

/// The optima of neurons (rows of readout `index`), one row each: `neuron`, the parameters of the grid's best stimulus and
/// its `response` in the recording's unit; with `climb` the same after refinement, as `refined_...`. Empty cells for a
/// neuron without a finite answer, or with the same one to everything.
///
/// # Errors
/// When the maps do not fit into memory, or a signal has come.
pub fn table(
    model: &mut Model,
    index: usize,
    neurons: &[usize],
    grid: &Grid,
    climb: bool,
    watch: &mut Watch,
) -> Result<Table> {
    let groups = show::exact(model, index, neurons)?;
    let found = search(model, index, neurons, &groups, grid, watch)?;
    let scales: Vec<f64> = neurons
        .iter()
        .map(|&n| f64::from(model.readouts[index].response_scale[n]))
        .collect();
    let rows = neurons.iter().map(|&n| n as i64).collect();
    let mut table = Table::new().with("neuron", Column::Integer(rows));
    let flat = Flat::of(model, index, neurons)?;
    table = with_optima(table, grid.family, "", &found, &scales, &flat);
    if climb {
        let refined = refine(model, &groups, grid, &found, watch)?;
        table = with_optima(table, grid.family, "refined_", &refined, &scales, &flat);
    }
    watch.finish();
    Ok(table)
}

fn with_optima(
    mut table: Table,
    family: Family,
    prefix: &str,
    optima: &[Optimum],
    scales: &[f64],
    flat: &Flat,
) -> Table {
    let responses: Vec<f64> = optima
        .iter()
        .zip(scales)
        .map(|(o, scale)| f64::from(o.answer.rate) * scale)
        .collect();
    let answered: Vec<bool> = responses
        .iter()
        .enumerate()
        .map(|(place, response)| !flat.explains(place, *response))
        .collect();
    let known = |(v, answered): (f64, &bool)| if *answered { v } else { f64::NAN };
    for &(name, at) in columns(family) {
        let values = optima.iter().map(|o| f64::from(o.stimulus[at]));
        let values = values.zip(&answered).map(known).collect();
        table = table.with(&format!("{prefix}{name}"), Column::Number(values));
    }
    let responses = responses.into_iter().zip(&answered).map(known).collect();
    table.with(&format!("{prefix}response"), Column::Number(responses))
}
