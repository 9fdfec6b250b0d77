//! What people hand in: it travels as it is, is understood in every usual shape, and nothing half-made is left.

use super::small::{command, everything, folder, recording, signal, sized, striate};
use super::{SHORT, trained};
use ndarray::{Array3, ArrayView, Axis, Dimension};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use striate::npy;
use striate::recording::Recording;

/// Cells that a number would not give back.
const NEURONS: &str = "neuron,id,root,unit,hash,flag,note\n\
    0,1086606909,864691135474648896,0012,1e5,True, V1 \n\
    1,,,0013,2e7,false,\"1,5\"\n\
    2,1120112145,864691135639556411,-0.10,12e3,true,nan\n\
    3,7,1,00,0x1,,\"a \"\"b\"\"\"\n\
    4,8,2,+1,inf,,\n";

/// The cells of the columns that `NEURONS` adds, row by row.
fn carried(file: &Path) -> Vec<String> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let start = reader.headers().unwrap().iter().position(|h| h == "id");
    let rows = reader.records().map(|r| {
        let cells: Vec<String> = r
            .unwrap()
            .iter()
            .skip(start.unwrap())
            .take(6)
            .map(str::to_string)
            .collect();
        cells.join("|")
    });
    rows.collect()
}

fn save<D: Dimension>(file: &Path, array: ArrayView<'_, f32, D>) {
    npy::write(file, array).unwrap();
}

/// A folder `src` of loose arrays of 20 images of 30 x 40 pixels and five neurons.
fn loose(f: &Path) {
    fs::create_dir(f.join("src")).unwrap();
    let images = Array3::from_shape_fn((20, 30, 40), |(i, y, x)| (i * y + x) as f32 + 0.5);
    save(&f.join("src/images.npy"), images.view());
    let responses = recording("rec", 5, 1).responses;
    save(
        &f.join("src/responses.npy"),
        responses.slice(ndarray::s![..20, ..]),
    );
}

/// Names in a folder that only temporary files have.
fn hidden(f: &Path) -> Vec<String> {
    let names = fs::read_dir(f).unwrap().flatten();
    let names = names.map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|n| n.starts_with('.')).collect()
}

#[test]
fn cells_of_neurons_csv_travel_letter_by_letter() {
    let f = trained();
    let f = f.path();
    loose(f);
    for place in ["rec", "src"] {
        fs::write(f.join(place).join("neurons.csv"), NEURONS).unwrap();
    }
    let wanted = carried(&f.join("rec/neurons.csv"));
    striate(f, "evaluate run").ok();
    striate(f, "glm rec --out glm --penalties 1 --folds 2");
    striate(f, "import npy src --out imported").ok();
    for file in ["run/evaluation.csv", "glm/glm.csv"] {
        assert_eq!(carried(&f.join(file)), wanted, "{file}");
    }
    let imported = fs::read_to_string(f.join("imported/neurons.csv")).unwrap();
    assert_eq!(imported, NEURONS);
}

#[test]
fn recordings_may_have_names_that_look_like_numbers() {
    let f = folder(SHORT);
    let f = f.path();
    for (place, name, seed) in [("a", "0012", 1), ("b", "1e5", 2)] {
        recording(name, 5, seed).write(&f.join(place)).unwrap();
    }
    striate(f, "train c.toml --out run --set recordings=[\"a\",\"b\"]").ok();
    let grid = "--sizes 8 --cycles 1 --contrasts 1 --orientations 2 --phases 2";
    striate(f, &format!("gabors run {grid}")).ok();
    let table = fs::read_to_string(f.join("run/gabors.csv")).unwrap();
    assert!(
        table.contains("\n0012,0,") && table.contains("\n1e5,4,"),
        "{table}"
    );
    striate(f, "tune run").ok();
    let table = fs::read_to_string(f.join("run/tuning.csv")).unwrap();
    assert!(
        table.contains("\n0012,0,") && table.contains("\n1e5,4,"),
        "{table}"
    );
}

#[test]
fn grey_images_may_have_an_axis_of_one_channel_anywhere() {
    let f = trained();
    let f = f.path();
    loose(f);
    let plain = recording("rec", 5, 1).images;
    let larger = sized("x", 5, (24, 24), 1).images;
    let read = |file: &str| fs::read(f.join(file)).unwrap();
    for (name, axis) in [("plain", None), ("first", Some(1)), ("last", Some(3))] {
        let images = match axis {
            Some(axis) => plain.clone().insert_axis(Axis(axis)).into_dyn(),
            None => plain.clone().into_dyn(),
        };
        save(&f.join("x.npy"), images.view());
        striate(f, &format!("predict run --images x.npy --out {name}.npy")).ok();
        assert!(
            read("plain.npy") == read(&format!("{name}.npy")),
            "predict {name}"
        );
        let large = match axis {
            Some(axis) => larger.clone().insert_axis(Axis(axis)).into_dyn(),
            None => larger.clone().into_dyn(),
        };
        save(&f.join("large.npy"), large.view());
        let simulate = "--neurons 5 --train 20 --validation 4 --test 4 --repeats 2";
        striate(
            f,
            &format!("simulate --out sim/{name} {simulate} --images large.npy"),
        )
        .ok();
        let stored = |name: &str| read(&format!("sim/{name}/images.npy"));
        assert!(stored("plain") == stored(name), "simulate {name}");
        save(&f.join("rec/images.npy"), images.view());
        let opened = Recording::open(&f.join("rec")).unwrap();
        assert_eq!(opened.images, plain, "{name}");
        save(
            &f.join("src/images.npy"),
            images.slice_axis(Axis(0), (..20).into()),
        );
        striate(f, &format!("import npy src --out imported/{name}")).ok();
        let opened = Recording::open(&f.join("imported").join(name)).unwrap();
        assert_eq!(opened.images.dim(), (20, 12, 16), "{name}");
    }
}

