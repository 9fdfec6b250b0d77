//! `striate glm`

use super::Global;
use super::common::{Made, Report, neurons, options, warn};
use std::path::PathBuf;
use striate::device::Device;
use striate::glm::{Settings, fit, keep, progress::Progress};
use striate::lock::Lock;
use striate::recording::{Recording, warnings};
use striate::statistics::{mean_of_known, median};
use striate::training::Interrupts;
use striate::{Result, files};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The recording
    recording: PathBuf,
    /// Where glm.csv and glm_weights.npy go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of penalties to choose from, log-spaced from 0.1 to 5
    #[arg(long, default_value_t = Settings::default().penalties, value_name = "N")]
    penalties: usize,
    /// Folds of the cross-validation, by image
    #[arg(long, default_value_t = Settings::default().folds, value_name = "N")]
    folds: usize,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    // The fit runs on the CPU, wherever; a device that does not exist is still a mistake.
    Device::open(&global.device)?;
    let interrupts = Interrupts::listen()?;
    let recording = Recording::open(&arguments.recording)?;
    let rows = neurons(arguments.neurons.as_deref(), recording.neuron_count())?;
    let settings = Settings {
        penalties: arguments.penalties,
        folds: arguments.folds,
        seed: global.seed.unwrap_or(1),
    };
    let _made = Made::new(&arguments.out)?;
    let _locks = Lock::part(&arguments.out, "glm")?;
    files::clear_abandoned(&arguments.out);
    let (_, height, width) = recording.images.dim();
    let bytes = rows.len() * height * width * size_of::<f32>();
    let weights_path = arguments.out.join(keep::WEIGHTS);
    files::require_space(&weights_path, bytes as u128)?;
    let made_with = options(&[
        (
            "penalties",
            settings.penalties.to_string(),
            Settings::default().penalties.to_string(),
        ),
        (
            "folds",
            settings.folds.to_string(),
            Settings::default().folds.to_string(),
        ),
        ("seed", settings.seed.to_string(), "1".into()),
    ]);
    let chosen = arguments.neurons.is_some().then_some(&rows[..]);
    let place = keep::place(&arguments.out, &recording, made_with, chosen)?;
    let table_path = arguments.out.join(keep::TABLE);
    let together = std::slice::from_ref(&recording);
    warnings::of_fit(together).iter().for_each(|w| warn(w));
    let stop = || interrupts.signal();
    let glms = fit(&recording, &rows, &settings, Progress::Stderr, &stop)?;
    glms.write(place, &recording)?;

    let (lost, left) = (&glms.unconverged, &glms.not_fitted);
    tell(lost, left, rows.len());
    let column = |name: &str| glms.table.numbers(name).unwrap_or_default().to_vec();
    let correlation = mean_of_known(&column("test_correlation"));
    let penalty = median(&column("penalty"));
    let text = format!(
        "{} neurons, {} not fitted (silent or constant), {} unconverged\nmean test correlation {correlation:.4}, median penalty {penalty:.4}\n\
         table: {}\nweights: {}",
        rows.len(),
        left.len(),
        lost.len(),
        table_path.display(),
        weights_path.display()
    );
    Ok(Report::new(text)
        .fact("neurons", rows.len())
        .fact("unconverged", lost.clone())
        .fact("not_fitted", left.clone())
        .fact("test_correlation", correlation)
        .fact("median_penalty", penalty)
        .fact("largest_gradient", glms.largest_gradient)
        .fact("iterations", glms.iterations)
        .fact("table", table_path.display().to_string())
        .fact("weights", weights_path.display().to_string())
        .good(lost.is_empty()))
}

/// Names the neurons without a GLM: only those whose fit failed are a bad answer.
fn tell(lost: &[usize], left: &[usize], all: usize) {
    let named = |neurons: &[usize]| {
        let first: Vec<String> = neurons.iter().take(20).map(ToString::to_string).collect();
        let more = if neurons.len() > 20 { ", ..." } else { "" };
        format!("{}{more}", first.join(", "))
    };
    let why = "silent or constant on all training and validation trials";
    match (lost, left) {
        ([], []) => (),
        ([], left) => {
            let (count, which) = (left.len(), named(left));
            warn(&format!(
                "{count} of {all} neurons are not fitted, {why}: {which}"
            ));
        }
        (lost, left) => {
            let mut both = [lost, left].concat();
            both.sort_unstable();
            let (count, which) = (both.len(), named(&both));
            let some = match left {
                [] => String::new(),
                left => format!("; not fitted, {why}: {}", named(left)),
            };
            warn(&format!(
                "{count} of {all} neurons are unconverged: {which}{some}"
            ));
        }
    }
}
