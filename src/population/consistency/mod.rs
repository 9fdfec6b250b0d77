//! What several fits of the same neurons agree on: whether their bar codes lie alike, whether there are clusters or a continuum,
//! and how sure every index is.
//!
//! Fits differ in their seed, their draw of a search, or their system. Features of one core are not those of another, so that bar codes
//! are compared by who lies near whom (adjusted Rand index of clusters, common neighbours, centred kernel alignment;
//! Kornblith et al. 2019), never number by number.

mod continuum;
mod ensemble;
mod read;
mod similarity;
mod tables;

pub use continuum::{Continuum, continuum, silhouettes};
pub use ensemble::{Spread, circular, plain};
pub use read::{Fit, read};
pub use similarity::{cka, knn_overlap};
pub use tables::{Pair, compare, continuum_table, ensemble_table, pairs_table};

/// Neighbours that are compared.
pub const NEIGHBOURS: usize = 10;
/// Gaussian populations that real bar codes are compared with.
pub const DRAWS: usize = 20;
