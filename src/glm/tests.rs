use super::trials::Responses;
use super::*;
use crate::npy;
use crate::recording::Trial;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/glm")
}

/// All columns of chains, in the coordinates of the design.
fn columns<T: crate::ops::Real>(
    design: &Design<T>,
    trials: &Trials<'_>,
    chains: &[Chain<'_>],
    tolerance: f64,
) -> Vec<Solved<T>> {
    let mut all = Vec::new();
    let limits = Limits {
        tolerance,
        iterations: ITERATIONS,
    };
    let observer = Progress::Hidden.observer("test");
    solve(
        design,
        trials,
        chains,
        limits,
        observer,
        &|| None,
        &mut |s| all.push(s),
    )
    .unwrap();
    all
}

fn largest(x: impl Iterator<Item = f64>) -> f64 {
    x.fold(0.0, |m, v| if v.abs() <= m { m } else { v.abs() })
}

#[test]
fn weights_and_intercepts_are_those_of_scikit_learn() {
    let recording = Recording::open(&fixture().join("recording")).unwrap();
    let read = |name: &str| npy::read(&fixture().join(name)).unwrap().0;
    let (weights, intercepts) = (read("weights.npy"), read("intercepts.npy"));
    let trials = Trials::new(&recording, 2, 1).unwrap();
    let penalties = [5.0, 0.5_f64.sqrt(), 0.1];
    let chains: Vec<Chain<'_>> = (0..5)
        .map(|neuron| Chain {
            neuron,
            fold: None,
            penalties: &penalties,
        })
        .collect();
    let (coordinates, design) = Coordinates::new(trials.pixels().unwrap(), 48);
    let narrow = design.narrow();
    let check = |chain: usize, at: usize, found: &[f64]| {
        let (w, b) = coordinates.to_pixels(found);
        let wanted = weights.index_axis(Axis(0), chain);
        let wanted = wanted.index_axis(Axis(0), at);
        let off = largest(w.iter().zip(wanted).map(|(a, b)| a - f64::from(*b)));
        assert!(off <= 1e-4, "neuron {chain}, penalty {at}: {off}");
        let off = b - f64::from(intercepts[[chain, at]]);
        assert!(off.abs() <= 1e-4, "neuron {chain}, penalty {at}: {off}");
    };
    let wide = columns(&design, &trials, &chains, FINAL_TOLERANCE);
    assert_eq!(wide.len(), 15);
    for s in wide {
        assert!(s.converged);
        check(s.chain, s.at, &s.weights);
    }
    for s in columns(&narrow, &trials, &chains, 1e-5) {
        assert!(s.converged);
        let weights: Vec<f64> = s.weights.iter().map(|w| f64::from(*w)).collect();
        check(s.chain, s.at, &weights);
    }
}

/// `images` noisy images of one row of `pixels`, neurons linear-exponential with Poisson-like noise.
fn simulated(images: usize, pixels: usize, neurons: usize) -> (Recording, Array2<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut grey = Array3::zeros((images, 1, pixels));
    for mut image in grey.outer_iter_mut() {
        let common: f32 = rng.random_range(-1.0..1.0);
        image.mapv_inplace(|_: f32| 3.0 + common + rng.random_range(-1.0_f32..1.0));
    }
    let filters = Array2::from_shape_simple_fn((neurons, pixels), || rng.random_range(-0.4..0.4));
    let z = grey.mapv(|x| f64::from((x - 3.0) / 0.82));
    let z = z.into_shape_with_order((images, pixels)).unwrap();
    let responses = z.dot(&filters.t()).mapv(|eta| {
        let rate = eta.exp();
        // A sum of few uniform numbers around the rate.
        (rate * rng.random_range(0.0..2.0)) as f32
    });
    let trials = (0..images).map(|image| Trial {
        image,
        tier: match image % 5 {
            0 => Tier::Test,
            1 => Tier::Validation,
            _ => Tier::Train,
        },
    });
    let recording = Recording {
        name: "simulated".into(),
        images: grey,
        responses,
        trials: trials.collect(),
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    (recording, filters)
}

/// Gradient of the objective on pixels, by its definition.
fn gradient(z: &[f64], of: &Responses<f64>, penalty: f64, w: &[f64], b: f64) -> Vec<f64> {
    let mut gradient: Vec<f64> = w.iter().map(|w| penalty * w).chain([0.0]).collect();
    for (row, image) in z.chunks(w.len()).enumerate() {
        let eta = b + image.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
        let residual = (of.counts[row] * eta.exp() - of.sums[row]) / of.total;
        for (g, x) in gradient.iter_mut().zip(image.iter().chain([&1.0])) {
            *g += residual * x;
        }
    }
    gradient
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn every_converged_column_is_stationary() {
    // More images than pixels, and far fewer.
    for (images, pixels) in [(120, 13), (60, 150)] {
        let (mut recording, _) = simulated(images, pixels, 3);
        recording.responses[[3, 1]] = f32::NAN;
        let trials = Trials::new(&recording, 3, 1).unwrap();
        let penalties = Settings {
            penalties: 9,
            ..Settings::default()
        }
        .values();
        let chains: Vec<Chain<'_>> = (0..3)
            .flat_map(|neuron| (0..3).map(move |fold| (neuron, fold)))
            .map(|(neuron, fold)| Chain {
                neuron,
                fold: Some(fold),
                penalties: &penalties,
            })
            .collect();
        let z = trials.pixels().unwrap();
        let (coordinates, design) = Coordinates::new(z.clone(), pixels);
        let found = columns(&design.narrow(), &trials, &chains, TOLERANCE);
        assert_eq!(found.len(), 81);
        for s in found {
            assert!(s.converged);
            let chain = &chains[s.chain];
            let of: Responses<f64> = trials.responses(chain.neuron, chain.fold);
            let penalty = penalties[s.at];
            let nothing = vec![0.0; pixels];
            let start = norm(&gradient(&z, &of, penalty, &nothing, of.mean.ln()));
            let weights: Vec<f64> = s.weights.iter().map(|w| f64::from(*w)).collect();
            let (w, b) = coordinates.to_pixels(&weights);
            let end = norm(&gradient(&z, &of, penalty, &w, b));
            assert!(end <= 1.05 * TOLERANCE * start, "{}", end / start);
            assert!((end / start - s.relative).abs() <= 0.1 * TOLERANCE);
            // What is held out is scored by its definition.
            let held = of.held_out.iter().map(|(row, count, sum)| {
                let image = &z[row * pixels..(row + 1) * pixels];
                let eta = b + image.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>();
                count * eta.exp() - sum * eta
            });
            let held: f64 = held.sum();
            assert!((held - s.held_out).abs() <= 1e-4 * held.abs().max(1.0));
        }
    }
}

#[test]
fn a_column_that_runs_out_of_iterations_says_so() {
    let (recording, _) = simulated(60, 9, 2);
    let trials = Trials::new(&recording, 2, 1).unwrap();
    let chains = [0, 1].map(|neuron| Chain {
        neuron,
        fold: None,
        penalties: &[0.5, 0.1],
    });
    let (_, design) = Coordinates::new(trials.pixels().unwrap(), 9);
    let mut found = Vec::new();
    let limits = Limits {
        tolerance: 1e-9,
        iterations: 2,
    };
    let observer = Progress::Hidden.observer("test");
    solve(
        &design,
        &trials,
        &chains,
        limits,
        observer,
        &|| None,
        &mut |s| found.push(s),
    )
    .unwrap();
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|s| !s.converged && s.relative > 1e-9));
}

#[test]
fn rare_and_huge_responses_converge() {
    let (mut recording, _) = simulated(300, 20, 4);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for r in &mut recording.responses {
        let x: f32 = rng.random_range(-1.0..1.0);
        *r = (12.0 * x * x * x).exp();
    }
    // Grey levels with a common part that dwarfs the rest.
    for mut image in recording.images.outer_iter_mut() {
        let common: f32 = rng.random_range(-1.0..1.0);
        image.mapv_inplace(|x| x + 20.0 * common);
    }
    let settings = Settings {
        penalties: 6,
        ..Settings::default()
    };
    let glms = fit(
        &recording,
        &[0, 1, 2, 3],
        &settings,
        Progress::Hidden,
        &|| None,
    )
    .unwrap();
    assert!(glms.unconverged.is_empty(), "{:?}", glms.unconverged);
}

#[test]
fn silent_and_constant_neurons_are_not_fitted() {
    let (mut recording, _) = simulated(60, 9, 4);
    recording.responses.column_mut(0).fill(0.0);
    recording.responses.column_mut(1).fill(f32::NAN);
    recording.responses.column_mut(2).fill(3.0);
    let settings = Settings {
        penalties: 4,
        ..Settings::default()
    };
    let glms = fit(
        &recording,
        &[3, 2, 1, 0],
        &settings,
        Progress::Hidden,
        &|| None,
    )
    .unwrap();
    assert!(glms.unconverged.is_empty(), "{:?}", glms.unconverged);
    assert_eq!(glms.not_fitted, [2, 1, 0]);
    let intercepts = glms.table.numbers("intercept").unwrap();
    assert!(intercepts[0].is_finite());
    assert!(intercepts[1..].iter().all(|v| v.is_nan()));
    let penalties = glms.table.numbers("penalty").unwrap();
    assert!(penalties[0] > 0.0 && penalties[1..].iter().all(|v| v.is_nan()));
    let largest = |n: usize| {
        largest(
            glms.weights
                .index_axis(Axis(0), n)
                .iter()
                .map(|w| f64::from(*w)),
        )
    };
    assert!(largest(0) > 0.01 && largest(1) == 0.0 && largest(3) == 0.0);
    let correlation = glms.table.numbers("test_correlation").unwrap();
    assert!(correlation[0] > 0.3 && correlation[1..].iter().all(|v| v.is_nan()));
}

#[test]
fn a_signal_ends_the_fit() {
    let (recording, _) = simulated(60, 9, 1);
    let settings = Settings::default();
    let ended = fit(&recording, &[0], &settings, Progress::Hidden, &|| Some(15));
    assert!(matches!(ended, Err(Error::Stopped(15))));
}

#[test]
fn penalties_are_those_of_the_definition() {
    let values = Settings::default().values();
    assert_eq!(values.len(), 48);
    assert!((values[0] - 5.0).abs() < 1e-12 && (values[47] - 0.1).abs() < 1e-12);
    for pair in values.windows(2) {
        assert!((pair[0] / pair[1] - 1.08680).abs() < 1e-5);
    }
}
