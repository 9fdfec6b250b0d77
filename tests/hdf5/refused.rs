//! Sources that make no sense: each is named and refused, and nothing is left behind.

use crate::{fixture, layouts, nwb as sessions};
use std::path::PathBuf;
use striate::hdf5::File;
use striate::recording::import::{Hdf5, Nwb, hdf5, nwb};

/// What is said of `refused.h5` with these options.
#[track_caller]
fn told(options: &Hdf5) -> String {
    told_of(&[fixture("refused.h5")], options)
}

#[track_caller]
fn told_of(sources: &[PathBuf], options: &Hdf5) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/rec");
    let error = hdf5(sources, Some(&out), options, &mut |_, _, _| Ok(())).unwrap_err();
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        0,
        "nothing is left behind"
    );
    error.to_string()
}

#[track_caller]
fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "no \"{part}\" in: {told}");
    }
}

fn with(images: &str, responses: &str, order: Option<&str>, tiers: Option<&str>) -> Hdf5 {
    Hdf5 {
        image_of_trial: order.map(str::to_string),
        tiers: tiers.map(str::to_string),
        ..layouts::paths(images, responses)
    }
}

#[test]
fn images_that_are_none_are_refused() {
    let images = |path: &str| told(&with(path, "/responses", None, None));
    says(
        &images("/colour"),
        &[
            "refused.h5/colour",
            "(12, 3, 4, 6)",
            "(images, height, width)",
        ],
    );
    says(&images("/flat"), &["refused.h5/flat", "shape is (12, 24)"]);
    says(
        &images("/infinite_pixels"),
        &["refused.h5/infinite_pixels", "grey level of image 0", "inf"],
    );
    says(&images("/words"), &["refused.h5/words"]);
    says(&images("/record"), &["refused.h5/record"]);
    says(
        &images("/imags"),
        &["does not exist", "nearest path is /images"],
    );
    says(&images("/group"), &["is a group"]);
}

#[test]
fn responses_that_are_none_are_refused() {
    let responses = |path: &str| told(&with("/images", path, None, None));
    says(&responses("/empty"), &["refused.h5/empty", "(0, 3)"]);
    says(
        &responses("/line"),
        &["refused.h5/line", "(trials, neurons)"],
    );
    says(
        &responses("/words"),
        &["refused.h5/words", "dtype is string, wanted numbers"],
    );
    says(&responses("/record"), &["dtype is record, wanted numbers"]);
    says(&responses("/turned"), &["12 trials", "--transpose"]);
    says(
        &responses("/infinite"),
        &["refused.h5/infinite", "trial 5, neuron 0", "infinite"],
    );
    says(
        &responses("/beyond"),
        &["trial 5, neuron 0", "beyond the range of float32"],
    );
    says(
        &responses("/unknown"),
        &["training responses of neuron 1", "NaN on every trial"],
    );
    says(
        &responses("/claims"),
        &["refused.h5/claims", "more than the file can hold"],
    );
    says(&responses("/images"), &["number of images is 4, wanted 12"]);
}

#[test]
fn numbers_of_images_and_tiers_that_make_no_sense_are_refused() {
    let order = |path: &str| told(&with("/images", "/responses", Some(path), None));
    says(
        &order("/fractions"),
        &[
            "refused.h5/fractions",
            "number at 0 is 0.5",
            "a whole number",
        ],
    );
    says(&order("/negative"), &["image at 0 is -1", "0 to 11"]);
    says(
        &order("/from_one"),
        &["image at 11 is 12", "--first-image 1"],
    );
    says(&order("/too_few"), &["(trials, neurons) of 11 trials"]);
    says(&order("/matrix"), &["shape is (12, 2), wanted one axis"]);
    let tiers = |path: &str| told(&with("/images", "/responses", None, Some(path)));
    says(&tiers("/unknown_tier"), &["tier at 11 is \"training set\""]);
    says(
        &tiers("/few_tiers"),
        &["number of tiers is 5", "12, one per trial"],
    );
    says(&tiers("/no_test"), &["number of test trials is 0"]);
    says(&tiers("/same"), &["tier at 0 is \"0\""]);
    let leak = told(&with(
        "/images",
        "/responses",
        Some("/same"),
        Some("/tiers_of_trials"),
    ));
    says(
        &leak,
        &[
            "trial 1 (image 0)",
            "tier is test, but train in trial 0",
            "leaks",
        ],
    );
}

