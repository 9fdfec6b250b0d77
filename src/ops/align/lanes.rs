//! A block of neurons in vectors: their angles, the weights of their shifts, and those weights' spectrum.

use super::{Codes, LANES, Shape};
use crate::ops::activation::vector::{exp_negative, polynomial, sigmoid};
use pulp::Simd;
use std::f32::consts::{PI, TAU};

/// One block's data: neurons in the fastest axis.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub shape: &'a Shape,
    /// (O, F, LANES).
    pub spectra: &'a [f32],
    /// (O / 2 + 1, LANES).
    pub power: &'a [f32],
    /// (2 + O, O).
    pub circle: &'a [f32],
}

/// What the lanes of one block and fit are: c (O, LANES), its spectrum (O, LANES), sine and cosine of the angle, and the
/// angle's slope by its logit (each LANES).
pub struct Lanes<'s> {
    pub taps: &'s mut [f32],
    pub turns: &'s mut [f32],
    pub sine: &'s mut [f32],
    pub cosine: &'s mut [f32],
    pub slope: &'s mut [f32],
}

impl<'s> Lanes<'s> {
    pub fn len(orientations: usize) -> usize {
        (2 * orientations + 3) * LANES
    }

    pub fn new(orientations: usize, scratch: &'s mut [f32]) -> Self {
        let (taps, rest) = scratch.split_at_mut(orientations * LANES);
        let (turns, rest) = rest.split_at_mut(orientations * LANES);
        let (sine, rest) = rest.split_at_mut(LANES);
        let (cosine, slope) = rest.split_at_mut(LANES);
        Self {
            taps,
            turns,
            sine,
            cosine,
            slope,
        }
    }
}

/// sin(pi v) / v and cos(pi v) in powers of v^2, for v in [-1/2, 1/2].
const SINE: [f32; 7] = [
    4.663_028e-4,
    -7.370_431e-3,
    8.214_588_7e-2,
    -5.992_645e-1,
    2.550_164,
    -5.167_712_8,
    PI,
];
const COSINE: [f32; 8] = [
    -1.046_381_1e-4,
    1.929_574_3e-3,
    -2.580_689e-2,
    2.353_306_3e-1,
    -1.335_262_8,
    4.058_712,
    -4.934_802,
    1.0,
];

/// Whole vectors of a row of lanes.
#[inline(always)]
pub fn vectors<S: Simd>(row: &[f32]) -> &[S::f32s] {
    S::as_simd_f32s(row).0
}

#[inline(always)]
pub fn vectors_mut<S: Simd>(row: &mut [f32]) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(row).0
}

impl Block<'_> {
    /// Angles, taps and turns of the logits at temperature T. `o` is the shape's, known to the compiler where it is 8.
    #[inline(always)]
    pub fn lanes<S: Simd>(
        &self,
        simd: S,
        o: usize,
        logits: &[f32],
        temperature: f32,
        lanes: &mut Lanes,
    ) {
        let (one, half) = (simd.splat_f32s(1.0), simd.splat_f32s(0.5));
        let (two, zero) = (simd.splat_f32s(2.0), simd.splat_f32s(0.0));
        let temperature = simd.splat_f32s(temperature);
        let many = LANES / S::F32_LANES;
        let circle = &self.circle[..(2 + o) * o];
        let logits = &vectors::<S>(logits)[..many];
        let taps = &mut vectors_mut::<S>(lanes.taps)[..o * many];
        let turns = &mut vectors_mut::<S>(lanes.turns)[..o * many];
        let sines = &mut vectors_mut::<S>(lanes.sine)[..many];
        let cosines = &mut vectors_mut::<S>(lanes.cosine)[..many];
        let slopes = &mut vectors_mut::<S>(lanes.slope)[..many];
        for v in 0..many {
            let part = sigmoid(simd, logits[v]);
            let slope = simd.mul_f32s(part, simd.sub_f32s(one, part));
            slopes[v] = simd.mul_f32s(slope, simd.splat_f32s(TAU));
            // Of half the angle, less a quarter turn.
            let turn = simd.sub_f32s(part, half);
            let square = simd.mul_f32s(turn, turn);
            let s = simd.mul_f32s(polynomial(simd, &SINE, square), turn);
            let c = polynomial(simd, &COSINE, square);
            let sine = simd.neg_f32s(simd.mul_f32s(two, simd.mul_f32s(s, c)));
            let cosine = simd.mul_add_e_f32s(two, simd.mul_f32s(s, s), simd.neg_f32s(one));
            (sines[v], cosines[v]) = (sine, cosine);
            let mut largest = simd.neg_f32s(one);
            for i in 0..o {
                let along = simd.mul_f32s(cosine, simd.splat_f32s(circle[i]));
                let tap = simd.mul_add_e_f32s(sine, simd.splat_f32s(circle[o + i]), along);
                taps[i * many + v] = tap;
                largest = simd.max_f32s(largest, tap);
            }
            let mut total = zero;
            for i in 0..o {
                let below = simd.min_f32s(simd.sub_f32s(taps[i * many + v], largest), zero);
                let tap = exp_negative(simd, simd.mul_f32s(below, temperature));
                total = simd.add_f32s(total, tap);
                taps[i * many + v] = tap;
            }
            let share = simd.div_f32s(one, total);
            for i in 0..o {
                taps[i * many + v] = simd.mul_f32s(taps[i * many + v], share);
            }
            turns[v] = one;
            for component in 1..o {
                let mut sum = zero;
                for i in 0..o {
                    let weight = simd.splat_f32s(circle[(2 + component) * o + i]);
                    sum = simd.mul_add_e_f32s(taps[i * many + v], weight, sum);
                }
                turns[component * many + v] = sum;
            }
        }
    }

    /// A component's neurons, for one feature.
    #[inline(always)]
    pub fn row<S: Simd>(&self, component: usize, feature: usize) -> &[S::f32s] {
        let at = (component * self.shape.features + feature) * LANES;
        &vectors::<S>(&self.spectra[at..at + LANES])[..LANES / S::F32_LANES]
    }
}

/// Components of each frequency: alone (constant, alternating) or cosine and sine.
pub fn frequencies(orientations: usize) -> impl Iterator<Item = (usize, bool)> {
    let alternating =
        (orientations > 1 && orientations.is_multiple_of(2)).then(|| orientations - 1);
    let pairs = (1..=(orientations - 1) / 2).map(|k| (2 * k - 1, true));
    let alone = std::iter::once((0, false));
    alone.chain(pairs).chain(alternating.map(|c| (c, false)))
}

impl Codes {
    pub fn block<'a>(&'a self, shape: &'a Shape, block: usize) -> Block<'a> {
        let o = shape.orientations;
        let (spectra, power) = (o * shape.features * LANES, (o / 2 + 1) * LANES);
        Block {
            shape,
            spectra: &self.spectra.view().host()[block * spectra..][..spectra],
            power: &self.power.view().host()[block * power..][..power],
            circle: self.circle.view().host(),
        }
    }
}
