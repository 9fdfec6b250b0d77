//! The CPU path: blocks of neurons over threads, neurons of a block in vectors, all fits while a block is in the cache.

use super::lanes::{Block, Lanes, frequencies, vectors, vectors_mut};
use super::{Codes, LANES, Shape};
use crate::ops::panel::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Blocks that one thread sums by itself; fixed, so that sums do not depend on the number of threads.
const BLOCKS: usize = 8;
/// Numbers of the widest vector.
const WIDEST: usize = 16;

/// Adds a block's shifted codes and norms to the sums of one fit.
struct Sum<'a, 's> {
    block: Block<'a>,
    logits: &'a [f32],
    temperature: f32,
    lanes: &'a mut Lanes<'s>,
    /// (O, F, WIDEST).
    sums: &'a mut [f32],
    norms: &'a mut [f32; WIDEST],
}

impl WithSimd for Sum<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.block.shape.orientations {
            8 => self.run(simd, 8),
            o => self.run(simd, o),
        }
    }
}

impl Sum<'_, '_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, o: usize) {
        let (block, features) = (self.block, self.block.shape.features);
        block.lanes(simd, o, self.logits, self.temperature, self.lanes);
        let many = LANES / S::F32_LANES;
        let turns = &vectors::<S>(self.lanes.turns)[..o * many];
        let norm = &mut vectors_mut::<S>(self.norms)[0];
        for (k, (c, pair)) in frequencies(o).enumerate() {
            let power = &vectors::<S>(&block.power[k * LANES..][..LANES])[..many];
            let p = &turns[c * many..][..many];
            let q = if pair {
                &turns[(c + 1) * many..][..many]
            } else {
                p
            };
            for v in 0..many {
                let mut square = simd.mul_f32s(p[v], p[v]);
                if pair {
                    square = simd.mul_add_e_f32s(q[v], q[v], square);
                }
                *norm = simd.mul_add_e_f32s(power[v], square, *norm);
            }
            let mut f = 0;
            while f + 2 <= features {
                block.rows::<S, 2>(simd, (c, pair), f, p, q, self.sums);
                f += 2;
            }
            if f < features {
                block.rows::<S, 1>(simd, (c, pair), f, p, q, self.sums);
            }
        }
    }
}

impl Block<'_> {
    /// Adds what N features of a frequency's components are once turned.
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(
        &self,
        simd: S,
        (c, pair): (usize, bool),
        f: usize,
        p: &[S::f32s],
        q: &[S::f32s],
        sums: &mut [f32],
    ) {
        let many = LANES / S::F32_LANES;
        let features = self.shape.features;
        let zero = simd.splat_f32s(0.0);
        let cosines: [&[S::f32s]; N] = std::array::from_fn(|n| self.row::<S>(c, f + n));
        let mut add = |component: usize, n: usize, more: S::f32s| {
            let at = (component * features + f + n) * WIDEST;
            let sum = &mut vectors_mut::<S>(&mut sums[at..at + WIDEST])[0];
            *sum = simd.add_f32s(*sum, more);
        };
        let mut ap = [zero; N];
        if !pair {
            for v in 0..many {
                for n in 0..N {
                    ap[n] = simd.mul_add_e_f32s(cosines[n][v], p[v], ap[n]);
                }
            }
            (0..N).for_each(|n| add(c, n, ap[n]));
            return;
        }
        let sines: [&[S::f32s]; N] = std::array::from_fn(|n| self.row::<S>(c + 1, f + n));
        let (mut bq, mut aq, mut bp) = ([zero; N], [zero; N], [zero; N]);
        for v in 0..many {
            for n in 0..N {
                let (a, b) = (cosines[n][v], sines[n][v]);
                ap[n] = simd.mul_add_e_f32s(a, p[v], ap[n]);
                bq[n] = simd.mul_add_e_f32s(b, q[v], bq[n]);
                aq[n] = simd.mul_add_e_f32s(a, q[v], aq[n]);
                bp[n] = simd.mul_add_e_f32s(b, p[v], bp[n]);
            }
        }
        for n in 0..N {
            add(c, n, simd.sub_f32s(ap[n], bq[n]));
            add(c + 1, n, simd.add_f32s(aq[n], bp[n]));
        }
    }

    /// Writes the gradients by N vectors of a frequency's turns, from vector v on.
    #[inline(always)]
    fn towards<S: Simd, const N: usize>(
        &self,
        simd: S,
        (c, pair): (usize, bool),
        v: usize,
        mean: &[f32],
    ) -> [[S::f32s; N]; 2] {
        let features = self.shape.features;
        let zero = simd.splat_f32s(0.0);
        let (mut pa, mut pb, mut qa, mut qb) = ([zero; N], [zero; N], [zero; N], [zero; N]);
        for f in 0..features {
            let along = simd.splat_f32s(mean[c * features + f]);
            let a = &self.row::<S>(c, f)[v..v + N];
            for n in 0..N {
                pa[n] = simd.mul_add_e_f32s(a[n], along, pa[n]);
            }
            if pair {
                let across = simd.splat_f32s(mean[(c + 1) * features + f]);
                let b = &self.row::<S>(c + 1, f)[v..v + N];
                for n in 0..N {
                    pb[n] = simd.mul_add_e_f32s(b[n], across, pb[n]);
                    qa[n] = simd.mul_add_e_f32s(a[n], across, qa[n]);
                    qb[n] = simd.mul_add_e_f32s(b[n], along, qb[n]);
                }
            }
        }
        [
            std::array::from_fn(|n| simd.add_f32s(pa[n], pb[n])),
            std::array::from_fn(|n| simd.sub_f32s(qa[n], qb[n])),
        ]
    }
}

