//! A run is precious: logs that cannot be written, files of other fits, second writers, work that lies there already.

use super::small::{command, everything, folder, signal, striate};
use super::{SHORT, config, edit, trained};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Searches that take a moment.
const GABORS: &str = "--sizes 6 --cycles 1 --contrasts 1 --orientations 2 --phases 2 --no-refine";
const DOGS: &str = "--sigmas 2 --ratios 2 --contrasts 1 --surround-contrasts 0.5 --no-refine";

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// The lines of a table without its header.
fn rows(file: &Path) -> Vec<String> {
    text(file).lines().skip(1).map(str::to_string).collect()
}

#[test]
fn messages_that_cannot_be_written_cost_nothing() {
    let f = folder(SHORT);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let code = |line: &str, out: Stdio, err: Stdio| {
        let mut command = command(f.path(), line);
        command.stdout(out).stderr(err);
        command.status().unwrap().code()
    };
    for line in [
        "train c.toml --out run",
        "evaluate run",
        "glm rec --out glm --penalties 2 --folds 2",
        "meis run --starts 1 --steps 3",
    ] {
        assert_eq!(code(line, Stdio::null(), full().into()), Some(0), "{line}");
    }
    assert_eq!(code("evaluate run", full().into(), Stdio::null()), Some(0));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = || writer.try_clone().unwrap();
    assert_eq!(
        code("evaluate run", closed().into(), closed().into()),
        Some(0)
    );
    assert_eq!(code("config", closed().into(), Stdio::null()), Some(0));
    // What is refused stays refused.
    assert_eq!(
        code("inspect nowhere", Stdio::null(), full().into()),
        Some(2)
    );
    assert_eq!(code("nonsense", Stdio::null(), closed().into()), Some(2));
    // A text that is the whole result must arrive.
    assert_eq!(code("config", full().into(), Stdio::null()), Some(2));
}

#[test]
fn tables_of_another_model_are_refused_by_name() {
    let f = trained();
    let p = f.path();
    striate(p, &format!("gabors run {GABORS}")).ok();
    striate(p, "evaluate run").ok();
    edit(&p.join("run/model.safetensors"), |t| {
        t.tensors.get_mut("readout.rec.bias").unwrap().1[0] += 0.5;
    });
    for line in ["tune run", "select-gabors run --sizes 6 --cycles 1"] {
        let done = striate(p, line);
        assert_eq!(done.code, 2, "{line}");
        for word in ["gabors.csv", "model", "sha256:"] {
            assert!(done.err.contains(word), "{}", done.err);
        }
    }
    // Half of a table cannot be made anew.
    for line in [
        format!("gabors run {GABORS} --neurons 1"),
        "evaluate run --neurons 1".into(),
    ] {
        let done = striate(p, &line);
        assert!(
            done.code == 2 && done.err.contains("this model did not make"),
            "{}",
            done.err
        );
    }
    striate(p, &format!("gabors run {GABORS}")).ok();
    striate(p, "tune run").ok();
}

#[test]
fn files_of_two_fits_are_not_used_together() {
    let f = trained();
    let p = f.path();
    striate(p, "train c.toml --out other --set core.activation=relu").ok();
    let take = |name: &str| fs::copy(p.join("other").join(name), p.join("run").join(name)).unwrap();
    take("config.toml");
    let done = striate(p, "evaluate run");
    assert_eq!(done.code, 2);
    for word in ["config.toml", "relu", "softplus", "not of one fit"] {
        assert!(done.err.contains(word), "{}", done.err);
    }
    // An array beside another table.
    striate(p, "meis other --starts 1 --steps 3").ok();
    fs::write(
        p.join("other/gabors.csv"),
        "neuron,x,y,size,frequency,orientation,phase,contrast,response\n",
    )
    .unwrap();
    let mut images = striate::npy::read(&p.join("other/meis.npy")).unwrap().0;
    images[[0, 0, 0]] += 1.0;
    striate::npy::write(&p.join("other/meis.npy"), images.view()).unwrap();
    fs::remove_file(p.join("other/gabors.csv")).unwrap();
    let done = striate(p, &format!("tune other {GABORS}"));
    assert!(
        done.code == 2 && done.err.contains("meis.npy"),
        "{}",
        done.err
    );
    // What resuming needs beside another fit's configuration.
    take("resume.safetensors");
    let line = "train run/config.toml --out run --resume --set training.max_steps=6";
    striate(p, line).ok();
    striate(p, "train c.toml --out third --set penalties.smoothness=0.5").ok();
    fs::copy(
        p.join("third/resume.safetensors"),
        p.join("run/resume.safetensors"),
    )
    .unwrap();
    let done = striate(p, &line.replace('6', "8"));
    assert!(
        done.code == 2 && done.err.contains("resume.safetensors"),
        "{}",
        done.err
    );
}

