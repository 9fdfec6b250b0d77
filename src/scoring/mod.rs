//! Scoring a model's predictions against recorded responses.

pub mod equivariance;
pub mod masks;
pub mod metrics;
pub mod orientation;
mod run;
pub mod simulated;

pub use metrics::{carry_neurons, evaluate};
pub use run::{
    Scored, on_recording, own_recording, recording_of, score, score_all, score_mean, score_own,
};
