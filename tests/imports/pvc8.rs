//! `import pvc8`: spikes of a session become rates.

use super::small::striate;
use super::written::{bytes, cell, double, save};
use striate::recording::{Recording, Tier};

const NEURONS: usize = 2;
const IMAGES: usize = 956;
const REPEATS: usize = 2;

/// Spikes of a neuron in one millisecond.
fn spikes(neuron: usize, image: usize, repeat: usize, bin: usize) -> u8 {
    ((neuron + 3 * image + 5 * repeat + 7 * bin) % 3) as u8
}

/// (neurons, images, repeats, bins) from a millisecond on.
fn response(name: &str, images: usize, first: usize, bins: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for bin in first..first + bins {
        for repeat in 0..REPEATS {
            for image in 0..images {
                all.extend((0..NEURONS).map(|n| spikes(n, image, repeat, bin)));
            }
        }
    }
    bytes(name, &[NEURONS, images, REPEATS, bins], &all)
}

/// Images of 2 x 2 pixels, all different.
fn images(count: usize) -> Vec<u8> {
    let one = |i: usize| bytes("", &[2, 2], &[(i % 256) as u8, (i / 256) as u8, 7, 9]);
    let all: Vec<Vec<u8>> = (0..count).map(one).collect();
    cell("images", &[count, 1], &all)
}

pub fn session(images_of: usize) -> Vec<Vec<u8>> {
    vec![
        response("resp_train", images_of, 0, 6),
        response("resp_train_blk", images_of, 6, 4),
        images(images_of),
        double("INDCENT", &[NEURONS, 1], &[1.0, 0.0]),
        double(
            "RF_SPATIAL",
            &[NEURONS, 3],
            &[0.5, f64::NAN, 1.5, f64::NAN, 3.0, 4.0],
        ),
    ]
}

#[test]
fn rates_in_a_window_go_on_in_the_blank_and_pairs_stay_in_one_tier() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    save(&f.join("01.mat"), &session(IMAGES));
    striate(f, "import pvc8 01.mat --window 4-8 --out a").ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!(
        (r.trials.len(), r.images.dim()),
        (IMAGES * REPEATS, (IMAGES, 2, 2))
    );
    assert_eq!(r.response_unit.as_deref(), Some("spikes per second"));
    for (row, trial) in r.trials.iter().enumerate() {
        let (image, repeat) = (row / REPEATS, row % REPEATS);
        for n in 0..NEURONS {
            let count: u32 = (4..8).map(|b| u32::from(spikes(n, image, repeat, b))).sum();
            assert_eq!(r.responses[[row, n]], (f64::from(count) * 250.0) as f32);
        }
        assert_eq!(r.images[[trial.image, 0, 0]], (image % 256) as f32);
        assert_eq!(r.images[[trial.image, 0, 1]], 7.0);
    }
    // Images 2k - 1 and 2k, the small and the large version.
    for pair in 0..270 {
        let tiers: Vec<Tier> = (4 * pair..4 * pair + 4)
            .map(|row| r.trials[row].tier)
            .collect();
        assert!(tiers.iter().all(|t| *t == tiers[0]), "{pair}");
    }
    let neurons = std::fs::read_to_string(f.join("a/neurons.csv")).unwrap();
    assert_eq!(
        neurons,
        "neuron,centred,rf_x,rf_y,rf_spatial_3\n0,1,0.5,1.5,3\n1,0,,,4\n"
    );
}

#[test]
fn one_version_of_the_natural_images_can_be_kept() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    save(&f.join("01.mat"), &session(IMAGES));
    for (options, count, numbers) in [
        ("--images small --natural", 270, ["1", "3", "5"]),
        ("--images large", 270 + 416, ["2", "4", "6"]),
        ("--natural", 540, ["1", "2", "3"]),
    ] {
        let out = format!("out{count}");
        striate(
            f,
            &format!("import pvc8 01.mat --window 0-5 {options} --out {out}"),
        )
        .ok();
        let r = Recording::open(&f.join(out)).unwrap();
        assert_eq!(r.images.dim().0, count, "{options}");
        let told = r.trial_columns.unwrap().text("source_image").unwrap();
        assert_eq!([&told[0], &told[2], &told[4]], numbers, "{options}");
    }
}
