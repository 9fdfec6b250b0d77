//! Other laboratories' layouts, turned into a [`super::Recording`].

mod activity;
mod arrays;
mod assemble;
mod block;
mod frames;
pub mod hdf5;
mod kinds;
mod merge;
pub mod minimodel;
pub mod npy;
mod number;
pub mod nwb;
mod rescale;
pub mod sensorium;
pub mod split;

pub use hdf5::{Hdf5, hdf5};
pub use kinds::kind_of;
pub use minimodel::{Minimodel, minimodel};
pub use npy::{npy, npy_with_digits};
pub use nwb::{Nwb, Window, nwb, offers};
pub use rescale::Rescale;
pub use sensorium::{Sensorium, sensorium};
