//! All windows of a map at a time: its rows and columns lie apart by their place within a stride ("phases"), so that a tap of
//! neighbouring windows sees neighbours.

use super::Shape;
use crate::ops::panel;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

pub fn forward(shape: &Shape, x: &[f32], y: &mut [f32]) {
    let (of_x, of_y) = shape.planes();
    let maps = y.par_chunks_exact_mut(of_y).zip(x.par_chunks_exact(of_x));
    maps.for_each(|(y, x)| {
        let phases = Phases::of(shape);
        panel::with_scratch(phases.all() + phases.windows(), |scratch| {
            Arch::new().dispatch(Forward {
                phases,
                x,
                y,
                scratch,
            });
        });
    });
}

pub fn backward(shape: &Shape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (of_x, of_y) = shape.planes();
    let maps = dx.par_chunks_exact_mut(of_x).zip(x.par_chunks_exact(of_x));
    maps.zip(dy.par_chunks_exact(of_y))
        .for_each(|((dx, x), dy)| {
            let phases = Phases::of(shape);
            let len = phases.all() + phases.windows() + 2 * phases.seen();
            panel::with_scratch(len, |scratch| {
                Arch::new().dispatch(Backward {
                    phases,
                    x,
                    dy,
                    dx,
                    scratch,
                });
            });
        });
}

/// How one map lies: `stride` by `stride` phases of (rows, columns). Windows lie as the first phase does; those
/// that would begin beyond the last column mean nothing.
#[derive(Clone, Copy)]
struct Phases<'a> {
    shape: &'a Shape,
    rows: usize,
    columns: usize,
}

impl<'a> Phases<'a> {
    fn of(shape: &'a Shape) -> Self {
        let reach = (shape.size - 1) / shape.stride;
        let numbers =
            |pixels: usize, windows: usize| (windows + reach).max(pixels.div_ceil(shape.stride));
        Self {
            shape,
            rows: numbers(shape.height, shape.out_height()),
            columns: numbers(shape.width, shape.out_width()),
        }
    }

    fn phase(&self) -> usize {
        self.rows * self.columns
    }

    fn all(&self) -> usize {
        self.shape.stride * self.shape.stride * self.phase()
    }

    /// From the first window to the last.
    fn windows(&self) -> usize {
        (self.shape.out_height() - 1) * self.columns + self.shape.out_width()
    }

    /// How far from a number the first window begins that sees it.
    fn reach(&self) -> usize {
        (self.shape.size - 1) / self.shape.stride * (self.columns + 1)
    }

    /// Windows, and as many places before and behind as numbers look for them.
    fn seen(&self) -> usize {
        self.reach() + self.phase().max(self.windows())
    }

    /// The phase that a tap sees, and how far from the window's own place.
    fn tap(&self, tap: usize) -> (usize, usize) {
        let (size, stride) = (self.shape.size, self.shape.stride);
        let (u, v) = (tap / size, tap % size);
        let phase = u % stride * stride + v % stride;
        (phase, u / stride * self.columns + v / stride)
    }

    /// What a tap of all windows sees.
    fn of_windows(&self, tap: usize) -> Range<usize> {
        let (phase, off) = self.tap(tap);
        let first = phase * self.phase() + off;
        first..first + self.windows()
    }

    /// Lays a map apart.
    #[inline(always)]
    fn take(&self, x: &[f32], phases: &mut [f32]) {
        let stride = self.shape.stride;
        for (row, x) in x.chunks_exact(self.shape.width).enumerate() {
            let first = row % stride * stride * self.phase() + row / stride * self.columns;
            if stride == 2 {
                let (even, odd) = phases[first..].split_at_mut(self.phase());
                by_twos(x, even, odd);
                continue;
            }
            for at in 0..stride.min(x.len()) {
                let to = phases[first + at * self.phase()..].iter_mut();
                for (to, &v) in to.zip(x[at..].iter().step_by(stride)) {
                    *to = v;
                }
            }
        }
    }

    /// Puts it together.
    #[inline(always)]
    fn put(&self, phases: &[f32], x: &mut [f32]) {
        let stride = self.shape.stride;
        for (row, x) in x.chunks_exact_mut(self.shape.width).enumerate() {
            let from = |at: usize| {
                let phase = row % stride * stride + at;
                &phases[phase * self.phase() + row / stride * self.columns..][..self.columns]
            };
            if stride == 2 {
                by_turns(from(0), from(1), x);
                continue;
            }
            for at in 0..stride.min(x.len()) {
                for (x, &v) in x[at..].iter_mut().step_by(stride).zip(from(at)) {
                    *x = v;
                }
            }
        }
    }

