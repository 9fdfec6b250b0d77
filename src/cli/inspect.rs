//! `striate inspect`

use super::Global;
use super::common::{Report, open_run};
use std::path::{Path, PathBuf};
use striate::Result;
use striate::model::checkpoint::{CONFIG, MODEL};
use striate::recording::{Recording, describe};
use striate::table::Table;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A recording or a run
    path: PathBuf,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let path = &arguments.path;
    if path.join(MODEL).exists() || path.join(CONFIG).exists() {
        return describe_run(global, path);
    }
    let description = describe(&Recording::open(path)?);
    Report::new(description.to_string()).facts(&description)
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
        text.push_str(&format!(
            "readout {}: {} neurons, images {h} x {w}, masks {mh} x {mw}, {} channels\n",
            r.name, r.neurons, r.channels
        ));
    }
    let mut report = Report::new(String::new());
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
