//! Lloyd's k-means: each row goes to the nearest centre, each centre to the mean of its rows, until no row moves.

use super::seeding::{self, Seeds};
use super::{Purpose, check, stream};
use crate::device::{Array, Device, View};
use crate::insilico::Watch;
use crate::ops::nearest::{self, Memory, Shape};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Steps between two looks at signals.
const TOGETHER: usize = 8;

/// How clusters are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// k.
    pub clusters: usize,
    /// Runs from different seeds, of which the one with the least inertia counts.
    pub restarts: usize,
    /// Steps after which a run ends, whether or not rows still move.
    pub max_steps: usize,
    /// Chooses the seeds.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clusters: 50,
            restarts: 10,
            max_steps: 300,
            seed: 1,
        }
    }
}

/// Where a search begins that does not seed itself.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// From centres (k, d).
    Centres(ArrayView2<'a, f32>),
    /// From the means of labels, one per row, from 0; k is the largest and 1. A label without rows is seeded anew.
    Labels(&'a [usize]),
}

/// Rows divided into clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The cluster of each row.
    pub labels: Vec<usize>,
    /// Means of the clusters (k, d).
    pub centres: Array2<f32>,
    /// Sum of the squared distances of rows to their centres.
    pub inertia: f64,
    /// Steps of the run that counts.
    pub steps: usize,
}

/// k-means from several seedings (k-means++ with a few candidates a time, Arthur & Vassilvitskii 2007).
///
/// A cluster that loses its last row gets the row farthest from its centre. Rows are float32, sums float64; differences below
/// the rounding of float32, 1e-7 of the spread of all rows, are not seen.
///
/// # Errors
/// For rows that are not numbers, fewer different rows than clusters, no restart; [`Error::Stopped`]; a device's fault.
pub fn k_means(
    device: &Device,
    rows: ArrayView2<f32>,
    settings: &Settings,
    watch: &mut Watch,
) -> Result<Clusters> {
    check(rows, settings.clusters)?;
    if settings.restarts == 0 {
        return Err(Error::bad("clusters", "restarts", 0, "at least 1"));
    }
    let search = Search::new(device, rows, settings.clusters);
    watch.begin("seeds of clusters");
    let mut streams: Vec<ChaCha8Rng> = (0..settings.restarts as u64)
        .map(|restart| stream(settings.seed, Purpose::KMeans, restart))
        .collect();
    let seeds = Seeds {
        device,
        shape: search.shape,
        rows: &search.rows,
        host: &search.host,
    };
    let starts = seeding::seeds(&seeds, &mut streams, watch)?;
    watch.begin("clusters");
    let mut runs: Vec<Run> = starts
        .into_iter()
        .map(|start| search.begin(start))
        .collect();
    let advance = |run: &mut Run| search.advance(run, settings.max_steps);
    loop {
        let ended = runs.iter().filter(|run| run.ended).count();
        watch.tick(ended, runs.len())?;
        if ended == runs.len() {
            break;
        }
        // A card does one thing at a time.
        match device {
            Device::Cpu => runs.par_iter_mut().for_each(advance),
            _ => runs.iter_mut().for_each(advance),
        }
    }
    watch.finish();
    device.check()?;
    // Of equal ones the first.
    let better = |a: Run, b: Run| if b.inertia() < a.inertia() { b } else { a };
    let best = runs.into_iter().reduce(better);
    let best = best.ok_or_else(|| Error::Other("k-means without a run".into()))?;
    Ok(search.in_order(best))
}

