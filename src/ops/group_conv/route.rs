//! The tables of `kernels/group_conv_eight.cu`: which functions are a slot, which numbers meet in an output unit, and what each
//! weight is. Its header has the words used here. `eight_gradient.rs` makes its own of the same parts.

use super::factors::{Factor, Source, oriented};
use super::frequency::packed;
use super::mix::{Terms, terms};
use crate::ops::basis::{Basis, Kind};

/// Orientations.
const O: usize = 8;

/// Two functions: a cosine and its sine, or round ones.
pub type Slot = [Option<usize>; 2];

/// Four slots with odd orders, then four with even ones.
pub fn slots(basis: &Basis) -> [Option<Slot>; 8] {
    let of = |kind, order| {
        let all = basis.functions.iter().enumerate();
        all.filter(move |(_, f)| f.kind == kind && f.order == order)
            .map(|(j, _)| j)
    };
    let pairs = |order| of(Kind::Cosine, order).map(|j| [Some(j), Some(j + 1)]);
    let round: Vec<usize> = of(Kind::Round, 0).collect();
    let mut rounds = round.chunks(2).map(|r| [Some(r[0]), r.get(1).copied()]);
    let mut all = [None; 8];
    all[4] = rounds.next();
    for (to, slot) in all[..4]
        .iter_mut()
        .zip(pairs(1).chain(pairs(3)).chain(rounds))
    {
        *to = Some(slot);
    }
    for (to, slot) in all[5..7].iter_mut().zip(pairs(2)) {
        *to = Some(slot);
    }
    all[7] = pairs(4).next();
    all
}

/// The forward pass has the sign of order 3's sines turned, so that plus goes to the unit to which it goes from order 1.
fn mirror(order: usize) -> f64 {
    if order == 3 { -1.0 } else { 1.0 }
}

/// Which unit's number, and whether it is minus, enters the product of `unit` in lane `lane`, of the odd slots or of the even ones.
fn route(unit: usize, odd: bool, half: usize, lane: usize, order: usize) -> (usize, bool) {
    let minus = half == 1;
    if order == 0 {
        return (unit, minus);
    }
    let choose = |first, second| if minus { second } else { first };
    match (odd, unit) {
        (true, 0) => choose((1, false), (3, true)),
        (true, 1) => choose((0, false), (2, false)),
        (true, 2) => choose((1, true), (3, false)),
        (true, _) => choose((0, true), (2, true)),
        (false, 1 | 3) => {
            let (first, second) = match (unit, lane) {
                (1, 3) => ((3, true), (3, false)),
                (1, _) => ((1, false), (3, false)),
                (_, 3) => ((1, true), (1, false)),
                (_, _) => ((1, true), (3, true)),
            };
            choose(first, second)
        }
        (false, _) => (
            (if lane == 1 || lane == 2 {
                2 - unit
            } else {
                unit
            }),
            minus,
        ),
    }
}

/// The basis as right operands: of even pixels and of odd ones, which come one tap earlier in their pairs; (2, tap step, group, half
/// of `halves`, lane, pair of taps).
pub fn taps(basis: &Basis, halves: usize) -> Vec<f32> {
    let k = basis.width;
    let per_row = k.div_ceil(2);
    let steps = (k * per_row).div_ceil(4 * halves);
    let slots = slots(basis);
    let mut out = Vec::new();
    for i in 0..2 * steps * 2 * halves * 32 * 2 {
        let (tap, lane, half) = (i % 2, i / 2 % 32, i / 64 % halves);
        let (group, step, parity) = (
            i / 64 / halves % 2,
            i / 128 / halves % steps,
            i / 128 / halves / steps,
        );
        let function = slots[group * 4 + lane / 8].and_then(|s| s[lane / 4 % 2]);
        let pair = (step * halves + half) * 4 + lane % 4;
        let (row, column) = (
            pair / per_row,
            (pair % per_row * 2 + tap).checked_sub(parity),
        );
        out.push(match (function, column) {
            (Some(j), Some(column)) if row < k && column < k => {
                let f = &basis.functions[j];
                let sign = if f.kind == Kind::Sine {
                    mirror(f.order)
                } else {
                    1.0
                };
                (sign * basis.filters[(j * k + row) * k + column]) as f32
            }
            _ => 0.0,
        });
    }
    out
}

/// The kernel's transforms leave out the scale.
fn scale(frequency: usize) -> f64 {
    1.0 / packed(O, frequency).scale
}

/// Collects what the weights (unit, group, part, half, lane, element) are sums of.
pub struct Weights<'a> {
    basis: &'a Basis,
    sources: Vec<Vec<Source>>,
}

/// The place of a complex number's weights.
#[derive(Clone, Copy)]
pub struct Place {
    pub unit: usize,
    pub group: usize,
    pub half: usize,
    pub lane: usize,
}

impl Place {
    /// Where a weight is among all.
    pub fn row(&self, part: usize, element: usize) -> usize {
        let step = ((self.unit * 2 + self.group) * 2 + part) * 2 + self.half;
        (step * 4 + self.lane) * 2 + element
    }
}

