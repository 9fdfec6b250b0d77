//! Clusters of rows: beside scikit-learn on the same rows (`tests/fixtures/clusters`), planted ones, and rows that make none.

use ndarray::{Array2, Axis, Ix2, array, concatenate, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;
use std::path::Path;
use striate::device::Device;
use striate::device::Precision;
use striate::device::emulator::{Emulator, Order};
use striate::insilico::Watch;
use striate::npy;
use striate::population::clusters::{
    Clusters, Mixture, MixtureSettings, Settings, Start, Sweep, adjusted_rand, blocks, held_out,
    k_means, k_means_from, mean_agreement, over_seeds, sweep,
};

const CPU: Device = Device::Cpu;

fn fixture() -> (Array2<f32>, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clusters");
    let rows = npy::read(&folder.join("rows.npy")).unwrap().0;
    let found = std::fs::read_to_string(folder.join("scikit-learn.json")).unwrap();
    (
        rows.into_dimensionality::<Ix2>().unwrap(),
        serde_json::from_str(&found).unwrap(),
    )
}

fn settings(clusters: usize) -> Settings {
    Settings {
        clusters,
        ..Settings::default()
    }
}

fn found(rows: &Array2<f32>, settings: &Settings) -> Clusters {
    k_means(&CPU, rows.view(), settings, &mut Watch::hidden()).unwrap()
}

fn refused(rows: &Array2<f32>, clusters: usize) -> String {
    let settings = settings(clusters);
    let refused = k_means(&CPU, rows.view(), &settings, &mut Watch::hidden());
    refused.unwrap_err().to_string()
}

/// Prototypes of unit variance, rows of each in turn with noise, and their labels; prototype c has the more rows the smaller c is.
fn planted(rows: usize, width: usize, clusters: usize, noise: f32) -> (Array2<f32>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut normal = |n: usize| -> Array2<f32> {
        Array2::from_shape_simple_fn((n, width), || StandardNormal.sample(&mut rng))
    };
    let (prototypes, mut all) = (normal(clusters), normal(rows) * noise);
    let labels: Vec<usize> = (0..rows)
        .map(|i| i % clusters % (1 + i % 7 * clusters / 6))
        .collect();
    for (mut row, &label) in all.outer_iter_mut().zip(&labels) {
        row += &prototypes.row(label);
    }
    (all, labels)
}

#[test]
fn inertia_is_that_of_scikit_learn() {
    let (rows, wanted) = fixture();
    for (k, wanted) in wanted["inertia"].as_object().unwrap() {
        let (k, wanted) = (k.parse().unwrap(), wanted.as_f64().unwrap());
        let found = found(&rows, &settings(k));
        assert!(
            found.inertia <= 1.01 * wanted,
            "{k}: {} {wanted}",
            found.inertia
        );
        if k == 1 {
            assert!((found.inertia - wanted).abs() <= 1e-5 * wanted);
        }
    }
}

#[test]
fn clusters_are_what_they_say() {
    let (rows, _) = fixture();
    let found = found(&rows, &settings(8));
    let (mut counts, mut inertia) = ([0usize; 8], 0.0);
    let mut sums = Array2::<f64>::zeros((8, rows.ncols()));
    for (row, &label) in rows.outer_iter().zip(&found.labels) {
        counts[label] += 1;
        sums.row_mut(label)
            .zip_mut_with(&row, |s, v| *s += f64::from(*v));
        let to = |c: usize| -> f64 {
            let pairs = row.iter().zip(found.centres.row(c));
            pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        assert!((0..8).all(|c| to(label) <= to(c) + 1e-5));
        inertia += to(label);
    }
    assert!(
        counts.is_sorted_by(|a, b| a >= b) && counts[7] > 0,
        "{counts:?}"
    );
    assert!((found.inertia - inertia).abs() <= 1e-5 * inertia);
    for (c, &count) in counts.iter().enumerate() {
        for (sum, &centre) in sums.row(c).iter().zip(found.centres.row(c)) {
            assert!((sum / count as f64 - f64::from(centre)).abs() <= 1e-5);
        }
    }
}

#[test]
fn mixtures_are_as_likely_as_scikit_learns() {
    let (rows, wanted) = fixture();
    let (train, test) = (rows.slice(s![..400, ..]), rows.slice(s![400.., ..]));
    for (k, wanted) in wanted["mixtures"].as_object().unwrap() {
        let settings = MixtureSettings {
            components: k.parse().unwrap(),
            restarts: 10,
            ..MixtureSettings::default()
        };
        let mixture = Mixture::fit(&CPU, train, &settings, &mut Watch::hidden()).unwrap();
        let of_test = mixture.log_likelihoods(test);
        let of_test = of_test.iter().sum::<f64>() / of_test.len() as f64;
        let tolerance = if k == "1" { 1e-9 } else { 5e-3 };
        for (got, wanted) in [(mixture.log_likelihood, &wanted[0]), (of_test, &wanted[1])] {
            let wanted = wanted.as_f64().unwrap();
            let off = (got - wanted).abs() / wanted.abs();
            assert!(off <= tolerance, "{k}: {got} {wanted}");
        }
        assert!(mixture.converged && (mixture.weights.iter().sum::<f64>() - 1.0).abs() <= 1e-12);
    }
}

#[test]
fn the_adjusted_rand_index_is_scikit_learns() {
    let (_, wanted) = fixture();
    let labels = |v: &Value| -> Vec<usize> { serde_json::from_value(v.clone()).unwrap() };
    for pair in wanted["agreement"].as_array().unwrap() {
        let (a, b) = (labels(&pair[0]), labels(&pair[1]));
        let wanted = pair[2].as_f64().unwrap();
        for got in [adjusted_rand(&a, &b), adjusted_rand(&b, &a)] {
            let got = got.unwrap();
            assert!((got - wanted).abs() <= 1e-12, "{got} {wanted}: {a:?} {b:?}");
        }
    }
    let told = adjusted_rand(&[0, 1], &[0]).unwrap_err().to_string();
    assert!(told.contains("labels is 1, wanted 2"), "{told}");
    assert!(mean_agreement(&[vec![0, 1]]).unwrap().is_nan());
}

#[test]
fn planted_clusters_come_back() {
    let (rows, truth) = planted(3000, 64, 20, 0.5);
    let clusters = found(&rows, &settings(20));
    let index = adjusted_rand(&clusters.labels, &truth).unwrap();
    assert!(index >= 0.95, "{index}");
    let (agreement, inertia) =
        over_seeds(&CPU, rows.view(), &settings(20), 3, &mut Watch::hidden()).unwrap();
    assert!(
        agreement >= 0.95 && inertia <= clusters.inertia,
        "{agreement}"
    );
}

#[test]
fn the_likelihood_of_rows_held_out_finds_how_many_clusters_were_planted() {
    let (rows, _) = planted(1500, 16, 6, 0.6);
    let counts = [1, 3, 6, 40];
    let settings = Sweep {
        restarts: 5,
        seeds: 3,
        ..Sweep::default()
    };
    let all = sweep(&CPU, rows.view(), &counts, &settings, &mut Watch::hidden()).unwrap();
    let held_out: Vec<f64> = all.iter().map(|c| c.held_out_log_likelihood).collect();
    assert!(
        held_out[0] < held_out[1] && held_out[1] < held_out[2],
        "{all:?}"
    );
    assert!(held_out[3] < held_out[2], "{all:?}");
    assert!(all.is_sorted_by(|a, b| a.inertia > b.inertia), "{all:?}");
    assert!(all[2].ari_over_seeds > all[3].ari_over_seeds, "{all:?}");
}

#[test]
fn clusters_do_not_depend_on_the_number_of_threads() {
    let (rows, _) = planted(2500, 33, 30, 1.5);
    let mixture = MixtureSettings {
        components: 9,
        ..MixtureSettings::default()
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let fit = Mixture::fit(&CPU, rows.view(), &mixture, &mut Watch::hidden());
            (found(&rows, &settings(30)), fit.unwrap())
        })
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one, three);
    let other = Settings {
        seed: 2,
        ..settings(30)
    };
    assert_ne!(one.0, found(&rows, &other));
}

