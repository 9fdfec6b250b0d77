//! `import npy`: the layouts in which laboratories keep loose arrays.

use ndarray::{Array2, Array3, Array4, Axis, array, concatenate, s, stack};
use std::fs;
use std::io::Write;
use std::path::Path;
use striate::npy;
use striate::recording::{Recording, Tier, import};

fn images(count: usize) -> Array3<f32> {
    Array3::from_shape_fn((count, 3, 4), |(i, y, x)| (i * 12 + 4 * y + x) as f32)
}

fn responses(trials: usize) -> Array2<f32> {
    Array2::from_shape_fn((trials, 2), |(t, n)| (10 * t + n) as f32)
}

fn save<D: ndarray::Dimension>(folder: &Path, name: &str, array: ndarray::ArrayView<'_, f32, D>) {
    npy::write(&folder.join(format!("{name}.npy")), array).unwrap();
}

/// An array of words, `<U10`.
fn save_words(folder: &Path, name: &str, words: &[&str]) {
    let header = format!(
        "{{'descr': '<U10', 'fortran_order': False, 'shape': ({},), }}\n",
        words.len()
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for word in words {
        let mut letters: Vec<u32> = word.chars().map(u32::from).collect();
        letters.resize(10, 0);
        bytes.extend(letters.into_iter().flat_map(u32::to_le_bytes));
    }
    fs::write(folder.join(format!("{name}.npy")), bytes).unwrap();
}

/// An array of 20 Python objects, pickled.
fn objects(folder: &Path, name: &str) {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (20,), }\n";
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n");
    fs::write(folder.join(format!("{name}.npy")), bytes).unwrap();
}

fn tiers(r: &Recording) -> Vec<&'static str> {
    r.trials.iter().map(|t| t.tier.name()).collect()
}

fn shown(r: &Recording) -> Vec<usize> {
    r.trials.iter().map(|t| t.image).collect()
}

fn refused(folder: &Path, parts: &[&str]) {
    let message = match import::npy(folder, 1) {
        Ok(_) => "accepted".to_string(),
        Err(e) => e.to_string(),
    };
    for part in parts {
        assert!(message.contains(part), "wanted {part:?} in: {message}");
    }
}

#[test]
fn one_image_per_trial_with_tiers() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let with_channel: Array4<f32> = images(4).insert_axis(Axis(1));
    save(f, "images", with_channel.view());
    save(f, "responses", responses(4).view());
    save_words(f, "tiers", &["train", "val", "Test", "training"]);
    fs::write(f.join("neurons.csv"), "neuron,layer\n0,L4\n1,L5\n").unwrap();
    let r = import::npy(f, 1).unwrap();
    assert_eq!(r.images, images(4));
    assert_eq!(r.responses, responses(4));
    assert_eq!(tiers(&r), ["train", "validation", "test", "train"]);
    assert_eq!(r.neurons.as_ref().unwrap().rows(), 2);
    let out = f.join("recording");
    r.write(&out).unwrap();
    assert_eq!(Recording::open(&out).unwrap().trials, r.trials);
}

#[test]
fn double_responses_keep_their_digits() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    save(f, "images_train", images(5).view());
    save(f, "images_test", (images(2) + 1000.0).view());
    save(f, "responses_train", responses(5).view());
    let digits = Array2::from_shape_fn((2, 2), |(t, n)| 0.1 + (10 * t + n) as f64 / 3.0);
    npy::write(&f.join("responses_test.npy"), digits.view()).unwrap();
    let (r, wide) = import::npy_with_digits(f, 1).unwrap();
    let out = f.join("out");
    r.write_with_digits(&out, wide.as_ref(), &|| None).unwrap();
    let bytes = fs::read(out.join("responses.npy")).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("<f8"));
    let stored: Vec<u8> = digits.iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(bytes.ends_with(&stored));
    assert_eq!(bytes[128 + 8..128 + 16], 1.0_f64.to_le_bytes());
    assert_eq!(Recording::open(&out).unwrap().responses, r.responses);
    assert!(import::npy_with_digits(&out, 1).is_ok());
    let single = tempfile::tempdir().unwrap();
    save(single.path(), "images", images(20).view());
    save(single.path(), "responses", responses(20).view());
    assert!(
        import::npy_with_digits(single.path(), 1)
            .unwrap()
            .1
            .is_none()
    );
}

