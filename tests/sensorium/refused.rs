//! Scans that are not as they should be: each refused in one sentence that names the file, and nothing is left behind.

use super::{TIERS, imported, pack, raw, save, scan, words};
use ndarray::{Array1, Array2, Array3, array};
use std::fs;
use std::path::Path;
use striate::recording::import::Sensorium;

/// Breaks a scan and returns what the import says.
fn refused(breaking: impl FnOnce(&Path), options: &Sensorium) -> String {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("scan");
    scan(&source);
    breaking(&source);
    let before = fs::read_dir(folder.path()).unwrap().count();
    let message = match imported(&[source], &folder.path().join("new/out"), options) {
        Ok(_) => "accepted".to_string(),
        Err(e) => e.to_string(),
    };
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        before,
        "{message}"
    );
    message
}

macro_rules! refuses {
    ($($name:ident: $breaking:expr => $($part:literal),+;)*) => {$(
        #[test]
        fn $name() {
            let message = refused($breaking, &Sensorium::default());
            for part in [$($part),+] {
                assert!(message.contains(part), "wanted {part:?} in: {message}");
            }
        }
    )*};
}

fn without(name: &'static str) -> impl FnOnce(&Path) {
    move |d| match d.join(name) {
        folder if folder.is_dir() => fs::remove_dir_all(folder).unwrap(),
        file => fs::remove_file(file).unwrap(),
    }
}

fn put(name: &'static str, bytes: &'static [u8]) -> impl FnOnce(&Path) {
    move |d| fs::write(d.join(name), bytes).unwrap()
}

fn header(
    name: &'static str,
    descr: &'static str,
    shape: &'static str,
    bytes: usize,
) -> impl FnOnce(&Path) {
    move |d| raw(&d.join(name), descr, shape, &vec![0; bytes])
}

fn tiers(row: usize, word: &'static str) -> impl FnOnce(&Path) {
    move |d| {
        let mut all = TIERS;
        all[row] = word;
        words(d.join("meta/trials/tiers.npy"), &all);
    }
}

fn cut(name: &'static str, by: usize) -> impl FnOnce(&Path) {
    move |d| {
        let bytes = fs::read(d.join(name)).unwrap();
        fs::write(d.join(name), &bytes[..bytes.len() - by]).unwrap();
    }
}

