//! `import suite2p`: traces of planes, cut at the onsets.

use super::small::striate;
use ndarray::{Array1, Array2, Array3};
use std::fs;
use std::path::Path;
use striate::npy;
use striate::recording::Recording;

pub const FRAMES: usize = 60;

fn signal(plane: usize, roi: usize, frame: usize) -> f32 {
    (1000 * plane + 100 * roi + frame) as f32 * 0.25
}

/// Two planes: 3 and 2 ROIs, of which the second of each is no cell.
pub fn folder(f: &Path) {
    for (plane, rois) in [(0, 3), (1, 2)] {
        let at = f.join(format!("m1/suite2p/plane{plane}"));
        fs::create_dir_all(&at).unwrap();
        let spks = Array2::from_shape_fn((rois, FRAMES), |(r, t)| signal(plane, r, t));
        npy::write(&at.join("spks.npy"), spks.view()).unwrap();
        npy::write(&at.join("F.npy"), spks.mapv(|x| x + 10.0).view()).unwrap();
        npy::write(&at.join("Fneu.npy"), spks.mapv(|_| 10.0_f32).view()).unwrap();
        let cells = Array2::from_shape_fn((rois, 2), |(r, c)| match c {
            0 => f32::from(r != 1),
            _ => 0.5,
        });
        npy::write(&at.join("iscell.npy"), cells.view()).unwrap();
        fs::write(at.join("stat.npy"), b"\x80\x04pickled").unwrap();
    }
    // The last window leaves the recording.
    let onsets = Array1::from_iter((0..12_i64).map(|t| 5 * t + 1));
    npy::write(&f.join("onsets.npy"), onsets.view()).unwrap();
    let order = Array1::from_iter((0..12_i64).map(|t| t * 5 % 6));
    npy::write(&f.join("order.npy"), order.view()).unwrap();
    let images = Array3::from_shape_fn((6, 2, 4), |(i, y, x)| (40 * i + 4 * y + x) as u8);
    npy::write(&f.join("images.npy"), images.view()).unwrap();
}

pub const LINE: &str =
    "--onsets onsets.npy --image-of-trial order.npy --images images.npy --window 1-4";

#[test]
fn the_mean_of_the_frames_after_each_onset_is_the_response() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    folder(f);
    let done = striate(f, &format!("import suite2p m1 {LINE} --out a"));
    assert!(done.err.contains("1 trials are left out"), "{}", done.err);
    done.ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!(
        (r.name.as_str(), r.trials.len(), r.neuron_count()),
        ("m1", 11, 3)
    );
    for (neuron, (plane, roi)) in [(0, 0), (0, 2), (1, 0)].into_iter().enumerate() {
        for t in 0..11 {
            let wanted: f32 = (1..=4).map(|k| signal(plane, roi, 5 * t + 1 + k)).sum();
            assert_eq!(r.responses[[t, neuron]], wanted / 4.0);
        }
    }
    for (t, trial) in r.trials.iter().enumerate() {
        assert_eq!(r.images[[trial.image, 1, 3]], (40 * (t * 5 % 6) + 7) as f32);
    }
    let neurons = fs::read_to_string(f.join("a/neurons.csv")).unwrap();
    assert_eq!(
        neurons,
        "neuron,plane,roi,cell_probability\n0,0,0,0.5\n1,0,2,0.5\n2,1,0,0.5\n"
    );
    assert_eq!(
        r.trial_columns.unwrap().text("onset_frame").unwrap()[..3],
        ["1", "6", "11"]
    );
}

#[test]
fn planes_may_be_named_and_everything_be_kept() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    folder(f);
    striate(
        f,
        &format!("import suite2p m1/suite2p/plane1 {LINE} --all --signal F --out a"),
    )
    .ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!((r.name.as_str(), r.neuron_count()), ("m1", 2));
    let mean: f32 = (2..=5).map(|k| signal(1, 1, k)).sum::<f32>() / 4.0;
    assert_eq!(r.responses[[0, 1]], mean + 10.0);
    let cells = r.neurons.unwrap().text("is_cell").unwrap();
    assert_eq!(cells, ["true", "false"]);
}

#[test]
fn the_relative_change_is_that_of_what_is_not_neuropil() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    folder(f);
    let dark = Array2::<f32>::ones((2, FRAMES));
    npy::write(&f.join("m1/suite2p/plane1/F.npy"), dark.view()).unwrap();
    let done = striate(
        f,
        &format!("import suite2p m1/suite2p {LINE} --signal dff --out a"),
    );
    assert!(done.err.contains("1 cells are left out"), "{}", done.err);
    done.ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!(r.neuron_count(), 2);
    // F - 0.7 Fneu rises by 0.25 a frame from 28; its 10th percentile is that of frame 5.
    let own = |frame: f64| 0.25 * (200.0 + frame) + 10.0 - 7.0;
    let mean = (2..=5).map(|k| own(f64::from(k))).sum::<f64>() / 4.0;
    let wanted = (mean - own(5.0)) / own(5.0);
    assert!((f64::from(r.responses[[0, 1]]) - wanted).abs() <= 1e-6);
}
