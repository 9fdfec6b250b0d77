//! Wide filters between many channels on the CPU: tiles of the images are multiplied with the filters in the Fourier domain
//! (overlap-save), where a filter of any width costs a product and a half per output and pair of channels.
//!
//! Two tiles of an image go into one complex one, as its real and its imaginary part: the filters are real, so neither reaches the
//! other but by rounding. At a frequency f stand the spectrum there and the conjugate of the one at -f, which take the same
//! weights, and f and -f are visited once.
//!
//! ```text
//! images --Analyse--> spectra --Multiply--> spectra --Synthesise--> images
//! images, gradients --Analyse--> spectra --Accumulate--> products --Gradient--> gradient of filters
//! ```

mod filters;
mod lines;
mod multiply;
mod plan;
mod spectra;

use super::Shape;
use crate::ops::panel::{self, LINE, Shared};
use filters::{Gradient, weights};
use multiply::{Accumulate, Multiply};
pub use plan::Plan;
use pulp::Arch;
use rayon::prelude::*;
use spectra::{Analyse, Cut, Layout, Synthesise};

/// Numbers of spectra that are kept at a time: of as many images as they hold, and at least one.
const KEPT: usize = 1 << 24;

/// How many of these images have their spectra kept at a time, of so many channels in all.
fn at_once(plan: &Plan, channels: usize, images: usize) -> usize {
    let most = KEPT / (plan.pairs.len() * 4 * plan.twos() * channels);
    most.min(images).max(1)
}

fn layout(plan: &Plan, channels: usize, images: usize) -> Layout {
    Layout {
        channels: plan.padded(channels),
        columns: 2 * images * plan.twos(),
    }
}

/// Spectra of some images.
fn analyse(plan: &Plan, cut: Cut, images: &[f32], layout: Layout, spectra: &mut [f32]) {
    assert!(spectra.len() >= plan.pairs.len() * layout.stride());
    let to = Shared(spectra.as_mut_ptr());
    let all = images.len() / cut.len() * plan.twos();
    (0..all).into_par_iter().for_each(|i| {
        let (image, two) = (i / plan.twos(), i % plan.twos());
        panel::with_scratch(plan.len(), |tile| {
            Arch::new().dispatch(Analyse {
                plan,
                cut,
                image: &images[image * cut.len()..][..cut.len()],
                two,
                layout,
                // SAFETY: spectra have two columns for each complex tile.
                to: unsafe { to.at(2 * i * layout.column()) },
                tile,
            });
        });
    });
}

/// What lies in a tile of the input: with the neighbours that filters reach.
fn inputs(plan: &Plan) -> Cut {
    let s = &plan.shape;
    Cut {
        channels: s.in_channels,
        height: s.height,
        width: s.width,
        before: s.padding,
        size: plan.tile,
    }
}

/// And in one of the output.
fn outputs(plan: &Plan) -> Cut {
    let s = &plan.shape;
    Cut {
        channels: s.out_channels,
        height: s.out_height(),
        width: s.out_width(),
        before: 0,
        size: plan.inner,
    }
}

/// Writes y, given `tap(o, c, i)` of the filters.
pub fn correlate(
    plan: &Plan,
    x: &[f32],
    tap: impl Fn(usize, usize, usize) -> f32 + Sync,
    y: &mut [f32],
) {
    let s = &plan.shape;
    let (x_image, _, y_image) = Shape { batch: 1, ..*s }.lengths();
    let per_pair = filters::stride(plan, s.out_channels, s.in_channels);
    let channels = plan.padded(s.in_channels) + plan.padded(s.out_channels);
    let images = at_once(plan, channels, x.len() / x_image);
    let pairs = plan.pairs.len();
    let [from, to] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, images));
    let lengths = [per_pair, from.stride(), to.stride()].map(|stride| pairs * stride);
    panel::with_scratch(lengths.iter().sum(), |scratch| {
        let (packed, scratch) = scratch.split_at_mut(lengths[0]);
        weights(plan, (s.out_channels, s.in_channels), tap, packed);
        let (from_values, to_values) = scratch.split_at_mut(lengths[1]);
        let chunks = x.chunks(images * x_image);
        for (x, y) in chunks.zip(y.chunks_mut(images * y_image)) {
            let count = x.len() / x_image;
            let [from, to] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, count));
            analyse(plan, inputs(plan), x, from, from_values);
            let all = from_values
                .par_chunks_exact(from.stride())
                .zip(to_values.par_chunks_exact_mut(to.stride()))
                .zip(packed.par_chunks_exact(per_pair));
            all.take(pairs)
                .for_each(|((from_values, to_values), weights)| {
                    panel::with_scratch(from.columns * from.channels, |sums| {
                        Arch::new().dispatch(Multiply {
                            weights,
                            inputs: s.in_channels,
                            from: &from_values[..from.pair()],
                            from_layout: from,
                            to: to_values,
                            to_layout: to,
                            sums,
                        });
                    });
                });
            let (values, images) = (&to_values[..], Shared(y.as_mut_ptr()));
            (0..count * plan.twos()).into_par_iter().for_each(|i| {
                panel::with_scratch(plan.len(), |tile| {
                    Arch::new().dispatch(Synthesise {
                        plan,
                        from: &values[2 * i * to.column()..],
                        layout: to,
                        two: i % plan.twos(),
                        channels: s.out_channels,
                        // SAFETY: y has so many images, and tiles share no pixel of it.
                        image: unsafe { images.at(i / plan.twos() * y_image) },
                        tile,
                    });
                });
            });
        }
    });
}

