//! How far each image is: its loss, when it is done, and its next step.

use super::{Shape, reference};
use crate::device::kernels;
use crate::device::{Array, Device, View, ViewMut};
use rayon::prelude::*;

/// Floats per image: of [`track`] the loss's moving average, its lowest value and the lowest loss; of [`aim`] the last
/// error, the longest step allowed and the lowest error.
pub const AVERAGES: usize = kernels::ascent::AVERAGES;
/// Counters per image: steps taken, steps since the moving average was lowest, [`Outcome`].
pub const COUNTERS: usize = kernels::ascent::COUNTERS;

/// Where an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Climbs.
    Running = kernels::ascent::RUNNING as u32,
    /// The loss no longer falls, or the target is reached.
    Converged = kernels::ascent::CONVERGED as u32,
    /// All steps taken, or none left to take: the gradient is 0.
    OutOfSteps = kernels::ascent::OUT_OF_STEPS as u32,
    /// The loss is no longer a number.
    Diverged = kernels::ascent::DIVERGED as u32,
}

impl Outcome {
    /// From its code.
    pub fn of(code: u32) -> Self {
        let all = [Self::Running, Self::Converged, Self::OutOfSteps];
        let found = all.into_iter().find(|o| *o as u32 == code);
        found.unwrap_or(Self::Diverged)
    }
}

/// When an ascent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Most steps.
    pub steps: u32,
    /// Steps in a row without a new minimum of the loss's moving average (0.9 of it, 0.1 of the loss).
    pub patience: u32,
}

/// How a target is approached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// Most steps.
    pub steps: u32,
    /// Longest step; halved whenever one did not bring the rate closer.
    pub longest: f64,
}

/// How far each image of a batch is.
#[derive(Debug)]
pub struct Follow {
    /// The image of the lowest loss (B, h, w).
    pub best: Array,
    /// (B, [`AVERAGES`]).
    pub averages: Array,
    /// (B, [`COUNTERS`]).
    pub counters: Array<u32>,
}

impl Follow {
    /// Of images that have not begun.
    pub fn new(device: &Device, shape: &Shape) -> Self {
        Self {
            best: device.zeros(&[shape.batch, shape.height, shape.width]),
            averages: device.zeros(&[shape.batch, AVERAGES]),
            counters: device.zeros(&[shape.batch, COUNTERS]),
        }
    }

    fn views(&mut self, shape: &Shape) -> (ViewMut<'_>, ViewMut<'_>, ViewMut<'_, u32>) {
        (
            self.best.slice_mut(0..shape.len()),
            self.averages.slice_mut(0..shape.batch * AVERAGES),
            self.counters.slice_mut(0..shape.batch * COUNTERS),
        )
    }
}

/// Notes the loss, smoothness minus rate, of each image x: keeps the best image and decides which are done.
pub fn track(
    device: &Device,
    shape: &Shape,
    rule: &Patience,
    (rates, smoothness): (View, View),
    x: View,
    follow: &mut Follow,
) {
    let pixels = shape.pixels();
    assert_eq!((rates.len(), smoothness.len()), (shape.batch, shape.batch));
    assert_eq!(x.len(), shape.len());
    let (best, averages, counters) = follow.views(shape);
    match device {
        Device::Cpu => best
            .host()
            .par_chunks_exact_mut(pixels)
            .zip(x.host().par_chunks_exact(pixels))
            .zip(rates.host().par_iter().zip(smoothness.host()))
            .zip(averages.host().par_chunks_exact_mut(AVERAGES))
            .zip(counters.host().par_chunks_exact_mut(COUNTERS))
            .for_each(|((((best, x), (rate, smoothness)), averages), counters)| {
                let loss = smoothness - rate;
                reference::track(rule, loss, x, best, averages, counters);
            }),
        _ => kernels::ascent::ascent_track(
            device,
            [shape.batch, 1, 1],
            rates,
            smoothness,
            x,
            best,
            averages,
            counters,
            pixels,
            rule.patience as usize,
            rule.steps as usize,
        ),
    }
}

