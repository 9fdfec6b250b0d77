//! Orthogonal changes of coordinates, as products of Householder reflections.
//!
//! An L2 penalty does not change when images and weights are turned together, so a GLM may be fitted in any orthogonal
//! coordinates and turned back without loss. Two turns help:
//!
//! - with few images the rows of the design span few dimensions: turned by the QR factors of its transpose, image i has
//!   only its first i + 1 coordinates, and all others drop out;
//! - turned so that the first coordinates are the leading eigenvectors of the images' covariance, the covariance is
//!   nearly diagonal there, and its diagonal preconditions every column of the batch at no cost.

use crate::ops::matmul::{Matrix, multiply};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Leading directions that are looked for.
const LEADING: usize = 256;
/// Products with the covariance; directions whose eigenvalues differ little stay mixed, which costs little.
const PASSES: usize = 8;

/// An orthogonal map Q; row vectors go through [`Rotation::turn`] (x Q) and come back through
/// [`Rotation::turn_back`].
#[derive(Clone, Debug, Default)]
pub(super) struct Rotation {
    /// Unit vectors v_j over the coordinates from j on, of the reflections 1 - 2 v v'; empty ones reflect nothing.
    reflections: Vec<Vec<f64>>,
}

impl Rotation {
    /// The rotation after which row i of `rows` has zeros behind coordinate i; the rows become just that.
    pub(super) fn triangular(rows: &mut [f64], width: usize) -> Self {
        let mut reflections = Vec::new();
        let count = (rows.len() / width.max(1)).min(width);
        let largest = rows.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        for j in 0..count {
            let (done, rest) = rows.split_at_mut((j + 1) * width);
            let row = &mut done[j * width + j..];
            let v = reflection(row, 1e-14 * largest);
            if !v.is_empty() {
                reflect(&v, row);
                rest.par_chunks_mut(width)
                    .with_min_len(16)
                    .for_each(|row| reflect(&v, &mut row[j..]));
            }
            row[1..].fill(0.0);
            reflections.push(v);
        }
        Self { reflections }
    }

    /// The rotation that brings the leading eigenvectors of `rows' rows` into the first coordinates.
    pub(super) fn principal(rows: &[f64], width: usize) -> Self {
        let count = rows.len() / width.max(1);
        let leading = LEADING.min(width).min(count);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut directions: Vec<f64> = (0..leading * width)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let mut projections = vec![0.0; leading * count];
        let x = Matrix::new(rows, width);
        for _ in 0..PASSES {
            orthonormalise(&mut directions, width);
            let q = Matrix::new(&directions, width);
            let shape = (leading, count, width);
            multiply(shape, q, x.transposed(), &mut projections, false);
            let p = Matrix::new(&projections, count);
            multiply((leading, width, count), p, x, &mut directions, false);
        }
        orthonormalise(&mut directions, width);
        Self::triangular(&mut directions, width)
    }

    /// Turns every row.
    pub(super) fn turn(&self, rows: &mut [f64], width: usize) {
        rows.par_chunks_mut(width).for_each(|row| {
            for (j, v) in self.reflections.iter().enumerate() {
                reflect(v, &mut row[j..]);
            }
        });
    }

    /// The inverse of [`Rotation::turn`], of one row.
    pub(super) fn turn_back(&self, row: &mut [f64]) {
        for (j, v) in self.reflections.iter().enumerate().rev() {
            reflect(v, &mut row[j..]);
        }
    }
}

/// The unit vector whose reflection turns `x` into a multiple of the first axis; nothing of nothing.
fn reflection(x: &[f64], smallest: f64) -> Vec<f64> {
    let norm = dot(x, x).sqrt();
    if norm <= smallest {
        return Vec::new();
    }
    let mut v = x.to_vec();
    v[0] += norm.copysign(x[0]);
    let length = dot(&v, &v).sqrt();
    v.iter_mut().for_each(|a| *a /= length);
    v
}

fn reflect(v: &[f64], x: &mut [f64]) {
    if v.is_empty() {
        return;
    }
    let twice = 2.0 * dot(v, x);
    for (a, b) in x.iter_mut().zip(v) {
        *a -= twice * b;
    }
}

/// Gram and Schmidt, later rows against earlier ones as these get ready.
fn orthonormalise(rows: &mut [f64], width: usize) {
    let count = rows.len() / width.max(1);
    for j in 0..count {
        let (done, rest) = rows.split_at_mut((j + 1) * width);
        let row = &mut done[j * width..];
        let norm = dot(row, row).sqrt();
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        row.iter_mut().for_each(|a| *a *= scale);
        let row = &*row;
        rest.par_chunks_mut(width)
            .with_min_len(16)
            .for_each(|other| {
                let along = dot(row, other);
                for (a, b) in other.iter_mut().zip(row) {
                    *a -= along * b;
                }
            });
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    super::number::dot(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn turning_back_undoes_turning_and_keeps_lengths() {
        let (n, d) = (5, 9);
        let rows = noise(n * d);
        let mut turned = rows.clone();
        let rotation = Rotation::triangular(&mut turned, d);
        for (i, row) in turned.chunks(d).enumerate() {
            assert!(row[i + 1..].iter().all(|x| *x == 0.0));
        }
        let mut again = rows.clone();
        rotation.turn(&mut again, d);
        for i in 0..n {
            let row = &mut again[i * d..(i + 1) * d];
            for (a, b) in row.iter().zip(&turned[i * d..]) {
                assert!((a - b).abs() < 1e-13);
            }
            rotation.turn_back(row);
            for (a, b) in row.iter().zip(&rows[i * d..]) {
                assert!((a - b).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn the_covariance_becomes_nearly_diagonal() {
        let (n, d) = (60, 12);
        let mut rows = noise(n * d);
        for row in rows.chunks_mut(d) {
            let common = row[0];
            for (i, x) in row.iter_mut().enumerate() {
                *x = *x / (1.0 + i as f64) + common;
            }
        }
        let off_diagonal = |rows: &[f64]| {
            let (mut off, mut on) = (0.0, 0.0);
            for a in 0..d {
                for b in 0..d {
                    let c: f64 = rows.chunks(d).map(|r| r[a] * r[b]).sum();
                    *(if a == b { &mut on } else { &mut off }) += c * c;
                }
            }
            off / on
        };
        let before = off_diagonal(&rows);
        Rotation::principal(&rows, d).turn(&mut rows, d);
        let after = off_diagonal(&rows);
        assert!(after < 1e-3 * before, "{before} {after}");
    }

    #[test]
    fn equal_and_empty_rows_are_no_obstacle() {
        let d = 4;
        let mut rows = [0.0; 4].to_vec();
        rows.extend([1.0, 2.0, 0.0, 1.0, 1.0, 2.0, 0.0, 1.0]);
        let length = |r: &[f64]| r.iter().map(|x| x * x).sum::<f64>();
        let mut turned = rows.clone();
        let rotation = Rotation::triangular(&mut turned, d);
        assert!(turned.iter().all(|x| x.is_finite()));
        assert!((length(&turned[8..]) - 6.0).abs() < 1e-12);
        rotation.turn_back(&mut turned[8..]);
        assert!((turned[9] - 2.0).abs() < 1e-12);
    }
}
