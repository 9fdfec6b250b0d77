//! From bar codes to clusters: alignment, k-means, and the refinement of each neuron's turn against its cluster. Clusters may be
//! those of other measures of the same neurons.

use super::alignment::{self, Alignment};
use super::barcodes::{filled_rows, make_unit};
use super::clusters::{self, Clusters, Start};
use super::embedding;
use crate::device::Device;
use crate::insilico::Watch;
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView3, Axis};

/// Times that turns and clusters are fitted to each other.
const ROUNDS: usize = 10;

/// How a population is grouped.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Of the alignment.
    pub alignment: alignment::Settings,
    /// Of k-means.
    pub clusters: clusters::Settings,
    /// Of the embedding.
    pub embedding: embedding::Settings,
    /// Whether turns stay as the relaxed alignment left them.
    pub relaxed: bool,
    /// Measures of the neurons (N, M) that are clustered instead of their bar codes. Who lacks one (NaN) has no cluster.
    pub by: Option<Array2<f32>>,
}

/// A population's clusters and its map. Neurons whose readout is all zero, or that lack a measure, have none.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// Rows of the neurons that are clustered.
    pub filled: Vec<usize>,
    /// Cluster of each neuron (N), from 0, largest first.
    pub labels: Vec<Option<usize>>,
    /// Counter-clockwise turn, in radians, that carries each neuron's pattern into the common frame (N); NaN without a code.
    pub rotations: Vec<f64>,
    /// Turned codes, feature-major (N, F O); 0 without a code.
    pub aligned: Array2<f32>,
    /// What was clustered, of the filled rows: their turned codes, or the measures.
    pub clustered: Array2<f32>,
    /// The sweep over penalties; none for a core with one orientation.
    pub alignment: Option<Alignment>,
    /// k-means of the filled rows.
    pub found: Clusters,
    /// Map of the filled rows.
    pub embedding: embedding::Embedding,
}

/// Groups bar codes (N, F, O), or their neurons by other measures.
///
/// # Errors
/// When there are fewer codes than clusters; when memory does not suffice or a signal has come.
pub fn group(
    device: &Device,
    codes: ArrayView3<f32>,
    settings: &Settings,
    watch: &mut Watch,
) -> Result<Grouping> {
    let (n, features, orientations) = codes.dim();
    let mut filled = filled_rows(codes);
    if let Some(by) = &settings.by {
        assert_eq!(by.nrows(), n, "measures of other neurons");
        filled.retain(|&row| by.row(row).iter().all(|v| v.is_finite()));
    }
    let wanted = settings.clusters.clusters;
    if filled.len() < wanted {
        return Err(Error::bad(
            "--clusters",
            "the number",
            wanted,
            format!(
                "at most {}, the neurons whose readout is not all zero{}",
                filled.len(),
                if settings.by.is_some() {
                    " and whose measures are all known"
                } else {
                    ""
                }
            ),
        ));
    }
    let mut own = codes.select(Axis(0), &filled);
    if settings.alignment.normalise {
        make_unit(&mut own);
    }
    let mut alignment = None;
    let mut turns = vec![0.0; filled.len()];
    let mut rows = flat(&own);
    if orientations > 1 {
        let fit = alignment::align(device, own.view(), &settings.alignment, watch)?;
        turns.clone_from(&fit.rotations);
        rows.clone_from(&fit.aligned);
        alignment = Some(fit);
    }
    let measures = settings.by.as_ref().map(|m| m.select(Axis(0), &filled));
    let first = measures.as_ref().unwrap_or(&rows);
    let mut found = clusters::k_means(device, first.view(), &settings.clusters, watch)?;
    let refined = orientations > 1 && !settings.relaxed;
    if refined && measures.is_some() {
        let of: Vec<Option<usize>> = found.labels.iter().copied().map(Some).collect();
        for _ in 0..ROUNDS {
            let before = turns.clone();
            alignment::refine(own.view(), &mut turns, &of, false)?;
            if turns == before {
                break;
            }
        }
        rows = turned(own.view(), &turns)?;
    } else if refined {
        for _ in 0..ROUNDS {
            let labels = found.labels.clone();
            let of: Vec<Option<usize>> = labels.iter().copied().map(Some).collect();
            alignment::refine(own.view(), &mut turns, &of, false)?;
            rows = turned(own.view(), &turns)?;
            let (start, most) = (Start::Labels(&labels), settings.clusters.max_steps);
            found = clusters::k_means_from(device, rows.view(), start, most, watch)?;
            if found.labels == labels {
                break;
            }
        }
        let again = clusters::k_means(device, rows.view(), &settings.clusters, watch)?;
        if again.inertia < found.inertia {
            found = again;
        }
    }
    let clustered = measures.unwrap_or_else(|| rows.clone());
    let embedding = embedding::t_sne(clustered.view(), &settings.embedding, watch)?;
    let mut grouping = Grouping {
        labels: vec![None; n],
        rotations: vec![f64::NAN; n],
        aligned: Array2::zeros((n, features * orientations)),
        clustered,
        alignment,
        embedding,
        found,
        filled,
    };
    for (at, &row) in grouping.filled.iter().enumerate() {
        grouping.labels[row] = Some(grouping.found.labels[at]);
        grouping.rotations[row] = turns[at];
        grouping.aligned.row_mut(row).assign(&rows.row(at));
    }
    Ok(grouping)
}

/// Codes (n, F, O) in rows of F O numbers.
fn flat(codes: &Array3<f32>) -> Array2<f32> {
    let (n, features, orientations) = codes.dim();
    let rows = codes.to_shape((n, features * orientations));
    rows.expect("as many numbers").to_owned()
}

/// Codes (n, F, O), each turned by its angle, in rows of F O numbers.
fn turned(codes: ArrayView3<f32>, turns: &[f64]) -> Result<Array2<f32>> {
    let (n, features, orientations) = codes.dim();
    let mut rows = Array2::zeros((n, features * orientations));
    for ((code, &turn), mut row) in codes.outer_iter().zip(turns).zip(rows.outer_iter_mut()) {
        let own: Vec<f32> = code.iter().copied().collect();
        let own = alignment::turned(&own, features, orientations, turn)?;
        row.iter_mut().zip(own).for_each(|(r, w)| *r = w);
    }
    Ok(rows)
}
