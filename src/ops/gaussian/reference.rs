//! The definition, in plain loops.

use super::{Shape, Weights};
use crate::device::View;
use crate::ops::Real;

/// Parameters and noise as plain numbers.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a, T> {
    /// (N, 2).
    pub position: &'a [T],
    /// (N, 2, 2) or (N).
    pub spread: &'a [T],
    /// (N, C).
    pub features: &'a [T],
    /// (N).
    pub bias: &'a [T],
    /// (B, N, 2).
    pub noise: Option<&'a [T]>,
}

impl<'a> Values<'a, f32> {
    pub(super) fn of(weights: &Weights<'a>, noise: Option<View<'a>>) -> Self {
        Self {
            position: weights.position.host(),
            spread: weights.spread.host(),
            features: weights.features.host(),
            bias: weights.bias.host(),
            noise: noise.map(View::host),
        }
    }
}

impl<T: Real> Values<'_, T> {
    /// The two numbers of noise of a neuron and image.
    pub(super) fn noise_of(&self, s: &Shape, image: usize, n: usize) -> Option<[T; 2]> {
        let at = 2 * (image * s.neurons + n);
        self.noise.map(|e| [e[at], e[at + 1]])
    }
}

/// Between which pixels a neuron looks: the upper left of the four, which may lie beyond the map, and how far from it.
#[derive(Clone, Copy, Debug)]
pub struct Place<T> {
    row: i64,
    column: i64,
    down: T,
    right: T,
}

impl<T: Real> Place<T> {
    /// That of a neuron in an image of the batch.
    pub fn of(s: &Shape, values: &Values<T>, image: usize, n: usize) -> Self {
        let (mut x, mut y) = (values.position[2 * n], values.position[2 * n + 1]);
        if let Some([e, f]) = values.noise_of(s, image, n) {
            let own = &values.spread[n * s.spread()..][..s.spread()];
            if let &[xx, xy, yx, yy] = own {
                x += xx * e + xy * f;
                y += yx * e + yy * f;
            } else {
                x += own[0] * e;
                y += own[0] * f;
            }
        }
        Self::at(s, x, y)
    }

    /// That of a point (x, y); far beyond the map all are the same.
    pub fn at(s: &Shape, x: T, y: T) -> Self {
        let along = |at: T, pixels: usize| {
            let v = (at + T::one()) * T::of(0.5 * (pixels as f64 - 1.0));
            let (least, most) = (T::of(-2.0), T::of(pixels as f64 + 1.0));
            // NaN stays.
            if v < least {
                least
            } else if v > most {
                most
            } else {
                v
            }
        };
        let (u, v) = (along(x, s.width), along(y, s.height));
        let before = |v: T| v.floor().f64() as i64;
        let (column, row) = (before(u), before(v));
        Self {
            row,
            column,
            down: v - T::of(row as f64),
            right: u - T::of(column as f64),
        }
    }

    /// The four pixels by their place in the map, none beyond it: upper left, upper right, lower left, lower right.
    pub fn pixels(&self, s: &Shape) -> [Option<usize>; 4] {
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(down, right)| {
            let (r, c) = (self.row + down, self.column + right);
            let inside = (0..s.height as i64).contains(&r) && (0..s.width as i64).contains(&c);
            inside.then(|| r as usize * s.width + c as usize)
        })
    }

    /// By how much each counts.
    pub fn weights(&self) -> [T; 4] {
        let (up, left) = (T::one() - self.down, T::one() - self.right);
        [
            up * left,
            up * self.right,
            self.down * left,
            self.down * self.right,
        ]
    }

    /// By how much what is seen grows with x and with y, of the four pixels' values.
    pub fn slopes(&self, s: &Shape, q: &[T]) -> [T; 2] {
        let scale = |pixels: usize| T::of(0.5 * (pixels as f64 - 1.0));
        let (up, left) = (T::one() - self.down, T::one() - self.right);
        [
            scale(s.width) * (up * (q[1] - q[0]) + self.down * (q[3] - q[2])),
            scale(s.height) * (left * (q[2] - q[0]) + self.right * (q[3] - q[1])),
        ]
    }
}