#[test]
fn a_recording_that_has_changed_is_not_scored_in_silence() {
    let f = trained();
    let file = f.path().join("rec/responses.npy");
    let mut responses = super::small::recording("rec", 5, 1).responses;
    responses[[1, 1]] += 0.5;
    striate::npy::write(&file, responses.view()).unwrap();
    for command in ["evaluate", "synthesize"] {
        let done = striate(f.path(), &format!("{command} run"));
        assert!(
            done.code == 2 && done.err.contains("has changed"),
            "{}",
            done.err
        );
    }
    striate(f.path(), "evaluate run --recording rec").ok();
    // A GLM of one recording beside scores on another.
    striate(f.path(), "glm rec --out glm --penalties 2 --folds 2").ok();
    striate(f.path(), &format!("gabors run {GABORS}")).ok();
    striate(f.path(), "tune run --glm glm").ok();
    responses[[1, 1]] += 0.5;
    striate::npy::write(&file, responses.view()).unwrap();
    striate(f.path(), "glm rec --out glm --penalties 2 --folds 2").ok();
    let done = striate(f.path(), "tune run --glm glm");
    assert!(
        done.code == 2 && done.err.contains("its recording"),
        "{}",
        done.err
    );
}

#[test]
fn what_init_leaves_out_is_told() {
    let f = trained();
    let done = striate(
        f.path(),
        "train c.toml --out b --init run --set core.features=[3,2]",
    );
    let line = done.err.lines().find(|l| l.starts_with("--init")).unwrap();
    for part in ["fresh:", "core.0.coefficients ([", "] there, ["] {
        assert!(line.contains(part), "{line}");
    }
    let done = striate(f.path(), "train c.toml --out c --init run");
    assert!(!done.err.contains("fresh:"), "{}", done.err);
}

#[test]
fn a_finished_fit_survives_the_same_command() {
    let f = trained();
    let p = f.path();
    striate(p, "evaluate run").ok();
    striate(p, "report run").ok();
    let drawn = |run: &str| p.join(run).join("figures/correlations.svg").exists();
    assert!(drawn("run"));
    let before = everything(&p.join("run"));
    for more in ["", "--set training.max_steps=9 --set training.patience=7"] {
        let done = striate(p, &format!("train c.toml --out run {more}"));
        assert_eq!(done.code, 2);
        assert!(
            done.err.contains("--resume") && done.err.contains("--overwrite"),
            "{}",
            done.err
        );
        assert!(before == everything(&p.join("run")));
    }
    striate(p, "train c.toml --out run --overwrite").ok();
    assert!(!p.join("run/evaluation.csv").exists());
    assert!(!p.join("run/figures").exists());
    // Another fit does not destroy it either.
    let old = fs::read(p.join("run/model.safetensors")).unwrap();
    striate(p, "evaluate run").ok();
    striate(p, "report run").ok();
    striate(p, "train c.toml --out run --seed 5").ok();
    assert!(fs::read(p.join("run/earlier-1/model.safetensors")).unwrap() == old);
    assert!(fs::read(p.join("run/model.safetensors")).unwrap() != old);
    assert!(!p.join("run/evaluation.csv").exists() && !drawn("run"));
    assert!(drawn("run/earlier-1"));
    striate(p, "evaluate run/earlier-1").ok();
}

