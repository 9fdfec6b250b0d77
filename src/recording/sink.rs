//! Arrays of a recording that grow trial by trial: memory for one image and one row, never for all.

use crate::npy::start;
use crate::{Error, Result};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes before the data: as `npy::start` writes them for every shape that fits on a disk.
const OFFSET: u64 = 128;

/// The grey levels of one image.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pixels {
    /// Whole numbers from 0 to 255.
    Bytes(Vec<u8>),
    /// Anything else.
    Floats(Vec<f32>),
}

impl Pixels {
    /// Bytes wherever they lose nothing.
    pub(super) fn of(mut values: Vec<f32>) -> Self {
        if let Some(bytes) = narrowed(&values) {
            return Self::Bytes(bytes);
        }
        // -0 and 0 are the same grey level.
        values.iter_mut().for_each(|x| *x += 0.0);
        Self::Floats(values)
    }

    /// As [`Pixels::of`], of values that lie in a file's bytes.
    pub(super) fn of_slice(values: &[f32]) -> Self {
        match narrowed(values) {
            Some(bytes) => Self::Bytes(bytes),
            None => Self::Floats(values.iter().map(|x| x + 0.0).collect()),
        }
    }

    /// The first pixel that is no grey level.
    pub(super) fn unusable(&self) -> Option<(usize, f32)> {
        match self {
            Self::Bytes(_) => None,
            Self::Floats(v) => {
                let mut all = v.iter().enumerate();
                all.find(|(_, x)| !x.is_finite()).map(|(i, x)| (i, *x))
            }
        }
    }

    /// Equal for equal images, and practically never for others.
    pub(super) fn key(&self) -> u128 {
        match self {
            Self::Bytes(v) => key(v, 1),
            Self::Floats(v) => key(&floats(v), 2),
        }
    }

    fn stored(&self, wide: bool) -> Vec<u8> {
        match self {
            Self::Bytes(v) if !wide => v.clone(),
            Self::Bytes(v) => v.iter().flat_map(|x| f32::from(*x).to_le_bytes()).collect(),
            Self::Floats(v) => floats(v),
        }
    }
}

