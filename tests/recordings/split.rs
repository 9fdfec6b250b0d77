//! `split`: other tiers, everything else as it was.

use super::{raw, small};
use ndarray::{Array2, Array3};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use striate::Result;
use striate::npy;
use striate::recording::{Recording, Shares, Summary, Test, Tier, split};

/// A recording of 50 images, each shown twice, with everything that is carried along; without tiers.
fn tierless(directory: &Path) {
    fs::create_dir(directory).unwrap();
    let images = Array3::from_shape_fn((50, 2, 3), |(i, y, x)| (i + 50 * (3 * y + x)) as f32);
    npy::write(&directory.join("images.npy"), images.view()).unwrap();
    let responses = Array2::from_shape_fn((100, 2), |(t, n)| 0.1 + (t * 2 + n) as f64);
    npy::write(&directory.join("responses.npy"), responses.view()).unwrap();
    let rows = (0..100).map(|t| format!("{}, 00{t} ,\"a,b\"\n", t % 50));
    let trials = format!("image,frame,note\n{}", rows.collect::<String>());
    fs::write(directory.join("trials.csv"), trials).unwrap();
    fs::write(directory.join("neurons.csv"), "neuron,id\n00,0012\n1,1e5\n").unwrap();
    let toml = "# kept\nname = \"mouse\"\nsource = \"somewhere\"\n";
    fs::write(directory.join("recording.toml"), toml).unwrap();
}

fn shares(test: f64, validation: f64) -> Shares {
    Shares {
        test: Test::Share(test),
        validation,
    }
}

fn done(from: &Path, to: &Path, shares: Shares, seed: u64) -> Result<Summary> {
    split(from, to, &shares, seed, &mut |_, _, _| Ok(()))
}

fn tiers(directory: &Path) -> HashMap<usize, Tier> {
    let trials = Recording::open(directory).unwrap().trials;
    trials.iter().map(|t| (t.image, t.tier)).collect()
}

#[test]
fn files_stay_as_they_are_and_images_get_tiers() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("rec"), folder.path().join("new/rec2"));
    tierless(&from);
    let summary = done(&from, &to, shares(0.2, 0.14), 1).unwrap();
    let counts: Vec<usize> = summary.tiers.iter().map(|t| t.images).collect();
    // 14 % of the 40 that are not tested, rounded.
    assert_eq!(counts, [34, 6, 10]);
    for name in [
        "images.npy",
        "responses.npy",
        "neurons.csv",
        "recording.toml",
    ] {
        let (old, new) = (fs::read(from.join(name)), fs::read(to.join(name)));
        assert!(old.unwrap() == new.unwrap(), "{name}");
    }
    let opened = Recording::open(&to).unwrap();
    assert_eq!(opened.name, "mouse");
    let columns = opened.trial_columns.as_ref().unwrap();
    assert_eq!(columns.text("frame").unwrap()[7], " 007 ");
    assert_eq!(columns.text("note").unwrap()[99], "a,b");
    assert_eq!(opened.trials_of(Tier::Test).len(), 20);
    // Again, from a recording that has tiers, and from one whose rows came in another order.
    let again = folder.path().join("again");
    done(&to, &again, shares(0.2, 0.14), 1).unwrap();
    assert!(
        fs::read(again.join("trials.csv")).unwrap() == fs::read(to.join("trials.csv")).unwrap()
    );
    let other = folder.path().join("other");
    done(&from, &other, shares(0.2, 0.14), 2).unwrap();
    assert_ne!(tiers(&other), tiers(&to));
}

#[test]
fn folds_test_every_image_once_and_keep_the_directorys_name() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("rec");
    tierless(&from);
    fs::write(from.join("recording.toml"), "degrees_per_pixel = 0.5\n").unwrap();
    let mut tested = vec![0; 50];
    for fold in 0..4 {
        let to = folder.path().join(format!("fold{fold}"));
        let shares = Shares {
            test: Test::Fold { folds: 4, fold },
            validation: 0.1,
        };
        done(&from, &to, shares, 3).unwrap();
        for (image, tier) in tiers(&to) {
            tested[image] += usize::from(tier == Tier::Test);
        }
        let opened = Recording::open(&to).unwrap();
        assert_eq!(opened.name, "rec");
        assert_eq!(opened.degrees_per_pixel, Some(0.5));
    }
    assert_eq!(tested, [1; 50]);
}

#[test]
fn images_with_the_same_pixels_share_a_tier() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("rec"), folder.path().join("rec2"));
    tierless(&from);
    let images = Array3::from_shape_fn((50, 1, 1), |(i, _, _)| (i % 25) as u8);
    npy::write(&from.join("images.npy"), images.view()).unwrap();
    let summary = done(&from, &to, shares(0.2, 0.1), 1).unwrap();
    assert_eq!(summary.tiers[2].images, 10);
    let tiers = tiers(&to);
    assert!((0..25).all(|i| tiers[&i] == tiers[&(i + 25)]));
}

