//! `import sensorium`: scans of a file per trial, as folders and zips.

mod refused;

use ndarray::{Array1, Array2, ArrayView, Dimension, array};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::npy::{self, Element};
use striate::recording::import::{Sensorium, sensorium};
use striate::recording::{Recording, Summary};

fn save<T: Element, D: Dimension>(path: PathBuf, array: ArrayView<'_, T, D>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    npy::write(&path, array).unwrap();
}

/// A `.npy` file with any header and data.
fn raw(path: &Path, descr: &str, shape: &str, data: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An array of words, `<U24`.
fn words(path: PathBuf, words: &[&str]) {
    let mut bytes = Vec::new();
    for word in words {
        let mut letters: Vec<u32> = word.chars().map(u32::from).collect();
        letters.resize(24, 0);
        bytes.extend(letters.into_iter().flat_map(u32::to_le_bytes));
    }
    raw(&path, "<U24", &format!("({},)", words.len()), &bytes);
}

const TIERS: [&str; 8] = [
    "train",
    "test",
    "none",
    "train",
    "final_test",
    "test",
    "validation",
    "train",
];
/// The image that each trial shows, by its grey level.
const GREY: [u8; 8] = [10, 20, 99, 30, 40, 20, 50, 10];

fn response(trial: usize) -> Array1<f32> {
    Array1::from_shape_fn(3, |n| 0.25 * (trial * 10 + n) as f32 + 1e-7)
}

/// A scan of 8 trials and 3 neurons, images of 4 x 8.
fn scan(at: &Path) {
    for (trial, grey) in GREY.into_iter().enumerate() {
        let name = format!("{trial}.npy");
        let mut image = ndarray::Array3::from_elem((1, 4, 8), grey);
        image[[0, 1, 1]] = 1;
        save(at.join("data/images").join(&name), image.view());
        save(
            at.join("data/responses").join(&name),
            response(trial).view(),
        );
        let behaviour = array![0.5 + trial as f64, 0.0, -1.5];
        save(at.join("data/behavior").join(&name), behaviour.view());
        let pupil = array![trial as f32, f32::NAN];
        save(at.join("data/pupil_center").join(&name), pupil.view());
    }
    fs::write(at.join("data/images/.DS_Store"), "x").unwrap();
    fs::write(at.join("data/responses/._0.npy"), "x").unwrap();
    let meta = at.join("meta");
    words(meta.join("trials/tiers.npy"), &TIERS);
    let ids = array![7_i64, 1_099_511_627_777, 9, 3, 4, 5, 6, 7];
    save(meta.join("trials/frame_image_id.npy"), ids.view());
    let hashed = ["a1f0", "0b22", "c", "d", "e", "f", "00", "7,8"];
    words(meta.join("trials/trial_idx.npy"), &hashed);
    save(
        meta.join("neurons/unit_ids.npy"),
        array![1_i64, 5, 9].view(),
    );
    words(meta.join("neurons/area.npy"), &["V1", "LM", "V1"]);
    words(meta.join("neurons/layer.npy"), &["L2/3", "L2/3", "L4"]);
    let places = array![[1_i64, 2, 3], [4, 5, 6], [7, 8, -9]];
    save(
        meta.join("neurons/cell_motor_coordinates.npy"),
        places.view(),
    );
    save(
        meta.join("statistics/images/all/mean.npy"),
        array![1.0_f64].view(),
    );
}

fn imported(sources: &[PathBuf], out: &Path, options: &Sensorium) -> Result<Vec<Summary>> {
    let made = sensorium(sources, Some(out), options, &mut |_, _, _| Ok(()))?;
    Ok(made.into_iter().map(|(summary, _)| summary).collect())
}

fn plain(source: &Path, out: &Path) -> Summary {
    let made = imported(&[source.to_path_buf()], out, &Sensorium::default());
    made.unwrap().remove(0)
}

fn column(r: &Recording, name: &str) -> Vec<String> {
    r.trial_columns.as_ref().unwrap().text(name).unwrap()
}

#[test]
fn a_scan_becomes_a_recording_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("static26872-17-20-GrayImageNet-94c6ff");
    scan(&source);
    let out = folder.path().join("new/rec");
    let summary = plain(&source, &out);
    assert_eq!((summary.images, summary.neurons, summary.width), (5, 3, 8));
    assert_eq!(summary.warnings, Vec::<String>::new());
    let r = Recording::open(&out).unwrap();
    assert_eq!(r.name, "26872-17-20");
    assert!(r.source.as_ref().unwrap().contains("94c6ff"));
    let grey: Vec<f32> = r.images.outer_iter().map(|i| i[[3, 7]]).collect();
    assert_eq!(grey, [10.0, 20.0, 30.0, 40.0, 50.0]);
    let shown: Vec<(usize, &str)> = r.trials.iter().map(|t| (t.image, t.tier.name())).collect();
    let wanted = [
        (0, "train"),
        (1, "test"),
        (2, "train"),
        (3, "test"),
        (1, "test"),
        (4, "validation"),
        (0, "train"),
    ];
    assert_eq!(shown, wanted);
    for (row, trial) in [0, 1, 3, 4, 5, 6, 7].into_iter().enumerate() {
        assert_eq!(r.responses.row(row), response(trial));
    }
    let header = fs::read(out.join("images.npy")).unwrap();
    assert!(String::from_utf8_lossy(&header[..128]).contains("|u1"));
    assert_eq!(column(&r, "source_tier")[3], "final_test");
    assert_eq!(
        column(&r, "source_trial"),
        ["0", "1", "3", "4", "5", "6", "7"]
    );
    assert_eq!(column(&r, "frame_image_id")[1], "1099511627777");
    assert_eq!(column(&r, "trial_idx")[6], "7,8");
    assert_eq!(column(&r, "pupil_dilation")[2], "3.5");
    assert_eq!(column(&r, "running_speed")[0], "-1.5");
    assert_eq!(
        (
            column(&r, "pupil_x")[1].as_str(),
            column(&r, "pupil_y")[1].as_str()
        ),
        ("1", "")
    );
    let neurons = fs::read_to_string(out.join("neurons.csv")).unwrap();
    assert_eq!(
        neurons,
        "neuron,x,y,z,area,layer,unit_ids\n0,1,2,3,V1,L2/3,1\n1,4,5,6,LM,L2/3,5\n2,7,8,-9,V1,L4,9\n"
    );
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
}

