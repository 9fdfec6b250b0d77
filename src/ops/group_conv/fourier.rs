//! The Fourier form on a device: its tables and its launches. `kernels/group_conv.cu` has the tiling and the words used here.

use super::Shape;
use super::factors::{Source, oriented};
use super::frequency::{self, packed};
use super::plan::Plan;
use crate::device::{Array, Device, View, ViewMut};
use crate::kernels::group_conv as kernels;
use crate::ops::basis::{Basis, Kind};
use crate::ops::norm::Finish;
use std::f64::consts::TAU;

/// Constants of one direction.
#[derive(Clone, Debug)]
pub struct Fourier {
    /// Of this direction.
    shape: Shape,
    /// Whether it is the adjoint's: coefficients come with input and output features exchanged.
    adjoint: bool,
    sizes: Sizes,
    transform: Array,
    basis: Array,
    places: Array<u32>,
    factors: Array,
    functions: Array<u32>,
}

/// How the kernels cut the work.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    units: usize,
    /// Steps of taps' pairs.
    taps: usize,
    /// Steps of functions.
    slots: usize,
    /// Rows of a tile.
    rows: usize,
}

impl Sizes {
    /// None where the kernels' shared memory does not do, and where the direct path is the faster one.
    fn new(s: &Shape) -> Option<Self> {
        let (o, k) = (s.orientations, s.kernel);
        if !s.oriented_input || !matches!(k, 3 | 5 | 7) {
            return None;
        }
        if !(4..=kernels::GROUP_CONV_ORIENTATIONS).contains(&o) {
            return None;
        }
        let units = o.div_ceil(2);
        let pairs = k * k.div_ceil(2);
        let slots = if k == 7 { 4 } else { 2 };
        let fits = |rows: usize| {
            let halo = 2 * units * (rows + k - 1) * 24;
            let numbers = 2 * units * slots * rows * 32 * 4;
            let sums = 2 * units * kernels::GROUP_CONV_FEATURES * rows * 16;
            halo <= kernels::GROUP_CONV_HALO && numbers.max(sums) <= kernels::GROUP_CONV_NUMBERS
        };
        let rows = [4, 2, 1].into_iter().find(|&rows| fits(rows))?;
        Some(Self {
            units,
            taps: pairs.div_ceil(8) * 2,
            slots,
            rows,
        })
    }

    /// Of all units together.
    fn steps(&self) -> usize {
        self.units * 2 * self.slots
    }
}

/// What of the coefficients a weight is the sum of: the two functions of one spectrum, each with all input orientations.
type Terms = [(usize, Vec<f64>); 2];

impl Fourier {
    pub fn new(device: &Device, plan: &Plan, basis: &Basis, adjoint: bool) -> Option<Self> {
        let s = plan.shape;
        let sizes = Sizes::new(&s)?;
        let mix = Mix::new(&s, &sizes, basis);
        let mut factors = Vec::new();
        let mut functions = Vec::new();
        for source in &mix.weights {
            let mut terms = terms(source, s.orientations, basis);
            if adjoint {
                terms = transposed(terms, basis);
            }
            for (function, values) in terms {
                functions.push(function as u32);
                factors.extend(values.into_iter().map(|v| v as f32));
            }
        }
        let upload = |values: &[f32]| device.upload(values, &[values.len()]);
        Some(Self {
            shape: s,
            adjoint,
            sizes,
            transform: upload(&transform(s.orientations)),
            basis: upload(&taps(&sizes, basis)),
            places: device.upload(&mix.places, &[mix.places.len()]),
            factors: upload(&factors),
            functions: device.upload(&functions, &[functions.len()]),
        })
    }

    /// Writes y, or with an ending what it makes of it.
    pub fn run(
        &self,
        device: &Device,
        batch: usize,
        x: View,
        c: View,
        ending: Option<&Finish>,
        mut y: ViewMut,
    ) {
        let (s, sizes) = (&self.shape, &self.sizes);
        let chunks = s.out_features.div_ceil(kernels::GROUP_CONV_FEATURES);
        let lanes = s.in_features * sizes.steps() * chunks * 2 * 32;
        let (in_stride, out_stride) = if self.adjoint {
            (1, s.in_features)
        } else {
            (s.out_features, 1)
        };
        // Two words per lane, one in BF16.
        device.scratch(2 * lanes, |mut weights| {
            kernels::group_conv_weights(
                device,
                [lanes.div_ceil(kernels::GROUP_CONV_THREADS), 1, 1],
                self.factors.view(),
                self.functions.view(),
                c,
                weights.reborrow(),
                s.orientations,
                sizes.steps(),
                s.in_features,
                s.out_features,
                in_stride,
                out_stride,
            );
            let kernel = match s.kernel {
                3 => kernels::group_conv_forward_3,
                5 => kernels::group_conv_forward_5,
                _ => kernels::group_conv_forward_7,
            };
            let direct = s.direct();
            let tiles = direct.out_height().div_ceil(sizes.rows)
                * direct.out_width().div_ceil(kernels::GROUP_CONV_COLUMNS);
            let none = self.transform.view();
            let (mean, variance) = ending.map_or((none, none), |f| f.statistics);
            let gain = ending.and_then(|f| f.affine.gain);
            let offset = ending.map_or(none, |f| f.affine.offset);
            kernel(
                device,
                [batch * tiles, chunks, 1],
                x,
                self.transform.view(),
                self.basis.view(),
                self.places.view(),
                weights.read(),
                mean,
                variance,
                gain.unwrap_or(none),
                offset,
                y.reborrow(),
                s.orientations,
                s.in_features,
                s.out_features,
                s.height,
                s.width,
                s.padding,
                sizes.rows,
                offset.len(),
                usize::from(gain.is_some()),
                ending.map_or(0, |f| f.activation.code() + 1),
            );
        });
    }
}

/// The packed DFT by unit: frequencies 0 and O/2 (zeros for odd O), then the two parts of each other one.
fn transform(o: usize) -> Vec<f32> {
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
fn taps(sizes: &Sizes, basis: &Basis) -> Vec<f32> {
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

/// Which number meets which weight where.
struct Mix {
    /// (unit, slot, 2): the step to which each of a slot's two numbers goes, with a sign for its second part.
    places: Vec<u32>,
    /// (step, slot in the step, 2): what each weight is.
    weights: Vec<Option<Source>>,
}

impl Mix {
    fn new(s: &Shape, sizes: &Sizes, basis: &Basis) -> Self {
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
fn terms(source: &Option<Source>, o: usize, basis: &Basis) -> Terms {
    let nothing = || vec![0.0; o];
    let Some(source) = source else {
        return [(0, nothing()), (0, nothing())];
    };
    let cosines_and_rounds = (0..basis.len()).filter(|&j| basis.functions[j].kind != Kind::Sine);
    let j = cosines_and_rounds
        .skip(source.spectrum)
        .next()
        .unwrap_or_default();
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
fn transposed([(j, a), (j_next, b)]: Terms, basis: &Basis) -> Terms {
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
