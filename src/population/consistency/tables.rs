//! `consistency.csv`, `continuum.csv`, `ensemble.csv`.

use super::ensemble::{Spread, circular, plain};
use super::read::{Fit, PARAMETERS, mean_rates};
use super::{Continuum, NEIGHBOURS, cka, knn_overlap};
use crate::device::Device;
use crate::insilico::Watch;
use crate::population::clusters::{self, adjusted_rand};
use crate::population::organise::INDICES;
use crate::recording::{Recording, Tier, preprocess};
use crate::scoring::evaluate;
use crate::statistics::{mean, mean_of_known, median, pearson};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, Axis};

/// Two fits with one number of clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The fits.
    pub runs: [String; 2],
    /// Number of clusters.
    pub clusters: usize,
    /// Adjusted Rand index of k-means' labels.
    pub ari: f64,
    /// Mean share of common neighbours.
    pub knn_overlap: f64,
    /// Linear centred kernel alignment.
    pub cka: f64,
    /// Mean over neurons of the correlation of both predictions of the test images; NaN without them.
    pub prediction_correlation: f64,
    /// Mean |a - b| over mean |a - median a| of each index that both have; NaN otherwise.
    pub nmae: Vec<f64>,
}

/// Neurons that have a bar code in all fits.
///
/// # Errors
/// When there are fewer than two.
pub(super) fn common(fits: &[Fit]) -> Result<Vec<usize>> {
    let filled: Vec<Vec<bool>> = fits.iter().map(Fit::filled).collect();
    let all = |&n: &usize| filled.iter().all(|f| f[n]);
    let rows: Vec<usize> = (0..filled.first().map_or(0, Vec::len))
        .filter(all)
        .collect();
    match rows.len() {
        0 | 1 => Err(Error::bad(
            "consistency",
            "the number of neurons whose readout is not all zero in any fit",
            rows.len(),
            "at least 2",
        )),
        _ => Ok(rows),
    }
}

/// Every pair of fits, by each number of clusters.
///
/// # Errors
/// For more clusters than neurons; when a signal has come.
pub fn compare(
    device: &Device,
    fits: &[Fit],
    counts: &[usize],
    seed: u64,
    watch: &mut Watch,
) -> Result<Vec<Pair>> {
    let rows = common(fits)?;
    let codes: Vec<Array2<f32>> = fits
        .iter()
        .map(|f| f.codes.select(Axis(0), &rows))
        .collect();
    let mut labels = Vec::new();
    for codes in &codes {
        let mut of = Vec::new();
        for &clusters in counts {
            let settings = clusters::Settings {
                clusters,
                seed,
                ..clusters::Settings::default()
            };
            of.push(clusters::k_means(device, codes.view(), &settings, watch)?.labels);
        }
        labels.push(of);
    }
    let rates: Vec<_> = fits.iter().map(Fit::by_neuron).collect();
    let mut pairs = Vec::new();
    for a in 0..fits.len() {
        for b in a + 1..fits.len() {
            let (x, y) = (codes[a].view(), codes[b].view());
            let (overlap, alignment) = (knn_overlap(x, y, NEIGHBOURS, watch)?, cka(x, y)?);
            let nmae = INDICES.iter().enumerate().map(|(i, _)| {
                let both = fits[a].indices[i].as_ref().zip(fits[b].indices[i].as_ref());
                both.map_or(f64::NAN, |(a, b)| nmae(a, b))
            });
            let nmae: Vec<f64> = nmae.collect();
            let agreement = match (&rates[a], &rates[b]) {
                (Some(a), Some(b)) => {
                    let correlations = a.iter().zip(b).map(|(a, b)| pearson(a, b));
                    mean_of_known(&correlations.collect::<Vec<_>>())
                }
                _ => f64::NAN,
            };
            for (k, &clusters) in counts.iter().enumerate() {
                pairs.push(Pair {
                    runs: [fits[a].name.clone(), fits[b].name.clone()],
                    clusters,
                    ari: adjusted_rand(&labels[a][k], &labels[b][k])?,
                    knn_overlap: overlap,
                    cka: alignment,
                    prediction_correlation: agreement,
                    nmae: nmae.clone(),
                });
            }
        }
    }
    Ok(pairs)
}

/// Mean |a - b| over mean |a - median a|, of pairs that are both there.
fn nmae(a: &[f64], b: &[f64]) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
    let middle = median(&a);
    let apart: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect();
    let spread: Vec<f64> = a.iter().map(|a| (a - middle).abs()).collect();
    mean(&apart) / mean(&spread)
}

