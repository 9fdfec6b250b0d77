use super::affinities::Affinities;
use super::neighbours::nearest;
use super::*;
use ndarray::s;
use std::path::Path;

fn fixture() -> (Array2<f32>, serde_json::Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedding");
    let (rows, _) = crate::npy::read(&folder.join("rows.npy")).unwrap();
    let text = std::fs::read_to_string(folder.join("scikit_learn.json")).unwrap();
    (
        rows.into_dimensionality().unwrap(),
        serde_json::from_str(&text).unwrap(),
    )
}

fn embed(rows: ArrayView2<f32>, settings: &Settings) -> Embedding {
    t_sne(rows, settings, &mut Watch::hidden()).unwrap()
}

#[test]
fn affinities_are_scikit_learns() {
    let (rows, theirs) = fixture();
    let near = nearest(rows.view(), 91, &mut Watch::hidden()).unwrap();
    let p = Affinities::new(&near, 30.0);
    let entropy: f64 = p.values.iter().map(|p| -p * p.max(1e-300).ln()).sum();
    let wanted = theirs["affinity"].as_f64().unwrap();
    assert!((entropy - wanted).abs() <= 1e-4, "{entropy}, {wanted}");
}

#[test]
fn trustworthiness_is_scikit_learns() {
    let (rows, theirs) = fixture();
    let got = trustworthiness(rows.view(), rows.slice(s![.., ..2]), 12);
    let wanted = theirs["trustworthiness_of_columns"].as_f64().unwrap();
    assert!((got - wanted).abs() <= 1e-6, "{got}, {wanted}");
    assert!(trustworthiness(rows.view(), rows.view(), 200).is_nan());
}

#[test]
fn the_embedding_is_as_good_as_scikit_learns() {
    let (rows, theirs) = fixture();
    let got = embed(rows.view(), &Settings::default());
    let wanted = theirs["divergence"].as_f64().unwrap();
    assert!(
        got.divergence <= 1.05 * wanted && got.divergence >= 0.9 * wanted,
        "{got:?}"
    );
    let trust = trustworthiness(rows.view(), got.points.view(), 5);
    assert!(
        trust >= theirs["trustworthiness"].as_f64().unwrap() - 0.01,
        "{trust}"
    );
}

#[test]
fn threads_do_not_change_a_bit() {
    // Enough rows for the mesh.
    let rows = Array2::from_shape_fn((1100, 5), |(i, c)| {
        ((i * (c + 3)) as f32 * 0.37).sin() + (i % 7) as f32
    });
    let settings = Settings {
        steps: 60,
        exaggerated_steps: 30,
        ..Settings::default()
    };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build()
            .unwrap()
            .install(|| embed(rows.view(), &settings))
    };
    let one = with(1);
    assert_eq!(one, with(3));
    assert!(one.divergence.is_finite());
}

#[test]
fn few_and_equal_rows_have_a_place() {
    let settings = Settings {
        steps: 300,
        ..Settings::default()
    };
    for rows in [
        Array2::zeros((0, 4)),
        Array2::zeros((1, 4)),
        Array2::from_shape_fn((2, 4), |(i, c)| (i * c) as f32),
        Array2::from_shape_fn((3, 1), |(i, _)| i as f32),
        Array2::ones((40, 4)),
        Array2::from_shape_fn((60, 3), |(i, _)| (i % 2) as f32),
    ] {
        let got = embed(rows.view(), &settings);
        assert_eq!(got.points.dim(), (rows.nrows(), 2));
        assert!(got.points.iter().all(|v| v.is_finite()), "{got:?}");
        assert!(got.divergence.is_finite());
    }
}

#[test]
fn what_cannot_be_embedded_is_named() {
    let mut rows = Array2::<f32>::zeros((4, 3));
    rows[[2, 1]] = f32::NAN;
    let refused = |rows: &Array2<f32>, settings| {
        let said = t_sne(rows.view(), &settings, &mut Watch::hidden());
        said.unwrap_err().to_string()
    };
    assert!(refused(&rows, Settings::default()).contains("row 2, column 1"));
    let settings = Settings {
        perplexity: 0.5,
        ..Settings::default()
    };
    assert!(refused(&rows, settings).contains("perplexity"));
}
