//! What cannot work: exit code 2, one line that says where, what, got and wanted, and nothing written.

mod arguments;
mod checkpoints;
mod configurations;
mod recordings;
use super::small::{self, config, copy, everything, recording, sized, striate};
use super::{SHORT, edit, trained};
use ndarray::{Array2, Array3};
use std::fs;
use std::path::Path;
use striate::device::Device;
use striate::model::Model;
use striate::model::checkpoint::Tensors;
use striate::npy;

struct Case {
    name: &'static str,
    damage: Box<dyn Fn(&Path)>,
    line: &'static str,
    parts: &'static [&'static str],
}

fn case(
    name: &'static str,
    damage: impl Fn(&Path) + 'static,
    line: &'static str,
    parts: &'static [&'static str],
) -> Case {
    Case {
        name,
        damage: Box::new(damage),
        line,
        parts,
    }
}

fn nothing(_: &Path) {}

/// Puts bytes into a file.
fn put(file: &'static str, bytes: &'static [u8]) -> impl Fn(&Path) {
    move |f| fs::write(f.join(file), bytes).unwrap()
}

/// Keeps the first bytes of a file.
fn cut(file: &'static str, keep: usize) -> impl Fn(&Path) {
    move |f| {
        let bytes = fs::read(f.join(file)).unwrap();
        fs::write(f.join(file), &bytes[..keep]).unwrap();
    }
}

/// Changes the tensors of the run's model.
fn model(change: impl Fn(&mut Tensors) + 'static) -> impl Fn(&Path) {
    move |f| edit(&f.join("run/model.safetensors"), &change)
}

fn resume(change: impl Fn(&mut Tensors) + 'static) -> impl Fn(&Path) {
    move |f| edit(&f.join("run/resume.safetensors"), &change)
}

/// Replaces a line of the configuration that starts like this.
fn configured(from: &'static str, to: &'static str) -> impl Fn(&Path) {
    move |f| {
        let text = config("[\"rec\"]", SHORT);
        assert!(text.contains(from));
        fs::write(f.join("c.toml"), text.replacen(from, to, 1)).unwrap();
    }
}

fn image(name: &'static str, shape: (usize, usize, usize), value: f32) -> impl Fn(&Path) {
    move |f| npy::write(&f.join(name), Array3::from_elem(shape, value).view()).unwrap()
}

const TRAIN: &str = "train c.toml --out new";
const PREDICT: &str = "predict run --images x.npy --out y.npy";
const RESUME: &str = "train c.toml --out run --resume --set training.max_steps=9";

/// A safetensors file of one header and no data.
fn lying(f: &Path) {
    let header = br#"{"readout.rec.mask":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,64]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 64]);
    fs::write(f.join("run/model.safetensors"), bytes).unwrap();
}

fn halves(f: &Path) {
    let header = br#"{"readout.rec.mask":{"dtype":"F16","shape":[2,2,2],"data_offsets":[0,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 16]);
    fs::write(f.join("run/model.safetensors"), bytes).unwrap();
}

fn not_a_number(f: &Path) {
    let file = f.join("run/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(file, bytes).unwrap();
}

fn in_place_of_a_file(file: &'static str) -> impl Fn(&Path) {
    move |f| {
        fs::remove_file(f.join(file)).unwrap();
        fs::create_dir(f.join(file)).unwrap();
    }
}

fn second(recording: &'static str, name: &'static str, neurons: usize) -> impl Fn(&Path) {
    move |f| {
        small::recording(name, neurons, 5)
            .write(&f.join(recording))
            .unwrap();
    }
}

fn refused(cases: Vec<Case>) {
    let base = trained();
    let mut failures = Vec::new();
    for case in cases {
        let f = tempfile::tempdir().unwrap();
        copy(base.path(), f.path());
        // Where it was trained is another folder.
        let own = fs::read_to_string(f.path().join("run/config.toml")).unwrap();
        let from = base.path().canonicalize().unwrap();
        let here = f.path().canonicalize().unwrap();
        let own = own.replace(&from.display().to_string(), &here.display().to_string());
        fs::write(f.path().join("run/config.toml"), own).unwrap();
        (case.damage)(f.path());
        let before = everything(f.path());
        let done = striate(f.path(), case.line);
        let errors: Vec<&str> = done
            .err
            .lines()
            .filter(|l| l.starts_with("striate: "))
            .collect();
        let last = done.err.lines().last().unwrap_or_default();
        let one = errors.len() == 1 && errors[0] == last;
        let calm = !done.err.contains("panicked") && !done.err.contains("backtrace");
        let told = case.parts.iter().all(|p| last.contains(p));
        let unchanged = before == everything(f.path());
        if !(done.code == 2 && one && calm && told && unchanged) {
            failures.push(format!(
                "{} (`{}`): code {}, one line {one}, told {told}, unchanged {unchanged}\n{}",
                case.name, case.line, done.code, done.err
            ));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn a_bad_recording_is_refused_in_one_line() {
    refused(recordings::cases());
}

#[test]
fn a_bad_configuration_is_refused_in_one_line() {
    refused(configurations::cases());
}

#[test]
fn a_bad_checkpoint_is_refused_in_one_line() {
    refused(checkpoints::cases());
}

#[test]
fn a_bad_argument_is_refused_in_one_line() {
    refused(arguments::cases());
}

#[test]
fn no_damaged_byte_of_a_run_makes_it_panic() {
    let f = trained();
    let run = f.path().join("run");
    for name in ["model.safetensors", "config.toml"] {
        let file = run.join(name);
        let bytes = fs::read(&file).unwrap();
        // The header, and some of the numbers behind it.
        for at in (0..bytes.len().min(1600))
            .step_by(3)
            .chain((1600..bytes.len()).step_by(997))
        {
            for flip in [0x01, 0x12, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                fs::write(&file, &damaged).unwrap();
                let _ = Model::open(&run, &Device::Cpu);
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    Model::open(&run, &Device::Cpu).unwrap();
}
