//! `import nwb`: units and traces, tables and series of presentations, versions 1 and 2.

use crate::{fixture, pixel};
use std::path::Path;
use striate::recording::import::{Nwb, nwb, offers};
use striate::recording::{Recording, Shares, Summary, Test};
use striate::{Result, npy};

pub fn options(window: &str) -> Nwb {
    Nwb {
        stimulus: None,
        column: None,
        responses: None,
        window: window.parse().unwrap(),
        sum: true,
        blank: -1.0,
        images: None,
        shares: Shares {
            test: Test::Share(0.2),
            validation: 0.1,
        },
        seed: 1,
    }
}

fn run(name: &str, out: &Path, options: &Nwb) -> Result<Summary> {
    nwb(&fixture(name), Some(out), options, &mut |_, _, _| Ok(()))
}

fn made(name: &str, options: &Nwb) -> (Recording, Summary, String) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rec");
    let told = run(name, &out, options).unwrap();
    let dry = nwb(&fixture(name), None, options, &mut |_, _, _| Ok(())).unwrap();
    assert_eq!(dry.to_string(), told.to_string());
    let neurons = std::fs::read_to_string(out.join("neurons.csv")).unwrap_or_default();
    (Recording::open(&out).unwrap(), told, neurons)
}

/// Trial t shows image t mod 12, and has these responses.
#[track_caller]
fn check(r: &Recording, trials: usize, wanted: impl Fn(usize, usize) -> f32) {
    assert_eq!(
        (r.trials.len(), r.images.shape()),
        (trials, [12, 4, 6].as_slice())
    );
    for (t, trial) in r.trials.iter().enumerate() {
        for (y, x) in [(0, 0), (1, 4), (3, 5)] {
            assert_eq!(
                r.images[[trial.image, y, x]],
                pixel(t % 12, y, x),
                "trial {t}"
            );
        }
        for n in 0..3 {
            assert_eq!(r.responses[[t, n]], wanted(t, n), "trial {t}, neuron {n}");
        }
    }
}

#[test]
fn spikes_are_counted_from_the_first_time_of_a_window_up_to_and_without_its_last() {
    let count = |t: usize, n: usize| ((t + n) % 4) as f32;
    let (r, told, neurons) = made("units.nwb", &options("0.0625-0.25"));
    check(&r, 24, count);
    assert_eq!(r.response_unit.as_deref(), Some("spikes"));
    assert!(
        told.warnings[0].contains("1 presentations without an image are left out"),
        "{:?}",
        told.warnings
    );
    assert_eq!(
        neurons,
        "neuron,id,quality,snr\n0,0,bad,1.5\n1,1,good,2.5\n2,2,good,3.5\n"
    );
    let columns = r.trial_columns.unwrap();
    assert_eq!(columns.text("block").unwrap()[..3], ["a", "b", "a"]);
    assert_eq!(columns.text("start_time").unwrap()[1], "1.25");
    assert_eq!(columns.text("source_image").unwrap()[13], "1");
    let (r, ..) = made("units.nwb", &options("0-0.0625"));
    check(&r, 24, |_, _| 1.0);
    let mean = Nwb {
        sum: false,
        ..options("0-0.25")
    };
    let (r, ..) = made("units.nwb", &mean);
    check(&r, 24, |t, n| (1.0 + count(t, n)) * 4.0);
    assert_eq!(r.response_unit.as_deref(), Some("spikes/s"));
}

