//! `import hdf5`: layouts that are known, and any by paths.

use crate::{fixture, pixel, response};
use std::path::Path;
use striate::Result;
use striate::recording::import::{Hdf5, hdf5};
use striate::recording::{Recording, Shares, Summary, Test, Tier};

pub fn options() -> Hdf5 {
    Hdf5 {
        images: None,
        responses: None,
        image_of_trial: None,
        tiers: None,
        transpose: false,
        first_image: None,
        test_names: Vec::new(),
        shares: Shares {
            test: Test::Share(0.2),
            validation: 0.1,
        },
        seed: 1,
    }
}

pub fn paths(images: &str, responses: &str) -> Hdf5 {
    Hdf5 {
        images: Some(images.into()),
        responses: Some(responses.into()),
        ..options()
    }
}

fn run(names: &[&str], out: &Path, options: &Hdf5) -> Result<Summary> {
    let sources: Vec<_> = names.iter().map(|n| fixture(n)).collect();
    hdf5(&sources, Some(out), options, &mut |_, _, _| Ok(()))
}

fn made(names: &[&str], options: &Hdf5) -> (Recording, String) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rec");
    let told = run(names, &out, options).unwrap();
    let dry = hdf5(
        &names.iter().map(|n| fixture(n)).collect::<Vec<_>>(),
        None,
        options,
        &mut |_, _, _| Ok(()),
    );
    assert_eq!(
        dry.unwrap().to_string(),
        told.to_string(),
        "a dry run tells the same"
    );
    let neurons = std::fs::read_to_string(out.join("neurons.csv")).unwrap_or_default();
    (Recording::open(&out).unwrap(), neurons)
}

/// Every trial's image has the pixels of the number that `image` gives, and its responses are those that `wanted` gives.
#[track_caller]
fn check(
    r: &Recording,
    image: impl Fn(usize) -> f32,
    number: impl Fn(usize) -> usize,
    wanted: impl Fn(usize, usize) -> f32,
) {
    for (row, trial) in r.trials.iter().enumerate() {
        for y in 0..4 {
            for x in 0..6 {
                let got = r.images[[trial.image, y, x]];
                assert_eq!(
                    got,
                    image(0) + pixel(number(row), y, x),
                    "trial {row}, pixel ({y}, {x})"
                );
            }
        }
        for neuron in 0..3 {
            assert_eq!(
                r.responses[[row, neuron]],
                wanted(row, neuron),
                "trial {row}, neuron {neuron}"
            );
        }
    }
}

fn tiers(r: &Recording) -> String {
    r.trials
        .iter()
        .map(|t| t.tier.name().chars().next().unwrap())
        .collect()
}

#[test]
fn three_files_of_cnn_sys_ident_become_one_recording() {
    let (r, neurons) = made(&["csi-train.h5", "csi-val.h5", "csi-test.h5"], &options());
    assert_eq!(
        (r.name.as_str(), tiers(&r).as_str()),
        ("csi-train", "ttttttttvvtttt")
    );
    assert_eq!(r.trials_of(Tier::Test), [10, 11, 12, 13]);
    let numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10, 11];
    let offset = |row: usize| match row {
        0..8 => (0, 0),
        8..10 => (8, 100),
        _ => (10, 200),
    };
    let wanted = |row, neuron| response(row - offset(row).0, neuron) + offset(row).1 as f32;
    check(&r, |_| 0.0, |row| numbers[row], wanted);
    assert_eq!(r.images.shape()[0], 12, "repeats are one image");
    assert_eq!(neurons, "neuron,unit_ids\n0,5\n1,7\n2,11\n");
    let ids = r.trial_columns.unwrap().text("image_id").unwrap();
    assert_eq!(ids[9..], ["", "10", "11", "10", "11"]);
}

#[test]
fn two_files_are_for_training_and_testing_and_one_is_split_by_image() {
    let (r, _) = made(&["csi-train.h5", "csi-test.h5"], &options());
    assert_eq!(
        (
            r.trials_of(Tier::Train).len(),
            r.trials_of(Tier::Test).len()
        ),
        (8, 4)
    );
    let (r, _) = made(&["csi-train.h5"], &options());
    assert_eq!(
        (
            r.trials_of(Tier::Validation).len(),
            r.trials_of(Tier::Test).len()
        ),
        (1, 2)
    );
}

