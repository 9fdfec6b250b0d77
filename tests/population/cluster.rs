//! `striate cluster`

use super::planted::{FEATURES, ORIENTATIONS, median_error, plant, write, write_readouts};
use super::small::{self, striate};
use super::{column, table};
use std::fs;
use striate::npy;
use striate::population::clusters::adjusted_rand;

fn labels(values: &[f64]) -> Vec<usize> {
    values.iter().map(|l| *l as usize).collect()
}

/// Of simulated neurons of these types, of which the first is not oriented, the last two have a phase.
fn truth(types: &[usize]) -> String {
    let row = |t: &usize| match t {
        0 => "a,,,8\n".to_string(),
        1 | 2 => format!("type {t},0.5,,{}\n", 8 + t),
        _ => format!("type {t},0.5,1,{}\n", 8 + t),
    };
    let rows: String = types.iter().map(row).collect();
    format!("type,orientation,phase,size\n{rows}")
}

#[test]
fn truth_must_be_that_of_the_neurons() {
    let f = tempfile::tempdir().unwrap();
    let planted = plant(2, 4, 0.3, false, 1);
    write(&f.path().join("run"), &planted, &[]);
    let few = truth(&planted.types[1..]);
    let few = (few, "the number of neurons is 7, wanted 8".to_string());
    let without = ["type", "orientation", "phase"].map(|name| {
        let text = truth(&planted.types).replacen(name, "another", 1);
        (text, format!("the column is none, wanted {name}"))
    });
    for (text, wanted) in [few].into_iter().chain(without) {
        let wanted = format!("truth.csv: {wanted}");
        fs::write(f.path().join("truth.csv"), text).unwrap();
        let refused = striate(f.path(), "cluster run --clusters 2 --truth truth.csv");
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains(&wanted), "{}", refused.err);
        assert!(!f.path().join("run/clusters.csv").exists());
    }
}

#[test]
fn planted_types_and_turns_come_back() {
    for (whole, level) in [(true, 0.3), (false, 0.3)] {
        let f = tempfile::tempdir().unwrap();
        let planted = plant(5, 24, level, whole, 11);
        write(&f.path().join("run"), &planted, &[]);
        fs::write(f.path().join("truth.csv"), truth(&planted.types)).unwrap();
        let line = "cluster run --clusters 5 --device cpu --truth truth.csv";
        let done = striate(f.path(), line);
        // No recording: said, and other images shown.
        assert!(
            done.err.contains("simulated natural images instead"),
            "{}",
            done.err
        );
        let told = done.ok();
        assert!(told.contains("120 neurons in 5 clusters"), "{told}");
        let found = table(&f.path().join("run/clusters.csv"));
        let header: Vec<&str> = found.names().take(5).collect();
        assert_eq!(
            header,
            ["neuron", "cluster", "rotation", "tsne_1", "tsne_2"]
        );
        let clusters = labels(&column(&found, "cluster"));
        let index = adjusted_rand(&planted.types, &clusters).unwrap();
        assert!(index >= 0.95, "whole {whole}: {index}");
        let of_types = format!("the 5 planted types: {index:.3} (from true parameters: 1.000)");
        assert!(told.contains(&of_types), "{told}");
        let drives: Vec<usize> = planted.types.iter().map(|t| t.div_ceil(2)).collect();
        let index = adjusted_rand(&drives, &clusters).unwrap();
        assert!(told.contains(&format!("what drives the neurons: {index:.3}")));
        let rotations = column(&found, "rotation");
        assert!(
            rotations
                .iter()
                .all(|r| (0.0..std::f64::consts::TAU).contains(r))
        );
        let error = median_error(&planted.types, &planted.turns, &rotations);
        assert!(error <= 5.0, "whole {whole}: {error}");
    }
}