    /// The largest number of each window.
    #[inline(always)]
    fn largest(&self, phases: &[f32], to: &mut [f32]) {
        to.copy_from_slice(&phases[self.of_windows(0)]);
        for tap in 1..self.shape.size * self.shape.size {
            larger(to, &phases[self.of_windows(tap)]);
        }
    }
}

#[inline(always)]
fn by_twos(from: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let pairs = from.len() / 2;
    let each = even[..pairs].iter_mut().zip(&mut odd[..pairs]);
    for (from, (even, odd)) in from.chunks_exact(2).zip(each) {
        *even = from[0];
        *odd = from[1];
    }
    if from.len() % 2 == 1 {
        even[pairs] = from[2 * pairs];
    }
}

#[inline(always)]
fn by_turns(even: &[f32], odd: &[f32], to: &mut [f32]) {
    let pairs = to.len() / 2;
    let each = even[..pairs].iter().zip(&odd[..pairs]);
    for (to, (&even, &odd)) in to.chunks_exact_mut(2).zip(each) {
        to[0] = even;
        to[1] = odd;
    }
    if to.len() % 2 == 1 {
        to[2 * pairs] = even[pairs];
    }
}

/// The larger of two: NaN is larger than any number.
#[inline(always)]
fn larger(best: &mut [f32], x: &[f32]) {
    for (best, &x) in best.iter_mut().zip(x) {
        *best = if x > *best || x.is_nan() { x } else { *best };
    }
}

struct Forward<'a> {
    phases: Phases<'a>,
    x: &'a [f32],
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let p = self.phases;
        let (phases, largest) = self.scratch.split_at_mut(p.all());
        p.take(self.x, phases);
        p.largest(phases, largest);
        let across = p.shape.out_width();
        for (y, from) in self
            .y
            .chunks_exact_mut(across)
            .zip(largest.chunks(p.columns))
        {
            y.copy_from_slice(&from[..across]);
        }
    }
}

struct Backward<'a> {
    phases: Phases<'a>,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let p = self.phases;
        let (phases, scratch) = self.scratch.split_at_mut(p.all());
        let (largest, scratch) = scratch.split_at_mut(p.windows());
        let (places, given) = scratch.split_at_mut(p.seen());
        p.take(self.x, phases);
        let (across, taps) = (p.shape.out_width(), p.shape.size * p.shape.size);
        places.fill(NOWHERE);
        {
            let places = &mut places[p.reach()..][..p.windows()];
            places.fill(0.0);
            largest.copy_from_slice(&phases[p.of_windows(0)]);
            for tap in 1..taps {
                mark_larger(tap as f32, &phases[p.of_windows(tap)], largest, places);
            }
            for places in places.chunks_mut(p.columns) {
                places[across..].fill(NOWHERE);
            }
        }
        let rows = given[p.reach()..].chunks_mut(p.columns);
        for (given, dy) in rows.zip(self.dy.chunks_exact(across)) {
            given[..across].copy_from_slice(dy);
        }
        // From here on phases are those of the gradient.
        phases.fill(0.0);
        for tap in (0..taps).rev() {
            let (phase, off) = p.tap(tap);
            let from = p.reach() - off..p.reach() - off + p.phase();
            let to = &mut phases[phase * p.phase()..][..p.phase()];
            add_given(tap as f32, &places[from.clone()], &given[from], to);
        }
        p.put(phases, self.dx);
    }
}

/// The tap of what is no window.
const NOWHERE: f32 = -1.0;

/// The larger of two, and which tap sees it.
#[inline(always)]
fn mark_larger(tap: f32, x: &[f32], best: &mut [f32], places: &mut [f32]) {
    for ((&x, best), place) in x.iter().zip(best).zip(places) {
        let is_larger = x > *best || (x.is_nan() && !best.is_nan());
        *best = if is_larger { x } else { *best };
        *place = if is_larger { tap } else { *place };
    }
}

/// Adds what windows give to their largest numbers, where this tap sees these.
#[inline(always)]
fn add_given(tap: f32, places: &[f32], given: &[f32], to: &mut [f32]) {
    for ((&place, &given), to) in places.iter().zip(given).zip(to) {
        *to += if place == tap { given } else { 0.0 };
    }
}