#[test]
fn repeats_stored_repeatedly_become_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let once = images(20);
    let twice = once.slice(s![..3, .., ..]);
    save(f, "images", concatenate![Axis(0), once, twice].view());
    save(f, "responses", responses(23).view());
    let r = import::npy(f, 1).unwrap();
    assert_eq!(r.images, once);
    assert_eq!(
        r.repeats(Tier::Test),
        [vec![0, 20], vec![1, 21], vec![2, 22]]
    );
    assert_eq!(r.trials_of(Tier::Validation).len(), 2);
    assert_eq!(r.trials, import::npy(f, 1).unwrap().trials);
    assert_ne!(r.trials, import::npy(f, 2).unwrap().trials);
}

#[test]
fn ids_are_labels_or_rows() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    save(f, "images", images(3).view());
    save(f, "responses", responses(5).view());
    npy::write(&f.join("image_ids.npy"), array![2_i64, 0, 1, 1, 2].view()).unwrap();
    save_words(f, "tiers", &["test", "train", "train", "train", "test"]);
    assert_eq!(shown(&import::npy(f, 1).unwrap()), [2, 0, 1, 1, 2]);
    npy::write(&f.join("image_ids.npy"), array![3_i64, 1, 2, 2, 3].view()).unwrap();
    refused(f, &["image_ids.npy", "is 3", "0 to 2"]);
    npy::write(&f.join("image_ids.npy"), array![2_i64, 0].view()).unwrap();
    refused(f, &["image_ids.npy", "is 2", "5"]);
    // One image per trial: labels.
    let stored = images(3).select(Axis(0), &[2, 0, 1, 1, 2]);
    save(f, "images", stored.view());
    npy::write(
        &f.join("image_ids.npy"),
        array![907_i64, 11, 400, 400, 907].view(),
    )
    .unwrap();
    assert_eq!(shown(&import::npy(f, 1).unwrap()), [0, 1, 2, 2, 0]);
    npy::write(
        &f.join("image_ids.npy"),
        array![907_i64, 11, 400, 11, 907].view(),
    )
    .unwrap();
    refused(f, &["image_ids.npy", "11", "trials 1 and 3", "pixels"]);
    save(f, "images", images(5).view());
    npy::write(&f.join("image_ids.npy"), array![4_i64, 0, 1, 3, 2].view()).unwrap();
    refused(f, &["image_ids.npy", "permutation", "images[image_ids]"]);
}

#[test]
fn repeats_by_images_by_neurons_are_unrolled() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let mut second = responses(3) + 1.0;
    second.row_mut(1).fill(f32::NAN);
    save(f, "images", images(3).view());
    save(f, "responses", stack![Axis(0), responses(3), second].view());
    save_words(f, "tiers", &["train", "train", "test"]);
    let r = import::npy(f, 1).unwrap();
    assert_eq!(shown(&r), [0, 0, 1, 2, 2]);
    assert_eq!(tiers(&r), ["train", "train", "train", "test", "test"]);
    assert_eq!(r.responses.column(0).to_vec(), [0.0, 1.0, 10.0, 20.0, 21.0]);
    save(f, "responses", Array3::<f32>::zeros((3, 2, 2)).view());
    refused(
        f,
        &["responses.npy", "(3, 2, 2)", "(repeats, 3 images, neurons)"],
    );
}

#[test]
fn one_set_of_arrays_per_tier() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let all = images(8);
    save(f, "images_train", all.slice(s![..5, .., ..]));
    save(f, "val_images", all.slice(s![5..6, .., ..]));
    save(f, "images_test", all.slice(s![6.., .., ..]));
    save(f, "responses_train", responses(5).view());
    save(f, "val_responses", responses(1).view());
    save(
        f,
        "responses_test",
        stack![Axis(0), responses(2), responses(2)].view(),
    );
    let r = import::npy(f, 1).unwrap();
    assert_eq!(shown(&r), [0, 1, 2, 3, 4, 5, 6, 6, 7, 7]);
    assert_eq!(r.trials_of(Tier::Test), [6, 7, 8, 9]);
    assert_eq!(r.trials_of(Tier::Validation), [5]);
    save(f, "images_test", all.slice(s![1..3, .., ..]));
    refused(
        f,
        &[
            "images_test.npy",
            "image 0",
            "images_train.npy",
            "image 1",
            "leak",
        ],
    );
    save(f, "images", all.view());
    refused(f, &["images", "images_train", "one or the other"]);
}