#[test]
fn sources_of_another_kind_are_told_apart() {
    let plain = layouts::options();
    let of = |name: &str| told_of(&[fixture(name)], &plain);
    says(&of("units.nwb"), &["is an NWB file", "striate import nwb"]);
    says(
        &of("other.h5"),
        &[
            "no known layout",
            "perhaps --images /stimuli/pixels --responses /activity/rates",
        ],
    );
    says(&of("generate.py"), &["is no HDF5 file"]);
    let four = vec![fixture("csi-train.h5"); 4];
    says(&told_of(&four, &plain), &["number of files is 4"]);
    let mixed = [fixture("csi-train.h5"), fixture("openretina.h5")];
    says(
        &told_of(&mixed, &plain),
        &["openretina.h5", "is a file of openretina"],
    );
    let unknown = Hdf5 {
        test_names: vec!["tst".into()],
        ..layouts::options()
    };
    says(
        &told_of(&[fixture("openretina.h5")], &unknown),
        &["--test-names is tst", "moving, test"],
    );
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("alone.h5");
    std::fs::copy(fixture("openretina-shared.h5"), &alone).unwrap();
    let of = || told_of(std::slice::from_ref(&alone), &plain);
    says(
        &of(),
        &["responses_moving", "stimulus_moving", "stimuli/moving.npy"],
    );
    std::fs::create_dir(folder.path().join("stimuli")).unwrap();
    let film = ndarray::Array4::<f32>::zeros((2, 8, 4, 6));
    let place = folder.path().join("stimuli/moving.npy");
    striate::npy::write(&place, film.view()).unwrap();
    says(&of(), &["moving.npy", "(2, 8, 4, 6)", "one grey channel"]);
}

#[test]
fn a_type_with_a_name_is_refused_where_it_is_used_and_does_not_hide_its_neighbours() {
    let file = File::open(&fixture("refused.h5")).unwrap();
    let typed = file.dataset("/group/typed").unwrap();
    assert_eq!(typed.numbers::<f64>().unwrap(), [0.0, 1.0, 2.0]);
    says(
        &file
            .dataset("/group/of_named_type")
            .unwrap_err()
            .to_string(),
        &["refused.h5/group/of_named_type"],
    );
}

#[test]
fn chunks_that_are_cut_off_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("static.h5");
    let bytes = std::fs::read(fixture("static.h5")).unwrap();
    for cut in [8, 100, 1000, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let made = hdf5(
            std::slice::from_ref(&path),
            None,
            &layouts::options(),
            &mut |_, _, _| Ok(()),
        );
        if cut > 100 {
            let told = made.unwrap_err().to_string();
            says(&told, &["static.h5"]);
        }
    }
}

#[test]
fn an_interrupted_import_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/rec");
    for calls in 0..4 {
        let mut left = calls;
        let mut stop = |_: &'static str, _: usize, _: usize| match left {
            0 => Err(striate::Error::Stopped(2)),
            _ => {
                left -= 1;
                Ok(())
            }
        };
        let made = hdf5(
            &[fixture("static.h5")],
            Some(&out),
            &layouts::options(),
            &mut stop,
        );
        if made.is_ok() {
            assert!(calls > 1);
            return;
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[track_caller]
fn session(name: &str, options: &Nwb) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/rec");
    let error = nwb(&fixture(name), Some(&out), options, &mut |_, _, _| Ok(())).unwrap_err();
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        0,
        "nothing is left behind"
    );
    error.to_string()
}

