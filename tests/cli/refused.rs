//! What cannot work: exit code 2, one line that says where, what, got and wanted, and nothing written.

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

fn recordings() -> Vec<Case> {
    vec![
        case(
            "no images",
            |f| fs::remove_file(f.join("rec/images.npy")).unwrap(),
            TRAIN,
            &["rec/images.npy", "cannot read"],
        ),
        case(
            "truncated images",
            cut("rec/images.npy", 400),
            "inspect rec",
            &["rec/images.npy", "truncated"],
        ),
        case(
            "garbage images",
            put("rec/images.npy", b"hello"),
            "evaluate run",
            &["rec/images.npy", "ends within its header"],
        ),
        case(
            "unknown tier",
            put("rec/trials.csv", b"image,tier\n0,oracle\n"),
            TRAIN,
            &["trials.csv", "line 2", "oracle", "validation"],
        ),
        case(
            "too few trials",
            put("rec/trials.csv", b"image,tier\n0,train\n1,test\n"),
            "inspect rec",
            &["trials.csv", "is 2", "70"],
        ),
        case(
            "misspelt metadata",
            put("rec/recording.toml", b"nome = \"x\"\n"),
            TRAIN,
            &["recording.toml", "nome", "`name`"],
        ),
        case(
            "slash in the name",
            put("rec/recording.toml", b"name = \"a/b\"\n"),
            TRAIN,
            &["a/b", "without slashes"],
        ),
        case(
            "constant images",
            |f| {
                npy::write(
                    &f.join("rec/images.npy"),
                    Array3::from_elem((58, 12, 16), 7_u8).view(),
                )
                .unwrap();
            },
            TRAIN,
            &["rec", "SD of the training images", "7"],
        ),
        case(
            "infinite response",
            |f| {
                let mut r = recording("rec", 5, 1).responses;
                r[[3, 2]] = f32::INFINITY;
                npy::write(&f.join("rec/responses.npy"), r.view()).unwrap();
            },
            "evaluate run",
            &["responses.npy", "trial 3", "neuron 2", "inf"],
        ),
        case(
            "two of one name",
            |f| {
                second("rec2", "rec", 5)(f);
                fs::write(f.join("c.toml"), config("[\"rec\", \"rec2\"]", SHORT)).unwrap();
            },
            TRAIN,
            &["rec2", "\"rec\"", "recording.toml"],
        ),
        case(
            "other neurons",
            second("rec2", "x", 4),
            "evaluate run --recording rec2",
            &["number of neurons", "4", "5"],
        ),
        case(
            "other size",
            |f| sized("x", 5, (13, 16), 1).write(&f.join("rec2")).unwrap(),
            "evaluate run --recording rec2",
            &["13 x 16", "12 x 16"],
        ),
        case(
            "no recording",
            nothing,
            "evaluate run --recording nowhere",
            &["nowhere", "does not exist"],
        ),
        case(
            "neither",
            nothing,
            "inspect nowhere",
            &["nowhere", "does not exist"],
        ),
    ]
}

fn configurations() -> Vec<Case> {
    vec![
        case(
            "unknown key",
            configured("features", "feature"),
            TRAIN,
            &[
                "c.toml",
                "[core]",
                "\"feature\"",
                "did you mean \"features\"",
            ],
        ),
        case(
            "unknown section",
            configured("[training]", "[trainin]"),
            TRAIN,
            &["trainin", "\"training\""],
        ),
        case(
            "broken TOML",
            configured("[training]", "[training"),
            TRAIN,
            &["c.toml", "line "],
        ),
        case(
            "wrong type",
            configured("batch_size = 16", "batch_size = \"many\""),
            TRAIN,
            &["c.toml", "many", "batch_size"],
        ),
        case(
            "batch of none",
            configured("batch_size = 16", "batch_size = 0"),
            TRAIN,
            &["training.batch_size is 0", "at least 1"],
        ),
        case(
            "even filter",
            configured("[5, 3]", "[5, 4]"),
            TRAIN,
            &["core.filter_sizes", "[5, 4]", "odd"],
        ),
        case(
            "no layers",
            configured("[5, 3]", "[]"),
            TRAIN,
            &["core.filter_sizes", "[]"],
        ),
        case(
            "layers that differ",
            configured("[2, 2]", "[2]"),
            TRAIN,
            &["core.features", "[2]", "2 as in core.filter_sizes"],
        ),
        case(
            "padding beyond the image",
            configured(
                "orientations = 4\nfilter_sizes = [5, 3]",
                "padding = \"valid\"\nfilter_sizes = [11, 3]",
            ),
            TRAIN,
            &["valid", "12 x 16", "more than 12"],
        ),
        case(
            "beyond all memory",
            configured(
                "orientations = 4\nfilter_sizes = [5, 3]\nfeatures = [2, 2]",
                "orientations = 64\nfilter_sizes = [5, 13, 13, 13, 13, 13, 13]\nfeatures = [4096, 4096, 4096, 4096, 4096, 4096, 4096]",
            ),
            TRAIN,
            &["memory", "bytes", "at most"],
        ),
        case(
            "no recordings",
            configured("[\"rec\"]", "[]"),
            TRAIN,
            &["c.toml", "recordings", "at least one"],
        ),
        case(
            "recording nowhere",
            configured("[\"rec\"]", "[\"gone\"]"),
            "train ./c.toml --out new",
            &["gone", "neither ./gone nor gone"],
        ),
        case(
            "kind of another version",
            configured("orientations = 4", "kind = \"kindel\""),
            TRAIN,
            &["core.kind", "in this version"],
        ),
        case(
            "negative penalty",
            configured("smoothness = 0.001", "smoothness = -1"),
            TRAIN,
            &["penalties.smoothness is -1"],
        ),
        case(
            "no configuration",
            nothing,
            "train nothing.toml --out new",
            &["nothing.toml", "cannot read"],
        ),
        case(
            "a directory",
            nothing,
            "train rec --out new",
            &["rec", "cannot read"],
        ),
    ]
}

