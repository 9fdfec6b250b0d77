//! Where descents begin.

use super::{Settings, integer, spectra};
use ndarray::ArrayView3;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Rows of parameters: the authors' start, then alignments by whole steps.
pub(super) fn starts(codes: ArrayView3<f32>, settings: &Settings) -> Vec<Vec<f32>> {
    let (n, _, o) = codes.dim();
    // T = 1.
    let t = match settings.temperature_cap {
        None => 0.0,
        Some(cap) if cap > 1.0 => -(cap - 1.0).ln(),
        Some(_) => 0.0,
    } as f32;
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let near_pi: Vec<f32> = (0..n)
        .map(|_| 0.01 * rng.sample::<f32, _>(StandardNormal))
        .collect();
    let mut rows = vec![[near_pi, vec![t]].concat()];
    let spectra = spectra(codes);
    let others: Vec<Vec<f32>> = (1..settings.restarts as u64)
        .into_par_iter()
        .map(|restart| {
            let seed =
                (restart > 1).then(|| settings.seed.wrapping_mul(1000).wrapping_add(restart));
            let rolls = integer::rolls(&spectra, o, seed.unwrap_or(0));
            let logits = rolls.iter().map(|&s| logit(TAU * s as f64 / o as f64));
            logits.chain([t]).collect()
        })
        .collect();
    rows.extend(others);
    rows
}

/// Keeps logits of 0 and 2 pi finite.
const LEAST_TURN: f64 = 2e-3;

fn logit(angle: f64) -> f32 {
    let part = (angle / TAU).clamp(LEAST_TURN, 1.0 - LEAST_TURN);
    (part / (1.0 - part)).ln() as f32
}
