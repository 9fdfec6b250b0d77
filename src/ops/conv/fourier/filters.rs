//! From filters to their weights at every frequency, and from products at every frequency to the gradient of filters.

use super::lines;
use super::plan::Plan;
use crate::ops::panel::ROWS;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows of the real parts of so many channels, and then of the imaginary ones: whole blocks of a product.
pub fn rows(channels: usize) -> usize {
    channels.next_multiple_of(ROWS / 2)
}

/// Weights of every pair of frequencies, packed for [`crate::ops::panel::narrow`]: of the filter from channel d to channel r, `tap(r, d, i)`.
pub fn weights(
    plan: &Plan,
    (outputs, inputs): (usize, usize),
    tap: impl Fn(usize, usize, usize) -> f32 + Sync,
) -> Vec<f32> {
    let k = plan.shape.kernel;
    let unit = plan.unit();
    // A tile's lanes are outputs.
    let across = outputs.div_ceil(unit);
    let tiles: Vec<Vec<f32>> = (0..across * inputs)
        .into_par_iter()
        .map(|i| {
            let (first, d) = (i % across * unit, i / across);
            let mut tile = vec![0.0; plan.len()];
            for lane in 0..unit.min(outputs - first) {
                for i in 0..k * k {
                    tile[plan.at(lane, i / k, i % k)] = tap(first + lane, d, i);
                }
            }
            Arch::new().dispatch(Transform {
                plan,
                tile: &mut tile,
                filled: k,
            });
            tile
        })
        .collect();
    let per_pair = (2 * rows(outputs)).next_multiple_of(ROWS) * 2 * inputs;
    let mut packed = vec![0.0; plan.pairs.len() * per_pair];
    let packs = packed.par_chunks_exact_mut(per_pair).enumerate();
    packs.for_each(|(f, packed)| {
        Arch::new().dispatch(Pack {
            plan,
            outputs,
            inputs,
            tiles: &tiles,
            f,
            packed,
        });
    });
    packed
}

/// Weights of one pair of frequencies.
struct Pack<'a> {
    plan: &'a Plan,
    outputs: usize,
    inputs: usize,
    tiles: &'a [Vec<f32>],
    f: usize,
    packed: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            outputs,
            inputs,
            tiles,
            f,
            packed,
        } = self;
        let (depth, unit, imaginary) = (2 * inputs, plan.unit(), rows(outputs));
        let across = outputs.div_ceil(unit);
        let scale = simd.splat_f32s(0.5 / plan.area() as f32);
        for (i, tile) in tiles.iter().enumerate() {
            let (first, d) = (i % across * unit, i / across);
            let [at, mirror] = plan.pairs[f];
            // SAFETY: an element has two vectors.
            let (re, im) = unsafe { lines::load::<S>(tile[at * unit..][..unit].as_ptr()) };
            let (mirror_re, mirror_im) =
                unsafe { lines::load::<S>(tile[mirror * unit..][..unit].as_ptr()) };
            // Two filters in one tile: the sum, or the difference, of what stands at f and -f is one's.
            for half in 0..2 {
                let (re, im) = match half {
                    0 => (simd.add_f32s(re, mirror_re), simd.sub_f32s(im, mirror_im)),
                    _ => (simd.add_f32s(im, mirror_im), simd.sub_f32s(mirror_re, re)),
                };
                let first = first + half * S::F32_LANES;
                let (re, im) = (simd.mul_f32s(scale, re), simd.mul_f32s(scale, im));
                // Products with the conjugate, for a correlation.
                for (row, depth_row, v) in [
                    (0, d, re),
                    (0, inputs + d, im),
                    (imaginary, d, simd.neg_f32s(im)),
                    (imaginary, inputs + d, re),
                ] {
                    let values = bytemuck::bytes_of(&v);
                    let values: &[f32] = bytemuck::cast_slice(values);
                    for (i, &v) in values.iter().enumerate() {
                        let r = row + first + i;
                        if first + i < outputs {
                            packed[r / ROWS * ROWS * depth + depth_row * ROWS + r % ROWS] = v;
                        }
                    }
                }
            }
        }
    }
}

struct Transform<'a> {
    plan: &'a Plan,
    tile: &'a mut [f32],
    filled: usize,
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (sides, tile) = (&self.plan.sides, self.tile.as_mut_ptr());
        // SAFETY: a tile of the plan.
        unsafe {
            for row in 0..self.filled {
                lines::row(simd, sides, tile, row);
            }
            lines::columns(simd, sides, tile);
        }
    }
}

/// From products at all frequencies to the gradient of filters: of one input channel and a unit of outputs from `first` on, which
/// are the lanes of a tile.
pub struct Gradient<'a> {
    pub plan: &'a Plan,
    pub sums: &'a [f32],
    pub padded: usize,
    pub channel: usize,
    pub first: usize,
    pub tile: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            sums,
            padded,
            channel,
            first,
            tile,
        } = self;
        let (inputs, zero) = (plan.shape.in_channels, simd.splat_f32s(0.0));
        let (m, n) = (2 * inputs, 2 * padded);
        for (f, &[at, mirror]) in plan.pairs.iter().enumerate() {
            let sums = &sums[f * m * n..][..m * n];
            let mut halves = [(zero, zero); 2];
            for (i, half) in halves.iter_mut().enumerate() {
                let o = first + i * S::F32_LANES;
                if o < padded {
                    // Real or imaginary part of x times that of dy.
                    let rows = [channel, inputs + channel].map(|row| &sums[row * n + o..][..n - o]);
                    let [re, im] = rows.map(|row| row.as_ptr().cast::<S::f32s>());
                    // SAFETY: rows have two halves of whole vectors.
                    unsafe {
                        let other = padded / S::F32_LANES;
                        *half = (
                            simd.add_f32s(re.read_unaligned(), im.add(other).read_unaligned()),
                            simd.sub_f32s(im.read_unaligned(), re.add(other).read_unaligned()),
                        );
                    }
                }
            }
            // a + i b of two filters at f, a* + i b* at -f; real and imaginary parts exchanged.
            let [(a, a_im), (b, b_im)] = halves;
            let own = (simd.sub_f32s(a, b_im), simd.add_f32s(a_im, b));
            let other = (simd.add_f32s(a, b_im), simd.sub_f32s(b, a_im));
            for (element, (re, im)) in [(mirror, other), (at, own)] {
                let to = tile[element * plan.unit()..][..plan.unit()].as_mut_ptr();
                // SAFETY: an element has two vectors.
                unsafe {
                    to.cast::<S::f32s>().write_unaligned(im);
                    to.cast::<S::f32s>().add(1).write_unaligned(re);
                }
            }
        }
        // SAFETY: a tile of the plan.
        unsafe {
            lines::columns(simd, &plan.sides, tile.as_mut_ptr());
            for row in 0..plan.shape.kernel {
                lines::row(simd, &plan.sides, tile.as_mut_ptr(), row);
            }
        }
    }
}
