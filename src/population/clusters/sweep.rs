//! How many clusters there are: likelihood of rows held out, inertia and agreement over seeds, by the number of clusters.

use super::{Mixture, MixtureSettings, Purpose, Settings, k_means, mean_agreement, stream};
use crate::device::Device;
use crate::insilico::Watch;
use crate::{Error, Result};
use ndarray::{ArrayView2, Axis};
use rand::seq::SliceRandom;

/// What is done for each number of clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    /// Share of the rows that mixtures are fitted to; 4,000 of 6,005 in Ustyuzhaninov et al. 2020.
    pub train_share: f64,
    /// Restarts of mixtures and of k-means.
    pub restarts: usize,
    /// Seeds over which k-means is compared with itself.
    pub seeds: usize,
    /// Deals rows; the first of the seeds.
    pub seed: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            train_share: 4000.0 / 6005.0,
            restarts: 1,
            seeds: 5,
            seed: 1,
        }
    }
}

/// What was found with one number of clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// k.
    pub clusters: usize,
    /// Mean log-likelihood of a row that was held out, of a mixture of k spherical Gaussians.
    pub held_out_log_likelihood: f64,
    /// Least inertia of k-means over the seeds.
    pub inertia: f64,
    /// Mean adjusted Rand index between the clusters of two seeds; NaN with one seed.
    pub ari_over_seeds: f64,
}

/// [`held_out`] and [`over_seeds`] for each number of clusters.
///
/// # Errors
/// Theirs.
pub fn sweep(
    device: &Device,
    rows: ArrayView2<f32>,
    counts: &[usize],
    settings: &Sweep,
    watch: &mut Watch,
) -> Result<Vec<Count>> {
    let likelihoods = held_out(device, rows, counts, settings, watch)?;
    let mut all = Vec::with_capacity(counts.len());
    for (&clusters, held_out_log_likelihood) in counts.iter().zip(likelihoods) {
        let k_means = Settings {
            clusters,
            restarts: settings.restarts,
            seed: settings.seed,
            ..Settings::default()
        };
        let (ari_over_seeds, inertia) = over_seeds(device, rows, &k_means, settings.seeds, watch)?;
        all.push(Count {
            clusters,
            held_out_log_likelihood,
            inertia,
            ari_over_seeds,
        });
    }
    Ok(all)
}

/// For each number of components, the mean log-likelihood of rows that the mixture was not fitted to; the same rows for all.
///
/// # Errors
/// For a share that leaves no row on either side; as [`k_means`], of the rows fitted to.
pub fn held_out(
    device: &Device,
    rows: ArrayView2<f32>,
    counts: &[usize],
    settings: &Sweep,
    watch: &mut Watch,
) -> Result<Vec<f64>> {
    let n = rows.nrows();
    let fitted = (settings.train_share * n as f64).round();
    let within = fitted >= 1.0 && fitted < n as f64;
    if !within {
        return Err(Error::bad(
            "held-out likelihood",
            format!(
                "the number of rows fitted to, {} of {n},",
                settings.train_share
            ),
            fitted,
            format!("at least 1 and less than {n}"),
        ));
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(settings.seed, Purpose::HeldOut, 0));
    let (train, test) = order.split_at(fitted as usize);
    let (train, test) = (rows.select(Axis(0), train), rows.select(Axis(0), test));
    let of = |&components: &usize| {
        let mixture = MixtureSettings {
            components,
            restarts: settings.restarts,
            seed: settings.seed,
            ..MixtureSettings::default()
        };
        let mixture = Mixture::fit(device, train.view(), &mixture, watch)?;
        Ok(crate::statistics::mean(
            &mixture.log_likelihoods(test.view()),
        ))
    };
    counts.iter().map(of).collect()
}

/// k-means of several seeds, from `settings.seed` on: the mean adjusted Rand index over all pairs, and the least inertia.
///
/// # Errors
/// Those of [`k_means`]; for no seed.
pub fn over_seeds(
    device: &Device,
    rows: ArrayView2<f32>,
    settings: &Settings,
    seeds: usize,
    watch: &mut Watch,
) -> Result<(f64, f64)> {
    if seeds == 0 {
        return Err(Error::bad("agreement over seeds", "seeds", 0, "at least 1"));
    }
    let (mut labels, mut inertia) = (Vec::new(), f64::INFINITY);
    for seed in 0..seeds as u64 {
        let one = Settings {
            seed: settings.seed.wrapping_add(seed),
            ..*settings
        };
        let found = k_means(device, rows, &one, watch)?;
        inertia = inertia.min(found.inertia);
        labels.push(found.labels);
    }
    Ok((mean_agreement(&labels)?, inertia))
}