/// Adds to dw.
pub fn backward_weights(plan: &Plan, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let s = &plan.shape;
    let (x_image, _, y_image) = Shape { batch: 1, ..*s }.lengths();
    let (m, n) = (plan.padded(s.in_channels), plan.padded(s.out_channels));
    // Sums are in the order of these chunks.
    let images = at_once(plan, m + n, x.len() / x_image);
    let pairs = plan.pairs.len();
    let [of_x, of_dy] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, images));
    let per_pair = 3 * m * n + LINE;
    let lengths = [per_pair, of_x.stride(), of_dy.stride()].map(|stride| pairs * stride);
    panel::with_scratch(lengths.iter().sum(), |scratch| {
        let (sums, scratch) = scratch.split_at_mut(lengths[0]);
        let (x_values, dy_values) = scratch.split_at_mut(lengths[1]);
        let chunks = x.chunks(images * x_image);
        for (i, (x, dy)) in chunks.zip(dy.chunks(images * y_image)).enumerate() {
            let count = x.len() / x_image;
            let [x_layout, dy_layout] =
                [s.in_channels, s.out_channels].map(|c| layout(plan, c, count));
            analyse(plan, inputs(plan), x, x_layout, x_values);
            analyse(plan, outputs(plan), dy, dy_layout, dy_values);
            let all = x_values
                .par_chunks_exact(x_layout.stride())
                .zip(dy_values.par_chunks_exact(dy_layout.stride()))
                .zip(sums.par_chunks_exact_mut(per_pair));
            all.take(pairs).for_each(|((x, dy), sums)| {
                panel::with_scratch(Accumulate::scratch(x_layout, dy_layout), |scratch| {
                    Arch::new().dispatch(Accumulate {
                        x: &x[..x_layout.pair()],
                        x_layout,
                        dy: &dy[..dy_layout.pair()],
                        dy_layout,
                        sums,
                        add: i > 0,
                        scratch,
                    });
                });
            });
        }
        gradient(plan, sums, dw);
    });
}

/// Adds to dw what products at all frequencies say.
fn gradient(plan: &Plan, sums: &[f32], dw: &mut [f32]) {
    let s = &plan.shape;
    let (area, unit) = (s.kernel * s.kernel, plan.element());
    let scale = 0.5 / plan.area() as f32;
    let filters = dw.par_chunks_mut(unit * s.in_channels * area).enumerate();
    filters.for_each(|(i, dw)| {
        panel::with_scratch(plan.len(), |tile| {
            for input in 0..s.in_channels {
                Arch::new().dispatch(Gradient {
                    plan,
                    sums,
                    input,
                    first: i * unit,
                    tile,
                });
                for (lane, dw) in dw.chunks_exact_mut(s.in_channels * area).enumerate() {
                    // Parts are exchanged.
                    let lane = (lane + plan.lanes) % unit;
                    for (i, to) in dw[input * area..][..area].iter_mut().enumerate() {
                        *to += scale * tile[plan.at(lane, i / s.kernel, i % s.kernel)];
                    }
                }
            }
        });
    });
}
