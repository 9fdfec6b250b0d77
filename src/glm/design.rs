//! The images of a fit in coordinates that suit the solver: centred, turned, with a last coordinate of ones for the
//! intercept. Nothing is lost: [`Coordinates::to_pixels`] brings weights and intercept back.

use super::rotation::Rotation;
use crate::ops::Real;
use crate::ops::matmul::{Matrix, multiply};

/// How pixels became coordinates.
#[derive(Clone, Debug)]
pub(super) struct Coordinates {
    /// z-scored image that was subtracted from all.
    mean: Vec<f64>,
    /// Into the span of few images, if they are few.
    span: Option<Rotation>,
    /// Towards the eigenvectors of the covariance.
    principal: Rotation,
    /// Coordinates that are left.
    width: usize,
}

/// One row per image, one column per coordinate and a last one of ones.
#[derive(Clone, Debug)]
pub(super) struct Design<T> {
    /// Images.
    pub rows: usize,
    /// Coordinates, the intercept's included.
    pub width: usize,
    matrix: Vec<T>,
    /// Mean square of every coordinate: the diagonal of X'X / rows.
    pub curvature: Vec<f64>,
    /// The subtracted mean in these coordinates; 0 for the intercept.
    pub mean: Vec<f64>,
}

impl Coordinates {
    /// Coordinates for images (row-major, `pixels` each), and the images in them.
    pub(super) fn new(mut images: Vec<f64>, pixels: usize) -> (Self, Design<f64>) {
        let rows = images.len() / pixels.max(1);
        let mut mean = vec![0.0; pixels];
        for image in images.chunks(pixels) {
            for (m, x) in mean.iter_mut().zip(image) {
                *m += x / rows as f64;
            }
        }
        for image in images.chunks_mut(pixels) {
            for (x, m) in image.iter_mut().zip(&mean) {
                *x -= m;
            }
        }
        // Turning costs rows^2 pixels: worth it where it saves most of the pixels.
        let span = (2 * rows <= pixels).then(|| Rotation::triangular(&mut images, pixels));
        let width = if span.is_some() { rows } else { pixels };
        if width < pixels {
            images = images
                .chunks(pixels)
                .flat_map(|image| image[..width].iter().copied())
                .collect();
        }
        let principal = Rotation::principal(&images, width);
        principal.turn(&mut images, width);
        let coordinates = Self {
            mean,
            span,
            principal,
            width,
        };
        let design = coordinates.design(&images, rows);
        (coordinates, design)
    }

    fn design(&self, images: &[f64], rows: usize) -> Design<f64> {
        let mut matrix = Vec::with_capacity(rows * (self.width + 1));
        let mut curvature = vec![0.0; self.width + 1];
        for image in images.chunks(self.width) {
            matrix.extend_from_slice(image);
            matrix.push(1.0);
            for (c, x) in curvature.iter_mut().zip(image) {
                *c += x * x / rows as f64;
            }
        }
        curvature[self.width] = 1.0;
        let mut mean = self.mean.clone();
        if let Some(span) = &self.span {
            span.turn(&mut mean, self.mean.len());
            // What lies outside of the span of the images is no direction of any weight.
            mean.truncate(self.width);
        }
        self.principal.turn(&mut mean, self.width);
        mean.push(0.0);
        Design {
            rows,
            width: self.width + 1,
            matrix,
            curvature,
            mean,
        }
    }

    /// Weights on z-scored pixels, and the intercept.
    pub(super) fn to_pixels(&self, weights: &[f64]) -> (Vec<f64>, f64) {
        let mut pixels = weights[..self.width].to_vec();
        self.principal.turn_back(&mut pixels);
        pixels.resize(self.mean.len(), 0.0);
        if let Some(span) = &self.span {
            span.turn_back(&mut pixels);
        }
        let shift: f64 = pixels.iter().zip(&self.mean).map(|(w, m)| w * m).sum();
        (pixels, weights[self.width] - shift)
    }
}

impl Design<f64> {
    /// The same in `f32`.
    pub(super) fn narrow(&self) -> Design<f32> {
        Design {
            rows: self.rows,
            width: self.width,
            matrix: self.matrix.iter().map(|x| *x as f32).collect(),
            curvature: self.curvature.clone(),
            mean: self.mean.clone(),
        }
    }
}

impl<T: Real> Design<T> {
    /// Weights (columns, width) to drives (columns, rows).
    pub(super) fn drive(&self, columns: usize, weights: &[T], drives: &mut [T]) {
        let x = Matrix::new(&self.matrix, self.width);
        let w = Matrix::new(&weights[..columns * self.width], self.width);
        let out = &mut drives[..columns * self.rows];
        let shape = (columns, self.rows, self.width);
        multiply(shape, w, x.transposed(), out, false);
    }

    /// Residuals (columns, rows) to sums over images (columns, width).
    pub(super) fn collect(&self, columns: usize, residuals: &[T], sums: &mut [T]) {
        let x = Matrix::new(&self.matrix, self.width);
        let r = Matrix::new(&residuals[..columns * self.rows], self.rows);
        let out = &mut sums[..columns * self.width];
        multiply((columns, self.width, self.rows), r, x, out, false);
    }
}
