//! Batch normalisation with the activation that follows it (epsilon 1e-3).
//!
//! Group i of channels (its statistics are one channel's, or with sharing those of feature i over all orientations):
//! `u = gain (y - mean) / sqrt(variance + eps) + offset`, `z = activation(u)`. Training uses the batch's mean and biased
//! variance over images, pixels and the group's channels, and moves the running ones:
//! `m <- decay m + (1 - decay) batch`, the variance with the n/(n-1) correction. y and z are (B, C, P).

pub mod reference;

use super::activation::Activation;
use crate::device::{Device, View, ViewMut};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Keeps the denominator from 0.
pub const EPSILON: f64 = 1e-3;

/// Sizes and kind of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// Groups of channels with statistics of their own; channel c belongs to group c mod this.
    pub groups: usize,
    /// P.
    pub pixels: usize,
    /// What follows.
    pub activation: Activation,
}

impl Shape {
    fn count(&self) -> usize {
        self.batch * self.pixels * self.channels / self.groups
    }

    fn check(&self, len: usize, per_group: usize) {
        assert_eq!(
            (len, per_group),
            (self.batch * self.channels * self.pixels, self.groups),
            "{self:?}"
        );
    }
}

/// The normalisation with fixed statistics and its activation, for ops that end in it.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// Running mean and variance, (groups) each.
    pub statistics: (View<'a>, View<'a>),
    /// Gain and offset.
    pub affine: Affine<'a>,
    /// What follows.
    pub activation: Activation,
}

impl Finish<'_> {
    /// One line per channel.
    pub(super) fn lines(&self, channels: usize) -> Vec<Line> {
        let groups = lines(
            self.statistics.0.host(),
            self.statistics.1.host(),
            self.affine,
        );
        (0..channels).map(|c| groups[c % groups.len()]).collect()
    }
}

/// Gain (absent: 1) and offset, (groups) each.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Gamma.
    pub gain: Option<View<'a>>,
    /// Beta.
    pub offset: View<'a>,
}

/// Writes the batch's mean and variance, then each group's, and moves the running ones.
pub fn statistics(
    device: &Device,
    shape: &Shape,
    y: View,
    decay: f64,
    (mean, variance): (ViewMut, ViewMut),
    (moving_mean, moving_variance): (ViewMut, ViewMut),
) {
    match device {
        Device::Cpu => {
            let (y, mean, variance) = (y.host(), mean.host(), variance.host());
            shape.check(y.len(), mean.len());
            let (moving_mean, moving_variance) = (moving_mean.host(), moving_variance.host());
            let planes: Vec<(f64, f64)> = y
                .par_chunks_exact(shape.pixels)
                .map(|plane| Arch::new().dispatch(Moments(plane)))
                .collect();
            let n = shape.count() as f64;
            let correction = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
            for group in 0..shape.groups {
                let of_group = || planes.iter().skip(group).step_by(shape.groups);
                let m = of_group().map(|p| p.0).sum::<f64>() * shape.pixels as f64 / n;
                let squares: f64 = of_group()
                    .map(|p| p.1 + shape.pixels as f64 * (p.0 - m) * (p.0 - m))
                    .sum();
                let v = squares / n;
                mean[group] = m as f32;
                variance[group] = v as f32;
                let blend =
                    |old: f32, new: f64| (decay * f64::from(old) + (1.0 - decay) * new) as f32;
                moving_mean[group] = blend(moving_mean[group], m);
                moving_variance[group] = blend(moving_variance[group], v * correction);
            }
        }
        _ => unimplemented!(),
    }
}

/// Writes z from y with the given statistics.
pub fn forward(
    device: &Device,
    shape: &Shape,
    y: View,
    (mean, variance): (View, View),
    affine: Affine,
    z: ViewMut,
) {
    match device {
        Device::Cpu => {
            let (y, z) = (y.host(), z.host());
            let lines = lines(mean.host(), variance.host(), affine);
            shape.check(y.len(), lines.len());
            z.par_chunks_exact_mut(shape.pixels)
                .zip(y.par_chunks_exact(shape.pixels))
                .enumerate()
                .for_each(|(plane, (z, y))| {
                    let line = lines[plane % shape.channels % shape.groups];
                    let activation = shape.activation;
                    Arch::new().dispatch(Apply {
                        line,
                        activation,
                        y,
                        z,
                    });
                });
        }
        _ => unimplemented!(),
    }
}

