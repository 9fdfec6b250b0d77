//! Of whole twins: rotated and shifted images, slopes.

use super::CPU;
use crate::common::*;
use ndarray::{Array2, Array3, s};
use striate::model::config::{CoreKind, Padding};
use striate::model::{Config, Mode, Model, Population, Workspace, core};
use striate::recording::preprocess::Preprocessing;
use striate::scoring::equivariance;
use striate::table::Column;

fn config(kind: CoreKind, orientations: usize, padding: Padding, shared_norm: bool) -> Config {
    let mut config = Config::default();
    config.core.kind = kind;
    config.core.orientations = orientations;
    config.core.filter_sizes = vec![7, 5, 3];
    config.core.features = vec![3, 2, 4];
    config.core.padding = padding;
    config.core.shared_norm = shared_norm;
    config
}

/// Fresh filters, everything else drawn at random.
fn model(config: &Config, height: usize, width: usize) -> Model {
    let population = Population {
        name: "test".into(),
        height,
        width,
        response_scale: vec![1.0; 5],
    };
    let preprocessing = Preprocessing {
        image_mean: 0.0,
        image_sd: 1.0,
    };
    let mut model = Model::zeros(&CPU, config, preprocessing, &[population]).unwrap();
    model.initialise(&[vec![1.0; 5]]);
    for (i, slot) in model.params.layout.slots.clone().iter().enumerate() {
        let last = slot.name.rsplit('.').next().unwrap();
        let draw = noise(slot.range().len(), 100 + i as u64);
        let values: Vec<f64> = match last {
            "gain" => draw.iter().map(|v| 1.0 + 0.4 * v).collect(),
            "offset" => draw,
            "weights" => draw.iter().map(|v| 0.2 * v).collect(),
            "mask" => draw.iter().map(|v| 0.05 * v).collect(),
            "features" => draw.iter().map(|v| 0.5 * v).collect(),
            _ => continue,
        };
        model.params.view_mut(i).fill_from(&narrow(&values));
    }
    for (i, slot) in model.statistics.layout.slots.clone().iter().enumerate() {
        let draw = noise(slot.range().len(), 200 + i as u64);
        let variance = slot.name.ends_with("variance");
        let values: Vec<f64> = draw
            .iter()
            .map(|v| if variance { 1.0 + 0.5 * v } else { 0.5 * v })
            .collect();
        model.statistics.view_mut(i).fill_from(&narrow(&values));
    }
    model
}

fn images(n: usize, height: usize, width: usize, seed: u64) -> Array3<f32> {
    Array3::from_shape_vec((n, height, width), narrow(&noise(n * height * width, seed))).unwrap()
}

/// Every layer's maps, (image and channel, row, column).
fn maps(model: &mut Model, images: &Array3<f32>) -> Vec<Array3<f32>> {
    let (n, height, width) = images.dim();
    let mut space = Workspace::new(model, (height, width), n, true);
    space
        .images
        .fill_from(&images.iter().copied().collect::<Vec<_>>());
    core::forward(model, &mut space, n, Mode::Prediction);
    let mut lost = 0;
    (0..model.layers.len())
        .map(|l| {
            if model.config.core.padding == Padding::Valid {
                lost += model.layers[l].kernel - 1;
            }
            let map = space.map(l);
            let planes = n * map.shape()[1];
            Array3::from_shape_vec((planes, height - lost, width - lost), map.download()).unwrap()
        })
        .collect()
}

/// Turned by quarters counter-clockwise.
fn turned(planes: &Array3<f32>, quarters: usize) -> Array3<f32> {
    let mut planes = planes.clone();
    for _ in 0..quarters {
        let side = planes.dim().1;
        planes = Array3::from_shape_fn(planes.dim(), |(c, i, j)| planes[(c, j, side - 1 - i)]);
    }
    planes
}

