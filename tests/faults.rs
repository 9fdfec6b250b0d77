//! Every command that writes, killed at random instants, out of disk in the middle of a file, without anybody to talk to, and
//! twice at once: no file under a final name is half-written, what was finished before is intact, the next run works.
//!
//! `STRIATE_SOAK=N` kills each command N times; `STRIATE_SOAK_SEED` draws other instants (`tests/soak.sh`).
#![cfg(unix)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/small.rs"]
mod small;

use small::{Done, command, copy, everything, folder, striate};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use striate::model::checkpoint::Tensors;
use striate::npy;
use striate::table::Table;

/// Commands, and what they write, below the folder.
const COMMANDS: [(&str, &str); 16] = [
    ("train c.toml --out run --overwrite", "run/"),
    ("evaluate run", "run/evaluation.csv"),
    (
        "gabors run --sizes 6 --cycles 1 --contrasts 1 --orientations 2 --phases 2 --no-refine",
        "run/gabors.csv",
    ),
    (
        "dogs run --sigmas 2 --ratios 2 --contrasts 1 --surround-contrasts 0.5 --no-refine",
        "run/dogs.csv",
    ),
    ("meis run --starts 1 --steps 4", "run/meis"),
    ("synthesize run --steps 4", "run/synthesized"),
    ("tune run", "run/tuning"),
    (
        "cluster run --clusters 2 --penalties 1 --restarts 2",
        "run/",
    ),
    (
        "cluster-stimuli run --no-meis --width 7 --ranks 2 --starts 1 --angles 2 --steps 3",
        "run/cluster_",
    ),
    ("organise run", "run/"),
    ("glm rec --out glm --penalties 2 --folds 2", "glm/"),
    ("import npy src --out imported", "imported"),
    ("split rec --out divided", "divided"),
    ("pool rec --out pooled", "pooled"),
    (
        "simulate --out simulated --neurons 5 --train 10 --validation 2 --test 2 --height 24 --width 24",
        "simulated",
    ),
    (
        "predict run --images rec/images.npy --out predictions.npy",
        "predictions.npy",
    ),
];

/// What is made anew each time.
const NEW: [&str; 4] = ["imported", "divided", "pooled", "simulated"];

/// A folder in which every command but those that want a new directory was run once.
fn finished() -> tempfile::TempDir {
    let f = folder("learning_rate = 0.01\nvalidate_every = 2\nmax_steps = 6");
    let p = f.path();
    fs::create_dir(p.join("src")).unwrap();
    for name in ["images.npy", "responses.npy"] {
        fs::copy(p.join("rec").join(name), p.join("src").join(name)).unwrap();
    }
    let rec = small::recording("rec", 5, 1);
    let rows: Vec<usize> = (0..rec.images.dim().0).collect();
    let responses = rec.responses.select(ndarray::Axis(0), &rows);
    npy::write(&p.join("src/responses.npy"), responses.view()).unwrap();
    for (line, writes) in COMMANDS {
        if !NEW.contains(&writes) {
            striate(p, line).ok();
        }
    }
    f
}

