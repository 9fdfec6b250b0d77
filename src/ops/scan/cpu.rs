//! Rows of places at a time: with g's columns reversed and zeros around it, one pixel of a mask adds a contiguous piece.

use super::{Masks, Places, Window, reference};
use crate::ops::panel::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Places held in registers: rows by vectors.
const ROWS: usize = 4;
const VECTORS: usize = 2;
/// Places in a row are padded to this: two of the widest vectors.
const COLUMNS: usize = 32;

pub fn best(
    window: &Window,
    places: &Places,
    masks: &Masks,
    g: &[f32],
    values: &mut [f32],
    at: &mut [u32],
) {
    let (starts, weights) = (masks.starts.view().host(), masks.weights.view().host());
    let (pixels, blank) = (masks.pixels.view().host(), masks.blank.view().host());
    let neurons = blank.len();
    values
        .par_iter_mut()
        .zip(at.par_iter_mut())
        .zip(g.par_chunks_exact(window.height * window.width))
        .enumerate()
        .for_each(|(i, ((value, at), g))| {
            let n = i % neurons;
            let list = starts[n] as usize..starts[n + 1] as usize;
            let scan = Scan::new(window, places, &pixels[list.clone()]);
            let padded = places.rows.next_multiple_of(ROWS) * scan.columns;
            with_scratch(scan.len() + padded, |scratch| {
                let (canvas, sums) = scratch.split_at_mut(scan.len());
                scan.lay_out(g, blank[n], canvas);
                Arch::new().dispatch(Sum {
                    scan: &scan,
                    pixels: &pixels[list.clone()],
                    weights: &weights[list.clone()],
                    canvas,
                    sums,
                });
                let in_order = (0..places.count())
                    .map(|p| sums[p % places.rows * scan.columns + p / places.rows]);
                let (found, place) = reference::best(&in_order.collect::<Vec<_>>());
                (*value, *at) = (found, place as u32);
            });
        });
}

/// One neuron's canvas, laid out so that pixel (row, column) adds, for place (y, x), element
/// `(row - top + rows - 1 - y) stride + (right - column) + x`, places counted from 0.
struct Scan<'a> {
    window: &'a Window,
    places: &'a Places,
    /// Rows and columns that the mask's pixels span.
    top: usize,
    bottom: usize,
    right: usize,
    /// Places in a row, in whole vectors.
    columns: usize,
    stride: usize,
}

impl<'a> Scan<'a> {
    fn new(window: &'a Window, places: &'a Places, pixels: &[u32]) -> Self {
        let rows = || pixels.iter().map(|p| (p >> 16) as usize);
        let across = || pixels.iter().map(|p| (p & 0xffff) as usize);
        let (left, right) = (across().min().unwrap_or(0), across().max().unwrap_or(0));
        let columns = places.columns.next_multiple_of(COLUMNS);
        Self {
            window,
            places,
            top: rows().min().unwrap_or(0),
            bottom: rows().max().unwrap_or(0),
            right,
            columns,
            stride: right - left + columns,
        }
    }

    /// Rows, of which the first ones serve places below the last.
    fn rows(&self) -> usize {
        self.bottom - self.top + self.places.rows + ROWS - 1
    }

    fn len(&self) -> usize {
        self.rows() * self.stride
    }

    fn lay_out(&self, g: &[f32], blank: f32, canvas: &mut [f32]) {
        canvas.fill(0.0);
        // Displacements of the first row and of the first column of the layout.
        let last = self.places.row + self.places.rows as i64 - 1;
        let first_row = self.top as i64 - last - (ROWS as i64 - 1);
        let first_column = self.right as i64 - self.places.column;
        for (r, line) in canvas.chunks_exact_mut(self.stride).enumerate() {
            let row = first_row + r as i64 - self.window.top;
            if !(0..self.window.height as i64).contains(&row) {
                continue;
            }
            let source = &g[row as usize * self.window.width..][..self.window.width];
            for (c, v) in line.iter_mut().enumerate() {
                let column = first_column - c as i64 - self.window.left;
                if (0..self.window.width as i64).contains(&column) {
                    *v = source[column as usize] - blank;
                }
            }
        }
    }
}

/// The responses at all places, in rows of `scan.columns`.
struct Sum<'a> {
    scan: &'a Scan<'a>,
    pixels: &'a [u32],
    weights: &'a [f32],
    canvas: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Scan {
            places,
            top,
            right,
            columns,
            stride,
            ..
        } = *self.scan;
        let width = VECTORS * S::F32_LANES;
        for y in (0..places.rows).step_by(ROWS) {
            for x in (0..columns).step_by(width) {
                let mut acc = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
                for (&pixel, &weight) in self.pixels.iter().zip(self.weights) {
                    let (row, column) = ((pixel >> 16) as usize, (pixel & 0xffff) as usize);
                    let weight = simd.splat_f32s(weight);
                    // The row for place y; the places below it use the rows before.
                    let above = row - top + places.rows - 1 + ROWS - 1 - y;
                    for (k, acc) in acc.iter_mut().enumerate() {
                        let from = (above - k) * stride + right - column + x;
                        let (line, _) = S::as_simd_f32s(&self.canvas[from..from + width]);
                        for (a, &v) in acc.iter_mut().zip(line) {
                            *a = simd.mul_add_e_f32s(weight, v, *a);
                        }
                    }
                }
                for (k, acc) in acc.iter().enumerate() {
                    let from = (y + k) * columns + x;
                    let (line, _) = S::as_mut_simd_f32s(&mut self.sums[from..from + width]);
                    line.copy_from_slice(acc);
                }
            }
        }
    }
}
