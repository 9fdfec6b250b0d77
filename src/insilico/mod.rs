//! Experiments on a twin: the measures that tuning curves are summarised by, and the search for optimal stimuli.

pub mod ascent;
pub mod harmonics;
pub mod preconditioner;
mod watch;

pub use watch::Watch;
