//! Batch normalisation with the activation that follows it (epsilon 1e-3).
//!
//! Group i of channels (its statistics are one channel's, or with sharing those of feature i over all orientations):
//! `u = gain (y - mean) / sqrt(variance + eps) + offset`, `z = activation(u)`. Training uses the batch's mean and biased
//! variance over images, pixels and the group's channels, and moves the running ones:
//! `m <- decay m + (1 - decay) batch`, the variance with the n/(n-1) correction. y and z are (B, C, P).

mod cpu;
pub mod reference;

use super::activation::Activation;
use crate::device::kernels;
use crate::device::{Device, MULTIPROCESSORS, MapView, MapViewMut, View, ViewMut};
pub(super) use cpu::Line;

/// Keeps the denominator from 0.
pub const EPSILON: f64 = 1e-3;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// Groups of channels with statistics of their own; channel c belongs to group c mod this.
    pub groups: usize,
    /// P.
    pub pixels: usize,
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

    /// Images that one block of a kernel sums for one channel: one wave of an H200, 8 blocks to a multiprocessor, if the batch has that many.
    fn images_per_slice(&self) -> usize {
        const BLOCKS: usize = 8 * MULTIPROCESSORS;
        let slices = (BLOCKS / self.channels).clamp(1, self.batch);
        self.batch.div_ceil(slices)
    }

    fn planes(&self) -> [usize; 3] {
        [self.batch * self.channels, 1, 1]
    }
}

/// What makes z of y: statistics, gain and offset, activation.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// Mean and variance, (groups) each: the batch's in training, else the running ones.
    pub statistics: (View<'a>, View<'a>),
    /// Gain and offset.
    pub affine: Affine<'a>,
    /// What follows.
    pub activation: Activation,
}

/// Gain (absent: 1) and offset, (groups) each.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Gamma.
    pub gain: Option<View<'a>>,
    /// Beta.
    pub offset: View<'a>,
}

impl<'a> Finish<'a> {
    fn groups(&self) -> usize {
        let (mean, variance) = self.statistics;
        let offset = self.affine.offset.len();
        let gain = self.affine.gain.map_or(offset, |g| g.len());
        assert_eq!(
            (mean.len(), offset, gain),
            (variance.len(), gain, mean.len())
        );
        mean.len()
    }

    /// For a kernel: the gain or anything as long, and whether it is one.
    fn gain(&self) -> (View<'a>, usize) {
        let gain = self.affine.gain;
        (
            gain.unwrap_or(self.affine.offset),
            usize::from(gain.is_some()),
        )
    }
}

/// Writes the batch's mean and variance, then each group's, and moves the running ones.
pub fn statistics(
    device: &Device,
    shape: &Shape,
    y: MapView,
    decay: f64,
    (mean, variance): (ViewMut, ViewMut),
    (moving_mean, moving_variance): (ViewMut, ViewMut),
) {
    shape.check(y.len(), mean.len());
    let n = shape.count() as f64;
    let correction = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
    match device {
        Device::Cpu => {
            let (mean, variance) = (mean.host(), variance.host());
            let (moving_mean, moving_variance) = (moving_mean.host(), moving_variance.host());
            let blend = |old: f32, new: f64| (decay * f64::from(old) + (1.0 - decay) * new) as f32;
            for (group, (m, v)) in cpu::statistics(shape, y.host()).into_iter().enumerate() {
                mean[group] = m as f32;
                variance[group] = v as f32;
                moving_mean[group] = blend(moving_mean[group], m);
                moving_variance[group] = blend(moving_variance[group], v * correction);
            }
        }
        _ => {
            let Shape {
                batch,
                channels,
                groups,
                pixels,
            } = *shape;
            let images = shape.images_per_slice();
            let count = batch.div_ceil(images);
            device.scratch(3 * channels * count, |mut slices| {
                kernels::norm::norm_statistics_slices(
                    device,
                    [channels, count, 1],
                    y,
                    slices.reborrow(),
                    batch,
                    channels,
                    pixels,
                    images,
                );
                kernels::norm::norm_statistics_merge(
                    device,
                    [groups, 1, 1],
                    slices.read(),
                    mean,
                    variance,
                    moving_mean,
                    moving_variance,
                    batch,
                    channels,
                    groups,
                    pixels,
                    images,
                    decay as f32,
                    correction as f32,
                );
            });
        }
    }
}

