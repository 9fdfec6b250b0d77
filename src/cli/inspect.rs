//! `striate inspect`

use super::Global;
use super::common::{Report, open_run};
use std::path::{Path, PathBuf};
use striate::lock::Lock;
use striate::model::checkpoint::{CONFIG, MODEL};
use striate::recording::duplicates::{Thresholds, with_column};
use striate::recording::{Recording, describe_with};
use striate::report::{Written, recording};
use striate::scoring::masks;
use striate::table::Table;
use striate::{Error, Result, files};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A recording or a run
    path: PathBuf,
    /// Largest difference of x and of y in adjacent planes, in micrometres, at which two neurons may be one cell
    #[arg(long, default_value_t = Thresholds::default().distance, value_name = "UM")]
    duplicate_distance: f64,
    /// Correlation of responses above which they are
    #[arg(long, default_value_t = Thresholds::default().correlation, value_name = "R")]
    duplicate_correlation: f64,
    /// Write the column duplicate_of to the recording's neurons.csv: the lowest neuron of each cell
    #[arg(long)]
    write: bool,
    /// Also draw it: one page, report.html in the recording, and its figures as SVG and CSV
    #[arg(long)]
    report: bool,
    /// Write the page here instead
    #[arg(long, value_name = "FILE", requires = "report")]
    out: Option<PathBuf>,
}

impl Arguments {
    fn thresholds(&self) -> Result<Thresholds> {
        let (distance, correlation) = (self.duplicate_distance, self.duplicate_correlation);
        if !(distance >= 0.0 && distance.is_finite()) {
            let wanted = "micrometres, 0 or more";
            return Err(Error::bad(
                "--duplicate-distance",
                "the number",
                distance,
                wanted,
            ));
        }
        if !(-1.0..=1.0).contains(&correlation) {
            let wanted = "a correlation, -1 to 1";
            return Err(Error::bad(
                "--duplicate-correlation",
                "the number",
                correlation,
                wanted,
            ));
        }
        Ok(Thresholds {
            distance,
            correlation,
        })
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let path = &arguments.path;
    let thresholds = arguments.thresholds()?;
    let out = arguments.out.as_deref();
    if path.join(MODEL).exists() || path.join(CONFIG).exists() {
        if arguments.write {
            let wanted = "a recording";
            return Err(Error::bad("--write", "the path", path.display(), wanted));
        }
        let told = describe_run(global, path)?;
        return match arguments.report {
            true => Ok(with_page(told, &super::report::page(path, out, None)?)),
            false => Ok(told),
        };
    }
    let opened = Recording::open(path)?;
    let description = describe_with(&opened, thresholds);
    let told = Report::new(description.to_string()).facts(&description)?;
    if !(arguments.write || arguments.report) {
        return Ok(told);
    }
    let _locks = Lock::part(path, "inspect")?;
    files::clear_abandoned(path);
    if arguments.write {
        let neurons = opened.neurons.clone();
        let (Some(neurons), Some(found)) = (neurons, &description.duplicates) else {
            let what = "no positions of cells (columns x and y): nothing to write";
            return Err(Error::file(path.join("neurons.csv"), what));
        };
        with_column(neurons, found).write_csv(&path.join("neurons.csv"))?;
    }
    if !arguments.report {
        return Ok(told);
    }
    let written = recording::report(&opened, &description, path, out)?;
    Ok(with_page(told, &written))
}

/// With where the page is.
fn with_page(told: Report, written: &Written) -> Report {
    let page = written.page.display().to_string();
    told.line(&format!("report: {page}"))
        .fact("report", page)
        .fact("figures", written.count)
}

fn describe_run(global: &Global, path: &Path) -> Result<Report> {
    let model = open_run(global, path)?;
    let c = &model.config.core;
    let mut text = format!(
        "run {}\ncore: {:?}, filters {:?}, features {:?}, {} orientations\nparameters: {}\n",
        path.display(),
        c.kind,
        c.filter_sizes,
        c.features,
        model.config.orientations(),
        model.params.layout.count(),
    );
    for r in &model.readouts {
        let ((h, w), (mh, mw)) = (r.image, r.map);
        let sees = match r.is_whole() {
            false => format!("masks {mh} x {mw}, {} channels", r.channels),
            true => format!("{} weights each", r.inputs()),
        };
        text.push_str(&format!(
            "readout {}: {} neurons, images {h} x {w}, {sees}\n",
            r.name, r.neurons
        ));
    }
    let mut report = Report::new(String::new());
    let mut of_masks = Vec::new();
    let masked = model.readouts.iter().enumerate();
    for (index, readout) in masked.filter(|(_, r)| !r.is_whole()) {
        let of = masks::Summary::of(&masks::columns(&masks::health(&model, index)));
        text.push_str(&format!("readout {}: {of}\n", readout.name));
        of_masks.push(serde_json::json!(of));
    }
    if !of_masks.is_empty() {
        report = report.fact("masks", of_masks);
    }
    let history = path.join("history.csv");
    if history.exists() {
        let table = Table::read_csv(&history)?;
        let losses = table.numbers("validation_loss").unwrap_or_default();
        let best = losses
            .iter()
            .copied()
            .filter(|l| !l.is_nan())
            .fold(f64::INFINITY, f64::min);
        if best.is_finite() {
            text.push_str(&format!(
                "validations: {}, best loss {best:.5}\n",
                table.rows()
            ));
            report = report.fact("best_validation_loss", best);
        }
    }
    let readouts: Vec<_> = model.readouts.iter().map(|r| r.name.clone()).collect();
    let counts: Vec<_> = model.readouts.iter().map(|r| r.neurons).collect();
    Ok(Report::new(text)
        .facts(&report.into_facts())?
        .fact("run", path.display().to_string())
        .fact("parameters", model.params.layout.count())
        .fact("readouts", readouts)
        .fact("neurons", counts))
}
