//! The steerable penalties on the CPU: two products per orientation, then every slice's factors.

use super::{EPSILON, Strength};
use crate::ops::matmul::{Matrix, multiply};

/// Returns the penalty summed over orientations and adds its gradient; `forms` are (O, 2, M, M) with M = `functions`.
pub fn steerable(
    forms: &[f32],
    functions: usize,
    out_features: usize,
    strength: Strength,
    c: &[f32],
    dc: &mut [f32],
) -> f64 {
    let (m, columns) = (functions, c.len() / functions);
    let (mut norm, mut edge) = (vec![0.0f32; c.len()], vec![0.0f32; c.len()]);
    let product = |form, out: &mut [f32]| {
        let (form, c) = (Matrix::new(form, m), Matrix::new(c, columns));
        multiply((m, columns, m), form, c, out, false);
    };
    let mut total = 0.0;
    for forms in forms.chunks_exact(2 * m * m) {
        product(&forms[..m * m], &mut norm);
        product(&forms[m * m..], &mut edge);
        total += of_orientation(m, out_features, strength, c, &norm, &edge, dc);
    }
    total
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