/// One run of k-means from where the caller says.
///
/// # Errors
/// As [`k_means`]; for centres or labels that do not fit the rows.
pub fn k_means_from(
    device: &Device,
    rows: ArrayView2<f32>,
    start: Start,
    max_steps: usize,
    watch: &mut Watch,
) -> Result<Clusters> {
    let clusters = match start {
        Start::Centres(centres) if centres.ncols() != rows.ncols() => {
            let (got, wanted) = (centres.ncols(), format!("{}, as rows", rows.ncols()));
            return Err(Error::bad(
                "clusters",
                "the length of a centre",
                got,
                wanted,
            ));
        }
        Start::Centres(centres) => centres.nrows(),
        Start::Labels(labels) if labels.len() != rows.nrows() => {
            let (got, wanted) = (labels.len(), format!("{}, one per row", rows.nrows()));
            return Err(Error::bad("clusters", "the number of labels", got, wanted));
        }
        Start::Labels(labels) => labels.iter().max().map_or(0, |most| most + 1),
    };
    check(rows, clusters)?;
    let search = Search::new(device, rows, clusters);
    let centres = match start {
        Start::Centres(centres) => {
            if let Some(v) = centres.iter().find(|v| !v.is_finite()) {
                return Err(Error::bad("clusters", "a centre", v, "numbers"));
            }
            search.shifted(centres)
        }
        Start::Labels(labels) => {
            let labels: Vec<u32> = labels.iter().map(|&l| l as u32).collect();
            search.means_of(&labels)
        }
    };
    watch.begin("clusters");
    let mut run = search.begin(centres);
    while !run.ended {
        watch.tick(run.steps, max_steps)?;
        search.advance(&mut run, max_steps);
    }
    watch.finish();
    device.check()?;
    Ok(search.in_order(run))
}

/// Rows on the device, their mean taken off, which products of float32 would otherwise carry along.
struct Search<'a> {
    device: &'a Device,
    shape: Shape,
    mean: Vec<f64>,
    host: Vec<f32>,
    rows: Array,
}

/// A search under way.
struct Run {
    centres: Vec<f32>,
    on_device: Array,
    labels: Array<u32>,
    /// Once it has ended.
    distances: Array,
    memory: Memory,
    /// The labels, here.
    found: Vec<u32>,
    steps: usize,
    ended: bool,
}

impl Run {
    fn inertia(&self) -> f64 {
        let distances = self.distances.download();
        distances.iter().map(|&d| f64::from(d)).sum()
    }
}

impl<'a> Search<'a> {
    fn new(device: &'a Device, rows: ArrayView2<f32>, clusters: usize) -> Self {
        let (n, width) = rows.dim();
        let mut mean = vec![0.0f64; width];
        for row in rows.outer_iter() {
            for (m, &v) in mean.iter_mut().zip(row) {
                *m += f64::from(v) / n as f64;
            }
        }
        let host: Vec<f32> = shifted(rows, &mean);
        Self {
            device,
            shape: Shape {
                rows: n,
                centres: clusters,
                width,
            },
            mean,
            rows: device.upload(&host, &[n, width]),
            host,
        }
    }

    fn shifted(&self, centres: ArrayView2<f32>) -> Vec<f32> {
        shifted(centres, &self.mean)
    }

    fn begin(&self, centres: Vec<f32>) -> Run {
        let s = &self.shape;
        Run {
            on_device: self.device.upload(&centres, &[s.centres, s.width]),
            centres,
            labels: self.device.zeros(&[s.rows]),
            distances: self.device.zeros(&[s.rows]),
            memory: Memory::default(),
            found: Vec::new(),
            steps: 0,
            ended: false,
        }
    }

    /// Goes on for [`TOGETHER`] steps, or to the end.
    fn advance(&self, run: &mut Run, max_steps: usize) {
        for _ in 0..TOGETHER {
            if run.ended {
                return;
            }
            run.on_device.fill_from(&run.centres);
            let (rows, centres) = (self.rows.view(), run.on_device.view());
            let labels = run.labels.view_mut();
            nearest::follow(
                self.device,
                &self.shape,
                rows,
                centres,
                &mut run.memory,
                labels,
            );
            let mut now = run.labels.download();
            if now == run.found || run.steps == max_steps {
                // The last word, and the distances.
                let (labels, distances) = (run.labels.view_mut(), run.distances.view_mut());
                nearest::assign(self.device, &self.shape, rows, centres, labels, distances);
                now = run.labels.download();
                // Centres are the means of these rows already, or it has lasted too long.
                run.ended = now == run.found || run.steps == max_steps;
            }
            run.found = now;
            if !run.ended {
                run.centres = self.means(&run.labels, &run.found, run.on_device.view());
                run.steps += 1;
            }
        }
    }

