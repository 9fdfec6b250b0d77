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

use crate::ops::panel::{self, LINE, Shared};
use filters::{Gradient, weights};
use multiply::{Accumulate, Multiply};
pub use plan::Plan;
use pulp::Arch;
use rayon::prelude::*;
use spectra::{Analyse, Cut, Layout, Synthesise};

/// Numbers of spectra that are kept at a time: of as many images as they hold, and at least one.
const KEPT: usize = 1 << 24;

/// How many of these images have the spectra of all their channels kept at a time.
fn at_once(plan: &Plan, images: usize) -> usize {
    let s = &plan.shape;
    let channels = plan.padded(s.in_channels) + plan.padded(s.out_channels);
    let most = KEPT / (plan.pairs.len() * 4 * plan.twos() * channels);
    most.min(images).max(1)
}

fn layout(plan: &Plan, channels: usize, images: usize) -> Layout {
    Layout {
        channels: plan.padded(channels),
        tiles: images * plan.twos(),
        pairs: plan.pairs.len(),
    }
}

/// Spectra of some images.
fn analyse(plan: &Plan, cut: Cut, images: &[f32], layout: Layout, spectra: &mut [f32]) {
    assert!(spectra.len() >= layout.len());
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
                // SAFETY: spectra have so many tiles.
                to: unsafe { to.at(i * layout.tile()) },
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

/// From the spectra of inputs to those of outputs.
fn multiply(
    plan: &Plan,
    weights: &[f32],
    (from, from_layout): (&[f32], Layout),
    (to, to_layout): (&mut [f32], Layout),
) {
    let s = &plan.shape;
    let per_pair = filters::stride(plan, s.out_channels, s.in_channels);
    assert!(from.len() >= from_layout.len() && to.len() >= to_layout.len());
    let (from, to) = (Shared(from.as_ptr().cast_mut()), Shared(to.as_mut_ptr()));
    let all = weights.par_chunks_exact(per_pair).take(plan.pairs.len());
    all.enumerate().for_each(|(pair, weights)| {
        let sums = from_layout.columns() * from_layout.channels;
        panel::with_scratch(sums, |sums| {
            Arch::new().dispatch(Multiply {
                weights,
                inputs: s.in_channels,
                // SAFETY: both have so many pairs of frequencies, and what stands at one of them is this task's.
                from: unsafe { from.at(pair * from_layout.pair()) },
                from_layout,
                to: unsafe { to.at(pair * to_layout.pair()) },
                to_layout,
                sums,
            });
        });
    });
}

/// Outputs of what their spectra say.
fn synthesise(plan: &Plan, spectra: &[f32], layout: Layout, images: &mut [f32]) {
    let image = outputs(plan).len();
    let all = images.len() / image * plan.twos();
    let images = Shared(images.as_mut_ptr());
    (0..all).into_par_iter().for_each(|i| {
        panel::with_scratch(plan.len(), |tile| {
            Arch::new().dispatch(Synthesise {
                plan,
                from: &spectra[i * layout.tile()..],
                layout,
                two: i % plan.twos(),
                channels: plan.shape.out_channels,
                // SAFETY: there are so many images, and tiles share no pixel of them.
                image: unsafe { images.at(i / plan.twos() * image) },
                tile,
            });
        });
    });
}

/// Numbers of the products at one pair of frequencies that a gradient of filters is made of.
fn products(plan: &Plan) -> usize {
    3 * plan.padded(plan.shape.in_channels) * plan.padded(plan.shape.out_channels) + LINE
}

/// Products of the spectra of inputs with those of outputs' gradients.
fn accumulate(
    plan: &Plan,
    (x, x_layout): (&[f32], Layout),
    (dy, dy_layout): (&[f32], Layout),
    sums: &mut [f32],
    add: bool,
) {
    assert!(x.len() >= x_layout.len() && dy.len() >= dy_layout.len());
    let [x, dy] = [x, dy].map(|spectra| Shared(spectra.as_ptr().cast_mut()));
    let all = sums
        .par_chunks_exact_mut(products(plan))
        .take(plan.pairs.len());
    all.enumerate().for_each(|(pair, sums)| {
        panel::with_scratch(Accumulate::scratch(x_layout, dy_layout), |scratch| {
            Arch::new().dispatch(Accumulate {
                // SAFETY: both have so many pairs of frequencies.
                x: unsafe { x.at(pair * x_layout.pair()) },
                x_layout,
                dy: unsafe { dy.at(pair * dy_layout.pair()) },
                dy_layout,
                sums,
                add,
                scratch,
            });
        });
    });
}

/// Writes y, given `tap(o, c, i)` of the filters.
pub fn correlate(
    plan: &Plan,
    x: &[f32],
    tap: impl Fn(usize, usize, usize) -> f32 + Sync,
    y: &mut [f32],
) {
    let s = &plan.shape;
    let (x_image, y_image) = (inputs(plan).len(), outputs(plan).len());
    let images = at_once(plan, x.len() / x_image);
    let [from, to] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, images));
    let filters = filters::stride(plan, s.out_channels, s.in_channels);
    let lengths = [plan.pairs.len() * filters, from.len(), to.len()];
    panel::with_scratch(lengths.iter().sum(), |scratch| {
        let (packed, scratch) = scratch.split_at_mut(lengths[0]);
        weights(plan, (s.out_channels, s.in_channels), tap, packed);
        let (from_values, to_values) = scratch.split_at_mut(lengths[1]);
        let chunks = x.chunks(images * x_image);
        for (x, y) in chunks.zip(y.chunks_mut(images * y_image)) {
            let count = x.len() / x_image;
            let [from, to] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, count));
            analyse(plan, inputs(plan), x, from, from_values);
            multiply(plan, packed, (from_values, from), (to_values, to));
            synthesise(plan, to_values, to, y);
        }
    });
}

