//! `striate glm`: a known answer, scikit-learn's answer, and what is refused.

#[path = "common/mod.rs"]
mod common;
#[path = "common/small.rs"]
mod small;

use common::noise;
use ndarray::{Array2, Array3, Axis, Ix3, Ix4};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use small::{Done, command, copy, everything, striate};
use std::fs;
use std::path::Path;
use std::time::Duration;
use striate::npy;
use striate::recording::{Recording, Tier, Trial};
use striate::statistics::pearson;
use striate::table::{Column, Table};

const SIDE: usize = 8;

/// Training and validation `images`, and 60 test images with 4 repeats; neurons 0 to 3 are linear-exponential, neuron
/// 4 ignores the images.
fn recording(images: usize) -> (Recording, Array2<f64>) {
    let grey = Array3::from_shape_vec(
        (images + 60, SIDE, SIDE),
        noise((images + 60) * SIDE * SIDE, 1),
    )
    .unwrap();
    let filters = Array2::from_shape_fn((5, SIDE * SIDE), |(n, p)| {
        let (y, x) = ((p / SIDE) as f64 - 3.5, (p % SIDE) as f64 - 3.5);
        let size = (-(x * x + y * y) / 8.0).exp();
        [
            0.2 * size * x,
            0.2 * size * y,
            0.25 * size,
            -0.25 * size,
            0.0,
        ][n]
    });
    let z = grey.mapv(|x| x * 3.0_f64.sqrt());
    let z = z.into_shape_with_order((images + 60, SIDE * SIDE)).unwrap();
    let drive = z.dot(&filters.t());
    let mut trials = Vec::new();
    for image in 0..images + 60 {
        let (tier, repeats) = match image {
            i if i >= images => (Tier::Test, 4),
            i if i % 10 == 0 => (Tier::Validation, 1),
            // Some are shown twice.
            i => (Tier::Train, 1 + usize::from(i % 7 == 0)),
        };
        trials.extend(vec![Trial { image, tier }; repeats]);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let responses = Array2::from_shape_fn((trials.len(), 5), |(t, n)| {
        let rate = 2.0 * drive[[trials[t].image, n]].exp();
        match rng.random_range(0..20) {
            0 => f32::NAN,
            _ => Poisson::new(rate).unwrap().sample(&mut rng) as f32,
        }
    });
    let recording = Recording {
        name: "known".into(),
        images: grey.mapv(|x| (100.0 + 40.0 * x) as f32),
        responses,
        trials,
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    (recording, filters)
}

fn folder(images: usize) -> (tempfile::TempDir, Array2<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let (recording, filters) = recording(images);
    recording.write(&folder.path().join("rec")).unwrap();
    (folder, filters)
}

fn results(out: &Path) -> (Table, Array3<f32>) {
    let table = Table::read_csv(&out.join("glm.csv")).unwrap();
    let (weights, dtype) = npy::read(&out.join("glm_weights.npy")).unwrap();
    assert_eq!(dtype, "float32");
    (table, weights.into_dimensionality::<Ix3>().unwrap())
}

#[test]
fn linear_exponential_neurons_get_their_filters_back() {
    let (f, filters) = folder(1500);
    let text = striate(f.path(), "glm rec --out a/b --penalties 8 --json").ok();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["neurons"], 5);
    assert_eq!(summary["unconverged"].as_array().unwrap().len(), 0);
    let (table, weights) = results(&f.path().join("a/b"));
    let names: Vec<&str> = table.names().collect();
    let wanted = [
        "neuron",
        "penalty",
        "intercept",
        "test_correlation",
        "converged",
        "recording_hash",
        "model_hash",
        "array_hash",
        "made_with",
    ];
    assert_eq!(names, wanted);
    assert_eq!(weights.dim(), (5, SIDE, SIDE));
    let neurons = table.column("neuron").unwrap().as_integers();
    assert_eq!(neurons, Some((0..5).collect()));
    assert_eq!(
        table.column("converged"),
        Some(&Column::Text(vec!["true".into(); 5]))
    );
    let (penalties, correlations) = (
        table.numbers("penalty").unwrap(),
        table.numbers("test_correlation").unwrap(),
    );
    for n in 0..4 {
        let found: Vec<f64> = weights
            .index_axis(Axis(0), n)
            .iter()
            .map(|w| f64::from(*w))
            .collect();
        let r = pearson(&found, &filters.row(n).to_vec());
        assert!(r > 0.93, "neuron {n}: weights correlate {r} with the truth");
        assert!(correlations[n] > 0.85, "neuron {n}: {}", correlations[n]);
        // The neuron that ignores the images is shrunk the most.
        assert!(penalties[n] < 1.0 && penalties[4] > 2.0, "{penalties:?}");
    }
    assert!(correlations[4].abs() < 0.4);

    // A choice of neurons gives the same, whatever else is in the batch.
    striate(f.path(), "glm rec --out some --penalties 8 --neurons 2,0-1").ok();
    let (some, some_weights) = results(&f.path().join("some"));
    let chosen = table.select(&[2, 0, 1]);
    for name in ["neuron", "penalty", "converged"] {
        assert_eq!(some.column(name), chosen.column(name));
    }
    let off = &some_weights - &weights.select(Axis(0), &[2, 0, 1]);
    assert!(off.iter().all(|d| d.abs() <= 1e-6));
    // The same bits for any number of threads.
    for threads in ["1", "3"] {
        let mut alone = command(f.path(), "glm rec --out threads --penalties 8");
        let done: Done = alone
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap()
            .into();
        done.ok();
        for file in ["glm.csv", "glm_weights.npy"] {
            let read = |out: &str| fs::read(f.path().join(out).join(file)).unwrap();
            assert_eq!(read("threads"), read("a/b"), "{file}");
        }
    }
    // Other folds are others.
    striate(
        f.path(),
        "glm rec --out seeded --penalties 8 --seed 9 --folds 3",
    )
    .ok();
    assert_eq!(results(&f.path().join("seeded")).0.rows(), 5);
}

#[test]
fn the_command_agrees_with_scikit_learn() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/glm");
    let f = tempfile::tempdir().unwrap();
    copy(&fixture.join("recording"), &f.path().join("rec"));
    striate(f.path(), "glm rec --out out --penalties 3").ok();
    let (table, weights) = results(&f.path().join("out"));
    let read = |name: &str| npy::read(&fixture.join(name)).unwrap().0;
    let wanted = read("weights.npy").into_dimensionality::<Ix4>().unwrap();
    let intercepts = read("intercepts.npy");
    let grid = [5.0, 0.5_f64.sqrt(), 0.1];
    for n in 0..5 {
        let penalty = table.numbers("penalty").unwrap()[n];
        let at = grid
            .iter()
            .position(|p| (p - penalty).abs() < 1e-6)
            .unwrap();
        let wanted = wanted.index_axis(Axis(0), n);
        for (a, b) in weights
            .index_axis(Axis(0), n)
            .iter()
            .zip(wanted.index_axis(Axis(0), at))
        {
            assert!((a - b).abs() <= 1e-5, "neuron {n}: {a} {b}");
        }
        let b = table.numbers("intercept").unwrap()[n];
        assert!((b - f64::from(intercepts[[n, at]])).abs() <= 1e-5);
    }
}

