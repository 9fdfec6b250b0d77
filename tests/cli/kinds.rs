//! Cores without masks: Kindel et al.'s network and the linear model, through every command.

use super::edit;
use super::small::{assert_same_run, command, striate};
use ndarray::{Axis, Ix3};
use std::fs;
use std::path::Path;
use striate::model::checkpoint::Tensors;
use striate::npy;
use striate::table::Table;

const KINDEL: &str = "[core]\nkind = \"kindel\"\nfilter_sizes = [5]\nfeatures = [4]\ndense = 12\n";
const LINEAR: &str = "[core]\nkind = \"linear\"\n[penalties]\npixel_ridge = 0.01\n";

/// A folder with `rec` and `c.toml`.
fn folder(core: &str, training: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    super::small::recording("rec", 5, 1)
        .write(&folder.path().join("rec"))
        .unwrap();
    let text = format!("recordings = [\"rec\"]\n{core}[training]\nbatch_size = 16\n{training}\n");
    fs::write(folder.path().join("c.toml"), text).unwrap();
    folder
}

fn tensors(run: &Path) -> Tensors {
    Tensors::read(&run.join("model.safetensors")).unwrap()
}

#[test]
fn a_kindel_run_holds_the_tensors_as_named_and_resumes_bit_for_bit() {
    let f = folder(
        KINDEL,
        "validate_every = 2\nmax_steps = 5\nlearning_rate = 0.02",
    );
    let p = f.path();
    striate(p, "train c.toml --out run").ok();
    let shapes: Vec<(String, Vec<usize>)> = tensors(&p.join("run"))
        .tensors
        .into_iter()
        .map(|(name, (shape, _))| (name, shape))
        .collect();
    // 12 x 16, pooled by 3 at every second pixel: 5 x 7.
    let wanted: [(&str, &[usize]); 10] = [
        ("core.0.bias", &[4]),
        ("core.0.weights", &[4, 1, 5, 5]),
        ("core.dense.bias", &[12]),
        ("core.dense.weights", &[12, 4 * 5 * 7]),
        ("input.mean", &[1]),
        ("input.sd", &[1]),
        ("input.size", &[2]),
        ("readout.rec.bias", &[5]),
        ("readout.rec.features", &[5, 12]),
        ("readout.rec.response_scale", &[5]),
    ];
    let wanted = wanted.iter().map(|(n, s)| (n.to_string(), s.to_vec()));
    assert_eq!(shapes, wanted.collect::<Vec<_>>());
    assert_eq!(
        tensors(&p.join("run")).tensors["input.size"].1,
        [12.0, 16.0]
    );

    // Units are dropped by the number of the step, however often a fit is stopped.
    for steps in [1, 3, 5] {
        let part = format!("train c.toml --out parts --resume --set training.max_steps={steps}");
        striate(p, &part).ok();
    }
    assert_same_run(&p.join("run"), &p.join("parts"));
    striate(p, "train c.toml --out keeps --set core.dropout_keep=1.0").ok();
    let features = |run: &str| tensors(&p.join(run)).tensors["readout.rec.features"].clone();
    assert_ne!(features("run"), features("keeps"));
    // A start from another fit takes every tensor.
    let told = striate(
        p,
        "train c.toml --out again --init run --seed 3 --set training.max_steps=1",
    );
    assert!(told.err.contains("6 of 6 tensors"), "{}", told.err);
}

#[test]
fn any_number_of_threads_drops_the_same_units() {
    let f = folder(
        KINDEL,
        "validate_every = 2\nmax_steps = 4\nlearning_rate = 0.02",
    );
    for threads in ["1", "3"] {
        let line = format!("train c.toml --out run-{threads}");
        let mut trained = command(f.path(), &line);
        let done = trained.env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(done.status.success());
    }
    assert_same_run(&f.path().join("run-1"), &f.path().join("run-3"));
}

#[test]
fn every_experiment_takes_a_run_without_masks() {
    for (core, weights) in [(KINDEL, "12 weights each"), (LINEAR, "192 weights each")] {
        let f = folder(core, "validate_every = 5\nmax_steps = 10");
        let p = f.path();
        striate(p, "train c.toml --out run").ok();
        let told = striate(p, "inspect run").ok();
        assert!(
            told.contains("images 12 x 16") && told.contains(weights),
            "{told}"
        );
        striate(p, "evaluate run").ok();
        let scores = Table::read_csv(&p.join("run/evaluation.csv")).unwrap();
        assert!(
            scores
                .numbers("correlation_to_average")
                .unwrap()
                .iter()
                .all(|r| r.is_finite())
        );
        assert!(scores.column("mask_blobs").is_none());
        striate(p, "predict run --images rec/images.npy --out p.npy").ok();
        let (predictions, _) = npy::read(&p.join("p.npy")).unwrap();
        assert_eq!(predictions.shape(), [58, 5]);
        for line in [
            "gabors run --sizes 6 --cycles 1 --contrasts 1 --orientations 2 --phases 2",
            "dogs run --sigmas 2 --ratios 2 --contrasts 1 --surround-contrasts 0.5 --no-refine",
            "meis run --starts 1 --steps 20",
            "synthesize run --steps 20 --percentiles 50 --neurons 0-1",
            "tune run",
            "report run",
            "export run --properties all.csv",
        ] {
            let done = striate(p, line);
            assert!(done.code < 2, "{core}: {line}: {}", done.err);
        }
        // What the table says is what the network predicts for the image.
        let table = Table::read_csv(&p.join("run/meis.csv")).unwrap();
        let (images, _) = npy::read(&p.join("run/meis.npy")).unwrap();
        let of = tensors(&p.join("run")).tensors;
        let (mean, sd) = (of["input.mean"].1[0], of["input.sd"].1[0]);
        let grey = images
            .mapv(|z| z * sd + mean)
            .into_dimensionality::<Ix3>()
            .unwrap();
        npy::write(&p.join("grey.npy"), grey.view()).unwrap();
        striate(p, "predict run --images grey.npy --out q.npy").ok();
        let (predicted, _) = npy::read(&p.join("q.npy")).unwrap();
        for (n, told) in table.numbers("response").unwrap().iter().enumerate() {
            let got = f64::from(predicted.index_axis(Axis(0), n)[n]);
            assert!(
                (got - told).abs() <= 1e-4 * (1.0 + told.abs()),
                "{core}: {n}: {got} {told}"
            );
        }
    }
}

