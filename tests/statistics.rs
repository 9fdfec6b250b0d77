//! Tests and correlations give SciPy's numbers (`tests/fixtures/statistics/generate.py`).

use serde_json::Value;
use std::path::Path;
use striate::statistics::{correlation, kolmogorov_smirnov};

fn cases() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/statistics/cases.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

/// The rule of the generator's `sample`.
fn sample(of: &Value) -> Vec<f64> {
    let seed = of["seed"].as_u64().unwrap();
    let (scale, shift, levels) = (
        number(&of["scale"]),
        number(&of["shift"]),
        number(&of["levels"]),
    );
    let value = |i: u64| {
        let mut x = (i + 1 + 1_000_003 * seed) as u32;
        for _ in 0..3 {
            x = (x ^ (x >> 16)).wrapping_mul(0x045D_9F3B);
        }
        let x = f64::from(x) / 2_f64.powi(32);
        let x = match levels {
            0.0 => x,
            l => (x * l).floor() / l,
        };
        x * scale + shift
    };
    (0..of["count"].as_u64().unwrap()).map(value).collect()
}

/// Relative, however small the number.
fn agree(got: f64, wanted: f64, what: &Value) {
    let difference = (got - wanted).abs();
    assert!(
        difference <= 1e-6 * wanted.abs() + 1e-300,
        "got {got:e}, wanted {wanted:e}: {what}"
    );
}

#[test]
fn distances_and_their_p_values_are_scipys() {
    let cases = cases();
    let rule: Vec<f64> = serde_json::from_value(cases["rule"].clone()).unwrap();
    let like = serde_json::json!({"count": 4, "seed": 3, "scale": 1.0, "shift": 0.0, "levels": 0});
    assert_eq!(sample(&like), rule);
    let all = cases["kolmogorov"].as_array().unwrap();
    assert!(all.iter().any(|c| number(&c["p_value"]) <= 1e-200));
    for case in all {
        let t = kolmogorov_smirnov(&sample(&case["a"]), &sample(&case["b"]));
        agree(t.statistic, number(&case["statistic"]), case);
        agree(t.p_value, number(&case["p_value"]), case);
    }
}

#[test]
fn correlations_and_their_p_values_are_scipys() {
    let cases = cases();
    let all = cases["correlations"].as_array().unwrap();
    assert!(all.iter().any(|c| number(&c["p_value"]) <= 1e-200));
    for case in all {
        let x = sample(&case["x"]);
        let noise = sample(&case["noise"]);
        let slope = number(&case["slope"]);
        let y: Vec<f64> = x.iter().zip(noise).map(|(x, e)| e + slope * x).collect();
        let c = correlation(&x, &y);
        assert_eq!(c.pairs, x.len());
        agree(c.pearson, number(&case["pearson"]), case);
        agree(c.spearman, number(&case["spearman"]), case);
        agree(c.p_value, number(&case["p_value"]), case);
    }
}
