//! Loss of a batch: the mean over images of the sum over recorded neurons, rate = output(h), of
//!
//! - Poisson: `rate - r ln(rate + 1e-5)`;
//! - variance-scaled squared error (Kindel et al. 2017): `(rate - r)^2 / v`, v the variance of the neuron's training
//!   responses. Responses r are in units of their SD, so that v is 1 (also where a neuron without variation keeps its unit).
//!
//! Responses that are NaN were not recorded and count for nothing.

use super::Real;
use super::activation::Output;
use crate::device::kernels;
use crate::device::{Device, View, ViewMut};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Poisson negative log-likelihood.
    Poisson,
    /// Squared error over variance (Kindel et al. 2017).
    VarianceScaledMse,
}

impl Loss {
    /// What kernels call it.
    fn code(self) -> usize {
        match self {
            Self::Poisson => 0,
            Self::VarianceScaledMse => 1,
        }
    }

    /// Of one rate and response.
    pub fn value<T: Real>(self, rate: T, r: T) -> T {
        match self {
            Self::Poisson => rate - r * (rate + T::of(EPSILON)).ln(),
            Self::VarianceScaledMse => (rate - r) * (rate - r),
        }
    }

    /// Its derivative by the rate.
    pub fn slope<T: Real>(self, rate: T, r: T) -> T {
        match self {
            Self::Poisson => T::one() - r / (rate + T::of(EPSILON)),
            Self::VarianceScaledMse => (rate - r) + (rate - r),
        }
    }
}

/// Keeps the logarithm finite.
pub const EPSILON: f64 = 1e-5;

/// Sizes and kind of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// N.
    pub neurons: usize,
    /// Output nonlinearity.
    pub output: Output,
}

/// Writes the rates (B, N) of h (B, N).
pub fn rates(device: &Device, shape: &Shape, h: View, rates: ViewMut) {
    let count = shape.batch * shape.neurons;
    assert_eq!((h.len(), rates.len()), (count, count), "{shape:?}");
    match device {
        Device::Cpu => {
            let (h, rates) = (h.host(), rates.host());
            rates
                .par_chunks_mut(4096)
                .zip(h.par_chunks(4096))
                .for_each(|(r, h)| {
                    r.iter_mut()
                        .zip(h)
                        .for_each(|(r, &h)| *r = shape.output.value(h))
                });
        }
        _ => {
            let grid = [count.div_ceil(kernels::loss::THREADS), 1, 1];
            kernels::loss::loss_rates(device, grid, h, rates, count, shape.output.code());
        }
    }
}

/// Writes the derivative of each rate by its h (B, N).
pub fn slopes(device: &Device, shape: &Shape, h: View, slopes: ViewMut) {
    let count = shape.batch * shape.neurons;
    assert_eq!((h.len(), slopes.len()), (count, count), "{shape:?}");
    match device {
        Device::Cpu => {
            let values = slopes.host().iter_mut().zip(h.host());
            values.for_each(|(s, &h)| *s = shape.output.slope(h));
        }
        _ => {
            let grid = [count.div_ceil(kernels::loss::THREADS), 1, 1];
            kernels::loss::loss_slopes(device, grid, h, slopes, count, shape.output.code());
        }
    }
}

/// Writes each image's share of the loss, already divided by B, and where wanted dh (B, N).
pub fn losses(
    device: &Device,
    shape: &Shape,
    loss: Loss,
    h: View,
    responses: View,
    dh: Option<ViewMut>,
    losses: ViewMut,
) {
    let (batch, n) = (shape.batch, shape.neurons);
    assert_eq!(
        (h.len(), responses.len(), losses.len()),
        (batch * n, batch * n, batch),
        "{shape:?}"
    );
    let of_gradient = dh.as_ref().map_or(h.len(), |dh| dh.len());
    assert_eq!(of_gradient, h.len(), "{shape:?}");
    let scale = 1.0 / batch as f64;
    match (device, dh) {
        (Device::Cpu, dh) => {
            let (h, r, losses) = (h.host(), responses.host(), losses.host());
            let mut unwanted = Vec::new();
            let dh = match dh {
                Some(dh) => dh.host(),
                None => {
                    unwanted.resize(h.len(), 0.0);
                    &mut unwanted[..]
                }
            };
            losses
                .par_iter_mut()
                .zip(dh.par_chunks_exact_mut(n))
                .zip(h.par_chunks_exact(n).zip(r.par_chunks_exact(n)))
                .for_each(|((to, dh), (h, r))| {
                    let total = reference::image(loss, shape.output, scale, h, r, dh);
                    *to = total as f32;
                });
        }
        (_, Some(dh)) => kernels::loss::loss_images_gradient(
            device,
            [batch, 1, 1],
            h,
            responses,
            dh,
            losses,
            n,
            loss.code(),
            shape.output.code(),
            scale as f32,
        ),
        (_, None) => kernels::loss::loss_images(
            device,
            [batch, 1, 1],
            h,
            responses,
            losses,
            n,
            loss.code(),
            shape.output.code(),
            scale as f32,
        ),
    }
}

/// Writes the sum of a step's losses to its place among the totals, or adds it to what is there.
pub fn total(device: &Device, losses: View, step: View<u32>, totals: ViewMut, add: bool) {
    assert_eq!(step.len(), 1);
    match device {
        Device::Cpu => {
            let sum: f64 = losses.host().iter().map(|&l| f64::from(l)).sum();
            let total = &mut totals.host()[step.host()[0] as usize];
            *total = if add {
                (f64::from(*total) + sum) as f32
            } else {
                sum as f32
            };
        }
        _ => {
            let (batch, add) = (losses.len(), usize::from(add));
            kernels::loss::loss_total(device, [1, 1, 1], losses, step, totals, batch, add);
        }
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{Loss, Output, Real};

    /// One image's share of the loss, times `scale`; writes dh.
    pub fn image<T: Real>(
        loss: Loss,
        output: Output,
        scale: f64,
        h: &[T],
        r: &[T],
        dh: &mut [T],
    ) -> f64 {
        let mut total = 0.0;
        let factor = T::of(scale);
        for ((&h, &r), dh) in h.iter().zip(r).zip(dh) {
            if r.is_nan() {
                *dh = T::zero();
                continue;
            }
            let rate = output.value(h);
            total += loss.value(rate, r).f64();
            *dh = factor * loss.slope(rate, r) * output.slope(h);
        }
        total * scale
    }
}
