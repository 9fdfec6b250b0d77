//! Clusters or a continuum: whether real bar codes fall apart better than a cloud with the same mean and covariance.

use super::DRAWS;
use crate::device::Device;
use crate::insilico::Watch;
use crate::population::clusters::{self, over_seeds};
use crate::population::embedding::neighbours::{centred, over_distances};
use crate::statistics::{mean, mean_of_known, variance};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Seeds of k-means that are compared.
const SEEDS: usize = 3;
/// Pivots of a covariance below this share of its largest are none.
const RANK: f64 = 1e-10;
/// SDs above the null from which there are clusters.
const CLEAR: f64 = 2.0;

/// For one number of clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Continuum {
    /// Their number.
    pub clusters: usize,
    /// Mean silhouette (Rousseeuw 1987) of k-means' clusters.
    pub silhouette: f64,
    /// Mean adjusted Rand index between seeds of k-means.
    pub ari: f64,
    /// Mean and SD of the silhouette over Gaussian clouds.
    pub null_silhouette: (f64, f64),
    /// Mean and SD of the index over Gaussian clouds.
    pub null_ari: (f64, f64),
}

impl Continuum {
    /// Whether the silhouette is clearly above what a cloud without clusters shows, and seeds agree better than there. (In a cloud
    /// that is wide in few directions seeds agree by chance now and then, so that their SD decides nothing.)
    pub fn is_clustered(&self) -> bool {
        let (mean, sd) = self.null_silhouette;
        self.silhouette > mean + CLEAR * sd && self.ari > self.null_ari.0
    }
}

/// Compares rows (bar codes) with Gaussian clouds of their mean and covariance, for each number of clusters.
///
/// # Errors
/// As k-means; when a signal has come.
pub fn continuum(
    device: &Device,
    rows: ArrayView2<f32>,
    counts: &[usize],
    seed: u64,
    watch: &mut Watch,
) -> Result<Vec<Continuum>> {
    let real = looked_at(device, rows, counts, seed, watch)?;
    let cloud = Cloud::of(rows);
    let mut null = Vec::with_capacity(DRAWS);
    for draw in 0..DRAWS as u64 {
        watch.begin("populations without clusters");
        watch.tick(draw as usize, DRAWS)?;
        let rows = cloud.draw(rows.nrows(), seed, draw);
        null.push(looked_at(device, rows.view(), counts, seed, watch)?);
    }
    let of = |i: usize, f: fn(&(f64, f64)) -> f64| {
        let values: Vec<f64> = null.iter().map(|n| f(&n[i])).collect();
        (mean(&values), variance(&values, 1).sqrt())
    };
    let one = |(i, (&clusters, &(silhouette, ari)))| Continuum {
        clusters,
        silhouette,
        ari,
        null_silhouette: of(i, |n| n.0),
        null_ari: of(i, |n| n.1),
    };
    Ok(counts.iter().zip(&real).enumerate().map(one).collect())
}

/// Silhouette and agreement over seeds for each number of clusters.
fn looked_at(
    device: &Device,
    rows: ArrayView2<f32>,
    counts: &[usize],
    seed: u64,
    watch: &mut Watch,
) -> Result<Vec<(f64, f64)>> {
    let (mut labels, mut agreements) = (Vec::new(), Vec::new());
    for &clusters in counts {
        let settings = clusters::Settings {
            clusters,
            restarts: 1,
            seed,
            ..clusters::Settings::default()
        };
        labels.push(clusters::k_means(device, rows, &settings, watch)?.labels);
        agreements.push(over_seeds(device, rows, &settings, SEEDS, watch)?.0);
    }
    let silhouettes = silhouettes(rows, &labels, watch)?;
    Ok(silhouettes.into_iter().zip(agreements).collect())
}

/// Mean silhouette (Rousseeuw 1987, Euclidean) of each labelling of the rows, labels from 0: (b - a) / max(a, b) with the mean
/// distance a to the others of the own cluster and the least mean distance b to another's; 0 for a row alone. NaN for
/// one cluster.
///
/// # Errors
/// For a labelling of another number of rows; when a signal has come.
pub fn silhouettes(
    rows: ArrayView2<f32>,
    labellings: &[Vec<usize>],
    watch: &mut Watch,
) -> Result<Vec<f64>> {
    let n = rows.nrows();
    if let Some(bad) = labellings.iter().find(|l| l.len() != n) {
        return Err(Error::bad(
            "silhouette",
            "the number of labels",
            bad.len(),
            n,
        ));
    }
    let sizes: Vec<Vec<usize>> = labellings
        .iter()
        .map(|labels| {
            let mut sizes = vec![0; labels.iter().max().map_or(0, |most| most + 1)];
            labels.iter().for_each(|&l| sizes[l] += 1);
            sizes
        })
        .collect();
    let of_row = |i: usize, distances: &[f32]| -> Vec<f64> {
        let one = |(labels, sizes): (&Vec<usize>, &Vec<usize>)| {
            let mut sums = vec![0.0; sizes.len()];
            let others = labels
                .iter()
                .zip(distances)
                .enumerate()
                .filter(|(j, _)| *j != i);
            others.for_each(|(_, (&label, d))| sums[label] += f64::from(d.sqrt()));
            let own = labels[i];
            if sizes[own] < 2 {
                return 0.0;
            }
            let a = sums[own] / (sizes[own] - 1) as f64;
            let rest = (0..sizes.len()).filter(|&c| c != own && sizes[c] > 0);
            let b = rest
                .map(|c| sums[c] / sizes[c] as f64)
                .fold(f64::INFINITY, f64::min);
            match (b.is_finite(), a.max(b) > 0.0) {
                (false, _) => f64::NAN,
                (true, true) => (b - a) / a.max(b),
                (true, false) => 0.0,
            }
        };
        labellings.iter().zip(&sizes).map(one).collect()
    };
    let all = over_distances(centred(rows).view(), of_row, |done| watch.tick(done, n))?;
    let of = |l: usize| mean_of_known(&all.iter().map(|row| row[l]).collect::<Vec<_>>());
    Ok((0..labellings.len()).map(of).collect())
}

