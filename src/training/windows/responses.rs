//! Where neurons look before anything is learnt: where responses follow the local luminance and contrast of the images.
//!
//! The map is cut into cells. X (T, 2 K) holds the mean and the SD of the pixels in and around each of K cells for every training
//! trial, standardised; y a neuron's responses. Neighbouring cells go together in natural images, so that the correlations
//! X'y / T are undone by the ridge of `(X'X / T + lambda)`. A cell's squared weights, as far as they stand out of what most cells
//! have, are what a window should hold.

use super::place::{Look, where_most};
use crate::model::config::Readout;
use crate::model::windows::GRID;
use crate::ops::matmul::{Matrix, multiply};
use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

/// Most cells.
const CELLS: usize = 600;
/// Neurons at a time.
const NEURONS: usize = 1024;
/// Medians of the cells' weights that noise alone is unlikely to reach.
const NOISE: f64 = 8.0;
/// Of standardised columns.
const RIDGE: f64 = 0.1;

/// The cells of a map.
struct Cells {
    map: (usize, usize),
    /// Pixels of a side.
    size: usize,
    /// Pixels of the image outside of the map on each side.
    lead: (usize, usize),
}

impl Cells {
    fn new(image: (usize, usize), map: (usize, usize)) -> Self {
        let count = |size: usize| map.0.div_ceil(size) * map.1.div_ceil(size);
        let mut size = GRID;
        while count(size) > CELLS {
            size += GRID;
        }
        Self {
            map,
            size,
            lead: ((image.0 - map.0) / 2, (image.1 - map.1) / 2),
        }
    }

    fn columns(&self) -> usize {
        self.map.1.div_ceil(self.size)
    }

    fn count(&self) -> usize {
        self.map.0.div_ceil(self.size) * self.columns()
    }

    fn of_pixel(&self, p: usize) -> usize {
        let (y, x) = (p / self.map.1, p % self.map.1);
        y / self.size * self.columns() + x / self.size
    }

    /// Mean and SD in and around each cell of an image (H, W): all means, then all SDs.
    fn see(&self, image: ArrayView2<f32>) -> Vec<f32> {
        let (height, width) = image.dim();
        let around = |cell: usize, lead: usize, all: usize| {
            let first = (cell * self.size + lead).saturating_sub(GRID / 2);
            let end = ((cell + 1) * self.size + lead + GRID / 2).min(all);
            first..end
        };
        let (mut means, mut spreads) = (Vec::new(), Vec::new());
        for cell in 0..self.count() {
            let rows = around(cell / self.columns(), self.lead.0, height);
            let columns = around(cell % self.columns(), self.lead.1, width);
            let part = image.slice(ndarray::s![rows, columns]);
            let n = part.len() as f64;
            let mean = part.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let off = |&v: &f32| (f64::from(v) - mean).powi(2);
            means.push(mean as f32);
            spreads.push((part.iter().map(off).sum::<f64>() / n).sqrt() as f32);
        }
        means.extend(spreads);
        means
    }
}

