//! A mixture of spherical Gaussians, fitted by expectation and maximisation in float64:
//!
//! ```text
//! p(x) = sum_c w_c N(x; m_c, v_c I),    r_c = w_c N_c / p,
//! w_c = mean r_c,   m_c = sum r_c x / sum r_c,   v_c = sum r_c |x - m_c|^2 / (d sum r_c) + 1e-6
//! ```
//!
//! from the clusters of k-means, until the mean log-likelihood grows by less than a tolerance: the spherical form of
//! scikit-learn's `GaussianMixture`, with its defaults.

use super::{Purpose, Settings, k_means, stream};
use crate::device::Device;
use crate::insilico::Watch;
use crate::ops::matmul::{Matrix, multiply};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use rand::Rng;
use rayon::prelude::*;

/// Added to every variance, so that a component of equal rows has a density.
const LEAST_VARIANCE: f64 = 1e-6;
/// Rows whose sums are formed together: fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 256;

/// How a mixture is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixtureSettings {
    /// k.
    pub components: usize,
    /// Runs from different clusters, of which the likeliest counts.
    pub restarts: usize,
    /// Steps after which a run ends.
    pub max_steps: usize,
    /// A run has converged when a step raises the mean log-likelihood of a row by less.
    pub tolerance: f64,
    /// Chooses the seeds of k-means.
    pub seed: u64,
}

impl Default for MixtureSettings {
    fn default() -> Self {
        Self {
            components: 100,
            restarts: 1,
            max_steps: 100,
            tolerance: 1e-3,
            seed: 1,
        }
    }
}

/// A mixture of k spherical Gaussians in d dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Share of each component (k); they add up to 1.
    pub weights: Vec<f64>,
    /// (k, d).
    pub means: Array2<f64>,
    /// Of each of the d numbers (k).
    pub variances: Vec<f64>,
    /// Mean over the rows that it was fitted to, natural logarithm.
    pub log_likelihood: f64,
    /// Steps of the run that counts.
    pub steps: usize,
    /// Whether that run ended before `max_steps`.
    pub converged: bool,
}

impl Mixture {
    /// Fits a mixture to rows.
    ///
    /// # Errors
    /// As [`k_means`], from whose clusters it starts.
    pub fn fit(
        device: &Device,
        rows: ArrayView2<f32>,
        settings: &MixtureSettings,
        watch: &mut Watch,
    ) -> Result<Self> {
        if settings.restarts == 0 {
            return Err(Error::bad("mixture", "restarts", 0, "at least 1"));
        }
        let mut seeds = stream(settings.seed, Purpose::Mixture, 0);
        let mut best: Option<Self> = None;
        for restart in 0..settings.restarts {
            let start = Settings {
                clusters: settings.components,
                restarts: 1,
                max_steps: 300,
                seed: seeds.random(),
            };
            let labels = k_means(device, rows, &start, watch)?.labels;
            watch.begin("mixture");
            let mut tick = || watch.tick(restart, settings.restarts);
            let fit = Self::from_labels(rows, &labels, settings, &mut tick)?;
            watch.finish();
            if best
                .as_ref()
                .is_none_or(|b| fit.log_likelihood > b.log_likelihood)
            {
                best = Some(fit);
            }
        }
        best.ok_or_else(|| Error::Other("a mixture without a likelihood".into()))
    }

    fn from_labels(
        rows: ArrayView2<f32>,
        labels: &[usize],
        settings: &MixtureSettings,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let origin: Vec<f64> = rows
            .columns()
            .into_iter()
            .map(|c| c.iter().map(|&v| f64::from(v)).sum::<f64>() / rows.nrows() as f64)
            .collect();
        let data = Data::new(rows, &origin);
        let mut shares = vec![0.0; rows.nrows() * settings.components];
        for (line, &label) in shares.chunks_exact_mut(settings.components).zip(labels) {
            line[label] = 1.0;
        }
        let mut mixture = data.maximise(&shares, settings.components);
        let mut before = f64::NEG_INFINITY;
        while mixture.steps < settings.max_steps {
            tick()?;
            let now = mean(&data.expect(&mixture, &mut shares));
            let (steps, converged) = (mixture.steps + 1, (now - before).abs() < settings.tolerance);
            mixture = Self {
                steps,
                converged,
                ..data.maximise(&shares, settings.components)
            };
            if converged {
                break;
            }
            before = now;
        }
        mixture.log_likelihood = mean(&data.expect(&mixture, &mut shares));
        for mut m in mixture.means.rows_mut() {
            m.iter_mut().zip(&origin).for_each(|(m, o)| *m += o);
        }
        Ok(mixture)
    }

    /// Natural logarithm of the density at each row.
    ///
    /// # Panics
    /// For rows of another length than the means'.
    pub fn log_likelihoods(&self, rows: ArrayView2<f32>) -> Vec<f64> {
        self.expectation(rows).0
    }

    /// The likeliest component of each row; of equal ones the first.
    ///
    /// # Panics
    /// As [`Mixture::log_likelihoods`].
    pub fn labels(&self, rows: ArrayView2<f32>) -> Vec<usize> {
        let most = |line: &[f64]| {
            let better = |best: usize, c: usize| if line[c] > line[best] { c } else { best };
            (0..line.len()).fold(0, better)
        };
        let shares = self.expectation(rows).1;
        shares.chunks_exact(self.weights.len()).map(most).collect()
    }

