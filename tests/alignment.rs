//! Codes made from known prototypes and turned by known angles: the alignment finds them again.

use ndarray::{Array3, ArrayView3, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::f64::consts::TAU;
use striate::device::Device;
use striate::device::Precision;
use striate::device::emulator::{Emulator, Order};
use striate::insilico::Watch;
use striate::population::alignment::{
    Alignment, Settings, align, integer, log_spaced, refine, turned,
};

const FEATURES: usize = 16;
const O: usize = 8;

/// Codes with what they were made from.
struct Made {
    codes: Array3<f32>,
    types: Vec<usize>,
    /// That carries each into its prototype's frame.
    rotations: Vec<f64>,
}

/// A few features, each tuned to some orientation, a quarter of them negative; norm 1.
fn prototype(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut code = vec![0.0f64; FEATURES * O];
    for _ in 0..rng.random_range(2..6) {
        let row = rng.random_range(0..FEATURES) * O;
        let (centre, width) = (rng.random_range(0.0..TAU), rng.random_range(0.5..4.0));
        let sign = if rng.random_bool(0.25) { -1.0 } else { 1.0 };
        let size = sign * rng.random_range(0.3..1.0);
        for i in 0..O {
            let away: f64 = TAU * i as f64 / O as f64 - centre;
            code[row + i] += size * (width * (away.cos() - 1.0)).exp();
        }
    }
    let norm = code.iter().map(|v| v * v).sum::<f64>().sqrt();
    code.iter().map(|v| (v / norm) as f32).collect()
}

/// `noise` is the noise's norm beside the code's.
fn made(neurons: usize, prototypes: usize, noise: f64, whole: bool, seed: u64) -> Made {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let prototypes: Vec<Vec<f32>> = (0..prototypes).map(|_| prototype(&mut rng)).collect();
    let mut codes = Array3::zeros((neurons, FEATURES, O));
    let (mut types, mut rotations) = (Vec::new(), Vec::new());
    for mut code in codes.outer_iter_mut() {
        let kind = rng.random_range(0..prototypes.len());
        let angle = match whole {
            true => TAU * f64::from(rng.random_range(0..O as u32)) / O as f64,
            false => rng.random_range(0.0..TAU),
        };
        let clean = turned(&prototypes[kind], FEATURES, O, -angle).unwrap();
        let gain: f64 = rng.random_range(0.5..2.0);
        let sd = noise / (clean.len() as f64).sqrt();
        for (v, clean) in code.iter_mut().zip(clean) {
            *v = (gain * (f64::from(clean) + sd * rng.sample::<f64, _>(StandardNormal))) as f32;
        }
        types.push(kind);
        rotations.push(angle);
    }
    Made {
        codes,
        types,
        rotations,
    }
}

fn short(penalties: Vec<f64>) -> Settings {
    Settings {
        penalties,
        evaluate_every: 25,
        ..Settings::default()
    }
}

fn run(codes: ArrayView3<f32>, settings: &Settings) -> Alignment {
    align(&Device::Cpu, codes, settings, &mut Watch::hidden()).unwrap()
}

/// Signed difference of two angles.
fn between(a: f64, b: f64) -> f64 {
    (a - b).sin().atan2((a - b).cos())
}

/// Median over all neurons of how far found angles are from the true ones, up to one offset per type, in degrees.
fn off(made: &Made, found: &[f64]) -> f64 {
    let mut all = Vec::new();
    for kind in 0..=*made.types.iter().max().unwrap() {
        let own = (0..found.len()).filter(|&n| made.types[n] == kind);
        let errors: Vec<f64> = own.map(|n| between(found[n], made.rotations[n])).collect();
        let mean = errors
            .iter()
            .map(|e| e.sin())
            .sum::<f64>()
            .atan2(errors.iter().map(|e| e.cos()).sum());
        all.extend(errors.iter().map(|&e| between(e, mean).abs().to_degrees()));
    }
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Mean correlation of the codes of each type, once turned.
fn agreement(made: &Made, found: &[f64]) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0.0);
    let unit: Vec<Vec<f32>> = made
        .codes
        .outer_iter()
        .zip(found)
        .map(|(code, &angle)| {
            let x = turned(
                &code.iter().copied().collect::<Vec<_>>(),
                FEATURES,
                O,
                angle,
            )
            .unwrap();
            let norm = x.iter().map(|v| v * v).sum::<f32>().sqrt();
            x.iter().map(|v| v / norm).collect()
        })
        .collect();
    for a in 0..unit.len() {
        for b in (0..a).filter(|&b| made.types[a] == made.types[b]) {
            sum += unit[a]
                .iter()
                .zip(&unit[b])
                .map(|(a, b)| f64::from(a * b))
                .sum::<f64>();
            pairs += 1.0;
        }
    }
    sum / pairs
}

