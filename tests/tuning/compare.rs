//! `striate compare-tuning`.

use super::common;
use super::small::{self, striate};
use super::units::{self, gabor, liked, response};
use ndarray::{Array2, Array3};
use std::fs;
use striate::recording::{Recording, Tier, Trial};
use striate::stimuli::Gabor;
use striate::table::Table;

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (x, y) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| f(a - x, b - y)).sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Sizes of a Gabor in two contrasts, shown four times each in all tiers; and the noisy answers of neuron 2; the
/// others always do the same.
#[test]
fn recorded_tuning_is_compared_with_the_twins() {
    let f = tempfile::tempdir().unwrap();
    units::write(&f.path().join("run"), "softplus");
    let stimuli: Vec<Array2<f64>> = (0..10)
        .map(|i| {
            gabor(&Gabor {
                size: 8.0 * 1.65f64.powi(i / 2),
                contrast: if i % 2 == 0 { 1.0 } else { 3.0 },
                ..liked(2)
            })
        })
        .collect();
    let (h, w) = units::IMAGE;
    let images = Array3::from_shape_fn((10, h, w), |(n, i, j)| {
        (100.0 + 40.0 * stimuli[n][(i, j)]) as f32
    });
    let tiers = [Tier::Train, Tier::Validation, Tier::Test];
    let trials: Vec<Trial> = (0..40)
        .map(|t| Trial {
            image: t % 10,
            tier: tiers[t % 10 % 3],
        })
        .collect();
    let clean: Vec<f64> = stimuli.iter().map(|s| response(2, "softplus", s)).collect();
    let noise = common::noise(40, 3);
    let measured: Vec<f64> = (0..40).map(|t| clean[t % 10] + 0.8 + noise[t]).collect();
    let responses = Array2::from_shape_fn(
        (40, 4),
        |(t, n)| {
            if n == 2 { measured[t] as f32 } else { 1.0 }
        },
    );
    let recording = Recording {
        name: "sizes".into(),
        images,
        responses,
        trials,
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    recording.write(&f.path().join("sizes")).unwrap();
    let line = "compare-tuning run --recording sizes --device cpu";
    striate(f.path(), line).ok();
    let path = f.path().join("run/tuning_comparison.csv");
    let text = fs::read_to_string(&path).unwrap();
    let header = "neuron,correlation_to_average,single_trial_correlation,oracle_correlation,maximum_correlation,\
                  share_of_oracle,share_of_maximum,recording_hash,model_hash,made_with";
    assert_eq!(text.lines().next().unwrap(), header);
    assert!(text.lines().nth(1).unwrap().starts_with("0,0,0,,,,,fnv1a:"));
    let of_image = |i: usize| (0..4).map(|r| measured[10 * r + i]).collect::<Vec<f64>>();
    let averages: Vec<f64> = (0..10)
        .map(|i| of_image(i).iter().sum::<f64>() / 4.0)
        .collect();
    let others: Vec<f64> = (0..40)
        .map(|t| (4.0 * averages[t % 10] - measured[t]) / 3.0)
        .collect();
    let average = correlation(&clean, &averages);
    let oracle = correlation(&others, &measured);
    let table = Table::read_csv(&path).unwrap();
    for (name, wanted) in [
        ("correlation_to_average", average),
        ("oracle_correlation", oracle),
        ("share_of_oracle", average / oracle),
    ] {
        let got = table.numbers(name).unwrap()[2];
        assert!((got - wanted).abs() <= 1e-4, "{name} {got} {wanted}");
    }
    assert!(average >= 0.5 && oracle <= 0.99, "{average} {oracle}");
    let other = small::recording("rec", 5, 1);
    other.write(&f.path().join("rec")).unwrap();
    let done = striate(f.path(), "compare-tuning run --recording rec --device cpu");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("4 as in readout hand"), "{}", done.err);
}
