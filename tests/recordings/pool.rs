//! `pool`: several recordings of one image set as one.

use ndarray::{Array2, Array3};
use std::fs;
use std::path::{Path, PathBuf};
use striate::Result;
use striate::npy;
use striate::recording::{Pooling, Recording, Summary, pool};

/// A recording whose image i is `grey[i]` all over and whose response to trial t of neuron n is `offset + 10 t + n`.
fn write(directory: &Path, grey: &[u8], neurons: usize, offset: f32, trials: &str) {
    fs::create_dir(directory).unwrap();
    let images = Array3::from_shape_fn((grey.len(), 2, 3), |(i, _, _)| grey[i]);
    npy::write(&directory.join("images.npy"), images.view()).unwrap();
    let count = trials.lines().count() - 1;
    let responses = Array2::from_shape_fn((count, neurons), |(t, n)| offset + (10 * t + n) as f32);
    npy::write(&directory.join("responses.npy"), responses.view()).unwrap();
    fs::write(directory.join("trials.csv"), trials).unwrap();
}

const A: &str = "image,tier,frame,when\n0,train,f10,1\n1,test,f20,2\n1,test,f20,3\n2,train,f30,4\n";
const B: &str = "image,tier,when,frame\n2,test,9,f20\n0,train,8,f30\n1,train,7,f40\n";

/// `a` shows 10, 20, 20, 30 to two neurons; `b` shows 20, 30, 40 to one.
fn pair(folder: &Path) -> [PathBuf; 2] {
    let (a, b) = (folder.join("a"), folder.join("b"));
    write(&a, &[10, 20, 30], 2, 0.0, A);
    write(&b, &[30, 40, 20], 1, 500.0, B);
    fs::write(a.join("neurons.csv"), "neuron,layer\n00,L4\n1,L5\n").unwrap();
    fs::write(b.join("neurons.csv"), "neuron,depth\n0,1e2\n").unwrap();
    [a, b]
}

fn pooled(sources: &[PathBuf], out: &Path, common: bool) -> Result<Summary> {
    let how = Pooling {
        common,
        ..Pooling::default()
    };
    pool(sources, out, &how, &mut |_, _, _| Ok(()))
}

fn pooled_by(column: &str, sources: &[PathBuf], out: &Path) -> Result<Summary> {
    let how = Pooling {
        common: true,
        image_id: Some(column.into()),
    };
    pool(sources, out, &how, &mut |_, _, _| Ok(()))
}

fn bits(values: &Array2<f32>) -> Vec<u32> {
    let one = |x: &f32| if x.is_nan() { 1 } else { x.to_bits() };
    values.iter().map(one).collect()
}

#[test]
fn the_kth_showing_of_an_image_is_one_trial() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pair(folder.path());
    let out = folder.path().join("pool");
    let summary = pooled(&sources, &out, false).unwrap();
    assert_eq!((summary.images, summary.neurons), (4, 3));
    let r = Recording::open(&out).unwrap();
    assert_eq!(r.name, "pool");
    let grey: Vec<f32> = r.images.outer_iter().map(|i| i[[1, 2]]).collect();
    assert_eq!(grey, [10.0, 20.0, 30.0, 40.0]);
    let shown: Vec<(usize, &str)> = r.trials.iter().map(|t| (t.image, t.tier.name())).collect();
    let wanted = [
        (0, "train"),
        (1, "test"),
        (1, "test"),
        (2, "train"),
        (3, "train"),
    ];
    assert_eq!(shown, wanted);
    let nan = f32::NAN;
    let responses = ndarray::array![
        [0.0, 1.0, nan],
        [10.0, 11.0, 500.0],
        [20.0, 21.0, nan],
        [30.0, 31.0, 510.0],
        [nan, nan, 520.0],
    ];
    assert_eq!(bits(&r.responses), bits(&responses));
    let neurons = fs::read_to_string(out.join("neurons.csv")).unwrap();
    assert_eq!(
        neurons,
        "neuron,recording,source_neuron,layer,depth\n0,a,0,L4,\n1,a,1,L5,\n2,b,0,,1e2\n"
    );
    // What they agree on is carried along, the rest is named.
    let columns = r.trial_columns.unwrap();
    assert_eq!(
        columns.text("frame").unwrap(),
        ["f10", "f20", "f20", "f30", "f40"]
    );
    assert!(columns.column("when").is_none());
    assert!(
        summary.warnings.join(" ").contains("when"),
        "{:?}",
        summary.warnings
    );
}

#[test]
fn only_images_that_all_show() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pair(folder.path());
    let out = folder.path().join("pool");
    let summary = pooled(&sources, &out, true).unwrap();
    assert_eq!(summary.images, 2);
    let r = Recording::open(&out).unwrap();
    let grey: Vec<f32> = r.images.outer_iter().map(|i| i[[0, 0]]).collect();
    assert_eq!(grey, [20.0, 30.0]);
    assert_eq!(r.trials.len(), 3);
}

#[test]
fn a_pool_of_one_is_that_one_and_wide_responses_stay_wide() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = pair(folder.path());
    let out = folder.path().join("one");
    pooled(std::slice::from_ref(&a), &out, false).unwrap();
    for name in ["images.npy", "responses.npy"] {
        assert!(fs::read(a.join(name)).unwrap() == fs::read(out.join(name)).unwrap());
    }
    assert_eq!(fs::read_to_string(out.join("trials.csv")).unwrap(), A);
    let wide = Array2::from_shape_fn((3, 1), |(t, _)| 0.1 + t as f64);
    npy::write(&b.join("responses.npy"), wide.view()).unwrap();
    let out = folder.path().join("wide");
    pooled(&[a, b], &out, false).unwrap();
    let bytes = fs::read(out.join("responses.npy")).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("<f8"));
    let row = &bytes[128 + 24..128 + 48];
    assert_eq!(row[16..], 0.1_f64.to_le_bytes());
    assert_eq!(row[..8], 10.0_f64.to_le_bytes());
}

