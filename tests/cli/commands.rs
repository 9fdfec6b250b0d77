//! What each command prints and writes.

use super::small::{config, everything, recording, striate};
use super::{SHORT, trained, trained_on_two};
use ndarray::{Array2, Axis, Ix2, s};
use std::fs;
use striate::device::Device;
use striate::model::{Config, Model};
use striate::npy;
use striate::recording::{Recording, Tier};

/// What says where the rows come from.
const ORIGIN: &str = "recording_hash,model_hash,made_with";

const SCORES: &str = "neuron,correlation_to_average,single_trial_correlation,oracle_correlation,fraction_oracle,maximum_correlation,fev,feve,\
    single_trial_fev,cc_abs,cc_max,cc_norm,fve,r_max,image_selectivity,\
    mask_blobs,mask_mass_in_radius,mask_at_border";

fn predictions(file: &std::path::Path) -> Array2<f32> {
    npy::read(file)
        .unwrap()
        .0
        .into_dimensionality::<Ix2>()
        .unwrap()
}

#[test]
fn predict_writes_what_the_model_says() {
    let f = trained();
    let images = recording("rec", 5, 3).images;
    npy::write(&f.path().join("x.npy"), images.view()).unwrap();
    striate(f.path(), "predict run --images x.npy --out y.npy").ok();
    striate(
        f.path(),
        "predict run --images x.npy --out z.npy --neurons 0-2,4",
    )
    .ok();
    let mut model = Model::open(&f.path().join("run"), &Device::Cpu).unwrap();
    let wanted = model.predict(0, images.view()).unwrap();
    assert_eq!(predictions(&f.path().join("y.npy")), wanted);
    assert_eq!(
        predictions(&f.path().join("z.npy")),
        wanted.select(Axis(1), &[0, 1, 2, 4])
    );
    npy::write(&f.path().join("none.npy"), images.slice(s![..0, .., ..])).unwrap();
    striate(f.path(), "predict run --images none.npy --out none-out.npy").ok();
    assert_eq!(predictions(&f.path().join("none-out.npy")).dim(), (0, 5));
}

#[test]
fn evaluate_writes_the_scores_and_carries_neurons_csv() {
    let f = trained();
    striate(f.path(), "evaluate run").ok();
    let table = || fs::read_to_string(f.path().join("run/evaluation.csv")).unwrap();
    assert_eq!(
        table().lines().next().unwrap(),
        format!("{SCORES},layer,{ORIGIN}")
    );
    assert_eq!(table().lines().count(), 6);
    let whole = table();
    striate(f.path(), "evaluate run --neurons 3").ok();
    assert_eq!(table(), whole);
    striate(f.path(), "evaluate run --neurons 3 --out alone").ok();
    let alone = fs::read_to_string(f.path().join("alone/evaluation.csv")).unwrap();
    assert_eq!(alone.lines().nth(1), whole.lines().nth(4));
    let other = recording("another-day", 5, 8);
    other.write(&f.path().join("day2")).unwrap();
    striate(f.path(), "evaluate run --recording day2").ok();
    assert_ne!(table(), whole);
    assert!(!f.path().join("day2/evaluation.csv").exists());
}

#[test]
fn several_recordings_are_told_apart() {
    let f = trained_on_two();
    striate(f.path(), "evaluate run").ok();
    let table = || fs::read_to_string(f.path().join("run/evaluation.csv")).unwrap();
    assert_eq!(
        table().lines().next().unwrap(),
        format!("recording,{SCORES},layer,{ORIGIN}")
    );
    let first: Vec<String> = table()
        .lines()
        .skip(1)
        .map(|l| l.split(',').take(2).collect::<Vec<_>>().join(":"))
        .collect();
    assert_eq!(
        first,
        [
            "rec:0", "rec:1", "rec:2", "rec:3", "rec:4", "a.b c:0", "a.b c:1", "a.b c:2"
        ]
    );
    let both = table();
    let mut one = super::small::command(f.path(), "evaluate run --out alone --readout");
    assert!(one.arg("a.b c").output().unwrap().status.success());
    let alone = fs::read_to_string(f.path().join("alone/evaluation.csv")).unwrap();
    let rows: Vec<String> = alone.lines().skip(1).map(str::to_string).collect();
    assert_eq!(
        rows,
        both.lines().skip(6).map(str::to_string).collect::<Vec<_>>()
    );
    let images = Recording::open(&f.path().join("other")).unwrap().images;
    npy::write(&f.path().join("x.npy"), images.view()).unwrap();
    let refused = striate(f.path(), "predict run --images x.npy --out y.npy");
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("--readout") && refused.err.contains("a.b c"),
        "{}",
        refused.err
    );
    let mut predicted =
        super::small::command(f.path(), "predict run --images x.npy --out y.npy --readout");
    assert!(predicted.arg("a.b c").output().unwrap().status.success());
    assert_eq!(predictions(&f.path().join("y.npy")).dim(), (58, 3));
}

