//! One array of a file.

use super::element::{self, Behind, Element, Number};
use super::{Attributes, failed};
use crate::npy::{Dtype, Real, convert, overflow, shown};
use crate::{Error, Result};
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::{Hdf5File, SliceInfo, SliceInfoElem};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Deflate makes nothing smaller than that: a dataset that claims more than so many times its file is made up.
const DEFLATE: u64 = 1032;
/// What a small file may claim in any case.
const LEAST: u64 = 1 << 16;

/// An array of a file: its shape and type, the numbers still to come.
pub struct Dataset {
    place: PathBuf,
    file_length: u64,
    shape: Vec<usize>,
    element: Element,
    /// Where its bytes lie in one piece, if they do.
    run: Option<u64>,
    matlab: bool,
    inner: hdf5_reader::Dataset,
    bytes: Arc<Behind>,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("place", &self.place)
            .field("shape", &self.shape)
            .field("element", &self.element)
            .finish_non_exhaustive()
    }
}

pub(super) fn shape(inner: &hdf5_reader::Dataset) -> Vec<usize> {
    inner.shape().iter().map(|n| *n as usize).collect()
}

impl Dataset {
    pub(super) fn new(
        place: PathBuf,
        file_length: u64,
        matlab: bool,
        inner: hdf5_reader::Dataset,
        (file, bytes): (&Hdf5File, &Arc<Behind>),
    ) -> Result<Self> {
        let mut this = Self {
            place,
            file_length,
            shape: shape(&inner),
            element: Element::of(inner.dtype()),
            run: None,
            matlab,
            bytes: Arc::clone(bytes),
            inner,
        };
        this.check_size()?;
        let header = file.get_or_parse_header(this.inner.address());
        let header = header.map_err(|e| failed(&this.place, &e))?;
        let external = |m: &HdfMessage| matches!(m, HdfMessage::ExternalFiles(_));
        if header.messages.iter().any(external) {
            let what = "its numbers are in another file, wanted them in this one";
            return Err(Error::file(&this.place, what));
        }
        let layout = header.messages.iter().find_map(|m| match m {
            HdfMessage::DataLayout(layout) => Some(&layout.layout),
            _ => None,
        });
        if let Some(DataLayout::Contiguous { address, .. }) = layout {
            this.run = this.within(*address);
        }
        Ok(this)
    }

    /// The address, if all bytes lie behind it in the file; what does not is left to the crate, to fill or to refuse.
    fn within(&self, address: u64) -> Option<u64> {
        let end = address.checked_add(self.size()?)?;
        (end <= self.bytes.length()).then_some(address)
    }

    /// Bytes of all its elements.
    fn size(&self) -> Option<u64> {
        let size = element::size(self.inner.dtype())? as u64;
        let count = self
            .shape
            .iter()
            .try_fold(1_u64, |n, axis| n.checked_mul(*axis as u64))?;
        count.checked_mul(size)
    }

    /// Refuses a dataset that claims more than its file could hold, and chunks that do.
    fn check_size(&self) -> Result<()> {
        let most = self
            .file_length
            .saturating_mul(DEFLATE)
            .saturating_add(LEAST);
        let size = element::size(self.inner.dtype()).unwrap_or(usize::MAX) as u64;
        let chunk = self.inner.chunks().unwrap_or_default();
        let chunk = chunk
            .iter()
            .try_fold(size, |n, axis| n.checked_mul(u64::from(*axis)));
        for claimed in [self.size(), chunk] {
            let claimed = claimed.unwrap_or(u64::MAX);
            if claimed > most {
                return Err(self.claims(claimed));
            }
        }
        Ok(())
    }

    pub(super) fn claims(&self, bytes: u64) -> Error {
        let what = format!("claims {bytes} bytes, more than the file can hold");
        Error::file(&self.place, what)
    }

    pub(super) fn failed(&self, e: &hdf5_reader::error::Error) -> Error {
        failed(&self.place, e)
    }

    pub(super) fn inner(&self) -> &hdf5_reader::Dataset {
        &self.inner
    }

    pub(super) fn file_length(&self) -> u64 {
        self.file_length
    }

    /// What to name in a message.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Lengths of the axes, slowest first; MATLAB names them the other way round.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether a file by MATLAB holds it.
    pub fn is_matlab(&self) -> bool {
        self.matlab
    }

    /// What an element is.
    pub fn element(&self) -> &Element {
        &self.element
    }

    /// Its type, if elements are numbers.
    ///
    /// # Errors
    /// Names the dataset and what they are.
    pub fn dtype(&self) -> Result<Dtype> {
        match self.element {
            Element::Number(dtype) => Ok(dtype),
            _ => Err(self.bad_element("numbers")),
        }
    }

    /// Lengths of the boxes that the file stores it in, if it does.
    pub fn chunk(&self) -> Option<Vec<usize>> {
        let chunk = self.inner.chunks()?;
        Some(chunk.iter().map(|n| (*n as usize).max(1)).collect())
    }

    /// Its attributes.
    pub fn attributes(&self) -> Attributes {
        Attributes::new(self.inner.attributes())
    }