#[test]
fn rotations_come_back_within_five_degrees() {
    for whole in [true, false] {
        let made = made(400, 6, 0.4, whole, 3);
        let found = run(made.codes.view(), &short(vec![2.0, 10.0]));
        let mut rotations = found.rotations.clone();
        let types: Vec<Option<usize>> = made.types.iter().copied().map(Some).collect();
        let rounds = refine(made.codes.view(), &mut rotations, &types, true).unwrap();
        assert!(rounds < 200, "{rounds}");
        let (error, alike) = (off(&made, &rotations), agreement(&made, &rotations));
        println!("whole {whole}: {error:.2} degrees, correlation {alike:.3}, {rounds} rounds");
        assert!(error <= 5.0, "whole {whole}: {error}");
        // Noise of 0.4 leaves 1 / 1.16.
        let best = agreement(&made, &made.rotations);
        assert!(
            alike >= best - 0.01,
            "whole {whole}: {alike}, with the true angles {best}"
        );
        assert!(rotations.iter().all(|r| (0.0..TAU).contains(r)));
    }
}

#[test]
fn of_the_fits_warm_enough_the_one_of_least_energy_is_chosen() {
    let made = made(200, 4, 0.5, false, 5);
    let found = run(made.codes.view(), &short(log_spaced(0.05, 20.0, 6)));
    let chosen: Vec<_> = found.fits.iter().filter(|f| f.chosen).collect();
    assert_eq!(chosen.len(), 1);
    assert!(chosen[0].temperature > 5.0 && chosen[0].temperature == found.temperature);
    for fit in found.fits.iter().filter(|f| f.temperature > 5.0) {
        assert!(chosen[0].energy <= fit.energy);
    }
    for pair in found.fits.windows(2) {
        assert!(pair[0].energy <= pair[1].energy, "{pair:?}");
        assert!(pair[0].reconstruction >= pair[1].reconstruction, "{pair:?}");
    }
    // A turn by each angle, blurred by T: alike where T is high.
    assert_eq!(found.aligned.dim(), (200, FEATURES * O));
    assert!(found.aligned.iter().all(|v| v.is_finite()));
}

#[test]
fn the_loss_never_rises_over_accepted_steps() {
    let made = made(150, 3, 0.5, false, 6);
    let found = run(made.codes.view(), &short(vec![0.1, 1.0, 10.0]));
    assert_eq!(found.descents.len(), 2 + 2);
    for kept in &found.descents {
        assert!(kept.len() > 1, "{kept:?}");
        assert!(kept.windows(2).all(|w| w[1] < w[0]), "{kept:?}");
    }
}

/// Codes of one feature from two periodic Gaussian processes.
fn two_types(seed: u64) -> (Array3<f32>, Vec<usize>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // A process of period 2 pi with covariance exp(-2 sin^2(d / 2) / l^2) has independent waves; few matter.
    let waves: Vec<Vec<(f64, f64)>> = (0..2)
        .map(|_| {
            let draw = |k: usize, rng: &mut ChaCha8Rng| {
                let sd = (-(k as f64).powi(2) * 0.125).exp();
                (
                    sd * rng.sample::<f64, _>(StandardNormal),
                    sd * rng.sample::<f64, _>(StandardNormal),
                )
            };
            (1..4).map(|k| draw(k, &mut rng)).collect()
        })
        .collect();
    let mut codes = Array3::zeros((16, 1, O));
    let (mut types, mut angles) = (Vec::new(), Vec::new());
    for n in 0..16 {
        let (kind, angle) = (n % 2, rng.random_range(0.0..TAU));
        for i in 0..O {
            let at = TAU * i as f64 / O as f64 + angle;
            let terms = waves[kind].iter().zip(1..);
            codes[[n, 0, i]] = terms
                .map(|((a, b), k)| a * (f64::from(k) * at).cos() + b * (f64::from(k) * at).sin())
                .sum::<f64>() as f32;
        }
        types.push(kind);
        angles.push(angle);
    }
    (codes, types, angles)
}

