//! What is said before it hurts, what is left empty, and which answers are bad.

use super::small::{self, config, folder, recording, striate};
use super::{SHORT, edit, trained};
use ndarray::Axis;
use std::fs;
use std::path::Path;
use striate::npy;
use striate::recording::{Recording, Tier};

/// Of the file, the cells of neuron `n`.
fn cells(file: &Path, n: usize) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines().skip(1).map(|l| l.split(','));
    let own = lines.find(|l| l.clone().next() == Some(&n.to_string()));
    own.unwrap().map(str::to_string).collect()
}

fn oracle(json: &str, of: &str) -> f64 {
    let facts: serde_json::Value = serde_json::from_str(json).unwrap();
    let at = facts.pointer(of).and_then(serde_json::Value::as_f64);
    at.unwrap_or(f64::NAN)
}

/// The recording with a baseline, negative responses, a cell in another unit, and a test image from the training tier.
fn awkward() -> Recording {
    let mut r = recording("rec", 5, 1);
    r.responses.column_mut(0).mapv_inplace(|v| v + 1000.0);
    r.responses.column_mut(1).mapv_inplace(|v| v - 2.0);
    let first = r.images.index_axis(Axis(0), 0).to_owned();
    r.images.index_axis_mut(Axis(0), 57).assign(&first);
    r
}

#[test]
fn what_hurts_is_said_before_the_work() {
    let f = folder(SHORT);
    fs::remove_dir_all(f.path().join("rec")).unwrap();
    let mut r = awkward();
    r.write(&f.path().join("rec")).unwrap();
    let fit = striate(f.path(), "train c.toml --out run");
    assert_eq!(fit.code, 0, "{}", fit.err);
    let glm = striate(f.path(), "glm rec --out glm --penalties 2 --folds 2");
    let inspected = striate(f.path(), "inspect rec").ok();
    for told in [&fit.err, &glm.err, &inspected] {
        for part in [
            "1 neurons have a high baseline",
            "1 neurons have negative",
            "leak: 1 pairs",
        ] {
            let of = told
                .lines()
                .filter(|l| l.contains("warning") && l.contains(part));
            assert_eq!(of.count(), 1, "{part}: {told}");
        }
        assert!(!told.contains("keep their unit"), "{told}");
    }
    let scored = striate(f.path(), "evaluate run");
    for part in ["negative responses", "leak: 1 pairs"] {
        assert!(scored.err.contains(part), "{part}: {}", scored.err);
    }
    // One ceiling, whoever is asked: that of rectified responses.
    let before = oracle(
        &striate(f.path(), "inspect rec --json").ok(),
        "/ceiling/oracle_correlation",
    );
    let after = oracle(
        &striate(f.path(), "evaluate run --json").ok(),
        "/oracle_correlation",
    );
    assert!((before - after).abs() <= 1e-6, "{before} {after}");

    r.responses.column_mut(2).mapv_inplace(|v| v * 1e6);
    r.write(&f.path().join("unit")).unwrap();
    let line = "train c.toml --out other --set recordings=[\"unit\"]";
    for told in [
        striate(f.path(), "inspect unit").ok(),
        striate(f.path(), line).err,
    ] {
        assert!(told.contains("4 neurons keep their unit"), "{told}");
    }
}

#[test]
fn a_sound_recording_passes_without_a_word() {
    let f = folder(SHORT);
    let fit = striate(
        f.path(),
        "train c.toml --out run --set training.max_steps=40",
    );
    let scored = striate(f.path(), "evaluate run");
    assert!(!(fit.err + &scored.err).contains("warning"));
}

#[test]
fn another_grey_scale_is_told() {
    let f = trained();
    let mut r = recording("dark", 5, 2);
    r.images.mapv_inplace(|v| v / 255.0);
    npy::write(&f.path().join("x.npy"), r.images.view()).unwrap();
    r.write(&f.path().join("dark")).unwrap();
    fs::write(
        f.path().join("both.toml"),
        config("[\"rec\", \"dark\"]", SHORT),
    )
    .unwrap();
    for line in [
        "predict run --images x.npy --out y.npy",
        "evaluate run --recording dark",
        "compare-tuning run --recording dark",
        "train both.toml --out both",
    ] {
        let done = striate(f.path(), line);
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        let told = done
            .err
            .lines()
            .filter(|l| l.starts_with("warning:") && l.contains("grey"));
        assert_eq!(told.count(), 1, "{line}: {}", done.err);
    }
    npy::write(
        &f.path().join("x.npy"),
        recording("rec", 5, 3).images.view(),
    )
    .unwrap();
    let done = striate(f.path(), "predict run --images x.npy --out z.npy");
    assert!(!done.err.contains("grey"), "{}", done.err);
}

