//! Damping of high frequencies in the gradient of an image (Ecker et al. 2019's most exciting inputs).
//!
//! The gradient is multiplied in the domain of the two-dimensional discrete Fourier transform by t over the mean of t,
//! `t = 1 / max(1, |f|^(1/2))`, |f| in cycles per image: `|f|^2 = f_i^2 + f_j^2`, f = min(k, n - k).

use ndarray::Array2;

/// The factor of each frequency, (height, width) with frequency 0 first; their mean is 1.
pub fn transfer(height: usize, width: usize) -> Array2<f64> {
    let cycles = |k: usize, n: usize| k.min(n - k) as f64;
    let t = Array2::from_shape_fn((height, width), |(i, j)| {
        1.0 / cycles(i, height).hypot(cycles(j, width)).sqrt().max(1.0)
    });
    let mean = t.sum() / t.len() as f64;
    t / mean
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
}