#[test]
fn presentations_that_make_no_sense_are_refused() {
    let stimulus = |name: &str| {
        let by = Nwb {
            stimulus: Some(name.into()),
            images: Some("/stimulus/templates/images".into()),
            ..sessions::options("0-0.2")
        };
        session("refused.nwb", &by)
    };
    says(
        &stimulus("nan_time"),
        &["intervals/nan_time/start_time", "time at 3 is NaN"],
    );
    says(
        &stimulus("fraction"),
        &["intervals/fraction/frame", "image of presentation 0 is 0.5"],
    );
    says(
        &stimulus("negative"),
        &["image of presentation 2 is -7", "--blank"],
    );
    says(
        &stimulus("too_high"),
        &["highest number of an image is 16, wanted at most 11"],
    );
    says(
        &stimulus("ragged"),
        &["intervals/ragged/frame", "number of rows is 24, wanted 20"],
    );
    let several = session("refused.nwb", &sessions::options("0-0.2"));
    says(&several, &["number of stimuli is 6", "--stimulus"]);
    let column = Nwb {
        column: Some("picture".into()),
        stimulus: Some("scenes".into()),
        ..sessions::options("0-0.2")
    };
    says(
        &session("refused.nwb", &column),
        &["has no column `picture`; it has frame, start_time"],
    );
}

#[test]
fn images_of_sessions_that_make_no_sense_are_refused() {
    let images = |path: &str| {
        let by = Nwb {
            stimulus: Some("scenes".into()),
            images: Some(path.into()),
            ..sessions::options("0-0.2")
        };
        session("refused.nwb", &by)
    };
    says(
        &images("/stimulus/templates/two_sizes"),
        &["two_sizes/b", "(3, 6)", "(4, 6)"],
    );
    says(
        &images("/stimulus/templates/colour"),
        &["colour/a", "images are grey"],
    );
    says(
        &images("/stimulus/templates/none"),
        &["number of images is 0"],
    );
    says(&images("/stimulus/templates/scenes"), &["does not exist"]);
    says(&images("/nowhere.npy"), &["/nowhere.npy", "cannot read"]);
    let by = Nwb {
        stimulus: Some("scenes".into()),
        ..sessions::options("0-0.2")
    };
    says(
        &session("refused.nwb", &by),
        &["number of sets of images is 4", "--images"],
    );
}

#[test]
fn traces_and_spikes_that_make_no_sense_are_refused() {
    let by = |path: &str, window: &str| Nwb {
        stimulus: Some("scenes".into()),
        responses: Some(path.into()),
        images: Some("/stimulus/templates/images".into()),
        ..sessions::options(window)
    };
    let traces = |name: &str| session("refused.nwb", &by(&format!("/processing/{name}"), "0-0.2"));
    says(
        &traces("backwards"),
        &["backwards/timestamps", "time at 1 is 98", "later than 99"],
    );
    says(
        &traces("nan_stamps"),
        &["nan_stamps/timestamps", "time at 4 is NaN"],
    );
    says(
        &traces("too_few"),
        &["too_few/data", "(100, 3)", "90 times"],
    );
    says(
        &traces("no_rate"),
        &["no_rate/starting_time", "a positive rate"],
    );
    says(&traces("cube"), &["cube/data", "(100, 3, 2)"]);
    says(&traces("infinite"), &["infinite/data", "infinite"]);
    says(&traces("none"), &["has no series of traces"]);
    let early = by("units", "-9--8");
    says(
        &session("refused.nwb", &early),
        &["number of presentations is 0", "lies within the recording"],
    );
    says(
        &session("refused-index.nwb", &sessions::options("0-0.2")),
        &["spike_times_index", "end of unit 1 is 20"],
    );
    says(
        &session("refused-spikes.nwb", &sessions::options("0-0.2")),
        &["spike 9 of unit 1 is NaN"],
    );
    // Nine presentations fall into the gap of the samples.
    let gap = by("/processing/gap", "0-0.2");
    let told = nwb(&fixture("refused.nwb"), None, &gap, &mut |_, _, _| Ok(())).unwrap();
    says(
        &told.warnings[0],
        &["presentations are left out", "has no sample"],
    );
}
