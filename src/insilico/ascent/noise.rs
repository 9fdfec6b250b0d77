//! What images start from.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// White noise of SD 1: `pixels` numbers that depend on seed, neuron, start and pixel alone.
pub fn white(seed: u64, neuron: usize, start: usize, pixels: usize) -> Vec<f32> {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(start as u64).to_le_bytes());
    key[16..24].copy_from_slice(b"striate.");
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(neuron as u64);
    (0..pixels)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{mean, pearson, variance};

    #[test]
    fn starts_are_white_and_unlike_each_other() {
        let draw = |seed, neuron, start| -> Vec<f64> {
            let noise = white(seed, neuron, start, 4000);
            noise.into_iter().map(f64::from).collect()
        };
        let first = draw(1, 2, 3);
        assert_eq!(first, draw(1, 2, 3));
        assert!(mean(&first).abs() <= 0.05 && (variance(&first, 0) - 1.0).abs() <= 0.08);
        for other in [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(1, 3, 2)] {
            assert!(pearson(&first, &other).abs() <= 0.06);
        }
    }
}
