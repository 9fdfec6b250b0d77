//! Dropout (Srivastava et al. 2014): each unit of each trial is kept with probability p and divided by it, else 0.
//!
//! The mask is a function of the draw, of the trial's position in the batch and of the unit ([`super::random`]); so any number of
//! threads and a resumed run draw the same, and the way back draws it again: `dx = mask dy` is the same pass as `y = mask x`.

use super::panel::LINE;
use super::{Real, random};
use crate::device::kernels::dropout as kernels;
use crate::device::{Device, MapViewMut, View};
use kernels::{LEVELS, THREADS};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// D.
    pub units: usize,
    /// p, above 0 and at most 1; counted in 2^-24.
    pub keep: f64,
}

impl Shape {
    fn kept(&self) -> usize {
        (self.keep * LEVELS as f64).round() as usize
    }
}

/// What a mask is drawn by, as it lies on the device: step, recording, low and high half of the seed.
pub fn draw(step: u64, recording: usize, seed: u64) -> [u32; 4] {
    [
        step as u32,
        recording as u32,
        seed as u32,
        (seed >> 32) as u32,
    ]
}

/// Multiplies x (B, D) with the mask of this [`draw`] (4), in place.
pub fn apply(device: &Device, shape: &Shape, draw: View<u32>, x: MapViewMut) {
    let count = shape.batch * shape.units;
    assert_eq!((x.len(), draw.len()), (count, 4), "{shape:?}");
    match device {
        Device::Cpu => {
            let draw = draw.host();
            x.host()
                .par_chunks_exact_mut(shape.units)
                .enumerate()
                .for_each(|(trial, x)| {
                    Arch::new().dispatch(Row {
                        shape,
                        draw,
                        trial,
                        x,
                    });
                });
        }
        _ => {
            let grid = [count.div_ceil(THREADS), 1, 1];
            let factor = (1.0 / shape.keep) as f32;
            kernels::dropout_apply(
                device,
                grid,
                draw,
                x,
                count,
                shape.units,
                shape.kept(),
                factor,
            );
        }
    }
}

/// One trial's units.
struct Row<'a> {
    shape: &'a Shape,
    draw: &'a [u32],
    trial: usize,
    x: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (kept, factor) = (self.shape.kept() as u32, (1.0 / self.shape.keep) as f32);
        let others = [self.trial as u32, self.draw[0], self.draw[1]];
        for (i, x) in self.x.chunks_mut(LINE).enumerate() {
            let first = (i * LINE) as u32;
            let key = [self.draw[2], self.draw[3]];
            let words = random::first_words::<LINE>(first, others, key);
            for (x, word) in x.iter_mut().zip(words) {
                *x = if word >> 8 < kept { *x * factor } else { 0.0 };
            }
        }
    }
}

/// The definition, in plain loops.
pub mod reference {
    use super::{Real, Shape, random};

    /// Multiplies x (B, D) with the mask.
    pub fn apply<T: Real>(s: &Shape, draw: &[u32], x: &mut [T]) {
        let (kept, factor) = (s.kept() as u32, T::of(1.0 / s.keep));
        for (trial, x) in x.chunks_exact_mut(s.units).enumerate() {
            for (unit, x) in x.iter_mut().enumerate() {
                let counter = [unit as u32, trial as u32, draw[0], draw[1]];
                let word = random::philox(counter, [draw[2], draw[3]])[0];
                *x = if word >> 8 < kept {
                    *x * factor
                } else {
                    T::zero()
                };
            }
        }
    }
}
