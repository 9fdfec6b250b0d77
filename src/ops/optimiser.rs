//! One step over all parameters at once.

use super::Real;
use crate::device::{Device, View, ViewMut};
use rayon::prelude::*;

/// Decay of Adam's first moment.
pub const BETA_1: f64 = 0.9;
/// Decay of Adam's second moment.
pub const BETA_2: f64 = 0.999;
/// Keeps Adam's denominator from 0.
pub const EPSILON: f64 = 1e-8;

const CHUNK: usize = 1 << 14;

/// Adam as TensorFlow writes it: `v -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(s) + eps)`, t counted from 1.
pub fn adam(
    device: &Device,
    learning_rate: f64,
    t: u64,
    values: ViewMut,
    gradients: View,
    (first, second): (ViewMut, ViewMut),
) {
    match device {
        Device::Cpu => {
            let (values, gradients) = (values.host(), gradients.host());
            let (first, second) = (first.host(), second.host());
            assert_eq!((values.len(), first.len()), (gradients.len(), second.len()));
            values
                .par_chunks_mut(CHUNK)
                .zip(gradients.par_chunks(CHUNK))
                .zip(
                    first
                        .par_chunks_mut(CHUNK)
                        .zip(second.par_chunks_mut(CHUNK)),
                )
                .for_each(|((v, g), (m, s))| reference::adam(learning_rate, t, v, g, m, s));
        }
        _ => unimplemented!(),
    }
}

/// `v -= rate g`.
pub fn sgd(device: &Device, learning_rate: f64, values: ViewMut, gradients: View) {
    match device {
        Device::Cpu => {
            let (values, gradients) = (values.host(), gradients.host());
            assert_eq!(values.len(), gradients.len());
            let rate = learning_rate as f32;
            values
                .iter_mut()
                .zip(gradients)
                .for_each(|(v, g)| *v -= rate * g);
        }
        _ => unimplemented!(),
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{BETA_1, BETA_2, EPSILON, Real};

    /// One Adam step.
    pub fn adam<T: Real>(
        learning_rate: f64,
        t: u64,
        values: &mut [T],
        gradients: &[T],
        first: &mut [T],
        second: &mut [T],
    ) {
        let t = t as f64;
        let rate = T::of(learning_rate * (1.0 - BETA_2.powf(t)).sqrt() / (1.0 - BETA_1.powf(t)));
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
