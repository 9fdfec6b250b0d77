//! `striate verify-equivariance`

use super::Global;
use super::common::{Place, Report, open_run, options};
use ndarray::Axis;
use std::path::PathBuf;
use striate::recording::{Recording, Tier};
use striate::results::with_origin;
use striate::scoring::{equivariance, recording_of};
use striate::simulation::standardised_leaves;
use striate::table::Column;
use striate::{Result, files};

/// Images looked at.
const IMAGES: usize = 8;
/// Largest error of a quarter turn that a core with shared statistics may show.
const TOLERANCE: f64 = 1e-4;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let mut model = open_run(global, &arguments.run)?;
    let output = arguments
        .place
        .open(&arguments.run, "verify-equivariance")?;
    let path = output.directory().join("equivariance.csv");
    files::check_writable(&path)?;
    let recorded = recording_of(&model, 0).and_then(|p| Recording::open(&p));
    let z = match recorded {
        Ok(recording) => {
            let mut rows = recording.images_of(Tier::Test);
            rows.truncate(IMAGES);
            model
                .preprocessing
                .z_score(recording.images.select(Axis(0), &rows).view())
        }
        Err(_) => {
            let (h, w) = model.readouts[0].image;
            standardised_leaves(IMAGES, h, w, global.seed.unwrap_or(1))
        }
    };
    let table = equivariance::verify(&mut model, z.view())?;
    let origin = model.origin(options(&[]));
    with_origin(table.clone(), &origin).write_csv(&path)?;
    let (Some(Column::Integer(layers)), Some(angles), Some(Column::Boolean(exact)), Some(errors)) = (
        table.column("layer"),
        table.numbers("angle"),
        table.column("exact_grid"),
        table.numbers("error"),
    ) else {
        unreachable!("the table was just made with these columns");
    };
    let mut text = String::from("layer   angle   relative error\n");
    let mut worst = 0.0f64;
    for i in 0..table.rows() {
        let note = if exact[i] { "" } else { "   (interpolated)" };
        text.push_str(&format!(
            "{:>5} {:>7.1}   {:.2e}{note}\n",
            layers[i], angles[i], errors[i]
        ));
        if exact[i] {
            // Not max: a NaN must stay one.
            worst = if errors[i] <= worst { worst } else { errors[i] };
        }
    }
    let strict = model.config.core.shared_norm;
    let good = !strict || worst <= TOLERANCE;
    text.push_str(if strict {
        "Normalisation is shared by all orientations: quarter turns must be exact.\n"
    } else {
        "Normalisation differs between orientations: the core is only approximately equivariant.\n"
    });
    text.push_str(&format!(
        "largest error of a quarter turn: {worst:.2e}\ntable: {}",
        path.display()
    ));
    Ok(Report::new(text)
        .fact("quarter_turn_error", worst)
        .fact("exactly_equivariant", worst <= TOLERANCE)
        .fact("table", path.display().to_string())
        .good(good))
}
