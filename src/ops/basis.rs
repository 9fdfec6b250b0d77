//! Steerable two-dimensional Hermite basis (Ecker et al. 2019; Victor et al. 2006 for the functions).
//!
//! For filter width k (and, where nothing else is said, k ranks) the grid has n = 2k pixel-centred points on [-L, L], L = 2 sqrt(k). Rank r = 0..k-1 holds the
//! angular orders m = r mod 2, .., r in steps of 2, radial order v = (r - m)/2:
//! `R(r) = (-1)^v r^m L_v^m(r^2/2) exp(-r^2/4)`, times 1 (m = 0), cos(m theta) or sin(m theta), theta = atan2(row, column).
//! Each sampled function has unit norm on that grid; 2x2 blocks are then summed to k x k. M = k(k+1)/2 functions.
//!
//! A patch may be wider than it has ranks: then L = 2 sqrt(ranks) all the same, so that more pixels are finer ones, and
//! M = ranks (ranks + 1) / 2.
//!
//! The functions of rank r span the products `h_a(row) h_(r-a)(column)` of one-dimensional Hermite functions
//! `He_a(t) exp(-t^2/4)`: [`Basis::separable`] and [`Basis::polar`] hold that factorisation.

use std::f64::consts::TAU;

/// Samples per pixel and axis before block-summing.
const UPSAMPLING: usize = 2;

/// Which angular factor a function carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Order 0.
    Round,
    /// cos(m theta); its partner follows.
    Cosine,
    /// sin(m theta); its partner precedes.
    Sine,
}

/// One basis function's indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Polynomial degree; the function's parity under a half turn is (-1)^rank.
    pub rank: usize,
    /// Angular order m.
    pub order: usize,
    /// Angular factor.
    pub kind: Kind,
}

/// The basis for one filter width.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Filter width k.
    pub width: usize,
    /// Ranks; k of a filter.
    pub ranks: usize,
    /// M functions, by rank, then order, cosine before sine.
    pub functions: Vec<Function>,
    /// (M, 2k, 2k): unit norm.
    pub sampled: Vec<f64>,
    /// (M, k, k): block sums of `sampled`.
    pub filters: Vec<f64>,
    /// (ranks, k): one-dimensional Hermite functions a = 0..ranks-1, block-summed.
    pub separable: Vec<f64>,
    /// (M, ranks): function j of rank r is `sum_a polar[j][a] separable[a](row) separable[r-a](column)`.
    pub polar: Vec<f64>,
}

impl Basis {
    /// Builds the basis for filters of `width` pixels.
    pub fn new(width: usize) -> Self {
        Self::with_ranks(width, width)
    }

    /// The functions of so many ranks on `width` pixels.
    pub fn with_ranks(ranks: usize, width: usize) -> Self {
        let functions = functions(ranks);
        let n = width * UPSAMPLING;
        let half = 2.0 * (ranks as f64).sqrt();
        let t: Vec<f64> = (0..n)
            .map(|a| -half + 2.0 * half / n as f64 * (a as f64 + 0.5))
            .collect();
        let mut sampled = Vec::with_capacity(functions.len() * n * n);
        for f in &functions {
            let start = sampled.len();
            for &y in &t {
                sampled.extend(t.iter().map(|&x| sample(f, x, y)));
            }
            normalise(&mut sampled[start..]);
        }
        let filters = sampled
            .chunks_exact(n * n)
            .flat_map(|s| block_sum(s, width))
            .collect::<Vec<_>>();
        let mut separable = Vec::with_capacity(ranks * width);
        for a in 0..ranks {
            let mut h: Vec<f64> = t.iter().map(|&t| hermite(a, t)).collect();
            normalise(&mut h);
            separable.extend(h.chunks_exact(UPSAMPLING).map(|c| c.iter().sum::<f64>()));
        }
        let polar = polar(width, ranks, &functions, &filters, &separable);
        Self {
            width,
            ranks,
            functions,
            sampled,
            filters,
            separable,
            polar,
        }
    }

    /// M = ranks (ranks + 1) / 2.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Never: there is always the round function of rank 0.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// M = k(k+1)/2 for filters of `width` pixels.
    pub fn count(width: usize) -> usize {
        width * (width + 1) / 2
    }

    /// Rotates coefficients (M, n) counter-clockwise on screen by `angle` radians:
    /// `[a'; b'] = [[cos m phi, sin m phi], [-sin m phi, cos m phi]] [a; b]` for each cosine-sine pair.
    pub fn rotate(&self, coefficients: &[f64], angle: f64) -> Vec<f64> {
        let n = coefficients.len() / self.len();
        let mut rotated = coefficients.to_vec();
        for (j, f) in self.functions.iter().enumerate() {
            if f.kind != Kind::Cosine {
                continue;
            }
            let (s, c) = (f.order as f64 * angle).sin_cos();
            for i in 0..n {
                let (a, b) = (coefficients[j * n + i], coefficients[(j + 1) * n + i]);
                rotated[j * n + i] = c * a + s * b;
                rotated[(j + 1) * n + i] = -s * a + c * b;
            }
        }
        rotated
    }

    /// What coefficient j adds to the filters of orientation q, `sum_i H_i [R(phi_q)]_ij`: (O, M, k, k).
    pub fn rotated(&self, orientations: usize) -> Vec<f32> {
        // Rotating the rows of the filters by -phi multiplies by R(phi)' from the left.
        let turned = |q| self.rotate(&self.filters, -TAU * q as f64 / orientations as f64);
        let all = (0..orientations).flat_map(turned);
        all.map(|v| v as f32).collect()
    }
}

