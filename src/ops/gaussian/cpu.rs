//! The passes on maps turned to (P, C), where the channels of a pixel lie side by side.

use super::reference::{Place, Values, grow};
use super::{Gradients, Shape};
use rayon::prelude::*;

/// Images that are turned at a time.
const IMAGES: usize = 16;

/// An image's maps (C, P) as (P, C).
fn turned(s: &Shape, maps: &[f32], out: &mut [f32]) {
    let area = s.height * s.width;
    for (p, out) in out.chunks_exact_mut(s.channels).enumerate() {
        for (c, v) in out.iter_mut().enumerate() {
            *v = maps[c * area + p];
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, for the sake of vectors; their order is fixed.
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a8.remainder().iter().zip(b8.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

pub fn forward(s: &Shape, x: &[f32], values: &Values<f32>, h: &mut [f32], corners: &mut [f32]) {
    let (c, of_image) = (s.channels, s.channels * s.height * s.width);
    let maps = x.par_chunks_exact(of_image);
    let to = (h.par_chunks_exact_mut(s.neurons)).zip(corners.par_chunks_exact_mut(4 * s.neurons));
    maps.zip(to).enumerate().for_each_init(
        || vec![0.0; of_image],
        |pixels, (image, (maps, (h, corners)))| {
            turned(s, maps, pixels);
            for (n, (h, q)) in h.iter_mut().zip(corners.chunks_exact_mut(4)).enumerate() {
                let place = Place::of(s, values, image, n);
                let own = &values.features[n * c..(n + 1) * c];
                let seen = place.pixels(s);
                let mut sum = values.bias[n];
                for (k, weight) in place.weights().into_iter().enumerate() {
                    q[k] = seen[k].map_or(0.0, |p| dot(own, &pixels[p * c..(p + 1) * c]));
                    sum += weight * q[k];
                }
                *h = sum;
            }
        },
    );
}

pub fn backward_input(s: &Shape, values: &Values<f32>, dh: &[f32], dx: &mut [f32]) {
    let (c, area) = (s.channels, s.height * s.width);
    let images = dx
        .par_chunks_exact_mut(c * area)
        .zip(dh.par_chunks_exact(s.neurons));
    images.enumerate().for_each_init(
        || vec![0.0f32; c * area],
        |pixels, (image, (dx, dh))| {
            pixels.fill(0.0);
            for (n, d) in dh.iter().enumerate() {
                let place = Place::of(s, values, image, n);
                let own = &values.features[n * c..(n + 1) * c];
                for (pixel, weight) in place.pixels(s).into_iter().zip(place.weights()) {
                    let Some(p) = pixel else { continue };
                    let to = pixels[p * c..(p + 1) * c].iter_mut();
                    to.zip(own).for_each(|(to, w)| *to += d * weight * w);
                }
            }
            for (p, from) in pixels.chunks_exact(c).enumerate() {
                for (channel, v) in from.iter().enumerate() {
                    dx[channel * area + p] = *v;
                }
            }
        },
    );
}

pub fn backward_weights(
    s: &Shape,
    x: &[f32],
    values: &Values<f32>,
    (corners, dh): (&[f32], &[f32]),
    gradients: Gradients,
) {
    let (c, n) = (s.channels, s.neurons);
    let of_image = c * s.height * s.width;
    let (position, spread) = (gradients.position.host(), gradients.spread.host());
    let (features, bias) = (gradients.features.host(), gradients.bias.host());
    position
        .par_chunks_exact_mut(2)
        .zip(spread.par_chunks_exact_mut(s.spread()))
        .zip(bias.par_iter_mut())
        .enumerate()
        .for_each(|(neuron, ((position, spread), bias))| {
            for image in 0..s.batch {
                let at = image * n + neuron;
                *bias += dh[at];
                let place = Place::of(s, values, image, neuron);
                let slopes = place.slopes(s, &corners[4 * at..][..4]);
                let noise = values.noise_of(s, image, neuron);
                grow(slopes.map(|v| dh[at] * v), noise, position, spread);
            }
        });
    let mut pixels = vec![0.0; IMAGES.min(s.batch) * of_image];
    for (first, maps) in (0..s.batch)
        .step_by(IMAGES)
        .zip(x.chunks(IMAGES * of_image))
    {
        let pixels = &mut pixels[..maps.len()];
        let pairs = maps
            .par_chunks_exact(of_image)
            .zip(pixels.par_chunks_exact_mut(of_image));
        pairs.for_each(|(maps, pixels)| turned(s, maps, pixels));
        let pixels = &*pixels;
        let each = features.par_chunks_exact_mut(c).enumerate();
        each.for_each(|(neuron, own)| {
            for (i, pixels) in pixels.chunks_exact(of_image).enumerate() {
                let image = first + i;
                let d = dh[image * n + neuron];
                let place = Place::of(s, values, image, neuron);
                for (pixel, weight) in place.pixels(s).into_iter().zip(place.weights()) {
                    let Some(p) = pixel else { continue };
                    let from = &pixels[p * c..(p + 1) * c];
                    own.iter_mut()
                        .zip(from)
                        .for_each(|(o, v)| *o += d * weight * v);
                }
            }
        });
    }
}
