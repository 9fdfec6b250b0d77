//! The three penalties of Ecker et al. 2019, with their gradients.
//!
//! On the final k x k filters W of all orientations (summed over outputs), L the Laplacian kernel, zero-padded:
//! smoothness `S = sum_out sum (L * W)^2 / (1e-8 + sum W^2)`; group sparsity over input channels
//! `G = sum_out sum_in |W_in| / sqrt(1e-8 + sum_in |W_in|^2)`. Neither changes with a filter's scale.
//! Readout: `sum_n (sum_p |mask|) (sum_c |features|)`.
//!
//! For steerable filters both are quadratic forms of the coefficients, one pair of (M, M) matrices per orientation
//! ([`Metric`]), so no filter is formed; rolling the input orientations changes neither.

use super::Real;
use super::basis::Basis;
use super::matmul::{Matrix, multiply};
use crate::device::{Device, View, ViewMut};
use rayon::prelude::*;

/// Keeps the denominators from 0.
pub const EPSILON: f64 = 1e-8;
/// The Laplacian kernel.
pub const LAPLACIAN: [[f64; 3]; 3] = [[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]];

/// Weights of the two filter penalties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// Of S.
    pub smoothness: f64,
    /// Of G.
    pub group_sparsity: f64,
}

/// Filters of width k filtered with the Laplacian, zero-padded.
fn laplacian<T: Real>(filter: &[T], k: usize) -> Vec<T> {
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
    m: usize,
    /// Per orientation: (M, M) of the norm, (M, M) of the Laplacian.
    forms: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Metric {
    /// For filters of this basis at `orientations` angles.
    pub fn new(basis: &Basis, orientations: usize) -> Self {
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
        let forms = (0..orientations)
            .map(|q| {
                let angle = std::f64::consts::TAU * q as f64 / orientations as f64;
                (turned(basis, &norms, angle), turned(basis, &edges, angle))
            })
            .collect();
        Self { m, forms }
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

/// Returns the weighted penalty of coefficients (M, n_in, F) at all orientations and adds its gradient to dc.
pub fn steerable(
    device: &Device,
    metric: &Metric,
    out_features: usize,
    strength: Strength,
    c: View,
    dc: ViewMut,
) -> f64 {
    match device {
        Device::Cpu => {
            let (c, dc) = (c.host(), dc.host());
            assert_eq!(
                (c.len(), c.len() % (metric.m * out_features)),
                (dc.len(), 0)
            );
            let mut total = 0.0;
            let (mut norm, mut edge) = (vec![0.0f32; c.len()], vec![0.0f32; c.len()]);
            let columns = c.len() / metric.m;
            for (norms, edges) in &metric.forms {
                let size = (metric.m, columns, metric.m);
                let matrix = |form| Matrix::new(form, metric.m);
                multiply(
                    size,
                    matrix(norms),
                    Matrix::new(c, columns),
                    &mut norm,
                    false,
                );
                multiply(
                    size,
                    matrix(edges),
                    Matrix::new(c, columns),
                    &mut edge,
                    false,
                );
                total += of_orientation(metric.m, out_features, strength, c, &norm, &edge, dc);
            }
            total
        }
        _ => unimplemented!(),
    }
}

/// One orientation's penalty, from c and its products with the two forms.
fn of_orientation(
    m: usize,
    f_out: usize,
    strength: Strength,
    c: &[f32],
    norm: &[f32],
    edge: &[f32],
    dc: &mut [f32],
) -> f64 {
    let slices = c.len() / m;
    // Of each filter slice (n_in, F): its square norm and that of its Laplacian.
    let (mut squares, mut edges) = (vec![0.0f64; slices], vec![0.0f64; slices]);
    for ((c, norm), edge) in c
        .chunks_exact(slices)
        .zip(norm.chunks_exact(slices))
        .zip(edge.chunks_exact(slices))
    {
        for i in 0..slices {
            squares[i] += f64::from(c[i]) * f64::from(norm[i]);
            edges[i] += f64::from(c[i]) * f64::from(edge[i]);
        }
    }
    squares
        .iter_mut()
        .chain(&mut edges)
        .for_each(|v| *v = v.max(0.0));
    let mut total = 0.0;
    let mut factors = vec![(0.0f32, 0.0f32); slices];
    for g in 0..f_out {
        let of_output = || (g..slices).step_by(f_out);
        let norm2: f64 = of_output().map(|i| squares[i]).sum::<f64>() + EPSILON;
        let edge2: f64 = of_output().map(|i| edges[i]).sum();
        let sum: f64 = of_output().map(|i| squares[i].sqrt()).sum();
        let root = norm2.sqrt();
        total += strength.smoothness * edge2 / norm2 + strength.group_sparsity * sum / root;
        for i in of_output() {
            let size = squares[i].sqrt();
            let inverse = if size > 0.0 { 1.0 / size } else { 0.0 };
            let of_edge = 2.0 * strength.smoothness / norm2;
            let of_norm = -2.0 * strength.smoothness * edge2 / (norm2 * norm2)
                + strength.group_sparsity * (inverse / root - sum / (norm2 * root));
            factors[i] = (of_norm as f32, of_edge as f32);
        }
    }
    for ((dc, norm), edge) in dc
        .chunks_exact_mut(slices)
        .zip(norm.chunks_exact(slices))
        .zip(edge.chunks_exact(slices))
    {
        for (i, d) in dc.iter_mut().enumerate() {
            *d += factors[i].0 * norm[i] + factors[i].1 * edge[i];
        }
    }
    total
}

/// Returns the weighted penalty of filters (C_out, C_in, k, k) and adds its gradient to dw.
pub fn filters(
    device: &Device,
    (in_channels, kernel): (usize, usize),
    strength: Strength,
    w: View,
    dw: ViewMut,
) -> f64 {
    match device {
        Device::Cpu => {
            let (w, dw) = (w.host(), dw.host());
            let per_output = in_channels * kernel * kernel;
            w.par_chunks_exact(per_output)
                .zip(dw.par_chunks_exact_mut(per_output))
                .map(|(w, dw)| reference::filter(kernel, strength, w, dw))
                .collect::<Vec<f64>>()
                .iter()
                .sum()
        }
        _ => unimplemented!(),
    }
}

/// Returns the weighted penalty of a readout and adds its gradients.
pub fn readout(
    device: &Device,
    neurons: usize,
    strength: f64,
    (mask, features): (View, View),
    (dmask, dfeatures): (ViewMut, ViewMut),
) -> f64 {
    match device {
        Device::Cpu => {
            let (mask, features) = (mask.host(), features.host());
            let (dmask, dfeatures) = (dmask.host(), dfeatures.host());
            let (p, c) = (mask.len() / neurons, features.len() / neurons);
            mask.par_chunks_exact(p)
                .zip(features.par_chunks_exact(c))
                .zip(
                    dmask
                        .par_chunks_exact_mut(p)
                        .zip(dfeatures.par_chunks_exact_mut(c)),
                )
                .map(|((m, f), (dm, df))| reference::neuron(strength, m, f, dm, df))
                .collect::<Vec<f64>>()
                .iter()
                .sum()
        }
        _ => unimplemented!(),
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{EPSILON, Real, Strength, laplacian};

    /// One output's filter (C_in, k, k): its penalty; adds the gradient.
    pub fn filter<T: Real>(kernel: usize, strength: Strength, w: &[T], dw: &mut [T]) -> f64 {
        let area = kernel * kernel;
        let square = |v: &[T]| v.iter().map(|v| v.f64() * v.f64()).sum::<f64>();
        let edges: Vec<Vec<T>> = w.chunks_exact(area).map(|s| laplacian(s, kernel)).collect();
        let sizes: Vec<f64> = w.chunks_exact(area).map(|s| square(s).sqrt()).collect();
        let norm2 = square(w) + EPSILON;
        let edge2: f64 = edges.iter().map(|e| square(e)).sum();
        let (sum, root) = (sizes.iter().sum::<f64>(), norm2.sqrt());
        for (i, (w, dw)) in w
            .chunks_exact(area)
            .zip(dw.chunks_exact_mut(area))
            .enumerate()
        {
            // The Laplacian is its own adjoint.
            let twice = laplacian(&edges[i], kernel);
            let inverse = if sizes[i] > 0.0 { 1.0 / sizes[i] } else { 0.0 };
            let of_edge = 2.0 * strength.smoothness / norm2;
            let of_norm = -2.0 * strength.smoothness * edge2 / (norm2 * norm2)
                + strength.group_sparsity * (inverse / root - sum / (norm2 * root));
            for ((dw, &w), &e) in dw.iter_mut().zip(w).zip(&twice) {
                *dw += T::of(of_norm * w.f64() + of_edge * e.f64());
            }
        }
        strength.smoothness * edge2 / norm2 + strength.group_sparsity * sum / root
    }

    /// One neuron's readout penalty; adds the gradients.
    pub fn neuron<T: Real>(
        strength: f64,
        mask: &[T],
        features: &[T],
        dmask: &mut [T],
        dfeatures: &mut [T],
    ) -> f64 {
        let sum = |v: &[T]| v.iter().map(|v| v.f64().abs()).sum::<f64>();
        let (m, f) = (sum(mask), sum(features));
        let add = |values: &[T], d: &mut [T], other: f64| {
            let step = T::of(strength * other);
            for (d, &v) in d.iter_mut().zip(values) {
                if v > T::zero() {
                    *d += step;
                } else if v < T::zero() {
                    *d -= step;
                }
            }
        };
        add(mask, dmask, f);
        add(features, dfeatures, m);
        strength * m * f
    }
}