/// Values as bytes, if that loses nothing.
fn narrowed(values: &[f32]) -> Option<Vec<u8>> {
    const SHIFT: f32 = 8_388_608.0;
    let mut bytes = Vec::with_capacity(values.len());
    // In chunks, so that what is no byte ends it early.
    for chunk in values.chunks(1024) {
        let mut odd = 0;
        bytes.extend(chunk.iter().map(|x| {
            // The last digit of 2^23 is 1: whole numbers from 0 to 255 become its lowest bits, and others do not come
            // back. A cast would be several times slower.
            let shifted = *x + SHIFT;
            let bits = shifted.to_bits();
            odd |= u32::from(shifted - SHIFT != *x) | ((bits & !0xff) ^ SHIFT.to_bits());
            bits as u8
        }));
        if odd != 0 {
            return None;
        }
    }
    Some(bytes)
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Two products of 64 bits, folded, over 16 bytes at a time.
fn key(bytes: &[u8], kind: u64) -> u128 {
    const ODD: [u64; 4] = [
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
    ];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let (mut a, mut b) = (kind ^ ODD[0], bytes.len() as u64 ^ ODD[1]);
    let mut add = |x: u64, y: u64| {
        a = fold(a ^ x, y ^ ODD[2]).wrapping_add(ODD[0]);
        b = fold(b.wrapping_add(y), x ^ ODD[3]) ^ b.rotate_left(29);
    };
    let mut sixteens = bytes.chunks_exact(16);
    let mut sixteen = [0_u8; 16];
    let mut word = |b: &[u8]| {
        sixteen[..b.len()].copy_from_slice(b);
        sixteen[b.len()..].fill(0);
        let both = u128::from_le_bytes(sixteen);
        add(both as u64, (both >> 64) as u64);
    };
    for sixteen in &mut sixteens {
        word(sixteen);
    }
    if !sixteens.remainder().is_empty() {
        word(sixteens.remainder());
    }
    u128::from(fold(a, b ^ ODD[1])) << 64 | u128::from(fold(b, a ^ ODD[2]))
}

/// `images.npy`: every image once, in the order in which they come; `uint8` for as long as that loses nothing.
#[derive(Debug)]
pub(super) struct ImageFile {
    path: PathBuf,
    /// None where only counting is asked for.
    file: Option<File>,
    size: (usize, usize),
    wide: bool,
    count: usize,
    rows: HashMap<u128, Vec<usize>>,
}

impl ImageFile {
    pub(super) fn create(path: Option<&Path>, size: (usize, usize)) -> Result<Self> {
        Ok(Self {
            file: path.map(open).transpose()?,
            path: path.map(Path::to_path_buf).unwrap_or_default(),
            size,
            wide: false,
            count: 0,
            rows: HashMap::new(),
        })
    }

    /// Images so far.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The row of this image: a new one, unless it is there already.
    pub(super) fn add(&mut self, pixels: &Pixels, key: u128) -> Result<usize> {
        for row in self.rows.get(&key).map_or(&[][..], Vec::as_slice) {
            if self.holds(*row, pixels)? {
                return Ok(*row);
            }
        }
        if matches!(pixels, Pixels::Floats(_)) && !self.wide {
            self.widen()?;
        }
        let bytes = pixels.stored(self.wide);
        if let Some(file) = &self.file {
            let at = OFFSET + (self.count * bytes.len()) as u64;
            file.write_all_at(&bytes, at)
                .map_err(|e| self.cannot("write", &e))?;
        }
        self.rows.entry(key).or_default().push(self.count);
        self.count += 1;
        Ok(self.count - 1)
    }

    fn cannot(&self, what: &str, e: &std::io::Error) -> Error {
        Error::file(&self.path, format!("cannot {what}: {e}"))
    }

    fn holds(&self, row: usize, pixels: &Pixels) -> Result<bool> {
        let Some(file) = &self.file else {
            return Ok(true);
        };
        let wanted = pixels.stored(self.wide);
        let mut there = vec![0; wanted.len()];
        let at = OFFSET + (row * wanted.len()) as u64;
        file.read_exact_at(&mut there, at)
            .map_err(|e| self.cannot("read", &e))?;
        Ok(there == wanted)
    }

    /// Writes what is there anew as `float32`.
    fn widen(&mut self) -> Result<()> {
        self.wide = true;
        let Some(old) = self.file.take() else {
            return Ok(());
        };
        std::fs::remove_file(&self.path).map_err(|e| self.cannot("write", &e))?;
        let new = open(&self.path)?;
        let pixels = self.size.0 * self.size.1;
        let mut bytes = vec![0; pixels];
        for row in 0..self.count {
            let at = OFFSET + (row * pixels) as u64;
            old.read_exact_at(&mut bytes, at)
                .map_err(|e| self.cannot("read", &e))?;
            let wide = Pixels::Bytes(bytes.clone()).stored(true);
            let at = OFFSET + (row * wide.len()) as u64;
            new.write_all_at(&wide, at)
                .map_err(|e| self.cannot("write", &e))?;
        }
        self.file = Some(new);
        Ok(())
    }

    /// Writes the header.
    pub(super) fn finish(&self) -> Result<()> {
        let shape = [self.count, self.size.0, self.size.1];
        let header = match self.wide {
            true => start::<f32>(&shape),
            false => start::<u8>(&shape),
        };
        finish(self.file.as_ref(), &header).map_err(|e| self.cannot("write", &e))
    }
}

/// `responses.npy`, row by row.
#[derive(Debug)]
pub(super) struct ResponseFile {
    path: PathBuf,
    file: Option<File>,
    neurons: usize,
    wide: bool,
    rows: usize,
}

impl ResponseFile {
    /// `float64` if `wide`, else `float32`.
    pub(super) fn create(path: Option<&Path>, neurons: usize, wide: bool) -> Result<Self> {
        Ok(Self {
            file: path.map(open).transpose()?,
            path: path.map(Path::to_path_buf).unwrap_or_default(),
            neurons,
            wide,
            rows: 0,
        })
    }

    fn row(&self) -> usize {
        self.neurons * if self.wide { 8 } else { 4 }
    }

    fn at(&self, row: usize) -> u64 {
        OFFSET + row as u64 * self.row() as u64
    }

    fn put(&self, bytes: &[u8], row: usize) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        file.write_all_at(bytes, self.at(row))
            .map_err(|e| Error::file(&self.path, format!("cannot write: {e}")))
    }

    /// Appends rows of numbers, their bytes least significant first.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes, self.rows)?;
        self.rows += bytes.len() / self.row();
        Ok(())
    }

    /// Whether there is a file, or only counting is asked for.
    pub(super) fn written(&self) -> bool {
        self.file.is_some()
    }

    /// Makes room for so many rows that are patched.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Writes numbers of a row, from a neuron onwards.
    pub(super) fn patch(&self, row: usize, neuron: usize, bytes: &[u8]) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let at = self.at(row) + (neuron * self.row() / self.neurons) as u64;
        file.write_all_at(bytes, at)
            .map_err(|e| Error::file(&self.path, format!("cannot write: {e}")))
    }

    /// Makes rows NaN.
    pub(super) fn blank(&self, rows: &[usize]) -> Result<()> {
        let blank: Vec<u8> = match self.wide {
            true => (0..self.neurons)
                .flat_map(|_| f64::NAN.to_le_bytes())
                .collect(),
            false => (0..self.neurons)
                .flat_map(|_| f32::NAN.to_le_bytes())
                .collect(),
        };
        rows.iter().try_for_each(|row| self.put(&blank, *row))
    }

    /// Writes the header.
    pub(super) fn finish(&self) -> Result<()> {
        let shape = [self.rows, self.neurons];
        let header = match self.wide {
            true => start::<f64>(&shape),
            false => start::<f32>(&shape),
        };
        finish(self.file.as_ref(), &header)
            .map_err(|e| Error::file(&self.path, format!("cannot write: {e}")))
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    options
        .open(path)
        .map_err(|e| Error::file(path, format!("cannot write: {e}")))
}

