//! What penalties do not see, and between what they lie.

use super::CPU;
use crate::common::*;
use striate::ops::basis::Basis;
use striate::ops::penalty::{self, Metric, Strength};

/// The penalty of filters (C_out, C_in, k, k).
fn filters_value((inputs, kernel): (usize, usize), strength: Strength, w: &[f64]) -> f64 {
    w.chunks_exact(inputs * kernel * kernel)
        .map(|w| penalty::reference::filter(kernel, strength, w, &mut vec![0.0; w.len()]))
        .sum()
}

#[test]
fn penalties_do_not_see_the_filters_scale() {
    let basis = Basis::new(5);
    let metric = Metric::new(&CPU, &basis, 8);
    let (n_in, features) = (6, 3);
    let c = noise(basis.len() * n_in * features, 1);
    let w = noise(4 * n_in * 25, 2);
    for strength in [
        Strength {
            smoothness: 1.0,
            group_sparsity: 0.0,
        },
        Strength {
            smoothness: 0.0,
            group_sparsity: 1.0,
        },
    ] {
        let steerable = |scale: f64| {
            let c: Vec<f64> = c.iter().map(|c| scale * c).collect();
            penalty::steerable_value(&metric, features, strength, &narrow(&c))
        };
        let filters = |scale: f64| {
            let w: Vec<f64> = w.iter().map(|w| scale * w).collect();
            filters_value((n_in, 5), strength, &w)
        };
        assert_close("steerable", &[steerable(3.0)], &[steerable(1.0)], 1e-6);
        assert_close("filters", &[filters(3.0)], &[filters(1.0)], 1e-6);
    }
}

#[test]
fn group_sparsity_lies_between_1_and_the_root_of_the_inputs() {
    let g = Strength {
        smoothness: 0.0,
        group_sparsity: 1.0,
    };
    let (n_in, area) = (6, 25);
    let filter = |w: &[f64]| filters_value((n_in, 5), g, w);
    for seed in 0..20 {
        let value = filter(&noise(n_in * area, seed));
        assert!((1.0..=6f64.sqrt()).contains(&value), "{value}");
    }
    let one = noise(area, 1);
    let mut alone = vec![0.0; n_in * area];
    alone[2 * area..3 * area].copy_from_slice(&one);
    assert_close("one input", &[filter(&alone)], &[1.0], 1e-6);
    assert_close(
        "equal inputs",
        &[filter(&one.repeat(n_in))],
        &[6f64.sqrt()],
        1e-6,
    );

    let basis = Basis::new(5);
    let metric = Metric::new(&CPU, &basis, 8);
    let steerable = |c: &[f64]| penalty::steerable_value(&metric, 1, g, &narrow(c)) / 8.0;
    for seed in 0..20 {
        let value = steerable(&noise(basis.len() * n_in, seed));
        assert!((1.0..=6f64.sqrt()).contains(&value), "{value}");
    }
    let one = noise(basis.len(), 1);
    let only = |input: usize| -> Vec<f64> {
        (0..basis.len() * n_in)
            .map(|i| {
                if i % n_in == input {
                    one[i / n_in]
                } else {
                    0.0
                }
            })
            .collect()
    };
    assert_close("one input, steerable", &[steerable(&only(2))], &[1.0], 1e-6);
    let equal: Vec<f64> = one.iter().flat_map(|&c| [c; 6]).collect();
    assert_close(
        "equal inputs, steerable",
        &[steerable(&equal)],
        &[6f64.sqrt()],
        1e-6,
    );
}