/// Writes z from y.
pub fn forward(device: &Device, shape: &Shape, y: MapView, finish: &Finish, z: MapViewMut) {
    shape.check(y.len(), finish.groups());
    shape.check(z.len(), shape.groups);
    match device {
        Device::Cpu => cpu::forward(shape, y.host(), finish, z.host()),
        _ => {
            let (gain, has_gain) = finish.gain();
            kernels::norm::norm_forward(
                device,
                shape.planes(),
                y,
                finish.statistics.0,
                finish.statistics.1,
                gain,
                finish.affine.offset,
                z,
                shape.channels,
                shape.groups,
                shape.pixels,
                has_gain,
                finish.activation.code(),
            );
        }
    }
}

/// Turns z (in: y) into what [`forward`] would write.
pub fn finish(device: &Device, shape: &Shape, finish: &Finish, z: MapViewMut) {
    shape.check(z.len(), finish.groups());
    match device {
        Device::Cpu => cpu::finish(shape, finish, z.host()),
        _ => {
            let (gain, has_gain) = finish.gain();
            kernels::norm::norm_finish(
                device,
                shape.planes(),
                finish.statistics.0,
                finish.statistics.1,
                gain,
                finish.affine.offset,
                z,
                shape.channels,
                shape.groups,
                shape.pixels,
                has_gain,
                finish.activation.code(),
            );
        }
    }
}

/// Turns d (in: z's gradient; out: y's) and adds to the gains' and offsets' gradients, through the batch's statistics.
pub fn backward(
    device: &Device,
    shape: &Shape,
    y: MapView,
    finish: &Finish,
    d: MapViewMut,
    (dgain, doffset): (Option<ViewMut>, ViewMut),
) {
    shape.check(y.len(), finish.groups());
    shape.check(d.len(), doffset.len());
    match device {
        Device::Cpu => {
            let sums = cpu::backward(shape, y.host(), finish, d.host());
            for (doffset, sum) in doffset.host().iter_mut().zip(&sums) {
                *doffset += sum.0 as f32;
            }
            let dgain = dgain.map(ViewMut::host);
            for (dgain, sum) in dgain.into_iter().flatten().zip(&sums) {
                *dgain += sum.1 as f32;
            }
        }
        _ => backward_launches(device, shape, y, finish, d, (dgain, doffset)),
    }
}

fn backward_launches(
    device: &Device,
    shape: &Shape,
    y: MapView,
    finish: &Finish,
    mut d: MapViewMut,
    (dgain, doffset): (Option<ViewMut>, ViewMut),
) {
    let Shape {
        batch,
        channels,
        groups,
        pixels,
    } = *shape;
    let (mean, variance) = finish.statistics;
    let ((gain, has_gain), offset) = (finish.gain(), finish.affine.offset);
    let activation = finish.activation.code();
    let images = shape.images_per_slice();
    let count = batch.div_ceil(images);
    device.scratch(2 * channels * count + 3 * groups, |scratch| {
        let (mut slices, rest) = scratch.split_at(2 * channels * count);
        let (mut averages, unused) = rest.split_at(2 * groups);
        let has_dgain = usize::from(dgain.is_some());
        kernels::norm::norm_backward_slices(
            device,
            [channels, count, 1],
            y,
            d.read(),
            mean,
            variance,
            gain,
            offset,
            slices.reborrow(),
            batch,
            channels,
            groups,
            pixels,
            images,
            has_gain,
            activation,
        );
        kernels::norm::norm_backward_merge(
            device,
            [groups, 1, 1],
            slices.read(),
            averages.reborrow(),
            dgain.unwrap_or(unused),
            doffset,
            channels,
            groups,
            count,
            has_dgain,
            shape.count() as f32,
        );
        kernels::norm::norm_backward(
            device,
            shape.planes(),
            y,
            mean,
            variance,
            gain,
            offset,
            averages.read(),
            d.reborrow(),
            channels,
            groups,
            pixels,
            has_gain,
            activation,
        );
    });
}

/// Turns d (in: z's gradient; out: y's) with the statistics held fixed, as in prediction.
pub fn backward_fixed(device: &Device, shape: &Shape, y: MapView, finish: &Finish, d: MapViewMut) {
    shape.check(y.len(), finish.groups());
    shape.check(d.len(), shape.groups);
    match device {
        Device::Cpu => cpu::backward_fixed(shape, y.host(), finish, d.host()),
        _ => {
            let (gain, has_gain) = finish.gain();
            kernels::norm::norm_backward_fixed(
                device,
                shape.planes(),
                y,
                finish.statistics.0,
                finish.statistics.1,
                gain,
                finish.affine.offset,
                d,
                shape.channels,
                shape.groups,
                shape.pixels,
                has_gain,
                finish.activation.code(),
            );
        }
    }
}
