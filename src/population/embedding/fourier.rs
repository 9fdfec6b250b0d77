//! Convolution on a square mesh with the spline coefficients of 1 / (1 + r^2), by Fourier transforms in two directions.
//! Rows and columns beyond those that points reach are zero before and unread after: they are not transformed.

use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Lines that are gathered at once, so that a cache line is read once.
const LINES: usize = 8;

/// Transforms of one period.
pub struct Fourier {
    period: usize,
    real: Arc<dyn RealToComplex<f64>>,
    back: Arc<dyn ComplexToReal<f64>>,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    /// Spectrum of the kernel's coefficients over period^2, (period / 2 + 1, period).
    kernel: Vec<f64>,
    /// Spectra of the mesh's rows, (rows, period / 2 + 1).
    across: Vec<Complex<f64>>,
    /// And of its columns, (period / 2 + 1, rows).
    down: Vec<Complex<f64>>,
}

impl Fourier {
    /// For periods of at least `least` nodes, `spacing` apart.
    pub fn new(least: usize, spacing: f64) -> Self {
        let period = even_smooth(least + least / 16);
        let mut real = RealFftPlanner::new();
        let mut complex = FftPlanner::new();
        let mut made = Self {
            period,
            real: real.plan_fft_forward(period),
            back: real.plan_fft_inverse(period),
            forward: complex.plan_fft_forward(period),
            inverse: complex.plan_fft_inverse(period),
            kernel: Vec::new(),
            across: Vec::new(),
            down: Vec::new(),
        };
        made.kernel = made.coefficients(spacing);
        made
    }

    pub fn period(&self) -> usize {
        self.period
    }

    fn half(&self) -> usize {
        self.period / 2 + 1
    }

    /// The kernel on the mesh, its spectrum divided by that of the B-spline, for the source and for the target, in
    /// either direction.
    fn coefficients(&mut self, spacing: f64) -> Vec<f64> {
        let period = self.period;
        let away = |i: usize| (spacing * i.min(period - i) as f64).powi(2);
        let mesh: Vec<f64> = (0..period * period)
            .map(|i| 1.0 / (1.0 + away(i / period) + away(i % period)))
            .collect();
        self.rows_forward(&mesh, period);
        let (across, forward, half) = (&self.across, &self.forward, self.half());
        let spline = |k: usize| ((2.0 + (TAU * k as f64 / period as f64).cos()) / 3.0).powi(2);
        let scale = 1.0 / (period * period) as f64;
        let mut kernel = vec![0.0; half * period];
        kernel
            .par_chunks_mut(period)
            .enumerate()
            .for_each(|(k, kernel)| {
                let mut line: Vec<_> = (0..period).map(|i| across[i * half + k]).collect();
                forward.process(&mut line);
                for (l, (out, value)) in kernel.iter_mut().zip(line).enumerate() {
                    *out = scale * value.re / (spline(k) * spline(l));
                }
            });
        kernel
    }

    /// Spectra of the rows of (side, side).
    fn rows_forward(&mut self, mesh: &[f64], side: usize) {
        let (half, period, real) = (self.half(), self.period, &self.real);
        self.across.resize(side * half, Complex::default());
        let lines = self.across.par_chunks_mut(half).zip(mesh.par_chunks(side));
        lines.for_each_init(
            || (vec![0.0; period], real.make_scratch_vec()),
            |(line, scratch), (out, row)| {
                line[..side].copy_from_slice(row);
                line[side..].fill(0.0);
                real.process_with_scratch(line, out, scratch)
                    .unwrap_or_else(|e| unreachable!("lengths are the plan's: {e}"));
            },
        );
    }

    /// Replaces (side, side) charges by their convolution with the kernel.
    pub fn convolve(&mut self, mesh: &mut [f64], side: usize) {
        let (half, period) = (self.half(), self.period);
        self.rows_forward(mesh, side);
        self.down.resize(half * side, Complex::default());
        let (across, kernel) = (&self.across, &self.kernel);
        let (forward, inverse) = (&self.forward, &self.inverse);
        let scratch = forward
            .get_inplace_scratch_len()
            .max(inverse.get_inplace_scratch_len());
        self.down
            .par_chunks_mut(LINES * side)
            .enumerate()
            .for_each_init(
                || {
                    (
                        vec![Complex::default(); LINES * period],
                        vec![Complex::default(); scratch],
                    )
                },
                |(lines, scratch), (block, out)| {
                    let first = block * LINES;
                    let count = out.len() / side;
                    for i in 0..side {
                        for (c, v) in across[i * half + first..][..count].iter().enumerate() {
                            lines[c * period + i] = *v;
                        }
                    }
                    for (c, out) in out.chunks_mut(side).enumerate() {
                        let line = &mut lines[c * period..][..period];
                        line[side..].fill(Complex::default());
                        forward.process_with_scratch(line, scratch);
                        let kernel = &kernel[(first + c) * period..][..period];
                        line.iter_mut().zip(kernel).for_each(|(v, k)| *v *= k);
                        inverse.process_with_scratch(line, scratch);
                        out.copy_from_slice(&line[..side]);
                    }
                },
            );
        let (down, back) = (&self.down, &self.back);
        mesh.par_chunks_mut(LINES * side).enumerate().for_each_init(
            || {
                (
                    vec![Complex::default(); LINES * half],
                    vec![0.0; period],
                    back.make_scratch_vec(),
                )
            },
            |(lines, line, scratch), (block, out)| {
                let first = block * LINES;
                let count = out.len() / side;
                for k in 0..half {
                    for (r, v) in down[k * side + first..][..count].iter().enumerate() {
                        lines[r * half + k] = *v;
                    }
                }
                for (r, out) in out.chunks_mut(side).enumerate() {
                    let spectrum = &mut lines[r * half..][..half];
                    // Real by symmetry; rounding is all that is dropped.
                    spectrum[0].im = 0.0;
                    spectrum[half - 1].im = 0.0;
                    back.process_with_scratch(spectrum, line, scratch)
                        .unwrap_or_else(|e| unreachable!("lengths are the plan's: {e}"));
                    out.copy_from_slice(&line[..side]);
                }
            },
        );
    }
}

/// The next even number with no prime factor above 5.
fn even_smooth(least: usize) -> usize {
    let smooth = |n: &usize| {
        let mut n = *n;
        for factor in [2, 3, 5] {
            while n.is_multiple_of(factor) {
                n /= factor;
            }
        }
        n == 1
    };
    (least.next_multiple_of(2)..)
        .step_by(2)
        .find(smooth)
        .unwrap_or(least)
}