/// `consistency.csv`.
pub fn pairs_table(pairs: &[Pair]) -> Table {
    let text = |i: usize| Column::Text(pairs.iter().map(|p| p.runs[i].clone()).collect());
    let number = |f: &dyn Fn(&Pair) -> f64| Column::Number(pairs.iter().map(f).collect());
    let mut table = Table::new()
        .with("run_a", text(0))
        .with("run_b", text(1))
        .with(
            "clusters",
            Column::Integer(pairs.iter().map(|p| p.clusters as i64).collect()),
        )
        .with("ari", number(&|p| p.ari))
        .with("knn_overlap", number(&|p| p.knn_overlap))
        .with("cka", number(&|p| p.cka))
        .with(
            "prediction_correlation",
            number(&|p| p.prediction_correlation),
        );
    for (i, name) in INDICES.iter().enumerate() {
        if pairs.iter().any(|p| !p.nmae[i].is_nan()) {
            table = table.with(&format!("{name}_nmae"), number(&|p| p.nmae[i]));
        }
    }
    table
}

/// `continuum.csv`.
pub fn continuum_table(of: &[Continuum]) -> Table {
    let number = |f: fn(&Continuum) -> f64| Column::Number(of.iter().map(f).collect());
    Table::new()
        .with(
            "clusters",
            Column::Integer(of.iter().map(|c| c.clusters as i64).collect()),
        )
        .with("silhouette", number(|c| c.silhouette))
        .with("ari", number(|c| c.ari))
        .with("null_silhouette_mean", number(|c| c.null_silhouette.0))
        .with("null_silhouette_sd", number(|c| c.null_silhouette.1))
        .with("null_ari_mean", number(|c| c.null_ari.0))
        .with("null_ari_sd", number(|c| c.null_ari.1))
}

/// `ensemble.csv`: a row per neuron of these readouts (names and numbers of neurons).
///
/// # Errors
/// When recordings and predictions do not fit.
pub fn ensemble_table(
    fits: &[Fit],
    readouts: &[(String, usize)],
    recordings: Option<&[Recording]>,
) -> Result<Table> {
    let neurons = readouts.iter().flat_map(|(_, n)| 0..*n as i64).collect();
    let mut table = Table::new().with("neuron", Column::Integer(neurons));
    if readouts.len() > 1 {
        let names = readouts.iter().flat_map(|(name, n)| vec![name.clone(); *n]);
        table = Table::new()
            .with("recording", Column::Text(names.collect()))
            .beside(table);
    }
    let n: usize = readouts.iter().map(|r| r.1).sum();
    let mut add = |name: &str, columns: Vec<Option<&Vec<f64>>>, over: &dyn Fn(&[f64]) -> Spread| {
        let known: Vec<&Vec<f64>> = columns.into_iter().flatten().collect();
        if known.is_empty() {
            return;
        }
        let of = |row: usize| over(&known.iter().map(|c| c[row]).collect::<Vec<_>>());
        let spreads: Vec<Spread> = (0..n).map(of).collect();
        let column = |f: fn(&Spread) -> f64| Column::Number(spreads.iter().map(f).collect());
        let with = std::mem::take(&mut table).with(&format!("{name}_mean"), column(|s| s.mean));
        table = with.with(&format!("{name}_sd"), column(|s| s.sd));
    };
    for (i, name) in INDICES.iter().enumerate() {
        let columns = fits.iter().map(|f| f.indices[i].as_ref()).collect();
        add(name, columns, &plain);
    }
    for (i, (name, period)) in PARAMETERS.iter().enumerate() {
        let columns = fits.iter().map(|f| f.gabors[i].as_ref()).collect();
        match period {
            Some(period) => add(name, columns, &|v| circular(v, *period)),
            None => add(name, columns, &plain),
        }
    }
    if let Some((rates, recordings)) = mean_rates(fits).zip(recordings) {
        let mut correlations = Vec::new();
        for (rates, recording) in rates.iter().zip(recordings) {
            let scale = preprocess::response_scale(recording);
            let responses =
                preprocess::normalised_responses(recording, ArrayView1::from(&scale.to_vec()));
            let scores = evaluate(
                rates.view(),
                &recording.repeats(Tier::Test),
                responses.view(),
            )?;
            correlations.extend(
                scores
                    .numbers("correlation_to_average")
                    .unwrap_or_default()
                    .to_vec(),
            );
        }
        table = table.with("correlation_to_average", Column::Number(correlations));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_the_first_runs_spread_and_leave_out_what_one_lacks() {
        let a = [1.0, 2.0, 3.0, f64::NAN, 9.0];
        let b = [1.5, 2.0, 2.5, 4.0, f64::NAN];
        // |a - b|: .5, 0, .5; |a - 2|: 1, 0, 1.
        assert!((nmae(&a, &b) - 0.5).abs() < 1e-12);
    }
}
