//! Codes as sums of waves around the circle, which turn by any angle.

use crate::ops::Real as _;
use ndarray::ArrayView2;
use std::f64::consts::TAU;

/// A code's spectrum: per frequency k = 0 ..= O / 2 and feature the sums of `v cos` and of `v sin`, in an orthonormal basis.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    pub features: usize,
    pub orientations: usize,
    /// (O / 2 + 1, F), cosine and sine.
    pub waves: Vec<[f64; 2]>,
}

/// `sum_k p_k cos(k a) + q_k sin(k a)`, how alike two codes are over the angle.
pub(super) struct Likeness(pub Vec<[f64; 2]>);

impl Spectrum {
    /// Of a code (F, O).
    pub fn new(code: ArrayView2<f32>) -> Self {
        let (features, o) = code.dim();
        let circle: Vec<(f64, f64)> = (0..o)
            .map(|i| (TAU * i as f64 / o as f64).sin_cos())
            .collect();
        let mut waves = Vec::with_capacity((o / 2 + 1) * features);
        for k in 0..=o / 2 {
            let alone = k == 0 || 2 * k == o;
            let norm = (if alone { 1.0 } else { 2.0 } / o as f64).sqrt();
            for row in code.outer_iter() {
                let (mut cosine, mut sine) = (0.0, 0.0);
                for (i, v) in row.iter().enumerate() {
                    let (s, c) = circle[k * i % o];
                    cosine += v.f64() * c;
                    sine += v.f64() * s;
                }
                let sine = if alone { 0.0 } else { sine };
                waves.push([norm * cosine, norm * sine]);
            }
        }
        Self {
            features,
            orientations: o,
            waves,
        }
    }

    /// All zeros.
    pub fn zero(features: usize, orientations: usize) -> Self {
        Self {
            features,
            orientations,
            waves: vec![[0.0; 2]; (orientations / 2 + 1) * features],
        }
    }

    /// Without the alternating wave, which has no angle.
    pub fn drop_alternating(&mut self) {
        if self.orientations.is_multiple_of(2) {
            let from = self.orientations / 2 * self.features;
            self.waves[from..].fill([0.0; 2]);
        }
    }

    /// Adds `weight` times another.
    pub fn add(&mut self, weight: f64, other: &Self) {
        for (own, more) in self.waves.iter_mut().zip(&other.waves) {
            own[0] += weight * more[0];
            own[1] += weight * more[1];
        }
    }

    /// Sum of squares.
    pub fn square(&self) -> f64 {
        self.waves.iter().map(|[a, b]| a * a + b * b).sum()
    }

    /// Turned counter-clockwise: for whole steps of 2 pi / O a roll forwards. The alternating wave has no sine to turn into:
    /// it takes the part that lies on the orientations.
    pub fn turned(&self, angle: f64) -> Self {
        let mut out = self.clone();
        for (k, waves) in out.waves.chunks_exact_mut(self.features).enumerate() {
            let (q, p) = (k as f64 * angle).sin_cos();
            let alternating = k > 0 && 2 * k == self.orientations;
            for wave in waves {
                let [a, b] = *wave;
                *wave = if alternating {
                    [a * p, 0.0]
                } else {
                    [a * p - b * q, a * q + b * p]
                };
            }
        }
        out
    }

    /// The product with `other` turned by every angle.
    pub fn likeness(&self, other: &Self) -> Likeness {
        let rows = self.waves.chunks_exact(self.features);
        let each = rows.zip(other.waves.chunks_exact(self.features));
        Likeness(
            each.map(|(own, other)| {
                let (mut p, mut q) = (0.0, 0.0);
                for ([x, y], [a, b]) in own.iter().zip(other) {
                    p += x * a + y * b;
                    q += y * a - x * b;
                }
                [p, q]
            })
            .collect(),
        )
    }

    /// The code (F, O).
    pub fn code(&self) -> Vec<f32> {
        let o = self.orientations;
        let mut code = vec![0.0f64; self.features * o];
        for (k, waves) in self.waves.chunks_exact(self.features).enumerate() {
            let alone = k == 0 || 2 * k == o;
            let norm = (if alone { 1.0 } else { 2.0 } / o as f64).sqrt();
            for (row, [a, b]) in code.chunks_exact_mut(o).zip(waves) {
                for (i, v) in row.iter_mut().enumerate() {
                    let (s, c) = (TAU * (k * i % o) as f64 / o as f64).sin_cos();
                    *v += norm * (a * c + b * s);
                }
            }
        }
        code.into_iter().map(|v| v as f32).collect()
    }
}

impl Likeness {
    /// Whether it varies with the angle by more than `least`.
    pub fn turns(&self, least: f64) -> bool {
        let waves = self.0.iter().skip(1);
        waves.map(|[p, q]| p.hypot(*q)).sum::<f64>() > least
    }

    pub fn at(&self, angle: f64) -> f64 {
        let terms = self.0.iter().enumerate();
        terms
            .map(|(k, [p, q])| {
                let (s, c) = (k as f64 * angle).sin_cos();
                p * c + q * s
            })
            .sum()
    }

    /// First and second derivative.
    fn slopes(&self, angle: f64) -> (f64, f64) {
        let (mut first, mut second) = (0.0, 0.0);
        for (k, [p, q]) in self.0.iter().enumerate() {
            let k = k as f64;
            let (s, c) = (k * angle).sin_cos();
            first += k * (q * c - p * s);
            second -= k * k * (p * c + q * s);
        }
        (first, second)
    }

    /// The step of 2 pi / O at which it is largest, the first of equal ones.
    pub fn best_step(&self, orientations: usize) -> usize {
        let step = TAU / orientations as f64;
        let mut best = (0, f64::NEG_INFINITY);
        for i in 0..orientations {
            let value = self.at(i as f64 * step);
            if value > best.1 {
                best = (i, value);
            }
        }
        best.0
    }

    /// The angle at which it is largest, in [0, 2 pi): the best of a fine grid, then Newton's method.
    pub fn best_angle(&self) -> f64 {
        let points = 16 * self.0.len();
        let step = TAU / points as f64;
        let start = step * self.best_step(points) as f64;
        let (mut angle, mut value) = (start, self.at(start));
        for _ in 0..20 {
            let (first, second) = self.slopes(angle);
            let to = angle - first / second;
            // Newton's method may leave a flat top; the grid's point then stays.
            if !(second < 0.0 && (to - start).abs() <= step) {
                break;
            }
            let there = self.at(to);
            let moved = (to - angle).abs();
            if there < value {
                break;
            }
            (angle, value) = (to, there);
            if moved <= 1e-12 {
                break;
            }
        }
        wrapped(angle)
    }
}

/// The same angle in [0, 2 pi).
pub(super) fn wrapped(angle: f64) -> f64 {
    let turn = angle.rem_euclid(TAU);
    if turn < TAU { turn } else { 0.0 }
}
