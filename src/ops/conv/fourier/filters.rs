//! From filters to their weights at every frequency, and from products at every frequency to the gradient of filters.

use super::lines;
use super::multiply::block;
use super::plan::Plan;
use crate::ops::panel::{self, LINE, Shared};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// From the weights of one pair of frequencies to those of the next.
pub fn stride(plan: &Plan, outputs: usize, inputs: usize) -> usize {
    3 * inputs * plan.padded(outputs) + LINE
}

/// Writes the weights of every pair of frequencies, (block of outputs, 3, inputs, outputs of the block), of filters whose taps from
/// channel d to channel r are `tap(r, d, i)`.
pub fn weights(
    plan: &Plan,
    (outputs, inputs): (usize, usize),
    tap: impl Fn(usize, usize, usize) -> f32 + Sync,
    weights: &mut [f32],
) {
    let k = plan.shape.kernel;
    let unit = plan.element();
    let across = outputs.div_ceil(unit);
    assert!(weights.len() >= plan.pairs.len() * stride(plan, outputs, inputs));
    let to = Shared(weights.as_mut_ptr());
    (0..across * inputs).into_par_iter().for_each(|i| {
        let (first, input) = (i / inputs * unit, i % inputs);
        panel::with_scratch(plan.len(), |tile| {
            tile.fill(0.0);
            for lane in 0..unit.min(outputs - first) {
                for i in 0..k * k {
                    tile[plan.at(lane, i / k, i % k)] = tap(first + lane, input, i);
                }
            }
            Arch::new().dispatch(Transform {
                plan,
                tile,
                outputs,
                inputs,
                first,
                input,
                to,
            });
        });
    });
}

/// The weights of filters from one input to the lanes of a tile.
struct Transform<'a> {
    plan: &'a Plan,
    tile: &'a mut [f32],
    outputs: usize,
    inputs: usize,
    first: usize,
    input: usize,
    to: Shared,
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            tile,
            outputs,
            inputs,
            first,
            input,
            to,
        } = self;
        let scale = simd.splat_f32s(0.5 / plan.area() as f32);
        let (vectors, first) = (plan.padded(outputs) / S::F32_LANES, first / S::F32_LANES);
        // Where each of the two vectors of outputs lies, and how far its terms are apart.
        let mut places = [(0, 0); 2];
        let mut begin = 0;
        while begin < vectors {
            let v = block::<S>(vectors - begin);
            for (half, place) in places.iter_mut().enumerate() {
                let vector = first + half;
                if (begin..begin + v).contains(&vector) {
                    let at = 3 * inputs * begin + input * v + vector - begin;
                    *place = (at * S::F32_LANES, inputs * v * S::F32_LANES);
                }
            }
            begin += v;
        }
        let halves = 2.min(vectors - first);
        let stride = stride(plan, outputs, inputs);
        // SAFETY: a tile of the plan; weights of these outputs and this input, which no other task writes.
        unsafe {
            for row in 0..plan.shape.kernel {
                lines::row(simd, &plan.sides, tile.as_mut_ptr(), row);
            }
            lines::columns(simd, &plan.sides, tile.as_mut_ptr());
            let tile = tile.as_ptr();
            for (f, &[at, mirror]) in plan.pairs.iter().enumerate() {
                let (re, im) = lines::load::<S>(tile.add(at * plan.element()));
                let (mirror_re, mirror_im) = lines::load::<S>(tile.add(mirror * plan.element()));
                // Two filters in one tile: the sum, or the difference, of what stands at f and -f is one's.
                let both = [
                    (simd.add_f32s(re, mirror_re), simd.sub_f32s(im, mirror_im)),
                    (simd.add_f32s(im, mirror_im), simd.sub_f32s(mirror_re, re)),
                ];
                for ((re, im), (place, apart)) in both.into_iter().zip(places).take(halves) {
                    // The conjugate, for a correlation.
                    let (re, im) = (simd.mul_f32s(scale, re), simd.mul_f32s(scale, im));
                    let to = to.at(f * stride + place);
                    let terms = [
                        re,
                        simd.sub_f32s(im, re),
                        simd.neg_f32s(simd.add_f32s(im, re)),
                    ];
                    for (i, term) in terms.into_iter().enumerate() {
                        to.add(i * apart).cast::<S::f32s>().write_unaligned(term);
                    }
                }
            }
        }
    }
}

/// From products at all frequencies to the gradient of filters: of one input and two vectors of outputs from `first` on, which are the
/// lanes of a tile.
pub struct Gradient<'a> {
    pub plan: &'a Plan,
    /// (3, inputs, outputs) of every pair of frequencies, as [`super::multiply::Accumulate`] leaves them.
    pub sums: &'a [f32],
    pub input: usize,
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
            input,
            first,
            tile,
        } = self;
        let zero = simd.splat_f32s(0.0);
        let inputs = plan.padded(plan.shape.in_channels);
        let outputs = plan.padded(plan.shape.out_channels);
        let term = inputs * outputs;
        for (sums, &[at, mirror]) in sums.chunks_exact(3 * term + LINE).zip(&plan.pairs) {
            let mut halves = [(zero, zero); 2];
            for (i, half) in halves.iter_mut().enumerate() {
                let o = first + i * S::F32_LANES;
                if o < outputs {
                    let from = sums[input * outputs + o..].as_ptr();
                    // SAFETY: sums have three terms of whole vectors.
                    let [s1, s3, s2] = [0, 1, 2]
                        .map(|i| unsafe { from.add(i * term).cast::<S::f32s>().read_unaligned() });
                    *half = (simd.sub_f32s(s1, s3), simd.add_f32s(s1, s2));
                }
            }
            // a + i b of two filters at f, a* + i b* at -f; real and imaginary parts exchanged.
            let [(a, a_im), (b, b_im)] = halves;
            let own = (simd.sub_f32s(a, b_im), simd.add_f32s(a_im, b));
            let other = (simd.add_f32s(a, b_im), simd.sub_f32s(b, a_im));
            for (element, (re, im)) in [(mirror, other), (at, own)] {
                let to = tile[element * plan.element()..][..plan.element()].as_mut_ptr();
                // SAFETY: an element has two vectors.
                unsafe { lines::store::<S>(to, S::F32_LANES, (im, re)) };
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
