//! The same search again after centres have moved a little: by the triangle inequality most rows keep their centre (Hamerly 2010).
//!
//! A row knows an upper bound of its distance to its centre and a lower one of that to any other. A centre that moves by m adds m
//! to the one and takes it from the other; where they do not meet, nothing is nearer.

use super::Shape;
use super::cpu::{CHUNK, Pack, Packed, distance, nearest, task};
use crate::ops::panel::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Bounds grow apart by this part a step, more than what rounding takes from them.
const MARGIN: f32 = 1e-6;

/// What is known of the distances since the last call, on the CPU.
#[derive(Debug)]
pub(super) struct Bounds {
    upper: Vec<f32>,
    lower: Vec<f32>,
    norms: Vec<f32>,
    centres: Vec<f32>,
}

/// As [`super::follow`].
pub(super) fn follow(
    s: &Shape,
    rows: &[f32],
    centres: &[f32],
    bounds: &mut Option<Bounds>,
    labels: &mut [u32],
) {
    let known = bounds.is_some();
    let bounds = bounds.get_or_insert_with(|| {
        let mut norms = vec![0.0; s.rows];
        super::cpu::norms(s.width, rows, &mut norms);
        Bounds {
            upper: vec![f32::INFINITY; s.rows],
            lower: vec![0.0; s.rows],
            norms,
            centres: centres.to_vec(),
        }
    });
    let moves = Moves::new(s.width, &bounds.centres, centres);
    bounds.centres.copy_from_slice(centres);
    let packed = Arch::new().dispatch(Pack(s, centres));
    let task = task(s.centres * s.width);
    rows.par_chunks(task * s.width)
        .zip(bounds.norms.par_chunks(task))
        .zip(bounds.upper.par_chunks_mut(task))
        .zip(bounds.lower.par_chunks_mut(task))
        .zip(labels.par_chunks_mut(task))
        .for_each(|((((rows, norms), upper), lower), labels)| {
            with_scratch(packed.scratch() + CHUNK * s.width, |scratch| {
                Arch::new().dispatch(Follow {
                    known,
                    packed: &packed,
                    centres,
                    moves: &moves,
                    rows,
                    norms,
                    upper,
                    lower,
                    labels,
                    scratch,
                });
            });
        });
}

/// How far each centre has moved.
struct Moves {
    each: Vec<f32>,
    most: f32,
    /// Which that is, and the most of the others.
    at: u32,
    next: f32,
}

impl Moves {
    fn new(width: usize, before: &[f32], now: &[f32]) -> Self {
        let pairs = before.chunks_exact(width).zip(now.chunks_exact(width));
        let moved = |(a, b): (&[f32], &[f32])| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
            squares.sum::<f32>().sqrt() * (1.0 + MARGIN)
        };
        let each: Vec<f32> = pairs.map(moved).collect();
        let (mut most, mut at, mut next) = (0.0, 0, 0.0);
        for (c, &m) in each.iter().enumerate() {
            if m > most {
                (most, at, next) = (m, c as u32, most);
            } else if m > next {
                next = m;
            }
        }
        Self {
            each,
            most,
            at,
            next,
        }
    }
}

struct Follow<'a> {
    known: bool,
    packed: &'a Packed,
    centres: &'a [f32],
    moves: &'a Moves,
    rows: &'a [f32],
    norms: &'a [f32],
    upper: &'a mut [f32],
    lower: &'a mut [f32],
    labels: &'a mut [u32],
    scratch: &'a mut [f32],
}

impl WithSimd for Follow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Packed { width, columns, .. } = *self.packed;
        let (norms, _) = S::as_simd_f32s(&self.packed.norms);
        let (gathered, products) = std::mem::take(&mut self.scratch).split_at_mut(CHUNK * width);
        let mut open = [0usize; CHUNK];
        let mut count = 0;
        let last = self.labels.len() - 1;
        for i in 0..=last {
            let row = &self.rows[i * width..][..width];
            if !self.known || self.meets(simd, i, row) {
                gathered[count * width..][..width].copy_from_slice(row);
                open[count] = i;
                count += 1;
            }
            if count == CHUNK || (i == last && count > 0) {
                let rows = &gathered[..count * width];
                let products = self.packed.products(simd, rows, products);
                for (products, &i) in products.chunks_exact(columns).zip(&open) {
                    let (best, [first, second]) = nearest(simd, norms, products);
                    self.labels[i] = best as u32;
                    self.upper[i] = (self.norms[i] + first).max(0.0).sqrt();
                    self.lower[i] = (self.norms[i] + second).max(0.0).sqrt();
                }
                count = 0;
            }
        }
    }
}

impl Follow<'_> {
    /// Moves the bounds of row i; whether another centre may be nearer.
    #[inline(always)]
    fn meets<S: Simd>(&mut self, simd: S, i: usize, row: &[f32]) -> bool {
        let (label, moves) = (self.labels[i], self.moves);
        let others = if label == moves.at {
            moves.next
        } else {
            moves.most
        };
        self.upper[i] = (self.upper[i] + moves.each[label as usize]) * (1.0 + MARGIN);
        self.lower[i] = (self.lower[i] - others) * (1.0 - MARGIN);
        if self.upper[i] < self.lower[i] {
            return false;
        }
        let width = self.packed.width;
        let centre = &self.centres[label as usize * width..][..width];
        self.upper[i] = distance(simd, row, centre).sqrt();
        let apart = self.upper[i] < self.lower[i];
        !apart
    }
}
