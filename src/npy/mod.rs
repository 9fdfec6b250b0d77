//! NumPy's files, `.npy` and `.npz`: the door through which arrays come in and go out.
//!
//! Reading trusts nothing: the header is checked against the length of the file before anything is allocated, so
//! that a truncated or lying file costs one message and no memory. Both byte orders, C and Fortran order, and every
//! plain numeric type are accepted; pickled objects are not. Numbers become `f32`, the precision of the engine.

mod archive;
mod convert;
mod header;
mod rows;
mod whole;
mod write;

pub use archive::Archive;
pub use convert::Real;
pub(crate) use convert::convert;
pub(crate) use convert::overflow;
pub use header::{Dtype, Header, Kind, shown};
pub use rows::Rows;
pub use whole::Whole;
pub(crate) use whole::cell;
pub use write::{Element, fill, start, write, write_npz};

use crate::{Error, Result};
use ndarray::{Array, ArrayD, IxDyn, ShapeBuilder};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes read and converted at a time.
const CHUNK: usize = 1 << 20;

/// An array in a file: header read and checked, data still to come.
pub struct Stored<'a> {
    place: PathBuf,
    header: Header,
    data: Box<dyn Read + 'a>,
}

impl Stored<'static> {
    /// Opens an `.npy` file and checks its header against its length.
    ///
    /// # Errors
    /// Names the file when it is absent, no `.npy` file, of an unusable type, truncated or too long.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| Error::file(path, format!("cannot read: {e}"));
        let metadata = std::fs::metadata(path).map_err(fail)?;
        if !metadata.is_file() {
            return Err(Error::file(path, "not a file, wanted an .npy file"));
        }
        let file = BufReader::new(File::open(path).map_err(fail)?);
        Stored::new(path.to_path_buf(), metadata.len(), file)
    }
}

impl<'a> Stored<'a> {
    fn new(place: PathBuf, length: u64, mut data: impl Read + 'a) -> Result<Self> {
        let header = Header::read(&mut data).map_err(|e| Error::file(&place, e))?;
        let stored = Self {
            place,
            header,
            data: Box::new(data),
        };
        check_length(&stored.header, length, &stored.place)?;
        Ok(stored)
    }

    /// Element type, order and shape.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Where the array lies, for messages.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Refuses pickled Python, telling how to save numbers or strings instead.
    ///
    /// # Errors
    /// Names the file when the elements are objects.
    pub fn refuse_objects(&self, wanted: &str, plain: &str) -> Result<()> {
        refuse_objects(&self.header, &self.place, wanted, plain)
    }

    fn fail(&self, what: impl std::fmt::Display) -> Error {
        Error::file(&self.place, what)
    }

    /// All elements as `f32`, in C order.
    ///
    /// # Errors
    /// As [`Stored::numbers_as`].
    pub fn numbers(self) -> Result<ArrayD<f32>> {
        self.numbers_as()
    }

    /// All elements as numbers of one type, in C order.
    ///
    /// # Errors
    /// Names the file when the elements are words, when a finite number exceeds what the type can hold (with its
    /// position), or when reading fails.
    pub fn numbers_as<T: Real>(mut self) -> Result<ArrayD<T>> {
        self.refuse_objects("numbers", "numpy.float32")?;
        let dtype = self.header.dtype;
        if dtype.is_text() {
            return Err(self.fail(format!("dtype is {}, wanted numbers", dtype.name())));
        }
        let (place, header) = (self.place.clone(), self.header.clone());
        self.load(|bytes, values| {
            let before = values.len();
            convert::convert(dtype, bytes, values);
            // Finite there, and not here.
            match convert::overflow(dtype, bytes, &values[before..]) {
                Some(at) => Err(cannot_hold(&header, &place, before + at)),
                None => Ok(()),
            }
        })
    }

