//! Wide filters between many channels on the CPU: tiles of the images are multiplied with the filters in the Fourier domain
//! (overlap-save), where a filter of any width costs two products per output and pair of channels.
//!
//! Two tiles of an image go into one complex one, as its real and its imaginary part: the filters are real, so neither reaches the
//! other but by rounding. At a frequency f stand the spectrum there and the conjugate of the one at -f, which take the same
//! weights, and f and -f are visited once. For real numbers a channel has two rows, real and imaginary parts.

mod filters;
mod lines;
mod plan;
mod spectra;

use super::Shape;
use crate::ops::matmul::{self, Matrix};
use crate::ops::panel::{self, ROWS};
use filters::{Gradient, rows, weights};
pub use plan::Plan;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use spectra::{Analyse, Cut, Spectra, Synthesise, stride};

/// Units of tiles that are multiplied with a frequency's weights at a time.
const UNITS: usize = 4;
/// Numbers of spectra that a gradient keeps at a time: as many whole tasks as they hold, and at least one.
const KEPT: usize = 1 << 26;

/// Writes y, given `tap(o, c, i)` of the filters.
pub fn correlate(
    plan: &Plan,
    x: &[f32],
    tap: impl Fn(usize, usize, usize) -> f32 + Sync,
    y: &mut [f32],
) {
    let s = &plan.shape;
    let packed = weights(plan, (s.out_channels, s.in_channels), tap);
    let (x_image, _, y_image) = Shape { batch: 1, ..*s }.lengths();
    let cut = Cut {
        channels: s.in_channels,
        height: s.height,
        width: s.width,
        before: s.padding,
        size: plan.tile,
    };
    let len = |half: usize, columns: usize| plan.pairs.len() * stride(half, columns);
    let (inputs, outputs) = (s.in_channels, rows(s.out_channels));
    let tasks = x.par_chunks(plan.images * x_image);
    tasks
        .zip(y.par_chunks_mut(plan.images * y_image))
        .for_each(|(x, y)| {
            let units = plan.units(x.len() / x_image);
            let most = UNITS.min(units) * plan.unit();
            let [from_len, to_len] = [inputs, outputs].map(|half| len(half, most));
            let tiles = most / plan.unit() * plan.len();
            panel::with_scratch(tiles + from_len + to_len, |scratch| {
                let (tiles, scratch) = scratch.split_at_mut(tiles);
                let (from, to) = scratch.split_at_mut(from_len);
                for first in (0..units).step_by(UNITS) {
                    let columns = UNITS.min(units - first) * plan.unit();
                    let mut from = Spectra {
                        half: inputs,
                        columns,
                        values: &mut from[..len(inputs, columns)],
                    };
                    let mut to = Spectra {
                        half: outputs,
                        columns,
                        values: &mut to[..len(outputs, columns)],
                    };
                    let arch = Arch::new();
                    arch.dispatch(Analyse {
                        plan,
                        cut,
                        images: x,
                        first,
                        spectra: &mut from,
                        tiles,
                    });
                    arch.dispatch(Multiply {
                        weights: &packed,
                        from: &from,
                        to: &mut to,
                    });
                    arch.dispatch(Synthesise {
                        plan,
                        spectra: &to,
                        first,
                        channels: s.out_channels,
                        images: y,
                        tiles,
                    });
                }
            });
        });
}

