//! What the neurons of a cluster share: one Gabor, one difference of Gaussians and one most exciting image per cluster,
//! which every member sees at its own place and in its own orientation (Ustyuzhaninov et al. 2022).
//!
//! Best is what has the highest mean over the cluster of normalised rates, responses over their SD in training: what the
//! published models put out, and what keeps few neurons with a large unit from deciding for all.
//!
//! A Gabor's orientation phi with phase tau is phi + pi with -tau, so that an optimal Gabor's orientation says how a pattern
//! lies only up to half a turn, while a phase that a cluster shares needs all of it. Each member takes the better of the two.

mod climb;
mod mei;
mod members;
mod patterns;
mod race;
mod report;
mod stage;
mod template;

pub use mei::{Recipe, Shared, meis};
pub use members::{Best, Clusters, Image, Member, groups, own_differences, own_gabors, own_images};
pub use patterns::{Look, Pattern, Patterns, Seat, patterns};
pub use report::{Found, Report};