fn checkpoints() -> Vec<Case> {
    let inspect = "inspect run";
    vec![
        case(
            "truncated",
            cut("run/model.safetensors", 900),
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "empty",
            put("run/model.safetensors", b""),
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "garbage",
            put(
                "run/model.safetensors",
                b"\xff\xff\xff\xff\xff\xff\xff\x7f garbage garbage",
            ),
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "lying header",
            lying,
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "16-bit floats",
            halves,
            inspect,
            &["readout.rec.mask", "F16", "F32"],
        ),
        case(
            "NaN",
            not_a_number,
            inspect,
            &["model.safetensors", "NaN", "a finite number"],
        ),
        case(
            "a directory",
            in_place_of_a_file("run/model.safetensors"),
            inspect,
            &["model.safetensors", "a directory"],
        ),
        case(
            "no model",
            |f| fs::remove_file(f.join("run/model.safetensors")).unwrap(),
            inspect,
            &["model.safetensors", "cannot read"],
        ),
        case(
            "no configuration",
            |f| fs::remove_file(f.join("run/config.toml")).unwrap(),
            "evaluate run",
            &["config.toml", "cannot read"],
        ),
        case(
            "missing tensor",
            model(|t| drop(t.tensors.remove("core.1.coefficients"))),
            "verify-equivariance run",
            &["core.1.coefficients", "missing"],
        ),
        case(
            "wrong shape",
            model(|t| {
                t.tensors
                    .get_mut("readout.rec.features")
                    .unwrap()
                    .0
                    .reverse()
            }),
            "evaluate run",
            &["readout.rec.features", "[8, 5]", "[5, 8]"],
        ),
        case(
            "no SD",
            model(|t| t.tensors.get_mut("input.sd").unwrap().1[0] = 0.0),
            "evaluate run",
            &["input.sd", "is 0", "above 0"],
        ),
        case(
            "no scale",
            model(|t| t.tensors.get_mut("readout.rec.response_scale").unwrap().1[3] = 0.0),
            "evaluate run",
            &["element 3 of readout.rec.response_scale", "above 0"],
        ),
        case(
            "negative variance",
            model(|t| t.tensors.get_mut("core.0.norm.variance").unwrap().1[1] = -1.0),
            "evaluate run",
            &["element 1 of core.0.norm.variance", "-1"],
        ),
        case(
            "no readout",
            model(|t| t.tensors.retain(|n, _| !n.starts_with("readout"))),
            "evaluate run",
            &["readout.<name>.mask"],
        ),
        case(
            "empty mask",
            model(|t| t.insert("readout.x.mask".into(), &[0, 3, 4], vec![])),
            inspect,
            &["readout.x.mask", "no empty axis"],
        ),
        case(
            "flat mask",
            model(|t| t.tensors.get_mut("readout.rec.mask").unwrap().0 = vec![960]),
            inspect,
            &["readout.rec.mask", "[960]", "(neurons, height, width)"],
        ),
        case(
            "no run",
            nothing,
            "evaluate nowhere",
            &["nowhere", "does not exist"],
        ),
        case(
            "no match for --init",
            |f| {
                let mut t = Tensors::default();
                t.insert("core.0.coefficients".into(), &[1], vec![1.0]);
                t.write(&f.join("other.safetensors")).unwrap();
            },
            "train c.toml --out new --init other.safetensors",
            &["other.safetensors", "--init"],
        ),
        case(
            "no --init",
            nothing,
            "train c.toml --out new --init gone",
            &["gone", "cannot read"],
        ),
        case(
            "garbage to resume",
            put("run/resume.safetensors", b"garbage"),
            RESUME,
            &["resume.safetensors", "not a safetensors file"],
        ),
        case(
            "no state to resume",
            resume(|t| t.metadata.clear()),
            RESUME,
            &["resume.safetensors", "no training state"],
        ),
        case(
            "nonsense to resume",
            resume(|t| drop(t.metadata.insert("state".into(), "{}".into()))),
            RESUME,
            &["resume.safetensors", "makes no sense"],
        ),
        case(
            "another model to resume",
            resume(|t| {
                t.tensors
                    .get_mut("now.values.core.0.coefficients")
                    .unwrap()
                    .0
                    .reverse()
            }),
            RESUME,
            &["now.values.core.0.coefficients", "shape"],
        ),
        case(
            "half to resume",
            resume(|t| t.tensors.retain(|n, _| !n.starts_with("best."))),
            RESUME,
            &["best.values", "missing"],
        ),
        case(
            "nothing to compare with",
            |f| fs::remove_file(f.join("run/config.toml")).unwrap(),
            RESUME,
            &["run/config.toml", "cannot read"],
        ),
    ]
}

