//! Writes small MATLAB files of version 5, so that a test can say what is wrong with one.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fs;
use std::io::Write;
use std::path::Path;

/// An element with its padding.
fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn head(class: u32, shape: &[usize], name: &str) -> Vec<u8> {
    let mut flags = class.to_le_bytes().to_vec();
    flags.extend([0; 4]);
    let shape: Vec<u8> = shape
        .iter()
        .flat_map(|n| (*n as i32).to_le_bytes())
        .collect();
    [
        element(6, &flags),
        element(5, &shape),
        element(1, name.as_bytes()),
    ]
    .concat()
}

/// A variable `double`.
pub fn double(name: &str, shape: &[usize], values: &[f64]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    element(14, &[head(6, shape, name), element(9, &data)].concat())
}

/// A variable `single`.
pub fn single(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    element(14, &[head(7, shape, name), element(7, &data)].concat())
}

/// A variable `uint8`.
pub fn bytes(name: &str, shape: &[usize], values: &[u8]) -> Vec<u8> {
    element(14, &[head(9, shape, name), element(2, values)].concat())
}

/// A variable `char` of one row.
pub fn word(name: &str, text: &str) -> Vec<u8> {
    let shape = [1, text.chars().count()];
    element(
        14,
        &[head(4, &shape, name), element(16, text.as_bytes())].concat(),
    )
}

/// A cell array.
pub fn cell(name: &str, shape: &[usize], inside: &[Vec<u8>]) -> Vec<u8> {
    element(14, &[head(1, shape, name), inside.concat()].concat())
}

/// A struct array; `inside` are the fields of the first element, then those of the next.
pub fn structs(name: &str, shape: &[usize], fields: &[&str], inside: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<u8> = fields
        .iter()
        .flat_map(|f| {
            let mut name = f.as_bytes().to_vec();
            name.resize(32, 0);
            name
        })
        .collect();
    let start = [
        head(2, shape, name),
        element(5, &32_i32.to_le_bytes()),
        element(1, &names),
    ];
    element(14, &[start.concat(), inside.concat()].concat())
}

/// A variable, compressed.
pub fn packed(variable: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(variable).unwrap();
    let data = encoder.finish().unwrap();
    let mut bytes = 15_u32.to_le_bytes().to_vec();
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// A file of these variables.
pub fn file(variables: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"MATLAB 5.0 MAT-file".to_vec();
    bytes.resize(124, b' ');
    bytes.extend(b"\x00\x01IM");
    bytes.extend(variables.concat());
    bytes
}

pub fn save(path: &Path, variables: &[Vec<u8>]) {
    fs::write(path, file(variables)).unwrap();
}
