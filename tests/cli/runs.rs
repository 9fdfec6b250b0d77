//! What a run starts from and what it accepts back.

use super::small::{assert_same_run, bits, folder, striate};
use super::{SHORT, edit, trained};
use std::fs;

#[test]
fn a_run_configuration_is_accepted_back_and_gives_the_same_run() {
    let f = trained();
    striate(f.path(), "train run/config.toml --out again").ok();
    assert_same_run(&f.path().join("run"), &f.path().join("again"));
    let read = |run: &str| fs::read_to_string(f.path().join(run).join("config.toml")).unwrap();
    assert_eq!(read("run"), read("again"));
    let absolute = f.path().join("rec").canonicalize().unwrap();
    assert!(read("run").contains(&absolute.display().to_string()));
}

#[test]
fn recordings_lie_beside_the_configuration_or_in_the_working_directory() {
    let f = folder(SHORT);
    fs::create_dir(f.path().join("sub")).unwrap();
    fs::rename(f.path().join("c.toml"), f.path().join("sub/c.toml")).unwrap();
    striate(f.path(), "train sub/c.toml --out a").ok();
    fs::rename(f.path().join("rec"), f.path().join("sub/rec")).unwrap();
    striate(f.path(), "train sub/c.toml --out b").ok();
    striate(f.path(), "train sub/c.toml").ok();
    assert!(f.path().join("runs/c/model.safetensors").exists());
}

#[test]
fn init_takes_tensors_by_name_and_shape() {
    let f = trained();
    // A learning rate that moves no float32 shows what the run started from.
    let still = "--set training.learning_rate=1e-30 --set training.optimiser=sgd --seed 7";
    striate(f.path(), &format!("train c.toml --out fresh {still}")).ok();
    for (run, from) in [("a", "run"), ("b", "run/model.safetensors")] {
        striate(
            f.path(),
            &format!("train c.toml --out {run} --init {from} {still}"),
        )
        .ok();
    }
    let model = |run: &str| bits(&f.path().join(run).join("model.safetensors"));
    for name in [
        "core.0.coefficients",
        "core.1.coefficients",
        "readout.rec.mask",
        "readout.rec.bias",
    ] {
        assert_eq!(model("a")[name], model("run")[name], "{name}");
        assert_eq!(model("b")[name], model("run")[name], "{name}");
        assert_ne!(model("fresh")[name], model("run")[name], "{name}");
    }
    let wider = format!("train c.toml --out c --init run {still} --set core.features=[3,2]");
    striate(f.path(), &wider).ok();
    let fresh = wider
        .replace("--init run", "")
        .replace("--out c", "--out d");
    striate(f.path(), &fresh).ok();
    assert_eq!(model("c")["core.1.norm.offset"].len(), 8);
    assert_eq!(
        model("c")["core.0.coefficients"],
        model("d")["core.0.coefficients"]
    );
    assert_eq!(
        model("c")["readout.rec.mask"],
        model("run")["readout.rec.mask"]
    );
}

#[test]
fn overrides_reach_the_run() {
    let f = folder(SHORT);
    let line = "train c.toml --out run --set training.max_steps=1 --set core.padding=valid --set readout.output=elu+1 --seed 5";
    striate(f.path(), line).ok();
    let text = fs::read_to_string(f.path().join("run/config.toml")).unwrap();
    for part in [
        "max_steps = 1\n",
        "padding = \"valid\"",
        "output = \"elu+1\"",
        "seed = 5\n",
        "phases = 2\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(
        bits(&f.path().join("run/model.safetensors"))["readout.rec.mask"].len(),
        5 * 6 * 10
    );
}

#[test]
fn resume_refuses_another_configuration_and_names_the_key() {
    let f = trained();
    let before = super::small::everything(f.path());
    let line = "train c.toml --out run --resume --set training.batch_size=8";
    let done = striate(f.path(), line);
    assert_eq!(done.code, 2);
    for part in ["batch_size = 16", "batch_size = 8", "training.max_steps"] {
        assert!(done.err.contains(part), "{}", done.err);
    }
    assert!(before == super::small::everything(f.path()));
}

