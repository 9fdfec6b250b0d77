//! Fresh weights: truncated normals, one random stream per tensor (Ecker et al. 2019).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// SD of Hermite coefficients.
pub const COEFFICIENTS: f64 = 0.1;
/// SD of pixel filters, masks and feature weights.
pub const WEIGHTS: f64 = 0.01;

/// SD of weights (out, ..) behind which a rectifier follows and no normalisation: it keeps the variance (He et al. 2015).
pub fn rectified(shape: &[usize]) -> f64 {
    (2.0 / shape[1..].iter().product::<usize>() as f64).sqrt()
}

/// Normal numbers of this SD, redrawn where beyond two of it; `stream` tells tensors of one seed apart.
pub fn truncated_normal(n: usize, sd: f64, seed: u64, stream: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    (0..n)
        .map(|_| {
            loop {
                let x: f64 = StandardNormal.sample(&mut rng);
                if x.abs() <= 2.0 {
                    return (sd * x) as f32;
                }
            }
        })
        .collect()
}

/// Numbers uniform in +- `range`.
pub fn uniform(n: usize, range: f64, seed: u64, stream: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut draw = || range * (2.0 * rng.random::<f64>() - 1.0);
    (0..n).map(|_| draw() as f32).collect()
}