#[test]
fn presentations_whose_window_leaves_the_recording_are_left_out_and_counted() {
    let (r, told, _) = made("units.nwb", &options("0-1.5"));
    assert_eq!(r.trials.len(), 23);
    assert!(
        told.warnings[1].contains("1 presentations are left out"),
        "{:?}",
        told.warnings
    );
    let folder = tempfile::tempdir().unwrap();
    let none = run("units.nwb", &folder.path().join("rec"), &options("10-11")).unwrap_err();
    assert!(
        none.to_string().contains("number of presentations is 0"),
        "{none}"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn traces_are_summed_and_averaged_and_images_are_those_that_the_series_links_to() {
    // Samples 9 + 4 t to 11 + 4 t.
    let mean = |t: usize, n: usize| (10 + 4 * t + 1000 * n) as f32;
    let (r, told, neurons) = made("rois.nwb", &options("0.125-0.5"));
    check(&r, 24, |t, n| 3.0 * mean(t, n));
    assert!(told.warnings.is_empty(), "{:?}", told.warnings);
    assert_eq!(neurons, "neuron,roi,id\n0,3,103\n1,0,100\n2,2,102\n");
    let average = Nwb {
        sum: false,
        images: Some("/stimulus/templates/movie".into()),
        ..options("0.125-0.5")
    };
    let (r, ..) = made("rois.nwb", &average);
    check(&r, 24, mean);
    let onset = r.trial_columns.unwrap().text("onset").unwrap();
    assert_eq!(onset[..2], ["1", "1.5"]);
}

#[test]
fn files_of_version_1_have_regions_first() {
    let by = Nwb {
        responses: Some("/processing/brain_observatory_pipeline/DfOverF/imaging_plane_1".into()),
        sum: false,
        ..options("0.125-0.5")
    };
    let (r, told, neurons) = made("allen1.nwb", &by);
    check(&r, 24, |t, n| (10 + 4 * t + 1000 * n) as f32);
    assert!(
        told.warnings[0].contains("1 presentations without an image"),
        "{:?}",
        told.warnings
    );
    assert_eq!(neurons, "neuron,cell_specimen_ids\n0,501\n1,502\n2,503\n");
}

#[test]
fn images_may_be_a_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenes.npy");
    let images = ndarray::Array3::from_shape_fn((12, 4, 6), |(i, y, x)| pixel(i, y, x) as u8);
    npy::write(&file, images.view()).unwrap();
    let by = Nwb {
        images: Some(file.display().to_string()),
        stimulus: Some("natural_scenes_presentations".into()),
        ..options("0-0.0625")
    };
    let (r, ..) = made("units.nwb", &by);
    check(&r, 24, |_, _| 1.0);
    npy::write(&file, images.slice(ndarray::s![..11, .., ..])).unwrap();
    let few = run("units.nwb", &folder.path().join("rec"), &by)
        .unwrap_err()
        .to_string();
    assert!(
        few.contains("highest number of an image is 11, wanted at most 10"),
        "{few}"
    );
}

#[test]
fn what_a_file_offers_is_listed_and_told_when_a_choice_is_wrong() {
    let told = offers(&fixture("units.nwb")).unwrap();
    for line in [
        "  /intervals/natural_scenes_presentations: 25 presentations, column frame",
        "  /intervals/spontaneous_presentations: no column frame or frame_index",
        "  units: 3 units",
        "  /stimulus/templates/scenes: 12 single images",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let told = offers(&fixture("rois.nwb")).unwrap();
    for line in [
        "  /stimulus/presentation/natural_scenes_stimulus: 24 presentations",
        "  /processing/ophys/Fluorescence/dff: float32 (112, 3)",
        "  /stimulus/templates/movie: uint8 (12, 4, 6)",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let folder = tempfile::tempdir().unwrap();
    let wrong = |name: &str, options: Nwb| {
        run(name, &folder.path().join("rec"), &options)
            .unwrap_err()
            .to_string()
    };
    let stimulus = |name: &str| Nwb {
        stimulus: Some(name.into()),
        ..options("0-0.25")
    };
    let told = wrong("units.nwb", stimulus("gratings"));
    assert!(
        told.contains("no stimulus \"gratings\"; the file offers /intervals/natural_scenes"),
        "{told}"
    );
    let told = wrong("units.nwb", stimulus("spontaneous"));
    assert!(
        told.contains("has no column `frame` or `frame_index`"),
        "{told}"
    );
    let responses = |path: &str| Nwb {
        responses: Some(path.into()),
        ..options("0-0.25")
    };
    let told = wrong("rois.nwb", responses("units"));
    assert!(
        told.contains("the file offers /processing/ophys/Fluorescence/dff"),
        "{told}"
    );
    let told = wrong("allen1.nwb", options("0-0.25"));
    assert!(told.contains("number of series of traces is 2"), "{told}");
    let told = wrong("csi-train.h5", options("0-0.25"));
    assert!(told.contains("offers no stimulus"), "{told}");
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        0,
        "nothing is left behind"
    );
}
