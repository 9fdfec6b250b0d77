//! Every command on a run with a Gaussian readout, and the controls.

use super::small::{assert_same_run, config, folder, striate};
use super::{SHORT, edit};
use ndarray::Array2;
use std::fs;
use std::path::Path;
use striate::device::Device;
use striate::model::Model;
use striate::model::checkpoint::MODEL;
use striate::npy;
use striate::table::Table;

const GABORS: &str = "--sizes 5,8 --cycles 1 --contrasts 0.5,1 --orientations 3 --phases 2";

fn gaussian(training: &str) -> String {
    let readout = "[readout]\nkind = \"gaussian\"\ninitial_range = 0.9\n[penalties]";
    config("[\"rec\"]", training).replace("[penalties]", readout)
}

/// A folder with `rec`, and `run` with a Gaussian readout of it.
fn trained() -> tempfile::TempDir {
    let f = folder(SHORT);
    fs::write(f.path().join("c.toml"), gaussian(SHORT)).unwrap();
    striate(f.path(), "train c.toml --out run").ok();
    f
}

/// `masks` beside `run`: the same with the masks that its places are.
fn write_masks(f: &Path) {
    let model = Model::open(&f.join("run"), &Device::Cpu).unwrap();
    let readout = &model.readouts[0];
    fs::create_dir(f.join("masks")).unwrap();
    fs::copy(f.join("run").join(MODEL), f.join("masks").join(MODEL)).unwrap();
    let text = fs::read_to_string(f.join("run/config.toml")).unwrap();
    let text = text.replace("kind = \"gaussian\"", "kind = \"factorised\"");
    fs::write(f.join("masks/config.toml"), text).unwrap();
    edit(&f.join("masks").join(MODEL), |tensors| {
        for name in ["input.size", "readout.rec.position", "readout.rec.spread"] {
            assert!(tensors.tensors.remove(name).is_some(), "{name}");
        }
        tensors.metadata.clear();
        let masks = (0..readout.neurons)
            .flat_map(|n| model.mask(0, n))
            .collect();
        let shape = [readout.neurons, readout.map.0, readout.map.1];
        tensors.insert("readout.rec.mask".into(), &shape, masks);
    });
}

fn column(file: &Path, name: &str) -> Vec<f64> {
    let found = Table::read_csv(file).unwrap();
    found.column(name).unwrap().as_numbers().unwrap()
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-3 * b.abs() + 1e-6;
    a.len() == b.len() && a.iter().zip(b).all(near)
}

#[test]
fn every_experiment_takes_places_as_the_masks_that_they_are() {
    let f = trained();
    write_masks(f.path());
    for run in ["run", "masks"] {
        for line in [
            format!("gabors {run} {GABORS}"),
            format!("dogs {run} --sigmas 2 --ratios 2 --contrasts 1 --surround-contrasts 0.5"),
            format!("meis {run} --steps 30"),
            format!("synthesize {run} --steps 20 --recording rec"),
            format!("tune {run}"),
            format!("cluster {run} --clusters 2 --images x.npy"),
            format!("evaluate {run} --recording rec"),
        ] {
            let images = npy::read(&f.path().join("rec/images.npy")).unwrap().0;
            npy::write(&f.path().join("x.npy"), images.view()).unwrap();
            striate(f.path(), &line).ok();
        }
    }
    for (table, names) in [
        ("gabors.csv", &["x", "y", "response"][..]),
        ("dogs.csv", &["x", "y", "response"]),
        ("evaluation.csv", &["correlation_to_average", "mask_blobs"]),
        ("clusters.csv", &["cluster"]),
    ] {
        for name in names {
            let [got, wanted] =
                ["run", "masks"].map(|r| column(&f.path().join(r).join(table), name));
            assert!(close(&got, &wanted), "{table} {name}: {got:?} {wanted:?}");
        }
    }
    striate(f.path(), "report run").ok();
    striate(f.path(), "inspect run").ok();
    striate(f.path(), "export run --properties all.csv").ok();
    let model = Model::open(&f.path().join("run"), &Device::Cpu).unwrap();
    // The centres of the outermost pixels lie half a pixel inside of the image's edge.
    let places = model.places(0).unwrap();
    let x: Vec<f64> = places
        .iter()
        .map(|p| f64::from(p[0]) * 15.0 / 16.0)
        .collect();
    let y: Vec<f64> = places
        .iter()
        .map(|p| f64::from(p[1]) * -11.0 / 12.0)
        .collect();
    assert!(close(
        &column(&f.path().join("all.csv"), "readout_loc_x"),
        &x
    ));
    assert!(close(
        &column(&f.path().join("all.csv"), "readout_loc_y"),
        &y
    ));
}