fn finish(file: Option<&File>, header: &[u8]) -> std::io::Result<()> {
    let Some(file) = file else { return Ok(()) };
    if header.len() as u64 != OFFSET {
        return Err(std::io::Error::other("its shape is too long"));
    }
    file.write_all_at(header, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy;

    #[test]
    fn images_are_stored_once_and_widened_when_they_must() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.npy");
        let mut file = ImageFile::create(Some(&path), (1, 2)).unwrap();
        let mut rows = Vec::new();
        for values in [
            [0.0, 255.0],
            [7.0, 8.0],
            [-0.0, 255.0],
            [0.5, 1.0],
            [7.0, 8.0],
            [0.5, 1.0],
        ] {
            let pixels = Pixels::of(values.to_vec());
            rows.push(file.add(&pixels, pixels.key()).unwrap());
        }
        assert_eq!(rows, [0, 1, 0, 2, 1, 2]);
        file.finish().unwrap();
        let (images, dtype) = npy::read(&path).unwrap();
        assert_eq!(dtype, "float32");
        assert_eq!(images.shape(), [3, 1, 2]);
        assert_eq!(
            images.into_raw_vec_and_offset().0,
            [0.0, 255.0, 7.0, 8.0, 0.5, 1.0]
        );
    }

    #[test]
    fn only_whole_numbers_up_to_255_are_bytes() {
        for byte in 0..=255_u8 {
            assert_eq!(Pixels::of(vec![f32::from(byte)]), Pixels::Bytes(vec![byte]));
        }
        assert_eq!(Pixels::of(vec![-0.0]), Pixels::Bytes(vec![0]));
        for other in [
            0.5,
            255.0_f32.next_up(),
            256.0,
            -1.0,
            -1e-30,
            1e-30,
            8_388_608.0,
            3e9,
            f32::INFINITY,
            f32::NAN,
        ] {
            assert!(
                matches!(Pixels::of(vec![1.0, other]), Pixels::Floats(_)),
                "{other}"
            );
        }
    }

    #[test]
    fn images_of_one_key_are_still_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.npy");
        let mut file = ImageFile::create(Some(&path), (1, 1)).unwrap();
        let rows = [3.0, 4.0, 3.0].map(|x| file.add(&Pixels::of(vec![x]), 9).unwrap());
        assert_eq!(rows, [0, 1, 0]);
    }

    #[test]
    fn one_changed_byte_changes_the_key() {
        for length in [1, 7, 8, 15, 16, 17, 40] {
            let zeros = vec![0_u8; length];
            let mut keys = vec![key(&zeros, 1)];
            for at in 0..length {
                let mut other = zeros.clone();
                other[at] = 1;
                keys.push(key(&other, 1));
            }
            keys.push(key(&vec![0; length + 1], 1));
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), length + 2);
        }
    }

    #[test]
    fn rows_can_be_made_nan_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        for (wide, name) in [(false, "a.npy"), (true, "b.npy")] {
            let path = folder.path().join(name);
            let mut file = ResponseFile::create(Some(&path), 2, wide).unwrap();
            for row in 0..3_u8 {
                let bytes: Vec<u8> = match wide {
                    true => [row, 9]
                        .iter()
                        .flat_map(|x| f64::from(*x).to_le_bytes())
                        .collect(),
                    false => [row, 9]
                        .iter()
                        .flat_map(|x| f32::from(*x).to_le_bytes())
                        .collect(),
                };
                file.push(&bytes).unwrap();
            }
            file.blank(&[1]).unwrap();
            file.finish().unwrap();
            let (values, _) = npy::read(&path).unwrap();
            assert!(values[[1, 0]].is_nan() && values[[1, 1]].is_nan());
            assert_eq!(
                (values[[0, 0]], values[[2, 0]], values[[2, 1]]),
                (0.0, 2.0, 9.0)
            );
        }
    }
}