/// Where each neuron looks, by its responses (trials, neurons; NaN where not recorded) in trials with these z-scored images (rows
/// of `images`).
pub fn follow(
    images: ArrayView3<f32>,
    trials: &[(usize, usize)],
    responses: ArrayView2<f32>,
    map: (usize, usize),
    settings: &Readout,
) -> Vec<Look> {
    let cells = Cells::new((images.len_of(Axis(1)), images.len_of(Axis(2))), map);
    let width = 2 * cells.count();
    let seen: Vec<Vec<f32>> = (0..images.len_of(Axis(0)))
        .into_par_iter()
        .map(|i| cells.see(images.index_axis(Axis(0), i)))
        .collect();
    let mut x: Vec<f32> = trials.iter().flat_map(|t| seen[t.1].clone()).collect();
    drop(seen);
    standardise(&mut x, width);
    let count = trials.len();
    let undone = undone(&x, width, count);
    let (neurons, mut looks) = (responses.len_of(Axis(1)), Vec::new());
    for first in (0..neurons).step_by(NEURONS) {
        let n = NEURONS.min(neurons - first);
        let mut y = vec![0.0f32; count * n];
        for (row, &(trial, _)) in y.chunks_exact_mut(n).zip(trials) {
            for (i, v) in row.iter_mut().enumerate() {
                *v = responses[(trial, first + i)];
            }
        }
        centre(&mut y, n);
        let (mut together, mut weights) = (vec![0.0; n * width], vec![0.0; n * width]);
        let y = Matrix::new(&y, n).transposed();
        multiply(
            (n, width, count),
            y,
            Matrix::new(&x, width),
            &mut together,
            false,
        );
        let factors = (Matrix::new(&together, width), Matrix::new(&undone, width));
        multiply((n, width, width), factors.0, factors.1, &mut weights, false);
        let of_neurons = weights.par_chunks_exact(width);
        looks.par_extend(of_neurons.map(|w| place(w, &cells, settings)));
    }
    looks
}

fn place(weights: &[f32], cells: &Cells, settings: &Readout) -> Look {
    let (means, spreads) = weights.split_at(cells.count());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let pairs = means.iter().zip(spreads);
    let squares: Vec<f64> = pairs.map(|(&m, &s)| square(m) + square(s)).collect();
    let mut sorted = squares.clone();
    sorted.sort_by(f64::total_cmp);
    let noise = NOISE * sorted[sorted.len() / 2];
    let clear: Vec<f64> = squares.iter().map(|v| (v - noise).max(0.0)).collect();
    let pixels = 0..cells.map.0 * cells.map.1;
    let at_pixels = |of_cells: &[f64]| -> Vec<f64> {
        pixels
            .clone()
            .map(|p| of_cells[cells.of_pixel(p)])
            .collect()
    };
    if clear.iter().any(|&v| v > 0.0) {
        return where_most(&at_pixels(&clear), cells.map, settings);
    }
    // Nothing stands out: no larger window would know better.
    let any = Readout {
        window_mass: 0.0,
        ..settings.clone()
    };
    where_most(&at_pixels(&squares), cells.map, &any)
}

/// Columns of mean 0 and SD 1; constant ones are 0.
fn standardise(x: &mut [f32], width: usize) {
    centre(x, width);
    let rows = x.len() / width;
    let mut squares = vec![0.0f64; width];
    for row in x.chunks_exact(width) {
        for (s, &v) in squares.iter_mut().zip(row) {
            *s += f64::from(v) * f64::from(v);
        }
    }
    let scale: Vec<f32> = squares
        .iter()
        .map(|s| (s / rows as f64).sqrt())
        .map(|sd| if sd > 1e-6 { (1.0 / sd) as f32 } else { 0.0 })
        .collect();
    for row in x.chunks_exact_mut(width) {
        row.iter_mut().zip(&scale).for_each(|(v, s)| *v *= s);
    }
}

/// Columns of mean 0 over what is known; what is not is 0.
fn centre(x: &mut [f32], width: usize) {
    let mut sums = vec![(0.0f64, 0u32); width];
    for row in x.chunks_exact(width) {
        for ((sum, n), &v) in sums.iter_mut().zip(row) {
            if !v.is_nan() {
                *sum += f64::from(v);
                *n += 1;
            }
        }
    }
    let means: Vec<f32> = sums
        .iter()
        .map(|&(sum, n)| (sum / f64::from(n.max(1))) as f32)
        .collect();
    for row in x.chunks_exact_mut(width) {
        for (v, m) in row.iter_mut().zip(&means) {
            *v = if v.is_nan() { 0.0 } else { *v - m };
        }
    }
}

