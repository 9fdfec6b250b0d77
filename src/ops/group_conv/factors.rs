//! What enters an output frequency: numbers of the expansion and the parts of the coefficients' spectra that they meet.

use super::frequency::packed;

/// A part of one frequency of one coefficient spectrum, times a factor.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub spectrum: usize,
    pub frequency: usize,
    pub imaginary: bool,
    pub factor: f64,
}

impl Source {
    pub fn times(self, factor: f64) -> Self {
        Self {
            factor: self.factor * factor,
            ..self
        }
    }
}

/// A response, plus or minus another: indices into a group's responses (component, function).
#[derive(Clone, Copy, Debug)]
pub struct Combination {
    pub first: usize,
    pub second: Option<(usize, f32)>,
}

/// A complex number of the expansion, divided by its input frequency's scale: real + i flip imaginary.
pub struct Number {
    /// Folded input frequency.
    pub group: usize,
    pub real: Combination,
    pub imaginary: Combination,
    pub flip: f32,
}

/// Its product with the coefficients goes to one output frequency.
pub struct Factor {
    pub number: Number,
    pub real: Source,
    pub imaginary: Source,
}

/// Group, response and coefficient of a round function at a real frequency.
pub type Single = (usize, usize, Source);

/// What enters output frequency k from one spectrum, oriented input: numbers with complex coefficients, or, for a round
/// function at a real frequency, a response (group, response) with a real one. `m` functions make a component.
#[allow(clippy::too_many_arguments)]
pub fn oriented(
    o: usize,
    k: usize,
    spectrum: usize,
    (real, imaginary): (usize, Option<usize>),
    order: usize,
    m: usize,
    single: &mut Vec<Single>,
    factors: &mut Vec<Factor>,
) {
    let out = packed(o, k);
    let source = |frequency, imaginary, factor| Source {
        spectrum,
        frequency,
        imaginary,
        factor,
    };
    let plain = |first| Combination {
        first,
        second: None,
    };
    let Some(sine) = imaginary else {
        let v = (o - k) % o;
        match out.imaginary {
            None => single.push((k, real, source(v, false, 1.0))),
            Some(_) => factors.push(Factor {
                number: Number {
                    group: k,
                    real: plain(real),
                    imaginary: plain(m + real),
                    flip: 1.0,
                },
                real: source(v, false, 1.0),
                imaginary: source(v, true, 1.0),
            }),
        }
        return;
    };
    // D = B_r - i B_i at frequency u (direction -1) or its conjugate's spectrum B_r + i B_i (direction 1).
    let number = |u: usize, direction: f32| match packed(o, u).imaginary {
        Some((_, sign)) => Number {
            group: u.min(o - u),
            real: Combination {
                first: real,
                second: Some((m + sine, -direction * sign)),
            },
            imaginary: Combination {
                first: m + real,
                second: Some((sine, direction * sign)),
            },
            flip: sign,
        },
        None => Number {
            group: u.min(o - u),
            real: plain(real),
            imaginary: plain(sine),
            flip: direction,
        },
    };
    // Packed = true spectrum / scale, on both sides.
    let scale = |u| packed(o, u).scale / out.scale;
    let u = (k + order) % o;
    let v = (o - u) % o;
    // At a real frequency the two halves are each other's conjugate: twice the real part of the first.
    let half = if out.imaginary.is_none() { 1.0 } else { 0.5 };
    factors.push(Factor {
        number: number(u, -1.0),
        real: source(v, false, half * scale(u)),
        imaginary: source(v, true, half * scale(u)),
    });
    if out.imaginary.is_some() {
        let w = (k + o * order - order) % o;
        factors.push(Factor {
            number: number(w, 1.0),
            real: source(w, false, half * scale(w)),
            imaginary: source(w, true, -half * scale(w)),
        });
    }
}

/// What enters output frequency k from one spectrum, an image as input.
pub fn image(
    o: usize,
    k: usize,
    spectrum: usize,
    (real, imaginary): (usize, Option<usize>),
    order: usize,
    single: &mut Vec<Single>,
    factors: &mut Vec<Factor>,
) {
    let m = order % o;
    if m.min(o - m) != k {
        return;
    }
    let scale = packed(o, k).scale;
    let source = |imaginary, factor| Source {
        spectrum,
        frequency: 0,
        imaginary,
        factor,
    };
    let plain = |first| Combination {
        first,
        second: None,
    };
    let Some(sine) = imaginary else {
        single.push((0, real, source(false, scale)));
        return;
    };
    // Frequency k takes conj(z D) where m = k, z D where m = -k, and twice the real part where both hold.
    let direction = if m == k { -1.0 } else { 1.0 };
    factors.push(Factor {
        number: Number {
            group: 0,
            real: plain(real),
            imaginary: plain(sine),
            flip: -direction,
        },
        real: source(false, scale),
        imaginary: source(true, f64::from(direction) * scale),
    });
}
