//! The tables of `kernels/group_conv.cu`: operands, which number meets which weight, and what each weight is.

use super::Shape;
use super::factors::{Source, oriented};
use super::frequency::{self, packed};
use super::sizes::Sizes;
use crate::ops::basis::{Basis, Kind};
use std::f64::consts::TAU;

/// What of the coefficients a weight is the sum of: the two functions of one spectrum, each with all input orientations.
pub type Terms = [(usize, Vec<f64>); 2];

/// The packed DFT by unit: frequencies 0 and O/2 (zeros for odd O), then the two parts of each other one.
pub fn transform(o: usize) -> Vec<f32> {
    let packed = frequency::transform(o);
    let mut matrix = packed[..o].to_vec();
    if o.is_multiple_of(2) {
        matrix.extend_from_slice(&packed[(o - 1) * o..]);
        matrix.extend_from_slice(&packed[o..(o - 1) * o]);
    } else {
        matrix.extend(vec![0.0; o]);
        matrix.extend_from_slice(&packed[o..]);
    }
    matrix
}

/// The two functions of each slot: a cosine and a sine, then round ones two by two.
fn slots(basis: &Basis) -> Vec<[Option<usize>; 2]> {
    let of = |kind| {
        let indices = 0..basis.len();
        indices.filter(move |&j| basis.functions[j].kind == kind)
    };
    let pairs = of(Kind::Cosine).map(|j| [Some(j), Some(j + 1)]);
    let round: Vec<usize> = of(Kind::Round).collect();
    let rounds = round.chunks(2).map(|r| [Some(r[0]), r.get(1).copied()]);
    pairs.chain(rounds).collect()
}

/// The basis as right operands: (tap step, function step, lane, pair of taps).
pub fn taps(sizes: &Sizes, basis: &Basis) -> Vec<f32> {
    let k = basis.width;
    let per_row = k.div_ceil(2);
    let slots = slots(basis);
    let mut out = Vec::new();
    for step in 0..sizes.taps {
        for n in 0..sizes.slots {
            for lane in 0..32 {
                let (function, pair) = (lane / 4, step * 4 + lane % 4);
                let slot = slots.get(n * 4 + function / 2);
                for i in 0..2 {
                    let (row, column) = (pair / per_row, pair % per_row * 2 + i);
                    let j = slot.and_then(|s| s[function % 2]);
                    out.push(match j {
                        Some(j) if row < k && column < k => {
                            basis.filters[(j * k + row) * k + column] as f32
                        }
                        _ => 0.0,
                    });
                }
            }
        }
    }
    out
}

/// The same for float32, (pair of function steps, tap, lane of four, step of the pair, 2).
pub fn plain_taps(sizes: &Sizes, basis: &Basis) -> Vec<f32> {
    let area = basis.width * basis.width;
    let slots = slots(basis);
    let mut out = Vec::new();
    for i in 0..sizes.slots * area * 8 {
        let (function, step, lane) = (i % 2, i / 2 % 2, i / 4 % 4);
        let (tap, pair) = (i / 16 % area, i / 16 / area);
        let slot = slots.get((pair * 2 + step) * 4 + lane);
        let j = slot.and_then(|s| s[function]);
        out.push(j.map_or(0.0, |j| basis.filters[j * area + tap] as f32));
    }
    out
}

/// Which number meets which weight where.
pub struct Mix {
    /// (unit, slot, 2): the step to which each of a slot's two numbers goes, with a sign for its second part.
    pub places: Vec<u32>,
    /// (step, slot in the step, 2): what each weight is.
    pub weights: Vec<Option<Source>>,
}

