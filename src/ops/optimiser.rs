//! One step over all parameters at once.
//!
//! Its rate is `rates[step[0]]`, so that a recorded step can be replayed with the rate of another.

use super::Real;
use crate::device::kernels;
use crate::device::{Device, View, ViewMut};
use rayon::prelude::*;

/// Decay of Adam's first moment.
pub const BETA_1: f64 = 0.9;
/// Decay of Adam's second moment.
pub const BETA_2: f64 = 0.999;
/// Keeps Adam's denominator from 0.
pub const EPSILON: f64 = 1e-8;

const CHUNK: usize = 1 << 14;

/// What [`adam`] finds in its table for step t, counted from 1: `learning_rate sqrt(1 - b2^t) / (1 - b1^t)`.
pub fn adam_rate(learning_rate: f64, t: u64) -> f32 {
    corrected(learning_rate, t) as f32
}

fn corrected(learning_rate: f64, t: u64) -> f64 {
    let t = t as f64;
    learning_rate * (1.0 - BETA_2.powf(t)).sqrt() / (1.0 - BETA_1.powf(t))
}

/// Adam as TensorFlow writes it: `v -= rate m / (sqrt(s) + eps)`, with the rates of [`adam_rate`].
pub fn adam(
    device: &Device,
    (rates, step): (View, View<u32>),
    values: ViewMut,
    gradients: View,
    (first, second): (ViewMut, ViewMut),
) {
    let n = gradients.len();
    let lengths = [&values, &first, &second].map(|v| v.len());
    assert_eq!((lengths, step.len()), ([n; 3], 1));
    match device {
        Device::Cpu => {
            let rate = rates.host()[step.host()[0] as usize];
            let (first, second) = (first.host(), second.host());
            values
                .host()
                .par_chunks_mut(CHUNK)
                .zip(gradients.host().par_chunks(CHUNK))
                .zip(
                    first
                        .par_chunks_mut(CHUNK)
                        .zip(second.par_chunks_mut(CHUNK)),
                )
                .for_each(|((v, g), (m, s))| reference::adam_at(rate, v, g, m, s));
        }
        _ => {
            let block = kernels::optimiser::THREADS * kernels::optimiser::PAIR;
            let grid = [n.div_ceil(block), 1, 1];
            kernels::optimiser::optimiser_adam(
                device, grid, gradients, rates, step, values, first, second, n,
            );
        }
    }
}

/// The same where groups take turns in pieces of `run` numbers, each group with a rate of its own: rates (K, groups).
pub fn adam_by_group(
    device: &Device,
    (rates, step): (View, View<u32>),
    (groups, run): (usize, usize),
    values: ViewMut,
    gradients: View,
    (first, second): (ViewMut, ViewMut),
) {
    let n = gradients.len();
    let lengths = [&values, &first, &second].map(|v| v.len());
    assert_eq!((lengths, step.len()), ([n; 3], 1));
    assert_eq!((rates.len() % groups, n % (groups * run)), (0, 0));
    match device {
        Device::Cpu => {
            let rates = &rates.host()[step.host()[0] as usize * groups..][..groups];
            let (first, second) = (first.host(), second.host());
            let round = groups * run;
            values
                .host()
                .par_chunks_mut(round)
                .zip(gradients.host().par_chunks(round))
                .zip(
                    first
                        .par_chunks_mut(round)
                        .zip(second.par_chunks_mut(round)),
                )
                .for_each(|((v, g), (m, s))| {
                    let moments = m.chunks_mut(run).zip(s.chunks_mut(run));
                    let each = v.chunks_mut(run).zip(g.chunks(run)).zip(moments);
                    for (((v, g), (m, s)), &rate) in each.zip(rates) {
                        reference::adam_at(rate, v, g, m, s);
                    }
                });
        }
        _ => {
            let grid = [n.div_ceil(kernels::optimiser::THREADS), 1, 1];
            kernels::optimiser::optimiser_adam_by_group(
                device, grid, gradients, rates, step, values, first, second, n, groups, run,
            );
        }
    }
}

/// `v -= rate g`.
pub fn sgd(device: &Device, (rates, step): (View, View<u32>), values: ViewMut, gradients: View) {
    let n = gradients.len();
    assert_eq!((values.len(), step.len()), (n, 1));
    match device {
        Device::Cpu => {
            let rate = rates.host()[step.host()[0] as usize];
            values
                .host()
                .par_chunks_mut(CHUNK)
                .zip(gradients.host().par_chunks(CHUNK))
                .for_each(|(v, g)| v.iter_mut().zip(g).for_each(|(v, g)| *v -= rate * g));
        }
        _ => {
            let grid = [n.div_ceil(kernels::optimiser::THREADS), 1, 1];
            kernels::optimiser::optimiser_sgd(device, grid, gradients, rates, step, values, n);
        }
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{BETA_1, BETA_2, EPSILON, Real, corrected};

    /// One Adam step, t counted from 1.
    pub fn adam<T: Real>(
        learning_rate: f64,
        t: u64,
        values: &mut [T],
        gradients: &[T],
        first: &mut [T],
        second: &mut [T],
    ) {
        let rate = T::of(corrected(learning_rate, t));
        adam_at(rate, values, gradients, first, second);
    }

    /// One Adam step with a rate that holds the corrections of its t.
    pub fn adam_at<T: Real>(
        rate: T,
        values: &mut [T],
        gradients: &[T],
        first: &mut [T],
        second: &mut [T],
    ) {
        let (keep_1, keep_2) = (T::of(BETA_1), T::of(BETA_2));
        let (new_1, new_2) = (T::of(1.0 - BETA_1), T::of(1.0 - BETA_2));
        let epsilon = T::of(EPSILON);
        for (((v, &g), m), s) in values.iter_mut().zip(gradients).zip(first).zip(second) {
            *m = keep_1 * *m + new_1 * g;
            *s = keep_2 * *s + new_2 * g * g;
            *v -= rate * *m / (s.sqrt() + epsilon);
        }
    }
}
