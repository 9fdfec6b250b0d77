//! The definition, in plain loops.

use super::Shape;
use crate::ops::Real;

/// Squared distance of two rows.
pub fn distance<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(&a, &b)| (a - b) * (a - b)).sum()
}

/// All squared distances (n, k).
pub fn distances<T: Real>(s: &Shape, rows: &[T], centres: &[T]) -> Vec<T> {
    let of_row = |x| centres.chunks_exact(s.width).map(move |c| distance(x, c));
    rows.chunks_exact(s.width).flat_map(of_row).collect()
}

/// Each row's nearest centre, of equally near ones the first, and its squared distance.
pub fn assign<T: Real>(s: &Shape, rows: &[T], centres: &[T]) -> (Vec<usize>, Vec<T>) {
    let nearest = |distances: &[T]| {
        let mut best = (0, distances[0]);
        for (c, &d) in distances.iter().enumerate() {
            if d < best.1 {
                best = (c, d);
            }
        }
        best
    };
    let all = distances(s, rows, centres);
    all.chunks_exact(s.centres).map(nearest).unzip()
}

/// The sum of the rows of each label (k, d) and their number.
pub fn totals<T: Real>(s: &Shape, rows: &[T], labels: &[usize]) -> (Vec<T>, Vec<usize>) {
    let (mut sums, mut counts) = (vec![T::zero(); s.centres * s.width], vec![0; s.centres]);
    for (row, &label) in rows.chunks_exact(s.width).zip(labels) {
        counts[label] += 1;
        for (sum, &v) in sums[label * s.width..].iter_mut().zip(row) {
            *sum += v;
        }
    }
    (sums, counts)
}
