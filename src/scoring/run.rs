//! A trained model on the test tier of a recording.

use super::{carry_neurons, evaluate, masks};
use crate::model::Model;
use crate::recording::{Recording, Tier, preprocess};
use crate::results::RECORDING_HASH;
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, Axis};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One readout's scores.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The columns of `evaluation.csv`, one row per neuron, `neurons.csv` carried along.
    pub table: Table,
    /// Normalised rates (test images, neurons).
    pub predictions: Array2<f32>,
}

/// The recording of a configuration that a readout was trained on.
///
/// # Errors
/// Names the recordings that were tried.
pub fn recording_of(model: &Model, index: usize) -> Result<PathBuf> {
    let name = &model.readouts[index].name;
    let paths = &model.config.recordings;
    let by_name = paths.iter().find(|p| Recording::name_at(p) == *name);
    match by_name {
        Some(path) => Ok(path.clone()),
        None if paths.len() == 1 && model.readouts.len() == 1 => Ok(paths[0].clone()),
        None => Err(Error::bad(
            "config.toml",
            "recordings",
            format!("{paths:?}"),
            format!("one named \"{name}\"; or give --recording"),
        )),
    }
}

/// Opens the recording that a readout was trained on.
///
/// # Errors
/// When it cannot be opened, or is no longer what the readout was trained on.
pub fn own_recording(model: &Model, index: usize) -> Result<Recording> {
    let path = recording_of(model, index)?;
    let recording = Recording::open(&path)?;
    match model.recordings.get(&model.readouts[index].name) {
        Some(wanted) if *wanted != recording.hash() => Err(Error::file(
            path,
            "has changed since the run was trained on it: train again, or say by --recording that it is meant",
        )),
        _ => Ok(recording),
    }
}

/// Scores readout `index` on the test tier, in the unit of training: rectified responses over each neuron's SD.
///
/// # Errors
/// When recording and readout differ in image size or number of neurons.
pub fn score(model: &mut Model, index: usize, recording: &Recording) -> Result<Scored> {
    let (images, repeats) = (
        recording.images_of(Tier::Test),
        recording.repeats(Tier::Test),
    );
    score_on(model, index, recording, &images, &repeats)
}

/// As [`score`], on all trials of whichever tier: of a recording that the model has not seen.
///
/// # Errors
/// As [`score`].
pub fn score_all(model: &mut Model, index: usize, recording: &Recording) -> Result<Scored> {
    let mut shown: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, trial) in recording.trials.iter().enumerate() {
        shown.entry(trial.image).or_default().push(row);
    }
    let (images, repeats): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    score_on(model, index, recording, &images, &repeats)
}

/// `evaluation.csv` of all readouts on the recordings that they were trained on, given in their order; several are told
/// apart by a first column `recording`.
///
/// # Errors
/// As [`score`].
pub fn score_own(model: &mut Model, recordings: &[Recording]) -> Result<Table> {
    let mut parts = Vec::new();
    for (index, recording) in recordings.iter().enumerate() {
        let table = score(model, index, recording)?.table;
        let name = model.readouts[index].name.clone();
        parts.push((name, on_recording(table, recording)));
    }
    let several = model.readouts.len() > 1;
    Ok(Table::stacked(parts, several.then_some("recording")))
}

/// With a column that tells the recording.
pub fn on_recording(table: Table, recording: &Recording) -> Table {
    let hash = vec![recording.hash(); table.rows()];
    table.with(RECORDING_HASH, Column::Text(hash))
}

/// `evaluation_with.csv` of one readout: the mean over several models of the same neurons (index of the readout in each), in the
/// first one's unit of training, on the test tier.
///
/// # Errors
/// As [`score`], for any of them.
pub fn score_mean(models: &mut [(Model, usize)], recording: &Recording) -> Result<Table> {
    let (images, repeats) = (
        recording.images_of(Tier::Test),
        recording.repeats(Tier::Test),
    );
    let recording = &*match models.first() {
        Some((model, _)) => model.fitted(recording)?,
        None => Cow::Borrowed(recording),
    };
    let count = models.len() as f64;
    let unit = |(model, index): &(Model, usize)| model.readouts[*index].response_scale.clone();
    let first = models.first().map(unit).unwrap_or_default();
    let mut mean = Array2::<f64>::zeros((images.len(), recording.neuron_count()));
    for own in models.iter_mut() {
        let scale = unit(own);
        let rates = rates(&mut own.0, own.1, recording, &images)?;
        for (mut column, (n, rates)) in mean
            .columns_mut()
            .into_iter()
            .zip(rates.columns().into_iter().enumerate())
        {
            let factor = f64::from(scale[n]) / f64::from(first[n]) / count;
            column.zip_mut_with(&rates, |m, r| *m += factor * f64::from(*r));
        }
    }
    let responses = preprocess::normalised_responses(recording, ArrayView1::from(&first));
    let table = evaluate(mean.view(), &repeats, responses.view())?;
    match &recording.neurons {
        Some(neurons) => carry_neurons(table, neurons),
        None => Ok(table),
    }
}

fn score_on(
    model: &mut Model,
    index: usize,
    recording: &Recording,
    images: &[usize],
    repeats: &[Vec<usize>],
) -> Result<Scored> {
    let recording = &*model.fitted(recording)?;
    let predictions = rates(model, index, recording, images)?;
    let scale = model.readouts[index].response_scale.clone();
    let responses = preprocess::normalised_responses(recording, ArrayView1::from(&scale));
    let mut table = evaluate(
        predictions.mapv(f64::from).view(),
        repeats,
        responses.view(),
    )?;
    if !model.readouts[index].is_whole() {
        table = table.beside(masks::columns(&masks::health(model, index)));
    }
    if let Some(neurons) = &recording.neurons {
        table = carry_neurons(table, neurons)?;
    }
    Ok(Scored { table, predictions })
}

/// Normalised rates (images, neurons) for these images of a recording that the readout fits.
fn rates(
    model: &mut Model,
    index: usize,
    recording: &Recording,
    images: &[usize],
) -> Result<Array2<f32>> {
    let readout = &model.readouts[index];
    if recording.neuron_count() != readout.neurons {
        return Err(Error::bad(
            format!("recording {}", recording.name),
            "the number of neurons",
            recording.neuron_count(),
            format!("{} as in readout {}", readout.neurons, readout.name),
        ));
    }
    let ((height, width), (h, w)) = ((recording.height(), recording.width()), readout.image);
    if (height, width) != (h, w) {
        return Err(Error::bad(
            format!("recording {}", recording.name),
            "image size",
            format!("{height} x {width}"),
            format!("{h} x {w} (height x width) as in readout {}", readout.name),
        ));
    }
    let images = recording.images.select(Axis(0), images);
    let z = model.preprocessing.z_score(images.view());
    model.rates(index, z.view())
}