#[test]
fn neurons_may_be_clustered_by_their_tuning() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    // Two kinds of bar codes, and two of suppression across them.
    let planted = plant(2, 12, 0.2, false, 5);
    write(&run, &planted, &[3]);
    fs::write(f.path().join("truth.csv"), truth(&planted.types)).unwrap();
    let refused = striate(f.path(), "cluster run --clusters 2 --by tuning");
    assert_eq!(refused.code, 2);
    let wanted = "tuning.csv: does not exist; `striate tune` writes it";
    assert!(refused.err.contains(wanted), "{}", refused.err);

    let suppressed = |n: usize| usize::from(n >= 12);
    let row = |n: usize| {
        // Neuron 20's experiment told nothing of suppression.
        let index = match n {
            20 => String::new(),
            _ => format!(
                "{}",
                0.1 + 0.5 * suppressed(n) as f64 + 0.01 * (n % 5) as f64
            ),
        };
        let kind = planted.types[n];
        format!("{n},0.3,0.5,{index},0,0,0.7,0.3,{kind},0.1,0,0,0.7\n")
    };
    let names = "orientation_index,phase_index,suppression_index,contrast_index,plaid_index,circular_variance";
    let true_names: Vec<String> = names.split(',').map(|n| format!("true_{n}")).collect();
    let rows: String = (0..24).map(row).collect();
    let text = format!("neuron,{names},{}\n{rows}", true_names.join(","));
    fs::write(run.join("tuning.csv"), text).unwrap();
    for by in [
        "tuning",
        "suppression_index",
        "plaid_index,suppression_index",
    ] {
        let line = format!("cluster run --clusters 2 --truth truth.csv --by {by}");
        let told = striate(f.path(), &line).ok();
        assert!(
            told.contains("22 neurons in 2 clusters, 2 without a bar code or an index"),
            "{told}"
        );
        // Bar codes know of the types, suppression does not, the neurons' own phase index does.
        let wanted = "clusters of tuning indices: -0.0";
        assert!(
            told.contains(wanted) && told.contains("own tuning: 1.000"),
            "{told}"
        );
        let found = table(&run.join("clusters.csv"));
        let clusters = column(&found, "cluster");
        assert!(clusters[3].is_nan() && clusters[20].is_nan());
        let known: Vec<usize> = (0..24).filter(|n| ![3, 20].contains(n)).collect();
        let kinds: Vec<usize> = known.iter().map(|&n| suppressed(n)).collect();
        let labels: Vec<usize> = known.iter().map(|&n| clusters[n] as usize).collect();
        assert_eq!(adjusted_rand(&kinds, &labels).unwrap(), 1.0, "{by}");
        let made_with = format!("clusters=2; by={}", by.replace(',', " "));
        let text = fs::read_to_string(run.join("clusters.csv")).unwrap();
        assert!(text.lines().nth(1).unwrap().ends_with(&made_with), "{text}");
    }
    let told = striate(f.path(), "organise run");
    assert!(told.err.contains("made of tuning indices"), "{}", told.err);
    told.ok();
    striate(f.path(), "cluster run --clusters 2").ok();
    let told = striate(f.path(), "organise run");
    assert!(!told.err.contains("made of tuning indices"), "{}", told.err);
    // Twins without errors: with such errors the neurons' own tuning tells as much as without.
    let row = |n: usize| {
        let indices = format!("0.3,{},0.1,0,0,0.7", planted.types[n]);
        format!("{n},{indices},{indices}\n")
    };
    let rows: String = (0..24).map(row).collect();
    let text = format!("neuron,{names},{}\n{rows}", true_names.join(","));
    fs::write(run.join("tuning.csv"), text).unwrap();
    let told = striate(f.path(), "cluster run --clusters 2 --truth truth.csv").ok();
    let wanted = "clusters of tuning indices: 1.000 (from the neurons' own tuning: 1.000, from that with errors like the twins': 1.000, 90 % within 1.000 to 1.000)";
    assert!(told.contains(wanted), "{told}");
    let refused = striate(f.path(), "cluster run --clusters 2 --by direction_index");
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("no column direction_index"),
        "{}",
        refused.err
    );
}