    /// Hands on the rows (along the first axis) in C order, `at_once` of them at a time, with the number of the first:
    /// memory for these. Of an array in Fortran order all of it is read.
    ///
    /// # Errors
    /// Names the file when the elements are no numbers or reading fails; what `take` says.
    pub fn by_rows<T: Real>(
        mut self,
        at_once: usize,
        mut take: impl FnMut(usize, &[T]) -> Result<()>,
    ) -> Result<()> {
        let (rows, width) = match *self.header.shape {
            [] => (1, 1),
            [rows, ref rest @ ..] => (rows, rest.iter().product::<usize>()),
        };
        let at_once = at_once.clamp(1, rows.max(1));
        if self.header.fortran && self.header.shape.len() > 1 {
            let all = self.numbers_as::<T>()?.into_raw_vec_and_offset().0;
            let blocks = all.chunks((at_once * width).max(1)).enumerate();
            return blocks
                .into_iter()
                .try_for_each(|(i, b)| take(i * at_once, b));
        }
        self.refuse_objects("numbers", "numpy.float32")?;
        let dtype = self.header.dtype;
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for first in (0..rows).step_by(at_once) {
            let count = at_once.min(rows - first) * width;
            bytes.resize(count * dtype.size, 0);
            self.data
                .read_exact(&mut bytes)
                .map_err(|e| Error::file(&self.place, format!("cannot read: {e}")))?;
            values.clear();
            if !convert::convert(dtype, &bytes, &mut values) {
                return Err(self.fail(format!("dtype is {}, wanted numbers", dtype.name())));
            }
            take(first, &values)?;
        }
        Ok(())
    }

    /// All elements as cells of a table, in C order, see [`Whole::cells`].
    ///
    /// # Errors
    /// As [`Whole::cells`].
    pub fn cells(mut self) -> Result<Vec<String>> {
        self.refuse_objects("numbers or strings", "str")?;
        let dtype = self.header.dtype;
        let (place, header) = (self.place.clone(), self.header.clone());
        let cells = self.load(|bytes, values| {
            for element in bytes.chunks_exact(dtype.size) {
                let cell = whole::cell(dtype, element);
                values.push(cell.ok_or_else(|| cannot_hold(&header, &place, values.len()))?);
            }
            Ok(())
        })?;
        Ok(cells.into_raw_vec_and_offset().0)
    }

    /// All elements as words, in C order: strings without their padding, integers in decimal.
    ///
    /// # Errors
    /// Names the file when elements are floats, not valid text, or when reading fails.
    pub fn words(self) -> Result<ArrayD<String>> {
        self.refuse_objects("strings", "str")?;
        let dtype = self.header.dtype;
        if !(dtype.is_text() || matches!(dtype.kind, Kind::Unsigned | Kind::Signed)) {
            return Err(self.fail(format!(
                "dtype is {}, wanted strings or integers",
                dtype.name()
            )));
        }
        let shape = self.header.shape.clone();
        let place = self.place.clone();
        Array::from_shape_vec(IxDyn(&shape), self.cells()?).map_err(|e| Error::file(place, e))
    }

    /// Reads every element through `convert`, which appends those in some bytes.
    fn load<T: Clone>(
        &mut self,
        mut convert: impl FnMut(&[u8], &mut Vec<T>) -> Result<()>,
    ) -> Result<ArrayD<T>> {
        let total = self.header.len();
        let size = self.header.dtype.size;
        let mut values: Vec<T> = Vec::new();
        let at_once = (CHUNK / size).max(1).min(total);
        let mut bytes = vec![0_u8; at_once * size];
        while values.len() < total {
            let count = at_once.min(total - values.len());
            let chunk = &mut bytes[..count * size];
            self.data
                .read_exact(chunk)
                .map_err(|e| Error::file(&self.place, format!("cannot read: {e}")))?;
            // Bytes that arrived pay for the memory: the reservation never runs ahead of them by more than a doubling.
            values
                .try_reserve(count)
                .map_err(|_| self.fail(format!("{total} values do not fit into memory")))?;
            convert(chunk, &mut values)?;
        }
        let shape = IxDyn(&self.header.shape).set_f(self.header.fortran);
        let array = Array::from_shape_vec(shape, values).map_err(|e| self.fail(e))?;
        Ok(if array.is_standard_layout() {
            array
        } else {
            array.as_standard_layout().into_owned()
        })
    }
}

