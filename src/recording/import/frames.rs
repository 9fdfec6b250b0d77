//! Images that are one array of an HDF5 file.

use super::assemble::Pictures;
use crate::hdf5::Dataset;
use crate::npy::{Kind, Rows, shown};
use crate::recording::part::Progress;
use crate::recording::sink::Pixels;
use crate::{Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Numbers read at a time.
const BLOCK: usize = 1 << 24;

/// Images, looked at but not read.
#[derive(Debug)]
pub(super) struct Frames {
    data: Dataset,
    /// The axes of the file that count images, rows and columns.
    axes: [usize; 3],
    pub(super) count: usize,
    size: (usize, usize),
    staged: Option<Staged>,
}

/// The images that are wanted, one after the other, in a file without a name.
#[derive(Debug)]
struct Staged {
    file: File,
    narrow: bool,
    slot: HashMap<usize, usize>,
}

impl Frames {
    /// (images, height, width), with or without an axis of one channel; `turned` if the file has the axes reversed. (height,
    /// width, images) is understood where only that many images `fit`.
    pub(super) fn open(data: Dataset, turned: bool, fit: impl Fn(usize) -> bool) -> Result<Self> {
        let rank = data.shape().len();
        let stored = |axis: usize| if turned { rank - 1 - axis } else { axis };
        let length = |axis: usize| data.shape()[stored(axis)];
        let axes = match rank {
            3 if !fit(length(0)) && fit(length(2)) => [2, 0, 1],
            3 => [0, 1, 2],
            4 if length(1) == 1 => [0, 2, 3],
            4 if length(3) == 1 => [0, 1, 2],
            4 if length(2) == 1 && !fit(length(0)) => [3, 0, 1],
            _ => return Err(misshapen(&data)),
        };
        Self::with_axes(data, axes.map(stored))
    }

    /// One channel of a film: (1, frames, height, width).
    pub(super) fn film(data: Dataset) -> Result<Self> {
        match *data.shape() {
            [1, _, _, _] => Self::with_axes(data, [1, 2, 3]),
            [channels, _, _, _] => Err(Error::bad(
                data.place().display(),
                "number of channels",
                channels,
                "1: images are grey",
            )),
            _ => Err(Error::bad(
                data.place().display(),
                "shape",
                shown(data.shape()),
                "(1, frames, height, width)",
            )),
        }
    }

    fn with_axes(data: Dataset, axes: [usize; 3]) -> Result<Self> {
        data.dtype()?;
        let [count, h, w] = axes.map(|a| data.shape()[a]);
        if count * h * w == 0 {
            return Err(misshapen(&data));
        }
        Ok(Self {
            data,
            axes,
            count,
            size: (h, w),
            staged: None,
        })
    }

    /// What to name in a message.
    pub(super) fn place(&self) -> &Path {
        self.data.place()
    }

    /// Whether single images are cheap to read where they are.
    fn is_direct(&self) -> bool {
        let before = &self.data.shape()[..self.axes[0]];
        let chunk = self.data.chunk();
        let single = |c: &Vec<usize>| c[self.axes[0]] == 1;
        before.iter().all(|n| *n == 1) && chunk.as_ref().is_none_or(single)
    }

    /// The part of some rows of some images: image by image, row by row.
    fn read(&self, images: Range<usize>, rows: Range<usize>) -> Result<Vec<f32>> {
        let [n, y, x] = self.axes;
        let mut ranges = vec![0..1; self.data.shape().len()];
        (ranges[n], ranges[y], ranges[x]) = (images.clone(), rows.clone(), 0..self.size.1);
        let mut there: Vec<f32> = Vec::new();
        self.data.read(&ranges, &mut there)?;
        if n < y && y < x {
            return Ok(there);
        }
        let mut strides = vec![1; ranges.len()];
        for axis in (1..ranges.len()).rev() {
            strides[axis - 1] = strides[axis] * ranges[axis].len();
        }
        let mut values = Vec::with_capacity(there.len());
        for image in 0..images.len() {
            for row in 0..rows.len() {
                let start = image * strides[n] + row * strides[y];
                values.extend((0..self.size.1).map(|column| there[start + column * strides[x]]));
            }
        }
        Ok(values)
    }

    /// Rows of pixels that are read together, so that with so many images they are not too many.
    fn rows_at_once(&self, images: usize) -> usize {
        let chunk = self.data.chunk().map_or(1, |c| c[self.axes[1]]);
        let most = BLOCK / (images * self.size.1).max(1);
        (most / chunk * chunk).clamp(chunk.min(self.size.0), self.size.0)
    }

    /// Copies images to where single ones are cheap to read: those of a chunk are decompressed together.
    fn stage(
        &self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<Staged> {
        let file = match beside {
            Some(beside) => tempfile::tempfile_in(beside),
            None => tempfile::tempfile(),
        };
        let cannot =
            |e: std::io::Error| Error::file(self.place(), format!("cannot copy its images: {e}"));
        let staged = Staged {
            file: file.map_err(cannot)?,
            narrow: self.data.dtype()?.kind != Kind::Float && self.data.dtype()?.size == 1,
            slot: wanted
                .iter()
                .enumerate()
                .map(|(slot, n)| (*n, slot))
                .collect(),
        };
        let (h, w) = self.size;
        let chunk = self.data.chunk().map_or(1, |c| c[self.axes[0]]);
        let most = BLOCK / (h * w).max(1);
        let at_once = (most / chunk * chunk).max(chunk);
        for first in (0..self.count).step_by(at_once) {
            progress("reading images", first, self.count)?;
            let block = first..(first + at_once).min(self.count);
            let from = wanted.partition_point(|n| *n < block.start);
            let to = wanted.partition_point(|n| *n < block.end);
            if from == to {
                continue;
            }
            let rows = self.rows_at_once(block.len());
            for top in (0..h).step_by(rows) {
                let rows = top..(top + rows).min(h);
                let values = self.read(block.clone(), rows.clone())?;
                let length = rows.len() * w;
                for number in &wanted[from..to] {
                    let start = (number - block.start) * length;
                    let part = &values[start..start + length];
                    let at = staged.slot[number] * h * w + rows.start * w;
                    staged.write(part, at).map_err(cannot)?;
                }
            }
        }
        Ok(staged)
    }
}

impl Staged {
    fn write(&self, values: &[f32], at: usize) -> std::io::Result<()> {
        let bytes: Vec<u8> = match self.narrow {
            // Signed bytes are stored by their bits.
            true => values.iter().map(|x| *x as i16 as u8).collect(),
            false => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        self.file.write_all_at(&bytes, (at * self.width()) as u64)
    }

    fn width(&self) -> usize {
        if self.narrow { 1 } else { 4 }
    }

    fn read(&self, number: usize, pixels: usize, signed: bool) -> std::io::Result<Vec<f32>> {
        let slot = self.slot.get(&number);
        let slot = slot.ok_or_else(|| std::io::Error::other("it was not copied"))?;
        let mut bytes = vec![0; pixels * self.width()];
        let at = slot * bytes.len();
        self.file.read_exact_at(&mut bytes, at as u64)?;
        Ok(match (self.narrow, signed) {
            (true, true) => bytes.iter().map(|b| f32::from(*b as i8)).collect(),
            (true, false) => bytes.iter().map(|b| f32::from(*b)).collect(),
            (false, _) => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        })
    }
}

impl Pictures for Frames {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn prepare(
        &mut self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<()> {
        if !self.is_direct() {
            self.staged = Some(self.stage(wanted, beside, progress)?);
        }
        Ok(())
    }

    fn pixels(&self, number: usize) -> Result<Pixels> {
        let values = match &self.staged {
            None => self.read(number..number + 1, 0..self.size.0)?,
            Some(staged) => {
                let signed = self.data.dtype()?.kind == Kind::Signed;
                let values = staged.read(number, self.size.0 * self.size.1, signed);
                values.map_err(|e| {
                    Error::file(self.place(), format!("cannot read image {number}: {e}"))
                })?
            }
        };
        grey(values, number, self.place())
    }
}

/// An `.npy` file of (images, height, width).
impl Pictures for Rows {
    fn size(&self) -> (usize, usize) {
        let shape = &self.header().shape;
        (shape[1], shape[2])
    }

    fn prepare(&mut self, _: &[usize], _: Option<&Path>, _: &mut Progress) -> Result<()> {
        Ok(())
    }

    fn pixels(&self, number: usize) -> Result<Pixels> {
        let mut values = Vec::new();
        self.read(number, 1, &mut values)?;
        grey(values, number, self.place())
    }
}

/// Pixels, if all are finite; `place` is what to name.
pub(super) fn grey(values: Vec<f32>, number: usize, place: &Path) -> Result<Pixels> {
    let pixels = Pixels::of(values);
    match pixels.unusable() {
        None => Ok(pixels),
        Some((_, x)) => {
            let what = format!("grey level of image {number}");
            Err(Error::bad(place.display(), what, x, "a finite number"))
        }
    }
}

fn misshapen(data: &Dataset) -> Error {
    Error::bad(
        data.place().display(),
        "shape",
        shown(data.shape()),
        "(images, height, width), with or without an axis of one channel",
    )
}
