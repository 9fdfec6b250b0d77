//! Writing: version 1.0, little-endian, C order, data aligned to 64 bytes as NumPy does.

use super::header::shown;
use crate::files::{self, Prepared};
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayView, ArrayViewD, Dimension};
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Bytes handed on at a time.
const CHUNK: usize = 1 << 16;

/// A number that `.npy` files can hold.
pub trait Element: Copy {
    /// NumPy's type code, little-endian.
    const CODE: &'static str;

    /// Its bytes, least significant first.
    fn bytes(self) -> impl AsRef<[u8]>;
}

macro_rules! element {
    ($($t:ty => $code:literal),*) => {$(
        impl Element for $t {
            const CODE: &'static str = $code;

            fn bytes(self) -> impl AsRef<[u8]> {
                self.to_le_bytes()
            }
        }
    )*};
}

element!(u8 => "|u1", i32 => "<i4", i64 => "<i8", f32 => "<f4", f64 => "<f8");

/// Writes an array of any dimension as `.npy`; a reader sees the old file or the whole new one.
///
/// # Errors
/// Names the file.
pub fn write<T: Element, D: Dimension>(path: &Path, array: ArrayView<'_, T, D>) -> Result<()> {
    files::write(path, |w| fill(w, &array))
}

/// Writes named arrays as an uncompressed `.npz`, as `np.savez` does.
///
/// # Errors
/// Names the file.
pub fn write_npz(path: &Path, arrays: &[(&str, ArrayViewD<'_, f32>)]) -> Result<()> {
    let bytes = npz_bytes(path, arrays)?;
    files::write(path, |w| w.write_all(&bytes))
}

fn npz_bytes(path: &Path, arrays: &[(&str, ArrayViewD<'_, f32>)]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    let fail = |e: &dyn std::fmt::Display| Error::file(path, format!("cannot write: {e}"));
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), options)
            .map_err(|e| fail(&e))?;
        fill(&mut zip, array).map_err(|e| fail(&e))?;
    }
    Ok(zip.finish().map_err(|e| fail(&e))?.into_inner())
}

impl Prepared {
    /// An array as `.npy`, up to the file's name.
    ///
    /// # Errors
    /// Names the file.
    pub fn npy(path: &Path, array: &ArrayD<f32>) -> Result<Self> {
        Self::new(path, |w| fill(w, &array.view()))
    }

    /// Named arrays as `.npz`, up to the file's name.
    ///
    /// # Errors
    /// Names the file.
    pub fn npz(path: &Path, arrays: &[(String, ArrayD<f32>)]) -> Result<Self> {
        let views: Vec<_> = arrays.iter().map(|(n, a)| (n.as_str(), a.view())).collect();
        let bytes = npz_bytes(path, &views)?;
        Self::new(path, |w| w.write_all(&bytes))
    }
}

/// What an `.npy` file begins with, up to its data: 128 bytes for the usual shapes.
pub fn start<T: Element>(shape: &[usize]) -> Vec<u8> {
    let mut header = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
        T::CODE,
        shown(shape)
    );
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

/// Hands an array on as `.npy`.
///
/// # Errors
/// Those of the writer.
pub fn fill<T: Element, D: Dimension>(
    w: &mut (impl Write + ?Sized),
    array: &ArrayView<'_, T, D>,
) -> std::io::Result<()> {
    w.write_all(&start::<T>(array.shape()))?;
    let mut bytes = Vec::with_capacity(CHUNK + 8);
    for element in array {
        bytes.extend_from_slice(element.bytes().as_ref());
        if bytes.len() >= CHUNK {
            w.write_all(&bytes)?;
            bytes.clear();
        }
    }
    w.write_all(&bytes)
}