/// Turns d (in: z's gradient; out: y's) and adds to the gains' and offsets' gradients, through the batch's statistics.
pub fn backward(
    device: &Device,
    shape: &Shape,
    y: View,
    (mean, variance): (View, View),
    affine: Affine,
    d: ViewMut,
    (dgain, doffset): (Option<ViewMut>, ViewMut),
) {
    match device {
        Device::Cpu => {
            let (y, d, doffset) = (y.host(), d.host(), doffset.host());
            let lines = lines(mean.host(), variance.host(), affine);
            shape.check(y.len(), lines.len());
            let sums = activation_gradient(shape, &lines, y, d);
            let n = shape.count() as f32;
            let mut per_group = vec![(0.0f64, 0.0f64); shape.groups];
            for (plane, (a, b)) in sums.iter().enumerate() {
                let total = &mut per_group[plane % shape.channels % shape.groups];
                total.0 += a;
                total.1 += b;
            }
            for (doffset, total) in doffset.iter_mut().zip(&per_group) {
                *doffset += total.0 as f32;
            }
            for (dgain, total) in dgain
                .map(ViewMut::host)
                .into_iter()
                .flatten()
                .zip(&per_group)
            {
                *dgain += total.1 as f32;
            }
            d.par_chunks_exact_mut(shape.pixels)
                .zip(y.par_chunks_exact(shape.pixels))
                .enumerate()
                .for_each(|(plane, (d, y))| {
                    let group = plane % shape.channels % shape.groups;
                    let means = (per_group[group].0 as f32 / n, per_group[group].1 as f32 / n);
                    Arch::new().dispatch(ThroughStatistics {
                        line: lines[group],
                        means,
                        y,
                        d,
                    });
                });
        }
        _ => unimplemented!(),
    }
}

/// Turns d (in: z's gradient; out: y's) with the statistics held fixed, as in prediction.
pub fn backward_fixed(
    device: &Device,
    shape: &Shape,
    y: View,
    (mean, variance): (View, View),
    affine: Affine,
    d: ViewMut,
) {
    match device {
        Device::Cpu => {
            let (y, d) = (y.host(), d.host());
            let lines = lines(mean.host(), variance.host(), affine);
            shape.check(y.len(), lines.len());
            activation_gradient(shape, &lines, y, d);
            d.par_chunks_exact_mut(shape.pixels)
                .enumerate()
                .for_each(|(plane, d)| {
                    let slope = lines[plane % shape.channels % shape.groups].slope;
                    d.iter_mut().for_each(|d| *d *= slope);
                });
        }
        _ => unimplemented!(),
    }
}

/// One group's `u = slope (y - mean) + offset`.
#[derive(Clone, Copy)]
pub(super) struct Line {
    mean: f32,
    inverse_sd: f32,
    slope: f32,
    offset: f32,
}

impl Line {
    /// u at y.
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, y: S::f32s) -> S::f32s {
        let (slope, offset) = (simd.splat_f32s(self.slope), simd.splat_f32s(self.offset));
        simd.mul_add_e_f32s(simd.sub_f32s(y, simd.splat_f32s(self.mean)), slope, offset)
    }

    /// z at y.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(self, simd: S, activation: Activation, y: S::f32s) -> S::f32s {
        activation.values(simd, self.at(simd, y))
    }
}

fn lines(mean: &[f32], variance: &[f32], affine: Affine) -> Vec<Line> {
    let offset = affine.offset.host();
    let gain = affine.gain.map(View::host);
    (0..mean.len())
        .map(|i| {
            let inverse_sd = (1.0 / (f64::from(variance[i]) + EPSILON).sqrt()) as f32;
            Line {
                mean: mean[i],
                inverse_sd,
                slope: gain.map_or(1.0, |g| g[i]) * inverse_sd,
                offset: offset[i],
            }
        })
        .collect()
}

/// d becomes u's gradient; returns, per plane, its sum and its sum against the normalised y.
fn activation_gradient(shape: &Shape, lines: &[Line], y: &[f32], d: &mut [f32]) -> Vec<(f64, f64)> {
    d.par_chunks_exact_mut(shape.pixels)
        .zip(y.par_chunks_exact(shape.pixels))
        .enumerate()
        .map(|(plane, (d, y))| {
            let line = lines[plane % shape.channels % shape.groups];
            let activation = shape.activation;
            Arch::new().dispatch(ThroughActivation {
                line,
                activation,
                y,
                d,
            })
        })
        .collect()
}

