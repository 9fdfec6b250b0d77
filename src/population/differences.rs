//! How tuning indices are spread over clusters (Ustyuzhaninov et al. 2022): tests of each cluster against the rest, the same
//! for shuffled labels, correlations between indices, and which combinations of high and low occur.

use crate::statistics::{Tested, correlation, kolmogorov_smirnov, mean_of_known};
use crate::table::{Column, Table};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// p-value below which a cluster counts as different.
pub const ALPHA: f64 = 0.01;

/// An index of every neuron, NaN where it has none.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its column in the tables.
    pub name: String,
    /// Value of each neuron.
    pub values: Vec<f64>,
}

impl Index {
    /// Of these neurons alone.
    #[must_use]
    pub fn part(&self, neurons: std::ops::Range<usize>) -> Self {
        Self {
            name: self.name.clone(),
            values: self.values[neurons].to_vec(),
        }
    }
}

/// One cluster against all neurons outside of it, in one index.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The cluster.
    pub cluster: usize,
    /// Which of the indices.
    pub index: usize,
    /// Two-sided Kolmogorov-Smirnov test; NaN where either side has no neuron with the index.
    pub tested: Tested,
}

/// Tests every cluster (0..`clusters`) in every index against the neurons outside of it. Neurons without a cluster are left
/// out.
pub fn differences(
    labels: &[Option<usize>],
    clusters: usize,
    indices: &[Index],
) -> Vec<Difference> {
    let pairs: Vec<(usize, usize)> = (0..clusters)
        .flat_map(|c| (0..indices.len()).map(move |i| (c, i)))
        .collect();
    let test = |&(cluster, index): &(usize, usize)| {
        let side = |inside: bool| -> Vec<f64> {
            let all = labels.iter().zip(&indices[index].values);
            let own =
                all.filter(|(l, v)| l.is_some_and(|l| (l == cluster) == inside) && !v.is_nan());
            own.map(|(_, v)| *v).collect()
        };
        Difference {
            cluster,
            index,
            tested: kolmogorov_smirnov(&side(true), &side(false)),
        }
    };
    pairs.par_iter().map(test).collect()
}

/// The same labels among the same neurons, in an order that the seed decides.
pub fn shuffled(labels: &[Option<usize>], seed: u64) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = labels.iter().flatten().copied().collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut next = order.into_iter();
    labels.iter().map(|l| l.and_then(|_| next.next())).collect()
}

/// How many clusters differ in at least one index and in all, below [`ALPHA`].
pub fn different(tests: &[Difference]) -> (usize, usize) {
    let (mut some, mut all) = (0, 0);
    for own in tests.chunk_by(|a, b| a.cluster == b.cluster) {
        let below = own.iter().filter(|d| d.tested.p_value < ALPHA).count();
        some += usize::from(below > 0);
        all += usize::from(below == own.len());
    }
    (some, all)
}

/// `cluster,index,statistic,p_value`.
pub fn tests_table(tests: &[Difference], indices: &[Index]) -> Table {
    let number = |f: fn(&Difference) -> f64| Column::Number(tests.iter().map(f).collect());
    let names = tests.iter().map(|d| indices[d.index].name.clone());
    Table::new()
        .with(
            "cluster",
            Column::Integer(tests.iter().map(|d| d.cluster as i64).collect()),
        )
        .with("index", Column::Text(names.collect()))
        .with("statistic", number(|d| d.tested.statistic))
        .with("p_value", number(|d| d.tested.p_value))
}