/// Packs a folder, with one top folder and what some systems add.
fn pack(source: &Path, zip: &Path, top: &str) {
    let mut writer = zip::ZipWriter::new(fs::File::create(zip).unwrap());
    let mut open = vec![source.to_path_buf()];
    let mut count = 0;
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            count += 1;
            let method = match count % 2 {
                0 => zip::CompressionMethod::Deflated,
                _ => zip::CompressionMethod::Stored,
            };
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            let name = path.strip_prefix(source).unwrap().display();
            writer.start_file(format!("{top}{name}"), options).unwrap();
            writer.write_all(&fs::read(&path).unwrap()).unwrap();
            writer
                .start_file(format!("__MACOSX/{top}{name}"), options)
                .unwrap();
        }
    }
    writer.finish().unwrap();
}

fn same(a: &Path, b: &Path) {
    for name in ["images.npy", "responses.npy", "trials.csv", "neurons.csv"] {
        assert!(
            fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn zips_and_folders_around_a_scan_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("around/scan");
    scan(&source);
    let at = |name: &str| folder.path().join(name);
    plain(&source, &at("a"));
    plain(&at("around"), &at("b"));
    same(&at("a"), &at("b"));
    for (zip, top) in [
        ("one.zip", "scan/"),
        ("two.ZIP", ""),
        ("three.zip", "x/scan/"),
    ] {
        pack(&source, &at(zip), top);
        let out = at(&format!("{zip}-out"));
        plain(&at(zip), &out);
        same(&at("a"), &out);
    }
    assert_eq!(Recording::open(&at("one.zip-out")).unwrap().name, "one");
}

#[test]
fn several_scans_go_into_one_directory() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    scan(&at("b"));
    pack(&at("b"), &at("c.zip"), "c/");
    let sources = [at("a"), at("c.zip")];
    let made = imported(&sources, &at("out"), &Sensorium::default()).unwrap();
    assert_eq!(made.len(), 2);
    same(&at("out/a"), &at("out/c"));
    // One that is bad leaves none.
    fs::remove_file(at("b/data/responses/6.npy")).unwrap();
    let sources = [at("a"), at("b")];
    imported(&sources, &at("deep/er"), &Sensorium::default()).unwrap_err();
    assert!(!at("deep").exists());
    let twice = [at("a"), at("a")];
    let message = imported(&twice, &at("x"), &Sensorium::default()).unwrap_err();
    assert!(message.to_string().contains("same name"), "{message}");
}

#[test]
fn areas_and_layers_are_chosen_and_images_made_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    let options = Sensorium {
        rescale: Some("0.25".parse().unwrap()),
        area: Some("V1".into()),
        layer: Some("L4".into()),
    };
    imported(&[at("a")], &at("out"), &options).unwrap();
    let r = Recording::open(&at("out")).unwrap();
    assert_eq!((r.height(), r.width(), r.neuron_count()), (1, 2, 1));
    // One of the central four is 1.
    assert_eq!(r.images[[0, 0, 0]], (3.0 * 10.0 + 1.0) / 4.0);
    assert_eq!(r.images[[0, 0, 1]], 10.0);
    assert_eq!(r.responses[[2, 0]], response(3)[2]);
    assert_eq!(r.neurons.unwrap().text("unit_ids").unwrap(), ["9"]);
    let source = r.source.unwrap();
    assert!(
        source.ends_with("rescale 0.25, area V1, layer L4"),
        "{source}"
    );
    let options = Sensorium {
        rescale: Some("area:2".parse().unwrap()),
        ..Sensorium::default()
    };
    imported(&[at("a")], &at("half"), &options).unwrap();
    let r = Recording::open(&at("half")).unwrap();
    assert_eq!(r.images[[0, 0, 0]], (3.0 * 10.0 + 1.0) / 4.0);
}

