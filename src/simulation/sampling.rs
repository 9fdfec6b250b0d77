//! Draws the parameters of a population.

use super::neuron::{CellType, Parameters};
use super::random::{Purpose, stream};
use super::settings::Settings;
use rand::Rng;
use rand::seq::SliceRandom;
use std::f64::consts::{PI, TAU};

/// Centre of a centre-surround neuron, relative to the size of a Gabor.
const RELATIVE_CENTRE: [f64; 2] = [0.5, 0.75];
/// Surround of a centre-surround neuron, relative to its centre.
const RELATIVE_SURROUND: [f64; 2] = [1.6, 2.4];
/// Sum of that surround over the sum of the centre.
const SURROUND_WEIGHT: [f64; 2] = [0.85, 1.0];
/// Outer rim of a suppressive annulus, relative to the centre.
const RELATIVE_ANNULUS: [f64; 2] = [1.5, 2.0];
/// Strength of divisive suppression.
const SUPPRESSION: [f64; 2] = [1.0, 2.5];

/// Parameters of every neuron on images of `height` x `width` pixels; scales, threshold and gain are still 1 and 0.
pub(super) fn parameters(settings: &Settings, height: usize, width: usize) -> Vec<Parameters> {
    let counts = settings.mix.counts(settings.neurons);
    let mut types: Vec<CellType> = CellType::ALL
        .iter()
        .zip(counts)
        .flat_map(|(&cell_type, count)| std::iter::repeat_n(cell_type, count))
        .collect();
    types.shuffle(&mut stream(settings.seed, Purpose::Mix, 0));
    types
        .into_iter()
        .enumerate()
        .map(|(neuron, cell_type)| {
            let mut rng = stream(settings.seed, Purpose::Neuron, neuron as u64);
            draw(settings, cell_type, height, width, &mut rng)
        })
        .collect()
}

fn draw(
    settings: &Settings,
    cell_type: CellType,
    height: usize,
    width: usize,
    rng: &mut impl Rng,
) -> Parameters {
    let mut size = within(settings.size, rng);
    let cycles = within(settings.cycles, rng);
    let orientation = rng.random_range(0.0..PI);
    let phase = rng.random_range(0.0..TAU);
    let phase_sensitive: bool = rng.random();
    let frequency = cycles / size;
    let (mut surround_size, mut suppression) = (None, None);
    match cell_type {
        CellType::CentreSurround => {
            size *= within(RELATIVE_CENTRE, rng);
            let surround = size * within(RELATIVE_SURROUND, rng);
            surround_size = Some(surround.min(settings.largest_surround));
            suppression = Some(within(SURROUND_WEIGHT, rng));
        }
        CellType::SurroundSuppressed => {
            let annulus = size * within(RELATIVE_ANNULUS, rng);
            surround_size = Some(annulus.min(settings.largest_surround));
            suppression = Some(within(SUPPRESSION, rng));
        }
        CellType::CrossOrientationSuppressed => suppression = Some(within(SUPPRESSION, rng)),
        CellType::Simple | CellType::Complex => {}
    }
    let phase = match cell_type {
        CellType::Simple => Some(phase),
        CellType::Complex => None,
        CellType::CentreSurround => Some(if phase_sensitive { 0.0 } else { PI }),
        _ => phase_sensitive.then_some(phase),
    };
    let oriented = cell_type.is_oriented();
    let margin = 0.5 * surround_size.unwrap_or(size);
    let mut place = |side: usize| within([margin, side as f64 - 1.0 - margin], rng);
    Parameters {
        cell_type,
        x: place(width),
        y: place(height),
        orientation: oriented.then_some(orientation),
        phase,
        size,
        frequency: oriented.then_some(frequency),
        surround_size,
        suppression,
        pool_scale: cell_type.is_normalised().then_some(1.0),
        scale: 1.0,
        threshold: 0.0,
        gain: 1.0,
    }
}

/// Uniform between the two.
fn within([low, high]: [f64; 2], rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}
