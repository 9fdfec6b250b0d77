//! `consistency`: what several fits of the same neurons agree on.

use super::small::{self, config, folder, striate};
use std::fs;
use striate::table::Table;

const SHORT: &str = "learning_rate = 0.01\nvalidate_every = 2\nmax_steps = 4";

/// A folder with `a` and `b`, fits of `rec` from two seeds, each with its optimal Gabors.
fn two_fits() -> tempfile::TempDir {
    let f = folder(SHORT);
    for (run, seed) in [("a", 1), ("b", 2)] {
        let line = format!("train c.toml --out {run} --set training.seed={seed}");
        striate(f.path(), &line).ok();
        let grid = "--sizes 6 --cycles 1 --contrasts 1 --orientations 4 --phases 4 --no-refine";
        striate(f.path(), &format!("gabors {run} {grid}")).ok();
    }
    striate(f.path(), "tune a").ok();
    striate(f.path(), "tune b").ok();
    f
}

#[test]
fn a_fit_agrees_wholly_with_itself_and_less_with_another_seed() {
    let f = two_fits();
    let told = striate(f.path(), "consistency a a b --out c --clusters 2 --json").ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["fits"], 3);
    let table = Table::read_csv(&f.path().join("c/consistency.csv")).unwrap();
    let column = |name: &str| table.numbers(name).unwrap().to_vec();
    assert_eq!(table.text("run_a").unwrap(), ["a", "a", "a"]);
    assert_eq!(table.text("run_b").unwrap(), ["a", "b", "b"]);
    for name in ["ari", "knn_overlap", "cka", "prediction_correlation"] {
        let values = column(name);
        assert!((values[0] - 1.0).abs() < 1e-6, "{name}: {values:?}");
        assert!((values[1] - values[2]).abs() < 1e-9, "{name}: {values:?}");
    }
    assert!(column("prediction_correlation")[1] < 0.999);
    assert_eq!(column("orientation_index_nmae")[0], 0.0);
    assert!(column("orientation_index_nmae")[1] > 0.0);
    let cloud = Table::read_csv(&f.path().join("c/continuum.csv")).unwrap();
    assert_eq!(cloud.numbers("clusters").unwrap().to_vec(), [2.0]);
    assert!(told["verdict"].as_str().unwrap().len() > 10);
}

#[test]
fn the_ensemble_has_mean_and_spread_of_every_index_by_neuron() {
    let f = two_fits();
    striate(f.path(), "consistency a b --out c --clusters 2").ok();
    let ensemble = Table::read_csv(&f.path().join("c/ensemble.csv")).unwrap();
    let of = |run: &str, file: &str, name: &str| {
        let table = Table::read_csv(&f.path().join(run).join(file)).unwrap();
        table.numbers(name).unwrap().to_vec()
    };
    let column = |name: &str| ensemble.numbers(name).unwrap().to_vec();
    let (a, b) = (
        of("a", "tuning.csv", "phase_index"),
        of("b", "tuning.csv", "phase_index"),
    );
    for n in 0..5 {
        let (mean, sd) = (column("phase_index_mean")[n], column("phase_index_sd")[n]);
        assert!((mean - (a[n] + b[n]) / 2.0).abs() < 1e-6);
        assert!((sd - (a[n] - b[n]).abs() / 2.0f64.sqrt()).abs() < 1e-6);
    }
    let (a, b) = (
        of("a", "gabors.csv", "orientation"),
        of("b", "gabors.csv", "orientation"),
    );
    for n in 0..5 {
        let way = (a[n] - b[n]).abs();
        let way = way.min(std::f64::consts::PI - way);
        let sd = column("orientation_sd")[n];
        // Two at right angles have no mean.
        assert!(
            (sd - way / 2.0f64.sqrt()).abs() < 1e-5 || way > 1.5,
            "{way} {sd}"
        );
    }
    assert!(ensemble.numbers("correlation_to_average").is_some());
}

#[test]
fn fits_of_other_neurons_are_refused() {
    let f = two_fits();
    let other = small::recording("other", 4, 3);
    other.write(&f.path().join("other")).unwrap();
    fs::write(f.path().join("d.toml"), config("[\"other\"]", SHORT)).unwrap();
    striate(f.path(), "train d.toml --out d").ok();
    for (line, wanted) in [
        ("consistency a d --out c", "its readouts"),
        ("consistency a --out c", "RUN"),
        ("consistency a b --out c --clusters 9", "--clusters"),
        ("consistency a b --out c --clusters 1", "--clusters"),
        ("consistency a missing --out c", "missing"),
    ] {
        let done = striate(f.path(), line);
        assert!(
            done.code == 2 && done.err.contains(wanted),
            "{line}: {}",
            done.err
        );
        assert!(!f.path().join("c/consistency.csv").exists(), "{line}");
    }
}

#[test]
fn the_mean_of_several_fits_is_predicted_and_scored() {
    let f = two_fits();
    let images = "--images rec/images.npy --out";
    for line in [
        format!("predict a {images} a.npy"),
        format!("predict b {images} b.npy"),
        format!("predict a --with b {images} both.npy"),
    ] {
        striate(f.path(), &line).ok();
    }
    let read = |name: &str| striate::npy::read(&f.path().join(name)).unwrap().0;
    let (a, b, both) = (read("a.npy"), read("b.npy"), read("both.npy"));
    let mean = (&a + &b) / 2.0;
    assert!((&both - &mean).iter().all(|d| d.abs() < 1e-6));
    striate(f.path(), "evaluate a").ok();
    let own = fs::read(f.path().join("a/evaluation.csv")).unwrap();
    striate(f.path(), "evaluate a --with b").ok();
    assert_eq!(fs::read(f.path().join("a/evaluation.csv")).unwrap(), own);
    let scores = Table::read_csv(&f.path().join("a/evaluation_with.csv")).unwrap();
    striate(f.path(), "consistency a b --out c --clusters 2").ok();
    let ensemble = Table::read_csv(&f.path().join("c/ensemble.csv")).unwrap();
    let column = |table: &Table| table.numbers("correlation_to_average").unwrap().to_vec();
    for (one, other) in column(&scores).iter().zip(column(&ensemble)) {
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
}
