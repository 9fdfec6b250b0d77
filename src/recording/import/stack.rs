//! All images of a file, by number: an `.npy`, or a variable of a MATLAB file.
//!
//! Of a MATLAB file the images that are wanted are copied as they lie there to a file without a name beside the recording, in
//! one go, since compressed variables can only be read in order.

use super::cut::Cut;
use crate::npy::{Dtype, Kind, Real, Rows, convert};
use crate::recording::sink::Pixels;
use crate::{Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Images by number, from 0.
pub(super) struct Stack {
    place: PathBuf,
    cut: Cut,
    /// Size in the file.
    source: (usize, usize),
    /// Size of what is kept.
    pub(super) size: (usize, usize),
    pub(super) count: usize,
    store: Store,
}

enum Store {
    Rows(Rows),
    Spool(Spool),
}

/// Images as they lie in a MATLAB file: columns one after the other.
pub(super) struct Spool {
    file: File,
    dtype: Dtype,
    row_of: HashMap<usize, usize>,
}

impl Stack {
    /// Images of an `.npy` file: (images, height, width).
    pub(super) fn npy(place: &Path, cut: &Cut) -> Result<Self> {
        let images = Rows::open(place)?;
        let (count, h, w) = match *images.header().shape {
            [n, h, w] | [n, 1, h, w] | [n, h, w, 1] => (n, h, w),
            ref other => {
                return Err(Error::bad(
                    place.display(),
                    "shape",
                    crate::npy::shown(other),
                    "(images, height, width); of (height, width, images) save numpy.moveaxis(images, -1, 0)",
                ));
            }
        };
        Ok(Self {
            place: place.to_path_buf(),
            cut: cut.clone(),
            source: (h, w),
            size: cut.size((h, w), place)?,
            count,
            store: Store::Rows(images),
        })
    }

    /// Copied images of a size, of `count` that there are, of which a cut leaves `size`.
    pub(super) fn spooled(
        place: PathBuf,
        cut: &Cut,
        source: (usize, usize),
        size: (usize, usize),
        count: usize,
        spool: Spool,
    ) -> Self {
        Self {
            place,
            cut: cut.clone(),
            source,
            size,
            count,
            store: Store::Spool(spool),
        }
    }

    /// What is kept of an image; in messages its number is `told`.
    pub(super) fn pixels(&self, number: usize, told: usize) -> Result<Pixels> {
        if let (Store::Spool(spool), None) = (&self.store, self.cut.rescale)
            && (spool.dtype.kind, spool.dtype.size) == (Kind::Unsigned, 1)
        {
            let crop = self.cut.crop.clone().unwrap_or(0..self.source.1);
            let bytes = spool.bytes(number, self.source, &self.place)?;
            return Ok(Pixels::Bytes(turned(&bytes, self.source.0, crop)));
        }
        let values = match &self.store {
            Store::Rows(rows) => {
                let mut values: Vec<f64> = Vec::new();
                rows.read(number, 1, &mut values)?;
                values
            }
            Store::Spool(spool) => spool.read(number, self.source, &self.place)?,
        };
        let pixels = self.cut.apply(values, self.source);
        match pixels.unusable() {
            None => Ok(pixels),
            Some((_, x)) => {
                let place = self.place.display();
                let what = format!("grey level of image {told}");
                Err(Error::bad(place, what, x, "a finite number"))
            }
        }
    }
}

impl Spool {
    /// A file of the images of these numbers, one after the other.
    pub(super) fn new(file: File, dtype: Dtype, numbers: &[usize]) -> Self {
        let rows = numbers.iter().enumerate();
        Self {
            file,
            dtype,
            row_of: rows.map(|(row, number)| (*number, row)).collect(),
        }
    }

    fn bytes(&self, number: usize, (h, w): (usize, usize), place: &Path) -> Result<Vec<u8>> {
        let mut bytes = vec![0; h * w * self.dtype.size];
        let row = self.row_of.get(&number).copied().unwrap_or_default();
        let at = row as u64 * bytes.len() as u64;
        let read = self.file.read_exact_at(&mut bytes, at);
        read.map_err(|e| Error::file(place, format!("cannot read its copy: {e}")))?;
        Ok(bytes)
    }

    fn read(&self, number: usize, size: (usize, usize), place: &Path) -> Result<Vec<f64>> {
        let mut columns: Vec<f64> = Vec::with_capacity(size.0 * size.1);
        let bytes = self.bytes(number, size, place)?;
        convert(self.dtype, &bytes, &mut columns);
        Ok(turned(&columns, size.0, 0..size.1))
    }
}

/// An image whose columns lie one after the other, row by row: some of its columns.
fn turned<T: Copy + Default>(columns: &[T], h: usize, kept: Range<usize>) -> Vec<T> {
    let w = kept.len();
    let mut rows = vec![T::default(); h * w];
    for (x, column) in columns.chunks_exact(h).skip(kept.start).take(w).enumerate() {
        for (row, value) in rows.chunks_exact_mut(w).zip(column) {
            row[x] = *value;
        }
    }
    rows
}

/// Numbers of images that count from `first`, whole and of images that there are.
pub(super) fn numbers<T: Real + Into<f64>>(
    values: &[T],
    first: usize,
    count: usize,
    place: &Path,
) -> Result<Vec<usize>> {
    let number = |(at, x): (usize, &T)| {
        let x: f64 = (*x).into();
        let from_zero = x - first as f64;
        let known = x.fract() == 0.0 && from_zero >= 0.0 && from_zero < count as f64;
        known.then_some(from_zero as usize).ok_or_else(|| {
            let last = (count + first).saturating_sub(1);
            let wanted = format!("the number of an image, {first} to {last}");
            Error::bad(
                place.display(),
                format!("image at {}", at + first),
                x,
                wanted,
            )
        })
    };
    values.iter().enumerate().map(number).collect()
}