fn flat(planes: &Array3<f32>) -> Vec<f64> {
    planes.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn rotating_the_image_rotates_and_rolls_the_maps() {
    for orientations in [4, 8, 12] {
        for (padding, side) in [
            (Padding::Same, 17),
            (Padding::Same, 14),
            (Padding::Valid, 18),
        ] {
            let config = config(CoreKind::RotationEquivariant, orientations, padding, true);
            let mut model = model(&config, side, side);
            let images = images(2, side, side, 1);
            let upright = maps(&mut model, &images);
            for quarters in 1..4 {
                let q = quarters * orientations / 4;
                let after = maps(&mut model, &turned(&images, quarters));
                for (l, (before, after)) in upright.iter().zip(&after).enumerate() {
                    let (f, turned) = (config.core.features[l], turned(before, quarters));
                    let wanted = Array3::from_shape_fn(turned.dim(), |(plane, i, j)| {
                        let (image, c) = (plane / (orientations * f), plane % (orientations * f));
                        let o = (c / f + orientations - q) % orientations;
                        turned[((image * orientations + o) * f + c % f, i, j)]
                    });
                    let name =
                        format!("{orientations} {padding:?} {side} layer {l}, {quarters} quarters");
                    assert_close(&name, &flat(after), &flat(&wanted), 1e-5);
                    // The roll matters: without it the maps differ.
                    assert!(relative(&flat(after), &flat(&turned)) > 0.1, "{name}");
                }
            }
        }
    }
}

/// Largest error that the check of equivariance reports for quarter turns.
fn reported(model: &mut Model, images: &Array3<f32>) -> f64 {
    let table = equivariance::verify(model, images.view()).unwrap();
    let Some(Column::Boolean(exact)) = table.column("exact_grid") else {
        panic!("no exact_grid")
    };
    assert_eq!(exact.iter().filter(|e| **e).count(), 3 * model.layers.len());
    let errors = table.numbers("error").unwrap();
    let of_quarters = || {
        errors
            .iter()
            .zip(exact)
            .filter(|(_, e)| **e)
            .map(|(v, _)| *v)
    };
    assert!(of_quarters().all(f64::is_finite));
    of_quarters().fold(0.0, f64::max)
}

#[test]
fn the_check_of_equivariance_agrees() {
    for orientations in [4, 8, 12] {
        for padding in [Padding::Same, Padding::Valid] {
            let images = images(2, 16, 21, 1);
            let of = |shared| config(CoreKind::RotationEquivariant, orientations, padding, shared);
            let error = reported(&mut model(&of(true), 16, 21), &images);
            assert!(error < 1e-5, "{orientations} {padding:?}: {error:e}");
            let error = reported(&mut model(&of(false), 16, 21), &images);
            assert!(
                error > 1e-2,
                "{orientations} {padding:?}, own statistics: {error:e}"
            );
        }
    }
}

#[test]
fn shifting_the_image_shifts_the_maps() {
    let (down, right) = (3, 2);
    for kind in [CoreKind::RotationEquivariant, CoreKind::Convolutional] {
        for padding in [Padding::Same, Padding::Valid] {
            let mut model = model(&config(kind, 8, padding, false), 22, 25);
            let large = images(1, 22 + down, 25 + right, 1);
            let first = maps(&mut model, &large.slice(s![.., ..22, ..25]).to_owned());
            let second = maps(&mut model, &large.slice(s![.., down.., right..]).to_owned());
            let mut reach = 0;
            for (l, (first, second)) in first.iter().zip(&second).enumerate() {
                // The zeros of "same" padding reach this far into the maps.
                if padding == Padding::Same {
                    reach += model.layers[l].kernel / 2;
                }
                let (_, h, w) = first.dim();
                let inner = first.slice(s![.., down + reach..h - reach, right + reach..w - reach]);
                let moved = second.slice(s![.., reach..h - reach - down, reach..w - reach - right]);
                assert!(inner.len() > 100);
                let name = format!("{kind:?} {padding:?} layer {l}");
                assert_close(
                    &name,
                    &flat(&moved.to_owned()),
                    &flat(&inner.to_owned()),
                    1e-5,
                );
            }
        }
    }
}

#[test]
fn the_gradient_at_the_image_is_the_slope_of_the_rates() {
    for (kind, padding) in [
        (CoreKind::RotationEquivariant, Padding::Same),
        (CoreKind::RotationEquivariant, Padding::Valid),
        (CoreKind::Convolutional, Padding::Same),
    ] {
        let mut model = model(&config(kind, 8, padding, false), 15, 18);
        let (n, step) = (2, 0.04f32);
        let images = images(n, 15, 18, 1);
        let weights = Array2::from_shape_vec((n, 5), narrow(&noise(n * 5, 2))).unwrap();
        let gradient = model.image_gradient(0, images.view(), &weights).unwrap();
        let mut values = |images: &Array3<f32>| -> Vec<f64> {
            let rates = model.rates(0, images.view()).unwrap();
            let of = |i: usize| {
                rates
                    .row(i)
                    .iter()
                    .zip(weights.row(i))
                    .map(|(&r, &w)| f64::from(r) * f64::from(w))
                    .sum()
            };
            (0..n).map(of).collect()
        };
        assert_close("values", &gradient.values, &values(&images), 1e-5);
        let (mut got, mut wanted) = (Vec::new(), Vec::new());
        for seed in 10..16 {
            let direction = self::images(n, 15, 18, seed);
            let moved = |by: f32| &images + &(&direction * by);
            let (up, down) = (values(&moved(step)), values(&moved(-step)));
            for i in 0..n {
                let (g, d) = (
                    gradient.gradient.slice(s![i, .., ..]),
                    direction.slice(s![i, .., ..]),
                );
                got.push(
                    g.iter()
                        .zip(d)
                        .map(|(&g, &d)| f64::from(g) * f64::from(d))
                        .sum(),
                );
                wanted.push((up[i] - down[i]) / (2.0 * f64::from(step)));
            }
        }
        assert_close(&format!("{kind:?} {padding:?}"), &got, &wanted, 1e-3);
        assert!(wanted.iter().any(|w| w.abs() > 1e-2), "{wanted:?}");
    }
}
