//! The definition, in plain loops, on codes (N, F, O) and one fit.

use super::{Real, Temperature};
use std::f64::consts::TAU;

/// 1 / (1 + exp(-x)).
fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

/// The angle of its logit.
pub fn angle<T: Real>(logit: T) -> T {
    T::of(TAU) * sigmoid(logit)
}

impl Temperature {
    /// T of its parameter.
    pub fn value<T: Real>(self, t: T) -> T {
        match self.cap {
            None => t.exp(),
            Some(cap) => T::of(cap) * sigmoid(t),
        }
    }

    /// dT / dt.
    pub fn slope<T: Real>(self, t: T) -> T {
        match self.cap {
            None => t.exp(),
            Some(cap) => T::of(cap) * sigmoid(t) * sigmoid(-t),
        }
    }
}

/// Weights c (O) of the shifts, and their derivatives by the angle and by T.
pub fn taps<T: Real>(orientations: usize, angle: T, temperature: T) -> [Vec<T>; 3] {
    let away: Vec<T> = (0..orientations)
        .map(|i| angle - T::of(TAU * i as f64 / orientations as f64))
        .collect();
    let largest = away.iter().map(|a| a.cos()).fold(-T::one(), T::max);
    let mut c: Vec<T> = away
        .iter()
        .map(|a| (temperature * (a.cos() - largest)).exp())
        .collect();
    let total: T = c.iter().copied().sum();
    c.iter_mut().for_each(|c| *c /= total);
    let mean = |f: fn(T) -> T| -> T { c.iter().zip(&away).map(|(&c, &a)| c * f(a)).sum() };
    let (cosine, sine) = (mean(T::cos), mean(T::sin));
    let by = |f: &dyn Fn(T) -> T| c.iter().zip(&away).map(|(&c, &a)| c * f(a)).collect();
    let by_angle = by(&|a| temperature * (sine - a.sin()));
    let by_temperature = by(&|a| a.cos() - cosine);
    [c, by_angle, by_temperature]
}

/// `sum_i c_i shift_i(code)`: shift_i rolls the orientations of each feature by +i.
pub fn relaxed<T: Real>(code: &[T], c: &[T]) -> Vec<T> {
    let o = c.len();
    let mut x = vec![T::zero(); code.len()];
    for (x, v) in x.chunks_exact_mut(o).zip(code.chunks_exact(o)) {
        for (i, &c) in c.iter().enumerate() {
            for to in 0..o {
                x[to] += c * v[(to + o - i) % o];
            }
        }
    }
    x
}

/// What one fit is: codes (N, F, O), and the parameters of its angles and its temperature.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a, T> {
    /// F.
    pub features: usize,
    /// O.
    pub orientations: usize,
    /// How T comes from its parameter.
    pub temperature: Temperature,
    /// (N, F, O).
    pub codes: &'a [T],
    /// (N).
    pub logits: &'a [T],
    /// The parameter of T.
    pub t: T,
}

/// The energy, the reconstruction and the mean of the shifted codes (F, O).
pub fn forward<T: Real>(fit: &Fit<T>) -> (T, T, Vec<T>) {
    let size = fit.features * fit.orientations;
    let n = T::of(fit.logits.len() as f64);
    let temperature = fit.temperature.value(fit.t);
    let [still, ..] = taps(fit.orientations, T::zero(), temperature);
    let (mut norms, mut differences) = (T::zero(), T::zero());
    let mut mean = vec![T::zero(); size];
    for (code, &logit) in fit.codes.chunks_exact(size).zip(fit.logits) {
        let [c, ..] = taps(fit.orientations, angle(logit), temperature);
        for (mean, x) in mean.iter_mut().zip(relaxed(code, &c)) {
            norms += x * x;
            *mean += x / n;
        }
        for (x, &v) in relaxed(code, &still).into_iter().zip(code) {
            differences += (x - v) * (x - v);
        }
    }
    let two = T::of(2.0);
    let square: T = mean.iter().map(|&m| m * m).sum();
    (two / n * norms - two * square, differences / n, mean)
}

/// Gradients of `E + penalty Rec` by the logits (N) and by t.
pub fn backward<T: Real>(fit: &Fit<T>, penalty: T) -> (Vec<T>, T) {
    let (o, size) = (fit.orientations, fit.features * fit.orientations);
    let n = T::of(fit.logits.len() as f64);
    let temperature = fit.temperature.value(fit.t);
    let (_, _, mean) = forward(fit);
    let [still, _, still_by] = taps(o, T::zero(), temperature);
    let mut dtemperature = T::zero();
    let mut dlogits = Vec::new();
    for (code, &logit) in fit.codes.chunks_exact(size).zip(fit.logits) {
        let [c, by_angle, by_temperature] = taps(o, angle(logit), temperature);
        let dx: Vec<T> = relaxed(code, &c)
            .into_iter()
            .zip(&mean)
            .map(|(x, &m)| T::of(4.0) / n * (x - m))
            .collect();
        let along = |dx: &[T], by: &[T]| -> T {
            let moved = relaxed(code, by);
            dx.iter().zip(moved).map(|(&d, x)| d * x).sum()
        };
        let slope = T::of(TAU) * sigmoid(logit) * sigmoid(-logit);
        dlogits.push(along(&dx, &by_angle) * slope);
        let difference: Vec<T> = relaxed(code, &still)
            .into_iter()
            .zip(code)
            .map(|(x, &v)| T::of(2.0) * penalty / n * (x - v))
            .collect();
        dtemperature += along(&dx, &by_temperature) + along(&difference, &still_by);
    }
    (dlogits, dtemperature * fit.temperature.slope(fit.t))
}
