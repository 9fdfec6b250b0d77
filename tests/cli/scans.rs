//! Scans of a file per trial, split and pooled, as a user would.

use super::small::{command, everything, recording, signal, striate};
use ndarray::Axis;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use striate::npy;
use striate::recording::{Recording, Tier};

/// The recording of the other tests as a scan, its trials repeated so often.
fn scan(at: &Path, times: usize) {
    let r = recording("rec", 5, 1);
    for folder in ["data/images", "data/responses", "meta/trials"] {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    let mut tiers = Vec::new();
    for copy in 0..times {
        for (row, trial) in r.trials.iter().enumerate() {
            let name = format!("{}.npy", copy * r.trials.len() + row);
            let image = r.images.index_axis(Axis(0), trial.image);
            let image = image.insert_axis(Axis(0));
            npy::write(&at.join("data/images").join(&name), image).unwrap();
            npy::write(&at.join("data/responses").join(&name), r.responses.row(row)).unwrap();
            let mut word = trial.tier.name().as_bytes().to_vec();
            word.resize(10, 0);
            tiers.extend(word);
        }
    }
    let count = times * r.trials.len();
    let header = format!("{{'descr': '|S10', 'fortran_order': False, 'shape': ({count},), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(tiers);
    fs::write(at.join("meta/trials/tiers.npy"), bytes).unwrap();
}

#[test]
fn a_scan_is_imported_split_and_pooled() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    scan(&f.join("scan"), 1);
    let before = everything(f);
    let told = striate(f, "import sensorium scan --dry-run").ok();
    assert!(told.contains("40 trials of 40 images"), "{told}");
    assert!(everything(f) == before);
    striate(f, "import sensorium scan --out a").ok();
    let (a, wanted) = (
        Recording::open(&f.join("a")).unwrap(),
        recording("rec", 5, 1),
    );
    assert_eq!((&a.images, &a.trials), (&wanted.images, &wanted.trials));
    let told = striate(
        f,
        "split a --out b --folds 4 --fold 2 --validation 0.2 --seed 7 --json",
    )
    .ok();
    let facts: serde_json::Value = serde_json::from_str(&told).unwrap();
    let images = |tier: usize| facts["tiers"][tier]["images"].as_u64().unwrap();
    assert_eq!((images(0), images(1), images(2)), (35, 9, 14));
    fs::write(f.join("a/recording.toml"), "name = \"one\"\n").unwrap();
    recording("two", 3, 1).write(&f.join("two")).unwrap();
    striate(f, "pool a two --out pool --common").ok();
    let pool = Recording::open(&f.join("pool")).unwrap();
    assert_eq!((pool.neuron_count(), pool.trials.len()), (8, 70));
    assert_eq!(pool.trials_of(Tier::Test).len(), 18);
    let told = striate(f, "import sensorium scan a --out several");
    assert_eq!(told.code, 2);
    assert!(!f.join("several").exists());
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    scan(&f.join("scan"), 20);
    let before = everything(f).len();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let stopped = (0..20).any(|_| {
            let mut child = command(f, "import sensorium scan --out new/out");
            let child = child.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = child.spawn().unwrap();
            while child.try_wait().unwrap().is_none() && !f.join("new").exists() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            if child.try_wait().unwrap().is_none() {
                signal(&child, name);
            }
            let got = child.wait().unwrap().code();
            let whole = f.join("new/out").exists();
            if whole {
                Recording::open(&f.join("new/out")).unwrap();
                fs::remove_dir_all(f.join("new")).unwrap();
            }
            assert_eq!(everything(f).len(), before, "{name}");
            got == Some(code) && !whole
        });
        assert!(stopped, "{name} never stopped it with {code}");
    }
}
