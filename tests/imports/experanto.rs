//! `import experanto`: blocks of images become trials.

use super::small::striate;
use ndarray::{Array1, Array2, array};
use std::fs;
use std::path::Path;
use striate::npy;
use striate::recording::Recording;

pub const SAMPLES: usize = 80;
const NEURONS: usize = 3;

fn sample(at: usize, neuron: usize) -> f32 {
    (at * 10 + neuron) as f32 + 0.1
}

const TIERS: [&str; 8] = [
    "train",
    "test",
    "train",
    "validation",
    "train",
    "test",
    "none",
    "train",
];

/// Eight images a second apart from 0.5 s, a blank between; responses from 0 s at 8 Hz.
pub fn folder(at: &Path) {
    for folder in ["screen/meta", "screen/data", "responses/meta"] {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    for (i, tier) in TIERS.iter().enumerate() {
        let text = format!(
            "modality: image\ntier: {tier}\nfirst_frame_idx: {}\nimage_size:\n- 2\n- 4\nother: {{a: [1, 2]}}\n",
            2 * i
        );
        fs::write(at.join(format!("screen/meta/{:05}.yml", 2 * i)), text).unwrap();
        let text = format!(
            "modality: blank\ninterleave_value: 128\nfirst_frame_idx: {}\nimage_size: [2, 4]\n",
            2 * i + 1
        );
        fs::write(at.join(format!("screen/meta/{:05}.yml", 2 * i + 1)), text).unwrap();
        // Trials 1 and 5 show the same.
        let grey = [0, 1, 2, 3, 4, 1, 6, 7][i];
        let image = Array2::from_shape_fn((2, 4), |(y, x)| (20 * grey + 4 * y + x) as u8);
        npy::write(
            &at.join(format!("screen/data/{:05}.npy", 2 * i)),
            image.view(),
        )
        .unwrap();
    }
    fs::write(at.join("screen/meta/.DS_Store"), "x").unwrap();
    let times = Array1::from_iter((0..16).map(|k| 0.5 * f64::from(k) + 0.5));
    npy::write(&at.join("screen/timestamps.npy"), times.view()).unwrap();
    let data = Array2::from_shape_fn((SAMPLES, NEURONS), |(t, n)| sample(t, n));
    npy::write(&at.join("responses/data.npy"), data.view()).unwrap();
    let meta = format!(
        "modality: sequence\nstart_time: 0.0\nend_time: 10.0\nsampling_rate: 8\nn_signals: {NEURONS}\nn_timestamps: {SAMPLES}\n\
         dtype: float32\nis_mem_mapped: false\nphase_shift_per_signal: true\n"
    );
    fs::write(at.join("responses/meta.yml"), meta).unwrap();
    let shifts = array![0.0_f64, 0.05, 0.125];
    npy::write(&at.join("responses/meta/phase_shifts.npy"), shifts.view()).unwrap();
    npy::write(&at.join("responses/meta/means.npy"), shifts.view()).unwrap();
    let ids = array![11_i64, 12, 17];
    npy::write(&at.join("responses/meta/unit_ids.npy"), ids.view()).unwrap();
}

#[test]
fn the_mean_of_the_samples_after_each_onset_is_the_response() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    folder(&f.join("m1"));
    let done = striate(f, "import experanto m1 --window 0-0.25 --out a");
    assert!(
        done.err.contains("1 images of tier none are left out"),
        "{}",
        done.err
    );
    done.ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!(
        (r.name.as_str(), r.trials.len(), r.images.dim()),
        ("m1", 7, (6, 2, 4))
    );
    let told: Vec<&str> = r.trials.iter().map(|t| t.tier.name()).collect();
    let wanted: Vec<&str> = TIERS.into_iter().filter(|t| *t != "none").collect();
    assert_eq!(told, wanted);
    assert_eq!(r.trials[1].image, r.trials[5].image);
    for (row, block) in [0, 1, 2, 3, 4, 5, 7].into_iter().enumerate() {
        // The onset falls on sample 4 + 8 k; a neuron sampled later has its first sample after the onset earlier in its row.
        let at = 4 + 8 * block;
        for (neuron, first) in [(0, at), (1, at), (2, at - 1)] {
            let mean =
                (f64::from(sample(first, neuron)) + f64::from(sample(first + 1, neuron))) / 2.0;
            assert_eq!(r.responses[[row, neuron]], mean as f32, "{row} {neuron}");
        }
    }
    let neurons = fs::read_to_string(f.join("a/neurons.csv")).unwrap();
    assert_eq!(neurons, "neuron,unit_ids\n0,11\n1,12\n2,17\n");
}

#[test]
fn mapped_samples_and_combined_descriptions_are_read_too() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    folder(&f.join("m1"));
    striate(f, "import experanto m1 --window 0-0.25 --out a").ok();
    let data: Vec<u8> = (0..SAMPLES * NEURONS)
        .flat_map(|i| sample(i / NEURONS, i % NEURONS).to_le_bytes())
        .collect();
    fs::write(f.join("m1/responses/data.mem"), data).unwrap();
    fs::remove_file(f.join("m1/responses/data.npy")).unwrap();
    let meta = f.join("m1/responses/meta.yml");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(
        &meta,
        text.replace("is_mem_mapped: false", "is_mem_mapped: true"),
    )
    .unwrap();
    let mut combined = serde_json::Map::new();
    for (i, tier) in TIERS.iter().enumerate() {
        let block = serde_json::json!({"modality": "image", "tier": tier, "first_frame_idx": 2 * i, "image_size": [2, 4]});
        combined.insert(format!("{:05}", 2 * i), block);
    }
    fs::remove_dir_all(f.join("m1/screen/meta")).unwrap();
    let text = serde_json::to_string(&combined).unwrap();
    fs::write(f.join("m1/screen/combined_meta.json"), text).unwrap();
    striate(f, "import experanto m1 --window 0-0.25 --out b").ok();
    for name in ["images.npy", "responses.npy", "trials.csv"] {
        let read = |out: &str| fs::read(f.join(out).join(name)).unwrap();
        assert!(read("a") == read("b"), "{name}");
    }
}

#[test]
fn trials_whose_window_leaves_the_recording_are_left_out_and_counted() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    folder(&f.join("m1"));
    let done = striate(f, "import experanto m1 --window -1.5-2.0 --out a");
    assert!(done.err.contains("2 trials are left out"), "{}", done.err);
    done.ok();
    assert_eq!(Recording::open(&f.join("a")).unwrap().trials.len(), 5);
}
