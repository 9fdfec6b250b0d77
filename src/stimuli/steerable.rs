//! Patches made of the core's steerable functions (Ustyuzhaninov et al. 2022, Eqs. 4-8): `sum_j c_j psi_j` on k x k pixels
//! around a pixel, 0 elsewhere. Turning a patch is a linear map of its coefficients.

use super::Canvas;
use crate::device::kernels::stimuli as kernels;
use crate::device::{Array, Device, View, ViewMut};
use crate::ops::basis::Basis;
use rayon::prelude::*;

/// The functions of one width, on one device.
#[derive(Clone, Debug)]
pub struct Functions {
    /// The functions: psi_j is `basis.filters[j]`.
    pub basis: Basis,
    /// (M, k, k).
    values: Array,
}

impl Functions {
    /// Those on k = `width` pixels.
    ///
    /// # Panics
    /// When `width` is even: a patch has a pixel in its middle.
    pub fn new(device: &Device, width: usize) -> Self {
        Self::with_ranks(device, width, width)
    }

    /// Those of so many ranks on k = `width` pixels.
    ///
    /// # Panics
    /// When `width` is even.
    pub fn with_ranks(device: &Device, ranks: usize, width: usize) -> Self {
        assert!(width % 2 == 1, "a patch of {width} pixels has no middle");
        let basis = Basis::with_ranks(ranks, width);
        let values: Vec<f32> = basis.filters.iter().map(|&v| v as f32).collect();
        Self {
            values: device.upload(&values, &[basis.len(), width, width]),
            basis,
        }
    }
}

/// Overwrites images (count, H, W) with one patch each: coefficients (count, M), centres (count, 2) column and row of the
/// patch's middle, whole numbers.
pub fn draw(
    device: &Device,
    canvas: &Canvas,
    functions: &Functions,
    coefficients: View,
    centres: View,
    images: ViewMut,
) {
    let (m, k) = (functions.basis.len(), functions.basis.width);
    canvas.check(m, coefficients.len(), images.len());
    assert_eq!(centres.len(), 2 * canvas.count, "{canvas:?}");
    match device {
        Device::Cpu => images
            .host()
            .par_chunks_exact_mut(canvas.pixels())
            .zip(coefficients.host().par_chunks_exact(m))
            .zip(centres.host().par_chunks_exact(2))
            .for_each(|((image, c), centre)| {
                let basis = functions.values.view().host();
                reference::draw(canvas.width, k, basis, c, whole(centre), image);
            }),
        _ => kernels::stimuli_steerable(
            device,
            canvas.pieces(),
            functions.values.view(),
            coefficients,
            centres,
            images,
            m,
            k,
            canvas.height,
            canvas.width,
        ),
    }
}

/// Overwrites dcoefficients (count, M) with the gradient of the sum of dimages (count, H, W) times the images.
pub fn backward(
    device: &Device,
    canvas: &Canvas,
    functions: &Functions,
    centres: View,
    dimages: View,
    dcoefficients: ViewMut,
) {
    let (m, k) = (functions.basis.len(), functions.basis.width);
    canvas.check(m, dcoefficients.len(), dimages.len());
    assert_eq!(centres.len(), 2 * canvas.count, "{canvas:?}");
    match device {
        Device::Cpu => dcoefficients
            .host()
            .par_chunks_exact_mut(m)
            .zip(dimages.host().par_chunks_exact(canvas.pixels()))
            .zip(centres.host().par_chunks_exact(2))
            .for_each(|((dc, image), centre)| {
                let basis = functions.values.view().host();
                reference::backward(canvas.width, k, basis, whole(centre), image, dc);
            }),
        _ => kernels::stimuli_steerable_backward(
            device,
            [canvas.count, m, 1],
            functions.values.view(),
            centres,
            dimages,
            dcoefficients,
            m,
            k,
            canvas.height,
            canvas.width,
        ),
    }
}