#[test]
fn a_killed_fit_goes_on_bit_for_bit() {
    let f = trained();
    let five = gaussian(&SHORT.replace("max_steps = 4", "max_steps = 9"));
    fs::write(f.path().join("c.toml"), five).unwrap();
    striate(f.path(), "train c.toml --out run --resume").ok();
    striate(f.path(), "train c.toml --out whole").ok();
    assert_same_run(&f.path().join("run"), &f.path().join("whole"));
}

#[test]
fn without_a_size_the_images_or_the_recording_tell_it() {
    let f = trained();
    let images = npy::read(&f.path().join("rec/images.npy")).unwrap().0;
    npy::write(&f.path().join("x.npy"), images.view()).unwrap();
    striate(f.path(), "predict run --images x.npy --out before.npy").ok();
    edit(&f.path().join("run").join(MODEL), |tensors| {
        tensors.tensors.remove("input.size");
    });
    striate(
        f.path(),
        "predict run --images x.npy --out by-recording.npy",
    )
    .ok();
    fs::rename(f.path().join("rec"), f.path().join("gone")).unwrap();
    striate(f.path(), "predict run --images x.npy --out by-images.npy").ok();
    let read = |name: &str| fs::read(f.path().join(name)).unwrap();
    assert!(read("before.npy") == read("by-recording.npy"));
    assert!(read("before.npy") == read("by-images.npy"));
    let done = striate(f.path(), "gabors run");
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("input.size") && done.err.contains(MODEL),
        "{}",
        done.err
    );
}

#[test]
fn hand_written_places_beyond_the_map_are_moved_to_its_edge() {
    let f = trained();
    edit(&f.path().join("run").join(MODEL), |tensors| {
        let (_, position) = tensors.tensors.get_mut("readout.rec.position").unwrap();
        (position[0], position[3]) = (-7.0, 1.5);
    });
    let model = Model::open(&f.path().join("run"), &Device::Cpu).unwrap();
    let places = model.places(0).unwrap();
    assert_eq!((places[0][0], places[1][1]), (-1.0, 1.0));
}

#[test]
fn a_core_of_every_second_neuron_is_read_out_by_the_others() {
    let f = folder(SHORT);
    let set = "--set training.neurons=0-4:2";
    striate(f.path(), &format!("train c.toml --out core {set}")).ok();
    let line =
        "train c.toml --out others --set training.neurons=1-4:2 --set training.frozen=[\"core\"]";
    let done = striate(f.path(), line);
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("training.frozen") && done.err.contains("--init"),
        "{}",
        done.err
    );
    striate(f.path(), &format!("{line} --init core")).ok();
    striate(f.path(), "evaluate others").ok();
    let scores = f.path().join("others/evaluation.csv");
    assert_eq!(column(&scores, "neuron"), [0.0, 1.0]);
    assert_eq!(column(&scores, "recorded_neuron"), [1.0, 3.0]);
    let layers = Table::read_csv(&scores).unwrap().text("layer").unwrap();
    assert_eq!(layers, ["L1", "L3"]);
    striate(f.path(), &format!("gabors others {GABORS} --neurons 1")).ok();
    striate(f.path(), &format!("gabors others {GABORS} --neurons 0")).ok();
    let gabors = f.path().join("others/gabors.csv");
    assert_eq!(column(&gabors, "recorded_neuron"), [1.0, 3.0]);
    striate(f.path(), "synthesize others --steps 10 --percentiles 50").ok();
    // Neither fit saw the other's neurons.
    let images = npy::read(&f.path().join("rec/images.npy")).unwrap().0;
    npy::write(&f.path().join("x.npy"), images.view()).unwrap();
    striate(f.path(), "predict others --images x.npy --out y.npy").ok();
    let rates: Array2<f32> = npy::read(&f.path().join("y.npy"))
        .unwrap()
        .0
        .into_dimensionality()
        .unwrap();
    assert_eq!(rates.dim().1, 2);
    let done = striate(
        f.path(),
        "train c.toml --out none --set training.neurons=0-5",
    );
    assert_eq!(done.code, 2);
    assert!(done.err.contains("training.neurons"), "{}", done.err);
}
