//! What every test of numbers needs: deterministic fills, comparisons that cannot let NaN pass, finite differences.
#![allow(dead_code)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striate::ops::readout::Window;

/// Numbers in [-1, 1], the same for the same seed.
pub fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Windows from (top, left, height, width).
pub fn windows(corners: &[(usize, usize, usize, usize)]) -> Vec<Window> {
    let window = |&(top, left, height, width)| Window {
        top,
        left,
        height,
        width,
    };
    corners.iter().map(window).collect()
}

pub fn narrow(v: &[f64]) -> Vec<f32> {
    v.iter().map(|&x| x as f32).collect()
}

pub fn widen(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&x| f64::from(x)).collect()
}

/// Largest difference over the largest wanted magnitude; NaN if anything is.
pub fn relative(got: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let mut difference = 0.0f64;
    let mut scale = 1e-300f64;
    for (g, w) in got.iter().zip(wanted) {
        let d = (g - w).abs();
        // `max` would forget a NaN.
        if d.is_nan() {
            return f64::NAN;
        }
        difference = difference.max(d);
        scale = scale.max(w.abs());
    }
    difference / scale
}

#[track_caller]
pub fn assert_close(what: &str, got: &[f64], wanted: &[f64], tolerance: f64) {
    let error = relative(got, wanted);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:e}, wanted at most {tolerance:e}"
    );
}

/// Checks an analytic gradient against central differences of `loss` along every coordinate.
#[track_caller]
pub fn assert_gradient(what: &str, at: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    let step = 1e-5;
    let mut point = at.to_vec();
    let numeric: Vec<f64> = (0..at.len())
        .map(|i| {
            point[i] = at[i] + step;
            let up = loss(&point);
            point[i] = at[i] - step;
            let down = loss(&point);
            point[i] = at[i];
            (up - down) / (2.0 * step)
        })
        .collect();
    assert_close(what, gradient, &numeric, 1e-7);
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
