//! All windows of a row at a time: rows of a map lie apart by their columns' place within a stride ("lines"), so that what a column of
//! neighbouring windows sees are neighbours.

use super::Shape;
use crate::ops::panel::{self, LINE};
use crate::ops::turn;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub fn forward(shape: &Shape, x: &[f32], y: &mut [f32]) {
    let (of_x, of_y) = shape.planes();
    let lines = Lines::of(shape);
    let maps = y.par_chunks_exact_mut(of_y).zip(x.par_chunks_exact(of_x));
    maps.for_each(|(y, x)| {
        panel::with_scratch(lines.of_forward(), |scratch| {
            Arch::new().dispatch(Forward {
                lines: &lines,
                x,
                y,
                scratch,
            });
        });
    });
}

pub fn backward(shape: &Shape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (of_x, of_y) = shape.planes();
    let lines = Lines::of(shape);
    let maps = dx.par_chunks_exact_mut(of_x).zip(x.par_chunks_exact(of_x));
    maps.zip(dy.par_chunks_exact(of_y))
        .for_each(|((dx, x), dy)| {
            panel::with_scratch(lines.of_backward(), |scratch| {
                Arch::new().dispatch(Backward {
                    lines: &lines,
                    x,
                    dy,
                    dx,
                    scratch,
                });
            });
        });
}

/// How rows of a map lie: number j of line p is column `stride j + p`.
struct Lines<'a> {
    shape: &'a Shape,
    /// Windows of a row, in whole vectors; those beyond the last mean nothing.
    windows: usize,
    /// How many windows before its own place a number is seen by.
    reach: usize,
    /// Numbers of a line, in whole vectors: the row's, and what these windows see.
    line: usize,
    /// Where the numbers begin that each column of all windows sees.
    columns: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(shape: &'a Shape) -> Self {
        let windows = shape.out_width().next_multiple_of(LINE);
        let reach = (shape.size - 1) / shape.stride;
        let numbers = (windows + reach).max(shape.width.div_ceil(shape.stride));
        let line = numbers.next_multiple_of(LINE);
        let columns = (0..shape.size).map(|v| v % shape.stride * line + v / shape.stride);
        Self {
            shape,
            windows,
            reach,
            line,
            columns: columns.collect(),
        }
    }

    fn of_row(&self) -> usize {
        self.shape.stride * self.line
    }

    /// Rows of the map that windows see.
    fn seen(&self) -> usize {
        (self.shape.out_height() - 1) * self.shape.stride + self.shape.size
    }

    /// Rows of windows, and numbers of each, as numbers look for them: as many more before as they reach.
    fn window_rows(&self) -> usize {
        self.reach + self.shape.height.div_ceil(self.shape.stride)
    }

    fn padded(&self) -> usize {
        self.reach + self.line
    }

    fn of_forward(&self) -> usize {
        self.shape.out_height() * (self.shape.width + self.of_row())
    }

    fn of_backward(&self) -> usize {
        let windows = self.window_rows() * self.padded();
        self.seen() * (self.of_row() + 2 * self.windows) + 2 * windows
    }
}

/// Lays the first `width` numbers apart, a row's.
///
/// # Safety
/// The row has that many, and each line room for its share of them in whole vectors.
#[inline(always)]
unsafe fn take<S: Simd>(simd: S, stride: usize, width: usize, row: &[f32], lines: &mut [f32]) {
    let line = lines.len() / stride;
    if stride == 2 {
        // SAFETY: the caller's.
        unsafe {
            for at in (0..width).step_by(2 * S::F32_LANES) {
                let pair = match row.len() - at < 2 * S::F32_LANES {
                    true => [at, (at + S::F32_LANES).min(row.len())]
                        .map(|at| simd.partial_load_f32s(&row[at..])),
                    false => [at, at + S::F32_LANES].map(|at| load::<S>(row, at)),
                };
                let [even, odd] = turn::apart(simd, pair);
                store::<S>(lines, at / 2, even);
                store::<S>(lines, line + at / 2, odd);
            }
        }
        return;
    }
    let row = &row[..width];
    for (at, line) in lines.chunks_exact_mut(line).enumerate().take(width) {
        for (to, &v) in line.iter_mut().zip(row[at..].iter().step_by(stride)) {
            *to = v;
        }
    }
}