/// Every file can be read as what its name says.
#[track_caller]
fn assert_whole(folder: &Path, what: &str) {
    for path in everything(folder).into_keys().filter(|p| p.is_file()) {
        // What is still being written has a hidden name, or is in a folder that has one.
        let mut parts = path.strip_prefix(folder).unwrap().components();
        if parts.any(|c| c.as_os_str().to_string_lossy().starts_with(".striate")) {
            continue;
        }
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        let whole = match extension {
            "csv" => Table::read_csv(&path).map(drop).map_err(|e| e.to_string()),
            "npy" => npy::read(&path).map(drop).map_err(|e| e.to_string()),
            "safetensors" => Tensors::read(&path).map(drop).map_err(|e| e.to_string()),
            "npz" => npy::Archive::open(&path)
                .map(drop)
                .map_err(|e| e.to_string()),
            _ => Ok(()),
        };
        whole.unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

/// What a command does not write is as it was.
#[track_caller]
fn assert_intact(before: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path, writes: &str, what: &str) {
    let own = folder.join(writes);
    let own = own.to_string_lossy();
    for (path, content) in before {
        if path.to_string_lossy().starts_with(own.as_ref()) || path.is_dir() {
            continue;
        }
        let now = fs::read(path).unwrap_or_else(|e| panic!("{what}: {}: {e}", path.display()));
        assert!(now == *content, "{what}: {}", path.display());
    }
}

/// Names in any folder that only temporary files have.
fn hidden(folder: &Path) -> Vec<PathBuf> {
    let all = everything(folder).into_keys();
    all.filter(|p| {
        p.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(".striate")
    })
    .collect()
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual)
}

/// Moves a fresh copy of `from` into place.
fn renew(from: &Path, place: &Path) {
    let _ = fs::remove_dir_all(place);
    copy(from, place);
}

#[test]
fn a_killed_command_leaves_nothing_half_done() {
    let base = finished();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("work");
    let (kills, seed) = (number("STRIATE_SOAK", 12), number("STRIATE_SOAK_SEED", 1));
    for (c, (line, writes)) in COMMANDS.into_iter().enumerate() {
        renew(base.path(), &folder);
        let started = Instant::now();
        striate(&folder, line).ok();
        let takes = started.elapsed().as_secs_f64();
        let draws = common::noise(kills as usize, seed * 100 + c as u64);
        for draw in draws {
            renew(base.path(), &folder);
            let before = everything(&folder);
            let mut child = command(&folder, line)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Late rather than early: that is when files are written.
            let share = 1.0 - 0.3 * f64::from(draw as f32).abs().min(3.0);
            std::thread::sleep(Duration::from_secs_f64(takes * share));
            let _ = child.kill();
            child.wait().unwrap();
            let what = format!("{line}, killed after {share:.3} of {takes:.3} s");
            assert_whole(&folder, &what);
            assert_intact(&before, &folder, writes, &what);
            for made in NEW {
                if writes == made {
                    let _ = fs::remove_dir_all(folder.join(made));
                }
            }
            let again = striate(&folder, line);
            assert_eq!(again.code, 0, "{what}: {}", again.err);
            assert_eq!(hidden(&folder), Vec::<PathBuf>::new(), "{what}");
        }
    }
}

#[test]
fn a_disk_that_takes_no_more_costs_one_message() {
    let base = finished();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("work");
    // A file may grow to so many KiB; to write more is an error, as on a full disk.
    let limited = |line: &str, most: u32| -> Done {
        let script = format!("trap '' XFSZ; ulimit -f {most}; exec \"$0\" {line}");
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &script, env!("CARGO_BIN_EXE_striate")])
            .current_dir(&folder);
        shell.output().unwrap().into()
    };
    for (line, writes) in COMMANDS {
        for most in [0, 1, 2, 3, 5, 8, 13, 21] {
            renew(base.path(), &folder);
            let before = everything(&folder);
            let done = limited(line, most);
            let what = format!("{line}, files of {most} KiB: {}", done.err);
            let told = done
                .err
                .lines()
                .filter(|l| l.starts_with("striate:"))
                .count();
            assert!(done.code == 0 || (done.code == 2 && told == 1), "{what}");
            assert!(most > 0 || done.code == 2, "{what}");
            assert_whole(&folder, &what);
            assert_intact(&before, &folder, writes, &what);
            assert_eq!(hidden(&folder), Vec::<PathBuf>::new(), "{what}");
            if done.code == 2 && !line.starts_with("train") {
                // Neither is what it would have replaced gone.
                assert_intact(&before, &folder, "nothing", &what);
            }
        }
    }
}

#[test]
fn nobody_listens_and_two_do_the_same() {
    let base = finished();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("work");
    for (line, _) in COMMANDS {
        renew(base.path(), &folder);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut deaf = command(&folder, line);
        deaf.stdout(Stdio::null()).stderr(full);
        assert_eq!(deaf.status().unwrap().code(), Some(0), "{line}");

        renew(base.path(), &folder);
        let start = || {
            let mut command = command(&folder, line);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let both = [start(), start()].map(|c| Done::from(c.wait_with_output().unwrap()));
        let codes = [both[0].code, both[1].code];
        assert!(codes.contains(&0), "{line}: {both:?}");
        assert!(codes.iter().all(|c| [0, 2].contains(c)), "{line}: {both:?}");
        assert_whole(&folder, line);
        assert_eq!(hidden(&folder), Vec::<PathBuf>::new(), "{line}");
    }
}
