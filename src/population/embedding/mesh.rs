//! Repulsion between all points on a mesh, in the time of two Fourier transforms.
//!
//! The potential u(y) = sum_j 1 / (1 + |y - y_j|^2) gives both numbers that the gradient needs: Z = sum_i u(y_i) - n, and
//! sum_j q_ij^2 (y_i - y_j) = -grad u(y_i) / 2. The kernel between two points is taken from the cubic spline, in either
//! point, that interpolates it on the mesh: points are spread over 4 x 4 nodes with B-spline weights, the
//! nodes convolved with the kernel's spline coefficients, and u and its gradient read with the same weights and
//! their derivatives. A spectrum that falls like exp(-|k|) makes spacings of 1/2 exact to 1e-3 of the largest force, and
//! one kernel does for what FIt-SNE (Linderman et al. 2019), whose idea this is, takes four charges. The mesh is twice as
//! wide as the points, and zero beyond them, so that the periodic images of a point do not count.

use super::fourier::Fourier;

/// Spacings of nodes, and how many nodes a spacing may take before the next is used.
const FINEST: f64 = 1.0 / 64.0;
const COARSEST: f64 = 0.5;
const FINE_NODES: f64 = 100.0;
/// Nodes beyond which the spacing grows although the kernel is lost on it: points so far apart do not repel.
const MOST_NODES: f64 = 2000.0;
/// Nodes between the images of the points, where the kernel's kink at half a period stays.
const MARGIN: usize = 10;

/// The mesh of the last call, kept while it fits.
#[derive(Default)]
pub struct Mesh {
    spacing: f64,
    fourier: Option<Fourier>,
    /// Charges, then potentials' coefficients, (nodes, nodes) of the corner that points can reach.
    nodes: Vec<f64>,
}

impl Mesh {
    /// Writes sum_j q_ij^2 (y_i - y_j) of every point and returns Z = sum over i != j of q_ij.
    pub fn repulsion(&mut self, points: &[[f64; 2]], out: &mut [[f64; 2]]) -> f64 {
        let (low, width) = extent(points);
        let side = self.fit(width);
        let at = |p: &[f64; 2], c: usize| Place::new((p[c] - low[c]) / self.spacing);
        self.nodes.clear();
        self.nodes.resize(side * side, 0.0);
        for p in points {
            let (x, y) = (at(p, 0), at(p, 1));
            for (a, wx) in x.weights.iter().enumerate() {
                let row = &mut self.nodes[(x.first + a) * side + y.first..][..4];
                row.iter_mut()
                    .zip(y.weights)
                    .for_each(|(node, wy)| *node += wx * wy);
            }
        }
        if let Some(fourier) = &mut self.fourier {
            fourier.convolve(&mut self.nodes, side);
        }
        let mut z = -(points.len() as f64);
        for (p, out) in points.iter().zip(out) {
            let (x, y) = (at(p, 0), at(p, 1));
            let (mut u, mut du) = (0.0, [0.0; 2]);
            for a in 0..4 {
                let row = &self.nodes[(x.first + a) * side + y.first..][..4];
                let along = |w: [f64; 4]| (0..4).map(|b| w[b] * row[b]).sum::<f64>();
                let (value, slope) = (along(y.weights), along(y.slopes));
                u += x.weights[a] * value;
                du[0] += x.slopes[a] * value;
                du[1] += x.weights[a] * slope;
            }
            z += u;
            *out = du.map(|d| -0.5 * d / self.spacing);
        }
        z
    }

    /// Chooses spacing and period for points of this extent; returns how many nodes of an axis they reach.
    fn fit(&mut self, width: f64) -> usize {
        let mut spacing = FINEST;
        while spacing < COARSEST && width / spacing > FINE_NODES || width / spacing > MOST_NODES {
            spacing *= 2.0;
        }
        let side = (width / spacing) as usize + 5;
        let least = 2 * side + MARGIN;
        let fits = self.fourier.as_ref().is_some_and(|f| f.period() >= least);
        if !fits || spacing != self.spacing {
            self.spacing = spacing;
            self.fourier = Some(Fourier::new(least, spacing));
        }
        side
    }
}

/// The lowest coordinates, and the larger extent.
fn extent(points: &[[f64; 2]]) -> ([f64; 2], f64) {
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for p in points {
        for c in 0..2 {
            low[c] = low[c].min(p[c]);
            high[c] = high[c].max(p[c]);
        }
    }
    (low, (high[0] - low[0]).max(high[1] - low[1]).max(0.0))
}

/// The four nodes around a coordinate, with the weights of a cubic B-spline and their derivatives.
struct Place {
    first: usize,
    weights: [f64; 4],
    slopes: [f64; 4],
}

impl Place {
    /// `at` in units of the spacing, from 0; node 1 lies there.
    fn new(at: f64) -> Self {
        let first = at as usize;
        let t = at - first as f64;
        let (t2, s) = (t * t, 1.0 - t);
        Self {
            first,
            weights: [
                s * s * s / 6.0,
                (4.0 + t2 * (3.0 * t - 6.0)) / 6.0,
                (1.0 + 3.0 * (t + t2 - t2 * t)) / 6.0,
                t2 * t / 6.0,
            ],
            slopes: [
                -0.5 * s * s,
                0.5 * t * (3.0 * t - 4.0),
                0.5 * (1.0 + 2.0 * t - 3.0 * t2),
                0.5 * t2,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::embedding::forces;

    #[test]
    fn the_mesh_pushes_like_all_pairs() {
        for scale in [1e-4, 1.0, 10.0, 40.0] {
            let point = |i: usize| {
                let (angle, radius) = (2.4 * i as f64, (i as f64 / 3000.0).sqrt());
                [
                    scale * radius * angle.cos() - 7.0,
                    scale * radius * angle.sin(),
                ]
            };
            let points: Vec<[f64; 2]> = (0..3000).map(point).collect();
            let (mut got, mut wanted) = (vec![[0.0; 2]; 3000], vec![[0.0; 2]; 3000]);
            let z = Mesh::default().repulsion(&points, &mut got);
            let exact = forces::repulsion(&points, &mut wanted);
            assert!(
                (z - exact).abs() <= 2e-3 * exact,
                "{scale}: {z}, wanted {exact}"
            );
            // Pushes from opposite sides cancel, the mesh's errors need not: what counts is what was added up.
            let (mut off, mut loud) = (0.0, 0.0);
            for (i, p) in points.iter().enumerate() {
                off += (0..2)
                    .map(|c| (got[i][c] - wanted[i][c]).powi(2))
                    .sum::<f64>();
                let push = |o: &[f64; 2]| {
                    let square = (p[0] - o[0]).powi(2) + (p[1] - o[1]).powi(2);
                    square.sqrt() / (1.0 + square).powi(2)
                };
                loud += points.iter().map(push).sum::<f64>().powi(2);
            }
            let error = (off / loud).sqrt();
            assert!(error <= 1e-2, "{scale}: {error}");
        }
    }
}
