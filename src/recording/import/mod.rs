//! Other laboratories' layouts, turned into a [`super::Recording`].

mod arrays;
mod block;
mod cut;
pub mod experanto;
mod layout;
mod made;
pub mod mat;
mod merge;
pub mod minimodel;
pub mod npy;
mod number;
mod opened;
pub mod pvc8;
mod rescale;
pub mod sensorium;
pub mod split;
mod stack;
pub mod stringer;
pub mod suite2p;
mod turn;

pub use experanto::{Experanto, Seconds, experanto};
pub use layout::ImageAxis;
pub use mat::{Mat, mat};
pub use minimodel::{Minimodel, minimodel};
pub use npy::{npy, npy_with_digits};
pub use pvc8::{Extent, Milliseconds, Pvc8, pvc8};
pub use rescale::Rescale;
pub use sensorium::{Sensorium, sensorium};
pub use stringer::{Stringer, stringer};
pub use suite2p::{Frames, Signal, Suite2p, suite2p};
