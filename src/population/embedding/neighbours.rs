//! Distances between rows by blocks of matrix products, and the nearest rows of each.

use crate::Result;
use crate::insilico::Watch;
use crate::ops::matmul::{Matrix, multiply};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Rows of distances held at once.
const BLOCK: usize = 512;

/// The nearest rows of each of n rows.
pub struct Nearest {
    /// Neighbours of a row.
    pub count: usize,
    /// (n, count), nearest first, equal distances by index; never the row itself.
    pub rows: Vec<u32>,
    /// (n, count), squared.
    pub distances: Vec<f64>,
}

/// Rows less their mean: distances by products lose least there.
pub fn centred(rows: ArrayView2<f32>) -> Array2<f32> {
    let n = rows.nrows() as f64;
    let mean = rows.mapv(f64::from).sum_axis(Axis(0)) / n;
    let mut out = rows.as_standard_layout().into_owned();
    for mut row in out.rows_mut() {
        row.zip_mut_with(&mean, |v, m| *v = (f64::from(*v) - m) as f32);
    }
    out
}

/// Calls `each` with a row's index and its squared distances to all rows (to the products' rounding), for every row in
/// parallel, and returns the answers in order of the rows.
pub fn over_distances<T: Send>(
    rows: ArrayView2<f32>,
    each: impl Fn(usize, &[f32]) -> T + Sync,
    mut done: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<T>> {
    let (n, columns) = rows.dim();
    let rows = rows.as_standard_layout();
    let data = rows.as_slice().unwrap_or_default();
    let norms: Vec<f32> = data
        .chunks(columns.max(1))
        .map(|r| r.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() as f32)
        .collect();
    let mut answers = Vec::with_capacity(n);
    let mut products = vec![0.0; BLOCK.min(n) * n];
    for first in (0..n).step_by(BLOCK) {
        let height = BLOCK.min(n - first);
        let block = &mut products[..height * n];
        let a = Matrix::new(&data[first * columns..], columns);
        let b = Matrix::new(data, columns).transposed();
        multiply((height, n, columns), a, b, block, false);
        let of_block = block.par_chunks_mut(n).enumerate().map(|(i, distances)| {
            let own = norms[first + i];
            for (d, other) in distances.iter_mut().zip(&norms) {
                *d = (own + other - 2.0 * *d).max(0.0);
            }
            each(first + i, distances)
        });
        answers.par_extend(of_block);
        done(first + height)?;
    }
    Ok(answers)
}

/// The `count` nearest rows of every row; `count` below the number of rows.
pub fn nearest(rows: ArrayView2<f32>, count: usize, watch: &mut Watch) -> Result<Nearest> {
    let n = rows.nrows();
    let of_row = |i: usize, distances: &[f32]| {
        let exact = |j: u32| -> (f64, u32) {
            let pairs = rows.row(i).into_iter().zip(rows.row(j as usize));
            (
                pairs
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum(),
                j,
            )
        };
        let mut near: Vec<_> = smallest(distances, i, count).map(exact).collect();
        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near
    };
    let near = over_distances(rows, of_row, |done| watch.tick(done, n))?;
    Ok(Nearest {
        count,
        rows: near.iter().flatten().map(|p| p.1).collect(),
        distances: near.iter().flatten().map(|p| p.0).collect(),
    })
}

/// Indices of the `count` smallest distances but for `own`, in any order; the lower index of equal ones.
pub fn smallest(distances: &[f32], own: usize, count: usize) -> impl Iterator<Item = u32> {
    // Distances are not negative, so that their bits sort as they do.
    let key = |(j, d): (usize, &f32)| u64::from(d.to_bits()) << 32 | j as u64;
    let all = distances.iter().enumerate().filter(|(j, _)| *j != own);
    let mut keys: Vec<u64> = all.map(key).collect();
    if count < keys.len() {
        keys.select_nth_unstable(count);
        keys.truncate(count);
    }
    keys.into_iter().map(|k| k as u32)
}