/// `index_a,index_b,pearson,spearman,p_value,neurons` of every pair: the p-value is Pearson's, `neurons` those that have
/// both.
pub fn correlations_table(indices: &[Index]) -> Table {
    let pairs: Vec<(usize, usize)> = (0..indices.len())
        .flat_map(|a| (a + 1..indices.len()).map(move |b| (a, b)))
        .collect();
    let found: Vec<_> = pairs
        .par_iter()
        .map(|&(a, b)| correlation(&indices[a].values, &indices[b].values))
        .collect();
    let names = |pick: fn(&(usize, usize)) -> usize| {
        let names = pairs.iter().map(|p| indices[pick(p)].name.clone());
        Column::Text(names.collect())
    };
    Table::new()
        .with("index_a", names(|p| p.0))
        .with("index_b", names(|p| p.1))
        .with(
            "pearson",
            Column::Number(found.iter().map(|c| c.pearson).collect()),
        )
        .with(
            "spearman",
            Column::Number(found.iter().map(|c| c.spearman).collect()),
        )
        .with(
            "p_value",
            Column::Number(found.iter().map(|c| c.p_value).collect()),
        )
        .with(
            "neurons",
            Column::Integer(found.iter().map(|c| c.pairs as i64).collect()),
        )
}

/// Mean of each cluster's known values; NaN where it has none.
pub fn cluster_means(labels: &[Option<usize>], clusters: usize, values: &[f64]) -> Vec<f64> {
    let of = |cluster: usize| -> Vec<f64> {
        let own = labels.iter().zip(values);
        let own = own.filter(|(l, _)| **l == Some(cluster));
        own.map(|(_, v)| *v).collect()
    };
    (0..clusters).map(|c| mean_of_known(&of(c))).collect()
}

/// The indices that are told high from low, and the one that says whether a cluster is Gabor-like.
#[derive(Clone, Copy, Debug)]
pub struct Binarised<'a> {
    /// F1/F0; phase-invariant clusters lie below the population's mean.
    pub phase: &'a [f64],
    /// Suppression index; suppressed clusters lie above the population's mean.
    pub suppression: &'a [f64],
    /// Cross-orientation index; inhibited clusters lie above the population's mean.
    pub plaid: &'a [f64],
    /// Response to the optimal Gabor over that to the MEI, at equal norms; Gabor-like clusters lie above the population's
    /// mean. Without it every cluster counts as Gabor-like.
    pub gabor: Option<&'a [f64]>,
}

/// What the combinations were told by.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Mean of the phase index over neurons with a cluster.
    pub phase: f64,
    /// Of the suppression index.
    pub suppression: f64,
    /// Of the plaid index.
    pub plaid: f64,
    /// Of the Gabor-to-MEI index, NaN without it.
    pub gabor: f64,
}

/// Clusters and their neurons with one combination of high and low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Combination {
    /// Below the mean phase index.
    pub phase_invariant: bool,
    /// Above the mean suppression index.
    pub surround_suppressed: bool,
    /// Above the mean plaid index.
    pub cross_inhibited: bool,
    /// Gabor-like clusters with this combination.
    pub clusters: usize,
    /// All their members.
    pub neurons: usize,
}

/// The eight combinations among Gabor-like clusters (Ustyuzhaninov et al. 2022): each cluster's mean against the mean over all
/// neurons that have a cluster. A cluster in which no neuron has one of the indices is left out.
pub fn combinations(
    labels: &[Option<usize>],
    clusters: usize,
    of: Binarised,
) -> (Vec<Combination>, Thresholds) {
    let population = |values: &[f64]| {
        let known = labels.iter().zip(values).filter(|(l, _)| l.is_some());
        mean_of_known(&known.map(|(_, v)| *v).collect::<Vec<_>>())
    };
    let thresholds = Thresholds {
        phase: population(of.phase),
        suppression: population(of.suppression),
        plaid: population(of.plaid),
        gabor: of.gabor.map_or(f64::NAN, population),
    };
    let means = |values| cluster_means(labels, clusters, values);
    let (phase, suppression, plaid) = (means(of.phase), means(of.suppression), means(of.plaid));
    let gabor = of.gabor.map(means);
    let mut found: Vec<Combination> = (0..8u8)
        .map(|bits| Combination {
            phase_invariant: bits & 4 != 0,
            surround_suppressed: bits & 2 != 0,
            cross_inhibited: bits & 1 != 0,
            clusters: 0,
            neurons: 0,
        })
        .collect();
    for cluster in 0..clusters {
        let known = [phase[cluster], suppression[cluster], plaid[cluster]];
        let like = gabor.as_ref().is_none_or(|g| g[cluster] > thresholds.gabor);
        if !like || known.iter().any(|v| v.is_nan()) {
            continue;
        }
        let bits = 4 * usize::from(phase[cluster] < thresholds.phase)
            + 2 * usize::from(suppression[cluster] > thresholds.suppression)
            + usize::from(plaid[cluster] > thresholds.plaid);
        found[bits].clusters += 1;
        found[bits].neurons += labels.iter().filter(|l| **l == Some(cluster)).count();
    }
    (found, thresholds)
}

