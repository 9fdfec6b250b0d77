//! Images as coefficients of steerable functions: their norm, their roughness, and what turning does to them.
//!
//! With functions psi_j on k x k pixels, coefficients c and x = sum_j c_j psi_j: `|x|^2 = c G c` with the functions' products G,
//! and the sum of squares of the Laplacian of x among zeros is `c Q c` with those of the functions' Laplacians Q.

use crate::device::Device;
use crate::ops::basis::{Basis, Kind};
use crate::ops::penalty::LAPLACIAN;
use crate::stimuli::steerable::Functions;

/// The functions and their products.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub functions: Functions,
    products: Vec<f64>,
    rough: Vec<f64>,
}

impl Space {
    /// Of so many ranks on `width` pixels, an odd number.
    pub fn new(device: &Device, ranks: usize, width: usize) -> Self {
        let functions = Functions::with_ranks(device, ranks, width);
        let basis = &functions.basis;
        let area = width * width;
        let edges: Vec<f64> = basis
            .filters
            .chunks_exact(area)
            .flat_map(|f| laplacian(f, width))
            .collect();
        let rim = (width + 2) * (width + 2);
        Self {
            products: products(&basis.filters, area),
            rough: products(&edges, rim),
            functions,
        }
    }

    pub fn basis(&self) -> &Basis {
        &self.functions.basis
    }

    /// M.
    pub fn len(&self) -> usize {
        self.basis().len()
    }

    /// |x| and the gradient of |x|^2 / 2.
    pub fn norm(&self, c: &[f64]) -> (f64, Vec<f64>) {
        let gradient = times(&self.products, c);
        (dot(&gradient, c).max(0.0).sqrt(), gradient)
    }

    /// Sum of squares of the Laplacian, and its gradient.
    pub fn roughness(&self, c: &[f64]) -> (f64, Vec<f64>) {
        let half = times(&self.rough, c);
        let value = dot(&half, c);
        (value, half.into_iter().map(|h| 2.0 * h).collect())
    }

    /// The image (k, k).
    pub fn image(&self, c: &[f64]) -> Vec<f64> {
        let area = self.basis().width * self.basis().width;
        let mut image = vec![0.0; area];
        for (f, c) in self.basis().filters.chunks_exact(area).zip(c) {
            image.iter_mut().zip(f).for_each(|(v, f)| *v += c * f);
        }
        image
    }

    /// Coefficients of the image closest to this one (k, k).
    pub fn project(&self, image: &[f64]) -> Vec<f64> {
        let area = image.len();
        let filters = self.basis().filters.chunks_exact(area);
        let right: Vec<f64> = filters.map(|f| dot(f, image)).collect();
        // Conjugate gradients: the functions are almost orthogonal.
        let mut c = vec![0.0; right.len()];
        let (mut rest, mut along) = (right.clone(), right.clone());
        let mut square = dot(&rest, &rest);
        let least = 1e-20 * square;
        for _ in 0..4 * right.len() {
            if square <= least {
                break;
            }
            let turned = times(&self.products, &along);
            let step = square / dot(&along, &turned);
            c.iter_mut().zip(&along).for_each(|(c, a)| *c += step * a);
            rest.iter_mut()
                .zip(&turned)
                .for_each(|(r, t)| *r -= step * t);
            let next = dot(&rest, &rest);
            let share = next / square;
            along
                .iter_mut()
                .zip(&rest)
                .for_each(|(a, r)| *a = r + share * *a);
            square = next;
        }
        c
    }

    /// Coefficients of the image turned counter-clockwise.
    pub fn turned(&self, c: &[f64], angle: f64) -> Vec<f64> {
        self.basis().rotate(c, angle)
    }

    /// Change of `d . turned` with the angle.
    pub fn slope(&self, turned: &[f64], d: &[f64]) -> f64 {
        let functions = self.basis().functions.iter().enumerate();
        let pairs = functions.filter(|(_, f)| f.kind == Kind::Cosine);
        let of = |(j, f): (usize, &crate::ops::basis::Function)| {
            f.order as f64 * (d[j] * turned[j + 1] - d[j + 1] * turned[j])
        };
        pairs.map(of).sum()
    }
}

/// The Laplacian of an image (k, k) among zeros, (k + 2, k + 2).
fn laplacian(image: &[f64], k: usize) -> Vec<f64> {
    let wide = k + 2;
    let mut edges = vec![0.0; wide * wide];
    for (p, v) in image.iter().enumerate() {
        for (u, weights) in LAPLACIAN.iter().enumerate() {
            for (w, weight) in weights.iter().enumerate() {
                edges[(p / k + u) * wide + p % k + w] += weight * v;
            }
        }
    }
    edges
}

/// Products of all pairs of rows of `len` numbers.
fn products(rows: &[f64], len: usize) -> Vec<f64> {
    let all: Vec<&[f64]> = rows.chunks_exact(len).collect();
    let of = |a: &&[f64]| all.iter().map(|b| dot(a, b)).collect::<Vec<_>>();
    all.iter().flat_map(of).collect()
}

fn times(matrix: &[f64], c: &[f64]) -> Vec<f64> {
    matrix
        .chunks_exact(c.len())
        .map(|row| dot(row, c))
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space::new(&Device::Cpu, 7, 15)
    }

    fn coefficients(space: &Space) -> Vec<f64> {
        let of = |j: usize| (1.0 + 3.0 * j as f64).sin();
        (0..space.len()).map(of).collect()
    }

    #[test]
    fn norm_and_roughness_are_those_of_the_image() {
        let space = space();
        let c = coefficients(&space);
        let image = space.image(&c);
        let norm = dot(&image, &image).sqrt();
        assert!((space.norm(&c).0 - norm).abs() <= 1e-10 * norm);
        let edges = laplacian(&image, 15);
        let rough = dot(&edges, &edges);
        assert!((space.roughness(&c).0 - rough).abs() <= 1e-10 * rough);
        let back = space.project(&image);
        let error = back.iter().zip(&c).map(|(a, b)| (a - b).abs());
        assert!(error.fold(0.0, f64::max) <= 1e-8);
    }

    #[test]
    fn gradients_agree_with_differences() {
        let space = space();
        let (c, step) = (coefficients(&space), 1e-6);
        let moved = |j: usize, by: f64| {
            let mut c = c.clone();
            c[j] += by;
            c
        };
        let ((_, norm), (_, rough)) = (space.norm(&c), space.roughness(&c));
        for j in [0, 3, 11, 27] {
            let change = |f: &dyn Fn(&[f64]) -> f64| {
                (f(&moved(j, step)) - f(&moved(j, -step))) / (2.0 * step)
            };
            let of_norm = change(&|c| 0.5 * space.norm(c).0.powi(2));
            assert!((of_norm - norm[j]).abs() <= 1e-6 * norm[j].abs().max(1.0));
            let of_rough = change(&|c| space.roughness(c).0);
            assert!((of_rough - rough[j]).abs() <= 1e-6 * rough[j].abs().max(1.0));
        }
        let d: Vec<f64> = (0..space.len()).map(|j| (j as f64).cos()).collect();
        let at = |angle: f64| dot(&space.turned(&c, angle), &d);
        let wanted = (at(0.7 + step) - at(0.7 - step)) / (2.0 * step);
        let got = space.slope(&space.turned(&c, 0.7), &d);
        assert!(
            (got - wanted).abs() <= 1e-6 * wanted.abs(),
            "{got} {wanted}"
        );
    }
}
