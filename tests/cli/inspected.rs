//! What `inspect` and `evaluate` say of cells recorded twice, and of masks.

use super::small::{recording, striate};
use super::trained;
use striate::recording::Recording;
use striate::table::{Column, Table};

#[test]
fn cells_recorded_twice_are_counted_and_marked_where_that_is_asked_for() {
    let f = tempfile::tempdir().unwrap();
    let mut r = recording("rec", 5, 1);
    let twin = r.responses.column(1).to_owned();
    r.responses.column_mut(3).assign(&twin);
    let column = |values: [f64; 5]| Column::Number(values.to_vec());
    let neurons = r.neurons.take().unwrap();
    let positions = neurons
        .with("x", column([0.0, 50.0, 90.0, 52.0, 10.0]))
        .with("y", column([0.0, 50.0, 90.0, 47.0, 10.0]))
        .with("z", column([100.0, 100.0, 100.0, 130.0, 130.0]));
    r.neurons = Some(positions);
    let place = f.path().join("rec");
    r.write(&place).unwrap();
    let told = striate(f.path(), "inspect rec --json").ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["duplicates"]["distinct_cells"], 4);
    assert!(told["warnings"].to_string().contains("recorded twice"));
    let columns = |r: &Recording| r.neurons.as_ref().unwrap().column("duplicate_of").cloned();
    assert_eq!(columns(&Recording::open(&place).unwrap()), None);
    let hash = Recording::open(&place).unwrap().hash();
    striate(f.path(), "inspect rec --write").ok();
    let written = Recording::open(&place).unwrap();
    let numbers = Table::read_csv(&place.join("neurons.csv")).unwrap();
    assert_eq!(
        numbers.numbers("duplicate_of").unwrap().to_vec(),
        [0.0, 1.0, 2.0, 1.0, 4.0]
    );
    assert_eq!(written.hash(), hash);
    // Thresholds can be given; another run of it replaces the column.
    striate(f.path(), "inspect rec --write --duplicate-distance 1").ok();
    let numbers = Table::read_csv(&place.join("neurons.csv")).unwrap();
    assert_eq!(
        numbers.numbers("duplicate_of").unwrap().to_vec(),
        [0.0, 1.0, 2.0, 3.0, 4.0]
    );
}

#[test]
fn without_positions_there_is_nothing_to_write() {
    let f = trained();
    for (line, wanted) in [
        ("inspect rec --write", "no positions of cells"),
        ("inspect run --write", "wanted a recording"),
        (
            "inspect rec --duplicate-distance=-1",
            "--duplicate-distance",
        ),
        (
            "inspect rec --duplicate-correlation 2",
            "--duplicate-correlation",
        ),
    ] {
        let done = striate(f.path(), line);
        assert!(
            done.code == 2 && done.err.contains(wanted),
            "{line}: {}",
            done.err
        );
    }
    let told = striate(f.path(), "inspect rec --json").ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["duplicates"].is_null());
}

#[test]
fn evaluate_tells_the_three_families_and_the_masks() {
    let f = trained();
    let told = striate(f.path(), "evaluate run --json").ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let table = Table::read_csv(&f.path().join("run/evaluation.csv")).unwrap();
    let column = |name: &str| table.numbers(name).unwrap().to_vec();
    let (abs, max, norm) = (column("cc_abs"), column("cc_max"), column("cc_norm"));
    for n in 0..table.rows() {
        assert!(norm[n].is_nan() || (norm[n] - abs[n] / max[n]).abs() < 1e-6);
    }
    assert_eq!(abs, column("correlation_to_average"));
    assert!(column("mask_blobs").iter().all(|b| *b >= 1.0));
    assert!(
        column("mask_mass_in_radius")
            .iter()
            .all(|m| (0.0..=1.0).contains(m))
    );
    let several = column("mask_blobs").iter().filter(|b| **b > 1.0).count();
    assert_eq!(told["masks"]["several_blobs"], several);
    let run = striate(f.path(), "inspect run --json").ok();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["masks"][0], told["masks"]);
}
