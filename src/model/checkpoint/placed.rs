//! Readouts whose tensors do not tell how large the images are: places on a map of any size.

use super::{Tensors, in_order, response_scale};
use crate::model::readout::gaussian;
use crate::model::{Config, Population};
use crate::recording::{Recording, image_size};
use crate::{Error, Result};
use std::path::Path;

/// The name of the tensor that tells the images' height and width.
const SIZE: &str = "input.size";

/// The readouts that a file's tensors describe, for images as it says, else as in the recording that it was fitted to, else of
/// `size`.
pub(super) fn populations(
    config: &Config,
    path: &Path,
    tensors: &Tensors,
    size: Option<(usize, usize)>,
) -> Result<Vec<Population>> {
    let mut found = Vec::new();
    for (name, (shape, _)) in &tensors.tensors {
        let Some(readout) = gaussian::readout_of(name) else {
            continue;
        };
        let &[neurons, 2] = &shape[..] else {
            return Err(misshapen(path, name, shape));
        };
        if neurons == 0 {
            return Err(misshapen(path, name, shape));
        }
        let (height, width) = image_size_of(config, path, tensors, (readout, size))?;
        found.push(Population {
            name: readout.to_string(),
            height,
            width,
            response_scale: response_scale(path, tensors, readout, neurons)?,
        });
    }
    if found.is_empty() {
        let what = "no tensor readout.<name>.position: a model with readout.kind = \"gaussian\" has at least one readout";
        return Err(Error::file(path, what));
    }
    in_order(config, &mut found);
    Ok(found)
}

/// Height and width of the images that a readout was fitted to: as the file says, else as in its recording, else `size`.
pub(super) fn image_size_of(
    config: &Config,
    path: &Path,
    tensors: &Tensors,
    (readout, size): (&str, Option<(usize, usize)>),
) -> Result<(usize, usize)> {
    let known = told(path, tensors)?.or_else(|| recorded(config, readout));
    known.or(size).ok_or_else(|| {
        let what = "tensor input.size [2] is missing, and no recording tells the height and width of the images";
        Error::file(path, what)
    })
}

fn misshapen(path: &Path, name: &str, shape: &[usize]) -> Error {
    let (what, got) = (format!("the shape of {name}"), format!("{shape:?}"));
    Error::bad(
        path.display(),
        what,
        got,
        "(neurons, 2), at least one neuron",
    )
}

/// What the file says.
fn told(path: &Path, tensors: &Tensors) -> Result<Option<(usize, usize)>> {
    if !tensors.tensors.contains_key(SIZE) {
        return Ok(None);
    }
    let size = tensors.shaped(path, SIZE, &[2])?;
    let pixels = |v: f32| (v >= 1.0 && v.fract() == 0.0 && v <= 65_536.0).then_some(v as usize);
    match (pixels(size[0]), pixels(size[1])) {
        (Some(height), Some(width)) => Ok(Some((height, width))),
        _ => {
            let wanted = "height and width in pixels, whole numbers from 1 to 65536";
            Err(Error::bad(
                path.display(),
                SIZE,
                format!("{size:?}"),
                wanted,
            ))
        }
    }
}

/// The size of the images of the recording that a readout was fitted to, if it can be read.
fn recorded(config: &Config, readout: &str) -> Option<(usize, usize)> {
    let paths = &config.recordings;
    let by_name = paths.iter().find(|p| Recording::name_at(p) == readout);
    image_size(&by_name?.join("images.npy"))
}
