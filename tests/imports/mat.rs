//! `import mat`: variables of a MATLAB file become a recording.

use super::small::{everything, striate};
use super::written::{bytes, cell, double, save, single, structs, word};
use std::fs;
use std::path::Path;
use striate::recording::Recording;

const IMAGES: usize = 6;
const NEURONS: usize = 4;
/// From 1, in the order of the trials.
pub const SHOWN: [f64; 10] = [3.0, 1.0, 6.0, 2.0, 3.0, 5.0, 1.0, 2.0, 5.0, 6.0];

fn grey(image: usize, y: usize, x: usize) -> u8 {
    (10 * image + 3 * y + x) as u8
}

/// height x width x images: 2 x 3 each.
fn images() -> Vec<u8> {
    let mut all = Vec::new();
    for i in 0..IMAGES {
        for x in 0..3 {
            all.extend((0..2).map(|y| grey(i, y, x)));
        }
    }
    all
}

fn response(trial: usize, neuron: usize) -> f32 {
    0.1 + (trial * 10 + neuron) as f32
}

/// trials x neurons.
pub fn responses() -> Vec<f32> {
    (0..NEURONS)
        .flat_map(|n| (0..SHOWN.len()).map(move |t| response(t, n)))
        .collect()
}

fn tiers() -> Vec<u8> {
    let words = ["train", "test", "val", "train", "test", "train"];
    let words: Vec<Vec<u8>> = words.iter().map(|w| word("", w)).collect();
    cell("tiers", &[1, IMAGES], &words)
}

pub fn session() -> Vec<Vec<u8>> {
    let fields = [
        single("", &[SHOWN.len(), NEURONS], &responses()),
        double("", &[SHOWN.len(), 1], &SHOWN),
    ];
    vec![
        bytes("img", &[2, 3, IMAGES], &images()),
        structs("data", &[1, 1], &["resp", "order"], &fields),
        tiers(),
    ]
}

pub const LINE: &str = "mat s.mat --images img --responses data.resp --image-of-trial data.order";

/// Trials as the source has them, whatever the order of the images.
fn check(rec: &Path) {
    let r = Recording::open(rec).unwrap();
    assert_eq!(r.images.dim(), (5, 2, 3));
    // In the order of first showing; image 4 was never shown.
    let first: Vec<f32> = r.images.outer_iter().map(|i| i[[1, 2]]).collect();
    assert_eq!(first, [3, 1, 6, 2, 5].map(|n| f32::from(grey(n - 1, 1, 2))));
    for (t, trial) in r.trials.iter().enumerate() {
        let number = SHOWN[t] as usize - 1;
        for (y, x) in [(0, 0), (0, 2), (1, 1)] {
            assert_eq!(r.images[[trial.image, y, x]], f32::from(grey(number, y, x)));
        }
        for n in 0..NEURONS {
            assert_eq!(r.responses[[t, n]].to_bits(), response(t, n).to_bits());
        }
    }
    assert_eq!(
        r.trial_columns.unwrap().text("source_image").unwrap()[..3],
        ["3", "1", "6"]
    );
}

#[test]
fn variables_and_fields_become_a_recording_bit_for_bit() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    save(&f.join("s.mat"), &session());
    let told = striate(f, &format!("import {LINE} --tiers tiers --out a")).ok();
    assert!(told.contains("neurons     4"), "{told}");
    check(&f.join("a"));
    let a = Recording::open(&f.join("a")).unwrap();
    let told: Vec<&str> = a.trials.iter().map(|t| t.tier.name()).collect();
    let wanted = "validation train train test validation test train test test train";
    assert_eq!(told.join(" "), wanted);
}

#[test]
fn responses_and_images_may_lie_the_other_way_round() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    let mut session = session();
    let turned: Vec<f32> = (0..SHOWN.len())
        .flat_map(|t| (0..NEURONS).map(move |n| response(t, n)))
        .collect();
    let fields = [
        single("", &[NEURONS, SHOWN.len()], &turned),
        double("", &[1, SHOWN.len()], &SHOWN),
    ];
    session[1] = structs("data", &[1, 1], &["resp", "order"], &fields);
    let mut first = Vec::new();
    for x in 0..3 {
        for y in 0..2 {
            first.extend((0..IMAGES).map(|i| grey(i, y, x)));
        }
    }
    session[0] = bytes("img", &[IMAGES, 2, 3], &first);
    save(&f.join("s.mat"), &session);
    striate(f, &format!("import {LINE} --tiers tiers --out a")).ok();
    check(&f.join("a"));
    let images: Vec<Vec<u8>> = images().chunks(6).map(|i| bytes("", &[2, 3], i)).collect();
    session[0] = cell("img", &[IMAGES, 1], &images);
    save(&f.join("s.mat"), &session);
    striate(f, &format!("import {LINE} --tiers tiers --out b")).ok();
    check(&f.join("b"));
    for name in ["images.npy", "responses.npy", "trials.csv"] {
        assert!(
            fs::read(f.join("a").join(name)).unwrap() == fs::read(f.join("b").join(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn tiers_are_drawn_by_image_with_the_seed_and_double_responses_stay_double() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    let mut session = session();
    let wide: Vec<f64> = responses().iter().map(|x| f64::from(*x) + 1e-12).collect();
    let fields = [
        double("", &[SHOWN.len(), NEURONS], &wide),
        double("", &[SHOWN.len(), 1], &SHOWN),
    ];
    session[1] = structs("data", &[1, 1], &["resp", "order"], &fields);
    save(&f.join("s.mat"), &session);
    let before = everything(f);
    striate(
        f,
        &format!("import {LINE} --test 0.4 --validation 0 --dry-run"),
    )
    .ok();
    assert!(everything(f) == before);
    striate(
        f,
        &format!("import {LINE} --test 0.4 --validation 0 --seed 5 --out a"),
    )
    .ok();
    striate(
        f,
        &format!("import {LINE} --test 0.4 --validation 0 --seed 5 --out b"),
    )
    .ok();
    assert_eq!(
        fs::read(f.join("a/trials.csv")).unwrap(),
        fs::read(f.join("b/trials.csv")).unwrap()
    );
    let a = Recording::open(&f.join("a")).unwrap();
    assert_eq!(a.images_of(striate::recording::Tier::Test).len(), 2);
    assert!(a.source.unwrap().contains("test 0.4, validation 0, seed 5"));
    let bytes = fs::read(f.join("a/responses.npy")).unwrap();
    assert_eq!(bytes[128..136], wide[0].to_le_bytes());
}

#[test]
fn repeats_without_any_number_are_padding() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    // (repeats, images, neurons): 2 x 6 x 3.
    let value = |r: usize, i: usize, n: usize| match (r, i) {
        (1, 2) => f32::NAN,
        _ => (100 * r + 10 * i + n) as f32,
    };
    let mut all = Vec::new();
    for n in 0..3 {
        for i in 0..IMAGES {
            all.extend((0..2).map(|r| value(r, i, n)));
        }
    }
    save(
        &f.join("s.mat"),
        &[
            bytes("img", &[2, 3, IMAGES], &images()),
            single("resp", &[2, IMAGES, 3], &all),
            tiers(),
        ],
    );
    striate(
        f,
        "import mat s.mat --images img --responses resp --tiers tiers --out a",
    )
    .ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!(r.trials.len(), 11);
    let images: Vec<usize> = r.trials.iter().map(|t| t.image).collect();
    assert_eq!(images, [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5]);
    assert_eq!(r.responses.row(4).to_vec(), [20.0, 21.0, 22.0]);
    assert_eq!(r.responses.row(6).to_vec(), [130.0, 131.0, 132.0]);
}
