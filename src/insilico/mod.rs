//! Experiments on a twin: the measures that tuning curves are summarised by, and the search for optimal stimuli.

pub mod ascent;
mod family;
mod flat;
pub mod found;
pub mod harmonics;
pub mod optima;
pub mod preconditioner;
pub mod search;
pub mod selection;
pub mod shared;
pub mod show;
pub mod tuning;
mod watch;

pub use family::Family;
pub use flat::Flat;
pub use watch::Watch;
