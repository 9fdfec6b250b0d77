//! Where the points begin: on the two principal components of the rows, so small that only their directions matter.

use crate::ops::matmul::{Matrix, multiply};
use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard deviation of the points' first coordinate.
const SPREAD: f64 = 1e-4;
/// Directions that the search keeps, beyond the two wanted so that those converge fast.
const KEPT: usize = 10;
const ROUNDS: usize = 40;

/// Scores (n, 2) of centred rows (n, d), the first with standard deviation [`SPREAD`]; normal random numbers where the
/// rows do not vary. The larger end of a component is positive.
pub fn principal(rows: ArrayView2<f32>, seed: u64) -> Vec<[f64; 2]> {
    let (n, d) = rows.dim();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let data: Vec<f64> = rows.iter().map(|v| f64::from(*v)).collect();
    let kept = KEPT.min(d);
    let mut directions: Vec<f64> = (0..d * kept)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let mut scores = vec![0.0; n * kept];
    let x = Matrix::new(&data, d);
    for _ in 0..ROUNDS {
        orthogonal(&mut directions, kept);
        multiply(
            (n, kept, d),
            x,
            Matrix::new(&directions, kept),
            &mut scores,
            false,
        );
        multiply(
            (d, kept, n),
            x.transposed(),
            Matrix::new(&scores, kept),
            &mut directions,
            false,
        );
    }
    // Rayleigh-Ritz: the covariance within the directions, turned to its axes.
    orthogonal(&mut directions, kept);
    multiply(
        (n, kept, d),
        x,
        Matrix::new(&directions, kept),
        &mut scores,
        false,
    );
    let s = Matrix::new(&scores, kept);
    let mut covariance = vec![0.0; kept * kept];
    multiply((kept, kept, n), s.transposed(), s, &mut covariance, false);
    let axes = axes(covariance, kept);
    let scores = Array2::from_shape_fn((n, 2), |(i, c)| match axes.get(c) {
        Some(axis) => (0..kept).map(|k| scores[i * kept + k] * axis[k]).sum(),
        None => 0.0,
    });
    let deviation = (scores.column(0).mapv(|v| v * v).sum() / n as f64).sqrt();
    if deviation.is_nan() || deviation <= 1e-12 {
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        return (0..n)
            .map(|_| [SPREAD * normal(), SPREAD * normal()])
            .collect();
    }
    let scale = [0, 1].map(|c| {
        let longest = scores
            .column(c)
            .iter()
            .fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        SPREAD / deviation * if longest < 0.0 { -1.0 } else { 1.0 }
    });
    scores
        .rows()
        .into_iter()
        .map(|r| [scale[0] * r[0], scale[1] * r[1]])
        .collect()
}

/// Gram-Schmidt, twice, of the columns of (d, k); what is left of a dependent one is zero.
fn orthogonal(columns: &mut [f64], k: usize) {
    let d = columns.len() / k;
    let dot = |c: &[f64], a: usize, b: usize| -> f64 {
        (0..d).map(|i| c[i * k + a] * c[i * k + b]).sum()
    };
    for a in 0..k {
        let before = dot(columns, a, a).sqrt();
        for b in (0..a).chain(0..a) {
            let along = dot(columns, a, b);
            (0..d).for_each(|i| columns[i * k + a] -= along * columns[i * k + b]);
        }
        let left = dot(columns, a, a).sqrt();
        let scale = if left > 1e-12 * before {
            1.0 / left
        } else {
            0.0
        };
        (0..d).for_each(|i| columns[i * k + a] *= scale);
    }
}

/// The two leading eigenvectors of a symmetric (k, k) matrix, by Jacobi's rotations.
fn axes(mut m: Vec<f64>, k: usize) -> Vec<Vec<f64>> {
    let mut v = vec![0.0; k * k];
    (0..k).for_each(|i| v[i * k + i] = 1.0);
    for _ in 0..30 {
        for p in 0..k {
            for q in p + 1..k {
                if m[p * k + q] == 0.0 {
                    continue;
                }
                let theta = (m[q * k + q] - m[p * k + p]) / (2.0 * m[p * k + q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for i in 0..k {
                    let (a, b) = (m[i * k + p], m[i * k + q]);
                    (m[i * k + p], m[i * k + q]) = (c * a - s * b, s * a + c * b);
                }
                for i in 0..k {
                    let (a, b) = (m[p * k + i], m[q * k + i]);
                    (m[p * k + i], m[q * k + i]) = (c * a - s * b, s * a + c * b);
                    let (a, b) = (v[i * k + p], v[i * k + q]);
                    (v[i * k + p], v[i * k + q]) = (c * a - s * b, s * a + c * b);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|a, b| m[b * k + b].total_cmp(&m[a * k + a]));
    let vector = |c: &usize| (0..k).map(|i| v[i * k + c]).collect();
    order.iter().take(2).map(vector).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_in_order() {
        let rows = Array2::from_shape_fn((64, 5), |(i, c)| {
            let angle = std::f32::consts::TAU * i as f32 / 64.0;
            [
                0.0,
                3.0 * angle.cos(),
                0.0,
                2.0 * angle.sin(),
                0.5 * (2.0 * angle).sin(),
            ][c]
        });
        let points = principal(rows.view(), 3);
        let size = SPREAD * 2_f64.sqrt();
        for (i, p) in points.iter().enumerate() {
            let angle = std::f64::consts::TAU * i as f64 / 64.0;
            assert!((p[0].abs() - size * angle.cos().abs()).abs() <= 1e-9);
            assert!((p[1].abs() - size * 2.0 / 3.0 * angle.sin().abs()).abs() <= 1e-9);
        }
    }
}
