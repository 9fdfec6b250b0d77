//! HDF5 files, and recordings from them: files of `tests/fixtures/hdf5`, made by h5py, hdf5storage, PyTables and pynwb.

mod fuzz;
mod layouts;
mod nwb;
mod reader;
mod refused;

use std::path::PathBuf;

/// A file made by `generate.py`.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/hdf5")
        .join(name)
}

/// The pixel of image `i` in row `y` and column `x`, as in `generate.py`.
fn pixel(i: usize, y: usize, x: usize) -> f32 {
    ((31 * i + 7 * y + 3 * x) % 251) as f32
}

/// The response of a neuron in a trial, as in `generate.py`.
fn response(trial: usize, neuron: usize) -> f32 {
    trial as f32 + neuron as f32 / 8.0
}
