//! The scores of Kindel et al. 2019: how well a neuron would predict itself, and how selective it is.

use crate::recording::ceiling::Repeats;
use crate::statistics::{mean, mean_of_known, pearson, variance, varies};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Simulated experiments of which `r_max` is the mean.
const EXPERIMENTS: usize = 100;
/// Their seed.
const SEED: u64 = 2017;
/// A neuron that reaches so much of its `r_max` is explained.
pub const EXPLAINED: f64 = 0.9;

/// Standard normal numbers for every image of every simulated experiment, the same for all neurons.
#[derive(Debug)]
pub struct Noise(Vec<Vec<f64>>);

impl Noise {
    /// For experiments with so many images.
    pub fn new(images: usize) -> Self {
        let experiment = |number: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED);
            rng.set_stream(number as u64);
            let draw = |_| StandardNormal.sample(&mut rng);
            (0..images).map(draw).collect()
        };
        Self((0..EXPERIMENTS).map(experiment).collect())
    }
}

/// `r_max`: each image's R repeats are drawn anew from a normal distribution with their mean and SD (ddof 1) and averaged, and
/// correlated over images with the measured means; the mean of 100 such experiments. The mean of R normal numbers is drawn as one
/// with SD / sqrt(R). Images with one repeat are left out; NaN with fewer than two others, or means that are all the same.
pub fn r_max(neuron: &Repeats, noise: &Noise) -> f64 {
    let images: Vec<(usize, f64, f64)> = neuron
        .repeated()
        .map(|(image, r)| {
            let spread = (variance(r, 1) / r.len() as f64).sqrt();
            (image, mean(r), spread)
        })
        .collect();
    let means: Vec<f64> = images.iter().map(|i| i.1).collect();
    if means.len() < 2 || !varies(&means) {
        return f64::NAN;
    }
    let experiment = |noise: &Vec<f64>| {
        let drawn = images
            .iter()
            .map(|(image, mean, spread)| mean + spread * noise[*image]);
        pearson(&drawn.collect::<Vec<_>>(), &means)
    };
    mean_of_known(&noise.0.iter().map(experiment).collect::<Vec<_>>())
}

/// `fve`: 1 - sum (A - y)^2 / sum (A - mean A)^2 of averages over repeats A and predictions y.
pub fn fve(predicted: &[f64], average: &[f64]) -> f64 {
    if average.len() < 2 || !varies(average) {
        return f64::NAN;
    }
    let middle = mean(average);
    let pairs = average.iter().zip(predicted);
    let left: f64 = pairs.map(|(a, y)| (a - y).powi(2)).sum();
    let all: f64 = average.iter().map(|a| (a - middle).powi(2)).sum();
    1.0 - left / all
}

/// `image_selectivity`: (N - (sum A)^2 / sum A^2) / (N - 1) of averages A over N images: 0 for a neuron that answers alike to all,
/// 1 for one that answers to a single image.
pub fn image_selectivity(average: &[f64]) -> f64 {
    let n = average.len() as f64;
    let (sum, squares) = average
        .iter()
        .fold((0.0, 0.0), |(s, q), a| (s + a, q + a * a));
    if average.len() < 2 || squares <= 0.0 {
        return f64::NAN;
    }
    (n - sum * sum / squares) / (n - 1.0)
}

/// Share of neurons whose correlation is at least nine tenths of their `r_max`, among those that have one; NaN without any.
pub fn within_10_percent(correlation: &[f64], r_max: &[f64]) -> f64 {
    let known = correlation.iter().zip(r_max).filter(|(_, m)| !m.is_nan());
    let reached: Vec<f64> = known
        .map(|(c, m)| f64::from(u8::from(*c >= EXPLAINED * m)))
        .collect();
    mean_of_known(&reached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    fn repeats(responses: &[&[f32]]) -> Repeats {
        let mut first = 0;
        let rows = responses.iter().map(|r| {
            first += r.len();
            (first - r.len()..first).collect()
        });
        let rows: Vec<Vec<usize>> = rows.collect();
        Repeats::new(&rows, Array1::from(responses.concat()).view())
    }

    #[test]
    fn without_noise_a_neuron_predicts_itself() {
        let noise = Noise::new(4);
        let exact = repeats(&[&[1.0, 1.0], &[3.0, 3.0], &[2.0, 2.0], &[9.0]]);
        assert!((r_max(&exact, &noise) - 1.0).abs() < 1e-12);
        let flat = repeats(&[&[1.0, 3.0], &[3.0, 1.0]]);
        assert!(r_max(&flat, &noise).is_nan());
        let single = repeats(&[&[1.0], &[2.0], &[3.0, 4.0]]);
        assert!(r_max(&single, &noise).is_nan());
    }

    #[test]
    fn r_max_is_what_drawing_every_repeat_gives() {
        // 60 images, 20 repeats: SD of means 1, SD of repeats 3.
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        let images: Vec<Vec<f32>> = (0..60)
            .map(|_| {
                let mean = normal();
                (0..20).map(|_| mean + 3.0 * normal()).collect()
            })
            .collect();
        let slices: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
        let neuron = repeats(&slices);
        let got = r_max(&neuron, &Noise::new(60));
        let means: Vec<f64> = neuron.repeated().map(|(_, r)| mean(r)).collect();
        let drawn = (0..400).map(|_| {
            let averages = neuron.repeated().map(|(_, r)| {
                let (m, s) = (mean(r), variance(r, 1).sqrt());
                let all: Vec<f64> = r.iter().map(|_| m + s * f64::from(normal())).collect();
                mean(&all)
            });
            pearson(&averages.collect::<Vec<_>>(), &means)
        });
        let wanted = mean(&drawn.collect::<Vec<_>>());
        assert!((got - wanted).abs() < 0.01, "{got}, wanted {wanted}");
    }

    #[test]
    fn selectivity_and_explained_variance_by_hand() {
        assert_eq!(image_selectivity(&[2.0, 2.0, 2.0]), 0.0);
        assert_eq!(image_selectivity(&[0.0, 5.0, 0.0]), 1.0);
        // (3 - 36 / 14) / 2.
        let got = image_selectivity(&[1.0, 2.0, 3.0]);
        assert!((got - (3.0 - 36.0 / 14.0) / 2.0).abs() < 1e-15);
        assert!(image_selectivity(&[0.0, 0.0]).is_nan());
        assert_eq!(fve(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 1.0);
        assert_eq!(fve(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0]), 0.0);
        assert!(fve(&[1.0, 2.0], &[3.0, 3.0]).is_nan());
        let share = within_10_percent(&[0.9, 0.5, 0.1], &[1.0, 0.6, f64::NAN]);
        assert_eq!(share, 0.5);
        assert!(within_10_percent(&[0.5], &[f64::NAN]).is_nan());
    }
}