#[test]
fn a_silent_and_a_constant_neuron_are_left_out_and_named() {
    let f = tempfile::tempdir().unwrap();
    let (mut silent, _) = recording(100);
    silent.responses.column_mut(3).fill(0.0);
    silent.responses.column_mut(1).fill(5.0);
    silent.write(&f.path().join("rec")).unwrap();
    let done = striate(f.path(), "glm rec --out out --penalties 3");
    assert_eq!(done.code, 0, "{}", done.err);
    let told = done.err.lines().filter(|l| l.contains("not fitted"));
    assert_eq!(told.count(), 1, "{}", done.err);
    assert!(done.err.contains("2 of 5 neurons are not fitted") && done.err.contains(": 1, 3"));
    let csv = fs::read_to_string(f.path().join("out/glm.csv")).unwrap();
    let begins = |row: usize, text| csv.lines().nth(row).unwrap().starts_with(text);
    assert!(begins(2, "1,,,,false,"), "{csv}");
    assert!(begins(4, "3,,,,false,"), "{csv}");
    let alone = striate(f.path(), "glm rec --out alone --neurons 1,3").ok();
    assert!(alone.contains("2 not fitted"), "{alone}");
}

#[test]
fn a_fit_that_fails_is_what_the_exit_code_tells() {
    let f = tempfile::tempdir().unwrap();
    let (mut r, _) = recording(100);
    r.responses.column_mut(3).fill(0.0);
    r.responses.column_mut(2).fill(0.0);
    // Silent on all images but one, whose fold is held out once.
    r.responses[[7, 2]] = 1.0;
    r.write(&f.path().join("rec")).unwrap();
    let done = striate(f.path(), "glm rec --out out --penalties 3");
    assert_eq!(done.code, 1, "{}", done.err);
    for part in ["2 of 5 neurons are unconverged: 2, 3", "not fitted"] {
        assert!(done.err.contains(part), "{}", done.err);
    }
}

