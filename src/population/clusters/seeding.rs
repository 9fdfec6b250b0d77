//! k-means++: each next centre is a row, drawn with probability in proportion to its squared distance from the centres so
//! far; of a few such rows, the one that leaves the least sum of these distances. All restarts go side by side, so that
//! one matrix product per step serves all of their candidates.

use crate::Result;
use crate::device::{Array, Device};
use crate::insilico::Watch;
use crate::ops::nearest::{self, Shape};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Rows whose sums are formed together: fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1024;

/// Rows to choose from.
pub(super) struct Seeds<'a> {
    pub device: &'a Device,
    pub shape: Shape,
    pub rows: &'a Array,
    /// The same here.
    pub host: &'a [f32],
}

/// Centres (k, d) for every stream. There must be k different rows.
pub(super) fn seeds(
    rows: &Seeds,
    streams: &mut [ChaCha8Rng],
    watch: &mut Watch,
) -> Result<Vec<Vec<f32>>> {
    let (n, restarts) = (rows.shape.rows, streams.len());
    let mut norms = rows.device.zeros(&[n]);
    let width = rows.shape.width;
    nearest::norms(rows.device, width, rows.rows.view(), norms.view_mut());
    // Squared distances to the nearest centre so far (n, restarts).
    let mut closest = vec![f32::INFINITY; n * restarts];
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); restarts];
    for step in 0..rows.shape.centres {
        watch.tick(step, rows.shape.centres)?;
        let trials = match step {
            0 => 1,
            _ => 2 + (rows.shape.centres as f64).ln() as usize,
        };
        let candidates: Vec<usize> = streams
            .par_iter_mut()
            .enumerate()
            .flat_map_iter(|(r, rng)| {
                let column = closest[r..].iter().step_by(restarts);
                match step {
                    0 => vec![rng.random_range(0..n)],
                    _ => draw(column, trials, rng)
                        .unwrap_or_else(|| vec![rows.unlike(&chosen[r]); trials]),
                }
            })
            .collect();
        let distances = rows.distances(&norms, &candidates);
        let left = potentials(&closest, &distances, restarts, trials);
        let best: Vec<usize> = left.chunks_exact(trials).map(least).collect();
        let lines = distances.par_chunks_exact(candidates.len());
        closest
            .par_chunks_exact_mut(restarts)
            .zip(lines)
            .for_each(|(closest, line)| {
                for (r, c) in closest.iter_mut().enumerate() {
                    *c = c.min(line[r * trials + best[r]]);
                }
            });
        for (r, chosen) in chosen.iter_mut().enumerate() {
            chosen.push(candidates[r * trials + best[r]]);
        }
    }
    Ok(chosen.iter().map(|chosen| rows.gather(chosen)).collect())
}

impl Seeds<'_> {
    fn row(&self, i: usize) -> &[f32] {
        &self.host[i * self.shape.width..][..self.shape.width]
    }

    fn gather(&self, chosen: &[usize]) -> Vec<f32> {
        chosen.iter().flat_map(|&i| self.row(i)).copied().collect()
    }

    /// Squared distances of all rows to some (n, candidates).
    fn distances(&self, norms: &Array, candidates: &[usize]) -> Vec<f32> {
        let s = Shape {
            centres: candidates.len(),
            ..self.shape
        };
        let centres = self.gather(candidates);
        let centres = self.device.upload(&centres, &[s.centres, s.width]);
        let mut out = self.device.zeros(&[s.rows, s.centres]);
        let (rows, norms) = (self.rows.view(), norms.view());
        nearest::distances(self.device, &s, rows, norms, centres.view(), out.view_mut());
        out.download()
    }

    /// The first row that is none of the chosen, for where the distances of different rows are lost in rounding.
    fn unlike(&self, chosen: &[usize]) -> usize {
        let differs = |&i: &usize| chosen.iter().all(|&c| self.row(c) != self.row(i));
        (0..self.shape.rows).find(differs).unwrap_or(0)
    }
}

/// Rows with probabilities in proportion to `weights`; none where these are all 0.
fn draw<'a>(
    weights: impl Iterator<Item = &'a f32> + Clone,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<usize>> {
    let total: f64 = weights.clone().map(|&w| f64::from(w)).sum();
    let mut at: Vec<(f64, usize)> = (0..count)
        .map(|i| (rng.random::<f64>() * total, i))
        .collect();
    let passes = total > 0.0 && total.is_finite();
    if !passes {
        return None;
    }
    at.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut found = vec![0; count];
    let (mut sum, mut next, mut last) = (0.0, 0, 0);
    for (row, &w) in weights.enumerate() {
        if w > 0.0 {
            sum += f64::from(w);
            last = row;
            while next < count && at[next].0 < sum {
                found[at[next].1] = row;
                next += 1;
            }
        }
    }
    at[next..].iter().for_each(|&(_, i)| found[i] = last);
    Some(found)
}

/// For every candidate, the sum over rows of the distance to the nearest centre if it were one.
fn potentials(closest: &[f32], distances: &[f32], restarts: usize, trials: usize) -> Vec<f64> {
    let candidates = restarts * trials;
    let parts: Vec<Vec<f64>> = closest
        .par_chunks(CHUNK * restarts)
        .zip(distances.par_chunks(CHUNK * candidates))
        .map(|(closest, distances)| {
            let mut sums = vec![0.0f64; candidates];
            let lines = distances.chunks_exact(candidates);
            for (closest, line) in closest.chunks_exact(restarts).zip(lines) {
                let groups = sums.chunks_exact_mut(trials).zip(line.chunks_exact(trials));
                for ((sums, line), &c) in groups.zip(closest) {
                    for (sum, &d) in sums.iter_mut().zip(line) {
                        *sum += f64::from(d.min(c));
                    }
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; candidates];
    for part in parts {
        for (sum, v) in sums.iter_mut().zip(part) {
            *sum += v;
        }
    }
    sums
}

/// Where the least is; of equal ones the first.
fn least(values: &[f64]) -> usize {
    let better = |best: usize, i: usize| if values[i] < values[best] { i } else { best };
    (0..values.len()).fold(0, better)
}
