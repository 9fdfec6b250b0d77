//! Simulated populations with a known answer: what they see, what they compute, how noisy they are.

mod images;
mod random;

pub use images::dead_leaves;