/// Mean and sum of squared deviations of one plane.
struct Moments<'a>(&'a [f32]);

impl WithSimd for Moments<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let (body, tail) = S::as_simd_f32s(self.0);
        let mut sum = [simd.splat_f32s(0.0); 4];
        for (i, &v) in body.iter().enumerate() {
            sum[i % 4] = simd.add_f32s(sum[i % 4], v);
        }
        let mut total: f64 = sum
            .iter()
            .map(|&s| f64::from(simd.reduce_sum_f32s(s)))
            .sum();
        total += tail.iter().map(|&v| f64::from(v)).sum::<f64>();
        let mean = total / self.0.len() as f64;
        let centre = simd.splat_f32s(mean as f32);
        let mut squares = [simd.splat_f32s(0.0); 4];
        for (i, &v) in body.iter().enumerate() {
            let d = simd.sub_f32s(v, centre);
            squares[i % 4] = simd.mul_add_e_f32s(d, d, squares[i % 4]);
        }
        let mut total: f64 = squares
            .iter()
            .map(|&s| f64::from(simd.reduce_sum_f32s(s)))
            .sum();
        total += tail
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>();
        (mean, total)
    }
}

struct Apply<'a> {
    line: Line,
    activation: Activation,
    y: &'a [f32],
    z: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (y, y_tail) = S::as_simd_f32s(self.y);
        let (z, z_tail) = S::as_mut_simd_f32s(self.z);
        for (z, &y) in z.iter_mut().zip(y) {
            *z = self.line.finish(simd, self.activation, y);
        }
        if !z_tail.is_empty() {
            let y = simd.partial_load_f32s(y_tail);
            let z = self.line.finish(simd, self.activation, y);
            simd.partial_store_f32s(z_tail, z);
        }
    }
}

struct ThroughActivation<'a> {
    line: Line,
    activation: Activation,
    y: &'a [f32],
    d: &'a mut [f32],
}

impl WithSimd for ThroughActivation<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let l = self.line;
        if self.activation != Activation::None {
            let (y, y_tail) = S::as_simd_f32s(self.y);
            let (d, d_tail) = S::as_mut_simd_f32s(self.d);
            let slope = |y| self.activation.slopes(simd, l.at(simd, y));
            for (d, &y) in d.iter_mut().zip(y) {
                *d = simd.mul_f32s(*d, slope(y));
            }
            if !d_tail.is_empty() {
                let y = simd.partial_load_f32s(y_tail);
                let d = simd.partial_load_f32s(d_tail);
                simd.partial_store_f32s(d_tail, simd.mul_f32s(d, slope(y)));
            }
        }
        let (d, d_tail) = S::as_simd_f32s(self.d);
        let (y, y_tail) = S::as_simd_f32s(self.y);
        let (mean, scale) = (simd.splat_f32s(l.mean), simd.splat_f32s(l.inverse_sd));
        let mut sum = [simd.splat_f32s(0.0); 2];
        let mut against = [simd.splat_f32s(0.0); 2];
        for i in 0..d.len() {
            let normal = simd.mul_f32s(simd.sub_f32s(y[i], mean), scale);
            sum[i % 2] = simd.add_f32s(sum[i % 2], d[i]);
            against[i % 2] = simd.mul_add_e_f32s(d[i], normal, against[i % 2]);
        }
        let reduce = |v: [S::f32s; 2]| {
            f64::from(simd.reduce_sum_f32s(v[0])) + f64::from(simd.reduce_sum_f32s(v[1]))
        };
        let mut totals = (reduce(sum), reduce(against));
        for (d, y) in d_tail.iter().zip(y_tail) {
            totals.0 += f64::from(*d);
            totals.1 += f64::from(*d) * f64::from((y - l.mean) * l.inverse_sd);
        }
        totals
    }
}

struct ThroughStatistics<'a> {
    line: Line,
    means: (f32, f32),
    y: &'a [f32],
    d: &'a mut [f32],
}

impl WithSimd for ThroughStatistics<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let l = self.line;
        let (a, b) = self.means;
        for (d, &y) in self.d.iter_mut().zip(self.y) {
            *d = l.slope * (*d - a - (y - l.mean) * l.inverse_sd * b);
        }
    }
}