#[test]
fn two_types_from_a_periodic_gaussian_process_come_apart() {
    for seed in [1, 2, 3] {
        let (codes, types, angles) = two_types(seed);
        let found = run(codes.view(), &short(vec![0.5, 2.0, 8.0]));
        let mut rotations = found.rotations.clone();
        let clusters: Vec<Option<usize>> = types.iter().copied().map(Some).collect();
        refine(codes.view(), &mut rotations, &clusters, true).unwrap();
        let made = Made {
            codes: codes.clone(),
            types: types.clone(),
            rotations: angles,
        };
        let error = off(&made, &rotations);
        assert!(error <= 5.0, "seed {seed}: {error}");
        // Nearest neighbours among the aligned codes are of the same type.
        for n in 0..16 {
            let away = |m: usize| -> f32 {
                let (a, b) = (found.aligned.row(n), found.aligned.row(m));
                a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
            };
            let others = (0..16).filter(|&m| m != n);
            let nearest = others.min_by(|&a, &b| away(a).total_cmp(&away(b))).unwrap();
            assert_eq!(types[n], types[nearest], "seed {seed}, neuron {n}");
        }
    }
}

#[test]
fn a_turn_by_whole_steps_is_a_roll() {
    let code: Vec<f32> = (0..3 * 8).map(|i| (0.7 * i as f32).sin()).collect();
    for o in [1, 2, 3, 8] {
        let features = code.len() / o;
        for i in 0..=o {
            let got = turned(&code, features, o, TAU * i as f64 / o as f64).unwrap();
            for (at, v) in got.iter().enumerate() {
                let (f, q) = (at / o, at % o);
                let wanted = code[f * o + (q + o - i % o) % o];
                assert!((v - wanted).abs() <= 1e-6, "{o} {i}: {v}, wanted {wanted}");
            }
        }
    }
    assert!(turned(&code, 5, 8, 0.0).is_err());
}

#[test]
fn whole_steps_align_what_was_rolled() {
    let made = made(60, 1, 0.0, true, 7);
    let found = integer(made.codes.view(), true, 0).unwrap();
    assert!(off(&made, &found) <= 1e-6);
    assert_eq!(found, integer(made.codes.view(), true, 0).unwrap());
}

#[test]
fn codes_of_zeros_are_left_out() {
    let mut made = made(40, 2, 0.3, false, 8);
    let alone = run(made.codes.view(), &short(vec![5.0]));
    let mut with = Array3::zeros((42, FEATURES, O));
    with.slice_mut(ndarray::s![1..41, .., ..])
        .assign(&made.codes);
    let found = run(with.view(), &short(vec![5.0]));
    for n in [0, 41] {
        assert!(found.rotations[n].is_nan());
        assert!(found.aligned.row(n).iter().all(|&v| v == 0.0));
    }
    assert_eq!(&found.rotations[1..41], &alone.rotations[..]);
    assert_eq!(found.fits[0].energy, alone.fits[0].energy);
    let mut rotations = found.rotations.clone();
    refine(with.view(), &mut rotations, &[Some(0); 42], true).unwrap();
    assert!(rotations[0].is_nan() && rotations[1..41].iter().all(|r| r.is_finite()));
    made.codes.fill(0.0);
    let error = align(
        &Device::Cpu,
        made.codes.view(),
        &short(vec![5.0]),
        &mut Watch::hidden(),
    );
    assert!(error.unwrap_err().to_string().contains("zero"));
}

#[test]
fn one_neuron_and_equal_neurons_are_fine() {
    let one = made(1, 1, 0.0, false, 9);
    let mut equal = Array3::zeros((20, FEATURES, O));
    for mut code in equal.axis_iter_mut(Axis(0)) {
        code.assign(&one.codes.index_axis(Axis(0), 0));
    }
    for codes in [one.codes.view(), equal.view()] {
        let found = run(
            codes,
            &Settings {
                max_steps: 2000,
                ..short(vec![0.1, 10.0])
            },
        );
        assert!(
            found
                .fits
                .iter()
                .all(|f| f.energy.abs() <= 1e-4 && f.reconstruction <= 1e-2)
        );
        assert!(found.aligned.iter().all(|v| v.is_finite()));
        let mut rotations = found.rotations.clone();
        refine(codes, &mut rotations, &vec![Some(0); codes.dim().0], true).unwrap();
        assert!(
            rotations
                .iter()
                .all(|&r| between(r, rotations[0]).abs() <= 1e-3),
            "{rotations:?}"
        );
    }
}

