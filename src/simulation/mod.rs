//! Simulated populations with a known answer: what they see, what they compute, how noisy they are.

mod filters;
mod images;
mod neuron;
mod population;
mod random;

pub use images::dead_leaves;
pub use neuron::{CellType, Neuron, POOLED_ORIENTATIONS, Parameters};
pub use population::Population;
