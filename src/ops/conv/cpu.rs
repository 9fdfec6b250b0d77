//! The direct form over pixel tiles: filters stay packed, the padded image itself is the panel. Where tiles in the Fourier domain have less
//! to do, they do it.

use super::Shape;
use super::fourier::{self, Plan};
use crate::ops::panel::{self, Parts, ROWS, Scattered, TILE};
use crate::ops::turn::turn;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub fn forward(s: &Shape, x: &[f32], w: &[f32], y: &mut [f32]) {
    let (depth, area) = (s.in_channels * s.kernel * s.kernel, s.kernel * s.kernel);
    if let Some(plan) = Plan::of(s) {
        return fourier::correlate(&plan, x, |o, c, tap| w[o * depth + c * area + tap], y);
    }
    let packed = panel::pack(s.out_channels, depth, |o, k| w[o * depth + k]);
    correlate(s, x, &packed, y);
}

pub fn backward_input(s: &Shape, w: &[f32], dy: &[f32], dx: &mut [f32]) {
    let area = s.kernel * s.kernel;
    let t = s.transposed();
    // Rows are x's channels c, depth runs over (o, tap) with the taps reversed.
    let turned =
        |c: usize, o: usize, tap: usize| w[(o * s.in_channels + c) * area + area - 1 - tap];
    if let Some(plan) = Plan::of(&t) {
        return fourier::correlate(&plan, dy, turned, dx);
    }
    let packed = panel::pack(t.out_channels, t.in_channels * area, |c, k| {
        turned(c, k / area, k % area)
    });
    correlate(&t, dy, &packed, dx);
}

/// Both gradients.
pub fn backward(s: &Shape, (x, w): (&[f32], &[f32]), dy: &[f32], dx: &mut [f32], dw: &mut [f32]) {
    if let (Some(_), Some(plan)) = (Plan::of(s), Plan::of(&s.transposed())) {
        let (channels, area) = (s.in_channels, s.kernel * s.kernel);
        let place = |c: usize, o: usize, tap: usize| (o * channels + c + 1) * area - 1 - tap;
        let turned = |c: usize, o: usize, tap: usize| w[place(c, o, tap)];
        return fourier::backward(&plan, x, dy, turned, dx, place, dw);
    }
    backward_weights(s, x, dy, dw);
    backward_input(s, w, dy, dx);
}

pub fn backward_weights(s: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if let Some(plan) = Plan::of(s) {
        let (channels, area) = (s.in_channels, s.kernel * s.kernel);
        let place = |o: usize, c: usize, tap: usize| (o * channels + c) * area + tap;
        return fourier::backward_weights(&plan, x, dy, place, dw);
    }
    let (x_image, _, y_image) = Shape { batch: 1, ..*s }.lengths();
    let (offsets, rows) = (offsets(s), panel::padded_rows(s.out_channels));
    let n = panel::images_per_task(s.batch);
    let sums: Vec<Vec<f32>> = x
        .par_chunks(n * x_image)
        .zip(dy.par_chunks(n * y_image))
        .map(|(x, dy)| {
            let mut sums = vec![0.0; offsets.len() * rows];
            for (x, dy) in x.chunks_exact(x_image).zip(dy.chunks_exact(y_image)) {
                let (offsets, sums) = (&offsets[..], &mut sums[..]);
                panel::with_scratch(planes(s) + rows * SPAN * TILE, |scratch| {
                    Arch::new().dispatch(Outer {
                        s,
                        x,
                        dy,
                        offsets,
                        sums,
                        scratch,
                    });
                });
            }
            sums
        })
        .collect();
    for sum in &sums {
        for (o, dw) in dw.chunks_exact_mut(offsets.len()).enumerate() {
            for (k, dw) in dw.iter_mut().enumerate() {
                *dw += sum[k * rows + o];
            }
        }
    }
}

