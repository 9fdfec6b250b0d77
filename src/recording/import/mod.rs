//! Other laboratories' layouts, turned into a [`super::Recording`].

mod arrays;
mod block;
mod merge;
pub mod minimodel;
pub mod npy;
mod rescale;
pub mod sensorium;
pub mod split;

pub use minimodel::{Minimodel, minimodel};
pub use npy::{npy, npy_with_digits};
pub use rescale::Rescale;
pub use sensorium::{Sensorium, sensorium};