/// One step of Adam on z (B, h, w) of the images that are not done, from the gradient at x and the lengths |z| (B); rates
/// (K) are those of [`crate::ops::optimiser::adam_rate`] for steps 1 to K.
pub fn advance(
    device: &Device,
    shape: &Shape,
    (norm, rates): (f64, View),
    frames: View<u32>,
    (x, gradient, lengths): (View, View, View),
    (z, first, second): (ViewMut, ViewMut, ViewMut),
    counters: ViewMut<u32>,
) {
    let pixels = shape.pixels();
    let inputs = [x.len(), gradient.len()];
    let outputs = [z.len(), first.len(), second.len()];
    assert_eq!((inputs, outputs), ([shape.len(); 2], [shape.len(); 3]));
    assert_eq!(
        (lengths.len(), frames.len(), counters.len()),
        (shape.batch, 4 * shape.batch, COUNTERS * shape.batch)
    );
    match device {
        Device::Cpu => {
            let rates = rates.host();
            let moments = first
                .host()
                .par_chunks_exact_mut(pixels)
                .zip(second.host().par_chunks_exact_mut(pixels));
            let at = x
                .host()
                .par_chunks_exact(pixels)
                .zip(gradient.host().par_chunks_exact(pixels))
                .zip(lengths.host());
            z.host()
                .par_chunks_exact_mut(pixels)
                .zip(moments)
                .zip(at)
                .zip(frames.host().par_chunks_exact(4))
                .zip(counters.host().par_chunks_exact_mut(COUNTERS))
                .for_each(|((((z, moments), ((x, g), length)), frame), counters)| {
                    let frame = (shape.width, frame);
                    reference::advance(norm, frame, rates, (x, g, *length), z, moments, counters);
                });
        }
        _ => kernels::ascent::ascent_advance(
            device,
            [shape.batch, 1, 1],
            x,
            gradient,
            lengths,
            rates,
            frames,
            z,
            first,
            second,
            counters,
            shape.height,
            shape.width,
            norm as f32,
        ),
    }
}

/// One step of each image x that is not done towards its target rate: along the gradient of its rate, as far as would
/// reach the target were the rate linear, and at most as far as is allowed. Done is an image whose rate is within its
/// tolerance; the nearest is kept.
pub fn aim(
    device: &Device,
    shape: &Shape,
    rule: &Aim,
    (rates, targets, tolerances): (View, View, View),
    gradient: View,
    x: ViewMut,
    follow: &mut Follow,
) {
    let pixels = shape.pixels();
    assert_eq!((gradient.len(), x.len()), (shape.len(), shape.len()));
    let lengths = [rates.len(), targets.len(), tolerances.len()];
    assert_eq!(lengths, [shape.batch; 3]);
    let (best, averages, counters) = follow.views(shape);
    match device {
        Device::Cpu => {
            let wanted = rates
                .host()
                .par_iter()
                .zip(targets.host())
                .zip(tolerances.host());
            best.host()
                .par_chunks_exact_mut(pixels)
                .zip(x.host().par_chunks_exact_mut(pixels))
                .zip(gradient.host().par_chunks_exact(pixels))
                .zip(wanted)
                .zip(averages.host().par_chunks_exact_mut(AVERAGES))
                .zip(counters.host().par_chunks_exact_mut(COUNTERS))
                .for_each(
                    |(((((best, x), g), ((rate, target), tolerance)), averages), counters)| {
                        let wanted = (*rate, *target, *tolerance);
                        reference::aim(rule, wanted, g, x, best, averages, counters);
                    },
                );
        }
        _ => kernels::ascent::ascent_aim(
            device,
            [shape.batch, 1, 1],
            rates,
            targets,
            tolerances,
            gradient,
            x,
            best,
            averages,
            counters,
            pixels,
            rule.steps as usize,
            rule.longest as f32,
        ),
    }
}
