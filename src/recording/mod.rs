//! A recording: images, responses and trials, validated at the door.

mod average;
pub mod ceiling;
mod check;
mod choice;
mod draft;
pub mod duplicates;
mod fingerprint;
mod identical;
mod images;
pub mod import;
pub mod inspect;
mod listing;
mod lookalikes;
mod metadata;
mod named;
mod open;
mod part;
mod pool;
pub mod preprocess;
mod sink;
mod split;
mod spread;
mod summary;
mod trials;
pub mod warnings;

pub use choice::rows as chosen_rows;
pub use fingerprint::fingerprint;
pub use identical::first_identical;
pub use images::{image_size, read_images};
pub use inspect::{Description, describe, describe_with};
pub use open::name_of;
pub use part::Progress;
pub use pool::{Pooling, pool};
pub use split::{Shares, Test, split};
pub use summary::Summary;

use crate::table::Table;
use ndarray::{Array2, Array3};

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Fits the model.
    Train,
    /// Stops the fit.
    Validation,
    /// Scores it.
    Test,
}

/// One presentation of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Row in [`Recording::images`].
    pub image: usize,
    /// What it is for.
    pub tier: Tier,
}

/// Images, and the responses of neurons to them. One that came through [`Recording::open`] is valid.
#[derive(Clone, Debug)]
pub struct Recording {
    /// `name` of `recording.toml`, else the directory's name.
    pub name: String,
    /// Grey levels, (images, height, width).
    pub images: Array3<f32>,
    /// Spikes or deconvolved activity, (trials, neurons); NaN = not recorded.
    pub responses: Array2<f32>,
    /// One per row of `responses`.
    pub trials: Vec<Trial>,
    /// `neurons.csv`: first column `neuron`; cells travel letter by letter into result tables.
    pub neurons: Option<Table>,
    /// Further columns of `trials.csv`, a row per trial; cells are written as they were read.
    pub trial_columns: Option<Table>,
    /// Of `recording.toml`.
    pub degrees_per_pixel: Option<f64>,
    /// Of `recording.toml`.
    pub response_unit: Option<String>,
    /// Of `recording.toml`.
    pub source: Option<String>,
}
