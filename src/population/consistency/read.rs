//! What a run says of its neurons: bar codes, indices, optimal Gabors, predictions.

use crate::insilico::Watch;
use crate::insilico::found::Found;
use crate::insilico::optima::GABORS;
use crate::model::Model;
use crate::population::grouping::{self, group};
use crate::population::organise::INDICES;
use crate::population::{BarCodes, clusters};
use crate::recording::Recording;
use crate::scoring::score;
use crate::{Error, Result, npy};
use ndarray::{Array2, Axis, Ix2, concatenate};
use std::path::Path;

/// Parameters of optimal Gabors, and the period of those on a circle.
pub(super) const PARAMETERS: [(&str, Option<f64>); 8] = [
    ("x", None),
    ("y", None),
    ("size", None),
    ("frequency", None),
    ("orientation", Some(std::f64::consts::PI)),
    ("phase", Some(std::f64::consts::TAU)),
    ("contrast", None),
    ("response", None),
];

/// One fit, by neuron: all chosen readouts one after the other.
#[derive(Clone, Debug)]
pub struct Fit {
    /// How it was named.
    pub name: String,
    /// Aligned bar codes (N, F O).
    pub codes: Array2<f32>,
    /// Whether they were found in the run, or made anew.
    pub found: bool,
    /// Columns of `tuning.csv` by [`INDICES`], where they are there; NaN of neurons without.
    pub indices: Vec<Option<Vec<f64>>>,
    /// Columns of `gabors.csv`, likewise.
    pub gabors: Vec<Option<Vec<f64>>>,
    /// Normalised rates (test images, neurons) by readout; none without the recordings.
    pub predictions: Option<Vec<Array2<f32>>>,
}

/// Reads a run's `aligned.npy` (or aligns as `cluster` does), `tuning.csv` and `gabors.csv`, and predicts the test images of
/// `recordings` (one per readout).
///
/// # Errors
/// When a file makes no sense or belongs to another model, or recording and readout do not fit.
pub fn read(
    (run, name): (&Path, String),
    model: &mut Model,
    readouts: &[usize],
    recordings: Option<&[Recording]>,
    seed: u64,
    watch: &mut Watch,
) -> Result<Fit> {
    let all = |model: &Model, index: usize| -> Vec<usize> {
        (0..model.readouts[index].neurons).collect()
    };
    let table = |file: &str, columns: &[&str]| -> Result<Vec<Option<Vec<f64>>>> {
        let found = Found::open(&run.join(file), model)?;
        let mut values = vec![None; columns.len()];
        let Some(found) = found else {
            return Ok(values);
        };
        for (values, column) in values.iter_mut().zip(columns) {
            if !found.has(column) {
                continue;
            }
            let mut of = Vec::new();
            for &index in readouts {
                let rows = found.rows(model, index, &all(model, index))?;
                of.extend(found.values(column, &rows)?);
            }
            *values = Some(of);
        }
        Ok(values)
    };
    let indices = table("tuning.csv", &INDICES)?;
    let gabors = table(GABORS, &PARAMETERS.map(|p| p.0))?;
    let there = aligned(run, model, readouts);
    let found = there.is_some();
    let codes = match there {
        Some(codes) => codes,
        None => made(model, readouts, seed, watch)?,
    };
    let predictions = recordings.map(|recordings| -> Result<Vec<Array2<f32>>> {
        let pairs = readouts.iter().zip(recordings);
        pairs
            .map(|(&index, r)| Ok(score(model, index, r)?.predictions))
            .collect()
    });
    Ok(Fit {
        name,
        codes,
        found,
        indices,
        gabors,
        predictions: predictions.transpose()?,
    })
}

/// `aligned.npy`, where it is of this model and has every neuron.
fn aligned(run: &Path, model: &Model, readouts: &[usize]) -> Option<Array2<f32>> {
    let found = Found::open(&run.join("clusters.csv"), model).ok()??;
    let (array, _) = npy::read(&run.join("aligned.npy")).ok()?;
    let array = array.into_dimensionality::<Ix2>().ok()?;
    let mut rows = Vec::new();
    for &index in readouts {
        let neurons: Vec<usize> = (0..model.readouts[index].neurons).collect();
        let own = found.rows(model, index, &neurons).ok()?;
        rows.extend(own.into_iter().collect::<Option<Vec<usize>>>()?);
    }
    let inside = rows.iter().all(|&row| row < array.nrows());
    inside.then(|| array.select(Axis(0), &rows))
}

/// As `cluster` makes them by default.
fn made(model: &Model, readouts: &[usize], seed: u64, watch: &mut Watch) -> Result<Array2<f32>> {
    let all = |index: usize| (0..model.readouts[index].neurons).collect::<Vec<_>>();
    let parts = readouts.iter().map(|&i| BarCodes::of(model, i, &all(i)));
    let codes = BarCodes::pooled(parts.collect());
    let filled = codes.filled().len();
    if filled == 0 {
        return Err(Error::Other(
            "every readout is all zero: no bar codes to compare".into(),
        ));
    }
    let mut settings = grouping::Settings::default();
    settings.alignment.seed = seed;
    settings.clusters = clusters::Settings {
        clusters: settings.clusters.clusters.min(filled),
        seed,
        ..settings.clusters
    };
    Ok(group(&model.device, codes.codes.view(), &settings, watch)?.aligned)
}

impl Fit {
    /// Whether each neuron has a code that is not all zero.
    pub(super) fn filled(&self) -> Vec<bool> {
        let rows = self.codes.outer_iter();
        rows.map(|row| row.iter().any(|v| *v != 0.0)).collect()
    }

    /// The codes that are not all zero.
    pub fn own_codes(&self) -> Array2<f32> {
        let filled = self.filled();
        let rows: Vec<usize> = (0..filled.len()).filter(|&n| filled[n]).collect();
        self.codes.select(Axis(0), &rows)
    }

    /// Normalised rates (N, test images): those of each readout below each other's, by the images of each.
    pub(super) fn by_neuron(&self) -> Option<Vec<Vec<f64>>> {
        let of = |rates: &Array2<f32>| -> Vec<Vec<f64>> {
            let neurons = rates.columns().into_iter();
            neurons
                .map(|n| n.iter().map(|v| f64::from(*v)).collect())
                .collect()
        };
        self.predictions
            .as_ref()
            .map(|p| p.iter().flat_map(of).collect())
    }
}

/// Mean rates over fits, by readout; none where a fit has none.
pub(super) fn mean_rates(fits: &[Fit]) -> Option<Vec<Array2<f64>>> {
    let all: Vec<&Vec<Array2<f32>>> = fits
        .iter()
        .map(|f| f.predictions.as_ref())
        .collect::<Option<_>>()?;
    let readouts = all.first()?.len();
    let mean = |readout: usize| {
        let views: Vec<_> = all
            .iter()
            .map(|p| p[readout].view().insert_axis(Axis(0)))
            .collect();
        let stacked = concatenate(Axis(0), &views).ok()?;
        stacked.mapv(f64::from).mean_axis(Axis(0))
    };
    (0..readouts).map(mean).collect()
}
