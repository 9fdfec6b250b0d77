//! What pulls a point to its neighbours, and what pushes it from all others where they are few enough for every pair.

use super::affinities::Affinities;
use rayon::prelude::*;

/// Points whose order fixes the order of a sum.
const PART: usize = 256;

/// sum_j P_ij q_ij (y_i - y_j) of every point.
pub fn attraction(points: &[[f64; 2]], p: &Affinities, out: &mut [[f64; 2]]) {
    out.par_iter_mut()
        .with_min_len(PART)
        .enumerate()
        .for_each(|(i, force)| {
            let [x, y] = points[i];
            let (columns, values) = p.row(i);
            let mut sum = [[0.0; 4]; 2];
            let mut pull = |lane: usize, j: u32, p: f64| {
                let other = points[j as usize];
                let (dx, dy) = (x - other[0], y - other[1]);
                let weight = p / (1.0 + dx * dx + dy * dy);
                sum[0][lane] += weight * dx;
                sum[1][lane] += weight * dy;
            };
            let (columns, last) = columns.as_chunks::<4>();
            let (values, last_values) = values.as_chunks::<4>();
            for (j, p) in columns.iter().zip(values) {
                (0..4).for_each(|lane| pull(lane, j[lane], p[lane]));
            }
            for (lane, (j, p)) in last.iter().zip(last_values).enumerate() {
                pull(lane, *j, *p);
            }
            *force = sum.map(|s| (s[0] + s[1]) + (s[2] + s[3]));
        });
}

/// sum_j q_ij^2 (y_i - y_j) of every point, pair by pair; returns Z = sum over i != j of q_ij.
pub fn repulsion(points: &[[f64; 2]], out: &mut [[f64; 2]]) -> f64 {
    let near: Vec<f64> = out
        .par_iter_mut()
        .zip(points)
        .map(|(force, own)| {
            let (mut sum, mut push) = (0.0, [0.0; 2]);
            for other in points {
                let (dx, dy) = (own[0] - other[0], own[1] - other[1]);
                let q = 1.0 / (1.0 + dx * dx + dy * dy);
                sum += q;
                push[0] += q * q * dx;
                push[1] += q * q * dy;
            }
            *force = push;
            sum - 1.0
        })
        .collect();
    near.iter().sum()
}

/// KL(P | Q), given Z.
pub fn divergence(points: &[[f64; 2]], p: &Affinities, z: f64) -> f64 {
    let of_row = |i: usize| -> f64 {
        let (columns, values) = p.row(i);
        let pairs = columns.iter().zip(values).filter(|(_, p)| **p > 0.0);
        pairs
            .map(|(j, p)| {
                let other = points[*j as usize];
                let (dx, dy) = (points[i][0] - other[0], points[i][1] - other[1]);
                p * (p * z * (1.0 + dx * dx + dy * dy)).ln()
            })
            .sum()
    };
    let rows: Vec<f64> = (0..points.len()).into_par_iter().map(of_row).collect();
    rows.iter().sum()
}
