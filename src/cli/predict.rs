//! `striate predict`

use super::Global;
use super::common::{Report, neurons, open_run, warn_of_grey};
use ndarray::{Axis, Ix3, Ix4};
use std::path::PathBuf;
use striate::{Error, Result, files, npy};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
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
    files::check_writable(&arguments.out)?;
    let mut model = open_run(global, &arguments.run)?;
    let index = model.readout(arguments.readout.as_deref())?;
    let rows = neurons(arguments.neurons.as_deref(), model.readouts[index].neurons)?;
    let (images, _) = npy::read(&arguments.images)?;
    let shape = images.shape().to_vec();
    let bad_shape = || {
        let got = format!("{shape:?}");
        Error::bad(
            arguments.images.display(),
            "its shape",
            got,
            "(images, height, width)",
        )
    };
    let images = match images.ndim() {
        3 => images
            .into_dimensionality::<Ix3>()
            .map_err(|_| bad_shape())?,
        4 if shape[1] == 1 => {
            let images = images
                .into_dimensionality::<Ix4>()
                .map_err(|_| bad_shape())?;
            images.remove_axis(Axis(1))
        }
        _ => return Err(bad_shape()),
    };
    if let Some(((i, r, c), v)) = images.indexed_iter().find(|(_, v)| !v.is_finite()) {
        let what = format!("image {i}, row {r}, column {c}");
        return Err(Error::bad(
            arguments.images.display(),
            what,
            v,
            "a finite grey level",
        ));
    }
    warn_of_grey(arguments.images.display(), &model, images.view());
    let predictions = model.predict(index, images.view())?.select(Axis(1), &rows);
    npy::write(&arguments.out, predictions.view())?;
    let (n, cells) = predictions.dim();
    let out = arguments.out.display();
    Ok(Report::new(format!("{n} images, {cells} neurons: {out}"))
        .fact("images", n)
        .fact("neurons", cells)
        .fact("predictions", out.to_string()))
}