    /// The mean of each label's rows; for a label without rows, the row farthest from its centre.
    fn means(&self, labels: &Array<u32>, host: &[u32], centres: View) -> Vec<f32> {
        let s = &self.shape;
        let mut sums = self.device.zeros(&[s.centres, s.width]);
        let mut counts = self.device.zeros::<u32>(&[s.centres]);
        nearest::totals(
            self.device,
            s,
            self.rows.view(),
            labels.view(),
            sums.view_mut(),
            counts.view_mut(),
        );
        let (mut sums, mut counts) = (sums.download(), counts.download());
        let empty: Vec<usize> = (0..s.centres).filter(|&c| counts[c] == 0).collect();
        if !empty.is_empty() {
            let distances = self.distances(host, &centres.download());
            let mut far: Vec<usize> = (0..s.rows).collect();
            far.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
            let mut far = far.into_iter();
            for c in empty {
                // The last row of another cluster stays with it.
                let Some(row) = far.find(|&row| counts[host[row] as usize] > 1) else {
                    break;
                };
                let from = host[row] as usize;
                for (i, &v) in self.host[row * s.width..][..s.width].iter().enumerate() {
                    sums[from * s.width + i] -= v;
                    sums[c * s.width + i] = v;
                }
                counts[from] -= 1;
                counts[c] = 1;
            }
        }
        for (sum, &count) in sums.chunks_exact_mut(s.width).zip(&counts) {
            sum.iter_mut().for_each(|v| *v /= count.max(1) as f32);
        }
        sums
    }

    /// The squared distance of each row to its centre.
    fn distances(&self, labels: &[u32], centres: &[f32]) -> Vec<f32> {
        let width = self.shape.width;
        let rows = self.host.chunks_exact(width).zip(labels);
        rows.map(|(row, &label)| {
            let centre = &centres[label as usize * width..][..width];
            row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum()
        })
        .collect()
    }

    /// The means of labels; distances count from the mean of all rows, which is 0.
    fn means_of(&self, labels: &[u32]) -> Vec<f32> {
        let there = self.device.upload(labels, &[self.shape.rows]);
        let zeros = self.device.zeros(&[self.shape.centres, self.shape.width]);
        self.means(&there, labels, zeros.view())
    }

    fn in_order(&self, run: Run) -> Clusters {
        let (order, labels) = by_size(&run.found, self.shape.centres);
        let centres = Array2::from_shape_fn((self.shape.centres, self.shape.width), |(c, i)| {
            let v = run.centres[order[c] * self.shape.width + i];
            (f64::from(v) + self.mean[i]) as f32
        });
        Clusters {
            labels,
            centres,
            inertia: run.inertia(),
            steps: run.steps,
        }
    }
}

fn shifted(rows: ArrayView2<f32>, mean: &[f64]) -> Vec<f32> {
    rows.outer_iter()
        .flat_map(|row| {
            let less = row.into_iter().zip(mean);
            less.map(|(&v, m)| (f64::from(v) - m) as f32)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The clusters, largest first, of equal ones that with the earliest row; and the labels in their numbers.
fn by_size(labels: &[u32], clusters: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut counts, mut first) = (vec![0usize; clusters], vec![usize::MAX; clusters]);
    for (i, &label) in labels.iter().enumerate() {
        counts[label as usize] += 1;
        first[label as usize] = first[label as usize].min(i);
    }
    let mut order: Vec<usize> = (0..clusters).collect();
    order.sort_by_key(|&c| (usize::MAX - counts[c], first[c]));
    let mut place = vec![0; clusters];
    for (i, &c) in order.iter().enumerate() {
        place[c] = i;
    }
    let labels = labels.iter().map(|&l| place[l as usize]).collect();
    (order, labels)
}