/// Puts a row's `width` numbers together. What lies behind it is overwritten: rows that are to come.
///
/// # Safety
/// As [`take`].
#[inline(always)]
unsafe fn put<S: Simd>(simd: S, stride: usize, width: usize, lines: &[f32], row: &mut [f32]) {
    let line = lines.len() / stride;
    if stride == 2 {
        // SAFETY: the caller's.
        unsafe {
            for at in (0..width).step_by(2 * S::F32_LANES) {
                let pair = [at / 2, line + at / 2].map(|at| load::<S>(lines, at));
                let pair = turn::together(simd, pair);
                for (i, values) in pair.into_iter().enumerate() {
                    let at = (at + i * S::F32_LANES).min(row.len());
                    match row.len() - at < S::F32_LANES {
                        true => simd.partial_store_f32s(&mut row[at..], values),
                        false => store::<S>(row, at, values),
                    }
                }
            }
        }
        return;
    }
    let row = &mut row[..width];
    for (at, line) in lines.chunks_exact(line).enumerate().take(width) {
        for (to, &v) in row[at..].iter_mut().step_by(stride).zip(line) {
            *to = v;
        }
    }
}

/// A vector from there on.
///
/// # Safety
/// There are so many numbers.
#[inline(always)]
unsafe fn load<S: Simd>(from: &[f32], at: usize) -> S::f32s {
    debug_assert!(at + S::F32_LANES <= from.len());
    unsafe { from.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
}

/// # Safety
/// As [`load`].
#[inline(always)]
unsafe fn store<S: Simd>(to: &mut [f32], at: usize, values: S::f32s) {
    debug_assert!(at + S::F32_LANES <= to.len());
    unsafe {
        to.as_mut_ptr()
            .add(at)
            .cast::<S::f32s>()
            .write_unaligned(values)
    }
}

/// Where x is larger than the best before it, of which the first of equal ones stays: NaN is larger than any number.
#[inline(always)]
fn is_larger<S: Simd>(simd: S, x: S::f32s, best: S::f32s) -> S::m32s {
    let is_nan = simd.not_m32s(simd.equal_f32s(x, x));
    let is_first = simd.and_m32s(is_nan, simd.equal_f32s(best, best));
    simd.or_m32s(simd.greater_than_f32s(x, best), is_first)
}

/// A pass over one map.
trait Pass {
    /// For these sizes.
    ///
    /// # Safety
    /// They are the shape's; maps and scratch memory are as long as [`Lines`] says.
    unsafe fn of<S: Simd>(self, simd: S, size: usize, stride: usize);
}

/// Makes a pass with the shape's sizes, which the compiler knows where they are usual.
#[inline(always)]
fn with_sizes<S: Simd>(simd: S, shape: &Shape, pass: impl Pass) {
    // SAFETY: the sizes are the shape's.
    unsafe {
        match (shape.size, shape.stride) {
            (3, 2) => pass.of(simd, 3, 2),
            (2, 2) => pass.of(simd, 2, 2),
            (size, stride) => pass.of(simd, size, stride),
        }
    }
}

struct Forward<'a> {
    lines: &'a Lines<'a>,
    x: &'a [f32],
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        with_sizes(simd, self.lines.shape, self);
    }
}

impl Pass for Forward<'_> {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, simd: S, size: usize, stride: usize) {
        let Self {
            lines,
            x,
            y,
            scratch,
        } = self;
        let width = lines.shape.width;
        let larger = |x, best| simd.select_f32s(is_larger(simd, x, best), x, best);
        let (across, down) = (lines.shape.out_width(), lines.shape.out_height());
        let (tallest, apart) = scratch.split_at_mut(down * width);
        // SAFETY: the caller's.
        unsafe {
            // Of each column of the map. What is written is read a whole pass later, when it has left the processor's queue.
            for i in 0..down {
                let rows = &x[i * stride * width..][..size * width];
                let tallest = &mut tallest[i * width..][..width];
                for at in (0..width).step_by(S::F32_LANES) {
                    if width < S::F32_LANES {
                        let row = |u: usize| simd.partial_load_f32s(&rows[u * width..][..width]);
                        let best = (1..size).fold(row(0), |best, u| larger(row(u), best));
                        simd.partial_store_f32s(tallest, best);
                        break;
                    }
                    // The last vector may share numbers with the one before.
                    let at = at.min(width - S::F32_LANES);
                    let mut best = load::<S>(rows, at);
                    for u in 1..size {
                        best = larger(load::<S>(rows, u * width + at), best);
                    }
                    store::<S>(tallest, at, best);
                }
            }
            for (i, apart) in apart.chunks_exact_mut(lines.of_row()).enumerate() {
                take(simd, stride, width, &tallest[i * width..], apart);
            }
            for (i, apart) in apart.chunks_exact(lines.of_row()).enumerate() {
                for at in (0..across).step_by(S::F32_LANES) {
                    let mut best = load::<S>(apart, at);
                    for v in 1..size {
                        best = larger(load::<S>(apart, lines.columns[v] + at), best);
                    }
                    // What is too much is overwritten by the next row's.
                    let to = &mut y[i * across + at..];
                    match to.len() < S::F32_LANES {
                        true => simd.partial_store_f32s(to, best),
                        false => store::<S>(to, 0, best),
                    }
                }
            }
        }
    }
}

