//! Training as a whole, through the binary: resuming, determinism, early stopping.

mod common;
#[path = "common/small.rs"]
mod small;

use small::{assert_same_run, bits, command, folder, history, state, striate};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use striate::recording::{Recording, Tier};

const STEADY: &str = "learning_rate = 0.01\nvalidate_every = 4\npatience = 1000\nmax_steps = 26";
/// Overshoots, so that validations get worse and phases end.
const RESTLESS: &str =
    "learning_rate = 0.1\nvalidate_every = 3\npatience = 2\nphases = 3\nmax_steps = 400";

fn rows(run: &Path) -> Vec<Vec<f64>> {
    let number = |c: &str| c.parse().unwrap_or(f64::NAN);
    let text = history(run);
    text.lines()
        .skip(1)
        .map(|l| l.split(',').map(number).collect())
        .collect()
}

#[test]
fn a_run_stopped_by_max_steps_resumes_bit_for_bit() {
    let f = folder(STEADY);
    striate(f.path(), "train c.toml --out straight").ok();
    // Before the first validation, between two, at one, and one step later.
    for k in [2, 10, 12, 13] {
        striate(
            f.path(),
            &format!("train c.toml --out parts --overwrite --set training.max_steps={k}"),
        )
        .ok();
        assert_eq!(state(&f.path().join("parts"))["step"], k);
        let resumed = "train c.toml --out parts --resume --set training.max_steps=26";
        striate(f.path(), resumed).ok();
        assert_same_run(&f.path().join("parts"), &f.path().join("straight"));
    }
}

#[test]
fn a_run_resumes_bit_for_bit_across_phases() {
    let f = folder(RESTLESS);
    let told = striate(f.path(), "train c.toml --out straight").ok();
    assert!(told.contains("converged"), "{told}");
    let taken = state(&f.path().join("straight"))["taken"].as_u64().unwrap();
    for k in (1..taken).step_by(5) {
        let part = format!("train c.toml --out parts --resume --set training.max_steps={k}");
        striate(f.path(), &part).ok();
    }
    striate(f.path(), "train c.toml --out parts --resume").ok();
    assert_same_run(&f.path().join("parts"), &f.path().join("straight"));
    // There is nothing left to do.
    striate(f.path(), "train c.toml --out parts --resume").ok();
    assert_same_run(&f.path().join("parts"), &f.path().join("straight"));
}

#[test]
fn a_signal_leaves_a_run_that_resumes_bit_for_bit() {
    for (signal, code, word) in [("TERM", 143, "SIGTERM"), ("INT", 130, "Ctrl-C")] {
        let f = folder(STEADY);
        let line = "train c.toml --out run --set training.max_steps=1000000";
        let mut child = command(f.path(), line);
        let child = child
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let file = f.path().join("run/history.csv");
        let begun = Instant::now();
        while !fs::read_to_string(&file).is_ok_and(|t| t.lines().count() > 3) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no validation");
            std::thread::sleep(Duration::from_millis(5));
        }
        small::signal(&child, signal);
        let done = small::Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, code, "{}", done.err);
        let last = done.err.lines().last().unwrap();
        assert!(last.contains(word) && last.contains("--resume"), "{last}");
        let run = f.path().join("run");
        striate(f.path(), "inspect run").ok();
        let total = state(&run)["step"].as_u64().unwrap() + 7;
        let resumed = format!("train c.toml --out run --resume --set training.max_steps={total}");
        striate(f.path(), &resumed).ok();
        let straight = format!("train c.toml --out straight --set training.max_steps={total}");
        striate(f.path(), &straight).ok();
        assert_same_run(&run, &f.path().join("straight"));
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let f = folder(STEADY);
    for (run, threads, seed) in [("a", "2", 1), ("b", "2", 1), ("c", "1", 1), ("d", "2", 2)] {
        let line = format!("train c.toml --out {run} --seed {seed}");
        let mut trained = command(f.path(), &line);
        let done = trained.env("RAYON_NUM_THREADS", threads).output().unwrap();
        small::Done::from(done).ok();
    }
    let run = |name: &str| f.path().join(name);
    assert_same_run(&run("a"), &run("b"));
    assert_same_run(&run("a"), &run("c"));
    assert_ne!(history(&run("a")), history(&run("d")));
}

