//! The adjoint of an equivariant layer is one: its coefficients.

use super::plan::Plan;
use crate::ops::basis::Basis;
use std::f64::consts::TAU;

/// Coefficients of the adjoint layer: `C'[j, (d, g), f] = (-1)^rank(j) [R(phi_d) C[., (-d, f), g]]_j`.
pub fn transposed(adjoint: &Plan, basis: &Basis, c: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; c.len()];
    let mut block = vec![0.0; c.len() / adjoint.shape.orientations];
    for d in 0..adjoint.shape.orientations {
        visit_transposed(adjoint, basis, d, |_, there, i| block[i] = c[there]);
        let rotated = basis.rotate(&block, TAU * d as f64 / adjoint.shape.orientations as f64);
        visit_transposed(adjoint, basis, d, |here, _, i| {
            let sign = parity(basis, i * basis.len() / block.len());
            out[here] = sign * rotated[i];
        });
    }
    out
}

/// Adds to dc the adjoint of [`transposed`].
pub fn backward_transposed(adjoint: &Plan, basis: &Basis, gradient: &[f64], dc: &mut [f64]) {
    let mut block = vec![0.0; dc.len() / adjoint.shape.orientations];
    for d in 0..adjoint.shape.orientations {
        let n = block.len();
        visit_transposed(adjoint, basis, d, |here, _, i| {
            block[i] = parity(basis, i * basis.len() / n) * gradient[here];
        });
        let back = basis.rotate(&block, -TAU * d as f64 / adjoint.shape.orientations as f64);
        visit_transposed(adjoint, basis, d, |_, there, i| dc[there] += back[i]);
    }
}

fn parity(basis: &Basis, j: usize) -> f64 {
    if basis.functions[j].rank.is_multiple_of(2) {
        1.0
    } else {
        -1.0
    }
}

/// Index pairs (in the adjoint's coefficients, in the layer's own) for relative orientation d, with a running index
/// (j, g, f).
fn visit_transposed(
    adjoint: &Plan,
    basis: &Basis,
    d: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let o = adjoint.shape.orientations;
    let (n_g, n_f) = (adjoint.shape.in_features, adjoint.shape.out_features);
    let mut i = 0;
    for j in 0..basis.len() {
        for g in 0..n_g {
            for f in 0..n_f {
                let here = ((j * o + d) * n_g + g) * n_f + f;
                let there = ((j * o + (o - d) % o) * n_f + f) * n_g + g;
                visit(here, there, i);
                i += 1;
            }
        }
    }
}
