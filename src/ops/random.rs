//! Random numbers that are a function of a key and a counter alone, so that neither threads nor resuming change them: Philox
//! 4x32-10 (Salmon et al. 2011), and normal numbers of it by Box and Muller's polar form.

use super::Real;
use crate::device::kernels;
use crate::device::{Array, Device, View, ViewMut};
use rayon::prelude::*;

/// The four words of a counter under a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        counter = round(counter, key);
        key = next(key);
    }
    counter
}

/// The first words of N counters under a key, which begin at `first` and have the other three words in common: side by side, for
/// vectors.
#[inline(always)]
pub fn first_words<const N: usize>(first: u32, others: [u32; 3], mut key: [u32; 2]) -> [u32; N] {
    let mut counters = [[0; N], [others[0]; N], [others[1]; N], [others[2]; N]];
    for (i, word) in counters[0].iter_mut().enumerate() {
        *word = first.wrapping_add(i as u32);
    }
    for _ in 0..ROUNDS {
        let [a, b, c, d] = &mut counters;
        for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
            [*a, *b, *c, *d] = round([*a, *b, *c, *d], key);
        }
        key = next(key);
    }
    counters[0]
}

const ROUNDS: usize = 10;

#[inline(always)]
fn round(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let product = |factor: u32, word: u32| {
        let p = u64::from(factor) * u64::from(word);
        ((p >> 32) as u32, p as u32)
    };
    let (a, b) = (
        product(0xd251_1f53, counter[0]),
        product(0xcd9e_8d57, counter[2]),
    );
    [
        b.0 ^ counter[1] ^ key[0],
        b.1,
        a.0 ^ counter[3] ^ key[1],
        a.1,
    ]
}

#[inline(always)]
fn next(key: [u32; 2]) -> [u32; 2] {
    [
        key[0].wrapping_add(0x9e37_79b9),
        key[1].wrapping_add(0xbb67_ae85),
    ]
}

/// What tells the numbers of one seed and stream from those of others, on the device.
pub fn key(device: &Device, seed: u64, stream: u32) -> Array<u32> {
    device.upload(&[seed as u32, (seed >> 32) as u32, stream], &[3])
}

/// Writes two standard normal numbers for every item of every row (rows, items, 2): a function of the [`key`], of
/// `numbers[step[0]]`, the row and the item.
pub fn normal_pairs(
    device: &Device,
    (rows, items): (usize, usize),
    key: View<u32>,
    (numbers, step): (View<u32>, View<u32>),
    out: ViewMut,
) {
    let wanted = (3, 1, 2 * rows * items);
    assert_eq!((key.len(), step.len(), out.len()), wanted, "normal numbers");
    match device {
        Device::Cpu => {
            let key = key.host();
            let number = numbers.host()[step.host()[0] as usize];
            let rows = out.host().par_chunks_exact_mut(2 * items.max(1));
            rows.enumerate().for_each(|(row, out)| {
                for (item, pair) in out.chunks_exact_mut(2).enumerate() {
                    let counter = [item as u32, row as u32, number, key[2]];
                    pair.copy_from_slice(&reference::normal_pair::<f32>(counter, [key[0], key[1]]));
                }
            });
        }
        _ => {
            let grid = [(rows * items).div_ceil(kernels::random::THREADS), 1, 1];
            kernels::random::random_normal_pairs(
                device, grid, key, numbers, step, out, rows, items,
            );
        }
    }
}

/// The definition.
pub mod reference {
    use super::{Real, philox};

    /// Two standard normal numbers.
    pub fn normal_pair<T: Real>(counter: [u32; 4], key: [u32; 2]) -> [T; 2] {
        let words = philox(counter, key);
        // The middles of 2^23 equal parts of (0, 1), which are exact in both types.
        let unit = |bits: u32| T::of((f64::from(bits >> 9) + 0.5) / f64::from(1 << 23));
        let radius = (T::of(-2.0) * unit(words[0]).ln()).sqrt();
        let angle = T::of(std::f64::consts::TAU) * unit(words[1]);
        [radius * angle.cos(), radius * angle.sin()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_its_authors_publish() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let of_pi = [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1];
        let of_zero = [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8];
        let of_ones = [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd];
        assert_eq!(philox([0; 4], [0; 2]), of_zero);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), of_ones);
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), of_pi);
        let (others, key) = ([3, 5, 7], [11, 13]);
        for (i, word) in (0..).zip(first_words::<20>(u32::MAX - 9, others, key)) {
            let first = (u32::MAX - 9).wrapping_add(i);
            assert_eq!(word, philox([first, 3, 5, 7], key)[0]);
        }
    }

    #[test]
    fn the_numbers_are_normal_and_independent() {
        let pairs = (0..200_000).map(|i| reference::normal_pair::<f64>([i, 3, 5, 0], [1, 0]));
        let pairs: Vec<[f64; 2]> = pairs.collect();
        let mean =
            |f: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(f).sum::<f64>() / pairs.len() as f64;
        for (what, got, wanted) in [
            ("mean", mean(&|p| p[0]), 0.0),
            ("mean", mean(&|p| p[1]), 0.0),
            ("variance", mean(&|p| p[0] * p[0]), 1.0),
            ("variance", mean(&|p| p[1] * p[1]), 1.0),
            ("covariance", mean(&|p| p[0] * p[1]), 0.0),
            (
                "beyond 1.96",
                mean(&|p| f64::from(p[0].abs() > 1.959_964)),
                0.05,
            ),
        ] {
            assert!((got - wanted).abs() <= 0.01, "{what}: {got}");
        }
    }
}