#[test]
fn the_best_gabor_of_the_linear_model_is_the_one_that_its_weights_are() {
    let f = folder(LINEAR, "max_steps = 1");
    let p = f.path();
    striate(p, "train c.toml --out run").ok();
    let (x0, y0) = (9.0, 5.0);
    edit(&p.join("run/model.safetensors"), |t| {
        let weights = &mut t.tensors.get_mut("readout.rec.weights").unwrap().1;
        for (i, w) in weights.iter_mut().enumerate() {
            let (x, y) = ((i % 16) as f64 - x0, (i / 16 % 12) as f64 - y0);
            let envelope = (-(x * x + y * y) / (2.0 * 1.5 * 1.5)).exp();
            *w = (0.1 * envelope * (std::f64::consts::TAU * x / 6.0).cos()) as f32;
        }
    });
    let grid = "--sizes 6 --cycles 1 --contrasts 1 --orientations 4 --phases 4";
    striate(p, &format!("gabors run {grid} --exhaustive --no-refine")).ok();
    let table = Table::read_csv(&p.join("run/gabors.csv")).unwrap();
    for (column, wanted) in [("x", x0), ("y", y0), ("orientation", 0.0), ("phase", 0.0)] {
        let got = table.numbers(column).unwrap();
        assert!(
            got.iter().all(|v| (v - wanted).abs() < 1e-6),
            "{column}: {got:?}"
        );
    }
    // A coarser grid of places, and the climb from there.
    striate(p, &format!("gabors run {grid} --out climbed")).ok();
    let climbed = Table::read_csv(&p.join("climbed/gabors.csv")).unwrap();
    let found = climbed.numbers("refined_response").unwrap();
    let best = table.numbers("response").unwrap();
    assert!(
        found.iter().zip(best.iter()).all(|(f, b)| *f >= 0.999 * b),
        "{found:?} {best:?}"
    );
}

#[test]
fn commands_about_bar_codes_refuse_by_one_sentence() {
    let f = folder(KINDEL, "max_steps = 1");
    let p = f.path();
    striate(p, "train c.toml --out run").ok();
    for line in [
        "cluster run",
        "organise run",
        "cluster-stimuli run",
        "consistency run run --out both",
        "verify-equivariance run",
    ] {
        let done = striate(p, line);
        let told = done.err.lines().count() == 1 && done.err.contains("rotation-equivariant");
        assert!(done.code == 2 && told, "{line}: {}", done.err);
    }
}

#[test]
fn a_hand_written_run_without_its_size_takes_that_of_the_images() {
    let f = folder(KINDEL, "max_steps = 1");
    let p = f.path();
    striate(p, "train c.toml --out run").ok();
    striate(p, "predict run --images rec/images.npy --out a.npy").ok();
    edit(&p.join("run/model.safetensors"), |t| {
        t.tensors.remove("input.size");
    });
    // From the recording.
    striate(p, "inspect run").ok();
    fs::rename(p.join("rec"), p.join("elsewhere")).unwrap();
    let done = striate(p, "inspect run");
    assert!(
        done.code == 2 && done.err.contains("input.size"),
        "{}",
        done.err
    );
    striate(p, "predict run --images elsewhere/images.npy --out b.npy").ok();
    assert_eq!(
        fs::read(p.join("a.npy")).unwrap(),
        fs::read(p.join("b.npy")).unwrap()
    );
    edit(&p.join("run/model.safetensors"), |t| {
        t.insert("input.size".into(), &[2], vec![12.0, 0.5]);
    });
    let done = striate(p, "inspect run");
    assert!(
        done.code == 2 && done.err.contains("input.size"),
        "{}",
        done.err
    );
}

#[test]
fn images_of_two_sizes_or_too_small_ones_are_refused() {
    let f = folder(KINDEL, "max_steps = 1");
    let p = f.path();
    super::small::sized("other", 3, (14, 13), 9)
        .write(&p.join("other"))
        .unwrap();
    let text = fs::read_to_string(p.join("c.toml")).unwrap();
    let both = text.replace("[\"rec\"]", "[\"rec\", \"other\"]");
    fs::write(p.join("both.toml"), both).unwrap();
    let done = striate(p, "train both.toml --out run");
    assert!(
        done.code == 2 && done.err.contains("other") && done.err.contains("14 x 13"),
        "{}",
        done.err
    );
    let done = striate(p, "train c.toml --out run --set core.pool_size=13");
    assert!(
        done.code == 2 && done.err.contains("12 x 16"),
        "{}",
        done.err
    );
}
