//! The definitions, in plain loops, of one image each.

use super::{Aim, Outcome, Patience};
use crate::ops::Real;
use crate::ops::optimiser::reference::adam_at;
use crate::ops::penalty::LAPLACIAN;

fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.f64() * b.f64()).sum()
}

/// Writes x = norm z / |z|; returns |z|.
pub fn constrain<T: Real>(norm: f64, z: &[T], x: &mut [T]) -> T {
    let length = dot(z, z).sqrt();
    let factor = T::of(if length > 0.0 { norm / length } else { 0.0 });
    x.iter_mut().zip(z).for_each(|(x, &z)| *x = factor * z);
    T::of(length)
}

/// From the gradient at x to that at z.
pub fn project<T: Real>(norm: f64, length: T, x: &[T], g: &[T], dz: &mut [T]) {
    let (factor, length) = (dot(x, g) / (norm * norm), length.f64());
    let scale = if length > 0.0 { norm / length } else { 0.0 };
    for ((dz, x), g) in dz.iter_mut().zip(x).zip(g) {
        *dz = T::of(scale * (g.f64() - factor * x.f64()));
    }
}

/// Writes the gradient of `strength sum (L * x)^2`; returns the value.
pub fn smooth<T: Real>(
    (h, w): (usize, usize),
    frame: &[u32],
    strength: f64,
    x: &[T],
    gradient: &mut [T],
) -> T {
    // L * x with a rim of one pixel around the crop.
    let mut edges = vec![T::zero(); (h + 2) * (w + 2)];
    let (rows, columns) = (frame[0]..frame[2], frame[1]..frame[3]);
    let exists = |i: usize, j: usize| rows.contains(&(i as u32)) && columns.contains(&(j as u32));
    let mut value = 0.0;
    for i in 0..h + 2 {
        for j in (0..w + 2).filter(|&j| exists(i, j)) {
            let mut sum = T::zero();
            for (u, weights) in LAPLACIAN.iter().enumerate() {
                for (v, &weight) in weights.iter().enumerate() {
                    // (i - 1) + (u - 1), likewise for columns.
                    if let (Some(r), Some(c)) = ((i + u).checked_sub(2), (j + v).checked_sub(2))
                        && r < h
                        && c < w
                    {
                        sum += T::of(weight) * x[r * w + c];
                    }
                }
            }
            edges[i * (w + 2) + j] = sum;
            value += sum.f64() * sum.f64();
        }
    }
    for i in 0..h {
        for j in 0..w {
            let mut sum = T::zero();
            if exists(i + 1, j + 1) {
                for (u, weights) in LAPLACIAN.iter().enumerate() {
                    for (v, &weight) in weights.iter().enumerate() {
                        sum += T::of(weight) * edges[(i + u) * (w + 2) + j + v];
                    }
                }
            }
            gradient[i * w + j] = T::of(2.0 * strength) * sum;
        }
    }
    T::of(strength * value)
}

/// Writes `out[i, j] = sum of table[|i - i'|, |j - j'|] g[i', j']`.
pub fn precondition<T: Real>(width: usize, table: &[T], g: &[T], out: &mut [T]) {
    for (p, out) in out.iter_mut().enumerate() {
        let (i, j) = (p / width, p % width);
        let of =
            |(q, &g): (usize, &T)| table[i.abs_diff(q / width) * width + j.abs_diff(q % width)] * g;
        *out = g.iter().enumerate().map(of).sum();
    }
}

/// Notes the loss of x; see [`super::track`].
pub fn track<T: Real>(
    rule: &Patience,
    loss: T,
    x: &[T],
    best: &mut [T],
    averages: &mut [T],
    counters: &mut [u32],
) {
    if counters[2] != Outcome::Running as u32 {
        return;
    }
    if !loss.is_finite() {
        counters[2] = Outcome::Diverged as u32;
        return;
    }
    let first = counters[0] == 0;
    averages[0] = if first {
        loss
    } else {
        T::of(0.9) * averages[0] + T::of(0.1) * loss
    };
    if first || averages[0] < averages[1] {
        averages[1] = averages[0];
        counters[1] = 0;
    } else {
        counters[1] += 1;
    }
    if first || loss < averages[2] {
        averages[2] = loss;
        best.copy_from_slice(x);
    }
    if counters[1] >= rule.patience {
        counters[2] = Outcome::Converged as u32;
    } else if counters[0] >= rule.steps {
        counters[2] = Outcome::OutOfSteps as u32;
    }
}

