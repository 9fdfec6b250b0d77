//! `gabors` and `dogs` through the real binary.

use super::small::striate;
use super::{trained, trained_on_two};
use ndarray::Array3;
use std::path::Path;
use striate::npy;
use striate::stimuli::Gabor;
use striate::table::Table;

const SMALL: &str = "--sizes 5,8 --cycles 1 --contrasts 0.5,1 --orientations 3 --phases 2";

fn table(file: &Path) -> Table {
    Table::read_csv(file).unwrap()
}

/// The response in a table is what `predict` gives for the stimulus.
#[test]
fn responses_are_those_of_predict() {
    let f = trained();
    striate(f.path(), &format!("gabors run {SMALL}")).ok();
    let found = table(&f.path().join("run/gabors.csv"));
    let names: Vec<&str> = found.names().collect();
    let columns = "neuron,x,y,size,frequency,orientation,phase,contrast,response";
    assert_eq!(names[..9].join(","), columns);
    let (refined, origin) = names[9..].split_at(names.len() - 11);
    assert!(refined.iter().all(|n| n.starts_with("refined_")));
    assert_eq!(origin, ["model_hash", "made_with"]);
    let column = |name: &str| found.column(name).unwrap().as_numbers().unwrap();
    let model = striate::model::Model::open(&f.path().join("run"), &striate::device::Device::Cpu);
    let grey = model.unwrap().preprocessing;
    for prefix in ["", "refined_"] {
        let column = |name: &str| column(&format!("{prefix}{name}"));
        let rows = found.rows();
        let mut images = Array3::<f32>::zeros((rows, 12, 16));
        for row in 0..rows {
            let gabor = Gabor {
                x: column("x")[row],
                y: column("y")[row],
                size: column("size")[row],
                frequency: column("frequency")[row],
                contrast: column("contrast")[row],
                orientation: column("orientation")[row],
                phase: column("phase")[row],
            };
            let drawn = gabor
                .draw(12, 16)
                .mapv(|z| grey.image_mean + z as f32 * grey.image_sd);
            images.index_axis_mut(ndarray::Axis(0), row).assign(&drawn);
        }
        npy::write(&f.path().join("g.npy"), images.view()).unwrap();
        striate(f.path(), "predict run --images g.npy --out p.npy").ok();
        let (predicted, _) = npy::read(&f.path().join("p.npy")).unwrap();
        for (row, response) in column("response").into_iter().enumerate() {
            let wanted = f64::from(predicted[[row, row]]);
            let close = (response - wanted).abs() <= 1e-3 * wanted;
            assert!(
                close,
                "{prefix}neuron {row}: {response}, predict says {wanted}"
            );
        }
    }
    let gained = column("response")
        .into_iter()
        .zip(column("refined_response"));
    gained.for_each(|(grid, refined)| assert!(refined >= 0.9999 * grid, "{refined} < {grid}"));
}

#[test]
fn readouts_neurons_and_places_are_chosen() {
    let f = trained_on_two();
    let places = "--x 3-6 --y 4-4 --no-refine";
    striate(f.path(), &format!("gabors run {SMALL} {places}")).ok();
    let both = table(&f.path().join("run/gabors.csv"));
    assert_eq!((both.names().next(), both.rows()), (Some("recording"), 8));
    let y = both.column("y").unwrap().as_numbers().unwrap();
    assert!(y.iter().all(|&y| y == 4.0), "{y:?}");
    let line = "dogs run --readout rec --neurons 1,3 --sigmas 1.5 --ratios 2 --contrasts -1,1";
    striate(f.path(), line).ok();
    let dogs = std::fs::read_to_string(f.path().join("run/dogs.csv")).unwrap();
    let wanted = "neuron,x,y,sigma_centre,sigma_surround,contrast,surround_contrast,response";
    let header = dogs.lines().next().unwrap();
    assert!(
        header.trim_start_matches("recording,").starts_with(wanted),
        "{header}"
    );
    assert_eq!(dogs.lines().count(), 3);
}

#[test]
fn what_is_shown_stimulus_by_stimulus_is_never_worse() {
    let f = trained();
    let responses = |more: &str| {
        let line = format!("gabors run {SMALL} --x 2-9 --y 0-4 --no-refine {more}");
        striate(f.path(), &line).ok();
        let table = table(&f.path().join("run/gabors.csv"));
        table.column("response").unwrap().as_numbers().unwrap()
    };
    let (some, all) = (responses(""), responses("--exhaustive"));
    for (some, all) in some.iter().zip(&all) {
        assert!(*all >= 0.99999 * some, "{all} < {some}");
    }
}

#[test]
fn impossible_grids_are_refused() {
    let f = trained();
    for (line, parts) in [
        ("gabors run --x 3-99", ["--x", "0-15"]),
        ("gabors run --y 5-2", ["--y", "0-11"]),
        ("gabors run --sizes 0", ["--sizes", "is 0"]),
        ("gabors run --phases 0", ["--phases", "1 to 360"]),
        ("gabors run --contrasts inf", ["--contrasts", "inf"]),
        (
            "dogs run --surround-contrasts=-1",
            ["--surround-contrasts", "-1"],
        ),
        ("dogs run --neurons 7", ["--neurons", "0 to 4"]),
        ("gabors nowhere", ["nowhere", "does not exist"]),
    ] {
        let done = striate(f.path(), line);
        assert_eq!(done.code, 2, "{line}: {}", done.err);
        parts
            .iter()
            .for_each(|p| assert!(done.err.contains(p), "{line}: {}", done.err));
    }
    assert!(!f.path().join("run/gabors.csv").exists());
}