#[test]
fn a_signal_during_an_import_leaves_nothing_behind() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    fs::create_dir(f.join("src")).unwrap();
    let images = Array3::from_shape_fn((6000, 30, 30), |(i, y, x)| (i + y * x) as f32 + 0.5);
    save(&f.join("src/images.npy"), images.view());
    save(
        &f.join("src/responses.npy"),
        Array3::<f32>::ones((1, 6000, 40)).view(),
    );
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        // A machine that is busy elsewhere may send the signal only after the last byte.
        let stopped = (0..20).any(|_| {
            let mut child = command(f, "import npy src --out out");
            let child = child.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = child.spawn().unwrap();
            while child.try_wait().unwrap().is_none() && hidden(f).is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            // Whoever has been waited for has no number to send it to.
            if child.try_wait().unwrap().is_none() {
                signal(&child, name);
            }
            let got = child.wait().unwrap().code();
            assert!(hidden(f).is_empty(), "{name}: {:?}", hidden(f));
            let whole = f.join("out").exists();
            if whole {
                Recording::open(&f.join("out")).unwrap();
                fs::remove_dir_all(f.join("out")).unwrap();
            }
            got == Some(code) && !whole
        });
        assert!(stopped, "{name} never stopped it with {code}");
    }
}

#[test]
fn a_write_that_fails_names_the_file_that_should_have_been() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    loose(f);
    let before = everything(f);
    let simulate =
        "simulate --out new --neurons 5 --train 60 --validation 4 --test 4 --height 24 --width 24";
    for line in ["import npy src --out new", simulate] {
        // A file may not pass 8 blocks of 512 bytes, and says so instead of killing the process.
        let limited = format!("trap '' XFSZ; ulimit -f 8; exec \"$0\" {line}");
        let done = Command::new("sh")
            .args(["-c", &limited, env!("CARGO_BIN_EXE_striate")])
            .current_dir(f)
            .output()
            .unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{line}: {told}");
        assert!(
            told.starts_with("striate: new/images.npy: cannot write: "),
            "{told}"
        );
        assert!(!told.contains(".striate-"), "{told}");
        assert!(everything(f) == before && hidden(f).is_empty(), "{line}");
    }
}

#[test]
fn names_that_are_not_utf_8_are_refused_not_garbled() {
    let f = folder(SHORT);
    let f = f.path();
    let strange = OsStr::from_bytes(b"re\xe7");
    fs::rename(f.join("rec"), f.join(strange)).unwrap();
    let refused = |command: &mut Command, part: &str| {
        let done = command.output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{told}");
        assert!(told.lines().count() == 1 && told.contains(part), "{told}");
        assert!(told.contains("UTF-8"), "{told}");
    };
    fs::remove_file(f.join(strange).join("recording.toml")).unwrap();
    refused(command(f, "inspect").arg(strange), "\"re\\xE7\"");
    let simulate =
        "simulate --neurons 5 --train 20 --validation 4 --test 4 --height 24 --width 24 --out";
    refused(
        command(f, simulate).arg(OsStr::from_bytes(b"s\xe7")),
        "\"s\\xE7\"",
    );
    fs::rename(f.join("c.toml"), f.join(strange).join("c.toml")).unwrap();
    // What has a name of its own need not take the folder's, but a configuration cannot say where it is.
    fs::write(f.join(strange).join("recording.toml"), "name = \"mine\"\n").unwrap();
    assert!(
        command(f, "inspect")
            .arg(strange)
            .output()
            .unwrap()
            .status
            .success()
    );
    let mut train = command(&f.join(strange), "train c.toml --out ../run");
    refused(train.args(["--set", "recordings=[\".\"]"]), "\\xE7");
}

#[test]
fn no_more_threads_than_the_machine_can_run() {
    let f = tempfile::tempdir().unwrap();
    let done = command(f.path(), "info")
        .env("RAYON_NUM_THREADS", "100000")
        .output();
    let told = String::from_utf8(done.unwrap().stderr).unwrap();
    assert!(
        told.starts_with("striate: RAYON_NUM_THREADS=100000: using "),
        "{told}"
    );
    let done = command(f.path(), "info")
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.stderr.is_empty() && text.contains("2 threads"),
        "{text}"
    );
}
