//! What neurons do, as numbers to cluster them by: their tuning indices instead of their bar codes.
//!
//! A bar code says which features a neuron adds up. What suppresses it changes little of that, but much of its tuning.

use crate::statistics::standardise;
use ndarray::Array2;

/// The indices of `tuning.csv` that stand for a neuron's tuning.
pub const TUNING: [&str; 6] = [
    "orientation_index",
    "phase_index",
    "suppression_index",
    "contrast_index",
    "plaid_index",
    "circular_variance",
];

/// Columns of numbers, one per neuron, as rows (N, M): each column with mean 0 and SD 1 over the neurons of which it is known, NaN
/// where it is not.
///
/// # Panics
/// When columns differ in length: that is a bug, not input.
pub fn rows(mut columns: Vec<Vec<f64>>) -> Array2<f32> {
    let neurons = columns.first().map_or(0, Vec::len);
    columns.iter_mut().for_each(|c| standardise(c));
    Array2::from_shape_fn((neurons, columns.len()), |(n, m)| columns[m][n] as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_alike_whatever_their_unit() {
        let known = vec![1.0, 2.0, 3.0, f64::NAN];
        let larger = known.iter().map(|v| 100.0 * v + 7.0).collect();
        let rows = rows(vec![known, larger, vec![0.3; 4]]);
        assert_eq!(rows.dim(), (4, 3));
        let wanted = 1.5f32.sqrt();
        for (row, value) in [(0, -wanted), (1, 0.0), (2, wanted)] {
            assert!((rows[(row, 0)] - value).abs() < 1e-6, "{rows}");
            assert!((rows[(row, 1)] - value).abs() < 1e-5, "{rows}");
            assert_eq!(rows[(row, 2)], 0.0);
        }
        assert!(rows[(3, 0)].is_nan() && rows[(3, 1)].is_nan());
    }
}
