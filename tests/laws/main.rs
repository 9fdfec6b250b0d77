//! What holds whatever the numbers are: symmetries, adjoints, invariances, independence of threads.

#[path = "../common/mod.rs"]
mod common;

mod adjoint;
mod penalties;
mod threads;
mod twins;

use common::narrow;
use striate::device::{Array, Device};

const CPU: Device = Device::Cpu;

fn upload(values: &[f64]) -> Array {
    CPU.upload(&narrow(values), &[values.len()])
}