#[test]
fn a_run_written_by_hand_works() {
    let f = trained();
    let hand = f.path().join("hand");
    fs::create_dir(&hand).unwrap();
    fs::copy(
        f.path().join("run/model.safetensors"),
        hand.join("model.safetensors"),
    )
    .unwrap();
    npy::write(
        &f.path().join("x.npy"),
        recording("rec", 5, 3).images.view(),
    )
    .unwrap();
    for recordings in ["[]", "[\"nowhere\"]"] {
        fs::write(hand.join("config.toml"), config(recordings, SHORT)).unwrap();
        striate(f.path(), "predict hand --images x.npy --out y.npy").ok();
        striate(f.path(), "verify-equivariance hand").ok();
        striate(f.path(), "inspect hand").ok();
        striate(f.path(), "evaluate hand --recording rec").ok();
        striate(f.path(), "evaluate run").ok();
        let read = |run: &str| fs::read(f.path().join(run).join("evaluation.csv")).unwrap();
        assert!(read("hand") == read("run"));
        let refused = striate(f.path(), "evaluate hand");
        assert_eq!(refused.code, 2, "{}", refused.err);
    }
}

#[test]
fn the_printed_configuration_is_the_default_and_trains() {
    let f = super::folder(SHORT);
    let text = striate(f.path(), "config").ok();
    assert_eq!(
        Config::parse(&text, "config", &[]).unwrap(),
        Config::default()
    );
    fs::write(f.path().join("d.toml"), text).unwrap();
    let smaller = "--set recordings=[\"rec\"] --set training.max_steps=1 --set training.batch_size=2 --set core.filter_sizes=[5,3,3] --set core.features=[1,1,1]";
    striate(f.path(), &format!("train d.toml --out run {smaller}")).ok();
}

#[test]
fn every_summary_is_json_where_asked() {
    let f = trained();
    npy::write(
        &f.path().join("x.npy"),
        recording("rec", 5, 3).images.view(),
    )
    .unwrap();
    for (line, fact) in [
        ("config", "text"),
        ("info", "version"),
        ("inspect rec", "neurons"),
        ("inspect run", "parameters"),
        ("train c.toml --out new", "best_validation_loss"),
        ("evaluate run", "correlation_to_average"),
        ("predict run --images x.npy --out y.npy", "images"),
        ("verify-equivariance run", "quarter_turn_error"),
        (
            "simulate --out sim --neurons 5 --train 20 --validation 4 --test 4 --repeats 2 --height 24 --width 24",
            "recording",
        ),
        ("import npy loose --out imported", "recording"),
        ("split rec --out divided --folds 4 --fold 1", "recording"),
        ("pool rec other --out pooled", "tiers"),
    ] {
        if line.starts_with("import") {
            loose(&f.path().join("loose"));
        }
        if line.starts_with("pool") {
            recording("other", 3, 1)
                .write(&f.path().join("other"))
                .unwrap();
        }
        let out = striate(f.path(), &format!("{line} --json")).ok();
        let facts: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(!facts[fact].is_null(), "{line}: {out}");
    }
}

fn loose(folder: &std::path::Path) {
    fs::create_dir(folder).unwrap();
    let r = recording("rec", 5, 1);
    let rows: Vec<usize> = (0..40).collect();
    npy::write(
        &folder.join("images.npy"),
        r.images.select(Axis(0), &rows).view(),
    )
    .unwrap();
    npy::write(
        &folder.join("responses.npy"),
        r.responses.select(Axis(0), &rows).view(),
    )
    .unwrap();
}

