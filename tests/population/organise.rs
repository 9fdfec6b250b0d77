//! `striate organise`

use super::planted::{plant, write, write_readouts};
use super::small::striate;
use super::{column, table};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use striate::table::Table;

/// `clusters.csv` of these labels, and a `tuning.csv` in which cluster 0 is phase-invariant.
fn furnish(run: &Path, labels: &[Option<usize>]) {
    let mut clusters = String::from("neuron,cluster,rotation,tsne_1,tsne_2\n");
    let mut tuning = String::from(
        "neuron,orientation_index,phase_index,suppression_index,contrast_index,plaid_index,gabor_vs_mei\n",
    );
    for (n, label) in labels.iter().enumerate() {
        let cell = label.map_or(String::new(), |l| l.to_string());
        writeln!(clusters, "{n},{cell},0.5,1,2").unwrap();
        let spread = (n as f64 * 0.618).fract();
        let invariant = *label == Some(0);
        let phase = if invariant { 0.1 } else { 0.4 } + 0.05 * spread;
        writeln!(
            tuning,
            "{n},{},{phase},{},{},{},{}",
            0.2 + 0.1 * spread,
            1.0 - spread,
            0.5 * spread,
            0.3 + 0.2 * spread,
            if invariant { 0.9 } else { 0.8 }
        )
        .unwrap();
    }
    fs::write(run.join("clusters.csv"), clusters).unwrap();
    fs::write(run.join("tuning.csv"), tuning).unwrap();
}

fn furnished() -> tempfile::TempDir {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    let planted = plant(3, 20, 0.1, false, 5);
    write(&run, &planted, &[4]);
    let mut labels: Vec<Option<usize>> = planted.types.iter().map(|t| Some(*t)).collect();
    labels[4] = None;
    furnish(&run, &labels);
    f
}

fn text(table: &Table, name: &str) -> Vec<String> {
    table.text(name).unwrap()
}

#[test]
fn the_tables_say_which_clusters_differ() {
    let f = furnished();
    let told = striate(f.path(), "organise run --device cpu --json").ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let run = f.path().join("run");
    let tests = table(&run.join("cluster_tests.csv"));
    assert_eq!(tests.rows(), 3 * 6);
    let header: Vec<&str> = tests.names().take(4).collect();
    assert_eq!(header, ["cluster", "index", "statistic", "p_value"]);
    let (clusters, names) = (column(&tests, "cluster"), text(&tests, "index"));
    let p = column(&tests, "p_value");
    let statistic = column(&tests, "statistic");
    let at = |cluster: f64, index: &str| {
        let mut rows = 0..tests.rows();
        rows.find(|&r| clusters[r] == cluster && names[r] == index)
            .unwrap()
    };
    // All of cluster 0 lies below all others.
    assert_eq!(statistic[at(0.0, "phase_index")], 1.0);
    assert!(p[at(0.0, "phase_index")] < 1e-9 && p[at(1.0, "phase_index")] < 0.01);
    assert!(p[at(0.0, "plaid_index")] > 0.01);
    let random = table(&run.join("random_tests.csv"));
    assert!(column(&random, "p_value").iter().all(|p| *p > 1e-4));
    assert_eq!(told["clusters"], 3);
    assert_eq!(told["different_in_all"], 0);

    let correlations = table(&run.join("index_correlations.csv"));
    assert_eq!(correlations.rows(), 15);
    let (a, b) = (
        text(&correlations, "index_a"),
        text(&correlations, "index_b"),
    );
    let pair = (0..15).find(|&r| a[r] == "orientation_index" && b[r] == "suppression_index");
    let pair = pair.unwrap();
    assert!((column(&correlations, "pearson")[pair] + 1.0).abs() <= 1e-6);
    assert!((column(&correlations, "spearman")[pair] + 1.0).abs() <= 1e-6);
    assert_eq!(column(&correlations, "neurons")[pair], 60.0);

    let combinations = table(&run.join("combinations.csv"));
    assert_eq!(combinations.rows(), 8);
    // Only cluster 0 is Gabor-like, and it is phase-invariant.
    let (clusters, neurons) = (
        column(&combinations, "clusters"),
        column(&combinations, "neurons"),
    );
    let filled: Vec<usize> = (0..8).filter(|&r| clusters[r] > 0.0).collect();
    assert_eq!(filled.len(), 1);
    assert_eq!((clusters[filled[0]], neurons[filled[0]]), (1.0, 20.0));
    assert_eq!(text(&combinations, "phase_invariant")[filled[0]], "true");
    assert_eq!(told["gabor_like_known"], true);

    let sparsity = table(&run.join("readout_sparsity.csv"));
    assert_eq!(sparsity.rows(), 60);
    let shares = column(&sparsity, "energy_share");
    assert!(shares[4].is_nan() && column(&sparsity, "dominant_feature")[4].is_nan());
    let known: Vec<f64> = shares.iter().copied().filter(|s| !s.is_nan()).collect();
    assert!(known.len() == 59 && known.iter().all(|s| (1.0 / 6.0..=1.0).contains(s)));
    let above = known.iter().filter(|s| **s > 0.5).count() as f64 / 59.0;
    assert!((told["one_feature_share"].as_f64().unwrap() - above).abs() <= 1e-9);
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let f = furnished();
    for out in ["a", "b"] {
        striate(f.path(), &format!("organise run --out {out} --seed 3")).ok();
    }
    striate(f.path(), "organise run --out c --seed 4").ok();
    let read = |out: &str| fs::read_to_string(f.path().join(out).join("random_tests.csv")).unwrap();
    assert_eq!(read("a"), read("b"));
    assert_ne!(read("a"), read("c"));
}

