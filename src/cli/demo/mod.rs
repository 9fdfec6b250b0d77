//! `striate demo`

mod organisation;

use super::Global;
use super::common::Report;
use ndarray::Axis;
use organisation::{Types, organise};
use std::path::{Path, PathBuf};
use std::time::Instant;
use striate::device::Device;
use striate::insilico::search::Gabors;
use striate::insilico::tuning::{Agreement, Indices, Inputs, Truth, Tuning};
use striate::insilico::{Watch, optima};
use striate::lock::Lock;
use striate::model::checkpoint::MODEL;
use striate::model::{Config, Model};
use striate::ops::scan::Places;
use striate::recording::{Recording, Tier};
use striate::results::{Arrays, Origin, Results};
use striate::scoring::{Scored, on_recording, score};
use striate::simulation::{CellType, Population, Settings, simulate};
use striate::statistics::{mean_of_known, pearson};
use striate::table::{Column, Table};
use striate::training::{Interrupts, Options, Progress, Trainer};
use striate::{Result, files, results};

/// What the demo trains: small enough for two CPU cores, rich enough for every cell type.
const CONFIG: &str = include_str!("../../../examples/demo.toml");

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where everything goes
    #[arg(long, default_value = "runs/demo", value_name = "DIR")]
    out: PathBuf,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let started = Instant::now();
    let device = Device::open(&global.device)?;
    let out = &arguments.out;
    let seed = global.seed.unwrap_or(1);
    let settings = Settings {
        name: "demo".into(),
        neurons: 100,
        train: 24_000,
        validation: 400,
        test: 150,
        repeats: 10,
        reliability: 0.8,
        apertures: 0.3,
        height: 24,
        width: 24,
        seed,
        ..Settings::default()
    };
    striate::say(format_args!("simulating {} neurons ...", settings.neurons));
    let (recording, truth) = simulate(&settings, None)?;
    files::create_directory(out)?;
    let _locks = Lock::part(out, "demo")?;
    files::clear_abandoned(out);
    let directory = out.join("recording");
    replace(&directory)?;
    let interrupts = Interrupts::listen()?;
    recording.write_with(&directory, &[("truth.csv", &truth)], &|| {
        interrupts.signal()
    })?;

    striate::say("training ...");
    let overrides = [format!("training.seed={seed}")];
    let mut config = Config::parse(CONFIG, "demo.toml", &overrides)?;
    config.recordings = vec![directory.canonicalize().unwrap_or(directory)];
    let options = Options {
        out: out.join("run"),
        overwrite: true,
        ..Options::default()
    };
    let recordings = [recording];
    let mut trainer = Trainer::new(&device, &config, &recordings, &options)?;
    let outcome = trainer.run(&interrupts, &mut Progress::stderr())?;

    striate::say("scoring ...");
    let mut model = trainer.into_best();
    let hash = files::hash_of(&options.out.join(MODEL))?;
    model.hash = results::shown(&hash);
    let place = In {
        run: options.out.clone(),
        names: vec![recordings[0].name.clone()],
        origin: model.origin("as the demo does".into()),
    };
    let scored = score(&mut model, 0, &recordings[0])?;
    let path = options.out.join("evaluation.csv");
    let scores = on_recording(scored.table.clone(), &recordings[0]);
    place.write(("evaluation.csv", &[]), &scores, Vec::new())?;
    let by_type = against_truth(&recordings[0], &truth, &scored)?;
    let summary = out.join("summary.csv");
    by_type.write_csv(&summary)?;
    let agreement = experiments(&mut model, &place, &truth, &recordings[0], &interrupts)?;
    // The commands that follow listen for themselves, and read the run as anybody's.
    drop(interrupts);
    drop(model);
    let types = organise(global, &options.out, &truth)?;
    striate::say("drawing the report ...");
    let page = super::report::page(&options.out, None, None)?.page;
    Ok(report(
        &by_type,
        &scored.table,
        (&agreement, &types),
        (&page, &path, &summary),
    )
    .fact("report", page.display().to_string())
    .facts(&agreement)?
    .facts(&types)?
    .fact("seconds", started.elapsed().as_secs_f64())
    .good(!outcome.is_bad()))
}

/// The run that the demo's tables go into.
struct In {
    run: PathBuf,
    names: Vec<String>,
    origin: Origin,
}

impl In {
    fn write(&self, names: (&str, &[&str]), table: &Table, arrays: Vec<Arrays>) -> Result<()> {
        let origin = self.origin.clone();
        Results::open(&self.run, names, origin, &self.names, None)?.write(table, arrays)
    }
}

/// Removes what an earlier demo wrote, and nobody else.
fn replace(directory: &Path) -> Result<()> {
    let own = Recording::name_at(directory) == "demo" && directory.join("truth.csv").exists();
    if own {
        std::fs::remove_dir_all(directory)
            .map_err(|e| striate::Error::file(directory, format!("cannot remove: {e}")))?;
    }
    match directory.parent() {
        Some(parent) => files::create_directory(parent),
        None => Ok(()),
    }
}

