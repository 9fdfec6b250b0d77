//! `meis` and `synthesize`: their files, and what they refuse.

use super::common::relative;
use super::small::{self, command, copy, everything, recording, striate};
use super::{edit, trained, trained_on_two};
use ndarray::{Array3, Ix3};
use std::fs;
use std::path::Path;
use striate::device::Device;
use striate::model::Model;
use striate::npy;
use striate::table::Table;

fn images(file: &Path) -> Array3<f32> {
    let (images, _) = npy::read(file).unwrap();
    images.into_dimensionality::<Ix3>().unwrap()
}

fn numbers(file: &Path, column: &str) -> Vec<f64> {
    let table = Table::read_csv(file).unwrap();
    table.numbers(column).unwrap().to_vec()
}

fn header(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().next().unwrap().to_string()
}

/// Responses of a run to z-scored images, one neuron each.
fn predicted(run: &Path, neurons: &[f64], z: &Array3<f32>) -> Vec<f64> {
    let mut model = Model::open(run, &Device::Cpu).unwrap();
    let p = model.preprocessing;
    let grey = z * p.image_sd + p.image_mean;
    let responses = model.predict(0, grey.view()).unwrap();
    let pairs = neurons.iter().enumerate();
    pairs
        .map(|(i, &n)| f64::from(responses[(i, n as usize)]))
        .collect()
}

#[test]
fn meis_writes_images_and_their_responses() {
    let f = trained();
    let (run, line) = (f.path().join("run"), "meis run --steps 40 --starts 2");
    let out = striate(
        f.path(),
        &format!("{line} --neurons 3,0-1 --all-starts --norm 5"),
    )
    .ok();
    assert!(out.contains("3 neurons, 2 starts each"), "{out}");
    let table = run.join("meis.csv");
    assert_eq!(
        header(&table),
        "neuron,response,norm,steps,converged,model_hash,array_hash,made_with"
    );
    let neurons = numbers(&table, "neuron");
    assert_eq!(neurons, [3.0, 0.0, 1.0]);
    assert!(
        numbers(&table, "norm")
            .iter()
            .all(|n| (n - 5.0).abs() <= 1e-4)
    );
    assert_eq!(numbers(&table, "steps"), [40.0; 3]);
    let found = images(&run.join("meis.npy"));
    assert_eq!(found.dim(), (3, 12, 16));
    let error = relative(
        &numbers(&table, "response"),
        &predicted(&run, &neurons, &found),
    );
    assert!(error <= 1e-4, "{error:e}");
    let (all, _) = npy::read(&run.join("meis_all.npy")).unwrap();
    assert_eq!(all.shape(), [3, 2, 12, 16]);

    // The same again, and of one neuron alone.
    let before = fs::read(run.join("meis.npy")).unwrap();
    striate(f.path(), &format!("{line} --neurons 3,0-1 --norm 5")).ok();
    assert_eq!(fs::read(run.join("meis.npy")).unwrap(), before);
    let alone = |line: &str| {
        striate(f.path(), &format!("{line} --out alone")).ok();
        let images = images(&f.path().join("alone/meis.npy"));
        fs::remove_dir_all(f.path().join("alone")).unwrap();
        images
    };
    let first = alone(&format!("{line} --neurons 0 --norm 5"));
    assert_eq!(
        first.index_axis(ndarray::Axis(0), 0),
        found.index_axis(ndarray::Axis(0), 1)
    );
    let other = alone(&format!("{line} --neurons 0 --norm 5 --seed 2"));
    assert_ne!(other, first);

    let z = alone(&format!("{line} --neurons 2 --recipe walker"));
    let p = Model::open(&run, &Device::Cpu).unwrap().preprocessing;
    let grey = z * p.image_sd + p.image_mean;
    assert!(grey.iter().all(|g| (-0.01..=255.01).contains(g)));
    assert!(grey.mean().is_some_and(|m| (100.0..150.0).contains(&m)));
}

#[test]
fn meis_of_several_runs_report_the_mean_response() {
    let f = trained();
    copy(&f.path().join("run"), &f.path().join("other"));
    edit(&f.path().join("other/model.safetensors"), |t| {
        let bias = t.tensors.get_mut("readout.rec.bias").unwrap();
        bias.1.iter_mut().for_each(|b| *b += 1.0);
    });
    let line = "meis run --with other --steps 20 --starts 1 --json";
    let facts: serde_json::Value = serde_json::from_str(&striate(f.path(), line).ok()).unwrap();
    assert_eq!(facts["out_of_steps"], 5);
    let table = f.path().join("run/meis.csv");
    let found = images(&f.path().join("run/meis.npy"));
    let neurons = numbers(&table, "neuron");
    let one = predicted(&f.path().join("run"), &neurons, &found);
    let other = predicted(&f.path().join("other"), &neurons, &found);
    let means: Vec<f64> = one.iter().zip(&other).map(|(a, b)| 0.5 * (a + b)).collect();
    let error = relative(&numbers(&table, "response"), &means);
    assert!(error <= 1e-4, "{error:e}");
    assert!(!f.path().join("other/meis.npy").exists());
}