/// One step of Adam along the projected gradient; see [`super::advance`].
pub fn advance<T: Real>(
    norm: f64,
    (width, frame): (usize, &[u32]),
    rates: &[T],
    (x, g, length): (&[T], &[T], T),
    z: &mut [T],
    (first, second): (&mut [T], &mut [T]),
    counters: &mut [u32],
) {
    if counters[2] != Outcome::Running as u32 {
        return;
    }
    let mut dz = vec![T::zero(); z.len()];
    project(norm, length, x, g, &mut dz);
    let (rows, columns) = (frame[0]..frame[2], frame[1]..frame[3]);
    for (p, dz) in dz.iter_mut().enumerate() {
        let (i, j) = ((p / width + 1) as u32, (p % width + 1) as u32);
        if !rows.contains(&i) || !columns.contains(&j) {
            *dz = T::zero();
        }
    }
    adam_at(rates[counters[0] as usize], z, &dz, first, second);
    counters[0] += 1;
}

/// One step towards a target; see [`super::aim`].
pub fn aim<T: Real>(
    rule: &Aim,
    (rate, target, tolerance): (T, T, T),
    g: &[T],
    x: &mut [T],
    best: &mut [T],
    averages: &mut [T],
    counters: &mut [u32],
) {
    if counters[2] != Outcome::Running as u32 {
        return;
    }
    let error = rate - target;
    let square = dot(g, g);
    if !error.is_finite() || !square.is_finite() {
        counters[2] = Outcome::Diverged as u32;
        return;
    }
    let (first, size) = (counters[0] == 0, error.abs());
    if first {
        averages[1] = T::of(rule.longest);
    } else if size >= averages[0] {
        averages[1] *= T::of(0.5);
    }
    averages[0] = size;
    if first || size < averages[2] {
        averages[2] = size;
        best.copy_from_slice(x);
    }
    let slope = T::of(square.sqrt());
    if size <= tolerance {
        counters[2] = Outcome::Converged as u32;
    } else if counters[0] >= rule.steps || slope <= T::zero() {
        counters[2] = Outcome::OutOfSteps as u32;
    } else {
        let length = (size / slope).min(averages[1]) / slope;
        let along = if error > T::zero() { -length } else { length };
        x.iter_mut().zip(g).for_each(|(x, &g)| *x += along * g);
        counters[0] += 1;
    }
}

/// One step over the mean size of the gradient, clipped; see [`super::walk`].
pub fn walk<T: Real>(
    sizes: &[T],
    (lowest, highest): (f32, f32),
    g: &[T],
    x: &mut [T],
    counters: &mut [u32],
) {
    if counters[2] != Outcome::Running as u32 {
        return;
    }
    let mean = g.iter().map(|g| g.f64().abs()).sum::<f64>() / g.len() as f64;
    let size = sizes[counters[0] as usize].f64();
    let factor = T::of(if mean > 0.0 { size / mean } else { 0.0 });
    let (lowest, highest) = (T::of(lowest.into()), T::of(highest.into()));
    for (x, &g) in x.iter_mut().zip(g) {
        *x = (*x + factor * g).max(lowest).min(highest);
    }
    counters[0] += 1;
}

/// Blurs along one axis; see [`super::blur`].
pub fn blur<T: Real>(
    (h, w): (usize, usize),
    (weights, taps): (&[T], usize),
    down: bool,
    x: &[T],
    out: &mut [T],
    counters: &[u32],
) {
    let Some(step) = counters[0].checked_sub(1) else {
        return out.copy_from_slice(x);
    };
    if counters[2] != Outcome::Running as u32 {
        return out.copy_from_slice(x);
    }
    let weights = &weights[step as usize * taps..][..taps];
    let (stride, n) = if down { (w, h) } else { (1, w) };
    for (p, out) in out.iter_mut().enumerate() {
        let at = if down { p / w } else { p % w };
        let along = |i: usize| x[p - at * stride + i * stride];
        let mut sum = weights[0] * x[p];
        for (d, &weight) in weights.iter().enumerate().skip(1) {
            let (before, after) = (
                mirrored(at as i64 - d as i64, n),
                mirrored((at + d) as i64, n),
            );
            sum += weight * (along(before) + along(after));
        }
        *out = sum;
    }
}

/// Place of an element of `n` that are repeated back and forth: c b a | a b c | c b a.
fn mirrored(at: i64, n: usize) -> usize {
    let (at, n) = (at.rem_euclid(2 * n as i64), n as i64);
    at.min(2 * n - 1 - at) as usize
}
