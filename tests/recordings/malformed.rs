//! Malformed recordings: each refused with a message that names the file and the value.

use super::{raw, saved, small};
use ndarray::s;
use std::fs;
use std::path::Path;
use striate::recording::Recording;

/// Breaks a valid recording and returns what `open` says.
fn refused(breaking: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("r");
    small().write(&directory).unwrap();
    breaking(&directory);
    match Recording::open(&directory) {
        Ok(_) => "accepted".to_string(),
        Err(e) => e.to_string(),
    }
}

macro_rules! refuses {
    ($($name:ident: $breaking:expr => $($part:literal),+;)*) => {$(
        #[test]
        fn $name() {
            let message = refused($breaking);
            for part in [$($part),+] {
                assert!(message.contains(part), "wanted {part:?} in: {message}");
            }
        }
    )*};
}

/// Puts text into a file of the recording.
fn text(name: &'static str, content: &'static str) -> impl FnOnce(&Path) {
    move |d| fs::write(d.join(name), content).unwrap()
}

/// Replaces text in `trials.csv`.
fn trials(from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    move |d| {
        let path = d.join("trials.csv");
        let old = fs::read_to_string(&path).unwrap();
        assert!(old.contains(from));
        fs::write(path, old.replacen(from, to, 1)).unwrap();
    }
}

/// Puts further columns into `trials.csv`.
fn columns(names: &'static str, cells: &'static str) -> impl FnOnce(&Path) {
    move |d| {
        let path = d.join("trials.csv");
        let old = fs::read_to_string(&path).unwrap();
        let further = |(row, line)| format!("{line},{}\n", if row == 0 { names } else { cells });
        fs::write(
            path,
            old.lines().enumerate().map(further).collect::<String>(),
        )
        .unwrap();
    }
}

/// Replaces an array by raw bytes under a header.
fn header(
    name: &'static str,
    descr: &'static str,
    shape: &'static str,
    bytes: usize,
) -> impl FnOnce(&Path) {
    move |d| raw(&d.join(name), descr, false, shape, &vec![0; bytes])
}

/// Sets one response.
fn response(trial: usize, neuron: usize, value: f32) -> impl FnOnce(&Path) {
    move |d| {
        let mut responses = small().responses;
        responses[[trial, neuron]] = value;
        saved(d.join("responses.npy"), responses.view());
    }
}

