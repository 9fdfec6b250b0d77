//! Gabor patches (Ustyuzhaninov et al. 2022, Eqs. 1-2), and plaids: sums of them.
//!
//! With dx = column - x (to the right), dy = row - y (down) and x' = cos(phi) dx - sin(phi) dy:
//! `image = a/2 exp(-(dx^2 + dy^2) / (2 (s/4)^2)) cos(2 pi nu x' + tau)`. A growing phi turns the pattern
//! counter-clockwise on the screen.

use super::Canvas;
use crate::device::kernels::stimuli as kernels;
use crate::device::{Device, View, ViewMut};
use crate::ops::Real;
use ndarray::Array2;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Numbers that define a Gabor.
pub const PARAMETERS: usize = kernels::GABOR;

/// One patch. Lengths are in pixels, angles in radians; the first pixel's centre is (0, 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gabor {
    /// Column of the centre.
    pub x: f64,
    /// Row of the centre.
    pub y: f64,
    /// s: 4 SD of the envelope, above 0.
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
    /// What [`draw`] takes: the fields in their order.
    pub fn parameters(&self) -> [f32; PARAMETERS] {
        self.fields().map(|v| v as f32)
    }

    /// The inverse of [`Gabor::parameters`].
    ///
    /// # Panics
    /// When there are not seven: that is a bug, not input.
    pub fn from_parameters(parameters: &[f32]) -> Self {
        assert_eq!(parameters.len(), PARAMETERS, "parameters of a Gabor");
        let [x, y, size, frequency, contrast, orientation, phase] =
            std::array::from_fn(|i| f64::from(parameters[i]));
        Self {
            x,
            y,
            size,
            frequency,
            contrast,
            orientation,
            phase,
        }
    }

    /// The patch on a canvas of `height` x `width` pixels, in f64.
    pub fn draw(&self, height: usize, width: usize) -> Array2<f64> {
        let mut image = Array2::zeros((height, width));
        if let Some(pixels) = image.as_slice_mut() {
            reference::draw(width, &self.fields(), pixels);
        }
        image
    }

    fn fields(&self) -> [f64; PARAMETERS] {
        let &Self {
            x,
            y,
            size,
            frequency,
            contrast,
            orientation,
            phase,
        } = self;
        [x, y, size, frequency, contrast, orientation, phase]
    }
}

/// Overwrites images (count, H, W) with sums of `components` Gabors each: parameters (count, components, 7) as in
/// [`Gabor::parameters`].
pub fn draw(
    device: &Device,
    canvas: &Canvas,
    components: usize,
    parameters: View,
    images: ViewMut,
) {
    let each = components * PARAMETERS;
    canvas.check(each, parameters.len(), images.len());
    let (height, width) = (canvas.height, canvas.width);
    match device {
        Device::Cpu => canvas.draw_each(each, parameters, images, reference::draw),
        _ => {
            let grid = canvas.pieces();
            kernels::stimuli_gabor(device, grid, parameters, images, components, height, width);
        }
    }
}

/// Overwrites dparameters (count, components, 7) with the gradient of the sum of dimages (count, H, W) times the images.
pub fn backward(
    device: &Device,
    canvas: &Canvas,
    components: usize,
    parameters: View,
    dimages: View,
    dparameters: ViewMut,
) {
    let each = components * PARAMETERS;
    canvas.check(each, parameters.len(), dimages.len());
    assert_eq!(dparameters.len(), parameters.len(), "{canvas:?}");
    let (height, width) = (canvas.height, canvas.width);
    match device {
        Device::Cpu => dparameters
            .host()
            .par_chunks_exact_mut(each)
            .zip(parameters.host().par_chunks_exact(each))
            .zip(dimages.host().par_chunks_exact(canvas.pixels()))
            .for_each(|((dp, p), image)| reference::backward(width, p, image, dp)),
        _ => kernels::stimuli_gabor_backward(
            device,
            [canvas.count, components, 1],
            parameters,
            dimages,
            dparameters,
            components,
            height,
            width,
        ),
    }
}

/// The Gaussian of unit height whose 4 SD are `size`, as a function of (dx, dy).
pub(crate) fn envelope<T: Real>(size: T) -> impl Fn(T, T) -> T {
    let scale = T::of(-8.0) / (size * size);
    move |dx, dy| (scale * (dx * dx + dy * dy)).exp()
}

/// The wave's argument without its phase, 2 pi nu x', as a function of (dx, dy).
pub(crate) fn carrier<T: Real>(orientation: T, frequency: T) -> impl Fn(T, T) -> T {
    let (sin, cos) = orientation.sin_cos();
    move |dx, dy| T::of(TAU) * frequency * (cos * dx - sin * dy)
}

/// The definition, in plain loops over one image.
pub mod reference {
    use super::{PARAMETERS, Real, TAU, carrier, envelope};
    use crate::stimuli::pixels;

    /// The sum of the components with these parameters (components, 7), on an image (H, W).
    pub fn draw<T: Real>(width: usize, parameters: &[T], image: &mut [T]) {
        image.fill(T::zero());
        for p in parameters.chunks_exact(PARAMETERS) {
            let (envelope, carrier) = (envelope(p[2]), carrier(p[5], p[3]));
            let amplitude = T::of(0.5) * p[4];
            for (v, (column, row)) in image.iter_mut().zip(pixels::<T>(width)) {
                let (dx, dy) = (column - p[0], row - p[1]);
                *v += amplitude * envelope(dx, dy) * (carrier(dx, dy) + p[6]).cos();
            }
        }
    }

    /// The gradient of the sum of dimage (H, W) times the image, with respect to the parameters (components, 7).
    pub fn backward<T: Real>(width: usize, parameters: &[T], dimage: &[T], dparameters: &mut [T]) {
        let all = parameters.chunks_exact(PARAMETERS);
        for (p, d) in all.zip(dparameters.chunks_exact_mut(PARAMETERS)) {
            let (envelope, carrier) = (envelope(p[2]), carrier(p[5], p[3]));
            let (sin, cos) = p[5].sin_cos();
            // Sums over the image, of dimage times envelope and one of: cos, sin, cos r^2, cos dx, cos dy, sin x', sin y'.
            let mut sums = [0.0; 7];
            for (&v, (column, row)) in dimage.iter().zip(pixels::<T>(width)) {
                let (dx, dy) = (column - p[0], row - p[1]);
                let weight = v * envelope(dx, dy);
                let (s, c) = (carrier(dx, dy) + p[6]).sin_cos();
                let (odd, even) = (weight * s, weight * c);
                let terms = [
                    even,
                    odd,
                    even * (dx * dx + dy * dy),
                    even * dx,
                    even * dy,
                    odd * (cos * dx - sin * dy),
                    odd * (sin * dx + cos * dy),
                ];
                sums.iter_mut().zip(terms).for_each(|(s, t)| *s += t.f64());
            }
            let [even, odd, square, dx, dy, along, across] = sums;
            let (sin, cos, size, amplitude) = (sin.f64(), cos.f64(), p[2].f64(), 0.5 * p[4].f64());
            let (omega, steep) = (TAU * p[3].f64(), 16.0 / (size * size));
            let gradient = [
                amplitude * (steep * dx + omega * cos * odd),
                amplitude * (steep * dy - omega * sin * odd),
                amplitude * steep / size * square,
                -amplitude * TAU * along,
                0.5 * even,
                amplitude * omega * across,
                -amplitude * odd,
            ];
            d.iter_mut().zip(gradient).for_each(|(d, g)| *d = T::of(g));
        }
    }
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
