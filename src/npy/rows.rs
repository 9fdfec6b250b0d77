//! Large arrays, read row by row where they lie: memory for the rows asked for, never for the whole file.

use super::convert::{Real, convert, turned};
use super::header::{Dtype, Header, shown};
use super::{check_length, refuse_objects};
use crate::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The rows (along the first axis) of an array in an `.npy` file.
#[derive(Debug)]
pub struct Rows {
    place: PathBuf,
    header: Header,
    store: Store,
}

#[derive(Debug)]
enum Store {
    File(File),
    /// An array in Fortran order has its rows nowhere in one piece.
    Turned(Vec<u8>),
}

impl Rows {
    /// Opens an `.npy` file of numbers with at least one axis and checks its header against its length.
    ///
    /// # Errors
    /// Names the file when it is absent, no `.npy` file, of an unusable type, truncated or too long.
    pub fn open(place: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| Error::file(place, format!("cannot read: {e}"));
        let mut file = File::open(place).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(Error::file(place, "not a file, wanted an .npy file"));
        }
        let header = Header::read(&mut file).map_err(|e| Error::file(place, e))?;
        refuse_objects(&header, place, "numbers", "numpy.float32")?;
        check_length(&header, metadata.len(), place)?;
        if header.dtype.is_text() || header.shape.is_empty() {
            let (name, shape) = (header.dtype.name(), shown(&header.shape));
            let got = format!("{name} of shape {shape}");
            return Err(Error::bad(place.display(), "array", got, "rows of numbers"));
        }
        let store = if header.fortran && header.shape.len() > 1 {
            let mut bytes = vec![0; header.len() * header.dtype.size];
            file.read_exact_at(&mut bytes, header.offset as u64)
                .map_err(fail)?;
            Store::Turned(turned(&header.shape, header.dtype.size, &bytes))
        } else {
            Store::File(file)
        };
        Ok(Self {
            place: place.to_path_buf(),
            header,
            store,
        })
    }

    /// The numbers of a file that has nothing but these, in C order.
    ///
    /// # Errors
    /// Names the file when it is absent or of another length.
    pub fn raw(place: &Path, dtype: Dtype, shape: &[usize]) -> Result<Self> {
        let fail = |e: std::io::Error| Error::file(place, format!("cannot read: {e}"));
        let file = File::open(place).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        let bytes = shape
            .iter()
            .try_fold(dtype.size.max(1), |p, n| p.checked_mul(*n));
        if shape.is_empty() || dtype.is_text() || bytes.is_none() {
            let what = format!("cannot hold {} of shape {}", dtype.name(), shown(shape));
            return Err(Error::file(place, what));
        }
        let header = Header {
            dtype,
            fortran: false,
            shape: shape.to_vec(),
            offset: 0,
        };
        check_length(&header, metadata.len(), place)?;
        Ok(Self {
            place: place.to_path_buf(),
            header,
            store: Store::File(file),
        })
    }

    /// The rows of the first and only one.
    #[must_use]
    pub fn of_first(mut self) -> Self {
        if let [1, _, ..] = *self.header.shape {
            self.header.shape.remove(0);
        }
        self
    }

    /// Element type and shape.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Rows.
    pub fn count(&self) -> usize {
        self.header.shape[0]
    }

    /// Elements in a row.
    pub fn width(&self) -> usize {
        self.header.shape[1..].iter().product()
    }

    /// Appends the elements of `count` rows from `first`, in C order.
    ///
    /// # Errors
    /// Names the file when it cannot be read.
    pub fn read<T: Real>(&self, first: usize, count: usize, out: &mut Vec<T>) -> Result<()> {
        let row = self.width() * self.header.dtype.size;
        match &self.store {
            Store::Turned(bytes) => {
                convert(
                    self.header.dtype,
                    &bytes[first * row..(first + count) * row],
                    out,
                );
            }
            Store::File(file) => {
                let mut bytes = vec![0; count * row];
                let at = (self.header.offset + first * row) as u64;
                file.read_exact_at(&mut bytes, at)
                    .map_err(|e| Error::file(&self.place, format!("cannot read: {e}")))?;
                convert(self.header.dtype, &bytes, out);
            }
        }
        Ok(())
    }
}
