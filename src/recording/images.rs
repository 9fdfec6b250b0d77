//! Grey images from a file, in the shapes in which people keep them: the same wherever images are read.

use crate::npy::{Stored, shown};
use crate::{Error, Result};
use ndarray::{Array3, ArrayD, Axis, Ix3};
use std::path::Path;

/// Reads images of any numeric type from an `.npy` file: (images, height, width), or (images, 1, height, width) or
/// (images, height, width, 1).
///
/// # Errors
/// Names the file: what it cannot be read for, its shape, or the pixel that is not finite.
pub fn read_images(file: &Path) -> Result<Array3<f32>> {
    grey(file, Stored::open(file)?.numbers()?)
}

/// Height and width of the images in an `.npy` file, whose header alone is read; none where [`read_images`] would refuse it.
pub fn image_size(file: &Path) -> Option<(usize, usize)> {
    match *Stored::open(file).ok()?.shape() {
        [_, h, w] | [_, 1, h, w] | [_, h, w, 1] => Some((h, w)),
        _ => None,
    }
}

/// (images, height, width) from that or from one with a grey channel; `place` is the file to name.
pub(super) fn grey(place: &Path, images: ArrayD<f32>) -> Result<Array3<f32>> {
    let shape = shown(images.shape());
    let images = match *images.shape() {
        [_, 1, _, _] => images.index_axis_move(Axis(1), 0),
        [_, _, _, 1] => images.index_axis_move(Axis(3), 0),
        _ => images,
    };
    let wanted = "(images, height, width), with or without an axis of one channel";
    let images = images
        .into_dimensionality::<Ix3>()
        .map_err(|_| Error::bad(place.display(), "shape", shape, wanted))?;
    match images.indexed_iter().find(|(_, x)| !x.is_finite()) {
        Some(((i, r, c), x)) => Err(Error::bad(
            place.display(),
            format!("image {i}, row {r}, column {c}"),
            x,
            "a finite grey level",
        )),
        None => Ok(images),
    }
}
