//! Tuning experiments on a twin whose answers are known: curves and indices, on the CPU, through the kernels and from the
//! command line.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/small.rs"]
mod small;
#[path = "../common/units.rs"]
mod units;

mod command;
mod compare;
mod curves;
mod energy;
mod select;

use common::widen;
use std::path::Path;
use striate::npy::Archive;

const ALL: [usize; 4] = [0, 1, 2, 3];

fn array(path: &Path, name: &str) -> (Vec<usize>, Vec<f64>) {
    let array = Archive::open(path)
        .unwrap()
        .array(name)
        .unwrap()
        .numbers()
        .unwrap();
    let shape = array.shape().to_vec();
    (shape, widen(&array.into_iter().collect::<Vec<f32>>()))
}
