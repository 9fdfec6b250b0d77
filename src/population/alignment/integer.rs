//! Alignment by whole steps of 2 pi / O: each neuron takes the roll that is most like all others, until none changes.

use super::turn::Spectrum;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Times that every neuron may choose.
const ROUNDS: usize = 100;

/// Steps of 2 pi / O, one per neuron. Seed 0 takes neurons in order, others in an order of their own.
pub(super) fn rolls(spectra: &[Spectrum], orientations: usize, seed: u64) -> Vec<usize> {
    let step = std::f64::consts::TAU / orientations as f64;
    let mut order: Vec<usize> = (0..spectra.len()).collect();
    let mut steps = vec![0; spectra.len()];
    if seed > 0 {
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    let turned = |n: usize, s: usize| spectra[n].turned(s as f64 * step);
    let mut sum = Spectrum::zero(spectra[0].features, orientations);
    // Codes join one by one, each as it is most like those before.
    for (joined, &n) in order.iter().enumerate() {
        if joined > 0 {
            steps[n] = sum.likeness(&spectra[n]).best_step(orientations);
        }
        sum.add(1.0, &turned(n, steps[n]));
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for &n in &order {
            let old = turned(n, steps[n]);
            sum.add(-1.0, &old);
            let likeness = sum.likeness(&spectra[n]);
            let best = likeness.best_step(orientations);
            if best != steps[n] {
                (steps[n], changed) = (best, true);
                sum.add(1.0, &turned(n, best));
            } else {
                sum.add(1.0, &old);
            }
        }
        if !changed {
            break;
        }
    }
    steps
}