/// Adds to dw, number i of the filter from channel c to channel o standing at `place(o, c, i)`, each at a place of its own.
pub fn backward_weights(
    plan: &Plan,
    x: &[f32],
    dy: &[f32],
    place: impl Fn(usize, usize, usize) -> usize + Sync,
    dw: &mut [f32],
) {
    let s = &plan.shape;
    let (x_image, y_image) = (inputs(plan).len(), outputs(plan).len());
    // Sums are in the order of these chunks.
    let images = at_once(plan, x.len() / x_image);
    let [of_x, of_dy] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, images));
    let lengths = [plan.pairs.len() * products(plan), of_x.len(), of_dy.len()];
    panel::with_scratch(lengths.iter().sum(), |scratch| {
        let (sums, scratch) = scratch.split_at_mut(lengths[0]);
        let (x_values, dy_values) = scratch.split_at_mut(lengths[1]);
        let chunks = x.chunks(images * x_image);
        for (i, (x, dy)) in chunks.zip(dy.chunks(images * y_image)).enumerate() {
            let count = x.len() / x_image;
            let [of_x, of_dy] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, count));
            analyse(plan, inputs(plan), x, of_x, x_values);
            analyse(plan, outputs(plan), dy, of_dy, dy_values);
            accumulate(plan, (x_values, of_x), (dy_values, of_dy), sums, i > 0);
        }
        gradient(plan, sums, place, dw);
    });
}

/// Writes dx, given `tap(c, o, i)` of the turned filters, and adds to dw at `place(c, o, i)`: both of one layer, of the same spectra of dy.
/// The plan is that of the way back, from dy to dx.
pub fn backward(
    plan: &Plan,
    x: &[f32],
    dy: &[f32],
    tap: impl Fn(usize, usize, usize) -> f32 + Sync,
    dx: &mut [f32],
    place: impl Fn(usize, usize, usize) -> usize + Sync,
    dw: &mut [f32],
) {
    let s = &plan.shape;
    let (dy_image, x_image) = (inputs(plan).len(), outputs(plan).len());
    // Sums are in the order of these chunks.
    let images = at_once(plan, dy.len() / dy_image);
    let [of_dy, of_x] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, images));
    let filters = filters::stride(plan, s.out_channels, s.in_channels);
    let pairs = plan.pairs.len();
    let lengths = [
        pairs * filters,
        pairs * products(plan),
        of_dy.len(),
        of_x.len(),
    ];
    panel::with_scratch(lengths.iter().sum(), |scratch| {
        let (packed, scratch) = scratch.split_at_mut(lengths[0]);
        let (sums, scratch) = scratch.split_at_mut(lengths[1]);
        let (dy_values, x_values) = scratch.split_at_mut(lengths[2]);
        weights(plan, (s.out_channels, s.in_channels), tap, packed);
        let chunks = dy.chunks(images * dy_image).zip(x.chunks(images * x_image));
        for (i, ((dy, x), dx)) in chunks.zip(dx.chunks_mut(images * x_image)).enumerate() {
            let count = dy.len() / dy_image;
            let [of_dy, of_x] = [s.in_channels, s.out_channels].map(|c| layout(plan, c, count));
            analyse(plan, inputs(plan), dy, of_dy, dy_values);
            analyse(plan, outputs(plan), x, of_x, x_values);
            accumulate(plan, (dy_values, of_dy), (x_values, of_x), sums, i > 0);
            // Where the spectra of x were.
            multiply(plan, packed, (dy_values, of_dy), (x_values, of_x));
            synthesise(plan, x_values, of_x, dx);
        }
        gradient(plan, sums, place, dw);
    });
}

/// Adds to dw what products at all frequencies say.
fn gradient(
    plan: &Plan,
    sums: &[f32],
    place: impl Fn(usize, usize, usize) -> usize + Sync,
    dw: &mut [f32],
) {
    let s = &plan.shape;
    let unit = plan.element();
    let scale = 0.5 / plan.area() as f32;
    let len = dw.len();
    let dw = Shared(dw.as_mut_ptr());
    let blocks = s.out_channels.div_ceil(unit);
    (0..blocks * s.in_channels).into_par_iter().for_each(|i| {
        let (first, input) = (i / s.in_channels * unit, i % s.in_channels);
        panel::with_scratch(plan.len(), |tile| {
            Arch::new().dispatch(Gradient {
                plan,
                sums,
                input,
                first,
                tile,
            });
            for output in first..s.out_channels.min(first + unit) {
                // Parts are exchanged.
                let lane = (output - first + plan.lanes) % unit;
                for i in 0..s.kernel * s.kernel {
                    let at = place(output, input, i);
                    assert!(at < len);
                    // SAFETY: there is such a number, and no other filter's lies there.
                    unsafe {
                        *dw.at(at) += scale * tile[plan.at(lane, i / s.kernel, i % s.kernel)]
                    };
                }
            }
        });
    });
}
