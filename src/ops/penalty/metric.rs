//! The penalties of steerable filters as quadratic forms of their coefficients.

use super::LAPLACIAN;
use crate::device::{Array, Device};
use crate::ops::Real;
use crate::ops::basis::Basis;

/// Filters of width k filtered with the Laplacian, zero-padded.
pub(super) fn laplacian<T: Real>(filter: &[T], k: usize) -> Vec<T> {
    let at = |row: Option<usize>, column: Option<usize>| match (row, column) {
        (Some(r), Some(c)) if r < k && c < k => filter[r * k + c],
        _ => T::zero(),
    };
    (0..k * k)
        .map(|p| {
            let mut sum = T::zero();
            for (u, row) in LAPLACIAN.iter().enumerate() {
                for (v, &weight) in row.iter().enumerate() {
                    let r = (p / k + u).checked_sub(1);
                    let c = (p % k + v).checked_sub(1);
                    sum += T::of(weight) * at(r, c);
                }
            }
            sum
        })
        .collect()
}

/// Quadratic forms of a filter's coefficients: its square norm and that of its Laplacian, for each orientation.
#[derive(Clone, Debug)]
pub struct Metric {
    /// M.
    pub(super) functions: usize,
    /// O.
    pub(super) orientations: usize,
    /// (O, 2, M, M): of the norm, of the Laplacian.
    pub(super) forms: Array,
}

impl Metric {
    /// For filters of this basis at `orientations` angles.
    pub fn new(device: &Device, basis: &Basis, orientations: usize) -> Self {
        let (m, k) = (basis.len(), basis.width);
        let edges: Vec<f64> = basis
            .filters
            .chunks_exact(k * k)
            .flat_map(|f| laplacian(f, k))
            .collect();
        let gram = |filters: &[f64]| -> Vec<f64> {
            let row = |i: usize| &filters[i * k * k..][..k * k];
            (0..m * m)
                .map(|i| row(i / m).iter().zip(row(i % m)).map(|(a, b)| a * b).sum())
                .collect()
        };
        let (norms, edges) = (gram(&basis.filters), gram(&edges));
        let forms: Vec<f32> = (0..orientations)
            .flat_map(|q| {
                let angle = std::f64::consts::TAU * q as f64 / orientations as f64;
                let (norm, edge) = (turned(basis, &norms, angle), turned(basis, &edges, angle));
                norm.into_iter().chain(edge)
            })
            .collect();
        Self {
            functions: m,
            orientations,
            forms: device.upload(&forms, &[orientations, 2, m, m]),
        }
    }
}

/// R' A R: the form as seen by coefficients before rotation.
fn turned(basis: &Basis, form: &[f64], angle: f64) -> Vec<f32> {
    let m = basis.len();
    let transpose = |a: &[f64]| -> Vec<f64> { (0..m * m).map(|i| a[i % m * m + i / m]).collect() };
    // Rotating the rows of A by -angle multiplies by R' from the left.
    let left = basis.rotate(form, -angle);
    let both = basis.rotate(&transpose(&left), -angle);
    both.iter().map(|&v| v as f32).collect()
}
