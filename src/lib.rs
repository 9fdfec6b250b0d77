//! striate turns recordings of visual-cortex neurons into digital twins, and experiments on the twins.
//!
//! Data flows one way: [`recording`] → batches → model → loss → gradients → optimiser → checkpoint,
//! then checkpoint → scores and experiments → tables. Arrows between modules run downwards only.

pub mod device;
pub mod error;
pub mod files;
pub mod glm;
pub mod hdf5;
pub mod insilico;
pub mod lock;
pub mod matlab;
pub mod model;
pub mod npy;
pub mod ops;
pub mod population;
pub mod recording;
pub mod report;
pub mod results;
mod say;
pub mod scoring;
pub mod search;
pub mod simulation;
pub mod statistics;
pub mod stimuli;
pub mod table;
pub mod training;
mod window;

pub use error::{Error, Result};
pub use say::say;
