//! Which way every neuron is turned: its readout's features (F, O) against those of all others, by any angle.
//!
//! A neuron's code can only be compared with another's after both are turned into one frame. The published method
//! (Ustyuzhaninov et al. 2020) minimises the energy of [`crate::ops::align`] for a sweep of penalties and takes, of the fits
//! whose temperature is above 5, that of least energy. Angles have many local minima: beside the authors' start,
//! with all angles near pi, fits begin at alignments by whole steps. [`refine`] then turns every neuron against its cluster alone.

mod descent;
mod integer;
mod refine;
mod settings;
mod start;
mod turn;

use crate::device::Device;
use crate::insilico::Watch;
use crate::ops::align::{Codes, reference};
use crate::{Error, Result};
use descent::{End, Start};
use ndarray::{Array2, ArrayView2, ArrayView3, Axis, aview1};
use rayon::prelude::*;
pub use refine::refine;
pub use settings::{Settings, log_spaced};
use settings::{check, check_codes, used};
use std::f64::consts::TAU;
use turn::Spectrum;

/// The best fit under one penalty.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Weight of the reconstruction.
    pub penalty: f64,
    /// T.
    pub temperature: f64,
    /// E.
    pub energy: f64,
    /// Rec.
    pub reconstruction: f64,
    /// Steps of the fit that found it.
    pub steps: usize,
    /// Whether it is the one to be used.
    pub chosen: bool,
    /// Of every neuron in [0, 2 pi); NaN where the code is zero.
    pub angles: Vec<f64>,
}

/// What [`align`] finds.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// The sweep, in the order of the penalties.
    pub fits: Vec<Fit>,
    /// Counter-clockwise turn that carries each neuron's pattern into the common frame: the chosen fit's angles.
    pub rotations: Vec<f64>,
    /// The relaxed shift of each code by its angle (N, F O), feature-major; zero where the code is.
    pub aligned: Array2<f32>,
    /// The chosen T.
    pub temperature: f64,
    /// The losses that each descent kept, from its start on: they fall.
    pub descents: Vec<Vec<f64>>,
}

/// Aligns codes (N, F, O). Codes of zeros are left out of the fit.
///
/// # Errors
/// Codes without neurons, features or orientations, or that are all zero or not finite; settings without penalties or with
/// values out of range; a signal; a device that failed.
pub fn align(
    device: &Device,
    codes: ArrayView3<f32>,
    settings: &Settings,
    watch: &mut Watch,
) -> Result<Alignment> {
    check_codes(codes)?;
    check(settings)?;
    let (used, used_codes) = used(codes, settings.normalise)?;
    let (n, features, o) = used_codes.dim();
    let power = used_codes
        .iter()
        .map(|&v| f64::from(v) * f64::from(v))
        .sum::<f64>()
        / n as f64;
    let laid_out = Codes::new(device, used_codes.view());
    watch.begin("alignment, starts");
    let starts = start::starts(used_codes.view(), settings);
    let fits = |penalties: &[f64], rows: &[Vec<f32>], watch: &mut Watch| -> Result<Vec<End>> {
        let each = |&penalty: &f64| {
            rows.iter().map(move |row| Start {
                penalty,
                row: row.clone(),
            })
        };
        let starts: Vec<Start> = penalties.iter().flat_map(each).collect();
        descent::descend(device, &laid_out, power, &starts, settings, watch)
    };
    // Where T grows most angles have most minima to stay in: there the starts compete.
    let hardest = settings.penalties.iter().copied().fold(0.0, f64::max);
    let mut ends = fits(&[hardest], &starts, watch)?;
    let by_loss = |&a: &usize, &b: &usize| ends[a].loss(hardest).total_cmp(&ends[b].loss(hardest));
    let winner = (0..starts.len()).min_by(by_loss).unwrap_or(0);
    let others: Vec<f64> = settings
        .penalties
        .iter()
        .copied()
        .filter(|&p| p != hardest)
        .collect();
    watch.begin("alignment, sweep");
    ends.extend(fits(&others, &starts[winner..=winner], watch)?);
    watch.finish();
    let law = settings.temperature();
    let of = |end: &End| law.value(f64::from(end.row[n]));
    // What one penalty's fit found may be better under another's: then it counts there too, and E cannot fall, nor Rec
    // rise, as the penalty grows.
    let best: Vec<&End> = settings
        .penalties
        .iter()
        .map(|&penalty| {
            let by_loss = |a: &&End, b: &&End| a.loss(penalty).total_cmp(&b.loss(penalty));
            ends.iter()
                .min_by(by_loss)
                .ok_or_else(|| Error::Other("alignment: no fits".into()))
        })
        .collect::<Result<_>>()?;
    let chosen = choose(&best, of, settings.least_temperature);
    let spread = |end: &End| {
        let mut angles = vec![f64::NAN; codes.dim().0];
        for (&row, &logit) in used.iter().zip(&end.row[..n]) {
            angles[row] = turn::wrapped(reference::angle(f64::from(logit)));
        }
        angles
    };
    let fit = |(i, (&penalty, end)): (usize, (&f64, &&End))| Fit {
        penalty,
        temperature: of(end),
        energy: end.energy.max(0.0),
        reconstruction: end.reconstruction,
        steps: end.steps,
        chosen: i == chosen,
        angles: spread(end),
    };
    let best = settings.penalties.iter().zip(&best);
    let fits: Vec<Fit> = best.enumerate().map(fit).collect();
    let (rotations, temperature) = (fits[chosen].angles.clone(), fits[chosen].temperature);
    let mut aligned = Array2::zeros((codes.dim().0, features * o));
    let angles: Vec<f64> = used.iter().map(|&row| rotations[row]).collect();
    let shifted = relaxed(used_codes.view(), &angles, temperature);
    for (&row, code) in used.iter().zip(&shifted) {
        aligned.row_mut(row).assign(&aview1(code));
    }
    Ok(Alignment {
        fits,
        rotations,
        aligned,
        temperature,
        descents: ends.into_iter().map(|e| e.kept).collect(),
    })
}