/// Adds to dw.
pub fn backward_weights(plan: &Plan, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let s = &plan.shape;
    let (x_image, _, y_image) = Shape { batch: 1, ..*s }.lengths();
    let inputs = Cut {
        channels: s.in_channels,
        height: s.height,
        width: s.width,
        before: s.padding,
        size: plan.tile,
    };
    let outputs = Cut {
        channels: s.out_channels,
        height: s.out_height(),
        width: s.out_width(),
        before: 0,
        size: plan.inner,
    };
    // Rows of dy are vectors when filters are made.
    let padded = s.out_channels.next_multiple_of(plan.lanes);
    let of = |cut: Cut, half: usize, images: &[f32]| {
        let units = plan.units(images.len() / (cut.channels * cut.height * cut.width));
        let columns = units * plan.unit();
        let mut values = vec![0.0; plan.pairs.len() * stride(half, columns)];
        panel::with_scratch(units * plan.len(), |tiles| {
            Arch::new().dispatch(Analyse {
                plan,
                cut,
                images,
                first: 0,
                spectra: &mut Spectra {
                    half,
                    columns,
                    values: &mut values[..],
                },
                tiles,
            });
        });
        Spectra {
            half,
            columns,
            values,
        }
    };
    // Of every pair of frequencies: rows of x times rows of dy.
    let (m, n) = (2 * s.in_channels, 2 * padded);
    let mut sums = vec![0.0; plan.pairs.len() * m * n];
    let columns = plan.units(plan.images) * plan.unit();
    let task = plan.pairs.len() * (stride(s.in_channels, columns) + stride(padded, columns));
    // Sums are in the order of the tasks, however many are kept.
    let at_once = (KEPT / task).max(1) * plan.images;
    for (x, dy) in x
        .chunks(at_once * x_image)
        .zip(dy.chunks(at_once * y_image))
    {
        let groups: Vec<[Spectra<Vec<f32>>; 2]> = x
            .par_chunks(plan.images * x_image)
            .zip(dy.par_chunks(plan.images * y_image))
            .map(|(x, dy)| [of(inputs, s.in_channels, x), of(outputs, padded, dy)])
            .collect();
        let products = sums.par_chunks_exact_mut(m * n).enumerate();
        products.for_each(|(f, sum)| {
            for [x, dy] in &groups {
                let x_rows = Matrix::new(x.pair(f), x.columns);
                let dy_rows = Matrix::new(dy.pair(f), dy.columns).transposed();
                matmul::multiply_here((m, n, x.columns), x_rows, dy_rows, sum, true);
            }
        });
    }
    let (area, unit) = (s.kernel * s.kernel, plan.unit());
    let across = s.out_channels.div_ceil(unit);
    let filters = |i: usize| {
        let mut tile = vec![0.0; plan.len()];
        Arch::new().dispatch(Gradient {
            plan,
            sums: &sums,
            padded,
            channel: i / across,
            first: i % across * unit,
            tile: &mut tile,
        });
        tile
    };
    let scale = 0.5 / plan.area() as f32;
    let tiles: Vec<Vec<f32>> = (0..s.in_channels * across)
        .into_par_iter()
        .map(filters)
        .collect();
    for (i, tile) in tiles.iter().enumerate() {
        let (c, first) = (i / across, i % across * unit);
        for lane in 0..unit.min(s.out_channels - first) {
            let to = &mut dw[((first + lane) * s.in_channels + c) * area..][..area];
            for (i, to) in to.iter_mut().enumerate() {
                let at = plan.at(
                    spectra::mirrored(lane, plan.lanes),
                    i / s.kernel,
                    i % s.kernel,
                );
                *to += scale * tile[at];
            }
        }
    }
}

/// A frequency's weights times what stands there.
struct Multiply<'a, 'b> {
    weights: &'a [f32],
    from: &'a Spectra<&'b mut [f32]>,
    to: &'a mut Spectra<&'b mut [f32]>,
}

impl WithSimd for Multiply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, from, to } = self;
        let (columns, len, stride) = (from.columns, to.len(), to.stride());
        let per_pair = (2 * to.half).next_multiple_of(ROWS) * 2 * from.half;
        let outputs = to.values.chunks_exact_mut(stride).enumerate();
        for (weights, (f, out)) in weights.chunks_exact(per_pair).zip(outputs) {
            panel::narrow(simd, weights, from.pair(f), columns, &mut out[..len]);
        }
    }
}