#[test]
fn the_files_belong_together() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    let planted = plant(4, 15, 0.3, false, 3);
    write(&run, &planted, &[7, 20]);
    let done = striate(f.path(), "cluster run --clusters 4 --sweep 2,4,6 --json");
    assert!(
        done.err
            .contains("2 of 60 neurons have a readout that is all zero, and no cluster: 7, 20")
    );
    let told: serde_json::Value = serde_json::from_str(&done.ok()).unwrap();
    assert_eq!(
        (&told["neurons"], &told["clustered"]),
        (&60.into(), &58.into())
    );
    let text = fs::read_to_string(run.join("clusters.csv")).unwrap();
    assert_eq!(text.lines().nth(8), Some("7,,,,,,,"));
    let found = table(&run.join("clusters.csv"));
    let clusters = column(&found, "cluster");
    let filled: Vec<usize> = (0..60).filter(|n| ![7, 20].contains(n)).collect();
    let sizes: Vec<usize> = (0..4)
        .map(|k| filled.iter().filter(|&&n| clusters[n] == k as f64).count())
        .collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes.iter().sum::<usize>() == 58);
    let summary = table(&run.join("clusters_summary.csv"));
    let counts: Vec<f64> = sizes.iter().map(|&s| s as f64).collect();
    assert_eq!(column(&summary, "neurons"), counts);

    let (aligned, _) = npy::read(&run.join("aligned.npy")).unwrap();
    assert_eq!(aligned.shape(), [60, FEATURES * ORIENTATIONS]);
    for (n, row) in aligned.outer_iter().enumerate() {
        let length: f32 = row.iter().map(|w| w * w).sum();
        let wanted = if [7, 20].contains(&n) { 0.0 } else { 1.0 };
        assert!((length - wanted).abs() <= 0.05, "{n}: {length}");
    }
    // Members of a cluster are alike in the common frame, feature by feature.
    let alike = |a: usize, b: usize| -> f32 {
        let rows = aligned.outer_iter().nth(a).unwrap();
        let other = aligned.outer_iter().nth(b).unwrap();
        rows.iter().zip(&other).map(|(x, y)| x * y).sum()
    };
    for &a in &filled {
        for &b in &filled {
            if clusters[a] == clusters[b] {
                assert!(alike(a, b) > 0.8, "{a} {b}: {}", alike(a, b));
            }
        }
    }

    let (confusion, _) = npy::read(&run.join("cluster_confusion.npy")).unwrap();
    assert_eq!(confusion.shape(), [4, 4]);
    for i in 0..4 {
        assert!((confusion[[i, i]] - 1.0).abs() <= 1e-6);
        for j in 0..4 {
            assert!((confusion[[i, j]] - confusion[[j, i]]).abs() <= 1e-6);
            assert!(confusion[[i, j]].abs() <= 1.0);
        }
    }
    let alignment = table(&run.join("alignment.csv"));
    assert_eq!(alignment.rows(), 20);
    let chosen = alignment.text("chosen").unwrap();
    let chosen: Vec<usize> = (0..20).filter(|&r| chosen[r] == "true").collect();
    assert_eq!(chosen.len(), 1);
    let (energy, temperature) = (
        column(&alignment, "energy"),
        column(&alignment, "temperature"),
    );
    assert!(temperature[chosen[0]] > 5.0);
    for r in (0..20).filter(|&r| temperature[r] > 5.0) {
        assert!(energy[chosen[0]] <= energy[r]);
    }
    let counts = table(&run.join("cluster_counts.csv"));
    assert_eq!(column(&counts, "clusters"), [2.0, 4.0, 6.0]);
    let inertia = column(&counts, "inertia");
    assert!(
        inertia[0] > inertia[1] && inertia[1] > inertia[2],
        "{inertia:?}"
    );
    let agreement = column(&counts, "ari_over_seeds");
    assert!((agreement[1] - 1.0).abs() <= 1e-9, "{agreement:?}");
    let likelihood = column(&counts, "held_out_log_likelihood");
    assert!(likelihood[1] > likelihood[0], "{likelihood:?}");
    assert!(
        text.lines()
            .next()
            .unwrap()
            .ends_with(",model_hash,array_hash,made_with")
    );
    // Without the sweep its table would be of other clusters: it goes.
    striate(f.path(), "cluster run --clusters 3").ok();
    assert!(!run.join("cluster_counts.csv").exists());
}

#[test]
fn several_readouts_and_runs_are_one_population() {
    let f = tempfile::tempdir().unwrap();
    let (a, b, c) = (
        plant(3, 10, 0.2, false, 3),
        plant(3, 12, 0.2, false, 3),
        plant(3, 6, 0.2, false, 3),
    );
    write_readouts(&f.path().join("run"), &[("one", &a, &[]), ("two", &b, &[])]);
    write_readouts(&f.path().join("more"), &[("three", &c, &[])]);
    striate(f.path(), "cluster run --with more --clusters 3").ok();
    let found = table(&f.path().join("run/clusters.csv"));
    assert_eq!(found.rows(), 30 + 36 + 18);
    let names = found.text("recording").unwrap();
    assert_eq!(
        (names[29].as_str(), names[30].as_str(), names[83].as_str()),
        ("one", "two", "three")
    );
    let types = [a.types, b.types, c.types].concat();
    let clusters = labels(&column(&found, "cluster"));
    assert!(adjusted_rand(&types, &clusters).unwrap() >= 0.95);
    let summary = table(&f.path().join("run/clusters_summary.csv"));
    for (name, members) in [
        ("neurons_one", 10.0),
        ("neurons_two", 12.0),
        ("neurons_three", 6.0),
    ] {
        assert_eq!(column(&summary, name), [members; 3], "{name}");
    }
    let done = striate(f.path(), "cluster run --with run --clusters 3");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("readouts of other names"), "{}", done.err);
    // Some neurons of one readout.
    striate(
        f.path(),
        "cluster run --readout two --neurons 0-8 --clusters 3 --out part",
    )
    .ok();
    let part = table(&f.path().join("part/clusters.csv"));
    assert_eq!(part.rows(), 9);
    let with = part.text("made_with").unwrap();
    assert!(
        with[0].contains("readout=two") && with[0].contains("neurons=0-8"),
        "{with:?}"
    );
}