#[test]
fn an_npz_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.npz");
    let (x, r) = (images(20).into_dyn(), responses(20).into_dyn());
    npy::write_npz(&path, &[("images", x.view()), ("responses", r.view())]).unwrap();
    let stored = import::npy(&path, 1).unwrap();
    assert_eq!(stored.name, "session");
    assert_eq!(stored.images.into_dyn(), x);
    // As np.savez_compressed writes it.
    save(folder.path(), "images", x.view());
    save(folder.path(), "responses", r.view());
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["images.npy", "responses.npy"] {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(name, options).unwrap();
        zip.write_all(&fs::read(folder.path().join(name)).unwrap())
            .unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(import::npy(&path, 1).unwrap().responses.into_dyn(), r);
    let bytes = fs::read(&path).unwrap();
    for cut in [0, 3, bytes.len() / 2, bytes.len() - 5] {
        fs::write(&path, &bytes[..cut]).unwrap();
        refused(&path, &["session.npz"]);
    }
    // Any damaged byte is noticed or harmless, never a panic.
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        fs::write(&path, &damaged).unwrap();
        let _ = import::npy(&path, 1);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    refused(&f.join("nowhere"), &["nowhere", "does not exist"]);
    refused(f, &["images.npy", "images_train.npy"]);
    save(f, "images", images(20).view());
    refused(f, &["responses.npy", "cannot read"]);
    save(f, "responses", responses(20).t());
    refused(f, &["responses.npy", "(2, 20)", "20 rows"]);
    save(f, "responses", responses(20).view());
    save_words(f, "tiers", &["train", "test"]);
    refused(f, &["tiers.npy", "is 2", "20"]);
    save_words(f, "tiers", &["oracle"; 20]);
    refused(f, &["tiers.npy", "oracle", "row 0"]);
    save_words(f, "tiers", &["train"; 20]);
    refused(f, &["tiers.npy", "test", "0"]);
    objects(f, "tiers");
    refused(
        f,
        &["tiers.npy", "object", "wanted strings", "tiers.astype(str)"],
    );
    fs::remove_file(f.join("tiers.npy")).unwrap();
    objects(f, "image_ids");
    refused(f, &["image_ids.npy", "object", "image_ids.astype(str)"]);
    fs::remove_file(f.join("image_ids.npy")).unwrap();
    objects(f, "responses");
    refused(f, &["responses.npy", "object", "wanted numbers"]);
    save(f, "responses", responses(20).view());
    save(f, "images", Array2::<f32>::zeros((20, 12)).view());
    refused(f, &["images.npy", "(20, 12)", "(images, height, width)"]);
    let mut unknown = images(20);
    unknown[[7, 2, 1]] = f32::INFINITY;
    save(f, "images", unknown.view());
    refused(f, &["images.npy", "image 7", "row 2", "column 1", "inf"]);
}

/// What is wrong with the source is said of its own files, never of those that a recording would have.
#[test]
fn the_arrays_that_are_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    save(f, "images", images(1).view());
    save(f, "responses", responses(1).view());
    refused(f, &[&f.display().to_string(), "number of test trials is 0"]);
    fs::remove_file(f.join("images.npy")).unwrap();
    save(f, "images_train", images(20).view());
    save(f, "images_test", (images(4) + 1000.0).view());
    save(f, "responses_test", responses(4).view());
    let mut broken = responses(20);
    broken[[3, 1]] = f32::INFINITY;
    save(f, "responses_train", broken.view());
    refused(f, &["responses_train.npy", "(3, 1)", "inf"]);
    broken.column_mut(1).fill(f32::NAN);
    save(f, "responses_train", broken.view());
    refused(f, &["responses_train.npy", "neuron 1", "NaN"]);
    save(f, "responses_train", responses(20).view());
    save(f, "responses_test", responses(4).slice(s![.., ..1]));
    refused(f, &["responses_test.npy", "number of neurons is 1", "2"]);
    save(f, "responses_test", responses(4).view());
    fs::write(f.join("neurons.csv"), "neuron\n0\n").unwrap();
    refused(f, &["neurons.csv", "is 1", "2"]);
}
