//! `striate tune`

use super::Global;
use super::common::{Chosen, Place, Report, open_run, options};
use super::optima::{GaborGrid, Search, settings_of};
use super::planted;
use std::path::{Path, PathBuf};
use striate::insilico::search::{Gabors, Grid};
use striate::insilico::tuning::{Indices, Inputs, Truth, Tuning};
use striate::insilico::{Watch, optima};
use striate::model::Model;
use striate::results::MADE_WITH;
use striate::simulation::Population;
use striate::statistics::mean_of_known;
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run; without a gabors.csv there the optimal Gabors are searched for first, as by `gabors`
    run: PathBuf,
    /// Where `glm` wrote glm.csv, for the non-linearity index [default: the run, or glm in it]
    #[arg(long, value_name = "DIR")]
    glm: Option<PathBuf>,
    /// The readout, where the run has several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    /// The truth.csv of `simulate`: runs the experiments on the simulated neurons too and compares
    #[arg(long, value_name = "TRUTH.csv", conflicts_with = "neurons")]
    truth: Option<PathBuf>,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    grid: GaborGrid,
    #[command(flatten)]
    place: Place,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let interrupts = Interrupts::listen()?;
    let mut model = open_run(global, &arguments.run)?;
    let output = arguments.place.open(&arguments.run, "tune")?;
    let gabors_path = output.find(optima::GABORS);
    let settings = arguments.grid.settings()?;
    let searched = settings != Gabors::default() || arguments.search.is_chosen();
    if gabors_path.exists() && searched {
        let what = "there already, so options of the search have no effect; remove it or them";
        return Err(Error::file(gabors_path, what));
    }
    let choice = arguments.neurons.as_deref();
    let chosen = Chosen::new(&model, arguments.readout.as_deref(), choice)?;
    let indices: Vec<usize> = chosen.parts.iter().map(|p| p.0).collect();
    let population = match &arguments.truth {
        Some(path) => Some(population(path, &model, &indices)?),
        None => None,
    };
    let file = |name: &str| output.find(name);
    let mut inputs = Vec::new();
    for (index, rows) in &chosen.parts {
        let glm = arguments.glm.as_deref();
        inputs.push(Inputs::read(&file, &model, *index, rows, glm)?);
    }
    let names = ("tuning.csv", &["tuning.npz"][..]);
    let made_with = match gabors_path.exists() {
        true => format!("gabors={}", gabors_of(&gabors_path)?),
        false => {
            let mut all = settings_of(&settings);
            all.extend(arguments.search.settings());
            format!("gabors={}", options(&all))
        }
    };
    let results = output.results(names, made_with, &model, chosen.names())?;
    let (table_path, curves_path) = (
        results.path().to_path_buf(),
        output.directory().join("tuning.npz"),
    );
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    if !gabors_path.exists() {
        let make = |places| settings.grid(places);
        let grid = |&index: &usize| arguments.search.grid(&model, index, make);
        let grids: Vec<Grid> = indices.iter().map(grid).collect::<Result<_>>()?;
        let mut all = settings_of(&settings);
        all.extend(arguments.search.settings());
        let gabors =
            output.results((optima::GABORS, &[]), options(&all), &model, chosen.names())?;
        let mut tables = Vec::new();
        for ((input, grid), &index) in inputs.iter_mut().zip(&grids).zip(&indices) {
            let climb = arguments.search.climbs();
            let table = input.search(&mut model, grid, climb, &mut watch)?;
            tables.push((model.readouts[index].name.clone(), table));
        }
        let label = (model.readouts.len() > 1).then_some("recording");
        gabors.write(&Table::stacked(tables, label), Vec::new())?;
    }
    let (mut parts, mut tunings) = (Vec::new(), Vec::new());
    let mut agreement = None;
    for (input, &index) in inputs.into_iter().zip(&indices) {
        let optimal = input.gabors().to_vec();
        let (mut table, tuning) = input.tune(&mut model, &mut watch)?;
        if let Some(population) = &population {
            striate::say("running the experiments on the simulated neurons ...");
            let truth = Truth::of(population, &settings);
            table = Indices::columns(&truth.indices, "true_", table);
            agreement = Some(truth.agreement(&optimal, &tuning));
        }
        parts.push((model.readouts[index].name.clone(), table));
        tunings.push(tuning);
    }
    let several = model.readouts.len() > 1;
    let table = Table::stacked(parts, several.then_some("recording"));
    results.write(&table, vec![Tuning::arrays(&tunings)])?;

    let mut text = format!(
        "{} neurons, mean over those where it is defined:\n",
        table.rows()
    );
    let mut report = Report::new(String::new()).fact("neurons", table.rows());
    for name in table
        .names()
        .filter(|n| !["recording", "neuron"].contains(n))
    {
        let values = table.numbers(name).unwrap_or_default();
        let mean = mean_of_known(&values);
        let known = values.iter().filter(|v| !v.is_nan()).count();
        text.push_str(&format!("  {name:<22}{mean:>8.4}   ({known} neurons)\n"));
        report = report.fact(name, mean);
    }
    if let Some(agreement) = &agreement {
        text.push_str(&format!("\n{agreement}\n"));
        report = report.facts(agreement)?;
    }
    text.push_str(&format!(
        "per neuron: {}\ncurves: {}",
        table_path.display(),
        curves_path.display()
    ));
    Ok(Report::new(text)
        .facts(&report.into_facts())?
        .fact("table", table_path.display().to_string())
        .fact("curves", curves_path.display().to_string()))
}

/// The options that the optimal Gabors were searched with.
fn gabors_of(path: &Path) -> Result<String> {
    let made_with = Table::read_csv(path)?.text(MADE_WITH).unwrap_or_default();
    let mut filled = made_with.into_iter().filter(|m| !m.is_empty());
    Ok(filled.next().unwrap_or("as given".into()))
}

/// The simulated neurons that a run's only chosen readout was fitted to.
fn population(path: &Path, model: &Model, indices: &[usize]) -> Result<Population> {
    let truth = planted::truth_of(path, model, indices)?;
    let (height, width) = model.readouts[indices[0]].image;
    Population::from_truth(&truth, height, width).map_err(|e| Error::file(path, e))
}