#[test]
fn a_search_on_kernels_is_that_on_the_cpu() {
    let (rows, _) = planted(150, 12, 5, 0.3);
    let settings = Settings {
        restarts: 2,
        ..settings(5)
    };
    let here = found(&rows, &settings);
    let emulated = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let there = k_means(&emulated, rows.view(), &settings, &mut Watch::hidden()).unwrap();
    assert_eq!(here.labels, there.labels);
    assert!((here.inertia - there.inertia).abs() <= 1e-5 * here.inertia);
}

#[test]
fn a_search_goes_on_from_centres_and_from_labels() {
    let (rows, truth) = planted(600, 8, 6, 0.4);
    let clusters = found(&rows, &settings(6));
    let from = |start| k_means_from(&CPU, rows.view(), start, 300, &mut Watch::hidden());
    let again = from(Start::Centres(clusters.centres.view())).unwrap();
    assert_eq!((&again.labels, again.steps), (&clusters.labels, 1));
    let again = from(Start::Labels(&clusters.labels)).unwrap();
    assert_eq!(again.labels, clusters.labels);
    let from_truth = from(Start::Labels(&truth)).unwrap();
    assert!(adjusted_rand(&from_truth.labels, &truth).unwrap() >= 0.95);
    // Number 3 has no rows: it gets some.
    let gap: Vec<usize> = clusters
        .labels
        .iter()
        .map(|&l| l + usize::from(l > 2))
        .collect();
    let filled = from(Start::Labels(&gap)).unwrap();
    assert_eq!(filled.centres.nrows(), 7);
    assert!((0..7).all(|c| filled.labels.contains(&c)));
    // No step: the rows go to the centres given.
    let fixed = clusters.centres.view();
    let none = k_means_from(
        &CPU,
        rows.view(),
        Start::Centres(fixed),
        0,
        &mut Watch::hidden(),
    );
    let none = none.unwrap();
    assert_eq!((&none.labels, none.steps), (&clusters.labels, 0));
    for (start, part) in [
        (Start::Labels(&truth[1..]), "labels is 599, wanted 600"),
        (
            Start::Centres(array![[1.0]].view()),
            "centre is 1, wanted 8",
        ),
        (
            Start::Centres(Array2::from_elem((2, 8), f32::NAN).view()),
            "a centre is NaN",
        ),
    ] {
        let told = from(start).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn what_makes_no_clusters_is_refused() {
    let rows = array![[1.0f32, 2.0], [1.0, 2.0], [0.0, 2.0], [-0.0, 2.0]];
    for (rows, clusters, part) in [
        (&rows, 0, "their number is 0, wanted at least 1"),
        (
            &rows,
            3,
            "different rows is 2 (of 4 in all), wanted at least 3, one for each cluster",
        ),
        (
            &Array2::zeros((0, 2)),
            1,
            "different rows is 0, wanted at least 1",
        ),
        (&Array2::zeros((3, 0)), 1, "the length of a row is 0"),
        (&array![[1.0f32], [f32::NAN]], 1, "row 1 is NaN"),
        (&array![[1.0f32], [f32::INFINITY]], 1, "row 1 is inf"),
    ] {
        let told = refused(rows, clusters);
        assert!(told.contains(part), "{told}");
    }
    let hidden = Watch::hidden;
    let none = Settings {
        restarts: 0,
        ..settings(1)
    };
    let told = k_means(&CPU, rows.view(), &none, &mut hidden()).unwrap_err();
    assert!(told.to_string().contains("restarts is 0"), "{told}");
    let share = Sweep {
        train_share: 1.0,
        ..Sweep::default()
    };
    let told = held_out(&CPU, rows.view(), &[1], &share, &mut hidden()).unwrap_err();
    assert!(told.to_string().contains("rows fitted to"), "{told}");
}

#[test]
fn as_many_clusters_as_different_rows_leave_no_inertia() {
    let one = array![[3.0f32, -1.0, 7.0]];
    let alone = found(&one, &settings(1));
    assert_eq!((alone.labels, alone.inertia), (vec![0], 0.0));
    assert_eq!(alone.centres, one);

    let same = Array2::from_elem((9, 4), 0.1f32);
    let together = found(&same, &settings(1));
    assert_eq!((together.labels, together.inertia), (vec![0; 9], 0.0));

    let four = array![[0.3f32, 0.1], [0.3, 0.2], [0.7, 0.1], [-0.4, 0.0]];
    let twice = concatenate![Axis(0), four, four];
    let apart = found(&twice, &settings(4));
    assert_eq!(
        (apart.labels, apart.inertia),
        (vec![0, 1, 2, 3, 0, 1, 2, 3], 0.0)
    );

    // Rows that differ by less than the rounding of their squares.
    let far = array![[1e4f32, 0.0], [1e4, 1e-3], [1e4, 2e-3], [-1e4, 0.0]];
    let near = found(&concatenate![Axis(0), far, far], &settings(4));
    assert_eq!(near.labels[..4], near.labels[4..]);
    assert!(near.inertia <= 1e-5 && near.centres.iter().all(|v| v.is_finite()));
}

#[test]
fn a_mixture_of_equal_rows_has_a_density() {
    let mut rows = Array2::from_elem((9, 4), 0.1f32);
    rows.slice_mut(s![6.., ..]).fill(2.0);
    for components in [1, 2] {
        let settings = MixtureSettings {
            components,
            ..MixtureSettings::default()
        };
        let mixture = Mixture::fit(&CPU, rows.view(), &settings, &mut Watch::hidden()).unwrap();
        assert!(mixture.log_likelihood.is_finite(), "{mixture:?}");
        assert!(mixture.variances.iter().all(|&v| v >= 1e-6), "{mixture:?}");
        let labels = mixture.labels(rows.view());
        assert_eq!(labels[0] == labels[8], components == 1);
        // Far from all components a density is little, not none.
        let far = mixture.log_likelihoods(array![[1e4f32, 0.0, 0.0, 0.0]].view());
        assert!(far[0].is_finite() && far[0] < -1e4, "{far:?}");
    }
}

#[test]
fn clusters_that_confuse_each_other_are_a_block() {
    // 0, 2 and 5 are alike; 1 and 4; 3 alone.
    let group = [0, 1, 0, 2, 1, 0];
    let confusion = Array2::from_shape_fn((6, 6), |(a, b)| match (a == b, group[a] == group[b]) {
        (true, _) => 1.0,
        (_, true) => 0.7 + 0.01 * a as f64,
        _ => 0.2,
    });
    assert_eq!(blocks(confusion.view(), 0.5).unwrap(), [0, 1, 0, 2, 1, 0]);
    assert_eq!(blocks(confusion.view(), 0.1).unwrap(), [0; 6]);
    assert_eq!(blocks(confusion.view(), 0.9).unwrap(), [0, 1, 2, 3, 4, 5]);
    // A chain: 1 is like 0 and 2, which are not alike. The mean over pairs decides, not the best pair.
    let chain = array![[1.0, 0.8, 0.0], [0.8, 1.0, 0.6], [0.0, 0.6, 1.0]];
    assert_eq!(blocks(chain.view(), 0.5).unwrap(), [0, 0, 1]);
    assert_eq!(blocks(chain.view(), 0.25).unwrap(), [0, 0, 0]);
    // What is not known joins nothing.
    let unknown = array![[1.0, f64::NAN, 0.9], [f64::NAN, 1.0, 0.1], [0.9, 0.1, 1.0]];
    assert_eq!(blocks(unknown.view(), 0.5).unwrap(), [0, 1, 0]);
    assert_eq!(blocks(Array2::zeros((0, 0)).view(), 0.5).unwrap(), [0; 0]);
    let told = blocks(Array2::zeros((2, 3)).view(), 0.5).unwrap_err();
    assert!(
        told.to_string().contains("(2, 3), wanted a square"),
        "{told}"
    );
}
