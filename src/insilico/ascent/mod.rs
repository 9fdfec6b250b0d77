//! Gradient ascent on images, thousands at a time: most exciting images, and images that drive a neuron to a given rate.
//!
//! Every image is seen by one neuron, on the crop that the neuron's mask can see ([`crate::model::closeup`]), and leaves the
//! batch when it is done. A crop stands for the whole image that is 0 around it (for a search from noise: noise around it),
//! with the whole image's recipe: norm, smoothness across the crop's border, and frequency factor are those of the whole
//! image, held at 0 outside. Reported is the response to the whole image, by the whole model.

mod climb;
mod eyes;
mod found;
mod meis;
pub(super) mod noise;
mod recipe;
mod responses;
mod synthesis;
mod turns;
mod walk;

pub use eyes::Member;
pub use meis::{Mei, Meis, meis};
pub use recipe::{Method, Recipe};
pub use synthesis::{Goal, Synthesis, Synthesised, percentiles, synthesise};