#[test]
fn a_pool_of_pools_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pair(folder.path());
    let (pair, again) = (folder.path().join("pair"), folder.path().join("again"));
    pooled(&sources, &pair, false).unwrap();
    write(
        &folder.path().join("c"),
        &[20, 30],
        1,
        0.0,
        "image,tier\n0,test\n1,train\n",
    );
    pooled(&[pair, folder.path().join("c")], &again, false).unwrap();
    let neurons = fs::read_to_string(again.join("neurons.csv")).unwrap();
    let lines: Vec<&str> = neurons.lines().collect();
    assert_eq!(
        lines[0],
        "neuron,recording,source_neuron,earlier_recording,earlier_source_neuron,layer,depth"
    );
    assert_eq!(lines[3], "2,pair,2,b,0,,1e2");
    assert_eq!(lines[4], "3,c,0,,,,");
}

#[test]
fn what_does_not_go_together_is_refused_and_leaves_nothing() {
    let refuses = |damage: &dyn Fn(&Path), common: bool, parts: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let sources = pair(folder.path());
        damage(folder.path());
        let message = match pooled(&sources, &folder.path().join("new/pool"), common) {
            Ok(_) => "accepted".to_string(),
            Err(e) => e.to_string(),
        };
        for part in parts {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
        assert!(!folder.path().join("new").exists(), "{parts:?}");
    };
    let put = |name: &'static str, text: &'static str| {
        move |d: &Path| fs::write(d.join(name), text).unwrap()
    };
    refuses(
        &put("b/trials.csv", "image,tier\n2,train\n0,train\n1,test\n"),
        false,
        &[
            "image 2 of",
            "b/trials.csv",
            "train, but test in image 1 of",
            "a/trials.csv",
            "leaks",
        ],
    );
    refuses(
        &put("b/recording.toml", "name = \"a\"\n"),
        false,
        &["b", "\"a\"", "recording.toml"],
    );
    refuses(
        &put("b/trials.csv", "image\n2\n0\n1\n"),
        false,
        &["b/trials.csv", "\"image,tier\""],
    );
    let images = |grey: u8, width: usize| {
        move |d: &Path| {
            let images = Array3::from_elem((3, 2, width), grey);
            npy::write(&d.join("b/images.npy"), images.view()).unwrap();
        }
    };
    refuses(
        &images(9, 4),
        false,
        &["b/images.npy", "2 x 4", "2 x 3", "a"],
    );
    let other = |d: &Path| {
        let images = Array3::from_shape_fn((3, 2, 3), |(i, _, _)| 100 + i as u8);
        npy::write(&d.join("b/images.npy"), images.view()).unwrap();
    };
    refuses(&other, true, &["number of images that all show", "0"]);
    let responses = |value: f32| {
        move |d: &Path| {
            let responses = Array2::from_elem((3, 1), value);
            npy::write(&d.join("b/responses.npy"), responses.view()).unwrap();
        }
    };
    refuses(
        &responses(f32::INFINITY),
        false,
        &["b/responses.npy", "neuron 0", "inf"],
    );
    refuses(&responses(f32::NAN), false, &["neuron 2", "NaN"]);
    refuses(
        &|d| fs::remove_dir_all(d.join("b")).unwrap(),
        false,
        &["b", "does not exist"],
    );
}

#[test]
fn images_of_one_name_are_one_whatever_their_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = pair(folder.path());
    // The other rig was brighter by one.
    let images = Array3::from_shape_fn((3, 2, 3), |(i, _, _)| [31_u8, 41, 21][i]);
    npy::write(&b.join("images.npy"), images.view()).unwrap();
    let out = folder.path().join("pool");
    let sources = [a, b];
    let summary = pooled_by("frame", &sources, &out).unwrap();
    assert_eq!((summary.images, summary.neurons), (2, 3));
    let r = Recording::open(&out).unwrap();
    let grey: Vec<f32> = r.images.outer_iter().map(|i| i[[0, 0]]).collect();
    assert_eq!(grey, [20.0, 30.0], "as the first recording has them");
    let wanted = [
        [10.0, 11.0, 500.0],
        [20.0, 21.0, f32::NAN],
        [30.0, 31.0, 510.0],
    ];
    let wanted = Array2::from_shape_fn((3, 3), |(t, n)| wanted[t][n]);
    assert_eq!(bits(&r.responses), bits(&wanted));
    let error = |column: &str, trials: &str| {
        fs::write(sources[1].join("trials.csv"), trials).unwrap();
        let out = folder.path().join("other");
        let message = pooled_by(column, &sources, &out).unwrap_err().to_string();
        assert!(!out.exists());
        message
    };
    for (column, trials, parts) in [
        (
            "frames",
            B,
            &["a/trials.csv", "frames", "missing", "frame, when"][..],
        ),
        (
            "frame",
            "image,tier,frame\n2,test,f20\n0,train,\n1,train,f40\n",
            &["b/trials.csv", "row 3", "nothing"],
        ),
        (
            "frame",
            "image,tier,frame\n2,test,f20\n2,test,f30\n1,train,f40\n",
            &["row 3", "\"f30\"", "\"f20\""],
        ),
        (
            "frame",
            "image,tier,frame\n2,test,f20\n0,train,f40\n1,train,f40\n",
            &["images 0 and 1", "f40"],
        ),
    ] {
        let message = error(column, trials);
        for part in parts {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
    }
}
