//! Other laboratories' layouts, turned into a [`super::Recording`].

mod arrays;
mod block;
mod merge;
pub mod npy;
pub mod split;

pub use npy::npy;
