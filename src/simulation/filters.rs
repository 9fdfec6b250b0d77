//! Linear filters on a window of the image: quadrature pairs of Gabors, differences of Gaussians.

use crate::stimuli::gabor;
use std::ops::Range;

/// A filter is cut off this many SD from its centre.
const REACH: f64 = 3.0;

/// A rectangle of pixels around a point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    x: f64,
    y: f64,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Window {
    /// The pixels that filters of this size (4 SD) reach from places up to `ring` away from column `x`, row `y`.
    pub(super) fn around(
        x: f64,
        y: f64,
        ring: f64,
        size: f64,
        height: usize,
        width: usize,
    ) -> Self {
        let reach = ring + REACH * size / 4.0;
        let range = |centre: f64, side: usize| {
            let first = ((centre - reach).ceil().max(0.0) as usize).min(side);
            let end = ((centre + reach).floor() + 1.0).max(0.0) as usize;
            first..end.clamp(first, side)
        };
        Self {
            x,
            y,
            rows: range(y, height),
            columns: range(x, width),
        }
    }

    /// The same pixels around another centre.
    pub(super) fn centred(&self, x: f64, y: f64) -> Self {
        Self {
            x,
            y,
            ..self.clone()
        }
    }

    /// A function of the offset (dx to the right, dy down) from the centre, row by row.
    fn map(&self, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.rows.len() * self.columns.len());
        for i in self.rows.clone() {
            for j in self.columns.clone() {
                values.push(f(j as f64 - self.x, i as f64 - self.y));
            }
        }
        values
    }

    /// Copies the window's pixels out of a C-order image that contains it.
    pub(super) fn copy(&self, image: &[f32], width: usize, patch: &mut Vec<f64>) {
        patch.clear();
        for i in self.rows.clone() {
            let row = &image[i * width..][self.columns.clone()];
            patch.extend(row.iter().map(|&z| f64::from(z)));
        }
    }

    /// Gaussian of unit height; size = 4 SD.
    pub(super) fn gaussian(&self, size: f64) -> Vec<f64> {
        self.map(gabor::envelope(size))
    }

    /// Even and odd filter of one orientation and frequency under an envelope: blind to uniform light, and scaled
    /// so that `envelope * cos(2 pi frequency x' + phase)` gives (cos phase, -sin phase).
    pub(super) fn quadrature(
        &self,
        envelope: &[f64],
        orientation: f64,
        frequency: f64,
    ) -> [Vec<f64>; 2] {
        let argument = self.map(gabor::carrier(orientation, frequency));
        let balanced = |wave: fn(f64) -> f64| {
            let carrier: Vec<f64> = envelope
                .iter()
                .zip(&argument)
                .map(|(e, &a)| e * wave(a))
                .collect();
            let offset = carrier.iter().sum::<f64>() / envelope.iter().sum::<f64>();
            let filter: Vec<f64> = carrier
                .iter()
                .zip(envelope)
                .map(|(c, e)| c - offset * e)
                .collect();
            let own = dot(&filter, &carrier);
            filter.into_iter().map(|f| f / own).collect()
        };
        [balanced(f64::cos), balanced(f64::sin)]
    }

    /// Centre Gaussian of unit sum minus `weight` times the surround Gaussian of unit sum.
    pub(super) fn difference_of_gaussians(
        &self,
        centre_size: f64,
        surround_size: f64,
        weight: f64,
    ) -> Vec<f64> {
        let (centre, surround) = (self.gaussian(centre_size), self.gaussian(surround_size));
        let (a, b) = (centre.iter().sum::<f64>(), surround.iter().sum::<f64>());
        centre
            .iter()
            .zip(&surround)
            .map(|(c, s)| c / a - weight * s / b)
            .collect()
    }
}

/// Inner product in eight partial sums: the same bits everywhere.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in left.by_ref().zip(right.by_ref()) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(x, y)| x * y)
        .sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use std::f64::consts::TAU;

    #[test]
    fn a_pair_reads_the_phase_and_ignores_light() {
        let window = Window::around(20.3, 14.8, 0.0, 10.0, 30, 40);
        let envelope = window.gaussian(10.0);
        let (orientation, frequency) = (0.7, 0.13);
        let [even, odd] = window.quadrature(&envelope, orientation, frequency);
        assert_relative_eq!(even.iter().sum::<f64>(), 0.0, epsilon = 1e-12);
        assert_relative_eq!(odd.iter().sum::<f64>(), 0.0, epsilon = 1e-12);
        for phase in [0.0, 0.4, 2.0, 4.5] {
            let (sin, cos) = orientation.sin_cos();
            let wave = window.map(|dx, dy| (TAU * frequency * (cos * dx - sin * dy) + phase).cos());
            let gabor: Vec<f64> = envelope.iter().zip(&wave).map(|(e, w)| e * w).collect();
            assert_relative_eq!(dot(&even, &gabor), phase.cos(), epsilon = 2e-3);
            assert_relative_eq!(dot(&odd, &gabor), -phase.sin(), epsilon = 2e-3);
        }
    }

    #[test]
    fn a_window_stays_inside_the_image() {
        let window = Window::around(1.0, 9.0, 0.0, 8.0, 10, 12);
        assert_eq!((window.rows.clone(), window.columns.clone()), (3..10, 0..8));
        let image: Vec<f32> = (0..120).map(|i| i as f32).collect();
        let mut patch = Vec::new();
        window.copy(&image, 12, &mut patch);
        assert_eq!(patch.len(), 56);
        assert_eq!((patch[0], patch[55]), (36.0, 115.0));
    }

    #[test]
    fn the_difference_of_gaussians_sums_to_what_the_surround_leaves() {
        let window = Window::around(20.0, 20.0, 0.0, 16.0, 41, 41);
        let filter = window.difference_of_gaussians(6.0, 16.0, 0.9);
        assert_relative_eq!(filter.iter().sum::<f64>(), 0.1, epsilon = 1e-12);
    }
}
