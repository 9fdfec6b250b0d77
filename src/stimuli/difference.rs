//! Differences of Gaussians (Ustyuzhaninov et al. 2022, Eqs. 9-10), centre and surround in one place.
//!
//! `image = a_c ((1 + a_s) g(sigma_c) - a_s g(sigma_s))`, `g(sigma) = exp(-(dx^2 + dy^2) / (2 sigma^2))`: a_c in the middle.

use super::Canvas;
use crate::device::kernels::stimuli as kernels;
use crate::device::{Device, View, ViewMut};
use ndarray::Array2;
use rayon::prelude::*;

/// Numbers that define a difference of Gaussians.
pub const PARAMETERS: usize = kernels::DIFFERENCE;

/// One patch. Lengths are in pixels; the first pixel's centre is (0, 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DifferenceOfGaussians {
    /// Column of the centre.
    pub x: f64,
    /// Row of the centre.
    pub y: f64,
    /// sigma_c: SD of the centre, above 0.
    pub sigma_centre: f64,
    /// sigma_s: SD of the surround, above 0.
    pub sigma_surround: f64,
    /// a_c: value in the middle.
    pub contrast: f64,
    /// a_s: the surround's share.
    pub surround_contrast: f64,
}

impl DifferenceOfGaussians {
    /// What [`draw`] takes: the fields in their order.
    pub fn parameters(&self) -> [f32; PARAMETERS] {
        self.fields().map(|v| v as f32)
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
            sigma_centre,
            sigma_surround,
            contrast,
            surround_contrast,
        } = self;
        [
            x,
            y,
            sigma_centre,
            sigma_surround,
            contrast,
            surround_contrast,
        ]
    }
}

/// Overwrites images (count, H, W): parameters (count, 6) as in [`DifferenceOfGaussians::parameters`].
pub fn draw(device: &Device, canvas: &Canvas, parameters: View, images: ViewMut) {
    canvas.check(PARAMETERS, parameters.len(), images.len());
    let (height, width) = (canvas.height, canvas.width);
    match device {
        Device::Cpu => canvas.draw_each(PARAMETERS, parameters, images, reference::draw),
        _ => {
            let grid = canvas.pieces();
            kernels::stimuli_difference(device, grid, parameters, images, height, width);
        }
    }
}

/// Overwrites dparameters (count, 6) with the gradient of the sum of dimages (count, H, W) times the images.
pub fn backward(
    device: &Device,
    canvas: &Canvas,
    parameters: View,
    dimages: View,
    dparameters: ViewMut,
) {
    canvas.check(PARAMETERS, parameters.len(), dimages.len());
    assert_eq!(dparameters.len(), parameters.len(), "{canvas:?}");
    match device {
        Device::Cpu => dparameters
            .host()
            .par_chunks_exact_mut(PARAMETERS)
            .zip(parameters.host().par_chunks_exact(PARAMETERS))
            .zip(dimages.host().par_chunks_exact(canvas.pixels()))
            .for_each(|((dp, p), image)| reference::backward(canvas.width, p, image, dp)),
        _ => kernels::stimuli_difference_backward(
            device,
            [canvas.count, 1, 1],
            parameters,
            dimages,
            dparameters,
            canvas.height,
            canvas.width,
        ),
    }
}

/// The definition, in plain loops over one image.
pub mod reference {
    use crate::ops::Real;
    use crate::stimuli::pixels;

    /// The patch with these parameters (6), on an image (H, W).
    pub fn draw<T: Real>(width: usize, p: &[T], image: &mut [T]) {
        let (centre, surround) = (gaussian(p[2]), gaussian(p[3]));
        for (v, (column, row)) in image.iter_mut().zip(pixels::<T>(width)) {
            let (dx, dy) = (column - p[0], row - p[1]);
            let square = dx * dx + dy * dy;
            *v = p[4] * ((T::one() + p[5]) * centre(square) - p[5] * surround(square));
        }
    }

    /// The gradient of the sum of dimage (H, W) times the image, with respect to the parameters (6).
    pub fn backward<T: Real>(width: usize, p: &[T], dimage: &[T], dparameters: &mut [T]) {
        // Sums of dimage times one Gaussian and one of: 1, r^2, dx, dy.
        let sums = |sigma: T| {
            let (gaussian, mut sums) = (gaussian(sigma), [0.0; 4]);
            for (&v, (column, row)) in dimage.iter().zip(pixels::<T>(width)) {
                let (dx, dy) = (column - p[0], row - p[1]);
                let square = dx * dx + dy * dy;
                let weight = v * gaussian(square);
                let terms = [weight, weight * square, weight * dx, weight * dy];
                sums.iter_mut().zip(terms).for_each(|(s, t)| *s += t.f64());
            }
            sums
        };
        let ([c, c_square, c_dx, c_dy], [s, s_square, s_dx, s_dy]) = (sums(p[2]), sums(p[3]));
        let (centre, surround) = (p[2].f64(), p[3].f64());
        let (contrast, share) = (p[4].f64(), p[5].f64());
        let (inner, outer) = (contrast * (1.0 + share), contrast * share);
        let (narrow, wide) = (centre.powi(-2), surround.powi(-2));
        let gradient = [
            inner * narrow * c_dx - outer * wide * s_dx,
            inner * narrow * c_dy - outer * wide * s_dy,
            inner * narrow / centre * c_square,
            -outer * wide / surround * s_square,
            (1.0 + share) * c - share * s,
            contrast * (c - s),
        ];
        let all = dparameters.iter_mut().zip(gradient);
        all.for_each(|(d, g)| *d = T::of(g));
    }

    /// A Gaussian of unit height, as a function of the squared distance.
    fn gaussian<T: Real>(sigma: T) -> impl Fn(T) -> T {
        let scale = T::of(-0.5) / (sigma * sigma);
        move |square| (scale * square).exp()
    }
}
