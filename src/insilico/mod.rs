//! Experiments on a twin: the measures that tuning curves are summarised by, and the search for optimal stimuli.

mod family;
pub mod ascent;
pub mod harmonics;
pub mod optima;
pub mod preconditioner;
pub mod search;
pub mod show;
mod watch;

pub use family::Family;
pub use watch::Watch;