/// The mean shifted code's spectrum (J, O, F) and the sum of the squared norms (J).
pub fn forward(
    shape: &Shape,
    codes: &Codes,
    point: &[f32],
    temperatures: &[f32],
    means: &mut [f32],
) -> Vec<f64> {
    let (fits, o) = (shape.fits, shape.orientations);
    let size = o * shape.features;
    let parts: Vec<(Vec<f32>, Vec<f64>)> = point[..shape.blocks() * fits * LANES]
        .par_chunks(BLOCKS * fits * LANES)
        .enumerate()
        .map(|(task, logits)| {
            with_scratch(Lanes::len(o) + fits * size * WIDEST, |scratch| {
                let (lanes, sums) = scratch.split_at_mut(Lanes::len(o));
                let mut lanes = Lanes::new(o, lanes);
                sums.fill(0.0);
                let mut norms = vec![[0.0f32; WIDEST]; fits];
                for (b, logits) in logits.chunks_exact(fits * LANES).enumerate() {
                    let block = codes.block(shape, task * BLOCKS + b);
                    for (fit, logits) in logits.chunks_exact(LANES).enumerate() {
                        Arch::new().dispatch(Sum {
                            block,
                            logits,
                            temperature: temperatures[fit],
                            lanes: &mut lanes,
                            sums: &mut sums[fit * size * WIDEST..][..size * WIDEST],
                            norms: &mut norms[fit],
                        });
                    }
                }
                let whole = |lanes: &[f32]| lanes.iter().map(|&l| f64::from(l)).sum::<f64>();
                let means = sums.chunks_exact(WIDEST).map(|l| whole(l) as f32).collect();
                (means, norms.iter().map(|n| whole(n)).collect())
            })
        })
        .collect();
    let total = |i: usize| -> f64 { parts.iter().map(|(sums, _)| f64::from(sums[i])).sum() };
    for (i, mean) in means.iter_mut().enumerate() {
        *mean = (total(i) / shape.neurons as f64) as f32;
    }
    (0..fits)
        .map(|j| parts.iter().map(|(_, norms)| norms[j]).sum())
        .collect()
}

/// Adds a block's gradients of the energy by the logits of one fit, and by its temperature.
struct Back<'a, 's> {
    block: Block<'a>,
    logits: &'a [f32],
    temperature: f32,
    /// 4 / N.
    scale: f32,
    /// (O, F).
    mean: &'a [f32],
    lanes: &'a mut Lanes<'s>,
    /// Gradient of the turns (O, LANES).
    dturns: &'a mut [f32],
    dlogits: &'a mut [f32],
    dtemperature: &'a mut [f32; WIDEST],
}

impl WithSimd for Back<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.block.shape.orientations {
            8 => self.run(simd, 8),
            o => self.run(simd, o),
        }
    }
}