#[test]
fn resume_starts_afresh_where_there_is_nothing() {
    let f = trained();
    striate(f.path(), "train c.toml --out new --resume").ok();
    assert_same_run(&f.path().join("run"), &f.path().join("new"));
}

#[test]
fn verification_fails_where_maps_are_no_numbers() {
    let f = folder(SHORT);
    striate(
        f.path(),
        "train c.toml --out run --set core.shared_norm=true",
    )
    .ok();
    let told = striate(f.path(), "verify-equivariance run").ok();
    assert!(told.contains("quarter turn"), "{told}");
    edit(&f.path().join("run/model.safetensors"), |t| {
        t.tensors
            .get_mut("core.0.coefficients")
            .unwrap()
            .1
            .fill(3e38);
    });
    assert_eq!(striate(f.path(), "verify-equivariance run").code, 1);
}

#[test]
fn resume_refuses_other_responses_under_the_same_name() {
    let f = trained();
    let file = f.path().join("rec/responses.npy");
    let mut responses = super::small::recording("rec", 5, 1).responses;
    responses[[1, 1]] += 0.5;
    striate::npy::write(&file, responses.view()).unwrap();
    let line = "train c.toml --out run --resume --set training.max_steps=9";
    let done = striate(f.path(), line);
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("the recordings have changed"),
        "{}",
        done.err
    );
}

#[test]
fn a_moved_recording_resumes() {
    let f = trained();
    fs::rename(f.path().join("rec"), f.path().join("moved")).unwrap();
    let line =
        "train c.toml --out run --resume --set recordings=[\"moved\"] --set training.max_steps=6";
    striate(f.path(), line).ok();
}

#[test]
fn columns_of_several_recordings_are_joined() {
    let f = super::trained_on_two();
    fs::write(
        f.path().join("other/neurons.csv"),
        "neuron,depth,recording\n0,7,a\n1,8,b\n2,9,c\n",
    )
    .unwrap();
    striate(f.path(), "evaluate run").ok();
    let text = fs::read_to_string(f.path().join("run/evaluation.csv")).unwrap();
    assert!(
        text.lines().next().unwrap().ends_with(
            ",mask_at_border,layer,depth,neurons.recording,recording_hash,model_hash,made_with"
        ),
        "{text}"
    );
    assert!(
        text.lines().nth(1).unwrap().contains(",L0,,,fnv1a:"),
        "{text}"
    );
    assert!(
        text.lines().last().unwrap().contains(",,9,c,fnv1a:"),
        "{text}"
    );
}

#[test]
fn progress_is_told_as_often_as_asked_for_and_to_programs_as_json() {
    let f = folder("learning_rate = 0.01\nvalidate_every = 4\nmax_steps = 8");
    let done = striate(
        f.path(),
        "train c.toml --out run --log-json --progress-every 0.000001",
    );
    assert_eq!(done.code, 0, "{}", done.err);
    let lines = done.err.lines().filter(|l| l.starts_with('{'));
    let facts: Vec<serde_json::Value> = lines.map(|l| serde_json::from_str(l).unwrap()).collect();
    let steps: Vec<u64> = facts.iter().map(|f| f["step"].as_u64().unwrap()).collect();
    assert!(facts.iter().all(|f| f["taken"] == f["step"]));
    // Every step, and the validations.
    assert_eq!(steps.iter().max(), Some(&8));
    assert!((1..=8).all(|s| steps.contains(&s)), "{steps:?}");
    let validations: Vec<_> = facts
        .iter()
        .filter(|f| f["validation_loss"].is_number())
        .collect();
    assert_eq!(validations.len(), 2);
    assert!(
        facts
            .iter()
            .all(|f| f["seconds_left_at_most"].as_f64().unwrap() >= 0.0)
    );
    let quiet = striate(f.path(), "train c.toml --out other");
    let told = |line: &&str| line.starts_with("step ");
    assert_eq!(quiet.err.lines().filter(told).count(), 2, "{}", quiet.err);
    let refused = striate(f.path(), "train c.toml --out x --progress-every 0");
    assert!(
        refused.code == 2 && refused.err.contains("--progress-every"),
        "{}",
        refused.err
    );
}
