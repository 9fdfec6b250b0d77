//! What a whole population is like: bar codes, their alignment, clusters, embedding, and how indices are spread over
//! clusters (Ustyuzhaninov et al. 2020, 2022).

pub mod alignment;
mod barcodes;
pub mod clusters;
pub mod confusion;
pub mod consistency;
pub mod differences;
pub mod embedding;
pub mod grouping;
pub mod measures;
pub mod organise;
pub mod sparsity;
pub mod tables;

pub use barcodes::{BarCodes, Who};