/// `phase_invariant,surround_suppressed,cross_inhibited,clusters,neurons`.
pub fn combinations_table(found: &[Combination]) -> Table {
    let truth = |f: fn(&Combination) -> bool| Column::Boolean(found.iter().map(f).collect());
    let count =
        |f: fn(&Combination) -> usize| Column::Integer(found.iter().map(|c| f(c) as i64).collect());
    Table::new()
        .with("phase_invariant", truth(|c| c.phase_invariant))
        .with("surround_suppressed", truth(|c| c.surround_suppressed))
        .with("cross_inhibited", truth(|c| c.cross_inhibited))
        .with("clusters", count(|c| c.clusters))
        .with("neurons", count(|c| c.neurons))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(sizes: &[usize]) -> Vec<Option<usize>> {
        let each = sizes.iter().enumerate();
        each.flat_map(|(c, &n)| vec![Some(c); n]).collect()
    }

    #[test]
    fn a_cluster_that_differs_is_told_from_shuffled_labels() {
        let labels = labels(&[40, 60]);
        let values = (0..100).map(|i| {
            let noise = (f64::from(i) * 0.618).fract();
            if i < 40 { noise + 0.5 } else { noise }
        });
        let index = Index {
            name: "phase_index".into(),
            values: values.collect(),
        };
        let of = |labels: &[Option<usize>]| differences(labels, 2, std::slice::from_ref(&index));
        assert_eq!(different(&of(&labels)), (2, 2));
        let mixed = shuffled(&labels, 1);
        assert_eq!(mixed.iter().filter(|l| **l == Some(0)).count(), 40);
        assert_eq!(different(&of(&mixed)), (0, 0));
    }

    #[test]
    fn neurons_without_a_cluster_keep_none_in_any_order() {
        let labels = [Some(0), None, Some(1), Some(1), None];
        let mixed = shuffled(&labels, 3);
        let none: Vec<bool> = mixed.iter().map(Option::is_none).collect();
        assert_eq!(none, [false, true, false, false, true]);
    }

    #[test]
    fn clusters_fall_into_the_combination_of_their_means() {
        // Two of each; the last cluster is not Gabor-like, and its neurons count for the thresholds.
        let labels = labels(&[2, 2, 2]);
        let phase = [0.1, 0.1, 0.9, 0.9, 0.5, 0.5];
        let suppression = [0.8, f64::NAN, 0.0, 0.0, 0.4, 0.4];
        let plaid = [0.0, 0.2, 0.6, 0.8, 0.4, 0.4];
        let gabor = [0.9, 0.9, 0.8, 0.8, 0.1, 0.1];
        let (found, thresholds) = combinations(
            &labels,
            3,
            Binarised {
                phase: &phase,
                suppression: &suppression,
                plaid: &plaid,
                gabor: Some(&gabor),
            },
        );
        assert!((thresholds.phase - 0.5).abs() <= 1e-12);
        assert!((thresholds.suppression - 0.32).abs() <= 1e-12);
        let filled: Vec<_> = found.iter().filter(|c| c.clusters > 0).collect();
        assert_eq!((found.len(), filled.len()), (8, 2));
        assert!(!filled[0].phase_invariant && filled[0].cross_inhibited);
        assert!(!filled[0].surround_suppressed);
        let first = filled[1];
        assert!(first.phase_invariant && first.surround_suppressed && !first.cross_inhibited);
        assert_eq!((first.clusters, first.neurons), (1, 2));
    }
}
