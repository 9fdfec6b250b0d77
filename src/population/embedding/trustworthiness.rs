//! Whether points that are near each other stand for rows that are.

use super::neighbours::{centred, over_distances, smallest};
use ndarray::ArrayView2;

/// Trustworthiness of `points` (n, 2) as a picture of `rows` (n, d), from 0 to 1 (Venna and Kaski 2001):
/// 1 - 2 / (n k (2n - 3k - 1)) sum over the k nearest points of each that are not among its k nearest rows, of their rank
/// among the rows less k. NaN unless k is positive and below n / 2, and the numbers of rows are equal.
pub fn trustworthiness(rows: ArrayView2<f32>, points: ArrayView2<f32>, neighbours: usize) -> f64 {
    let (n, k) = (rows.nrows(), neighbours);
    if k == 0 || 2 * k >= n || points.nrows() != n {
        return f64::NAN;
    }
    let near_points = |i: usize, d: &[f32]| smallest(d, i, k).collect::<Vec<u32>>();
    let Ok(near) = over_distances(centred(points).view(), near_points, |_| Ok(())) else {
        return f64::NAN;
    };
    let penalty = |i: usize, distances: &[f32]| -> f64 {
        let excess = |j: &u32| {
            let j = *j as usize;
            let own = distances[j];
            let before = |(l, d): (usize, &f32)| l != i && (*d < own || (*d == own && l < j));
            let rank = 1 + distances.iter().enumerate().filter(|e| before(*e)).count();
            rank.saturating_sub(k) as f64
        };
        near[i].iter().map(excess).sum()
    };
    let Ok(penalties) = over_distances(centred(rows).view(), penalty, |_| Ok(())) else {
        return f64::NAN;
    };
    let (n, k) = (n as f64, k as f64);
    1.0 - 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)) * penalties.iter().sum::<f64>()
}