impl Back<'_, '_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, o: usize) {
        let block = self.block;
        block.lanes(simd, o, self.logits, self.temperature, self.lanes);
        let (zero, scale) = (simd.splat_f32s(0.0), simd.splat_f32s(self.scale));
        let many = LANES / S::F32_LANES;
        let turns = &vectors::<S>(self.lanes.turns)[..o * many];
        let dturns = &mut vectors_mut::<S>(self.dturns)[..o * many];
        for (k, (c, pair)) in frequencies(o).enumerate().skip(1) {
            let power = &vectors::<S>(&block.power[k * LANES..][..LANES])[..many];
            for pairs in 0..many / 2 {
                let v = 2 * pairs;
                let towards = block.towards::<S, 2>(simd, (c, pair), v, self.mean);
                for (part, towards) in towards.iter().enumerate().take(1 + usize::from(pair)) {
                    for n in 0..2 {
                        let at = (c + part) * many + v + n;
                        let own = simd.mul_f32s(power[v + n], turns[at]);
                        dturns[at] = simd.mul_f32s(scale, simd.sub_f32s(own, towards[n]));
                    }
                }
            }
        }
        let circle = &block.circle[..(2 + o) * o];
        let taps = &vectors::<S>(self.lanes.taps)[..o * many];
        let sines = &vectors::<S>(self.lanes.sine)[..many];
        let cosines = &vectors::<S>(self.lanes.cosine)[..many];
        let slopes = &vectors::<S>(self.lanes.slope)[..many];
        let dlogits = &mut vectors_mut::<S>(self.dlogits)[..many];
        let total = &mut vectors_mut::<S>(self.dtemperature)[0];
        for v in 0..many {
            let (sine, cosine) = (sines[v], cosines[v]);
            let (mut mean_sine, mut mean_cosine) = (zero, zero);
            let (mut d, mut d_sine, mut d_cosine) = (zero, zero, zero);
            for i in 0..o {
                let mut gradient = zero;
                for component in 1..o {
                    let weight = simd.splat_f32s(circle[(2 + component) * o + i]);
                    gradient = simd.mul_add_e_f32s(dturns[component * many + v], weight, gradient);
                }
                let (along, across) = (simd.splat_f32s(circle[i]), simd.splat_f32s(circle[o + i]));
                let cos = simd.mul_add_e_f32s(cosine, along, simd.mul_f32s(sine, across));
                let sin = simd.sub_f32s(simd.mul_f32s(sine, along), simd.mul_f32s(cosine, across));
                let tap = taps[i * many + v];
                let dtap = simd.mul_f32s(gradient, tap);
                mean_sine = simd.mul_add_e_f32s(tap, sin, mean_sine);
                mean_cosine = simd.mul_add_e_f32s(tap, cos, mean_cosine);
                d = simd.add_f32s(d, dtap);
                d_sine = simd.mul_add_e_f32s(dtap, sin, d_sine);
                d_cosine = simd.mul_add_e_f32s(dtap, cos, d_cosine);
            }
            let by_angle = simd.sub_f32s(simd.mul_f32s(mean_sine, d), d_sine);
            let by_angle = simd.mul_f32s(by_angle, simd.splat_f32s(self.temperature));
            dlogits[v] = simd.mul_add_e_f32s(by_angle, slopes[v], dlogits[v]);
            let by_temperature = simd.sub_f32s(d_cosine, simd.mul_f32s(mean_cosine, d));
            *total = simd.add_f32s(*total, by_temperature);
        }
    }
}

/// Adds the energy's gradients by the logits; returns those by the temperatures (J).
pub fn backward(
    shape: &Shape,
    codes: &Codes,
    point: &[f32],
    temperatures: &[f32],
    means: &[f32],
    dpoint: &mut [f32],
) -> Vec<f64> {
    let (fits, o) = (shape.fits, shape.orientations);
    let size = o * shape.features;
    let row = fits * LANES;
    let all = shape.blocks() * row;
    let parts: Vec<Vec<f64>> = point[..all]
        .par_chunks(BLOCKS * row)
        .zip(dpoint[..all].par_chunks_mut(BLOCKS * row))
        .enumerate()
        .map(|(task, (logits, dlogits))| {
            with_scratch(Lanes::len(o) + o * LANES, |scratch| {
                let (lanes, dturns) = scratch.split_at_mut(Lanes::len(o));
                let mut lanes = Lanes::new(o, lanes);
                let mut dtemperatures = vec![[0.0f32; WIDEST]; fits];
                let blocks = logits.chunks_exact(row).zip(dlogits.chunks_exact_mut(row));
                for (b, (logits, dlogits)) in blocks.enumerate() {
                    let block = codes.block(shape, task * BLOCKS + b);
                    let each = logits
                        .chunks_exact(LANES)
                        .zip(dlogits.chunks_exact_mut(LANES));
                    for (fit, (logits, dlogits)) in each.enumerate() {
                        Arch::new().dispatch(Back {
                            block,
                            logits,
                            temperature: temperatures[fit],
                            scale: (4.0 / shape.neurons as f64) as f32,
                            mean: &means[fit * size..][..size],
                            lanes: &mut lanes,
                            dturns,
                            dlogits,
                            dtemperature: &mut dtemperatures[fit],
                        });
                    }
                }
                let whole = |lanes: &[f32; WIDEST]| lanes.iter().map(|&l| f64::from(l)).sum();
                dtemperatures.iter().map(whole).collect()
            })
        })
        .collect();
    (0..fits)
        .map(|j| parts.iter().map(|p| p[j]).sum())
        .collect()
}