#[test]
fn arrays_in_other_orders_are_copied_too() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("rec"), folder.path().join("rec2"));
    tierless(&from);
    let (values, _) = npy::read(&from.join("responses.npy")).unwrap();
    let turned: Vec<u8> = values.t().iter().flat_map(|x| x.to_be_bytes()).collect();
    raw(
        &from.join("responses.npy"),
        "'>f4'",
        true,
        "(100, 2)",
        &turned,
    );
    done(&from, &to, shares(0.2, 0.1), 1).unwrap();
    assert_eq!(Recording::open(&to).unwrap().responses.into_dyn(), values);
}

#[test]
fn what_cannot_be_split_is_refused_and_leaves_nothing() {
    let refuses = |damage: &dyn Fn(&Path), shares: Shares, parts: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("rec");
        tierless(&from);
        damage(&from);
        let to = folder.path().join("new/rec2");
        let message = match done(&from, &to, shares, 1) {
            Ok(_) => "accepted".to_string(),
            Err(e) => e.to_string(),
        };
        for part in parts {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
        assert!(!folder.path().join("new").exists(), "{parts:?}");
    };
    let usual = shares(0.2, 0.1);
    let nothing = |_: &Path| {};
    refuses(
        &nothing,
        shares(0.001, 0.1),
        &["number of test images", "50"],
    );
    refuses(&nothing, shares(1.5, 0.1), &["--test", "1.5"]);
    refuses(&nothing, shares(0.2, 1.0), &["--validation"]);
    let put = |name: &'static str, text: &'static str| {
        move |d: &Path| fs::write(d.join(name), text).unwrap()
    };
    refuses(
        &put("trials.csv", "image\n0\n"),
        usual,
        &["trials.csv", "is 1", "100"],
    );
    let trials = |from: &'static str, to: &'static str| {
        move |d: &Path| {
            let old = fs::read_to_string(d.join("trials.csv")).unwrap();
            fs::write(d.join("trials.csv"), old.replacen(from, to, 1)).unwrap();
        }
    };
    refuses(
        &trials("\n49,", "\n50,"),
        usual,
        &["trial 49", "is 50", "0 to 49"],
    );
    refuses(
        &trials("image,frame,note", "image,frame,tier"),
        usual,
        &["image,frame,tier"],
    );
    refuses(
        &put("neurons.csv", "neuron\n0\n"),
        usual,
        &["neurons.csv", "is 1"],
    );
    refuses(
        &put("recording.toml", "name = 5\n"),
        usual,
        &["recording.toml", "string"],
    );
    refuses(
        &|d| fs::remove_file(d.join("responses.npy")).unwrap(),
        usual,
        &["responses.npy", "cannot read"],
    );
    refuses(
        &|d| {
            let mut responses = Array2::<f32>::zeros((100, 2));
            responses[[31, 1]] = f32::INFINITY;
            npy::write(&d.join("responses.npy"), responses.view()).unwrap();
        },
        usual,
        &["responses.npy", "trial 31", "neuron 1", "inf"],
    );
    refuses(
        &|d| {
            let responses = Array2::<f32>::from_elem((100, 2), f32::NAN);
            npy::write(&d.join("responses.npy"), responses.view()).unwrap();
        },
        usual,
        &["responses.npy", "neuron 0", "NaN"],
    );
    refuses(
        &|d| {
            let mut images = Array3::<f32>::zeros((50, 2, 3));
            images[[4, 1, 2]] = f32::NAN;
            npy::write(&d.join("images.npy"), images.view()).unwrap();
        },
        usual,
        &["images.npy", "image 4", "row 1", "column 2", "NaN"],
    );
    let folder = tempfile::tempdir().unwrap();
    small().write(&folder.path().join("taken")).unwrap();
    let taken = folder.path().join("taken");
    let message = done(&taken, &taken, usual, 1).unwrap_err().to_string();
    assert!(message.contains("not empty"), "{message}");
}

#[test]
fn a_split_stops_at_any_moment_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("rec");
    tierless(&from);
    let to = folder.path().join("new/rec2");
    let usual = shares(0.2, 0.1);
    for moments in 0.. {
        let mut left = moments;
        let mut progress = |_: &'static str, _: usize, _: usize| match left {
            0 => Err(striate::Error::Stopped(2)),
            _ => {
                left -= 1;
                Ok(())
            }
        };
        if split(&from, &to, &usual, 1, &mut progress).is_ok() {
            assert!(moments > 3);
            break;
        }
        assert!(!folder.path().join("new").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
