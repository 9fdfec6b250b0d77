//! How alike two sets of rows about the same neurons are.

use crate::insilico::Watch;
use crate::population::embedding::neighbours::{centred, nearest};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, Axis};
use std::collections::HashSet;

/// Mean share of common neighbours among the `count` nearest (Euclidean) of each row; count is at most n - 1.
///
/// # Errors
/// For different numbers of rows, or when a signal has come.
pub fn knn_overlap(
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    count: usize,
    watch: &mut Watch,
) -> Result<f64> {
    check(a, b)?;
    let count = count.min(a.nrows().saturating_sub(1));
    if count == 0 {
        return Ok(f64::NAN);
    }
    let mut near = |rows: ArrayView2<f32>| nearest(centred(rows).view(), count, watch);
    let (a, b) = (near(a)?, near(b)?);
    let pairs = a.rows.chunks(count).zip(b.rows.chunks(count));
    let common = pairs.map(|(a, b)| {
        let of_a: HashSet<u32> = a.iter().copied().collect();
        b.iter().filter(|n| of_a.contains(n)).count()
    });
    let common: usize = common.sum();
    Ok(common as f64 / a.rows.len() as f64)
}

/// Linear centred kernel alignment (Kornblith et al. 2019, Eq. 5): |Y'X|^2 / (|X'X| |Y'Y|) of rows less their mean, Frobenius
/// norms; NaN where a side does not vary.
///
/// # Errors
/// For different numbers of rows.
pub fn cka(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Result<f64> {
    check(a, b)?;
    let less_mean = |rows: ArrayView2<f32>| -> Array2<f64> {
        let rows = rows.mapv(f64::from);
        let mean = rows.mean_axis(Axis(0));
        mean.map_or(rows.clone(), |mean| rows - mean)
    };
    let (a, b) = (less_mean(a), less_mean(b));
    let norm = |x: &Array2<f64>, y: &Array2<f64>| -> f64 {
        x.t().dot(y).iter().map(|v| v * v).sum::<f64>().sqrt()
    };
    let (aa, bb) = (norm(&a, &a), norm(&b, &b));
    match aa > 0.0 && bb > 0.0 {
        true => Ok(norm(&a, &b).powi(2) / (aa * bb)),
        false => Ok(f64::NAN),
    }
}

fn check(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Result<()> {
    match a.nrows() == b.nrows() {
        true => Ok(()),
        false => Err(Error::bad(
            "consistency",
            "the number of neurons",
            b.nrows(),
            format!("{}, as in the other fit", a.nrows()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn neighbours_by_hand() {
        let a = array![[0.0f32], [1.0], [2.5], [10.0], [11.0]];
        let b = array![[0.0f32], [1.0], [2.5], [2.6], [11.0]];
        // Nearest in a: 1, 0, 1, 4, 3; in b: 1, 0, 3, 2, 3.
        let found = knn_overlap(a.view(), b.view(), 1, &mut Watch::hidden()).unwrap();
        assert!((found - 3.0 / 5.0).abs() < 1e-12);
        let same = knn_overlap(a.view(), (2.0 * &a).view(), 10, &mut Watch::hidden());
        assert_eq!(same.unwrap(), 1.0);
    }

    #[test]
    fn alignment_is_blind_to_rotation_scale_and_offset_and_sees_another_axis() {
        let a = array![[0.0f32, 1.0], [2.0, 0.5], [1.0, -1.0], [0.5, 3.0]];
        let turned = a.dot(&array![[0.6f32, 0.8], [-0.8, 0.6]]) * 3.0 + 7.0;
        assert!((cka(a.view(), turned.view()).unwrap() - 1.0).abs() < 1e-6);
        let x = array![[1.0f32], [-1.0], [1.0], [-1.0]];
        let y = array![[1.0f32], [1.0], [-1.0], [-1.0]];
        assert!(cka(x.view(), y.view()).unwrap().abs() < 1e-12);
        // One number: the squared correlation.
        let z = array![[2.0f32], [1.0], [0.0], [-1.0]];
        assert!((cka(x.view(), z.view()).unwrap() - 0.2).abs() < 1e-12);
        assert!(
            cka(x.view(), array![[1.0f32], [1.0], [1.0], [1.0]].view())
                .unwrap()
                .is_nan()
        );
    }
}