#[test]
fn where_no_fit_is_warm_enough_the_warmest_is_taken() {
    let made = made(50, 2, 0.5, false, 10);
    let capped = Settings {
        temperature_cap: Some(1.5),
        ..short(vec![1e-3, 1.0])
    };
    let found = run(made.codes.view(), &capped);
    assert!(found.fits.iter().all(|f| f.temperature <= 1.5));
    assert!(found.fits[1].chosen && found.fits[1].temperature >= found.fits[0].temperature);
}

#[test]
fn rows_count_by_their_size_only_where_they_are_not_normalised() {
    let mut made = made(30, 2, 0.3, false, 11);
    let settings = Settings {
        restarts: 1,
        ..short(vec![5.0])
    };
    let before = run(made.codes.view(), &settings);
    made.codes
        .index_axis_mut(Axis(0), 3)
        .mapv_inplace(|v| 4.0 * v);
    assert_eq!(
        run(made.codes.view(), &settings).rotations,
        before.rotations
    );
    let raw = Settings {
        normalise: false,
        ..settings
    };
    let found = run(made.codes.view(), &raw);
    let norm = |a: &Alignment, n: usize| a.aligned.row(n).iter().map(|v| v * v).sum::<f32>();
    assert!(norm(&found, 3) > 4.0 * norm(&before, 3));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let made = made(1100, 3, 0.5, false, 12);
    let settings = Settings {
        max_steps: 100,
        ..short(vec![1.0, 10.0])
    };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let found = run(made.codes.view(), &settings);
            let mut rotations = found.rotations.clone();
            let types: Vec<Option<usize>> = made.types.iter().copied().map(Some).collect();
            refine(made.codes.view(), &mut rotations, &types, true).unwrap();
            (found.fits, found.aligned, rotations)
        })
    };
    let one = with(1);
    for threads in [2, 3] {
        assert!(with(threads) == one, "{threads} threads");
    }
}

#[test]
fn a_card_follows_the_cpu() {
    let made = made(70, 2, 0.3, false, 13);
    let settings = Settings {
        max_steps: 50,
        restarts: 1,
        ..short(vec![1.0, 10.0])
    };
    let cpu = run(made.codes.view(), &settings);
    let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let card = align(&device, made.codes.view(), &settings, &mut Watch::hidden()).unwrap();
    device.check().unwrap();
    for (a, b) in cpu.rotations.iter().zip(&card.rotations) {
        assert!(between(*a, *b).abs() <= 1e-3, "{a} {b}");
    }
}

#[test]
fn bad_input_is_refused() {
    let mut made = made(5, 1, 0.0, false, 14);
    let refused = |codes: ArrayView3<f32>, settings: &Settings| {
        let found = align(&Device::Cpu, codes, settings, &mut Watch::hidden());
        found.unwrap_err().to_string()
    };
    let fine = short(vec![1.0]);
    for (settings, word) in [
        (
            Settings {
                penalties: vec![],
                ..fine.clone()
            },
            "penalties",
        ),
        (
            Settings {
                penalties: vec![-1.0],
                ..fine.clone()
            },
            "penalties",
        ),
        (
            Settings {
                restarts: 0,
                ..fine.clone()
            },
            "restarts",
        ),
        (
            Settings {
                temperature_cap: Some(f64::NAN),
                ..fine.clone()
            },
            "cap",
        ),
    ] {
        let message = refused(made.codes.view(), &settings);
        assert!(message.contains(word), "{message}");
    }
    assert!(refused(Array3::zeros((0, 2, 8)).view(), &fine).contains("shape"));
    made.codes[[1, 2, 3]] = f32::NAN;
    assert!(refused(made.codes.view(), &fine).contains("finite"));
    let mut rotations = vec![0.0; 4];
    let codes = Array3::from_elem((5, 2, 8), 1.0);
    assert!(refine(codes.view(), &mut rotations, &[None; 5], true).is_err());
}
