//! `striate evaluate`

use super::Global;
use super::common::{
    Chosen, Place, Report, of_name, open_run, open_run_for, options, warn, warn_of_grey,
};
use ndarray::Axis;
use std::path::{Path, PathBuf};
use striate::recording::{Recording, Tier, warnings};
use striate::scoring::masks::Summary as MaskSummary;
use striate::scoring::simulated::within_10_percent;
use striate::scoring::{on_recording, own_recording, score, score_mean};
use striate::statistics::mean_of_known;
use striate::table::Table;
use striate::{Error, Result};

/// The columns whose means are the summary.
const SCORES: [&str; 13] = [
    "correlation_to_average",
    "single_trial_correlation",
    "oracle_correlation",
    "fraction_oracle",
    "maximum_correlation",
    "fev",
    "feve",
    "single_trial_fev",
    "cc_max",
    "cc_norm",
    "fve",
    "r_max",
    "image_selectivity",
];

/// Neurons of which less can be explained are left out of the mean FEVE that is published (Du et al. 2025).
const LEAST_FEV: f64 = 0.15;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
    /// Other runs with the same neurons: the mean of all responses is scored, in evaluation_with.csv; may be repeated
    #[arg(long = "with", value_name = "RUN")]
    others: Vec<PathBuf>,
    /// Another recording of the same neurons [default: the run's own]
    #[arg(long, value_name = "REC")]
    recording: Option<PathBuf>,
    /// The readout, where the run has several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let images = arguments.recording.as_ref().map(|r| r.join("images.npy"));
    let open = |run: &Path| match &images {
        Some(images) => open_run_for(global, run, images),
        None => open_run(global, run),
    };
    let model = open(&arguments.run)?;
    let one = arguments.readout.is_some() || arguments.recording.is_some();
    let indices = if one || model.readouts.len() == 1 {
        vec![model.readout(arguments.readout.as_deref())?]
    } else {
        (0..model.readouts.len()).collect()
    };
    let chosen = Chosen::of(&model, &indices, arguments.neurons.as_deref())?;
    let mut recordings = Vec::new();
    for &index in &indices {
        recordings.push(match &arguments.recording {
            Some(path) => Recording::open(path)?,
            None => own_recording(&model, index)?,
        });
    }
    let mut models = vec![(model, 0)];
    for path in &arguments.others {
        models.push((open(path)?, 0));
    }
    let model = &models[0].0;
    let another = |r: &Recording| model.recordings.get(&r.name) != Some(&r.hash());
    let recording = match &arguments.recording {
        Some(_) if another(&recordings[0]) => recordings[0].hash(),
        _ => String::new(),
    };
    let others: Vec<&str> = models[1..].iter().map(|(m, _)| m.hash.as_str()).collect();
    let made_with = options(&[
        ("recording", recording, String::new()),
        ("with", others.join(" "), String::new()),
    ]);
    let output = arguments.place.open(&arguments.run, "evaluate")?;
    let file = match arguments.others.is_empty() {
        true => "evaluation.csv",
        false => "evaluation_with.csv",
    };
    let results = output.results((file, &[]), made_with, model, chosen.names())?;
    let several = model.readouts.len() > 1;
    let mut parts = Vec::new();
    for ((index, rows), recording) in chosen.parts.iter().zip(&recordings) {
        warnings::of_scores(recording).iter().for_each(|w| warn(w));
        let tested = recording.images_of(Tier::Test);
        let shown = recording.images.select(Axis(0), &tested);
        warn_of_grey(&recording.name, &models[0].0, shown.view());
        let name = models[0].0.readouts[*index].name.clone();
        let table = match arguments.others.is_empty() {
            true => score(&mut models[0].0, *index, recording)?.table,
            false => {
                models[0].1 = *index;
                for (own, path) in models[1..].iter_mut().zip(&arguments.others) {
                    own.1 = of_name(path, &own.0, &name)?;
                }
                score_mean(&mut models, recording)?
            }
        };
        parts.push((name, on_recording(table.select(rows), recording)));
    }
    let table = Table::stacked(parts, several.then_some("recording"));
    let path = results.path().to_path_buf();
    results.write(&table, Vec::new())?;
    let report = summary(&table, &path)?;
    Ok(report.line(&format!(
        "look at it: striate report {}",
        arguments.run.display()
    )))
}

/// The means of the scores, and where the table is.
pub fn summary(table: &Table, path: &Path) -> Result<Report> {
    let mut text = format!(
        "{} neurons, mean over those where it is defined, of responses as they are trained on (negative ones set to 0):\n",
        table.rows()
    );
    let mut report = Report::new(String::new()).fact("neurons", table.rows());
    for name in SCORES {
        let values = table
            .numbers(name)
            .ok_or_else(|| Error::file(path, format!("column {name} is missing")))?;
        let mean = mean_of_known(&values);
        let known = values.iter().filter(|v| !v.is_nan()).count();
        let shown = if known == 0 {
            "-".into()
        } else {
            format!("{mean:.4}")
        };
        text.push_str(&format!("  {name:<26}{shown:>8}   ({known} neurons)\n"));
        report = report.fact(name, mean);
    }
    let column = |name: &str| table.numbers(name).unwrap_or_default();
    let explained = within_10_percent(&column("correlation_to_average"), &column("r_max"));
    if !explained.is_nan() {
        text.push_str(&format!(
            "{:.0} % of neurons reach nine tenths of r_max\n",
            100.0 * explained
        ));
        report = report.fact("within_10_percent", explained);
    }
    let (feve, of) = (column("feve"), column("single_trial_fev"));
    let explainable = feve.iter().zip(&*of).filter(|(_, f)| **f > LEAST_FEV);
    let explainable: Vec<f64> = explainable.map(|(feve, _)| *feve).collect();
    if !explainable.is_empty() {
        let mean = mean_of_known(&explainable);
        text.push_str(&format!(
            "feve of the {} neurons with single_trial_fev above {LEAST_FEV}: {mean:.4}\n",
            explainable.len()
        ));
        report = report.fact("feve_of_explainable", mean);
    }
    if table.column("mask_blobs").is_some() {
        let of_masks = MaskSummary::of(table);
        text.push_str(&format!("{of_masks}\n"));
        report = report.fact("masks", serde_json::json!(of_masks));
    }
    text.push_str(&format!("per neuron: {}", path.display()));
    Ok(Report::new(text)
        .facts(&report.into_facts())?
        .fact("table", path.display().to_string()))
}