refuses! {
    a_missing_source: without("") => "scan", "does not exist";
    no_data: without("data") => "scan", "no folder data", "data/images";
    no_tiers: without("meta/trials/tiers.npy") => "meta/trials/tiers.npy", "does not exist";
    no_images: without("data/images") => "data/images", "does not exist";
    no_responses: without("data/responses") => "data/responses", "does not exist";
    a_missing_image: without("data/images/5.npy") => "data/images/5.npy", "does not exist";
    a_missing_response: without("data/responses/6.npy") => "data/responses/6.npy", "does not exist";
    a_missing_pupil: without("data/pupil_center/6.npy") => "data/pupil_center/6.npy", "does not exist";
    numbers_beyond_the_tiers: |d| {
        fs::rename(d.join("data/images/7.npy"), d.join("data/images/12.npy")).unwrap();
    } => "data/images/12.npy", "is 12", "0 to 7", "tiers.npy";
    a_name_that_is_no_number: put("data/images/mean.npy", b"x") => "data/images/mean.npy", "mean", "0.npy";
    a_number_twice: put("data/images/01.npy", b"x") => "data/images/", "1.npy is there too";
    an_unknown_tier: tiers(3, "oracle") => "tiers.npy", "row 3", "oracle", "final_test";
    tiers_that_are_pickled: header("meta/trials/tiers.npy", "|O", "(8,)", 64) => "tiers.npy", "pickled", "numpy.save(", "tiers.astype(str)";
    a_column_that_is_pickled: header("meta/trials/frame_trial_ts.npy", "|O", "(8,)", 64) => "frame_trial_ts.npy", "pickled", "frame_trial_ts.astype(str)";
    responses_that_are_pickled: header("data/responses/3.npy", "|O", "(3,)", 24) => "responses/3.npy", "pickled", "x = numpy.load(", "x.astype(numpy.float32)";
    tiers_of_two_axes: |d| save(d.join("meta/trials/tiers.npy"), array![[1_i64, 2]].view()) => "tiers.npy", "(1, 2)";
    a_short_column_of_trials: |d| save(d.join("meta/trials/frame_image_id.npy"), array![1_i64, 2].view()) => "frame_image_id.npy", "(2,)", "(8,)";
    a_short_column_of_neurons: |d| save(d.join("meta/neurons/unit_ids.npy"), array![1_i64, 2].view()) => "unit_ids.npy", "(2,)", "(3,)";
    nothing_but_none: |d| words(d.join("meta/trials/tiers.npy"), &["none"; 8]) => "tiers.npy", "none", "at least 1";
    no_test_trials: |d| words(d.join("meta/trials/tiers.npy"), &["train"; 8]) => "tiers.npy", "test trials is 0";
    an_image_in_two_tiers: tiers(7, "validation") => "data/images/7.npy", "validation, but train", "data/images/0.npy", "leaks";
    images_of_two_sizes: |d| save(d.join("data/images/4.npy"), Array3::<u8>::zeros((1, 8, 4)).view()) => "images/4.npy", "8 x 4", "4 x 8";
    images_in_colour: |d| save(d.join("data/images/0.npy"), Array3::<u8>::zeros((2, 4, 8)).view()) => "images/0.npy", "(2, 4, 8)", "grey";
    images_without_pixels: |d| save(d.join("data/images/0.npy"), Array3::<u8>::zeros((1, 0, 8)).view()) => "images/0.npy", "(1, 0, 8)";
    images_of_words: |d| words(d.join("data/images/3.npy"), &["a"]) => "images/3.npy", "(1,)";
    a_grey_level_not_a_number: |d| {
        let mut image = Array2::<f32>::zeros((4, 8));
        image[[2, 5]] = f32::NAN;
        save(d.join("data/images/4.npy"), image.view());
    } => "images/4.npy", "row 2, column 5", "NaN";
    other_neurons: |d| save(d.join("data/responses/5.npy"), Array1::<f32>::zeros(4).view()) => "responses/5.npy", "is 4", "3";
    responses_of_three_axes: |d| save(d.join("data/responses/0.npy"), Array3::<f32>::zeros((1, 3, 1)).view()) => "responses/0.npy", "(1, 3, 1)";
    infinite_responses: |d| save(d.join("data/responses/5.npy"), array![1.0, f32::INFINITY, 2.0].view()) => "responses/5.npy", "neuron 1", "infinite";
    responses_beyond_float32: |d| save(d.join("data/responses/5.npy"), array![1.0, 2.0, 1e300].view()) => "responses/5.npy", "neuron 2", "float32";
    complex_responses: header("data/responses/5.npy", "<c8", "(3,)", 24) => "responses/5.npy", "<c8";
    a_neuron_never_recorded: |d| {
        for trial in [0, 3, 7] {
            save(d.join(format!("data/responses/{trial}.npy")), array![1.0, f32::NAN, 2.0].view());
        }
    } => "data/responses", "neuron 1", "NaN";
    other_behaviour: |d| save(d.join("data/behavior/5.npy"), Array1::<f32>::zeros(2).view()) => "behavior/5.npy", "(2,)", "(3,)";
    a_truncated_image: cut("data/images/3.npy", 5) => "images/3.npy", "truncated";
    a_truncated_header: cut("data/images/3.npy", 140) => "images/3.npy", "ends within its header";
    an_empty_response: put("data/responses/3.npy", b"") => "responses/3.npy", "ends within its header";
    a_png_for_an_image: put("data/images/3.npy", b"\x89PNG and more bytes") => "images/3.npy", "not an .npy file";
    terabytes_claimed: header("data/responses/3.npy", "<f4", "(1000000000000,)", 12) => "responses/3.npy", "truncated";
    a_broken_configuration: put("config.json", b"{links") => "config.json", "JSON";
    clips: |d| {
        fs::rename(d.join("data/images"), d.join("data/videos")).unwrap();
    } => "data/images", "data/videos", "clips";
    two_scans_in_one_folder: |d| {
        fs::rename(d.join("data"), d.join("kept")).unwrap();
        scan(&d.join("a"));
        scan(&d.join("b"));
    } => "scan", "2 scans";
    a_recording: |d| {
        fs::remove_dir_all(d.join("data")).unwrap();
        fs::write(d.join("trials.csv"), "image,tier\n").unwrap();
        fs::write(d.join("images.npy"), "").unwrap();
    } => "is a recording already";
    loose_arrays: |d| {
        fs::remove_dir_all(d.join("data")).unwrap();
        fs::write(d.join("images.npy"), "").unwrap();
    } => "striate import npy";
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let area = |area: &str| Sensorium {
        area: Some(area.into()),
        ..Sensorium::default()
    };
    let message = refused(|_| (), &area("PM"));
    assert!(
        message.contains("area.npy") && message.contains("LM, V1"),
        "{message}"
    );
    let message = refused(without("meta/neurons/area.npy"), &area("V1"));
    assert!(
        message.contains("area.npy") && message.contains("--area needs it"),
        "{message}"
    );
    let thirds = Sensorium {
        rescale: Some("area:3".parse().unwrap()),
        ..Sensorium::default()
    };
    let message = refused(|_| (), &thirds);
    assert!(
        message.contains("4 x 8") && message.contains("multiples of 3"),
        "{message}"
    );
}

#[test]
fn damaged_zips_are_refused_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    scan(&at("scan"));
    pack(&at("scan"), &at("scan.zip"), "scan/");
    let bytes = fs::read(at("scan.zip")).unwrap();
    let import = |bytes: &[u8]| {
        fs::write(at("bad.zip"), bytes).unwrap();
        let done = imported(&[at("bad.zip")], &at("out"), &Sensorium::default());
        let message = done.map_or_else(|e| e.to_string(), |_| "accepted".into());
        if message == "accepted" {
            fs::remove_dir_all(at("out")).unwrap();
        }
        assert!(!at("out").exists());
        message
    };
    for cut in [0, 3, bytes.len() / 2, bytes.len() - 5] {
        let message = import(&bytes[..cut]);
        assert!(message.contains("bad.zip"), "{message}");
    }
    for at in (0..bytes.len()).step_by(37) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        import(&damaged);
    }
    pack(&at("scan/meta"), &at("meta.zip"), "");
    let done = imported(&[at("meta.zip")], &at("out"), &Sensorium::default());
    let message = done.unwrap_err().to_string();
    assert!(message.contains("no folder data"), "{message}");
}