#[test]
fn recordings_are_pooled_and_told_apart() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    let (a, b) = (plant(2, 10, 0.1, false, 1), plant(2, 15, 0.1, false, 1));
    write_readouts(&run, &[("one", &a, &[]), ("two", &b, &[])]);
    let mut clusters = String::from("recording,neuron,cluster,rotation,tsne_1,tsne_2\n");
    let mut tuning = String::from("recording,neuron,phase_index\n");
    for (name, planted) in [("one", &a), ("two", &b)] {
        for (n, kind) in planted.types.iter().enumerate() {
            writeln!(clusters, "{name},{n},{kind},0,0,0").unwrap();
            let own = if name == "one" { 0.25 } else { 0.75 };
            writeln!(tuning, "{name},{n},{own}").unwrap();
        }
    }
    fs::write(run.join("clusters.csv"), clusters).unwrap();
    fs::write(run.join("tuning.csv"), tuning).unwrap();
    let done = striate(f.path(), "organise run");
    assert!(done.err.contains("no combinations.csv"), "{}", done.err);
    done.ok();
    let by_recording = table(&run.join("organisation_by_recording.csv"));
    assert_eq!(column(&by_recording, "neurons"), [20.0, 30.0]);
    assert_eq!(column(&by_recording, "mean_phase_index"), [0.25, 0.75]);
    let sparsity = table(&run.join("readout_sparsity.csv"));
    assert_eq!(text(&sparsity, "recording")[19..21], ["one", "two"]);
    assert!(!run.join("combinations.csv").exists());
    // One alone.
    striate(
        f.path(),
        "organise run --readout two --neurons 0-9 --out part",
    )
    .ok();
    let sparsity = table(&f.path().join("part/readout_sparsity.csv"));
    assert_eq!(sparsity.rows(), 10);
}

#[test]
fn what_is_missing_is_named() {
    let f = furnished();
    let run = f.path().join("run");
    fs::rename(run.join("clusters.csv"), f.path().join("kept")).unwrap();
    let done = striate(f.path(), "organise run");
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("`striate cluster` writes it"),
        "{}",
        done.err
    );
    for bad in ["-1", "1.5", "x"] {
        let table = format!("neuron,cluster\n0,{bad}\n");
        fs::write(run.join("clusters.csv"), table).unwrap();
        let done = striate(f.path(), "organise run");
        assert_eq!(
            (done.code, done.err.lines().count()),
            (2, 1),
            "{}",
            done.err
        );
        assert!(done.err.contains("cluster"), "{}", done.err);
    }
    fs::rename(f.path().join("kept"), run.join("clusters.csv")).unwrap();
    fs::remove_file(run.join("tuning.csv")).unwrap();
    let done = striate(f.path(), "organise run");
    assert!(
        done.err.contains("`striate tune` writes it"),
        "{}",
        done.err
    );
    assert!(!run.join("cluster_tests.csv").exists());
}