fn functions(ranks: usize) -> Vec<Function> {
    let mut list = Vec::with_capacity(Basis::count(ranks));
    for rank in 0..ranks {
        for order in (rank % 2..=rank).step_by(2) {
            let kinds: &[Kind] = if order == 0 {
                &[Kind::Round]
            } else {
                &[Kind::Cosine, Kind::Sine]
            };
            list.extend(kinds.iter().map(|&kind| Function { rank, order, kind }));
        }
    }
    list
}

fn sample(f: &Function, x: f64, y: f64) -> f64 {
    let square = x * x + y * y;
    let radial_order = (f.rank - f.order) / 2;
    let sign = if radial_order.is_multiple_of(2) {
        1.0
    } else {
        -1.0
    };
    let radial = sign
        * square.sqrt().powi(f.order as i32)
        * laguerre(radial_order, f.order as f64, square / 2.0)
        * (-square / 4.0).exp();
    let theta = f.order as f64 * y.atan2(x);
    radial
        * match f.kind {
            Kind::Round => 1.0,
            Kind::Cosine => theta.cos(),
            Kind::Sine => theta.sin(),
        }
}

/// Generalised Laguerre polynomial by its three-term recurrence.
fn laguerre(degree: usize, alpha: f64, x: f64) -> f64 {
    let (mut previous, mut current) = (0.0, 1.0);
    for n in 0..degree {
        let n = n as f64;
        let next = ((2.0 * n + 1.0 + alpha - x) * current - (n + alpha) * previous) / (n + 1.0);
        (previous, current) = (current, next);
    }
    current
}

/// He_a(t) exp(-t^2/4), probabilists' Hermite polynomial by its recurrence.
fn hermite(degree: usize, t: f64) -> f64 {
    let (mut previous, mut current) = (0.0, 1.0);
    for n in 0..degree {
        (previous, current) = (current, t * current - n as f64 * previous);
    }
    current * (-t * t / 4.0).exp()
}

fn normalise(values: &mut [f64]) {
    let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    values.iter_mut().for_each(|v| *v /= norm);
}

fn block_sum(sampled: &[f64], width: usize) -> Vec<f64> {
    let n = width * UPSAMPLING;
    let mut sums = vec![0.0; width * width];
    for (i, &v) in sampled.iter().enumerate() {
        sums[i / n / UPSAMPLING * width + i % n / UPSAMPLING] += v;
    }
    sums
}

/// Least squares within each rank: the products of one rank are linearly independent and span its functions.
fn polar(
    width: usize,
    ranks: usize,
    functions: &[Function],
    filters: &[f64],
    separable: &[f64],
) -> Vec<f64> {
    let area = width * width;
    let product = |rank: usize, a: usize| -> Vec<f64> {
        let (rows, columns) = (&separable[a * width..], &separable[(rank - a) * width..]);
        (0..area)
            .map(|p| rows[p / width] * columns[p % width])
            .collect()
    };
    let dot = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
    let mut polar = vec![0.0; functions.len() * ranks];
    for (j, f) in functions.iter().enumerate() {
        let target = &filters[j * area..(j + 1) * area];
        // A function is even in y (row) unless it is a sine, so only products of that parity take part.
        let parity = usize::from(f.kind == Kind::Sine);
        let terms: Vec<usize> = (parity..=f.rank).step_by(2).collect();
        let products: Vec<Vec<f64>> = terms.iter().map(|&a| product(f.rank, a)).collect();
        let gram = products
            .iter()
            .map(|p| products.iter().map(|q| dot(p, q)).collect())
            .collect();
        let right = products.iter().map(|p| dot(p, target)).collect();
        for (a, weight) in terms.into_iter().zip(solve(gram, right)) {
            polar[j * ranks + a] = weight;
        }
    }
    polar
}

/// Solves a small symmetric positive definite system by Gaussian elimination with partial pivoting.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for i in 0..n {
        let pivot = (i..n)
            .max_by(|&a, &b| matrix[a][i].abs().total_cmp(&matrix[b][i].abs()))
            .unwrap_or(i);
        matrix.swap(i, pivot);
        right.swap(i, pivot);
        let (above, below) = matrix.split_at_mut(i + 1);
        for (row, line) in below.iter_mut().enumerate() {
            let factor = line[i] / above[i][i];
            for (value, pivot) in line[i..].iter_mut().zip(&above[i][i..]) {
                *value -= factor * pivot;
            }
            right[i + 1 + row] -= factor * right[i];
        }
    }
    for i in (0..n).rev() {
        for column in i + 1..n {
            right[i] -= matrix[i][column] * right[column];
        }
        right[i] /= matrix[i][i];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn products_of_one_dimensional_functions_rebuild_every_filter() {
        let square = [1, 3, 5, 7, 9, 13].map(|k| (k, k));
        for (ranks, width) in square.into_iter().chain([(3, 9), (6, 13)]) {
            let b = Basis::with_ranks(ranks, width);
            assert_eq!(b.len(), Basis::count(ranks));
            for (j, f) in b.functions.iter().enumerate() {
                for p in 0..width * width {
                    let rebuilt: f64 = (0..=f.rank)
                        .map(|a| {
                            b.polar[j * ranks + a]
                                * b.separable[a * width + p / width]
                                * b.separable[(f.rank - a) * width + p % width]
                        })
                        .sum();
                    let filter = b.filters[j * width * width + p];
                    assert_abs_diff_eq!(rebuilt, filter, epsilon = 1e-12);
                }
            }
        }
    }
}