#[test]
fn odd_populations_are_clear() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    let planted = plant(2, 3, 0.2, false, 1);
    // One neuron.
    write(&run, &planted, &[0, 1, 2, 3, 4]);
    striate(f.path(), "cluster run --clusters 1").ok();
    let found = table(&run.join("clusters.csv"));
    let clusters = column(&found, "cluster");
    assert!(clusters[..5].iter().all(|c| c.is_nan()) && clusters[5] == 0.0);
    assert!(column(&found, "tsne_1")[5].is_finite() && column(&found, "rotation")[5].is_finite());
    // Fewer than clusters, the default too; none at all.
    for (silent, line, wanted) in [
        (&[][..], "cluster run --clusters 7", "at most 6"),
        (&[][..], "cluster run", "at most 6"),
        (
            &[0, 1, 2, 3, 4, 5][..],
            "cluster run --clusters 1",
            "at most 0",
        ),
    ] {
        write(&run, &planted, silent);
        fs::remove_file(run.join("clusters.csv")).ok();
        let done = striate(f.path(), line);
        assert_eq!(done.code, 2, "{line}: {}", done.err);
        assert!(done.err.contains(wanted), "{line}: {}", done.err);
        assert!(!run.join("clusters.csv").exists());
    }
    // All alike: one cluster is fine, two are not to be had.
    let mut alike = planted.clone();
    let width = FEATURES * ORIENTATIONS;
    let first = alike.codes[..width].to_vec();
    alike
        .codes
        .chunks_exact_mut(width)
        .for_each(|c| c.copy_from_slice(&first));
    write(&run, &alike, &[]);
    striate(f.path(), "cluster run --clusters 1").ok();
    let found = table(&run.join("clusters.csv"));
    for name in ["cluster", "rotation", "tsne_1", "tsne_2"] {
        assert!(column(&found, name).iter().all(|v| v.is_finite()), "{name}");
    }
    for line in [
        "--clusters 0",
        "--sweep 0,2",
        "--penalties 0",
        "--perplexity 1",
        "--restarts 0",
    ] {
        let done = striate(f.path(), &format!("cluster run {line}"));
        assert_eq!(
            (done.code, done.err.lines().count()),
            (2, 1),
            "{line}: {}",
            done.err
        );
    }
}

#[test]
fn a_trained_run_shows_its_own_images() {
    let f = small::folder("learning_rate = 0.01\nvalidate_every = 2\nmax_steps = 4");
    striate(f.path(), "train c.toml --out run").ok();
    let done = striate(f.path(), "cluster run --clusters 2");
    assert!(!done.err.contains("simulated"), "{}", done.err);
    done.ok();
    // Training again with another seed makes the clusters stale.
    assert!(f.path().join("run/clusters.csv").exists());
    striate(
        f.path(),
        "train c.toml --out run --overwrite --set training.seed=2",
    )
    .ok();
    assert!(!f.path().join("run/clusters.csv").exists());
    assert!(!f.path().join("run/aligned.npy").exists());
}

#[test]
fn a_plain_core_has_nothing_to_align() {
    let f = small::folder("learning_rate = 0.01\nvalidate_every = 2\nmax_steps = 4");
    let config = fs::read_to_string(f.path().join("c.toml")).unwrap();
    let plain = config.replace("orientations = 4", "kind = \"convolutional\"");
    fs::write(f.path().join("c.toml"), plain).unwrap();
    striate(f.path(), "train c.toml --out run").ok();
    striate(f.path(), "cluster run --clusters 2").ok();
    let found = table(&f.path().join("run/clusters.csv"));
    assert!(column(&found, "rotation").iter().all(|r| *r == 0.0));
    assert!(!f.path().join("run/alignment.csv").exists());
}