/// `(X'X + lambda T)^-1`, with more ridge where there are few trials for so many columns.
fn undone(x: &[f32], width: usize, trials: usize) -> Vec<f32> {
    let mut together = vec![0.0f32; width * width];
    let factors = (Matrix::new(x, width).transposed(), Matrix::new(x, width));
    multiply(
        (width, width, trials),
        factors.0,
        factors.1,
        &mut together,
        false,
    );
    let ridge = RIDGE * trials as f64 + width as f64;
    let mut a: Vec<f64> = together.iter().map(|&v| f64::from(v)).collect();
    (0..width).for_each(|i| a[i * width + i] += ridge);
    inverse(&mut a, width);
    a.iter().map(|&v| v as f32).collect()
}

/// Inverts a positive definite matrix in its place (Gauss and Jordan).
fn inverse(a: &mut [f64], n: usize) {
    for k in 0..n {
        let pivot = 1.0 / a[k * n + k];
        let mut row = a[k * n..][..n].to_vec();
        row[k] = 1.0;
        row.iter_mut().for_each(|v| *v *= pivot);
        a.par_chunks_exact_mut(n).enumerate().for_each(|(i, own)| {
            if i == k {
                own.copy_from_slice(&row);
                return;
            }
            let factor = own[k];
            own[k] = 0.0;
            own.iter_mut().zip(&row).for_each(|(v, r)| *v -= factor * r);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn an_inverse_undoes_its_matrix() {
        let a = [4.0, 1.0, 0.5, 1.0, 3.0, -1.0, 0.5, -1.0, 5.0];
        let mut b = a;
        inverse(&mut b, 3);
        for i in 0..9 {
            let sum: f64 = (0..3).map(|k| a[i / 3 * 3 + k] * b[k * 3 + i % 3]).sum();
            let wanted = if i % 4 == 0 { 1.0 } else { 0.0 };
            assert!((sum - wanted).abs() <= 1e-12, "{i}: {sum}");
        }
    }

    /// Images of cells with a luminance and a roughness of their own. The first neuron follows luminance at one place, the second
    /// contrast at another, the third nothing, and one trial of the first was not recorded.
    #[test]
    fn neurons_are_found_where_their_responses_follow_the_images() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (count, h, w) = (400, 24, 40);
        let mut images = Array3::<f32>::zeros((count, h, w));
        for mut image in images.outer_iter_mut() {
            let shared: f32 = rng.random_range(-1.0..1.0);
            let local: Vec<f32> = (0..60).map(|_| rng.random_range(-0.5..0.5)).collect();
            let rough: Vec<f32> = (0..60).map(|_| rng.random_range(0.0..2.0)).collect();
            for ((y, x), v) in image.indexed_iter_mut() {
                let (cell, fine) = (y / 4 * 10 + x / 4, rng.random_range(-1.0..1.0f32));
                *v = shared + local[cell] + fine * rough[cell];
            }
        }
        let mut responses = Array2::<f32>::zeros((count, 3));
        for t in 0..count {
            let near = |y: usize, x: usize| {
                let part = images.slice(ndarray::s![t, y..y + 4, x..x + 4]);
                part.to_owned()
            };
            responses[(t, 0)] = near(4, 32).mean().unwrap() + rng.random_range(-0.2..0.2f32);
            responses[(t, 1)] = near(16, 8).std(0.0) + rng.random_range(-0.1..0.1f32);
            responses[(t, 2)] = rng.random_range(-0.5..0.5);
        }
        responses[(3, 0)] = f32::NAN;
        let trials: Vec<(usize, usize)> = (0..count).map(|t| (t, t)).collect();
        let settings = Readout {
            window: 8,
            ..Readout::default()
        };
        let looks = follow(images.view(), &trials, responses.view(), (h, w), &settings);
        let holds = |look: &Look, y: usize, x: usize| {
            let w = &look.window;
            (w.top..w.top + w.height).contains(&y) && (w.left..w.left + w.width).contains(&x)
        };
        assert!(
            holds(&looks[0], 6, 34) && looks[0].side() <= 16,
            "{looks:?}"
        );
        assert!(
            holds(&looks[1], 18, 10) && looks[1].side() <= 16,
            "{looks:?}"
        );
    }
}