/// The relaxed shift of every code by its angle.
fn relaxed(codes: ArrayView3<f32>, angles: &[f64], temperature: f64) -> Vec<Vec<f32>> {
    let each = angles.par_iter().enumerate();
    each.map(|(n, &angle)| {
        let code = codes.index_axis(Axis(0), n);
        let code: Vec<f64> = code.iter().map(|&v| f64::from(v)).collect();
        let [taps, ..] = reference::taps(codes.dim().2, angle, temperature);
        let shifted = reference::relaxed(&code, &taps);
        shifted.into_iter().map(|v| v as f32).collect()
    })
    .collect()
}

/// The fit of least energy among those warm enough; the warmest where none is.
fn choose(best: &[&End], of: impl Fn(&End) -> f64, least: f64) -> usize {
    let warm = (0..best.len()).filter(|&i| of(best[i]) > least);
    let found = warm.min_by(|&a, &b| best[a].energy.total_cmp(&best[b].energy));
    found.unwrap_or_else(|| {
        let warmest = (0..best.len()).max_by(|&a, &b| of(best[a]).total_cmp(&of(best[b])));
        let warmest = warmest.unwrap_or(0);
        crate::say(format_args!(
            "alignment: no fit has a temperature above {least}; taking that of {:.2} at penalty {}",
            of(best[warmest]),
            best[warmest].penalty
        ));
        warmest
    })
}

/// A code (F O), feature-major, turned counter-clockwise by any angle: a roll by +i of each feature's orientations for
/// 2 pi i / O, in between the band-limited turn. At even O the alternating part has no sine to turn into; it takes the
/// cosine of O / 2 times the angle.
///
/// # Errors
/// A code of another length, or of none.
pub fn turned(code: &[f32], features: usize, orientations: usize, angle: f64) -> Result<Vec<f32>> {
    let wanted = (features, orientations);
    let code = ArrayView2::from_shape(wanted, code)
        .ok()
        .filter(|c| !c.is_empty())
        .ok_or_else(|| {
            Error::bad(
                "turned code",
                "the length",
                code.len(),
                format!("{wanted:?}"),
            )
        })?;
    Ok(Spectrum::new(code).turned(angle).code())
}

fn spectra(codes: ArrayView3<f32>) -> Vec<Spectrum> {
    let rows = (0..codes.dim().0).into_par_iter();
    rows.map(|n| Spectrum::new(codes.index_axis(Axis(0), n)))
        .collect()
}

/// Alignment by whole steps of 2 pi / O, for comparison: each neuron takes the roll most like the sum of all others until
/// none changes. Angles in [0, 2 pi), NaN for codes of zeros.
///
/// # Errors
/// As [`align`] for its codes.
pub fn integer(codes: ArrayView3<f32>, normalise: bool, seed: u64) -> Result<Vec<f64>> {
    check_codes(codes)?;
    let (used, kept) = used(codes, normalise)?;
    let o = kept.dim().2;
    let rolls = integer::rolls(&spectra(kept.view()), o, seed);
    let mut angles = vec![f64::NAN; codes.dim().0];
    for (&row, step) in used.iter().zip(rolls) {
        angles[row] = TAU * step as f64 / o as f64;
    }
    Ok(angles)
}