#[test]
fn early_stopping_restores_the_best_and_turns_the_counter_back() {
    let f = folder(RESTLESS);
    striate(f.path(), "train c.toml --out run").ok();
    let run = f.path().join("run");
    let (patience, every, rate, decay) = (2, 3, 0.1, 10.0_f64);
    // What the losses alone decide: best, phase, learning rate.
    let (mut best, mut worse, mut phase, mut restores) = ((f64::INFINITY, 0.0), 0, 1, 0);
    for (i, row) in rows(&run).iter().enumerate() {
        let (step, loss) = (row[0], row[4]);
        assert_eq!(step, (every * (i + 1)) as f64);
        assert_eq!(row[1], f64::from(phase));
        assert!((row[2] - rate / decay.powi(phase - 1)).abs() < 1e-9);
        if loss < best.0 {
            (best, worse) = ((loss, step), 0);
        } else {
            worse += 1;
        }
        if worse == patience {
            (worse, phase, restores) = (0, phase + 1, restores + 1);
        }
    }
    assert_eq!(
        (phase, restores, worse),
        (4, 3, 0),
        "the last row ends the last phase"
    );
    let state = state(&run);
    let taken = rows(&run).last().unwrap()[0] as u64;
    assert_eq!(state["done"], "Converged");
    assert_eq!(state["taken"], taken);
    assert_eq!(state["step"], taken - (restores * patience * every) as u64);
    assert_eq!(state["best"]["taken"], best.1 as u64);
    // Weights, statistics, moments and Adam's step count are those of the best.
    assert_eq!(state["t"], state["best"]["t"]);
    let tensors = bits(&run.join("resume.safetensors"));
    let model = bits(&run.join("model.safetensors"));
    let mut compared = 0;
    for (name, values) in tensors.iter().filter(|(n, _)| n.starts_with("now.")) {
        let name = name.trim_start_matches("now.");
        assert!(*values == tensors[&format!("best.{name}")], "{name}");
        let own = name
            .strip_prefix("values.")
            .or(name.strip_prefix("statistics."));
        if let Some(own) = own {
            assert!(*values == model[own], "{own}");
            compared += 1;
        }
    }
    assert_eq!(
        compared,
        model.len() - 3,
        "all but input.mean, input.sd, response_scale"
    );
}

#[test]
fn a_run_that_max_steps_ends_keeps_the_best_and_restores_nothing() {
    let f = folder(RESTLESS);
    // Restless runs get worse at once; 2 steps after a validation nothing has been restored.
    let line = "train c.toml --out run --set training.max_steps=23 --set training.patience=100";
    striate(f.path(), line).ok();
    let run = f.path().join("run");
    let state = state(&run);
    assert_eq!(
        (&state["done"], &state["step"]),
        (&"OutOfSteps".into(), &23.into())
    );
    let best = rows(&run)
        .into_iter()
        .min_by(|a, b| a[4].total_cmp(&b[4]))
        .unwrap();
    assert_eq!(state["best"]["taken"], best[0] as u64);
    let tensors = bits(&run.join("resume.safetensors"));
    let mask = "readout.rec.mask";
    assert_eq!(
        bits(&run.join("model.safetensors"))[mask],
        tensors[&format!("best.values.{mask}")]
    );
    assert_ne!(
        tensors[&format!("now.values.{mask}")],
        tensors[&format!("best.values.{mask}")]
    );
}

