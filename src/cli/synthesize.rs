//! `striate synthesize`

use super::Global;
use super::common::{Chosen, Place, Report, neurons, numbers, open_run, options, warn_of_flat};
use std::path::PathBuf;
use striate::insilico::Watch;
use striate::insilico::ascent::{Member, Synthesis, percentiles, synthesise};
use striate::recording::Recording;
use striate::results::Arrays;
use striate::scoring::own_recording;
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result, files};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run, where synthesized.npy and synthesized.csv go
    run: PathBuf,
    /// Percentiles of each neuron's measured training responses
    #[arg(long, value_name = "P,..", value_delimiter = ',', allow_hyphen_values = true,
          default_values_t = [20.0, 40.0, 60.0, 80.0])]
    percentiles: Vec<f64>,
    /// Most steps
    #[arg(long, default_value_t = Synthesis::default().steps, value_name = "N")]
    steps: u32,
    /// Another recording of the same neurons [default: the run's own]
    #[arg(long, value_name = "REC")]
    recording: Option<PathBuf>,
    /// The readout, where the run has several
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let outside = |p: &&f64| !(0.0..=100.0).contains(*p);
    if let Some(p) = arguments.percentiles.iter().find(outside) {
        let wanted = "a number from 0 to 100";
        return Err(Error::bad("--percentiles", "a percentile", p, wanted));
    }
    if !(1..=1_000_000).contains(&arguments.steps) {
        let wanted = "from 1 to 1000000";
        return Err(Error::bad("--steps", "the number", arguments.steps, wanted));
    }
    let interrupts = Interrupts::listen()?;
    let model = open_run(global, &arguments.run)?;
    let index = model.readout(arguments.readout.as_deref())?;
    let readout = &model.readouts[index];
    let rows = neurons(arguments.neurons.as_deref(), readout.neurons)?;
    let recording = match &arguments.recording {
        Some(path) => Recording::open(path)?,
        None => own_recording(&model, index)?,
    };
    let part = model.fitted(&recording)?;
    if part.neuron_count() != readout.neurons {
        return Err(Error::bad(
            format!("recording {}", recording.name),
            "the number of neurons",
            part.neuron_count(),
            format!("{} as in readout {}", readout.neurons, readout.name),
        ));
    }
    let goals = percentiles(&part, &rows, &arguments.percentiles);
    let settings = Synthesis {
        steps: arguments.steps,
        seed: global.seed.unwrap_or(1),
        ..Synthesis::default()
    };
    let usual = Synthesis::default();
    let made_with = options(&[
        (
            "percentiles",
            numbers(&arguments.percentiles),
            numbers(&[20.0, 40.0, 60.0, 80.0]),
        ),
        ("steps", settings.steps.to_string(), usual.steps.to_string()),
        ("seed", settings.seed.to_string(), "1".into()),
        (
            "recording",
            recording.hash(),
            model
                .recordings
                .get(&readout.name)
                .cloned()
                .unwrap_or_default(),
        ),
    ]);
    let output = arguments.place.open(&arguments.run, "synthesize")?;
    let chosen = Chosen::of(&model, &[index], arguments.neurons.as_deref())?;
    let names = ("synthesized.csv", &["synthesized.npy"][..]);
    let results = output.results(names, made_with, &model, chosen.names())?;
    let table = results.path().to_path_buf();
    let images = output.directory().join("synthesized.npy");
    let (height, width) = readout.image;
    let bytes = goals.len() * height * width * size_of::<f32>();
    files::require_space(&images, bytes as u128)?;
    let label = (model.readouts.len() > 1).then(|| readout.name.clone());
    let mut member = Member {
        place: arguments.run.display().to_string(),
        model,
        index,
    };
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let found = synthesise(&mut member, &goals, &settings, &mut watch)?;
    watch.finish();
    let mut made = found.table();
    if let Some(name) = label {
        made = Table::stacked(vec![(name, made)], Some("recording"));
    }
    results.write(&made, vec![Arrays::One(found.images.clone().into_dyn())])?;

    let reached = found.converged.iter().filter(|c| **c).count();
    let unknown = goals.iter().filter(|g| g.target.is_nan()).count();
    let driven = goals.iter().zip(&found.responses);
    let without = driven.filter(|(g, r)| g.target.is_finite() && r.is_nan());
    let mut flat: Vec<usize> = without.map(|(g, _)| g.neuron).collect();
    flat.dedup();
    warn_of_flat(&flat, rows.len());
    let missed = goals.len() - reached - unknown;
    let without = match unknown {
        0 => String::new(),
        n => format!(", {n} without a measured response"),
    };
    let text = format!(
        "{} images for {} neurons: {reached} reached their target, {missed} did not{without}\nimages: {}\ntable: {}",
        goals.len(),
        rows.len(),
        images.display(),
        table.display()
    );
    Ok(Report::new(text)
        .fact("images", goals.len())
        .fact("neurons", rows.len())
        .fact("reached", reached)
        .fact("missed", missed)
        .fact("without_target", unknown)
        .fact("file", images.display().to_string())
        .fact("table", table.display().to_string())
        .good(reached > 0))
}