impl<'a> Weights<'a> {
    pub fn new(basis: &'a Basis) -> Self {
        Self {
            basis,
            sources: vec![Vec::new(); 4 * 2 * 2 * 2 * 4 * 2],
        }
    }

    fn add(&mut self, at: Place, part: usize, element: usize, source: Source) {
        self.sources[at.row(part, element)].push(source);
    }

    /// What a function contributes to frequency k.
    fn factors(&self, k: usize, j: usize) -> (Option<Source>, Vec<Factor>) {
        let function = &self.basis.functions[j];
        let before = self.basis.functions[..j].iter();
        let spectrum = before.filter(|f| f.kind != Kind::Sine).count();
        let sine = (function.kind == Kind::Cosine).then_some(j + 1);
        let (mut single, mut factors) = (Vec::new(), Vec::new());
        oriented(
            O,
            k,
            spectrum,
            (j, sine),
            function.order,
            self.basis.len(),
            &mut single,
            &mut factors,
        );
        (single.first().map(|s| s.2), factors)
    }

    /// Of round functions: of frequencies 0 and 4 the pairs as they are, of others x = (plus + minus) / 2 and y = i (plus - minus) / 2.
    pub fn round(&mut self, at: Place, k: usize, slot: Slot, minus: bool) {
        let own = scale(k) * scale(k);
        if at.unit == 0 {
            if minus == (k == 4) {
                for (element, j) in slot.iter().enumerate() {
                    if let Some(source) = j.and_then(|j| self.factors(k, j).0) {
                        self.add(at, usize::from(minus), element, source.times(own));
                    }
                }
            }
            return;
        }
        // One alone is plus, and minus too.
        let (alone, turn) = (slot[1].is_none(), if minus { -1.0 } else { 1.0 });
        if alone && minus {
            return;
        }
        let share = if alone { own } else { own / 2.0 };
        for (second, j) in slot.iter().enumerate() {
            let Some(factor) = j.and_then(|j| self.factors(k, j).1.pop()) else {
                continue;
            };
            let (real, imaginary) = if second == 0 {
                (factor.real.times(share), factor.imaginary.times(share))
            } else {
                let share = share * turn;
                (factor.imaginary.times(-share), factor.real.times(share))
            };
            self.add(at, 0, 0, real);
            self.add(at, 1, 1, real);
            self.add(at, 0, 1, imaginary.times(-1.0));
            self.add(at, 1, 0, imaginary);
        }
    }

    /// Of a cosine and its sine, which has the sign `mirror`.
    pub fn pair(
        &mut self,
        at: Place,
        k: usize,
        j: usize,
        (from, minus): (usize, bool),
        mirror: f64,
    ) {
        for factor in self.factors(k, j).1 {
            let number = &factor.number;
            let (matches, turn) = match number.real.second {
                None => (from == 0 && minus == (number.group == 4), mirror),
                Some((_, sign)) => {
                    let plus = f64::from(sign) * mirror > 0.0;
                    (from == number.group && plus != minus, 1.0)
                }
            };
            if !matches {
                continue;
            }
            let scale = scale(number.group) * scale(k);
            let flip = f64::from(number.flip) * turn * scale;
            let (real, imaginary) = (factor.real, factor.imaginary);
            let part = usize::from(at.unit == 0 && k == 4);
            self.add(at, part, 0, real.times(scale));
            self.add(at, part, 1, imaginary.times(-flip));
            if at.unit > 0 {
                self.add(at, 1, 0, imaginary.times(scale));
                self.add(at, 1, 1, real.times(flip));
            }
        }
    }

    /// What each weight is.
    pub fn terms(&self) -> Vec<Terms> {
        let one = |source: Option<&Source>| terms(&source.copied(), O, self.basis);
        (self.sources.iter())
            .map(|sources| match &sources[..] {
                // Round functions, which have one term each.
                [first, second] => {
                    let ([a, _], [b, _]) = (one(Some(first)), one(Some(second)));
                    [a, b]
                }
                sources => one(sources.first()),
            })
            .collect()
    }
}

/// Those of the forward pass.
pub fn weights(basis: &Basis) -> Vec<Terms> {
    let mut weights = Weights::new(basis);
    let slots = slots(basis);
    for i in 0..4 * 2 * 2 * 4 {
        let (unit, group, half, lane) = (i / 16, i / 8 % 2, i / 4 % 2, i % 4);
        let Some(slot @ [Some(j), _]) = slots[group * 4 + lane] else {
            continue;
        };
        let at = Place {
            unit,
            group,
            half,
            lane,
        };
        let order = basis.functions[j].order;
        let (from, minus) = route(unit, group == 0, half, lane, order);
        // Order 3 has them exchanged on its way from units 0 and 2.
        let exchanged = order == 3 && from % 2 == 0;
        let frequencies: &[usize] = if unit == 0 { &[0, 4] } else { &[unit] };
        for &k in frequencies {
            if order == 0 {
                weights.round(at, k, slot, minus);
            } else {
                weights.pair(at, k, j, (from, minus != exchanged), mirror(order));
            }
        }
    }
    weights.terms()
}
