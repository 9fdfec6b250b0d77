//! Scoring a model's predictions against recorded responses.

pub mod metrics;

pub use metrics::{carry_neurons, evaluate};