#[test]
fn without_validation_the_last_weights_are_the_model() {
    let f = folder(STEADY);
    let mut unvalidated = small::recording("rec", 5, 1);
    let kept = |t: usize| unvalidated.trials[t].tier != Tier::Validation;
    let keep: Vec<usize> = (0..unvalidated.trials.len()).filter(|t| kept(*t)).collect();
    unvalidated.responses = unvalidated.responses.select(ndarray::Axis(0), &keep);
    unvalidated.trials.retain(|t| t.tier != Tier::Validation);
    unvalidated.write(&f.path().join("none")).unwrap();
    let mut unrecorded = small::recording("rec", 5, 1);
    for t in unrecorded.trials_of(Tier::Validation) {
        unrecorded.responses.row_mut(t).fill(f32::NAN);
    }
    unrecorded.write(&f.path().join("unrecorded")).unwrap();
    for name in ["none", "unrecorded"] {
        let line = format!("train c.toml --out run-{name} --set recordings=[\"{name}\"]");
        let told = striate(f.path(), &line).ok();
        assert!(told.contains("not validated"), "{told}");
        let run = f.path().join(format!("run-{name}"));
        assert!(
            rows(&run)
                .iter()
                .all(|r| r[4].is_nan() && r[5].is_nan() && r[3].is_finite())
        );
        let (now, model) = (
            bits(&run.join("resume.safetensors")),
            bits(&run.join("model.safetensors")),
        );
        assert_eq!(
            model["readout.rec.bias"],
            now["now.values.readout.rec.bias"]
        );
        assert!(!now.keys().any(|k| k.starts_with("best.")));
    }
}

#[test]
fn a_neuron_unrecorded_in_a_tier_counts_in_no_metric() {
    let f = folder(STEADY);
    let with = |neurons: usize, hidden: Option<usize>| -> Recording {
        let mut r = small::recording("rec", neurons, 1);
        for t in r
            .trials_of(Tier::Validation)
            .into_iter()
            .chain(r.trials_of(Tier::Test))
        {
            if let Some(n) = hidden {
                r.responses[[t, n]] = f32::NAN;
            }
        }
        r
    };
    with(5, Some(4)).write(&f.path().join("hidden")).unwrap();
    striate(
        f.path(),
        "train c.toml --out run --set recordings=[\"hidden\"]",
    )
    .ok();
    striate(f.path(), "evaluate run").ok();
    let text = fs::read_to_string(f.path().join("run/evaluation.csv")).unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("4,,,,,,,,"), "{last}");
    assert!(rows(&f.path().join("run")).iter().all(|r| r[5].is_finite()));
}

#[test]
fn a_diverged_run_says_so_and_leaves_nothing_unusable() {
    let f = folder(STEADY);
    let fast = "--set readout.output=exponential --set training.learning_rate=1e6";
    let done = striate(f.path(), &format!("train c.toml --out run {fast}"));
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.out.contains("diverged"), "{}", done.out);
    let run = f.path().join("run");
    assert!(!run.join("model.safetensors").exists());
    assert!(
        fs::read_to_string(run.join("history.csv"))
            .unwrap()
            .lines()
            .count()
            >= 2
    );
    let again = striate(f.path(), &format!("train c.toml --out run --resume {fast}"));
    assert_eq!(again.code, 2);
    assert!(again.err.contains("diverged"), "{}", again.err);
}

#[test]
fn the_best_weights_survive_a_later_divergence() {
    let f = folder(RESTLESS);
    // The second phase learns 1e30 times as fast.
    let done = striate(
        f.path(),
        "train c.toml --out run --set training.decay=1e-30",
    );
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(
        done.out.contains("diverged") && done.out.contains("best validation loss"),
        "{}",
        done.out
    );
    striate(f.path(), "evaluate run").ok();
    let run = f.path().join("run");
    let (resume, model) = (
        bits(&run.join("resume.safetensors")),
        bits(&run.join("model.safetensors")),
    );
    assert_eq!(
        model["readout.rec.mask"],
        resume["best.values.readout.rec.mask"]
    );
}