impl Mix {
    pub fn new(s: &Shape, sizes: &Sizes, basis: &Basis) -> Self {
        let o = s.orientations;
        let per_unit = sizes.slots * 4;
        let step =
            |unit: usize, half: usize, slot: usize| (unit * 2 + half) * sizes.slots + slot / 4;
        // What no frequency takes, of round functions and of none, goes to its own unit, where weights are zero.
        let places = (0..sizes.units * per_unit * 2)
            .map(|i| step(i / 2 / per_unit, i % 2, i / 2 % per_unit) as u32)
            .collect();
        let mut mix = Self {
            places,
            weights: vec![None; sizes.steps() * 4 * 2],
        };
        let mut spectrum = 0;
        let slots = slots(basis);
        for (j, function) in basis.functions.iter().enumerate() {
            let sine = match function.kind {
                Kind::Sine => continue,
                Kind::Cosine => Some(j + 1),
                Kind::Round => None,
            };
            let find = |s: &[Option<usize>; 2]| s.contains(&Some(j));
            let slot = slots.iter().position(find).unwrap_or(0);
            let element = usize::from(slots[slot][1] == Some(j));
            for k in 0..=o / 2 {
                let (mut single, mut factors) = (Vec::new(), Vec::new());
                let functions = (j, sine);
                let m = basis.len();
                let order = function.order;
                oriented(
                    o,
                    k,
                    spectrum,
                    functions,
                    order,
                    m,
                    &mut single,
                    &mut factors,
                );
                let real = packed(o, k).imaginary.is_none();
                let unit = if real { 0 } else { k };
                for (_, _, source) in single {
                    let step = step(0, usize::from(k > 0), slot);
                    mix.weights[(step * 4 + slot % 4) * 2 + element] = Some(source);
                }
                for (i, factor) in factors.into_iter().enumerate() {
                    let half = match (real, sine) {
                        (true, _) => usize::from(k > 0),
                        (false, Some(_)) => i,
                        (false, None) => element,
                    };
                    let step = step(unit, half, slot);
                    let weights = &mut mix.weights[(step * 4 + slot % 4) * 2..][..2];
                    weights[0] = Some(factor.real);
                    weights[1] = Some(factor.imaginary.times(-1.0));
                    let number = &factor.number;
                    let (from, which) = match (packed(o, number.group).imaginary, sine) {
                        (None, _) => (0, usize::from(number.group > 0)),
                        (Some(_), None) => (number.group, element),
                        (Some(_), Some(_)) => {
                            let plus = number.real.second.is_some_and(|(_, sign)| sign > 0.0);
                            (number.group, usize::from(!plus))
                        }
                    };
                    let sign = u32::from(number.flip < 0.0) << 31;
                    mix.places[(from * per_unit + slot) * 2 + which] = step as u32 | sign;
                }
            }
            spectrum += 1;
        }
        mix
    }
}

/// A part of a spectrum as a sum over coefficients.
pub fn terms(source: &Option<Source>, o: usize, basis: &Basis) -> Terms {
    let nothing = || vec![0.0; o];
    let Some(source) = source else {
        return [(0, nothing()), (0, nothing())];
    };
    let mut cosines_and_rounds =
        (0..basis.len()).filter(|&j| basis.functions[j].kind != Kind::Sine);
    let j = cosines_and_rounds.nth(source.spectrum).unwrap_or_default();
    let wave = |shift: f64| {
        let at = |s: usize| TAU * (source.frequency * s % o) as f64 / o as f64 + shift;
        (0..o).map(|s| source.factor * at(s).cos()).collect()
    };
    // c_r + i c_i times cos - i sin.
    let quarter = TAU / 4.0;
    let (real, imaginary) = if source.imaginary {
        (wave(quarter), wave(0.0))
    } else {
        (wave(0.0), wave(-quarter))
    };
    if basis.functions[j].kind == Kind::Round {
        [(j, real), (0, nothing())]
    } else {
        [(j, real), (j + 1, imaginary)]
    }
}

/// The same sum over the layer's coefficients instead of its adjoint's: `C'[j, d] = (-1)^rank [R(phi_d) C[., -d]]_j`.
pub fn transposed([(j, a), (j_next, b)]: Terms, basis: &Basis) -> Terms {
    let o = a.len();
    let function = &basis.functions[j];
    let parity = if function.rank.is_multiple_of(2) {
        1.0
    } else {
        -1.0
    };
    let mut to = [vec![0.0; o], vec![0.0; o]];
    for d in 0..o {
        let (sin, cos) = (function.order as f64 * TAU * d as f64 / o as f64).sin_cos();
        let s = (o - d) % o;
        to[0][s] = parity * (cos * a[d] - sin * b[d]);
        to[1][s] = parity * (sin * a[d] + cos * b[d]);
    }
    let [first, second] = to;
    [(j, first), (j_next, second)]
}
