//! Pooling, dense layers, biases and dropout.

use super::common::*;
use striate::ops::activation::Activation;
use striate::ops::{bias, dense, dropout, penalty, pool};

#[test]
fn max_pooling_agrees_with_differences() {
    for (batch, channels, height, width, size, stride) in [
        (2, 3, 9, 8, 3, 2),
        (1, 1, 3, 3, 3, 2),
        (1, 2, 7, 6, 2, 3),
        (2, 1, 5, 5, 4, 1),
    ] {
        let s = pool::Shape {
            batch,
            channels,
            height,
            width,
            size,
            stride,
        };
        let (nx, ny) = s.lengths();
        let (x, dy) = (noise(nx, 1), noise(ny, 2));
        let mut dx = vec![f64::NAN; nx];
        pool::reference::backward(&s, &x, &dy, &mut dx);
        assert_gradient(&format!("{s:?}"), &x, &dx, |x| {
            let mut y = vec![0.0; ny];
            pool::reference::forward(&s, x, &mut y);
            dot(&y, &dy)
        });
    }
}

#[test]
fn the_first_of_equal_numbers_is_the_largest_and_no_number_beats_all() {
    let s = pool::Shape {
        batch: 1,
        channels: 1,
        height: 4,
        width: 3,
        size: 3,
        stride: 2,
    };
    assert_eq!((s.out_height(), s.out_width()), (1, 1));
    let mut x = [1.0, 2.0, 0.0, 2.0, 2.0, 1.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0];
    let (mut y, mut dx) = ([0.0], [f64::NAN; 12]);
    pool::reference::forward(&s, &x, &mut y);
    pool::reference::backward(&s, &x, &[3.0], &mut dx);
    assert_eq!(y, [2.0]);
    assert_eq!((dx[1], dx.iter().sum::<f64>()), (3.0, 3.0));
    x[5] = f64::NAN;
    pool::reference::forward(&s, &x, &mut y);
    assert!(y[0].is_nan());
}

#[test]
fn a_dense_layer_agrees_with_differences() {
    for (batch, inputs, units) in [(1, 1, 1), (3, 5, 4), (2, 7, 3)] {
        let s = dense::Shape {
            batch,
            inputs,
            units,
        };
        let (nx, nw, ny) = s.lengths();
        let (x, w, b, dy) = (noise(nx, 1), noise(nw, 2), noise(units, 3), noise(ny, 4));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![f64::NAN; ny];
            dense::reference::forward(&s, x, w, b, &mut y);
            dot(&y, &dy)
        };
        let (mut dx, mut dw, mut db) = (vec![f64::NAN; nx], vec![0.0; nw], vec![0.0; units]);
        dense::reference::backward_input(&s, &w, &dy, &mut dx);
        dense::reference::backward_weights(&s, &x, &dy, &mut dw);
        dense::reference::backward_bias(&s, &dy, &mut db);
        assert_gradient(&format!("dx {s:?}"), &x, &dx, |x| loss(x, &w, &b));
        assert_gradient(&format!("dw {s:?}"), &w, &dw, |w| loss(&x, w, &b));
        assert_gradient(&format!("db {s:?}"), &b, &db, |b| loss(&x, &w, b));
    }
}

#[test]
fn biases_and_their_activation_agree_with_differences() {
    for activation in [Activation::Relu, Activation::Softplus, Activation::None] {
        for (batch, channels, pixels) in [(2, 3, 5), (3, 1, 1), (1, 4, 2)] {
            let s = bias::Shape {
                batch,
                channels,
                pixels,
                activation,
            };
            let (y, b, dz) = (noise(s.len(), 1), noise(channels, 2), noise(s.len(), 3));
            let loss = |y: &[f64], b: &[f64]| {
                let mut z = vec![f64::NAN; y.len()];
                bias::reference::forward(&s, y, b, &mut z);
                dot(&z, &dz)
            };
            let (mut dy, mut db) = (dz.clone(), vec![0.0; channels]);
            bias::reference::backward(&s, &y, &b, &mut dy, &mut db);
            assert_gradient(&format!("dy {s:?}"), &y, &dy, |y| loss(y, &b));
            assert_gradient(&format!("db {s:?}"), &b, &db, |b| loss(&y, b));
        }
    }
}

#[test]
fn dropout_keeps_the_stated_share_and_the_mean_and_is_its_own_gradient() {
    let s = dropout::Shape {
        batch: 40,
        units: 500,
        keep: 0.55,
    };
    let mask = |step, recording, seed| {
        let mut ones = vec![1.0; 20_000];
        let draw = dropout::draw(step, recording, seed);
        dropout::reference::apply(&s, &draw, &mut ones);
        ones
    };
    let first = mask(3, 0, 7);
    let kept = first.iter().filter(|v| **v != 0.0).count() as f64 / 20_000.0;
    // Four standard deviations.
    assert!((kept - 0.55).abs() <= 0.0141, "{kept}");
    assert!(first.iter().all(|v| *v == 0.0 || *v == 1.0 / 0.55));
    assert_eq!(first, mask(3, 0, 7));
    for other in [
        mask(4, 0, 7),
        mask(3, 1, 7),
        mask(3, 0, 8),
        mask(3, 0, 7 << 32),
    ] {
        let same = first.iter().zip(&other).filter(|(a, b)| a == b).count() as f64 / 20_000.0;
        // Independent masks agree where both keep or both drop.
        assert!(
            (same - (0.55 * 0.55 + 0.45 * 0.45)).abs() <= 0.0142,
            "{same}"
        );
    }
    let rows: Vec<&[f64]> = first.chunks_exact(500).collect();
    assert!((1..40).all(|b| rows[b] != rows[0]));
    let (x, dy) = (noise(20_000, 1), noise(20_000, 2));
    let apply = |v: &[f64]| {
        let mut v = v.to_vec();
        dropout::reference::apply(&s, &dropout::draw(3, 0, 7), &mut v);
        v
    };
    let (forth, back) = (dot(&apply(&x), &dy), dot(&x, &apply(&dy)));
    assert!((forth - back).abs() <= 1e-9, "{forth} {back}");
}

#[test]
fn the_penalty_of_squares_agrees_with_differences() {
    let v = noise(9, 1);
    let mut gradient = vec![0.0; 9];
    penalty::reference::squares(0.3, &v, &mut gradient);
    let penalty = |v: &[f64]| 0.3 * v.iter().map(|v| v * v).sum::<f64>();
    assert_gradient("squares", &v, &gradient, penalty);
}
