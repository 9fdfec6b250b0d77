//! Clusters of bar codes: k-means, a mixture of spherical Gaussians with its likelihood on rows held out, how far clusterings
//! agree, and blocks of clusters that confuse each other (Ustyuzhaninov et al. 2020, 2022).
//!
//! Rows are neurons, columns the numbers of a bar code. Everything is a function of rows, settings and seed, whatever the
//! number of threads. Clusters are numbered from 0 by size, largest first; of equal ones, that with the earliest row is first.

mod agreement;
mod blocks;
mod k_means;
mod mixture;
mod seeding;
mod sweep;

pub use agreement::{adjusted_rand, mean_agreement};
pub use blocks::blocks;
pub use k_means::{Clusters, Settings, Start, k_means, k_means_from};
pub use mixture::{Mixture, MixtureSettings};
pub use sweep::{Count, Sweep, held_out, over_seeds, sweep};

use crate::{Error, Result};
use ndarray::ArrayView2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// What random numbers are for; each purpose has streams of its own.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// One stream per restart of k-means.
    KMeans = 1,
    /// Which rows are held out.
    HeldOut = 2,
    /// The seeds of k-means in the restarts of a mixture.
    Mixture = 3,
}

fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    key[9..17].copy_from_slice(b"clusters");
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// Whether rows can be divided into so many clusters: numbers everywhere, and no fewer different rows than clusters.
fn check(rows: ArrayView2<f32>, clusters: usize) -> Result<()> {
    if clusters == 0 {
        return Err(Error::bad("clusters", "their number", 0, "at least 1"));
    }
    if rows.ncols() == 0 {
        let wanted = "at least one number in a row";
        return Err(Error::bad("clusters", "the length of a row", 0, wanted));
    }
    for (i, row) in rows.outer_iter().enumerate() {
        if let Some(v) = row.iter().find(|v| !v.is_finite()) {
            return Err(Error::bad("clusters", format!("row {i}"), v, "numbers"));
        }
    }
    let mut different: HashSet<Vec<u32>> = HashSet::new();
    for row in rows.outer_iter() {
        // Adding 0 makes one zero of both.
        different.insert(row.iter().map(|v| (v + 0.0).to_bits()).collect());
        if different.len() == clusters {
            return Ok(());
        }
    }
    let got = match different.len() {
        all if all == rows.nrows() => format!("{all}"),
        some => format!("{some} (of {} in all)", rows.nrows()),
    };
    let wanted = format!("at least {clusters}, one for each cluster");
    Err(Error::bad(
        "clusters",
        "the number of different rows",
        got,
        wanted,
    ))
}
