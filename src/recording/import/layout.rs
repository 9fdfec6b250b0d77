//! How images lie in a MATLAB file, and the copy that is made of those that are wanted.

use super::cut::Cut;
use super::stack::{Spool, Stack};
use crate::matlab::{self, Array, Class, Value};
use crate::npy::{Dtype, Kind};
use crate::recording::part::Progress;
use crate::{Error, Result, files};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Bytes of images turned at a time.
const BLOCK: usize = 1 << 26;

/// Which axis of a MATLAB array counts the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageAxis {
    /// (images, height, width).
    First,
    /// (height, width, images).
    Last,
}

impl FromStr for ImageAxis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            _ => Err(format!("\"{text}\" is no axis, wanted first or last")),
        }
    }
}

/// How images lie in a MATLAB file.
pub(super) struct Layout {
    address: String,
    place: PathBuf,
    pub(super) count: usize,
    size: (usize, usize),
    order: Order,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Axis(ImageAxis),
    Cells,
}

impl Layout {
    /// Looks at a variable: an array of three axes, or a cell array with an image in each. `axis` says which axis counts the
    /// images; without it, it is the one that `fits`, and two that fit are refused.
    pub(super) fn open(
        file: &matlab::File,
        address: &str,
        axis: Option<ImageAxis>,
        fits: &dyn Fn(usize) -> bool,
    ) -> Result<Self> {
        let mut value = file.value(address)?;
        let place = value.place().to_path_buf();
        let layout = |count, size, order| Self {
            address: address.to_string(),
            place: place.clone(),
            count,
            size,
            order,
        };
        if value.class() == Class::Cell {
            let count = value.shape().iter().product();
            let mut children = value.children()?;
            let size = match children.following()? {
                Some(first) => grey(&first, 1)?,
                None => {
                    return Err(Error::bad(
                        place.display(),
                        "number of images",
                        0,
                        "at least 1",
                    ));
                }
            };
            return Ok(layout(count, size, Order::Cells));
        }
        value.array()?;
        let shape = value.shape();
        let (a, b, c) = match *shape {
            [a, b] => (a, b, 1),
            [a, b, c] | [a, b, 1, c] | [a, 1, b, c] => (a, b, c),
            _ => {
                let got = matlab::shown(shape);
                let wanted = "height x width x images, or images x height x width";
                return Err(Error::bad(place.display(), "shape", got, wanted));
            }
        };
        let first = layout(a, (b, c), Order::Axis(ImageAxis::First));
        let last = layout(c, (a, b), Order::Axis(ImageAxis::Last));
        let layout = match (axis, fits(a), fits(c)) {
            (Some(ImageAxis::First), ..) | (None, true, false) => first,
            (Some(ImageAxis::Last), ..) | (None, false, true) => last,
            (None, true, true) => {
                let got = matlab::shown(shape);
                let wanted = "to know which axis counts the images: say --image-axis first or last";
                return Err(Error::bad(place.display(), "shape", got, wanted));
            }
            // Neither has enough; what is said of image numbers then names the usual order.
            (None, false, false) => last,
        };
        if layout.count == 0 || layout.size.0 * layout.size.1 == 0 {
            let got = matlab::shown(shape);
            return Err(Error::bad(
                place.display(),
                "shape",
                got,
                "at least one image of at least one pixel",
            ));
        }
        Ok(layout)
    }

    /// Size of what a cut keeps.
    pub(super) fn size(&self, cut: &Cut) -> Result<(usize, usize)> {
        cut.size(self.size, &self.place)
    }

    /// Copies the images of these numbers to a file without a name in `beside`, or where the system keeps such files.
    pub(super) fn load(
        self,
        file: &matlab::File,
        wanted: &[usize],
        cut: &Cut,
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<Stack> {
        let size = self.size(cut)?;
        let folder = beside.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let fail =
            |e: std::io::Error| Error::file(&folder, format!("cannot write: {}", files::reason(e)));
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let copy = Spooling {
            file: tempfile::tempfile_in(&folder).map_err(fail)?,
            folder: &folder,
            wanted: &wanted,
            pixels: self.size.0 * self.size.1,
            count: self.count,
        };
        let mut value = file.value(&self.address)?;
        let dtype = match self.order {
            Order::Cells => copy.cells(&mut value, self.size, progress)?,
            Order::Axis(axis) => {
                let mut array = value.array()?;
                match axis {
                    ImageAxis::Last => copy.images(&mut array, progress)?,
                    ImageAxis::First => copy.turned(&mut array, progress)?,
                }
                array.dtype()
            }
        };
        let spool = Spool::new(copy.file, dtype, &wanted);
        Ok(Stack::spooled(
            self.place, cut, self.size, size, self.count, spool,
        ))
    }
}

/// Height and width of the image with a number in a cell array.
fn grey<B: std::borrow::BorrowMut<matlab::Body>>(
    image: &Value<B>,
    number: usize,
) -> Result<(usize, usize)> {
    match *image.shape() {
        [h, w] | [h, w, 1] if h * w > 0 && image.is_numbers() => Ok((h, w)),
        ref other => Err(Error::bad(
            image.place().display(),
            format!("image {number}"),
            format!("{} {}", matlab::shown(other), image.class().name()),
            "height x width of grey levels",
        )),
    }
}

struct Spooling<'a> {
    file: File,
    folder: &'a Path,
    /// Numbers of the images, ascending.
    wanted: &'a [usize],
    /// Pixels of an image.
    pixels: usize,
    /// Images in the source.
    count: usize,
}