struct Backward<'a> {
    lines: &'a Lines<'a>,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        with_sizes(simd, self.lines.shape, self);
    }
}

impl Pass for Backward<'_> {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, simd: S, size: usize, stride: usize) {
        let Self {
            lines,
            x,
            dy,
            dx,
            scratch,
        } = self;
        let width = lines.shape.width;
        let (windows, seen, padded) = (lines.windows, lines.seen(), lines.padded());
        let (across, reach) = (lines.shape.out_width(), (size - 1) / stride);
        let (apart, scratch) = scratch.split_at_mut(seen * lines.of_row());
        let (largest, scratch) = scratch.split_at_mut(seen * windows);
        let (columns, scratch) = scratch.split_at_mut(seen * windows);
        let (taps, given) = scratch.split_at_mut(lines.window_rows() * padded);
        let zero = simd.splat_f32s(0.0);
        let splat = |tap: usize| simd.splat_f32s(tap as f32);

        // SAFETY: the caller's.
        unsafe {
            // The largest number of each row of a window, and in which of its columns that stands.
            for (r, apart) in apart.chunks_exact_mut(lines.of_row()).enumerate() {
                take(simd, stride, width, &x[r * width..], apart);
            }
            for (r, apart) in apart.chunks_exact(lines.of_row()).enumerate() {
                for at in (0..windows).step_by(S::F32_LANES) {
                    let (mut best, mut column) = (load::<S>(apart, at), zero);
                    for v in 1..size {
                        let x = load::<S>(apart, lines.columns[v] + at);
                        let is_larger = is_larger(simd, x, best);
                        best = simd.select_f32s(is_larger, x, best);
                        column = simd.select_f32s(is_larger, splat(v), column);
                    }
                    store::<S>(largest, r * windows + at, best);
                    store::<S>(columns, r * windows + at, column);
                }
            }
            // The tap of each window that sees its largest number, and what the window gives to it: nothing where there is no window.
            given.fill(0.0);
            for (i, dy) in dy.chunks_exact(across).enumerate() {
                let to = (i + reach) * padded + reach;
                for at in (0..windows).step_by(S::F32_LANES) {
                    let from = i * stride * windows + at;
                    let (mut best, mut tap) = (load::<S>(largest, from), load::<S>(columns, from));
                    for u in 1..size {
                        let from = from + u * windows;
                        let (x, column) = (load::<S>(largest, from), load::<S>(columns, from));
                        let is_larger = is_larger(simd, x, best);
                        best = simd.select_f32s(is_larger, x, best);
                        let here = simd.add_f32s(splat(u * size), column);
                        tap = simd.select_f32s(is_larger, here, tap);
                    }
                    store::<S>(taps, to + at, tap);
                }
                given[to..][..across].copy_from_slice(dy);
            }
            // To every number, from the windows that see it in their order.
            let (height, apart) = (lines.shape.height, &mut apart[..lines.of_row()]);
            for (i, first) in (0..height).step_by(stride).enumerate() {
                for row in 0..stride.min(height - first) {
                    for column in 0..stride {
                        for at in (0..width.div_ceil(stride)).step_by(S::F32_LANES) {
                            let mut sum = zero;
                            for up in (0..=reach).rev() {
                                for back in (0..=reach).rev() {
                                    let (u, v) = (up * stride + row, back * stride + column);
                                    if u < size && v < size {
                                        let from = (i + reach - up) * padded + reach - back + at;
                                        let here = splat(u * size + v);
                                        let here = simd.equal_f32s(load::<S>(taps, from), here);
                                        let given = load::<S>(given, from);
                                        sum =
                                            simd.add_f32s(sum, simd.select_f32s(here, given, zero));
                                    }
                                }
                            }
                            store::<S>(apart, column * lines.line + at, sum);
                        }
                    }
                    put(simd, stride, width, apart, &mut dx[(first + row) * width..]);
                }
            }
        }
    }
}