/// A normal distribution.
struct Cloud {
    mean: Array1<f64>,
    /// Lower triangle whose product with its transpose is the covariance.
    root: Array2<f64>,
}

impl Cloud {
    /// With the rows' mean and covariance.
    fn of(rows: ArrayView2<f32>) -> Self {
        let rows = rows.mapv(f64::from);
        let mean = rows.mean_axis(Axis(0)).unwrap_or_default();
        let rows = rows - &mean;
        let covariance = rows.t().dot(&rows) / rows.nrows().saturating_sub(1).max(1) as f64;
        Self {
            mean,
            root: root(covariance),
        }
    }

    fn draw(&self, n: usize, seed: u64, draw: u64) -> Array2<f32> {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..17].copy_from_slice(b"continuum");
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(draw);
        let noise = Array2::from_shape_simple_fn((n, self.mean.len()), || {
            let v: f64 = StandardNormal.sample(&mut rng);
            v
        });
        (noise.dot(&self.root.t()) + &self.mean).mapv(|v| v as f32)
    }
}

/// Cholesky's lower triangle of a covariance; directions without variance stay zero.
fn root(mut a: Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let least = RANK * a.diag().iter().copied().fold(0.0, f64::max);
    for k in 0..n {
        let pivot = a[(k, k)];
        if pivot <= least {
            a.column_mut(k).fill(0.0);
            continue;
        }
        let pivot = pivot.sqrt();
        a[(k, k)] = pivot;
        for i in k + 1..n {
            a[(i, k)] /= pivot;
        }
        for j in k + 1..n {
            for i in j..n {
                a[(i, j)] -= a[(i, k)] * a[(j, k)];
            }
        }
    }
    for k in 0..n {
        a.slice_mut(ndarray::s![..k, k]).fill(0.0);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn silhouettes_by_hand() {
        let rows = array![[0.0f32], [1.0], [5.0], [7.0], [20.0]];
        let labels = vec![vec![0, 0, 1, 1, 2], vec![0; 5]];
        let found = silhouettes(rows.view(), &labels, &mut Watch::hidden()).unwrap();
        // a: 1, 1, 2, 2, -; b: 6, 5, 4.5, 6.5, -.
        let wanted = [5.0 / 6.0, 4.0 / 5.0, 2.5 / 4.5, 4.5 / 6.5, 0.0];
        assert!((found[0] - wanted.iter().sum::<f64>() / 5.0).abs() < 1e-5);
        assert!(found[1].is_nan());
    }

    #[test]
    fn a_cloud_has_the_mean_and_covariance_of_the_rows_also_where_that_is_singular() {
        let noise = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
        // The third column is the sum of the others, the fourth does not vary.
        let rows = Array2::from_shape_fn((400, 4), |(i, j)| match j {
            0 => 3.0 + noise(i),
            1 => noise(i) + 2.0 * noise(i + 400),
            2 => 3.0 + 2.0 * noise(i) + 2.0 * noise(i + 400),
            _ => 1.5,
        });
        let cloud = Cloud::of(rows.view());
        let covariance = cloud.root.dot(&cloud.root.t());
        let wanted = {
            let rows = rows.mapv(f64::from);
            let centred = &rows - &rows.mean_axis(Axis(0)).unwrap();
            centred.t().dot(&centred) / 399.0
        };
        let difference = (&covariance - &wanted).mapv(f64::abs);
        assert!(
            difference.iter().all(|d| *d < 1e-6),
            "{covariance} {wanted}"
        );
        let drawn = cloud.draw(20_000, 1, 0).mapv(f64::from);
        let mean = drawn.mean_axis(Axis(0)).unwrap();
        assert!(
            (&mean - &cloud.mean).iter().all(|d| d.abs() < 0.02),
            "{mean}"
        );
        assert!(drawn.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn separate_clouds_are_clusters_and_one_cloud_is_a_continuum() {
        let cloud = Cloud {
            mean: Array1::zeros(4),
            root: Array2::eye(4),
        };
        let one = cloud.draw(300, 3, 0);
        let mut three = cloud.draw(300, 3, 1);
        for (i, mut row) in three.outer_iter_mut().enumerate() {
            row[i % 3] += 12.0;
        }
        let look = |rows: &Array2<f32>| {
            let found = continuum(&Device::Cpu, rows.view(), &[3], 1, &mut Watch::hidden());
            found.unwrap()[0]
        };
        let (one, three) = (look(&one), look(&three));
        assert!(three.is_clustered() && three.ari > 0.99, "{three:?}");
        assert!(!one.is_clustered(), "{one:?}");
    }
}
