//! Affinities of neighbours: P_ij = (p_(j|i) + p_(i|j)) / 2n, as sparse rows.

use super::neighbours::Nearest;
use rayon::prelude::*;

/// Halvings of the interval that holds a row's precision.
const HALVINGS: usize = 100;
/// Accepted error of a row's entropy, in nats.
const TOLERANCE: f64 = 1e-5;

/// A symmetric sparse matrix that sums to 1, by rows; columns of a row ascend.
pub struct Affinities {
    /// Where each row begins, and where the last ends.
    pub starts: Vec<usize>,
    pub columns: Vec<u32>,
    pub values: Vec<f64>,
}

impl Affinities {
    /// Gaussian affinities of the given perplexity, at least 1, made symmetric.
    pub fn new(near: &Nearest, perplexity: f64) -> Self {
        let rows = near.distances.par_chunks(near.count);
        let given: Vec<Vec<f64>> = rows.map(|d| conditional(d, perplexity.ln())).collect();
        let n = given.len();
        let mut both: Vec<Vec<(u32, f64)>> = vec![Vec::with_capacity(2 * near.count); n];
        for (i, (to, p)) in near.rows.chunks(near.count).zip(&given).enumerate() {
            for (j, p) in to.iter().zip(p) {
                both[i].push((*j, *p));
                both[*j as usize].push((i as u32, *p));
            }
        }
        both.par_iter_mut().for_each(|row| {
            // Both of a pair's terms are there at most; their sum does not depend on the order.
            row.sort_unstable_by_key(|e| e.0);
            row.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0.0 };
                same
            });
        });
        let total: f64 = both.iter().flatten().map(|e| e.1).sum();
        let mut starts = vec![0];
        starts.extend(both.iter().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        }));
        Self {
            starts,
            columns: both.iter().flatten().map(|e| e.0).collect(),
            values: both.iter().flatten().map(|e| e.1 / total).collect(),
        }
    }

    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Columns and values of a row.
    pub fn row(&self, i: usize) -> (&[u32], &[f64]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.columns[range.clone()], &self.values[range])
    }
}

/// p_(j|i) = exp(-b d_j) / sum, with b such that the entropy is `wanted`; distances ascend.
fn conditional(distances: &[f64], wanted: f64) -> Vec<f64> {
    let (mut low, mut high, mut precision) = (0.0, f64::INFINITY, 1.0);
    let mut p = vec![0.0; distances.len()];
    for _ in 0..HALVINGS {
        // Less the nearest, so that the largest term is 1 and the sum never vanishes.
        let (mut sum, mut mean) = (0.0, 0.0);
        for (p, d) in p.iter_mut().zip(distances) {
            let further = d - distances[0];
            *p = (-precision * further).exp();
            sum += *p;
            mean += *p * further;
        }
        p.iter_mut().for_each(|p| *p /= sum);
        let entropy = sum.ln() + precision * mean / sum;
        if (entropy - wanted).abs() <= TOLERANCE {
            break;
        }
        if entropy > wanted {
            low = precision;
        } else {
            high = precision;
        }
        precision = if high.is_finite() {
            0.5 * (low + high)
        } else {
            2.0 * low
        };
        if precision > 1e300 {
            break;
        }
    }
    p
}

#[cfg(test)]
mod tests {
    use super::conditional;

    #[test]
    fn a_row_has_the_wanted_perplexity() {
        for scale in [1e-6, 1.0, 1e6] {
            let distances: Vec<f64> = (0..90).map(|i| scale * f64::from(i)).collect();
            let p = conditional(&distances, 30_f64.ln());
            let entropy: f64 = p.iter().map(|p| -p * p.max(1e-300).ln()).sum();
            assert!((entropy.exp() - 30.0).abs() <= 1e-3);
        }
    }

    #[test]
    fn equal_distances_share_evenly() {
        assert_eq!(conditional(&[0.0; 4], 2_f64.ln()), [0.25; 4]);
    }
}
