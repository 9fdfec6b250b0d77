//! Gabor patches (Ustyuzhaninov et al. 2022, Eqs. 1-2).
//!
//! With dx = column - x (to the right), dy = row - y (down) and x' = cos(phi) dx - sin(phi) dy:
//! `image = a/2 exp(-(dx^2 + dy^2) / (2 (s/4)^2)) cos(2 pi nu x' + tau)`. A growing phi turns the pattern
//! counter-clockwise on the screen.

use ndarray::Array2;
use std::f64::consts::TAU;

/// One patch. Lengths are in pixels, angles in radians; the first pixel's centre is (0, 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gabor {
    /// Column of the centre.
    pub x: f64,
    /// Row of the centre.
    pub y: f64,
    /// s: 4 SD of the envelope.
    pub size: f64,
    /// nu: cycles per pixel.
    pub frequency: f64,
    /// a: twice the amplitude.
    pub contrast: f64,
    /// phi.
    pub orientation: f64,
    /// tau.
    pub phase: f64,
}

impl Gabor {
    /// The patch on a canvas of `height` x `width` pixels.
    pub fn draw(&self, height: usize, width: usize) -> Array2<f64> {
        let (envelope, carrier) = (
            envelope(self.size),
            carrier(self.orientation, self.frequency),
        );
        Array2::from_shape_fn((height, width), |(i, j)| {
            let (dx, dy) = (j as f64 - self.x, i as f64 - self.y);
            0.5 * self.contrast * envelope(dx, dy) * (carrier(dx, dy) + self.phase).cos()
        })
    }
}

/// The Gaussian of unit height whose 4 SD are `size`, as a function of (dx, dy).
pub(crate) fn envelope(size: f64) -> impl Fn(f64, f64) -> f64 {
    let scale = -0.5 * (4.0 / size).powi(2);
    move |dx, dy| (scale * (dx * dx + dy * dy)).exp()
}

/// The wave's argument without its phase, 2 pi nu x', as a function of (dx, dy).
pub(crate) fn carrier(orientation: f64, frequency: f64) -> impl Fn(f64, f64) -> f64 {
    let (sin, cos) = orientation.sin_cos();
    move |dx, dy| TAU * frequency * (cos * dx - sin * dy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{FRAC_PI_2, PI};

    const GABOR: Gabor = Gabor {
        x: 10.0,
        y: 10.0,
        size: 9.0,
        frequency: 0.12,
        contrast: 1.5,
        orientation: 0.4,
        phase: 0.9,
    };

    fn close(a: &Array2<f64>, b: &Array2<f64>) -> bool {
        a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12)
    }

    #[test]
    fn a_growing_orientation_turns_it_counter_clockwise() {
        let turned = Gabor {
            orientation: GABOR.orientation + FRAC_PI_2,
            ..GABOR
        }
        .draw(21, 21);
        let upright = GABOR.draw(21, 21);
        let wanted = Array2::from_shape_fn((21, 21), |(i, j)| upright[(j, 20 - i)]);
        assert!(close(&turned, &wanted));
    }

    #[test]
    fn half_a_turn_reverses_the_phase() {
        let (orientation, phase) = (GABOR.orientation + PI, -GABOR.phase);
        let same = Gabor {
            orientation,
            phase,
            ..GABOR
        };
        assert!(close(&same.draw(13, 30), &GABOR.draw(13, 30)));
    }

    #[test]
    fn it_moves_with_its_place() {
        let moved = Gabor {
            x: GABOR.x + 3.0,
            y: GABOR.y - 2.0,
            ..GABOR
        }
        .draw(30, 30);
        let there = GABOR.draw(30, 30);
        for ((i, j), v) in moved
            .indexed_iter()
            .filter(|((i, j), _)| i + 2 < 30 && *j >= 3)
        {
            assert!((v - there[(i + 2, j - 3)]).abs() <= 1e-12);
        }
    }
}
