//! `striate predict`

use super::Global;
use super::common::{Report, neurons, of_name, open_run_for, warn_of_grey};
use ndarray::Axis;
use std::path::PathBuf;
use striate::model::Model;
use striate::recording::read_images;
use striate::{Error, Result, files, npy};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
    /// Other runs with the same neurons: the mean of all responses is written; may be repeated
    #[arg(long = "with", value_name = "RUN")]
    others: Vec<PathBuf>,
    /// Grey-level images (images, height, width), .npy
    #[arg(long, value_name = "IMAGES.npy")]
    images: PathBuf,
    /// Where the responses (images, neurons) go, .npy, in the recording's unit
    #[arg(long, value_name = "PREDICTIONS.npy")]
    out: PathBuf,
    /// The readout, where the run has several
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    files::clear_abandoned(files::directory_of(&arguments.out));
    files::check_writable(&arguments.out)?;
    let mut model = open_run_for(global, &arguments.run, &arguments.images)?;
    let index = model.readout(arguments.readout.as_deref())?;
    let rows = neurons(arguments.neurons.as_deref(), model.readouts[index].neurons)?;
    let images = read_images(&arguments.images)?;
    let (_, height, width) = images.dim();
    let (wanted_height, wanted_width) = model.readouts[index].image;
    if (height, width) != (wanted_height, wanted_width) {
        return Err(Error::bad(
            arguments.images.display(),
            "image size",
            format!("{height} x {width}"),
            format!(
                "{wanted_height} x {wanted_width} (height x width) as in readout {}",
                model.readouts[index].name
            ),
        ));
    }
    let bytes = images.dim().0 * rows.len() * size_of::<f32>();
    files::require_space(&arguments.out, bytes as u128)?;
    warn_of_grey(arguments.images.display(), &model, images.view());
    let mut predictions = model.predict(index, images.view())?.select(Axis(1), &rows);
    for path in &arguments.others {
        let mut other = open_run_for(global, path, &arguments.images)?;
        let its = of_name(path, &other, &model.readouts[index].name)?;
        let same = |m: &Model, i: usize| (m.readouts[i].neurons, m.readouts[i].image);
        if same(&other, its) != same(&model, index) {
            let text =
                |(n, (h, w)): (usize, (usize, usize))| format!("{n} neurons, {h} x {w} pixels");
            return Err(Error::bad(
                path.display(),
                "the readout",
                text(same(&other, its)),
                format!(
                    "{}, as of {}",
                    text(same(&model, index)),
                    arguments.run.display()
                ),
            ));
        }
        predictions += &other.predict(its, images.view())?.select(Axis(1), &rows);
    }
    predictions /= (1 + arguments.others.len()) as f32;
    npy::write(&arguments.out, predictions.view())?;
    let (n, cells) = predictions.dim();
    let out = arguments.out.display();
    Ok(Report::new(format!("{n} images, {cells} neurons: {out}"))
        .fact("images", n)
        .fact("neurons", cells)
        .fact("predictions", out.to_string()))
}