#[test]
fn films_of_openretina_are_turned_and_frames_shared_with_the_test_are_left_out() {
    let names = Hdf5 {
        test_names: vec!["test".into()],
        ..options()
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rec");
    let told = run(&["openretina.h5"], &out, &names).unwrap();
    assert!(
        told.warnings[0].contains("1 trials show an image that another tier"),
        "{:?}",
        told.warnings
    );
    let (r, neurons) = made(&["openretina.h5"], &names);
    // Frame 0 of "moving" is frame 2 of "test".
    assert_eq!(tiers(&r), "tttttttttt");
    assert_eq!(r.trials_of(Tier::Test), [7, 8, 9]);
    let number = |row: usize| [1, 2, 3, 4, 5, 6, 7, 8, 9, 0][row];
    let wanted = |row: usize, neuron| match row {
        0..7 => response(row + 1, neuron),
        _ => response(row - 7, neuron) + 100.0,
    };
    check(&r, |_| 0.0, number, wanted);
    assert_eq!(neurons, "neuron,roi,type\n0,3,ON\n1,1,OFF\n2,2,ON\n");
    let columns = r.trial_columns.unwrap();
    assert_eq!(columns.text("stimulus").unwrap()[6..8], ["moving", "test"]);
    assert_eq!(columns.text("frame").unwrap()[..2], ["1", "2"]);
    // Sessions may share a film.
    let (shared, _) = made(&["openretina-shared.h5"], &names);
    assert_eq!(shared.images, r.images);
    assert_eq!(shared.responses, r.responses);
}

#[test]
fn the_hdf5_variant_of_sensorium_is_known() {
    let (r, neurons) = made(&["static.h5"], &options());
    assert_eq!(r.trials.len(), 11, "trial 8 is in no tier");
    assert_eq!(r.trials_of(Tier::Test), [8, 9, 10]);
    assert_eq!(r.trials_of(Tier::Validation), [7]);
    let source = |row: usize| if row < 8 { row } else { row + 1 };
    check(
        &r,
        |_| 0.0,
        |row| source(row).min(9),
        |row, neuron| response(source(row), neuron),
    );
    assert_eq!(
        neurons,
        "neuron,x,y,z,area,unit_ids\n0,1,2,3,V1,2\n1,4,5,6,V1,3\n2,7,8,9,LM,9\n"
    );
    let columns = r.trial_columns.unwrap();
    assert_eq!(columns.text("source_tier").unwrap()[9], "final_test");
    assert_eq!(columns.text("frame_image_id").unwrap()[10], "9");
}

#[test]
fn any_file_is_read_by_paths() {
    let by = Hdf5 {
        image_of_trial: Some("/activity/order".into()),
        tiers: Some("/split".into()),
        ..paths("/stimuli/pixels", "/activity/rates")
    };
    let (r, _) = made(&["other.h5"], &by);
    assert_eq!((r.trials.len(), r.images.shape()[0]), (24, 12));
    check(&r, |_| 0.5, |row| 11 - row % 12, response);
    assert_eq!(
        r.trials[0].image, 0,
        "images are in the order of their first showing"
    );
    assert_eq!(r.trials_of(Tier::Test), [0, 1, 12, 13]);
    let (r, _) = made(&["other.h5"], &paths("stimuli/pixels", "repeats"));
    assert_eq!(r.trials.len(), 24, "two repeats of twelve images");
    check(
        &r,
        |_| 0.5,
        |row| row % 12,
        |row, n| response(row % 12, n) + 50.0 * (row / 12) as f32,
    );
}

#[test]
fn float64_responses_keep_their_digits() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rec");
    let by = Hdf5 {
        image_of_trial: Some("/activity/order".into()),
        ..paths("/stimuli/pixels", "/activity/rates")
    };
    run(&["other.h5"], &out, &by).unwrap();
    let (responses, dtype) = striate::npy::read(&out.join("responses.npy")).unwrap();
    assert_eq!(
        (dtype.as_str(), responses.shape()),
        ("float64", [24, 3].as_slice())
    );
}

#[test]
fn matlab_files_are_turned_and_count_from_one() {
    let by = Hdf5 {
        image_of_trial: Some("/order".into()),
        tiers: Some("/tiers".into()),
        ..paths("/imgs", "/resp")
    };
    let (r, _) = made(&["matlab.mat"], &by);
    assert_eq!(r.trials.len(), 24);
    check(&r, |_| 0.0, |row| row % 12, response);
    assert_eq!(tiers(&r)[..12], *"ttttttttvvtt");
    let by = Hdf5 {
        image_of_trial: Some("stim/istim".into()),
        ..paths("imgs", "stim/resp")
    };
    let (r, _) = made(&["matlab.mat"], &by);
    check(&r, |_| 0.0, |row| row % 12, response);
}

#[test]
fn files_of_pytables_are_read() {
    let (r, _) = made(&["pytables.h5"], &options());
    check(&r, |_| 0.0, |row| row, response);
}
