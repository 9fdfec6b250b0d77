//! Files that laboratories have: MATLAB, suite2p, experanto, NumPy; whole ones, and damaged ones.

#[path = "../common/mod.rs"]
mod common;
mod experanto;
mod fuzz;
mod malformed;
mod mat;
mod matlab;
mod numpy;
mod pvc8;
#[path = "../common/small.rs"]
mod small;
mod stringer;
mod suite2p;
mod written;
