//! Each neuron's angle against its own cluster, where the relaxed shift only blurs between whole steps.
//!
//! Likeness is taken over the frequencies that turn without loss, all but the alternating one: then it is the same wherever the
//! cluster as a whole is turned to.

use super::turn::{Spectrum, wrapped};
use super::{check_codes, spectra, used};
use crate::{Error, Result};
use ndarray::ArrayView3;
use rayon::prelude::*;

/// Times that every neuron of a cluster may turn.
const ROUNDS: usize = 200;
/// Radians below which a neuron has not moved.
const STILL: f64 = 1e-4;

/// Turns every neuron of a cluster to where its code is most like the sum of the others' turned codes, again and again until
/// none moves. The cluster as a whole stays where it was: the mean of its neurons' moves is taken out. Neurons without a
/// cluster, alone in theirs, or whose rotation is not a number keep it. Codes (N, F, O), rotations in [0, 2 pi).
///
/// Returns the number of rounds of the cluster that took longest.
///
/// # Errors
/// Numbers of codes, rotations and clusters that differ; codes that are not finite or all zero.
pub fn refine(
    codes: ArrayView3<f32>,
    rotations: &mut [f64],
    clusters: &[Option<usize>],
    normalise: bool,
) -> Result<usize> {
    check_codes(codes)?;
    let n = codes.dim().0;
    for (what, len) in [("rotations", rotations.len()), ("clusters", clusters.len())] {
        if len != n {
            return Err(Error::bad(
                "refinement",
                format!("the number of {what}"),
                len,
                n,
            ));
        }
    }
    let (rows, kept) = used(codes, normalise)?;
    let mut spectra = spectra(kept.view());
    spectra.iter_mut().for_each(Spectrum::drop_alternating);
    let count = clusters.iter().flatten().max().map_or(0, |c| c + 1);
    let mut members = vec![Vec::new(); count];
    for (&row, spectrum) in rows.iter().zip(&spectra) {
        if let Some(cluster) = clusters[row].filter(|_| rotations[row].is_finite()) {
            members[cluster].push((row, spectrum));
        }
    }
    let found: Vec<(usize, Vec<f64>)> = members
        .par_iter()
        .map(|members| {
            let spectra: Vec<&Spectrum> = members.iter().map(|m| m.1).collect();
            let mut angles: Vec<f64> = members.iter().map(|m| rotations[m.0]).collect();
            (settle(&spectra, &mut angles), angles)
        })
        .collect();
    let mut rounds = 0;
    for (members, (taken, angles)) in members.iter().zip(found) {
        rounds = rounds.max(taken);
        for (&(row, _), angle) in members.iter().zip(angles) {
            rotations[row] = angle;
        }
    }
    Ok(rounds)
}

/// Turns the members of one cluster; the rounds that it took.
fn settle(spectra: &[&Spectrum], angles: &mut [f64]) -> usize {
    let Some(first) = spectra.first().filter(|_| spectra.len() > 1) else {
        return 0;
    };
    let begun = angles.to_vec();
    let mut rounds = 0;
    while rounds < ROUNDS {
        rounds += 1;
        // Anew in every round, so that rounding does not add up.
        let mut sum = Spectrum::zero(first.features, first.orientations);
        for (spectrum, &angle) in spectra.iter().zip(angles.iter()) {
            sum.add(1.0, &spectrum.turned(angle));
        }
        let mut farthest = 0.0f64;
        for (spectrum, angle) in spectra.iter().zip(angles.iter_mut()) {
            // Its own share would hold it where it is.
            sum.add(-1.0, &spectrum.turned(*angle));
            let likeness = sum.likeness(spectrum);
            if likeness.turns(1e-9 * (sum.square() * spectrum.square()).sqrt()) {
                let best = likeness.best_angle();
                if likeness.at(best) > likeness.at(*angle) {
                    let moved = best - *angle;
                    farthest = farthest.max(moved.sin().atan2(moved.cos()).abs());
                    *angle = best;
                }
            }
            sum.add(1.0, &spectrum.turned(*angle));
        }
        if farthest <= STILL {
            break;
        }
    }
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (&new, old) in angles.iter().zip(begun) {
        sine += (new - old).sin();
        cosine += (new - old).cos();
    }
    let moved = sine.atan2(cosine);
    angles.iter_mut().for_each(|a| *a = wrapped(*a - moved));
    rounds
}
