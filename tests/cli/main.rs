//! The command line, through the real binary.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/small.rs"]
mod small;

mod agreement;
mod ascent;
mod commands;
#[cfg(unix)]
mod given;
mod hdf5;
mod inspected;
mod kinds;
mod optima;
mod places;
#[cfg(unix)]
mod precious;
mod refused;
mod runs;
mod scans;
mod searches;
mod warned;

use small::{config, folder, striate};
use std::fs;
use std::path::Path;
use striate::model::checkpoint::Tensors;

const SHORT: &str = "learning_rate = 0.01\nvalidate_every = 2\nmax_steps = 4";

/// A folder with `rec`, `c.toml` and `run`, trained for four steps.
fn trained() -> tempfile::TempDir {
    let f = folder(SHORT);
    striate(f.path(), "train c.toml --out run").ok();
    f
}

/// As [`trained`], with two recordings of different image sizes: `run`'s readouts are `a.b c` and `rec`.
fn trained_on_two() -> tempfile::TempDir {
    let f = folder(SHORT);
    small::sized("a.b c", 3, (14, 13), 9)
        .write(&f.path().join("other"))
        .unwrap();
    fs::write(
        f.path().join("c.toml"),
        config("[\"rec\", \"other\"]", SHORT),
    )
    .unwrap();
    striate(f.path(), "train c.toml --out run").ok();
    f
}

fn edit(file: &Path, change: impl FnOnce(&mut Tensors)) {
    let mut tensors = Tensors::read(file).unwrap();
    change(&mut tensors);
    tensors.write(file).unwrap();
}