#[test]
fn loose_arrays_become_a_recording() {
    let f = super::folder(SHORT);
    loose(&f.path().join("loose"));
    striate(f.path(), "import npy loose --out imported --seed 3").ok();
    let r = Recording::open(&f.path().join("imported")).unwrap();
    assert_eq!((r.neuron_count(), r.trials.len()), (5, 40));
    assert_eq!(r.trials_of(Tier::Train).len(), 32);
}

#[test]
fn a_simulation_is_decided_by_its_seed() {
    let f = tempfile::tempdir().unwrap();
    let size = "--neurons 5 --train 20 --validation 4 --test 4 --repeats 2 --height 24 --width 24";
    for (out, seed) in [("a/sim", 3), ("b/sim", 3), ("c/sim", 4)] {
        striate(
            f.path(),
            &format!("simulate --out {out} --seed {seed} {size}"),
        )
        .ok();
    }
    let of =
        |run: &str| -> Vec<Vec<u8>> { everything(&f.path().join(run)).into_values().collect() };
    assert_eq!(of("a/sim").len(), 5);
    assert!(of("a") == of("b") && of("a") != of("c"));
    let truth = fs::read_to_string(f.path().join("a/sim/truth.csv")).unwrap();
    assert!(
        truth.starts_with("neuron,") && truth.lines().count() == 6,
        "{truth}"
    );
    Recording::open(&f.path().join("a/sim")).unwrap();
}

#[test]
fn inspect_tells_what_there_is() {
    let f = trained();
    let told = striate(f.path(), "inspect rec").ok();
    assert!(
        told.contains("40 trials of 40 images") && told.contains("12x16"),
        "{told}"
    );
    let told = striate(f.path(), "inspect run").ok();
    assert!(
        told.contains("readout rec: 5 neurons") && told.contains("best loss"),
        "{told}"
    );
}

#[test]
fn help_names_every_option() {
    let f = tempfile::tempdir().unwrap();
    for (line, options) in [
        (
            "",
            "demo simulate import inspect train evaluate predict verify-equivariance config info",
        ),
        ("demo", "--out"),
        (
            "simulate",
            "--out --neurons --train --validation --test --repeats --height --width --reliability --images",
        ),
        (
            "import",
            "npy sensorium minimodel mat stringer pvc8 suite2p experanto",
        ),
        (
            "import minimodel",
            "--images --out --crop --rescale --dry-run SOURCE",
        ),
        (
            "import sensorium",
            "--out --rescale --area --layer --dry-run SOURCE",
        ),
        (
            "import mat",
            "--images --responses --image-of-trial --tiers --image-axis --test --validation --out --dry-run SOURCE",
        ),
        (
            "import stringer",
            "--images --crop --rescale --test --validation --out --dry-run SOURCE",
        ),
        (
            "import pvc8",
            "--window --images --natural --test --validation --out --dry-run SOURCE",
        ),
        (
            "import suite2p",
            "--onsets --image-of-trial --images --window --signal --all --crop --rescale --test --out --dry-run FOLDER",
        ),
        (
            "import experanto",
            "--window --crop --rescale --out --dry-run SOURCE",
        ),
        ("split", "REC --out --test --validation --folds --fold"),
        ("pool", "REC --out --common"),
        ("import npy", "--out SOURCE"),
        ("inspect", "PATH"),
        ("train", "CONFIG --set --out --resume --init"),
        ("evaluate", "RUN --recording --readout --neurons"),
        ("predict", "RUN --images --out --readout --neurons"),
        ("verify-equivariance", "RUN"),
        ("config", ""),
        ("info", ""),
    ] {
        let help = striate(f.path(), &format!("{line} --help")).ok();
        for option in options
            .split_whitespace()
            .chain(["--device", "--seed", "--json"])
        {
            assert!(help.contains(option), "{line}: {option} is not in\n{help}");
        }
    }
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let folder = std::env::temp_dir();
    let done = super::small::command(&folder, "config")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
}
