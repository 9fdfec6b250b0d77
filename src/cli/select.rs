//! `striate select-gabors`

use super::Global;
use super::common::{Place, Report, neurons, open_run, options};
use super::optima::{GaborGrid, settings_of};
use ndarray::{Array1, Array2};
use std::path::PathBuf;
use striate::insilico::found::Found;
use striate::insilico::selection::{Pick, Reached, centred};
use striate::insilico::{Flat, Watch, optima};
use striate::ops::scan::Places;
use striate::results::with_origin;
use striate::table::{Column, Table};
use striate::training::Interrupts;
use striate::{Error, Result, files, npy};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run, with the gabors.csv of `gabors`
    run: PathBuf,
    /// Most Gabors to pick
    #[arg(long, default_value_t = 20, value_name = "N")]
    count: usize,
    /// Share of its optimal response at which a neuron counts as reached, in percent
    #[arg(long, default_value_t = 50.0, value_name = "P")]
    percent: f64,
    /// The readout, where the run has several
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    grid: GaborGrid,
    #[command(flatten)]
    place: Place,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let interrupts = Interrupts::listen()?;
    let percent = arguments.percent;
    if !(percent > 0.0 && percent <= 100.0) {
        return Err(Error::bad(
            "--percent",
            "the share",
            percent,
            "above 0, at most 100",
        ));
    }
    if arguments.count == 0 {
        return Err(Error::bad("--count", "the number", 0, "at least 1"));
    }
    let settings = arguments.grid.settings()?;
    let mut model = open_run(global, &arguments.run)?;
    let index = model.readout(arguments.readout.as_deref())?;
    let rows = neurons(arguments.neurons.as_deref(), model.readouts[index].neurons)?;
    let output = arguments.place.open(&arguments.run, "select-gabors")?;
    let table_path = output.directory().join("selected_gabors.csv");
    let curve_path = output.directory().join("selection.npz");
    files::check_writable(&table_path)?;
    files::check_writable(&curve_path)?;
    let path = output.find(optima::GABORS);
    let Some(found) = Found::open(&path, &model)? else {
        return Err(Error::file(
            path,
            "does not exist; `striate gabors` writes it",
        ));
    };
    let places = found.rows(&model, index, &rows)?;
    found.gabors(&places, &rows)?;
    let mut optimal = found.values("response", &places)?;
    let flat = Flat::of(&mut model, index, &rows)?;
    for (place, response) in optimal.iter_mut().enumerate() {
        if flat.explains(place, *response) {
            *response = f64::NAN;
        }
    }

    let middle = Places {
        row: 0,
        rows: 1,
        column: 0,
        columns: 1,
    };
    let gabors = centred(&settings.grid(middle).shapes, model.readouts[index].image);
    let percents: Vec<f64> = (1..=10).map(|p| 10.0 * f64::from(p)).collect();
    let mut shares: Vec<f64> = percents
        .iter()
        .chain([&percent])
        .map(|p| p / 100.0)
        .collect();
    shares.sort_unstable_by(f64::total_cmp);
    shares.dedup();
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let asked = (&rows[..], &optimal[..]);
    let reached = Reached::show(&mut model, index, asked, &gabors, &shares, &mut watch)?;
    let picks_at = |percent: f64| {
        let share = shares.iter().position(|s| *s == percent / 100.0);
        reached.pick(share.unwrap_or(0), arguments.count)
    };
    let picks = picks_at(percent);
    // After the last pick the share stays.
    let mut curves = Array2::zeros((percents.len(), arguments.count));
    for (mut row, &percent) in curves.rows_mut().into_iter().zip(&percents) {
        let picks = picks_at(percent);
        for (i, share) in row.iter_mut().enumerate() {
            let last = picks.get(i).or(picks.last());
            *share = last.map_or(0.0, |p| p.share as f32);
        }
    }
    let percents: Array1<f32> = percents.iter().map(|&p| p as f32).collect();
    npy::write_npz(
        &curve_path,
        &[
            ("percent", percents.view().into_dyn()),
            ("share", curves.view().into_dyn()),
        ],
    )?;
    let origin = model.origin(options(&settings_of(&settings)));
    with_origin(table(&picks, &gabors), &origin).write_csv(&table_path)?;
    let share = picks.last().map_or(0.0, |p| p.share);
    let text = format!(
        "{} of {} Gabors bring {:.1} % of {} neurons to {percent} % of their optimal response\ntable: {}\ncurves: {}",
        picks.len(),
        gabors.len() / 7,
        100.0 * share,
        reached.neurons(),
        table_path.display(),
        curve_path.display()
    );
    Ok(Report::new(text)
        .fact("picks", picks.len())
        .fact("neurons", reached.neurons())
        .fact("share", share)
        .fact("table", table_path.display().to_string())
        .fact("curves", curve_path.display().to_string()))
}

fn table(picks: &[Pick], gabors: &[f32]) -> Table {
    let numbers = (1..=picks.len() as i64).collect();
    let mut table = Table::new().with("pick", Column::Integer(numbers));
    for (name, at) in [
        ("x", 0),
        ("y", 1),
        ("size", 2),
        ("frequency", 3),
        ("orientation", 5),
        ("phase", 6),
        ("contrast", 4),
    ] {
        let values = picks.iter().map(|p| f64::from(gabors[7 * p.stimulus + at]));
        table = table.with(name, Column::Number(values.collect()));
    }
    let newly = picks.iter().map(|p| p.newly as i64).collect();
    let shares = picks.iter().map(|p| p.share).collect();
    table
        .with("newly_reached", Column::Integer(newly))
        .with("cumulative_share", Column::Number(shares))
}