/// Gradients, by parameter.
#[derive(Clone, Debug)]
pub struct Grown<T> {
    /// (B, C, H, W).
    pub dx: Vec<T>,
    /// (N, 2).
    pub position: Vec<T>,
    /// As the spread.
    pub spread: Vec<T>,
    /// (N, C).
    pub features: Vec<T>,
    /// (N).
    pub bias: Vec<T>,
}

/// The four pixels' values of a neuron in an image, through its features.
fn corners<T: Real>(s: &Shape, x: &[T], values: &Values<T>, image: usize, n: usize) -> [T; 4] {
    let area = s.height * s.width;
    Place::of(s, values, image, n).pixels(s).map(|pixel| {
        let Some(p) = pixel else { return T::zero() };
        let of_channel =
            |c: usize| values.features[n * s.channels + c] * x[(image * s.channels + c) * area + p];
        (0..s.channels).map(of_channel).sum()
    })
}

/// h.
pub fn forward<T: Real>(s: &Shape, x: &[T], values: &Values<T>) -> Vec<T> {
    let mut h = Vec::with_capacity(s.batch * s.neurons);
    for b in 0..s.batch {
        for n in 0..s.neurons {
            let weights = Place::of(s, values, b, n).weights();
            let q = corners(s, x, values, b, n);
            h.push(values.bias[n] + (0..4).map(|k| weights[k] * q[k]).sum::<T>());
        }
    }
    h
}

/// dx, and what the gradients grow by.
pub fn backward<T: Real>(s: &Shape, x: &[T], values: &Values<T>, dh: &[T]) -> Grown<T> {
    let zeros = |n: usize| vec![T::zero(); n];
    let mut out = Grown {
        dx: zeros(x.len()),
        position: zeros(2 * s.neurons),
        spread: zeros(s.spread() * s.neurons),
        features: zeros(s.channels * s.neurons),
        bias: zeros(s.neurons),
    };
    let area = s.height * s.width;
    for b in 0..s.batch {
        for n in 0..s.neurons {
            let d = dh[b * s.neurons + n];
            let place = Place::of(s, values, b, n);
            out.bias[n] += d;
            for (pixel, weight) in place.pixels(s).into_iter().zip(place.weights()) {
                let Some(p) = pixel else { continue };
                for c in 0..s.channels {
                    let (i, w) = ((b * s.channels + c) * area + p, n * s.channels + c);
                    out.dx[i] += d * weight * values.features[w];
                    out.features[w] += d * weight * x[i];
                }
            }
            let slopes = place.slopes(s, &corners(s, x, values, b, n));
            let slopes = slopes.map(|slope| d * slope);
            let (position, spread) = (
                &mut out.position[2 * n..][..2],
                &mut out.spread[n * s.spread()..][..s.spread()],
            );
            grow(slopes, values.noise_of(s, b, n), position, spread);
        }
    }
    out
}

/// Adds one image's gradient of a place to those of position and spread.
pub(super) fn grow<T: Real>(
    [x, y]: [T; 2],
    noise: Option<[T; 2]>,
    position: &mut [T],
    spread: &mut [T],
) {
    position[0] += x;
    position[1] += y;
    let Some([e, f]) = noise else { return };
    if let [xx, xy, yx, yy] = spread {
        *xx += x * e;
        *xy += x * f;
        *yx += y * e;
        *yy += y * f;
    } else {
        spread[0] += x * e + y * f;
    }
}

/// Positions onto the map.
pub fn clamp<T: Real>(position: &mut [T]) {
    for v in position {
        // NaN stays.
        if *v < -T::one() {
            *v = -T::one();
        } else if *v > T::one() {
            *v = T::one();
        }
    }
}
