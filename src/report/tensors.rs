//! Single tensors of a model's file: a page needs a few of them, and the file may be large.

use crate::{Error, Result, files, results};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest header that is read: the format's own limit.
const LONGEST: u64 = 100_000_000;

/// What a `.safetensors` file holds, and where.
#[derive(Debug)]
pub struct Tensors {
    path: PathBuf,
    /// Hash of the file, as tables show it.
    pub hash: String,
    /// Shape, whether it is of 64 bits, first and last byte.
    entries: BTreeMap<String, (Vec<usize>, bool, u64, u64)>,
}

impl Tensors {
    /// Reads the header.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| Error::file(path, format!("cannot read: {e}"));
        let corrupt = || Error::file(path, "not a safetensors file");
        let mut file = File::open(path).map_err(|e| fail(&e))?;
        let size = file.metadata().map_err(|e| fail(&e))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| corrupt())?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST.min(size.saturating_sub(8)) {
            return Err(corrupt());
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|e| fail(&e))?;
        let header: BTreeMap<String, Value> =
            serde_json::from_slice(&header).map_err(|_| corrupt())?;
        let mut entries = BTreeMap::new();
        for (name, value) in header {
            if name == "__metadata__" {
                continue;
            }
            entries.insert(name, entry(&value, length + 8, size).ok_or_else(corrupt)?);
        }
        Ok(Self {
            path: path.to_path_buf(),
            hash: results::shown(&files::hash_of(path)?),
            entries,
        })
    }

    /// Shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|e| &e.0[..])
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Numbers of the rows `first..last` along the first axis.
    pub fn rows(&self, name: &str, first: usize, last: usize) -> Result<Vec<f64>> {
        let fail =
            |e: &dyn std::fmt::Display| Error::file(&self.path, format!("cannot read {name}: {e}"));
        let (shape, wide, start, _) = self.entries.get(name).ok_or_else(|| fail(&"missing"))?;
        let size = if *wide { 8 } else { 4 };
        let each: usize = shape[1..].iter().product();
        let mut file = File::open(&self.path).map_err(|e| fail(&e))?;
        let at = start + (first * each * size) as u64;
        file.seek(SeekFrom::Start(at)).map_err(|e| fail(&e))?;
        let mut bytes = vec![0; (last - first) * each * size];
        file.read_exact(&mut bytes).map_err(|e| fail(&e))?;
        let number = |b: &[u8]| match *b {
            [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => b.try_into().map_or(f64::NAN, f64::from_le_bytes),
        };
        Ok(bytes.chunks_exact(size).map(number).collect())
    }

    /// All numbers of a tensor.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let rows = self.shape(name).map_or(0, |s| s[0]);
        self.rows(name, 0, rows)
    }
}

/// Shape, width and place of one entry; none where it cannot be.
fn entry(value: &Value, data: u64, size: u64) -> Option<(Vec<usize>, bool, u64, u64)> {
    let wide = match value["dtype"].as_str()? {
        "F32" => false,
        "F64" => true,
        _ => return None,
    };
    let numbers =
        |v: &Value| -> Option<Vec<u64>> { v.as_array()?.iter().map(Value::as_u64).collect() };
    let shape: Vec<usize> = numbers(&value["shape"])?
        .into_iter()
        .map(|n| n as usize)
        .collect();
    let offsets = numbers(&value["data_offsets"])?;
    let (first, last) = (data + *offsets.first()?, data + *offsets.get(1)?);
    let count = shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b))? as u64;
    let fits = first <= last && last <= size && last - first == count * if wide { 8 } else { 4 };
    (fits && !shape.is_empty()).then_some((shape, wide, first, last))
}
