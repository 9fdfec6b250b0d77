//! How far each neuron's responses reach.

use ndarray::{ArrayView2, Axis, s};
use rayon::prelude::*;

/// Neurons that are looked at together.
const AT_ONCE: usize = 512;
/// Share of the recorded responses at the largest, from which it is likely a limit.
const OFTEN: f64 = 0.01;
/// Fewer than so many are chance.
const FEW: usize = 10;

/// Of one neuron; what was not recorded is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Responses.
    pub recorded: usize,
    /// The least.
    pub least: f32,
    /// The largest.
    pub most: f32,
    /// How often it came.
    pub at_most: usize,
    /// Whether all are whole numbers, as counts are.
    pub whole: bool,
}

impl Spread {
    const NOTHING: Self = Self {
        recorded: 0,
        least: f32::INFINITY,
        most: f32::NEG_INFINITY,
        at_most: 0,
        whole: true,
    };

    fn add(&mut self, response: f32) {
        if response.is_nan() {
            return;
        }
        self.recorded += 1;
        self.least = self.least.min(response);
        self.whole &= response.fract() == 0.0;
        if response > self.most {
            (self.most, self.at_most) = (response, 0);
        }
        self.at_most += usize::from(response == self.most);
    }

    pub fn is_unrecorded(&self) -> bool {
        self.recorded == 0
    }

    pub fn is_silent(&self) -> bool {
        self.recorded > 0 && self.least == 0.0 && self.most == 0.0
    }

    pub fn is_constant(&self) -> bool {
        self.recorded > 1 && self.least == self.most && self.most != 0.0
    }

    /// Counts have few values, of which the largest comes often by itself.
    pub fn is_saturated(&self) -> bool {
        let often = self.at_most >= FEW && self.at_most as f64 > OFTEN * self.recorded as f64;
        often && !self.whole && self.most > self.least
    }
}

/// Of each neuron of (trials, neurons).
pub(super) fn spreads(responses: ArrayView2<'_, f32>) -> Vec<Spread> {
    let mut all = vec![Spread::NOTHING; responses.ncols()];
    all.par_chunks_mut(AT_ONCE).enumerate().for_each(|(i, of)| {
        let first = i * AT_ONCE;
        let own = responses.slice(s![.., first..first + of.len()]);
        for trial in own.axis_iter(Axis(0)) {
            of.iter_mut().zip(trial).for_each(|(own, r)| own.add(*r));
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn silent_constant_saturated_and_unrecorded_neurons_are_told_apart() {
        let rows = 100;
        let kinds = Array2::from_shape_fn((rows, 7), |(t, n)| match n {
            0 => 0.0,
            1 => 2.5,
            2 => f32::NAN,
            3 => (0.1 * t as f32).min(8.0),
            4 => 0.1 * t as f32 - 1.0,
            5 => (t % 2) as f32,
            _ if t == 0 => 0.0,
            _ => f32::NAN,
        });
        let of = spreads(kinds.view());
        let are = |f: fn(&Spread) -> bool| -> Vec<bool> { of.iter().map(f).collect() };
        let only = |n: &[usize]| -> Vec<bool> { (0..7).map(|i| n.contains(&i)).collect() };
        assert_eq!(are(Spread::is_silent), only(&[0, 6]));
        assert_eq!(are(Spread::is_constant), only(&[1]));
        assert_eq!(are(Spread::is_unrecorded), only(&[2]));
        assert_eq!(are(Spread::is_saturated), only(&[3]));
        assert_eq!(are(|s| s.least < 0.0), only(&[4]));
        assert_eq!(of[6].recorded, 1);
    }
}
