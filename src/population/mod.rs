//! What a whole population is like: bar codes, their alignment, clusters, embedding, and how indices are spread over
//! clusters (Ustyuzhaninov et al. 2020, 2022).

pub mod embedding;
