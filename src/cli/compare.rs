//! `striate compare-tuning`

use super::Global;
use super::common::{Chosen, Place, Report, neurons, open_run, warn_of_grey};
use std::path::PathBuf;
use striate::Result;
use striate::recording::Recording;
use striate::scoring::orientation::circular_variances;
use striate::scoring::{on_recording, score_all};
use striate::statistics::{mean_of_known, median};
use striate::table::{Column, Table};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
    /// A recording of the same neurons whose images are the stimuli of the tuning experiment; all tiers count
    #[arg(long, value_name = "REC")]
    recording: PathBuf,
    /// The readout, where the run has several
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Columns as in `evaluation.csv`.
const SCORES: [&str; 4] = [
    "correlation_to_average",
    "single_trial_correlation",
    "oracle_correlation",
    "maximum_correlation",
];

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let mut model = open_run(global, &arguments.run)?;
    let index = model.readout(arguments.readout.as_deref())?;
    let rows = neurons(arguments.neurons.as_deref(), model.readouts[index].neurons)?;
    let recording = Recording::open(&arguments.recording)?;
    let output = arguments.place.open(&arguments.run, "compare-tuning")?;
    let chosen = Chosen::of(&model, &[index], arguments.neurons.as_deref())?;
    let made_with = format!("recording={}", recording.hash());
    let file = ("tuning_comparison.csv", &[][..]);
    let results = output.results(file, made_with, &model, chosen.names())?;
    let path = results.path().to_path_buf();
    warn_of_grey(&recording.name, &model, recording.images.view());
    let scored = score_all(&mut model, index, &recording)?;
    let scores = scored.table.select(&rows);
    let column = |name: &str| scores.numbers(name).unwrap_or_default().to_vec();
    // Averages of trials correlate more than trials do: the share may pass 1.
    let share = |of: &str, to: &str| -> Vec<f64> {
        let pairs = column(of).into_iter().zip(column(to));
        let ratio = |(of, to)| if to > 0.0 { of / to } else { f64::NAN };
        pairs.map(ratio).collect()
    };
    let mut table = Table::new().with(
        "neuron",
        Column::Integer(rows.iter().map(|&n| n as i64).collect()),
    );
    for name in SCORES {
        table = table.with(name, Column::Number(column(name)));
    }
    let of_oracle = share("correlation_to_average", "oracle_correlation");
    let of_maximum = share("correlation_to_average", "maximum_correlation");
    let (oracle, maximum) = (median(&of_oracle), median(&of_maximum));
    let variances = circular_variances(&*model.fitted(&recording)?, scored.predictions.view())?;
    if let Some(both) = &variances {
        for (name, values) in ["recorded", "predicted"].into_iter().zip(both) {
            let values = rows.iter().map(|&n| values[n]).collect();
            table = table.with(&format!("circular_variance_{name}"), Column::Number(values));
        }
    }
    let table = table
        .with("share_of_oracle", Column::Number(of_oracle))
        .with("share_of_maximum", Column::Number(of_maximum));
    let several = model.readouts.len() > 1;
    let name = model.readouts[index].name.clone();
    let table = Table::stacked(vec![(name, table)], several.then_some("recording"));
    results.write(&on_recording(table, &recording), Vec::new())?;
    let correlation = mean_of_known(&column("correlation_to_average"));
    let images = recording.images.len_of(ndarray::Axis(0));
    let text = format!(
        "{} neurons, {images} stimuli, {} trials\nmean correlation with averaged responses {correlation:.4}; median share \
         of the oracle {oracle:.4}, of the highest possible {maximum:.4}\ntable: {}",
        rows.len(),
        recording.trials.len(),
        path.display()
    );
    Ok(Report::new(text)
        .fact("neurons", rows.len())
        .fact("stimuli", images)
        .fact("trials", recording.trials.len())
        .fact("correlation_to_average", correlation)
        .fact("median_share_of_oracle", oracle)
        .fact("median_share_of_maximum", maximum)
        .fact("table", path.display().to_string()))
}