fn offsets(s: &Shape) -> Vec<usize> {
    let (g, k) = (s.geometry(), s.kernel);
    (0..s.in_channels * k * k)
        .map(|i| i / (k * k) * g.plane() + i / k % k * g.stride() + i % k)
        .collect()
}

fn correlate(s: &Shape, x: &[f32], packed: &[f32], y: &mut [f32]) {
    let (x_image, _, y_image) = Shape { batch: 1, ..*s }.lengths();
    let offsets = offsets(s);
    x.par_chunks_exact(x_image)
        .zip(y.par_chunks_exact_mut(y_image))
        .for_each(|(x, y)| {
            let offsets = &offsets[..];
            let out_rows = s.out_channels.next_multiple_of(ROWS);
            panel::with_scratch(planes(s) + out_rows * TILE, |scratch| {
                Arch::new().dispatch(Correlate {
                    s,
                    x,
                    packed,
                    offsets,
                    y,
                    scratch,
                });
            });
        });
}

struct Correlate<'a> {
    s: &'a Shape,
    x: &'a [f32],
    packed: &'a [f32],
    offsets: &'a [usize],
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            s,
            x,
            packed,
            offsets,
            y,
            scratch,
        } = self;
        let g = s.geometry();
        let area = s.out_height() * s.out_width();
        let (padded, tile_out) = scratch.split_at_mut(planes(s));
        place_all(s, x, padded);
        for tile in 0..g.tiles() {
            // SAFETY: planes have room for a tile at every tap (Geometry::plane).
            unsafe {
                let from = padded.as_ptr().add(tile * TILE);
                panel::product(
                    simd,
                    packed,
                    Scattered(from, offsets),
                    offsets.len(),
                    Parts::ONE,
                    s.out_channels,
                    tile_out,
                    false,
                );
            }
            for segment in g.segments(tile) {
                for o in 0..s.out_channels {
                    y[o * area + segment.output..][..segment.len]
                        .copy_from_slice(&tile_out[o * TILE + segment.at..][..segment.len]);
                }
            }
        }
    }
}

struct Outer<'a> {
    s: &'a Shape,
    x: &'a [f32],
    dy: &'a [f32],
    offsets: &'a [usize],
    sums: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            s,
            x,
            dy,
            offsets,
            sums,
            scratch,
        } = self;
        let g = s.geometry();
        let rows = panel::padded_rows(s.out_channels);
        let area = s.out_height() * s.out_width();
        let (padded, right) = scratch.split_at_mut(planes(s));
        place_all(s, x, padded);
        for first in (0..g.tiles()).step_by(SPAN) {
            let tiles = SPAN.min(g.tiles() - first);
            let right = &mut right[..tiles * TILE * rows];
            right.fill(0.0);
            for (tile, right) in right.chunks_exact_mut(TILE * rows).enumerate() {
                for segment in g.segments(first + tile) {
                    // SAFETY: pixels of dy, and rows of whole vectors for each.
                    unsafe {
                        let from = dy.as_ptr().add(segment.output);
                        let to = right.as_mut_ptr().add(segment.at * rows);
                        turn(
                            simd,
                            (from, area),
                            (to, rows),
                            (s.out_channels, segment.len),
                        );
                    }
                }
            }
            // SAFETY: planes have room for a tile at every tap (Geometry::plane).
            unsafe {
                let from = padded.as_ptr().add(first * TILE);
                panel::outer(simd, Scattered(from, offsets), right, rows, sums);
            }
        }
    }
}

/// Tiles whose products with the output's gradient are summed in registers.
const SPAN: usize = 2;

fn planes(s: &Shape) -> usize {
    s.in_channels * s.geometry().plane()
}

fn place_all(s: &Shape, x: &[f32], padded: &mut [f32]) {
    let g = s.geometry();
    padded.fill(0.0);
    for (plane, padded) in x
        .chunks_exact(s.height * s.width)
        .zip(padded.chunks_exact_mut(g.plane()))
    {
        g.place(plane, padded);
    }
}
