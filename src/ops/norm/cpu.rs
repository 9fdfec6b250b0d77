//! The CPU path: planes over threads, vectors within a plane.

use super::{EPSILON, Finish, Shape};
use crate::device::View;
use crate::ops::activation::Activation;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Mean and biased variance, per group.
pub fn statistics(shape: &Shape, y: &[f32]) -> Vec<(f64, f64)> {
    let planes: Vec<(f64, f64)> = y
        .par_chunks_exact(shape.pixels)
        .map(|plane| Arch::new().dispatch(Moments(plane)))
        .collect();
    let n = shape.count() as f64;
    (0..shape.groups)
        .map(|group| {
            let of_group = || planes.iter().skip(group).step_by(shape.groups);
            let m = of_group().map(|p| p.0).sum::<f64>() * shape.pixels as f64 / n;
            let squares: f64 = of_group()
                .map(|p| p.1 + shape.pixels as f64 * (p.0 - m) * (p.0 - m))
                .sum();
            (m, squares / n)
        })
        .collect()
}

/// z from y.
pub fn forward(shape: &Shape, y: &[f32], finish: &Finish, z: &mut [f32]) {
    let of = |plane: usize| &y[plane * shape.pixels..][..shape.pixels];
    apply(shape, finish, z, |plane, z| z.copy_from_slice(of(plane)));
}

/// z from y in the same place.
pub fn finish(shape: &Shape, finish: &Finish, z: &mut [f32]) {
    apply(shape, finish, z, |_, _| ());
}

/// Each plane as `before` leaves it.
fn apply(shape: &Shape, finish: &Finish, z: &mut [f32], before: impl Fn(usize, &mut [f32]) + Sync) {
    let lines = finish.lines(shape.channels);
    let activation = finish.activation;
    z.par_chunks_exact_mut(shape.pixels)
        .enumerate()
        .for_each(|(plane, z)| {
            before(plane, z);
            let line = lines[plane % shape.channels];
            Arch::new().dispatch(Apply {
                line,
                activation,
                z,
            });
        });
}

/// d becomes y's gradient, through the batch's statistics; returns per group what the offset's and the gain's grow by.
pub fn backward(shape: &Shape, y: &[f32], finish: &Finish, d: &mut [f32]) -> Vec<(f64, f64)> {
    let lines = finish.lines(shape.channels);
    let sums = activation_gradient(shape, finish.activation, &lines, y, d);
    let n = shape.count() as f32;
    let mut per_group = vec![(0.0f64, 0.0f64); shape.groups];
    for (plane, (a, b)) in sums.iter().enumerate() {
        let total = &mut per_group[plane % shape.channels % shape.groups];
        total.0 += a;
        total.1 += b;
    }
    d.par_chunks_exact_mut(shape.pixels)
        .zip(y.par_chunks_exact(shape.pixels))
        .enumerate()
        .for_each(|(plane, (d, y))| {
            let channel = plane % shape.channels;
            let total = per_group[channel % shape.groups];
            Arch::new().dispatch(ThroughStatistics {
                line: lines[channel],
                means: (total.0 as f32 / n, total.1 as f32 / n),
                y,
                d,
            });
        });
    per_group
}

/// d becomes y's gradient, the statistics held fixed.
pub fn backward_fixed(shape: &Shape, y: &[f32], finish: &Finish, d: &mut [f32]) {
    let lines = finish.lines(shape.channels);
    let activation = finish.activation;
    d.par_chunks_exact_mut(shape.pixels)
        .zip(y.par_chunks_exact(shape.pixels))
        .enumerate()
        .for_each(|(plane, (d, y))| {
            let line = lines[plane % shape.channels];
            Arch::new().dispatch(ThroughLine {
                line,
                activation,
                y,
                d,
            });
        });
}

/// One group's `u = slope (y - mean) + offset`.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Line {
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
    pub(in crate::ops) fn finish<S: Simd>(
        self,
        simd: S,
        activation: Activation,
        y: S::f32s,
    ) -> S::f32s {
        activation.values(simd, self.at(simd, y))
    }

    /// y's gradient, from z's.
    #[inline(always)]
    fn through<S: Simd>(self, simd: S, activation: Activation, d: S::f32s, y: S::f32s) -> S::f32s {
        let slope = simd.splat_f32s(self.slope);
        let d = match activation {
            Activation::None => d,
            _ => simd.mul_f32s(d, activation.slopes(simd, self.at(simd, y))),
        };
        simd.mul_f32s(d, slope)
    }
}

impl Finish<'_> {
    /// One line per channel.
    pub(in crate::ops) fn lines(&self, channels: usize) -> Vec<Line> {
        let groups = self.group_lines();
        (0..channels).map(|c| groups[c % groups.len()]).collect()
    }

    fn group_lines(&self) -> Vec<Line> {
        let (mean, variance) = (self.statistics.0.host(), self.statistics.1.host());
        let offset = self.affine.offset.host();
        let gain = self.affine.gain.map(View::host);
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
}

/// d becomes u's gradient; returns, per plane, its sum and its sum against the normalised y.
fn activation_gradient(
    shape: &Shape,
    activation: Activation,
    lines: &[Line],
    y: &[f32],
    d: &mut [f32],
) -> Vec<(f64, f64)> {
    d.par_chunks_exact_mut(shape.pixels)
        .zip(y.par_chunks_exact(shape.pixels))
        .enumerate()
        .map(|(plane, (d, y))| {
            let line = lines[plane % shape.channels];
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
    z: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (z, tail) = S::as_mut_simd_f32s(self.z);
        for z in z {
            *z = self.line.finish(simd, self.activation, *z);
        }
        if !tail.is_empty() {
            let y = simd.partial_load_f32s(tail);
            let z = self.line.finish(simd, self.activation, y);
            simd.partial_store_f32s(tail, z);
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

struct ThroughLine<'a> {
    line: Line,
    activation: Activation,
    y: &'a [f32],
    d: &'a mut [f32],
}

impl WithSimd for ThroughLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (line, activation) = (self.line, self.activation);
        let (y, y_tail) = S::as_simd_f32s(self.y);
        let (d, d_tail) = S::as_mut_simd_f32s(self.d);
        for (d, &y) in d.iter_mut().zip(y) {
            *d = line.through(simd, activation, *d, y);
        }
        if !d_tail.is_empty() {
            let (d, y) = (
                simd.partial_load_f32s(d_tail),
                simd.partial_load_f32s(y_tail),
            );
            simd.partial_store_f32s(d_tail, line.through(simd, activation, d, y));
        }
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