/// Coefficients (n, M) of the same patches, turned counter-clockwise on the screen by one angle each (n), in radians.
pub fn rotate(basis: &Basis, coefficients: &[f64], angles: &[f64]) -> Vec<f64> {
    assert_eq!(coefficients.len(), angles.len() * basis.len());
    let patches = coefficients.chunks_exact(basis.len());
    let turned = patches.zip(angles).map(|(c, &a)| basis.rotate(c, a));
    turned.flatten().collect()
}

fn whole(centre: &[f32]) -> (i64, i64) {
    (centre[0] as i64, centre[1] as i64)
}

/// The definition, in plain loops over one image.
pub mod reference {
    use crate::ops::Real;

    /// Rows of the patch that lie on the image, and of each what the two share: first number in a function, first in the
    /// image, and how many.
    fn shared(
        width: usize,
        pixels: usize,
        k: usize,
        (column, row): (i64, i64),
    ) -> impl Iterator<Item = (usize, usize, usize)> {
        let (w, height, size) = (width as i64, (pixels / width) as i64, k as i64);
        let (left, top) = (column - size / 2, row - size / 2);
        let (begin, end) = ((-left).clamp(0, size), (w - left).clamp(0, size));
        (0..size).filter_map(move |i| {
            let on = (0..height).contains(&(top + i)) && begin < end;
            let first = || {
                (
                    (i * size + begin) as usize,
                    ((top + i) * w + left + begin) as usize,
                )
            };
            on.then(first)
                .map(|(at, pixel)| (at, pixel, (end - begin) as usize))
        })
    }

    /// The patch of functions `basis` (M, k, k) with these coefficients (M), on an image (H, W).
    pub fn draw<T: Real>(
        width: usize,
        k: usize,
        basis: &[T],
        coefficients: &[T],
        centre: (i64, i64),
        image: &mut [T],
    ) {
        image.fill(T::zero());
        for (function, &c) in basis.chunks_exact(k * k).zip(coefficients) {
            for (at, pixel, count) in shared(width, image.len(), k, centre) {
                let row = image[pixel..pixel + count].iter_mut();
                let pairs = row.zip(&function[at..at + count]);
                pairs.for_each(|(v, &f)| *v += c * f);
            }
        }
    }

    /// The gradient of the sum of dimage (H, W) times the image, with respect to the coefficients (M).
    pub fn backward<T: Real>(
        width: usize,
        k: usize,
        basis: &[T],
        centre: (i64, i64),
        dimage: &[T],
        dcoefficients: &mut [T],
    ) {
        for (function, d) in basis.chunks_exact(k * k).zip(dcoefficients) {
            let rows = shared(width, dimage.len(), k, centre);
            let row = |(at, pixel, count): (usize, usize, usize)| {
                let pairs = function[at..at + count].iter().zip(&dimage[pixel..]);
                pairs.map(|(&f, &v)| f * v).sum::<T>()
            };
            *d = rows.map(row).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::FRAC_PI_2;

    #[test]
    fn a_quarter_turn_of_the_coefficients_turns_the_patch() {
        let functions = Functions::new(&Device::Cpu, 9);
        let m = functions.basis.len();
        let c: Vec<f64> = (0..m).map(|j| (1.0 + j as f64).sin()).collect();
        let turned = rotate(
            &functions.basis,
            &[c.clone(), c].concat(),
            &[0.0, FRAC_PI_2],
        );
        let turned: Vec<f32> = turned.iter().map(|&c| c as f32).collect();
        let canvas = Canvas {
            count: 2,
            height: 13,
            width: 13,
        };
        let device = Device::Cpu;
        let mut images = device.zeros(&[2, 13, 13]);
        draw(
            &device,
            &canvas,
            &functions,
            device.upload(&turned, &[2, m]).view(),
            device.upload(&[6.0f32; 4], &[2, 2]).view(),
            images.view_mut(),
        );
        let images = images.download();
        let (upright, turned) = images.split_at(169);
        assert!(upright.iter().any(|v| v.abs() > 0.5));
        for (p, v) in turned.iter().enumerate() {
            let wanted = upright[p % 13 * 13 + 12 - p / 13];
            assert!((v - wanted).abs() <= 1e-5, "{p}: {v} {wanted}");
        }
    }
}