#[test]
fn synthesize_writes_images_of_the_wanted_responses() {
    let f = trained();
    let run = f.path().join("run");
    let out = striate(f.path(), "synthesize run --neurons 4,1 --percentiles 30,70").ok();
    assert!(out.contains("4 images for 2 neurons"), "{out}");
    let table = run.join("synthesized.csv");
    assert_eq!(
        header(&table),
        "neuron,percentile,target,response,converged,model_hash,array_hash,made_with"
    );
    let neurons = numbers(&table, "neuron");
    assert_eq!(neurons, [4.0, 4.0, 1.0, 1.0]);
    assert_eq!(numbers(&table, "percentile"), [30.0, 70.0, 30.0, 70.0]);
    let found = images(&run.join("synthesized.npy"));
    assert_eq!(found.dim(), (4, 12, 16));
    let (targets, responses) = (numbers(&table, "target"), numbers(&table, "response"));
    let error = relative(&responses, &predicted(&run, &neurons, &found));
    assert!(error <= 1e-4, "{error:e}");
    for (target, response) in targets.iter().zip(&responses) {
        assert!(
            (response - target).abs() <= 1e-3 * target,
            "{response} {target}"
        );
    }
    // What NumPy calls the percentile of the training responses.
    let recording = recording("rec", 5, 1);
    let mut known: Vec<f64> = (0..40)
        .map(|t| f64::from(recording.responses[(t, 4)]))
        .filter(|r| !r.is_nan())
        .collect();
    known.sort_by(f64::total_cmp);
    let place = 0.3 * (known.len() - 1) as f64;
    let (below, share) = (place as usize, place.fract());
    let wanted = known[below] + share * (known[below + 1] - known[below]);
    assert!((targets[0] - wanted).abs() <= 1e-6 * wanted);

    // Four percentiles of every neuron.
    striate(f.path(), "synthesize run").ok();
    assert_eq!(
        numbers(&table, "percentile")[..5],
        [20.0, 40.0, 60.0, 80.0, 20.0]
    );
    assert_eq!(images(&run.join("synthesized.npy")).dim(), (20, 12, 16));
}

#[test]
fn one_of_several_readouts_is_asked_by_name() {
    let f = trained_on_two();
    let line = "meis run --steps 5 --starts 1 --readout rec";
    striate(f.path(), line).ok();
    assert_eq!(images(&f.path().join("run/meis.npy")).dim(), (5, 12, 16));
    let done = striate(f.path(), "meis run --steps 5 --starts 1");
    assert!(
        done.code == 2 && done.err.contains("--readout"),
        "{}",
        done.err
    );
    striate(f.path(), "synthesize run --readout rec --neurons 2").ok();
    assert_eq!(
        images(&f.path().join("run/synthesized.npy")).dim(),
        (4, 12, 16)
    );
}

#[test]
fn what_cannot_work_is_refused_in_one_line() {
    let f = trained();
    copy(&f.path().join("run"), &f.path().join("renamed"));
    edit(&f.path().join("renamed/model.safetensors"), |t| {
        let own: Vec<String> = t
            .tensors
            .keys()
            .filter(|k| k.contains(".rec."))
            .cloned()
            .collect();
        for name in own {
            let tensor = t.tensors.remove(&name).unwrap();
            t.tensors.insert(name.replace(".rec.", ".b."), tensor);
        }
    });
    small::recording("three", 3, 1)
        .write(&f.path().join("three"))
        .unwrap();
    let g = small::folder(super::SHORT);
    recording("rec", 4, 1)
        .write(&g.path().join("rec4"))
        .unwrap();
    fs::remove_dir_all(g.path().join("rec")).unwrap();
    fs::rename(g.path().join("rec4"), g.path().join("rec")).unwrap();
    striate(g.path(), "train c.toml --out run").ok();
    copy(&g.path().join("run"), &f.path().join("fewer"));
    let before = everything(f.path());
    for (line, parts) in [
        ("meis run --norm 0", &["--norm", "0"][..]),
        ("meis run --norm -3", &["--norm", "-3"]),
        ("meis run --norm nan", &["--norm", "NaN"]),
        ("meis run --starts 0", &["--starts", "0"]),
        ("meis run --steps 0", &["--steps", "0"]),
        ("meis run --smoothness -1", &["--smoothness", "-1"]),
        ("meis run --recipe other", &["--recipe", "other"]),
        (
            "meis run --recipe walker --norm 3",
            &["--recipe walker", "3"],
        ),
        ("meis run --readout other", &["--readout", "other", "rec"]),
        ("meis run --neurons 5", &["--neurons", "0 to 4"]),
        ("meis gone", &["gone", "does not exist"]),
        ("meis run --with gone", &["gone", "does not exist"]),
        ("meis run --with renamed", &["renamed", "b", "rec"]),
        (
            "meis run --with fewer",
            &["fewer", "4 neurons", "5 neurons"],
        ),
        (
            "synthesize run --percentiles 101",
            &["--percentiles", "101"],
        ),
        (
            "synthesize run --percentiles -1,50",
            &["--percentiles", "-1"],
        ),
        ("synthesize run --percentiles x", &["--percentiles", "x"]),
        ("synthesize run --steps 0", &["--steps", "0"]),
        ("synthesize run --recording three", &["three", "3", "5"]),
        ("synthesize run --recording gone", &["gone"]),
        ("synthesize run --readout other", &["--readout", "other"]),
    ] {
        let done = striate(f.path(), line);
        let told = parts.iter().all(|p| done.err.contains(p));
        assert!(done.code == 2 && told, "{line}: {} {}", done.code, done.err);
        assert!(everything(f.path()) == before, "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_nothing_behind() {
    let f = trained();
    let before = everything(f.path());
    let mut child = command(f.path(), "meis run --starts 1000 --steps 100000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    small::signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(everything(f.path()) == before);
}