impl Spooling<'_> {
    fn write(&self, bytes: &[u8], at: usize) -> Result<()> {
        let done = self.file.write_all_at(bytes, at as u64);
        done.map_err(|e| Error::file(self.folder, format!("cannot write: {e}")))
    }

    /// Each image in one piece.
    fn images(&self, array: &mut Array<'_>, progress: &mut Progress) -> Result<()> {
        let (mut next, mut bytes) = (0, Vec::new());
        for (row, number) in self.wanted.iter().enumerate() {
            if row % 64 == 0 {
                progress("reading images", row, self.wanted.len())?;
            }
            array.skip((number - next) * self.pixels)?;
            next = number + 1;
            bytes.clear();
            array.raw(self.pixels, |chunk| bytes.extend_from_slice(chunk))?;
            self.write(&bytes, row * bytes.len())?;
        }
        // To the end, so that a damaged file is found out.
        array.skip((self.count - next) * self.pixels)
    }

    /// Each pixel of all images in one piece.
    fn turned(&self, array: &mut Array<'_>, progress: &mut Progress) -> Result<()> {
        let size = array.dtype().size;
        let at_once = (BLOCK / (self.count * size).max(1)).clamp(1, self.pixels);
        let (mut bytes, mut own) = (Vec::new(), Vec::new());
        for first in (0..self.pixels).step_by(at_once) {
            progress("reading images", first, self.pixels)?;
            let pixels = at_once.min(self.pixels - first);
            bytes.clear();
            array.raw(pixels * self.count, |chunk| bytes.extend_from_slice(chunk))?;
            for (row, number) in self.wanted.iter().enumerate() {
                own.clear();
                for pixel in 0..pixels {
                    let at = (pixel * self.count + number) * size;
                    own.extend_from_slice(&bytes[at..at + size]);
                }
                self.write(&own, (row * self.pixels + first) * size)?;
            }
        }
        Ok(())
    }

    /// Each image in a cell; as bytes if they all are.
    fn cells<B: std::borrow::BorrowMut<matlab::Body>>(
        &self,
        value: &mut Value<B>,
        size: (usize, usize),
        progress: &mut Progress,
    ) -> Result<Dtype> {
        let dtype = |kind, size| Dtype {
            kind,
            size,
            big_endian: false,
        };
        let mut children = value.children()?;
        let (mut number, mut row, mut narrow) = (0, 0, true);
        let mut values: Vec<f64> = Vec::new();
        while let Some(mut child) = children.following()? {
            number += 1;
            if self.wanted.get(row) != Some(&(number - 1)) {
                continue;
            }
            progress("reading images", row, self.wanted.len())?;
            let own = grey(&child, number)?;
            if own != size {
                let told = |s: (usize, usize)| format!("{} x {}", s.0, s.1);
                let wanted = format!("{} as image 1", told(size));
                let what = format!("size of image {number}");
                return Err(Error::bad(child.place().display(), what, told(own), wanted));
            }
            let byte = matches!(
                child.class(),
                Class::Number(Kind::Unsigned, 1) | Class::Logical
            );
            if narrow && !byte {
                narrow = false;
                self.widen(row)?;
            }
            values.clear();
            let mut array = child.array()?;
            array.read(self.pixels, &mut values)?;
            let bytes: Vec<u8> = match narrow {
                true => values.iter().map(|x| *x as u8).collect(),
                false => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            };
            self.write(&bytes, row * bytes.len())?;
            row += 1;
        }
        Ok(match narrow {
            true => dtype(Kind::Unsigned, 1),
            false => dtype(Kind::Float, 8),
        })
    }

    /// Writes the images that are there anew as `float64`, the last first.
    fn widen(&self, rows: usize) -> Result<()> {
        let mut bytes = vec![0; self.pixels];
        for row in (0..rows).rev() {
            let read = self
                .file
                .read_exact_at(&mut bytes, (row * self.pixels) as u64);
            read.map_err(|e| Error::file(self.folder, format!("cannot read: {e}")))?;
            let wide: Vec<u8> = bytes
                .iter()
                .flat_map(|x| f64::from(*x).to_le_bytes())
                .collect();
            self.write(&wide, row * wide.len())?;
        }
        Ok(())
    }
}