    fn expectation(&self, rows: ArrayView2<f32>) -> (Vec<f64>, Vec<f64>) {
        assert_eq!(rows.ncols(), self.means.ncols());
        let k = self.weights.len() as f64;
        let origin: Vec<f64> = self
            .means
            .columns()
            .into_iter()
            .map(|c| c.sum() / k)
            .collect();
        let mut moved = self.clone();
        for mut m in moved.means.rows_mut() {
            m.iter_mut().zip(&origin).for_each(|(m, o)| *m -= o);
        }
        let mut shares = vec![0.0; rows.nrows() * self.weights.len()];
        let likelihoods = Data::new(rows, &origin).expect(&moved, &mut shares);
        (likelihoods, shares)
    }
}

/// Rows about an origin near them, which keeps squares from cancelling.
struct Data {
    rows: usize,
    width: usize,
    values: Vec<f64>,
    norms: Vec<f64>,
}

impl Data {
    fn new(rows: ArrayView2<f32>, origin: &[f64]) -> Self {
        let (n, width) = rows.dim();
        let mut values = Vec::with_capacity(n * width);
        for row in rows.outer_iter() {
            values.extend(row.iter().zip(origin).map(|(&v, o)| f64::from(v) - o));
        }
        let norms = values
            .chunks_exact(width)
            .map(|x| x.iter().map(|v| v * v).sum())
            .collect();
        Self {
            rows: n,
            width,
            values,
            norms,
        }
    }

    /// Writes the share of each component in each row (n, k); gives the log-likelihood of each row.
    fn expect(&self, mixture: &Mixture, shares: &mut [f64]) -> Vec<f64> {
        let k = mixture.weights.len();
        let means: Vec<f64> = mixture.means.iter().copied().collect();
        let (x, m) = (
            Matrix::new(&self.values, self.width),
            Matrix::new(&means, self.width),
        );
        multiply((self.rows, k, self.width), x, m.transposed(), shares, false);
        let squares = |m: &[f64]| m.iter().map(|v| v * v).sum();
        let norms: Vec<f64> = means.chunks_exact(self.width).map(squares).collect();
        let constants: Vec<f64> = mixture
            .weights
            .iter()
            .zip(&mixture.variances)
            .map(|(w, v)| w.ln() - 0.5 * self.width as f64 * (std::f64::consts::TAU * v).ln())
            .collect();
        let slopes: Vec<f64> = mixture.variances.iter().map(|v| -0.5 / v).collect();
        let lines = shares.par_chunks_exact_mut(k).zip(&self.norms);
        lines
            .map(|(line, norm)| {
                for (c, p) in line.iter_mut().enumerate() {
                    let distance = (norm - 2.0 * *p + norms[c]).max(0.0);
                    *p = constants[c] + slopes[c] * distance;
                }
                let most = line.iter().fold(f64::NEG_INFINITY, |m, &p| m.max(p));
                let mut sum = 0.0;
                for p in line.iter_mut() {
                    *p = (*p - most).exp();
                    sum += *p;
                }
                line.iter_mut().for_each(|p| *p /= sum);
                most + sum.ln()
            })
            .collect()
    }

    /// The mixture that the shares make likeliest.
    fn maximise(&self, shares: &[f64], k: usize) -> Mixture {
        // Of each chunk of rows and component: the sum of the shares, and that of the squares.
        let parts: Vec<Vec<[f64; 2]>> = shares
            .par_chunks(CHUNK * k)
            .zip(self.norms.par_chunks(CHUNK))
            .map(|(shares, norms)| {
                let mut sums = vec![[0.0; 2]; k];
                for (line, norm) in shares.chunks_exact(k).zip(norms) {
                    for ([share, square], r) in sums.iter_mut().zip(line) {
                        *share += r;
                        *square += r * norm;
                    }
                }
                sums
            })
            .collect();
        // Above 0 for a component that has lost all of its rows.
        let mut totals = vec![[10.0 * f64::EPSILON, 0.0]; k];
        for part in parts {
            for (total, part) in totals.iter_mut().zip(part) {
                total[0] += part[0];
                total[1] += part[1];
            }
        }
        let mut means = vec![0.0; k * self.width];
        let r = Matrix::new(shares, k).transposed();
        let x = Matrix::new(&self.values, self.width);
        multiply((k, self.width, self.rows), r, x, &mut means, false);
        let all: f64 = totals.iter().map(|t| t[0]).sum();
        let mut variances = Vec::with_capacity(k);
        for (mean, [share, square]) in means.chunks_exact_mut(self.width).zip(&totals) {
            mean.iter_mut().for_each(|m| *m /= share);
            let norm: f64 = mean.iter().map(|m| m * m).sum();
            let spread = (square / share - norm).max(0.0) / self.width as f64;
            variances.push(spread + LEAST_VARIANCE);
        }
        Mixture {
            weights: totals.iter().map(|t| t[0] / all).collect(),
            means: Array2::from_shape_fn((k, self.width), |(c, i)| means[c * self.width + i]),
            variances,
            log_likelihood: f64::NAN,
            steps: 0,
            converged: false,
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    crate::statistics::mean(values)
}
