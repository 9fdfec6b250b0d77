//! A recording small enough to train on in a second, and the real binary.
#![allow(dead_code)]

use super::common::noise;
use ndarray::{Array2, Array3};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use striate::model::checkpoint::Tensors;
use striate::recording::{Recording, Tier, Trial};
use striate::table::{Column, Table};

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Done {
    fn from(o: Output) -> Self {
        Self {
            code: o.status.code().unwrap_or(-1),
            out: String::from_utf8(o.stdout).unwrap(),
            err: String::from_utf8(o.stderr).unwrap(),
        }
    }
}

impl Done {
    /// The summary of a command that must have worked.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }
}

/// The binary with these arguments (a line of words), to run in `folder`.
pub fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_striate"));
    command
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(sent.unwrap().success());
}

pub fn striate(folder: &Path, line: &str) -> Done {
    command(folder, line).output().unwrap().into()
}

/// 40 training, 12 validation and 6 test images (3 repeats) of 12 x 16 pixels; neurons that like a column each.
pub fn recording(name: &str, neurons: usize, seed: u64) -> Recording {
    sized(name, neurons, (12, 16), seed)
}

pub fn sized(name: &str, neurons: usize, (h, w): (usize, usize), seed: u64) -> Recording {
    let tiers = [
        (40, Tier::Train, 1),
        (12, Tier::Validation, 1),
        (6, Tier::Test, 3),
    ];
    let images = 58;
    let grey = noise(images * h * w, seed);
    let images = Array3::from_shape_fn((images, h, w), |(i, y, x)| {
        (100.0 + 50.0 * grey[(i * h + y) * w + x]).round() as f32
    });
    let mut trials = Vec::new();
    let mut image = 0;
    for (count, tier, repeats) in tiers {
        for _ in 0..count {
            trials.extend(vec![Trial { image, tier }; repeats]);
            image += 1;
        }
    }
    let jitter = noise(trials.len() * neurons, seed + 1);
    let responses = Array2::from_shape_fn((trials.len(), neurons), |(t, n)| {
        let column = images.slice(ndarray::s![trials[t].image, .., 3 + n]);
        let drive = (column.sum() / h as f32 - 100.0) / 20.0 + jitter[t * neurons + n] as f32;
        if (t + n) % 11 == 0 {
            f32::NAN
        } else {
            2.0 * (1.0 + drive.exp()).ln()
        }
    });
    let layers = (0..neurons).map(|n| format!("L{n}")).collect();
    let table = Table::new()
        .with("neuron", Column::Integer((0..neurons as i64).collect()))
        .with("layer", Column::Text(layers));
    Recording {
        name: name.into(),
        images,
        responses,
        trials,
        neurons: Some(table),
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    }
}

/// A configuration of two small layers; `training` is the section's body.
pub fn config(recordings: &str, training: &str) -> String {
    format!(
        "recordings = {recordings}\n[core]\norientations = 4\nfilter_sizes = [5, 3]\nfeatures = [2, 2]\n\
         [penalties]\nsmoothness = 0.001\ngroup_sparsity = 0.001\nreadout_sparsity = 0.001\n\
         [training]\nbatch_size = 16\n{training}\n"
    )
}

/// A folder with a recording `rec` of five neurons and `c.toml`.
pub fn folder(training: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    recording("rec", 5, 1)
        .write(&folder.path().join("rec"))
        .unwrap();
    fs::write(folder.path().join("c.toml"), config("[\"rec\"]", training)).unwrap();
    folder
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every path below a folder, with the content of its file.
pub fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path.clone());
                found.insert(path, Vec::new());
            } else {
                let content = fs::read(&path).unwrap();
                found.insert(path, content);
            }
        }
    }
    found
}

/// The counters of a run that can be resumed.
pub fn state(run: &Path) -> serde_json::Value {
    let tensors = Tensors::read(&run.join("resume.safetensors")).unwrap();
    serde_json::from_str(&tensors.metadata["state"]).unwrap()
}

/// Bits of every tensor in a file.
pub fn bits(file: &Path) -> BTreeMap<String, Vec<u32>> {
    let tensors = Tensors::read(file).unwrap().tensors.into_iter();
    tensors
        .map(|(name, (_, v))| (name, v.into_iter().map(f32::to_bits).collect()))
        .collect()
}

/// `history.csv` without its last column, the seconds.
pub fn history(run: &Path) -> String {
    let text = fs::read_to_string(run.join("history.csv")).unwrap();
    assert!(text.lines().next().unwrap().ends_with(",seconds"));
    let lines = text.lines().map(|l| l.rsplit_once(',').unwrap().0);
    lines.collect::<Vec<_>>().join("\n")
}

/// Everything of a run that must not depend on how often it was stopped.
#[track_caller]
pub fn assert_same_run(a: &Path, b: &Path) {
    let model = "model.safetensors";
    assert_eq!(history(a), history(b));
    assert!(
        fs::read(a.join(model)).unwrap() == fs::read(b.join(model)).unwrap(),
        "{model}"
    );
    let (x, y) = (
        bits(&a.join("resume.safetensors")),
        bits(&b.join("resume.safetensors")),
    );
    assert!(x.keys().eq(y.keys()));
    for (name, values) in &x {
        assert!(*values == y[name], "{name}");
    }
    let timeless = |run| {
        let mut state = state(run);
        state["seconds"] = 0.into();
        for row in state["history"].as_array_mut().unwrap() {
            row["seconds"] = 0.into();
        }
        state
    };
    assert_eq!(timeless(a), timeless(b));
}
