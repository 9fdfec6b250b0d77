//! Independent random streams: what a stream yields depends on seed, purpose and index, never on threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What the random numbers are for; each purpose has streams of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// One stream per image.
    Image = 1,
    /// One stream per neuron: its parameters.
    Neuron = 2,
    /// One stream per trial and neuron.
    Noise = 3,
    /// The order of images that were given.
    Shuffle = 4,
    /// Which neuron is of which type.
    Mix = 5,
    /// One stream per image: its aperture.
    Aperture = 6,
}

/// The stream of that index.
pub(super) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    key[9..16].copy_from_slice(b"striate");
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}
