//! Damping of high frequencies in the gradient of an image (Ecker et al. 2019's most exciting inputs).
//!
//! The gradient is multiplied in the domain of the two-dimensional discrete Fourier transform by t over the mean of t,
//! `t = 1 / max(1, |f|^(1/2))`, |f| in cycles per image: `|f|^2 = f_i^2 + f_j^2`, f = min(k, n - k).

use ndarray::Array2;
use std::f64::consts::TAU;

/// The published power of the frequency.
pub const POWER: f64 = 0.5;

/// The factor of each frequency, (height, width) with frequency 0 first; their mean is 1.
pub fn transfer(height: usize, width: usize) -> Array2<f64> {
    damping(height, width, POWER)
}

/// As [`transfer`], with another power of |f|.
pub fn damping(height: usize, width: usize, power: f64) -> Array2<f64> {
    let cycles = |k: usize, n: usize| k.min(n - k) as f64;
    let t = Array2::from_shape_fn((height, width), |(i, j)| {
        let f = cycles(i, height).hypot(cycles(j, width));
        1.0 / f.powf(power).max(1.0)
    });
    let mean = t.sum() / t.len() as f64;
    t / mean
}

/// The inverse transform of a factor that is the same for opposite frequencies of either axis: what a pixel's gradient
/// adds to the pixel i rows and j columns away.
pub fn convolution(factor: &Array2<f64>) -> Array2<f64> {
    let (h, w) = factor.dim();
    // The sines cancel.
    let cosines = |n: usize| {
        Array2::from_shape_fn((n, n), |(i, k)| {
            (TAU * (i * k % n) as f64 / n as f64).cos() / n as f64
        })
    };
    cosines(h).dot(factor).dot(&cosines(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opposite_frequencies_share_a_factor_so_real_images_stay_real() {
        for (h, w) in [(36, 64), (5, 8), (1, 1)] {
            let t = transfer(h, w);
            for ((i, j), v) in t.indexed_iter() {
                assert_eq!(*v, t[((h - i) % h, (w - j) % w)]);
            }
            assert!((t.sum() / t.len() as f64 - 1.0).abs() <= 1e-12);
        }
    }

    #[test]
    fn convolving_a_wave_multiplies_it_by_the_factor_of_its_frequency() {
        let (h, w) = (6, 9);
        let t = transfer(h, w);
        let kernel = convolution(&t);
        for (a, b) in [(0, 0), (1, 0), (2, 3), (3, 4)] {
            let wave = |i: usize, j: usize| {
                let phase = (a * i) as f64 / h as f64 + (b * j) as f64 / w as f64;
                (TAU * phase + 0.3).cos()
            };
            for (i, j) in [(0, 0), (2, 5), (5, 8)] {
                let sum: f64 = kernel
                    .indexed_iter()
                    .map(|((u, v), k)| k * wave((i + h - u) % h, (j + w - v) % w))
                    .sum();
                assert!((sum - t[(a, b)] * wave(i, j)).abs() <= 1e-12, "{a} {b}");
            }
        }
    }
}