refuses! {
    no_directory: |d| fs::remove_dir_all(d).unwrap() => "/r", "does not exist";
    a_file_for_a_directory: |d| {
        fs::remove_dir_all(d).unwrap();
        fs::write(d, "x").unwrap();
    } => "/r", "not a directory";
    no_images: |d| fs::remove_file(d.join("images.npy")).unwrap() => "images.npy", "cannot read";
    no_responses: |d| fs::remove_file(d.join("responses.npy")).unwrap() => "responses.npy", "cannot read";
    no_trials_file: |d| fs::remove_file(d.join("trials.csv")).unwrap() => "trials.csv", "cannot read";
    a_directory_for_a_file: |d| {
        fs::remove_file(d.join("images.npy")).unwrap();
        fs::create_dir(d.join("images.npy")).unwrap();
    } => "images.npy", "not a file";
    empty_images_file: text("images.npy", "") => "images.npy", "ends within its header";
    images_are_a_png: text("images.npy", "\u{89}PNG and more bytes") => "images.npy", "not an .npy file", "PNG";
    future_version: |d| fs::write(d.join("images.npy"), b"\x93NUMPY\x09\x00v\x00{").unwrap() => "images.npy", "version is 9";
    truncated: |d| {
        let bytes = fs::read(d.join("images.npy")).unwrap();
        fs::write(d.join("images.npy"), &bytes[..bytes.len() - 7]).unwrap();
    } => "images.npy", "truncated", "113", "120", "(6, 4, 5)";
    truncated_header: |d| {
        let bytes = fs::read(d.join("images.npy")).unwrap();
        fs::write(d.join("images.npy"), &bytes[..40]).unwrap();
    } => "images.npy", "ends within its header";
    trailing_bytes: |d| {
        let mut bytes = fs::read(d.join("responses.npy")).unwrap();
        bytes.extend([0; 12]);
        fs::write(d.join("responses.npy"), bytes).unwrap();
    } => "responses.npy", "longer", "108", "96";
    terabytes_claimed: header("images.npy", "'<f4'", "(1000000, 1000, 1000)", 64) => "images.npy", "truncated", "64", "4000000000000";
    overflowing_shape: header("images.npy", "'<f4'", "(4294967296, 4294967296, 4)", 64) => "images.npy", "4294967296";
    negative_shape: header("images.npy", "'<f4'", "(-1, 4, 5)", 64) => "images.npy", "-1";
    pickled_objects: header("responses.npy", "'|O'", "(8, 3)", 96) => "responses.npy", "object", "allow_pickle";
    records: header("responses.npy", "[('a', '<f4')]", "(8, 3)", 96) => "responses.npy", "record";
    complex_responses: header("responses.npy", "'<c8'", "(8, 3)", 192) => "responses.npy", "<c8";
    integer_responses: header("responses.npy", "'<i8'", "(8, 3)", 192) => "responses.npy", "int64", "float32 or float64";
    double_images: header("images.npy", "'<f8'", "(6, 4, 5)", 960) => "images.npy", "float64", "uint8 or float32";
    images_in_colour: header("images.npy", "'|u1'", "(2, 3, 4, 5)", 120) => "images.npy", "(2, 3, 4, 5)", "(images, height, width)";
    images_without_images: header("images.npy", "'|u1'", "(0, 4, 5)", 0) => "images.npy", "(0, 4, 5)";
    images_without_pixels: header("images.npy", "'|u1'", "(6, 0, 5)", 0) => "images.npy", "(6, 0, 5)";
    responses_of_one_axis: header("responses.npy", "'<f4'", "(24,)", 96) => "responses.npy", "(24,)", "(trials, neurons)";
    responses_without_neurons: header("responses.npy", "'<f4'", "(8, 0)", 0) => "responses.npy", "(8, 0)", "neuron";
    header_that_never_closes: header("images.npy", "'<f4", "((((((((((", 0) => "images.npy", "header";
    nested_header: header("images.npy", "((((((((((((((((", "()", 0) => "images.npy", "header";
    grey_level_not_a_number: |d| {
        let mut images = small().images;
        images[[2, 1, 3]] = f32::NAN;
        saved(d.join("images.npy"), images.view());
    } => "images.npy", "image 2", "row 1", "column 3", "NaN";
    infinite_response: response(4, 2, f32::INFINITY) => "responses.npy", "trial 4", "neuron 2", "inf";
    response_beyond_float32: |d| {
        let mut responses = small().responses.mapv(f64::from);
        responses[[5, 1]] = 1e300;
        saved(d.join("responses.npy"), responses.view());
    } => "responses.npy", "(5, 1)", "float32";
    neuron_never_recorded_in_training: |d| {
        let mut responses = small().responses;
        responses.slice_mut(s![..3, 1]).fill(f32::NAN);
        saved(d.join("responses.npy"), responses.view());
    } => "responses.npy", "neuron 1", "NaN";
    empty_trials: text("trials.csv", "") => "trials.csv", "image,tier";
    wrong_header: trials("image,tier", "images,tiers") => "trials.csv", "images,tiers", "image,tier";
    no_header: trials("image,tier\n", "") => "trials.csv", "0,train", "image,tier";
    a_third_column: trials("1,train", "1,train,5") => "trials.csv", "line 3", "3";
    a_lonely_cell: trials("2,validation", "2") => "trials.csv", "line 5", "1";
    too_few_trials: trials("1,train\n", "") => "trials.csv", "7", "8", "responses.npy";
    too_many_trials: trials("1,train\n", "1,train\n1,train\n") => "trials.csv", "9", "8";
    image_beyond_the_last: trials("5,test", "6,test") => "trials.csv", "trial 6", "is 6", "0 to 5";
    huge_image: trials("5,test", "99999999999999999999999,test") => "trials.csv", "line 8", "99999999999999999999999";
    negative_image: trials("5,test", "-1,test") => "trials.csv", "line 8", "-1";
    fractional_image: trials("5,test", "5.0,test") => "trials.csv", "line 8", "5.0";
    unknown_tier: trials("2,validation", "2,oracle") => "trials.csv", "line 5", "oracle", "validation";
    an_image_in_two_tiers: trials("5,test", "1,test") => "trials.csv", "image 1", "train (trial 1)", "test (trial 6)";
    no_test_trials: |d| {
        let all = fs::read_to_string(d.join("trials.csv")).unwrap().replace("test", "validation");
        fs::write(d.join("trials.csv"), all).unwrap();
    } => "trials.csv", "number of test trials is 0";
    no_training_trials: |d| {
        let all = fs::read_to_string(d.join("trials.csv")).unwrap().replace("train", "test");
        fs::write(d.join("trials.csv"), all).unwrap();
    } => "trials.csv", "number of train trials is 0";
    trials_in_another_encoding: |d| fs::write(d.join("trials.csv"), b"\xff\xfei\0m\0").unwrap() => "trials.csv", "UTF-8";
    neurons_without_numbers: text("neurons.csv", "unit,layer\n0,L4\n1,L4\n2,L4\n") => "neurons.csv", "unit", "neuron";
    neurons_out_of_order: text("neurons.csv", "neuron\n0\n2\n1\n") => "neurons.csv", "row 1", "is 2";
    neurons_numbered_from_one: text("neurons.csv", "neuron\n1\n2\n3\n") => "neurons.csv", "row 0", "is 1";
    neurons_by_name: text("neurons.csv", "neuron\na\nb\nc\n") => "neurons.csv", "not all integers", "0 to 2";
    too_few_neurons: text("neurons.csv", "neuron\n0\n1\n") => "neurons.csv", "is 2", "3";
    ragged_neurons: text("neurons.csv", "neuron,layer\n0,L4\n1\n2,L4\n") => "neurons.csv", "line 3", "is 1", "2";
    neurons_with_semicolons: text("neurons.csv", "neuron;depth\n0;1,5\n1;2,5\n2;3,5\n") => "neurons.csv", "\"neuron;depth\"", "semicolons", "commas";
    neurons_with_tabs: text("neurons.csv", "neuron\tdepth\n0\t1\n1\t2\n2\t3\n") => "neurons.csv", "neuron\\tdepth", "tabs", "commas";
    neurons_with_decimal_commas: text("neurons.csv", "neuron,depth\n0,1,5\n1,2,5\n2,3,5\n") => "neurons.csv", "line 2", "is 3", "points";
    a_column_of_trials_twice: columns("note,note", "1,2") => "trials.csv", "\"note\" twice";
    a_second_column_of_tiers: columns("note,tier", "1,2") => "trials.csv", "\"tier\" twice";
    trials_in_another_order: trials("image,tier", "tier,image") => "trials.csv", "tier,image", "\"image,tier\"";
    ragged_further_columns: columns("frame,note", "1") => "trials.csv", "line 2", "is 3", "4: image,tier,frame,note";
    trials_with_semicolons: trials("image,tier", "image;tier") => "trials.csv", "\"image;tier\"", "semicolons", "\"image,tier\"";
    neurons_with_a_column_twice: text("neurons.csv", "neuron,x,x\n0,1,1\n1,1,1\n2,1,1\n") => "neurons.csv", "\"x\" twice";
    misspelt_key: text("recording.toml", "degree_per_pixel = 1.0\n") => "recording.toml", "degree_per_pixel", "nearest", "`degrees_per_pixel`";
    name_not_a_word: text("recording.toml", "name = 5\n") => "recording.toml", "name", "5", "integer", "string";
    a_slash_in_the_name: text("recording.toml", "name = \"a/b\"\n") => "recording.toml", "a/b", "without slashes";
    empty_name: text("recording.toml", "name = \" \"\n") => "recording.toml", "name", "\" \"";
    degrees_as_text: text("recording.toml", "degrees_per_pixel = \"1\"\n") => "recording.toml", "degrees_per_pixel", "string";
    negative_degrees: text("recording.toml", "degrees_per_pixel = -0.5\n") => "recording.toml", "degrees_per_pixel", "-0.5";
    infinite_degrees: text("recording.toml", "degrees_per_pixel = inf\n") => "recording.toml", "degrees_per_pixel", "inf";
    broken_toml: text("recording.toml", "name = \"x\"\nsource = [\n") => "recording.toml", "line";
}

#[test]
fn no_damaged_byte_makes_it_panic() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("r");
    small().write(&directory).unwrap();
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x10, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                fs::write(&path, &damaged).unwrap();
                let _ = Recording::open(&directory);
            }
            fs::write(&path, &bytes[..at]).unwrap();
            let _ = Recording::open(&directory);
        }
        fs::write(&path, &bytes).unwrap();
    }
    Recording::open(&directory).unwrap();
}
