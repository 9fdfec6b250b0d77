//! How far two clusterings of the same rows agree, whatever their clusters are called.

use crate::{Error, Result};
use std::collections::HashMap;
use std::hash::Hash;

/// Adjusted Rand index of two clusterings (Hubert & Arabie 1985): 1 for equal ones, 0 on average for unrelated ones, negative
/// below that. Two clusterings without a pair on which they differ have 1, also trivial ones.
///
/// # Errors
/// For different numbers of rows.
pub fn adjusted_rand(a: &[usize], b: &[usize]) -> Result<f64> {
    if a.len() != b.len() {
        let wanted = format!("{}, as in the other", a.len());
        return Err(Error::bad(
            "agreement",
            "the number of labels",
            b.len(),
            wanted,
        ));
    }
    let n = a.len() as i128;
    let both = squares(a.iter().zip(b));
    let (of_a, of_b) = (squares(a.iter()), squares(b.iter()));
    // Ordered pairs: together in both, in one only, in neither.
    let together = both - n;
    let (only_a, only_b) = (of_a - both, of_b - both);
    let apart = n * n - of_a - of_b + both;
    if only_a == 0 && only_b == 0 {
        return Ok(1.0);
    }
    let above = together * apart - only_a * only_b;
    let below = (together + only_a) * (only_a + apart) + (together + only_b) * (only_b + apart);
    Ok(2.0 * above as f64 / below as f64)
}

/// Sum over the values of the squared number of their occurrences.
fn squares<T: Eq + Hash>(values: impl Iterator<Item = T>) -> i128 {
    let mut counts: HashMap<T, i128> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.values().map(|c| c * c).sum()
}

/// Mean [`adjusted_rand`] over all pairs of clusterings; NaN with fewer than two.
///
/// # Errors
/// For different numbers of rows.
pub fn mean_agreement(clusterings: &[Vec<usize>]) -> Result<f64> {
    let mut all = Vec::new();
    for (i, a) in clusterings.iter().enumerate() {
        for b in &clusterings[i + 1..] {
            all.push(adjusted_rand(a, b)?);
        }
    }
    Ok(crate::statistics::mean(&all))
}