#[test]
fn one_test_image_has_no_correlation() {
    let f = tempfile::tempdir().unwrap();
    let (mut r, _) = recording(40);
    for trial in r
        .trials
        .iter_mut()
        .filter(|t| t.tier == Tier::Test && t.image > 40)
    {
        trial.tier = Tier::Train;
    }
    r.write(&f.path().join("rec")).unwrap();
    striate(f.path(), "glm rec --out out --penalties 2").ok();
    let (table, _) = results(&f.path().join("out"));
    let found = table.numbers("test_correlation");
    assert!(found.is_none_or(|all| all.iter().all(|r| r.is_nan())));
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let (f, _) = folder(40);
    let (mut untrained, _) = recording(40);
    for trial in &mut untrained.trials {
        if trial.tier == Tier::Train {
            trial.tier = Tier::Validation;
        }
    }
    let written = untrained.write(&f.path().join("untrained"));
    let before = everything(f.path());
    let cases = [
        (
            "glm rec --out out --folds 1",
            "--folds: the number is 1, wanted at least 2",
        ),
        (
            "glm rec --out out --folds 41",
            "images is 40, wanted at least one",
        ),
        (
            "glm rec --out out --penalties 0",
            "--penalties: the number is 0",
        ),
        ("glm rec --out out --neurons 3-5", "--neurons"),
        ("glm rec --out out --neurons x", "--neurons"),
        ("glm nowhere --out out", "nowhere"),
        ("glm rec --out rec/trials.csv/out", "rec/trials.csv"),
        ("glm rec", "--out"),
    ];
    for (line, part) in cases {
        let Done { code, err, .. } = striate(f.path(), line);
        let last = err.lines().last().unwrap_or_default();
        assert_eq!(code, 2, "{line}: {err}");
        assert!(last.contains(part), "{line}: {err}");
        assert_eq!(everything(f.path()), before, "{line}");
    }
    match written {
        Ok(()) => assert_eq!(striate(f.path(), "glm untrained --out out").code, 2),
        // The format asks for training trials itself.
        Err(e) => assert!(e.to_string().contains("train"), "{e}"),
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_nothing_behind() {
    let f = tempfile::tempdir().unwrap();
    let (h, w) = (24, 24);
    let mut large = small::sized("large", 13, (h, w), 4);
    // Many images make each iteration slow, and many folds are never done before the signal.
    let grey = noise(3000 * h * w, 5);
    large.images = Array3::from_shape_vec((3000, h, w), grey)
        .unwrap()
        .mapv(|x| x as f32);
    large.trials = (0..3000)
        .map(|image| Trial {
            image,
            tier: if image < 2900 {
                Tier::Train
            } else {
                Tier::Test
            },
        })
        .collect();
    let responses = noise(3000 * 13, 6);
    large.responses = Array2::from_shape_vec((3000, 13), responses)
        .unwrap()
        .mapv(|x| x.abs() as f32);
    large.write(&f.path().join("rec")).unwrap();
    let before = everything(f.path());
    let mut child = command(f.path(), "glm rec --out out --folds 500")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    small::signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(everything(f.path()), before);
}