#[test]
fn a_fit_that_learnt_nothing_is_a_bad_answer() {
    let f = folder("learning_rate = 1.0\nvalidate_every = 5\nmax_steps = 60\npatience = 2");
    let done = striate(f.path(), "train c.toml --out dead");
    assert_eq!(done.code, 1, "{}", done.out);
    assert!(done.out.contains("learning_rate"), "{}", done.out);
    // A fit that has only begun may yet learn.
    let begun = "--set training.learning_rate=1e-9 --set training.max_steps=5";
    let done = striate(f.path(), &format!("train c.toml --out begun {begun}"));
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("warning: no better than"), "{}", done.err);
    let ended = "--set training.learning_rate=1e-9 --set training.patience=1 --set training.phases=1 \
                 --set training.decay=1e9 --set training.max_steps=400";
    let done = striate(f.path(), &format!("train c.toml --out ended {ended}"));
    assert_eq!(
        done.code,
        i32::from(done.out.contains("converged")),
        "{}",
        done.out
    );
}

#[test]
fn normalisation_over_one_value_is_refused() {
    let f = tempfile::tempdir().unwrap();
    small::sized("rec", 3, (7, 7), 1)
        .write(&f.path().join("rec"))
        .unwrap();
    fs::write(f.path().join("c.toml"), config("[\"rec\"]", SHORT)).unwrap();
    let line = "train c.toml --out run --set core.padding=valid --set training.batch_size";
    let done = striate(f.path(), &format!("{line}=1"));
    assert_eq!(done.code, 2, "{}", done.err);
    for part in ["training.batch_size is 1", "1 x 1", "one value"] {
        assert!(done.err.contains(part), "{}", done.err);
    }
    assert!(!f.path().join("run").exists());
    assert_eq!(striate(f.path(), &format!("{line}=2")).code, 0);
}

#[test]
fn neurons_with_nothing_to_answer_with_have_no_optimum() {
    let f = trained();
    let run = f.path().join("run");
    edit(&run.join("model.safetensors"), |t| {
        let mut empty = |what: &str, n: usize| {
            let (shape, values) = t.tensors.get_mut(&format!("readout.rec.{what}")).unwrap();
            let each = shape[1..].iter().product::<usize>();
            values[n * each..(n + 1) * each].fill(0.0);
        };
        empty("mask", 1);
        empty("features", 3);
    });
    let grid = "--sizes 5,8 --cycles 1 --contrasts 1 --orientations 2 --phases 2";
    let dogs = "--sigmas 2 --ratios 2 --contrasts 1,-1 --surround-contrasts 0,1";
    for (line, file) in [
        (format!("gabors run {grid}"), "gabors.csv"),
        (format!("dogs run {dogs}"), "dogs.csv"),
        ("meis run --starts 2 --steps 20".into(), "meis.csv"),
        (
            "synthesize run --percentiles 50 --steps 20".into(),
            "synthesized.csv",
        ),
        ("tune run".into(), "tuning.csv"),
    ] {
        let done = striate(f.path(), &line);
        assert!(done.code < 2, "{line}: {}", done.err);
        assert_eq!(
            done.err.contains("1, 3"),
            file != "tuning.csv",
            "{line}: {}",
            done.err
        );
        for n in 0..5 {
            let row = cells(&run.join(file), n);
            let row: Vec<String> = row
                .into_iter()
                .take_while(|c| !c.starts_with("sha256:"))
                .collect();
            let filled = row.iter().skip(1).filter(|c| !c.is_empty()).count();
            let flat = [1, 3].contains(&n);
            match file {
                // Steps and convergence are counted all the same; a percentile and its target are measured.
                "meis.csv" if flat => {
                    assert_eq!((&row[1][..], &row[2][..], &row[4][..]), ("", "", "false"))
                }
                "synthesized.csv" if flat => assert_eq!((&row[3][..], &row[4][..]), ("", "false")),
                _ if flat => assert_eq!(filled, 0, "{file}: {row:?}"),
                _ => assert!(filled > 0, "{file}: {row:?}"),
            }
        }
    }
    for file in ["meis.npy", "synthesized.npy"] {
        let (images, _) = npy::read(&run.join(file)).unwrap();
        for n in 0..5 {
            let blank = images.index_axis(Axis(0), n).iter().all(|v| *v == 0.0);
            assert_eq!(blank, [1, 3].contains(&n), "{file} {n}");
        }
    }
    let told = striate(f.path(), &format!("select-gabors run {grid}")).ok();
    assert!(told.contains("of 3 neurons"), "{told}");
}

#[test]
fn one_test_image_correlates_with_nothing() {
    let f = trained();
    let mut r = recording("one", 5, 1);
    for trial in r
        .trials
        .iter_mut()
        .filter(|t| t.tier == Tier::Test && t.image != 57)
    {
        trial.tier = Tier::Train;
    }
    for trial in r
        .trials
        .iter_mut()
        .filter(|t| t.tier == Tier::Validation && t.image != 40)
    {
        trial.tier = Tier::Train;
    }
    r.write(&f.path().join("one")).unwrap();
    striate(f.path(), "evaluate run --recording one").ok();
    assert_eq!(
        cells(&f.path().join("run/evaluation.csv"), 2)[1..3],
        ["", ""]
    );
    striate(
        f.path(),
        "train c.toml --out other --set recordings=[\"one\"]",
    )
    .ok();
    let history = fs::read_to_string(f.path().join("other/history.csv")).unwrap();
    let row: Vec<&str> = history.lines().nth(1).unwrap().split(',').collect();
    assert!(!row[4].is_empty() && row[5].is_empty(), "{history}");
}