#[test]
fn a_fit_that_diverges_at_once_replaces_nothing() {
    let f = trained();
    let run = f.path().join("run");
    striate(f.path(), "evaluate run").ok();
    let before = everything(&run);
    let wild = "--set readout.output=exponential --set training.learning_rate=1e6";
    for how in ["--overwrite", "--seed 4"] {
        let done = striate(f.path(), &format!("train c.toml --out run {wild} {how}"));
        assert_eq!(done.code, 1, "{}", done.err);
        assert!(before == everything(&run), "{how}");
    }
}

#[test]
fn resuming_removes_what_it_makes_stale() {
    let f = trained();
    let p = f.path();
    striate(p, &format!("gabors run {GABORS}")).ok();
    striate(p, "report run").ok();
    fs::write(p.join("run/figures/own.svg"), "<svg>mine</svg>").unwrap();
    // Nothing to do: nothing is stale.
    striate(p, "train c.toml --out run --resume").ok();
    assert!(p.join("run/gabors.csv").exists());
    striate(
        p,
        "train c.toml --out run --resume --set training.max_steps=60",
    )
    .ok();
    assert!(!p.join("run/gabors.csv").exists());
    let left = fs::read_dir(p.join("run/figures")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).collect();
    assert_eq!(left, ["own.svg"], "what somebody else put there stays");
}

#[test]
fn some_neurons_anew_leave_the_others_as_they_are() {
    let f = trained();
    let p = f.path();
    for (line, file) in [
        ("evaluate run".to_string(), "evaluation.csv"),
        (format!("gabors run {GABORS}"), "gabors.csv"),
        (format!("dogs run {DOGS}"), "dogs.csv"),
        ("meis run --starts 1 --steps 3".into(), "meis.csv"),
        (
            "synthesize run --steps 3 --percentiles 20,80".into(),
            "synthesized.csv",
        ),
        ("tune run".into(), "tuning.csv"),
        (
            "compare-tuning run --recording rec".into(),
            "tuning_comparison.csv",
        ),
    ] {
        striate(p, &line).ok();
        let all = everything(&p.join("run"));
        striate(p, &format!("{line} --neurons 3,1")).ok();
        let again = everything(&p.join("run"));
        for (path, content) in &all {
            // The order of the random numbers is a neuron's own.
            let told = path.display();
            assert!(
                rounded(path, &again[path]) == rounded(path, content),
                "{line}: {told}"
            );
        }
        // A first part makes a table of its own, and the rest completes it.
        fs::remove_file(p.join("run").join(file)).unwrap();
        striate(p, &format!("{line} --neurons 3,1")).ok();
        assert!(
            rows(&p.join("run").join(file)).len() < rows_of(&all, p, file),
            "{line}"
        );
        striate(p, &format!("{line} --neurons 0,2,4")).ok();
        for (path, content) in everything(&p.join("run")) {
            let told = path.display();
            assert!(
                rounded(&path, &all[&path]) == rounded(&path, &content),
                "{line}: {told}"
            );
        }
    }
    let done = striate(
        p,
        &format!("gabors run {} --neurons 2", GABORS.replace("6", "8")),
    );
    assert_eq!(done.code, 2);
    for word in ["4 other neurons", "sizes=6", "sizes=8", "--out"] {
        assert!(done.err.contains(word), "{}", done.err);
    }
}

/// A file's content; of synthesised images the responses to six digits, since the last depend on how many are asked at once.
fn rounded(path: &Path, content: &[u8]) -> Vec<u8> {
    if !path.ends_with("synthesized.csv") {
        return content.to_vec();
    }
    let text = String::from_utf8_lossy(content);
    let cell = |c: &str| match c.parse::<f64>() {
        Ok(x) => format!("{x:.5}"),
        Err(_) => c.to_string(),
    };
    let cells: Vec<String> = text.split([',', '\n']).map(cell).collect();
    cells.join(",").into_bytes()
}

#[test]
fn images_of_all_starts_stay_with_their_neurons() {
    let f = trained();
    let p = f.path();
    let line = "meis run --starts 2 --steps 3 --all-starts";
    striate(p, line).ok();
    let all = everything(&p.join("run"));
    striate(p, &format!("{line} --neurons 2")).ok();
    assert!(everything(&p.join("run")) == all);
    // Without them the table of all neurons would be without them too.
    let done = striate(p, "meis run --starts 2 --steps 3 --neurons 2");
    assert!(
        done.code == 2 && done.err.contains("all-starts=true"),
        "{}",
        done.err
    );
    assert!(everything(&p.join("run")) == all);
}

