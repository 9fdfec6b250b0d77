//! Other laboratories' layouts, turned into a [`super::Recording`].

mod arrays;
mod merge;
mod npy;
pub mod split;

pub use npy::npy;
