//! Runs written by hand whose bar codes are turned prototypes with noise.

use super::common::noise;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use striate::model::checkpoint::Tensors;

/// Features and orientations of the core's output.
pub const FEATURES: usize = 6;
pub const ORIENTATIONS: usize = 8;
/// Height and width of the images.
pub const SIDE: usize = 12;

/// What was planted: each neuron's prototype and the turn, counter-clockwise, that carries its code into the prototype's.
#[derive(Clone, Debug)]
pub struct Planted {
    pub types: Vec<usize>,
    pub turns: Vec<f64>,
    /// (N, F, O).
    pub codes: Vec<f64>,
}

/// `members` neurons of each of `types` prototypes; `noise` per weight, in units of a prototype's root mean square.
pub fn plant(types: usize, members: usize, level: f64, whole: bool, seed: u64) -> Planted {
    let (n, width) = (types * members, FEATURES * ORIENTATIONS);
    let draws = noise(types * FEATURES * 5, seed);
    let jitter = noise(n * width, seed + 1);
    let places = noise(n, seed + 2);
    let mut planted = Planted {
        types: Vec::new(),
        turns: Vec::new(),
        codes: Vec::new(),
    };
    for neuron in 0..n {
        let kind = neuron % types;
        // A band-limited profile per feature; half of the features are silent.
        let at = |f: usize, angle: f64| {
            let d = &draws[(kind * FEATURES + f) * 5..][..5];
            let strength = if (f + kind).is_multiple_of(2) {
                1.0
            } else {
                0.1
            };
            let wave = |k: usize| {
                let phase = k as f64 * angle;
                d[2 * k - 1] * phase.cos() + d[2 * k] * phase.sin()
            };
            strength * (d[0] + 2.0 * wave(1) + wave(2))
        };
        let mut turn = TAU * (places[neuron].abs() * 977.0).fract();
        if whole {
            turn = (turn / TAU * 8.0).floor() / 8.0 * TAU;
        }
        let start = planted.codes.len();
        for f in 0..FEATURES {
            for o in 0..ORIENTATIONS {
                // Turned forward by `turn`, the code is the prototype.
                planted.codes.push(at(f, TAU * o as f64 / 8.0 + turn));
            }
        }
        let own = &mut planted.codes[start..];
        let rms = (own.iter().map(|w| w * w).sum::<f64>() / width as f64).sqrt();
        for (w, e) in own.iter_mut().zip(&jitter[neuron * width..]) {
            *w += level * rms * e;
        }
        planted.types.push(kind);
        planted.turns.push(turn);
    }
    planted
}

/// A run with these codes; neurons in `silent` have none.
pub fn write(run: &Path, planted: &Planted, silent: &[usize]) {
    write_readouts(run, &[("r", planted, silent)]);
}

/// A run with several readouts.
pub fn write_readouts(run: &Path, readouts: &[(&str, &Planted, &[usize])]) {
    let channels = FEATURES * ORIENTATIONS;
    let mut tensors = Tensors::default();
    let basis = 15;
    let coefficients = noise(basis * FEATURES, 77)
        .iter()
        .map(|v| *v as f32)
        .collect();
    tensors.insert(
        "core.0.coefficients".into(),
        &[basis, 1, FEATURES],
        coefficients,
    );
    for (name, value) in [("offset", 0.0), ("mean", 0.0), ("variance", 1.0)] {
        let name = format!("core.0.norm.{name}");
        tensors.insert(name, &[channels], vec![value; channels]);
    }
    tensors.insert("input.mean".into(), &[1], vec![110.0]);
    tensors.insert("input.sd".into(), &[1], vec![50.0]);
    for (name, planted, silent) in readouts {
        let n = planted.types.len();
        let mut mask = vec![0.0; n * SIDE * SIDE];
        let mut features = vec![0.0; n * channels];
        for neuron in 0..n {
            let (row, at) = (3 + neuron % 6, 3 + neuron / 6 % 6);
            mask[(neuron * SIDE + row) * SIDE + at] = 1.0;
            for f in 0..FEATURES {
                for o in 0..ORIENTATIONS {
                    let w = planted.codes[(neuron * FEATURES + f) * ORIENTATIONS + o];
                    let w = if silent.contains(&neuron) { 0.0 } else { w };
                    features[neuron * channels + o * FEATURES + f] = w as f32;
                }
            }
        }
        let tensor = |what: &str| format!("readout.{name}.{what}");
        tensors.insert(tensor("mask"), &[n, SIDE, SIDE], mask);
        tensors.insert(tensor("features"), &[n, channels], features);
        tensors.insert(tensor("bias"), &[n], vec![0.1; n]);
        tensors.insert(tensor("response_scale"), &[n], vec![1.0; n]);
    }
    fs::create_dir_all(run).unwrap();
    let text = format!(
        "[core]\norientations = {ORIENTATIONS}\nfilter_sizes = [5]\nfeatures = [{FEATURES}]\n\
         [penalties]\nsmoothness_per_layer = [1.0]\ngroup_sparsity_per_layer = [0.0]\n"
    );
    fs::write(run.join("config.toml"), text).unwrap();
    tensors.write(&run.join("model.safetensors")).unwrap();
}

/// Median angle in degrees between found and planted turns, up to one offset for each type.
pub fn median_error(types: &[usize], planted: &[f64], found: &[f64]) -> f64 {
    let mut errors = Vec::new();
    for kind in 0..=types.iter().copied().max().unwrap_or(0) {
        let apart: Vec<f64> = (0..types.len())
            .filter(|&n| types[n] == kind)
            .map(|n| found[n] - planted[n])
            .collect();
        let (s, c) = apart
            .iter()
            .fold((0.0, 0.0), |(s, c), a| (s + a.sin(), c + a.cos()));
        let offset = f64::atan2(s, c);
        errors.extend(apart.iter().map(|a| {
            let d = a - offset;
            f64::atan2(d.sin(), d.cos()).abs().to_degrees()
        }));
    }
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}