fn rows_of(
    all: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>,
    p: &Path,
    file: &str,
) -> usize {
    let content = &all[&p.join("run").join(file)];
    content.iter().filter(|b| **b == b'\n').count() - 1
}

#[test]
fn results_go_elsewhere_where_that_is_asked_for() {
    let f = trained();
    let p = f.path();
    let before = everything(&p.join("run"));
    for line in [
        "evaluate run --out mine",
        &format!("gabors run --out mine {GABORS}"),
        &format!("dogs run --out mine {DOGS}"),
        "meis run --out mine --starts 1 --steps 3",
        "synthesize run --out mine --steps 3",
        "tune run --out mine",
        "select-gabors run --out mine --sizes 6 --cycles 1",
        "compare-tuning run --out mine --recording rec",
        "verify-equivariance run --out mine",
    ] {
        striate(p, line).ok();
    }
    assert!(before == everything(&p.join("run")));
    assert!(text(&p.join("mine/tuning.csv")).contains("gabor_vs_mei"));
    // Nowhere to write is said before the work.
    for line in [
        "evaluate run --out /proc/striate",
        "train c.toml --out /proc/striate",
    ] {
        let done = striate(p, line);
        assert!(
            done.code == 2 && done.err.contains("/proc/striate"),
            "{}",
            done.err
        );
    }
}

#[test]
fn a_run_has_one_writer() {
    let f = folder("validate_every = 50\nmax_steps = 1000000\npatience = 1000000");
    let p = f.path();
    let mut first = command(p, "train c.toml --out run")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !p.join("run/history.csv").exists() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let process = format!("process {}", first.id());
    for line in [
        "train c.toml --out run",
        "train c.toml --out run --resume",
        "verify-equivariance run",
    ] {
        let done = striate(p, line);
        let here = line.starts_with("train") || p.join("run/model.safetensors").exists();
        assert_eq!(done.code, 2);
        assert!(!here || done.err.contains(&process), "{}", done.err);
    }
    signal(&first, "HUP");
    assert_eq!(first.wait().unwrap().code(), Some(129));
    // The lock is gone with it, and so after a kill.
    let mut second = command(p, "train c.toml --out run --resume")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !p.join("run/.striate.lock").exists() && started.elapsed() < Duration::from_secs(90) {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&second, "KILL");
    second.wait().unwrap();
    let mut third = command(p, "train c.toml --out run --resume")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&third, "USR1");
    let code = third.wait().unwrap();
    // A signal before it listens ends it as the system does.
    assert!(code.code() == Some(138) || code.code().is_none(), "{code}");
}

#[test]
fn permissions_follow_the_users_mask() {
    use std::os::unix::fs::PermissionsExt;
    let f = folder(SHORT);
    let line = "umask 027; \"$0\" train c.toml --out run && \"$0\" simulate --out sim --neurons 5 --train 10 --validation 2 --test 2 --height 24 --width 24";
    let status = std::process::Command::new("sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_striate")])
        .current_dir(f.path())
        .output()
        .unwrap();
    assert!(status.status.success());
    for directory in ["run", "sim"] {
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&f.path().join(directory)), 0o750, "{directory}");
        for entry in fs::read_dir(f.path().join(directory)).unwrap().flatten() {
            assert_eq!(mode(&entry.path()), 0o640, "{}", entry.path().display());
        }
    }
}

#[test]
fn a_renamed_recording_is_named() {
    let f = trained();
    fs::rename(f.path().join("rec"), f.path().join("renamed")).unwrap();
    fs::remove_file(f.path().join("renamed/recording.toml")).unwrap();
    fs::write(f.path().join("c.toml"), config("[\"renamed\"]", SHORT)).unwrap();
    let done = striate(f.path(), "train c.toml --out run --resume");
    assert_eq!(done.code, 2);
    for word in ["\"renamed\"", "rec", "recording.toml"] {
        assert!(done.err.contains(word), "{}", done.err);
    }
}