fn arguments() -> Vec<Case> {
    vec![
        case(
            "unknown device",
            nothing,
            "info --device tpu",
            &["--device", "\"tpu\"", "cuda:N"],
        ),
        case(
            "no CUDA",
            nothing,
            "evaluate run --device cuda:99",
            &["--device", "cuda:99"],
        ),
        case(
            "neurons beyond",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out y.npy --neurons 3-5",
            &["--neurons", "\"3-5\"", "0 to 4"],
        ),
        case(
            "neurons in words",
            nothing,
            "evaluate run --neurons all",
            &["--neurons", "\"all\""],
        ),
        case(
            "a neuron twice",
            nothing,
            "evaluate run --neurons 0-2,1",
            &["--neurons", "neuron 1 twice"],
        ),
        case(
            "set without value",
            nothing,
            "train c.toml --out new --set training",
            &["--set", "\"training\"", "KEY=VALUE"],
        ),
        case(
            "set of an unknown key",
            nothing,
            "train c.toml --out new --set training.step=3",
            &["--set", "\"step\"", "did you mean"],
        ),
        case(
            "set of a wrong type",
            nothing,
            "train c.toml --out new --set training.phases=two",
            &["two", "phases"],
        ),
        case(
            "unknown readout",
            nothing,
            "evaluate run --readout other",
            &["--readout", "other", "rec"],
        ),
        case("no images", nothing, PREDICT, &["x.npy", "cannot read"]),
        case(
            "images of another size",
            image("x.npy", (2, 16, 12), 3.0),
            PREDICT,
            &["16 x 12", "12 x 16"],
        ),
        case(
            "one image without its axis",
            |f| npy::write(&f.join("x.npy"), Array2::<f32>::zeros((12, 16)).view()).unwrap(),
            PREDICT,
            &["x.npy", "[12, 16]", "(images, height, width)"],
        ),
        case(
            "infinite grey",
            image("x.npy", (2, 12, 16), f32::INFINITY),
            PREDICT,
            &["x.npy", "image 0, row 0, column 0", "inf"],
        ),
        case(
            "out in no directory",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out gone/y.npy",
            &["gone/y.npy", "gone does not exist"],
        ),
        case(
            "out is a directory",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out rec",
            &["rec", "this is a directory"],
        ),
        case(
            "out below a file",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out c.toml/y.npy",
            &["c.toml is not a directory"],
        ),
        case(
            "full disk",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out /dev/full",
            &["/dev/full", "space"],
        ),
        case(
            "unwritable",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out /proc/y.npy",
            &["/proc/y.npy", "cannot write"],
        ),
        case(
            "run is a file",
            put("file", b"x"),
            "train c.toml --out file",
            &["file", "cannot create"],
        ),
        case(
            "run is a recording",
            nothing,
            "train c.toml --out rec",
            &["rec", "this is a recording"],
        ),
        case(
            "recording exists",
            nothing,
            "simulate --out rec --neurons 5 --train 20 --validation 4 --test 4 --repeats 2 --height 24 --width 24",
            &["rec", "not empty"],
        ),
        case(
            "images too small to simulate",
            nothing,
            "simulate --out sim --height 5 --width 5",
            &["image height", "5"],
        ),
        case(
            "images beyond all memory",
            nothing,
            "simulate --out sim --height 1000000 --width 1000000",
            &["memory", "bytes"],
        ),
        case(
            "import of nothing",
            nothing,
            "import npy gone --out new",
            &["gone", "does not exist"],
        ),
        case(
            "misspelt option",
            nothing,
            "train c.toml --ouut new",
            &["--ouut", "--out"],
        ),
        case("missing option", nothing, "predict run", &["--images"]),
        case(
            "seed that is no number",
            nothing,
            "evaluate run --seed x",
            &["--seed", "x"],
        ),
    ]
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
    refused(recordings());
}

#[test]
fn a_bad_configuration_is_refused_in_one_line() {
    refused(configurations());
}

#[test]
fn a_bad_checkpoint_is_refused_in_one_line() {
    refused(checkpoints());
}

#[test]
fn a_bad_argument_is_refused_in_one_line() {
    refused(arguments());
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
