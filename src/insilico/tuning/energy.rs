//! Optimal stimuli of several kinds at the same energies (Ustyuzhaninov et al. 2022, Eqs. 15-17).
//!
//! Each is scaled to the same norm over the whole image; how two kinds compare is the mean over levels of the ratio of
//! responses.

use super::response_scales;
use crate::Result;
use crate::insilico::{Family, Watch, show};
use crate::model::Model;
use crate::model::closeup::{Closeup, Group};
use crate::stimuli::{DifferenceOfGaussians, Gabor};
use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

/// Norms of the images, in z-scores: evenly spaced logarithms about the 12 of most exciting images.
pub const LEVELS: [f64; 5] = [3.0, 6.0, 12.0, 24.0, 48.0];

/// Stimuli of one kind, one per neuron, where there is one.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Gabors.
    Gabors(Vec<Option<Gabor>>),
    /// Differences of Gaussians.
    Differences(Vec<Option<DifferenceOfGaussians>>),
    /// Images (H, W) in z-scores.
    Images(Vec<Option<Array2<f32>>>),
}

/// Responses (neurons, levels) of neurons in groups, each to its own stimulus, in the recording's unit and in the order of
/// the list that the groups were made of; NaN where there is no stimulus or it is blank.
///
/// # Errors
/// When memory does not suffice, the device fails or a signal has come.
pub fn responses(
    model: &mut Model,
    groups: &[Group],
    kind: &Kind,
    watch: &mut Watch,
) -> Result<Array2<f64>> {
    let Some(index) = groups.first().map(|g| g.index) else {
        return Ok(Array2::zeros((0, LEVELS.len())));
    };
    let image = model.readouts[index].image;
    watch.begin(match kind {
        Kind::Gabors(_) => "Gabors of equal energy",
        Kind::Differences(_) => "differences of Gaussians of equal energy",
        Kind::Images(_) => "most exciting images of equal energy",
    });
    let rates = match kind {
        Kind::Gabors(all) => {
            let at_levels = |g: &Gabor| {
                let factors = factors(g.draw(image.0, image.1).iter().copied());
                let scaled = |f| Gabor {
                    contrast: f * g.contrast,
                    ..*g
                };
                parameters(factors, |f| scaled(f).parameters())
            };
            drawn(model, groups, Family::Gabors, all, at_levels, watch)?
        }
        Kind::Differences(all) => {
            let at_levels = |d: &DifferenceOfGaussians| {
                let factors = factors(d.draw(image.0, image.1).iter().copied());
                let scaled = |f| DifferenceOfGaussians {
                    contrast: f * d.contrast,
                    ..*d
                };
                parameters(factors, |f| scaled(f).parameters())
            };
            drawn(model, groups, Family::Differences, all, at_levels, watch)?
        }
        Kind::Images(all) => given(model, groups, all, watch)?,
    };
    watch.finish();
    let scales = response_scales(model, groups, rates.len());
    let mut responses = Array2::from_elem((rates.len(), LEVELS.len()), f64::NAN);
    for ((mut row, rates), scale) in responses.rows_mut().into_iter().zip(rates).zip(scales) {
        row.iter_mut()
            .zip(rates)
            .for_each(|(r, rate)| *r = scale * f64::from(rate));
    }
    Ok(responses)
}

/// What an image with these pixels is multiplied by at each level; nothing where that is impossible.
fn factors(pixels: impl Iterator<Item = f64>) -> Option<[f64; 5]> {
    let norm = pixels.map(|v| v * v).sum::<f64>().sqrt();
    (norm.is_finite() && norm > 0.0).then(|| LEVELS.map(|level| level / norm))
}

fn parameters<const N: usize>(
    factors: Option<[f64; 5]>,
    of_factor: impl Fn(f64) -> [f32; N],
) -> Vec<f32> {
    let factors = factors.into_iter().flatten();
    factors.flat_map(of_factor).collect()
}

fn drawn<T: Sync>(
    model: &mut Model,
    groups: &[Group],
    family: Family,
    all: &[Option<T>],
    at_levels: impl Fn(&T) -> Vec<f32> + Sync,
    watch: &mut Watch,
) -> Result<Vec<Vec<f32>>> {
    let of_neuron = |one: &Option<T>| one.as_ref().map_or_else(Vec::new, &at_levels);
    let stimuli: Vec<Vec<f32>> = all.par_iter().map(of_neuron).collect();
    let answers = show::answers(model, groups, family, &stimuli, watch)?;
    let rates = |a: &Vec<show::Answer>| a.iter().map(|a| a.rate).collect();
    Ok(answers.iter().map(rates).collect())
}

/// Rates at each level of every neuron that has an image.
fn given(
    model: &mut Model,
    groups: &[Group],
    all: &[Option<Array2<f32>>],
    watch: &mut Watch,
) -> Result<Vec<Vec<f32>>> {
    let mut rates: Vec<Vec<f32>> = vec![Vec::new(); all.len()];
    let mut done = 0;
    for group in groups {
        // Seat, image and factor of everything that is shown.
        let mut shown = Vec::new();
        for (seat, &place) in group.places.iter().enumerate() {
            let Some(image) = &all[place] else { continue };
            let factors = factors(image.iter().map(|&v| f64::from(v)));
            shown.extend(
                factors
                    .into_iter()
                    .flatten()
                    .map(|f| (seat, image, f as f32)),
            );
        }
        if shown.is_empty() {
            continue;
        }
        let batch = group.batch(model, false).min(shown.len());
        let mut eye = Closeup::new(model, group, batch, false)?;
        for shown in shown.chunks(batch) {
            let crop = |&(seat, image, factor): &(usize, &Array2<f32>, f32)| {
                let mut crop = group.cut(seat, image.as_slice().unwrap_or_default());
                crop.iter_mut().for_each(|v| *v *= factor);
                crop
            };
            let crops: Vec<f32> = shown.iter().flat_map(crop).collect();
            eye.images(shown.len()).fill_from(&crops);
            let seats: Vec<u32> = shown.iter().map(|s| s.0 as u32).collect();
            eye.forward(&seats);
            for (s, rate) in shown.iter().zip(eye.rates(shown.len()).download()) {
                rates[group.places[s.0]].push(rate);
            }
            eye.model().device.check()?;
            done += shown.len();
            watch.tick(done, all.len() * LEVELS.len())?;
        }
    }
    Ok(rates)
}

/// The mean over levels of the ratio of responses; NaN where a ratio is undefined.
pub fn ratio(of: ArrayView1<f64>, to: ArrayView1<f64>) -> f64 {
    let ratios = of.iter().zip(to).map(|(a, b)| match *b > 0.0 {
        true => a / b,
        false => f64::NAN,
    });
    ratios.sum::<f64>() / LEVELS.len() as f64
}