#[test]
fn wide_responses_stay_wide_wherever_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    let wide = array![0.1_f64, 1.0 / 3.0, 5.0];
    save(at("a/data/responses/6.npy"), wide.view());
    // A later image that is no whole number makes all of them float32.
    let image = Array2::from_elem((4, 8), 0.5_f32);
    save(at("a/data/images/7.npy"), image.view());
    plain(&at("a"), &at("out"));
    let bytes = fs::read(at("out/responses.npy")).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("<f8"));
    assert_eq!(bytes[128 + 5 * 24..][..8], 0.1_f64.to_le_bytes());
    let r = Recording::open(&at("out")).unwrap();
    assert_eq!(r.responses.row(0), response(0));
    assert_eq!((r.images.shape()[0], r.images[[5, 0, 0]]), (6, 0.5));
    assert_eq!(r.images[[1, 3, 3]], 20.0);
}

#[test]
fn every_type_and_order_of_numpy_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    let f = at("a/data/responses");
    raw(
        &f.join("0.npy"),
        ">f4",
        "(3,)",
        &[1.5_f32, 0.0, 2.0].map(f32::to_be_bytes).concat(),
    );
    raw(
        &f.join("1.npy"),
        "<i2",
        "(1, 3)",
        &[1_i16, -2, 3].map(i16::to_le_bytes).concat(),
    );
    raw(&f.join("3.npy"), "<f2", "(3, 1)", &[0, 0x3c, 0, 0, 0, 0xc0]);
    raw(&f.join("4.npy"), "|b1", "(3,)", &[1, 0, 1]);
    let image = [10.0_f64, 1.0, 7.5, 3.0].map(f64::to_be_bytes).concat();
    raw(
        &at("a/data/images/3.npy"),
        ">f8",
        "(4, 8, 1)",
        &image.repeat(8),
    );
    let header = "{'descr': '<u2', 'fortran_order': True, 'shape': (4, 8), }\n";
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend((0..32_u16).flat_map(u16::to_le_bytes));
    fs::write(at("a/data/images/6.npy"), bytes).unwrap();
    plain(&at("a"), &at("out"));
    let r = Recording::open(&at("out")).unwrap();
    assert_eq!(r.responses.row(0).to_vec(), [1.5, 0.0, 2.0]);
    assert_eq!(r.responses.row(1).to_vec(), [1.0, -2.0, 3.0]);
    assert_eq!(r.responses.row(2).to_vec(), [1.0, 0.0, -2.0]);
    assert_eq!(r.responses.row(3).to_vec(), [1.0, 0.0, 1.0]);
    assert_eq!(r.images[[2, 0, 2]], 7.5);
    assert_eq!((r.images[[4, 1, 0]], r.images[[4, 0, 1]]), (1.0, 4.0));
}

#[test]
fn responses_that_were_kept_back_are_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    for trial in [1, 4, 5] {
        save(
            at(&format!("a/data/responses/{trial}.npy")),
            array![0.0_f32, 0.0, 0.0].view(),
        );
    }
    let summary = plain(&at("a"), &at("out"));
    assert!(
        summary.warnings[0].contains("3 test trials are 0"),
        "{:?}",
        summary.warnings
    );
    let r = Recording::open(&at("out")).unwrap();
    for (row, trial) in r.trials.iter().enumerate() {
        let test = trial.tier == striate::recording::Tier::Test;
        assert!(r.responses.row(row).iter().all(|x| x.is_nan() == test));
    }
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    let options = Sensorium::default();
    let told = sensorium(&[at("a")], None, &options, &mut |_, _, _| Ok(())).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(told, [(plain(&at("a"), &at("out")), None)]);
}

#[test]
fn an_import_stops_at_any_moment_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    for moments in 0.. {
        let mut left = moments;
        let mut progress = |_: &'static str, _: usize, _: usize| match left {
            0 => Err(striate::Error::Stopped(2)),
            _ => {
                left -= 1;
                Ok(())
            }
        };
        let options = Sensorium::default();
        if sensorium(&[at("a")], Some(&at("new/out")), &options, &mut progress).is_ok() {
            assert!(moments > 1);
            break;
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn names_of_a_configuration_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("a"));
    plain(&at("a"), &at("out"));
    fs::rename(at("a/data/images"), at("a/data/small")).unwrap();
    fs::write(at("a/config.json"), "{\"links\": {\"images\": \"small\"}}").unwrap();
    plain(&at("a"), &at("again"));
    same(&at("out"), &at("again"));
}