/// Per cell type: test correlation, the noise ceiling, and the correlation with the noise-free rates.
fn against_truth(recording: &Recording, truth: &Table, scored: &Scored) -> Result<Table> {
    let population = Population::from_truth(truth, recording.height(), recording.width())?;
    let images = recording
        .images
        .select(Axis(0), &recording.images_of(Tier::Test));
    let rates = population.drive(population.standardise(images.view()).view())?;
    let column = |name: &str| scored.table.numbers(name).unwrap_or_default().to_vec();
    let (correlation, ceiling) = (
        column("correlation_to_average"),
        column("maximum_correlation"),
    );
    let true_correlation: Vec<f64> = rates
        .columns()
        .into_iter()
        .zip(scored.predictions.columns())
        .map(|(t, p)| {
            pearson(
                &t.to_vec(),
                &p.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(),
            )
        })
        .collect();
    let mut groups: Vec<(String, Vec<usize>)> = CellType::ALL
        .into_iter()
        .map(|t| (t.name().to_string(), population.of_type(t)))
        .collect();
    groups.push(("all".into(), (0..recording.neuron_count()).collect()));
    groups.retain(|(_, rows)| !rows.is_empty());
    let mean = |values: &[f64], rows: &[usize]| {
        mean_of_known(&rows.iter().map(|&r| values[r]).collect::<Vec<_>>())
    };
    let per_group = |f: &dyn Fn(&[usize]) -> f64| {
        Column::Number(groups.iter().map(|(_, rows)| f(rows)).collect())
    };
    Ok(Table::new()
        .with(
            "type",
            Column::Text(groups.iter().map(|(n, _)| n.clone()).collect()),
        )
        .with(
            "neurons",
            Column::Integer(groups.iter().map(|(_, r)| r.len() as i64).collect()),
        )
        .with("test_correlation", per_group(&|r| mean(&correlation, r)))
        .with("noise_ceiling", per_group(&|r| mean(&ceiling, r)))
        .with(
            "share_of_ceiling",
            per_group(&|r| mean(&correlation, r) / mean(&ceiling, r)),
        )
        .with(
            "true_rate_correlation",
            per_group(&|r| mean(&true_correlation, r)),
        ))
}

/// The Gabors that the demo looks among: those of the published grid that suit its neurons.
fn gabors() -> Gabors {
    let published = Gabors::default();
    Gabors {
        sizes: published.sizes[..4].to_vec(),
        contrasts: vec![1.0],
        ..published
    }
}

/// Each neuron's optimal Gabor and tuning, on the twin and on the simulated neurons themselves.
fn experiments(
    model: &mut Model,
    place: &In,
    truth: &Table,
    recording: &Recording,
    interrupts: &Interrupts,
) -> Result<Agreement> {
    striate::say("looking for optimal Gabors ...");
    let (height, width) = (recording.height(), recording.width());
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let all: Vec<usize> = (0..recording.neuron_count()).collect();
    // Where simulated neurons have their centres.
    let places = Places {
        row: 4,
        rows: height - 8,
        column: 4,
        columns: width - 8,
    };
    let grid = gabors().grid(places);
    let found = optima::table(model, 0, &all, &grid, false, &mut watch)?;
    place.write((optima::GABORS, &[]), &found, Vec::new())?;
    striate::say("running the tuning experiments ...");
    let file = |name: &str| place.run.join(name);
    let inputs = Inputs::read(&file, model, 0, &all, None)?;
    let optimal = inputs.gabors().to_vec();
    let (table, tuning) = inputs.tune(model, &mut watch)?;
    let population = Population::from_truth(truth, height, width)?;
    let truth = Truth::of(&population, &gabors());
    let table = Indices::columns(&truth.indices, "true_", table);
    let curves = Tuning::arrays(std::slice::from_ref(&tuning));
    place.write(("tuning.csv", &["tuning.npz"]), &table, vec![curves])?;
    Ok(truth.agreement(&optimal, &tuning))
}

fn report(
    by_type: &Table,
    scores: &Table,
    (agreement, found): (&Agreement, &Types),
    (page, path, summary): (&Path, &Path, &Path),
) -> Report {
    let mut text = format!("open next: {}\n\n", page.display());
    text.push_str(
        "cell type                     neurons   test r  ceiling    share   r to truth\n",
    );
    let number = |name: &str, row: usize| by_type.numbers(name).map_or(f64::NAN, |v| v[row]);
    let (Some(Column::Text(types)), Some(Column::Integer(counts))) =
        (by_type.column("type"), by_type.column("neurons"))
    else {
        unreachable!("the table was just made with these columns");
    };
    for row in 0..by_type.rows() {
        text.push_str(&format!(
            "{:<30}{:>7}{:>9.3}{:>9.3}{:>9.3}{:>13.3}\n",
            types[row],
            counts[row],
            number("test_correlation", row),
            number("noise_ceiling", row),
            number("share_of_ceiling", row),
            number("true_rate_correlation", row),
        ));
    }
    text.push_str(&format!("\n{agreement}\n\n{found}\n"));
    text.push_str(&format!(
        "summary: {}\nper neuron: {}",
        summary.display(),
        path.display()
    ));
    let last = by_type.rows() - 1;
    Report::new(text)
        .fact("neurons", scores.rows())
        .fact("test_correlation", number("test_correlation", last))
        .fact("noise_ceiling", number("noise_ceiling", last))
        .fact("share_of_ceiling", number("share_of_ceiling", last))
        .fact(
            "true_rate_correlation",
            number("true_rate_correlation", last),
        )
        .fact("evaluation", path.display().to_string())
        .fact("summary", summary.display().to_string())
}