    /// Appends the numbers in a box, a range for each axis, in C order.
    ///
    /// # Errors
    /// Names the dataset when elements are no numbers, when one is beyond the range of `T`, or when the file is damaged.
    pub fn read<T: Real + Send>(&self, ranges: &[Range<usize>], out: &mut Vec<T>) -> Result<()> {
        let dtype = self.dtype()?;
        let outside =
            |(range, axis): (&Range<usize>, &usize)| range.start > range.end || range.end > *axis;
        if ranges.len() != self.shape.len() || ranges.iter().zip(&self.shape).any(outside) {
            let wanted = format!("a part of {}", shown(&self.shape));
            return Err(Error::bad(
                self.place.display(),
                "part",
                format!("{ranges:?}"),
                wanted,
            ));
        }
        if ranges.iter().any(Range::is_empty) {
            return Ok(());
        }
        if let Some(start) = self.run {
            return self.read_run(dtype, start, ranges, out);
        }
        if ranges.is_empty() {
            let bytes = self.inner.read_raw_bytes().map_err(|e| self.failed(&e))?;
            return self.convert(dtype, &bytes, out);
        }
        let selections = ranges.iter().map(|r| SliceInfoElem::Slice {
            start: r.start as u64,
            end: r.end as u64,
            step: 1,
        });
        let slice = SliceInfo {
            selections: selections.collect(),
        };
        let read = self.inner.read_slice_parallel::<Number<T>>(&slice);
        let values = read
            .map_err(|e| self.failed(&e))?
            .into_raw_vec_and_offset()
            .0;
        out.extend(values.into_iter().map(|n| n.0));
        Ok(())
    }

    /// Appends a box of what lies in the file in one piece.
    fn read_run<T: Real>(
        &self,
        dtype: Dtype,
        start: u64,
        ranges: &[Range<usize>],
        out: &mut Vec<T>,
    ) -> Result<()> {
        // The last axes that are read whole go together with the one before.
        let whole = |axis: usize| ranges[axis] == (0..self.shape[axis]);
        let mut joined = self.shape.len();
        while joined > 0 && whole(joined - 1) {
            joined -= 1;
        }
        let outer = joined.saturating_sub(1);
        let inner: usize = self.shape[joined..].iter().product();
        let (skipped, length) = match joined {
            0 => (0, inner),
            _ => (ranges[outer].start * inner, ranges[outer].len() * inner),
        };
        let mut index: Vec<usize> = ranges[..outer].iter().map(|r| r.start).collect();
        let mut bytes = vec![0; length * dtype.size];
        loop {
            let row = index
                .iter()
                .zip(&self.shape)
                .fold(0, |at, (i, axis)| at * axis + i);
            let axis = if joined == 0 { 1 } else { self.shape[outer] };
            let first = (row * axis * inner + skipped) as u64;
            let at = start + first * dtype.size as u64;
            let read = self.bytes.fill(at, &mut bytes);
            read.map_err(|e| Error::file(&self.place, format!("cannot read: {e}")))?;
            self.convert(dtype, &bytes, out)?;
            let mut axis = outer;
            loop {
                if axis == 0 {
                    return Ok(());
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < ranges[axis].end {
                    break;
                }
                index[axis] = ranges[axis].start;
            }
        }
    }

    fn convert<T: Real>(&self, dtype: Dtype, bytes: &[u8], out: &mut Vec<T>) -> Result<()> {
        let before = out.len();
        convert(dtype, bytes, out);
        match overflow(dtype, bytes, &out[before..]) {
            None => Ok(()),
            Some(_) => Err(Error::bad(
                self.place.display(),
                "an element",
                "beyond the range of float32",
                "numbers that float32 can hold",
            )),
        }
    }

    /// All numbers, in C order.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn numbers<T: Real + Send>(&self) -> Result<Vec<T>> {
        let mut out = Vec::new();
        let all: Vec<Range<usize>> = self.shape.iter().map(|n| 0..*n).collect();
        self.read(&all, &mut out)?;
        Ok(out)
    }

    /// All whole numbers of an array with one axis that is longer than 1, or none.
    ///
    /// # Errors
    /// Names the dataset, its shape, or the first number that is not whole.
    pub fn integers(&self) -> Result<Vec<i64>> {
        self.check_line()?;
        let values: Vec<f64> = self.numbers()?;
        // float64 tells whole numbers apart up to 2^53.
        let whole = |(at, x): (usize, &f64)| {
            let known = x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0;
            known.then_some(*x as i64).ok_or_else(|| {
                let what = format!("number at {at}");
                Error::bad(self.place.display(), what, x, "a whole number")
            })
        };
        values.iter().enumerate().map(whole).collect()
    }

    /// Refuses what is not a line of elements.
    ///
    /// # Errors
    /// Names the dataset and its shape.
    pub fn check_line(&self) -> Result<()> {
        if self.shape.iter().filter(|n| **n != 1).count() <= 1 {
            return Ok(());
        }
        let got = shown(&self.shape);
        Err(Error::bad(self.place.display(), "shape", got, "one axis"))
    }
}