/// Checks that so many bytes, header and all, are what the header says. Of a pickle no length is known.
fn check_length(header: &Header, length: u64, place: &Path) -> Result<()> {
    let there = u128::from(length).saturating_sub(header.offset as u128);
    let wanted = header.len() as u128 * header.dtype.size as u128;
    if header.dtype.kind == Kind::Object || there == wanted {
        return Ok(());
    }
    let what = if there < wanted {
        "truncated"
    } else {
        "longer than its header says"
    };
    Err(Error::file(
        place,
        format!(
            "{what}: {there} bytes of data, wanted {wanted} for {} of shape {}",
            header.dtype.name(),
            shown(&header.shape)
        ),
    ))
}

/// Refuses pickled Python, with the line of NumPy that would rewrite it as `plain`.
fn refuse_objects(header: &Header, place: &Path, wanted: &str, plain: &str) -> Result<()> {
    if header.dtype.kind != Kind::Object {
        return Ok(());
    }
    let what = format!(
        "dtype is object (pickled Python), wanted {wanted}: rewrite it with {}",
        rewriting(place, plain)
    );
    Err(Error::file(place, what))
}

/// A line of NumPy that rewrites an array of objects: a file, or a member of an archive.
fn rewriting(place: &Path, plain: &str) -> String {
    let stem = place.file_stem().unwrap_or_default().display().to_string();
    let ends = |end: &str| {
        let all = place.ancestors();
        let mut all = all.filter(|p| p.extension().is_some_and(|e| e.eq_ignore_ascii_case(end)));
        all.next()
    };
    if let Some(archive) = ends("npz") {
        let archive = archive.display();
        return format!(
            "z = dict(numpy.load(\"{archive}\", allow_pickle=True)); z[\"{stem}\"] = z[\"{stem}\"].astype({plain}); \
             numpy.savez(\"{archive}\", **z)"
        );
    }
    let letter = stem.chars().next().is_some_and(char::is_alphabetic);
    let name = match letter && stem.chars().all(|c| c.is_alphanumeric() || c == '_') {
        true => stem.as_str(),
        false => "x",
    };
    let (unpack, file) = match ends("zip") {
        Some(zip) => (
            "(the zip unpacked) ",
            place.strip_prefix(zip).unwrap_or(place),
        ),
        None => ("", place),
    };
    let file = file.display();
    format!(
        "{unpack}{name} = numpy.load(\"{file}\", allow_pickle=True); numpy.save(\"{file}\", {name}.astype({plain}))"
    )
}

/// Says which element cannot be held, by its position in the file.
fn cannot_hold(header: &Header, place: &Path, position: usize) -> Error {
    let mut rest = position;
    let mut index = vec![0; header.shape.len()];
    let mut axes: Vec<usize> = (0..header.shape.len()).collect();
    if !header.fortran {
        axes.reverse();
    }
    for axis in axes {
        index[axis] = rest % header.shape[axis].max(1);
        rest /= header.shape[axis].max(1);
    }
    let wanted = if header.dtype.is_text() {
        "valid text"
    } else {
        "within the range of float32"
    };
    Error::file(place, format!("value at {} is not {wanted}", shown(&index)))
}

/// Reads numbers of any type as `f32`, in C order, and the name of their type in the file.
///
/// # Errors
/// As [`Stored::open`] and [`Stored::numbers`].
pub fn read(path: &Path) -> Result<(ArrayD<f32>, String)> {
    let stored = Stored::open(path)?;
    let name = stored.header().dtype.name();
    Ok((stored.numbers()?, name))
}
