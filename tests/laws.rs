//! What holds whatever the numbers are: symmetries, adjoints, invariances, independence of threads.

mod common;
use common::*;
use ndarray::{Array2, Array3, s};
use striate::device::{Array, Device};
use striate::model::config::{CoreKind, Padding};
use striate::model::{Config, Mode, Model, Population, Workspace, core};
use striate::ops::activation::Activation;
use striate::ops::basis::Basis;
use striate::ops::norm::{Affine, Finish};
use striate::ops::penalty::{Metric, Strength};
use striate::ops::readout::{Gradients, Weights};
use striate::ops::{conv, group_conv, norm, penalty, readout};
use striate::recording::preprocess::Preprocessing;
use striate::scoring::equivariance;
use striate::table::Column;

const CPU: Device = Device::Cpu;

fn upload(values: &[f64]) -> Array {
    CPU.upload(&narrow(values), &[values.len()])
}

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

/// <dy, A x> and <A' dy, x> relative to the lengths of dy and A x.
#[track_caller]
fn assert_adjoint(what: &str, (dy, ax): (&Array, &Array), (adjoint, x): (&Array, &Array)) {
    let [dy, ax, adjoint, x] = [dy, ax, adjoint, x].map(|a| widen(&a.download()));
    let (left, right) = (dot(&dy, &ax), dot(&adjoint, &x));
    let scale = (dot(&dy, &dy) * dot(&ax, &ax)).sqrt();
    assert!(
        (left - right).abs() <= 1e-5 * scale,
        "{what}: {left} {right} of {scale}"
    );
}

#[test]
fn ways_back_are_adjoint_to_ways_forward() {
    let base = group_conv::Shape {
        batch: 2,
        orientations: 8,
        in_features: 4,
        out_features: 3,
        oriented_input: true,
        height: 13,
        width: 18,
        kernel: 5,
        padding: 2,
    };
    for s in [
        base,
        group_conv::Shape {
            padding: 0,
            orientations: 12,
            ..base
        },
        group_conv::Shape {
            orientations: 5,
            kernel: 7,
            padding: 3,
            ..base
        },
        group_conv::Shape {
            oriented_input: false,
            in_features: 1,
            kernel: 9,
            padding: 4,
            ..base
        },
    ] {
        let name = format!("{s:?}");
        let direct = s.direct();
        let (nx, nw, ny) = direct.lengths();
        let (x, w, dy) = (
            upload(&noise(nx, 1)),
            upload(&noise(nw, 2)),
            upload(&noise(ny, 3)),
        );
        let (mut y, mut dx, mut dw) = (CPU.zeros(&[ny]), CPU.zeros(&[nx]), CPU.zeros(&[nw]));
        conv::forward(
            &CPU,
            &direct,
            x.view().into(),
            w.view(),
            y.view_mut().into(),
        );
        conv::backward_input(
            &CPU,
            &direct,
            w.view(),
            dy.view().into(),
            dx.view_mut().into(),
        );
        conv::backward_weights(
            &CPU,
            &direct,
            x.view().into(),
            dy.view().into(),
            dw.view_mut(),
        );
        assert_adjoint(&format!("direct, x {name}"), (&dy, &y), (&dx, &x));
        assert_adjoint(&format!("direct, w {name}"), (&dy, &y), (&dw, &w));

        let layer = group_conv::Layer::new(&CPU, s);
        let c = upload(&noise(s.coefficients(), 4));
        let (mut dx, mut dc) = (CPU.zeros(&[nx]), CPU.zeros(&[c.len()]));
        group_conv::forward(
            &CPU,
            &layer,
            s.batch,
            x.view().into(),
            c.view(),
            y.view_mut().into(),
        );
        group_conv::backward_input(
            &CPU,
            &layer,
            s.batch,
            c.view(),
            dy.view().into(),
            dx.view_mut().into(),
        );
        group_conv::backward_coefficients(
            &CPU,
            &layer,
            s.batch,
            x.view().into(),
            dy.view().into(),
            dc.view_mut(),
        );
        assert_adjoint(&format!("group, x {name}"), (&dy, &y), (&dx, &x));
        assert_adjoint(&format!("group, c {name}"), (&dy, &y), (&dc, &c));
    }
}

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

/// All results of the CPU paths on one set of inputs.
fn everything() -> Vec<(&'static str, Vec<u32>)> {
    let bits = |a: &Array| {
        a.download()
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<u32>>()
    };
    let mut results = Vec::new();
    let group = |oriented_input, in_features, kernel| group_conv::Shape {
        batch: 5,
        orientations: 8,
        in_features,
        out_features: 6,
        oriented_input,
        height: 19,
        width: 23,
        kernel,
        padding: kernel / 2,
    };
    for s in [group(true, 5, 5), group(false, 1, 13)] {
        let layer = group_conv::Layer::new(&CPU, s);
        let direct = s.direct();
        let (nx, nw, ny) = direct.lengths();
        let (x, w, dy) = (
            upload(&noise(nx, 1)),
            upload(&noise(nw, 2)),
            upload(&noise(ny, 3)),
        );
        let c = upload(&noise(s.coefficients(), 4));
        let (mut y, mut dx) = (CPU.zeros(&[ny]), CPU.zeros(&[nx]));
        let (mut dw, mut dc) = (CPU.zeros(&[nw]), CPU.zeros(&[c.len()]));
        group_conv::forward(
            &CPU,
            &layer,
            s.batch,
            x.view().into(),
            c.view(),
            y.view_mut().into(),
        );
        results.push(("group y", bits(&y)));
        let values = (x.view().into(), c.view());
        group_conv::backward(
            &CPU,
            &layer,
            s.batch,
            values,
            dy.view().into(),
            dx.view_mut().into(),
            dc.view_mut(),
        );
        results.push(("group dx", bits(&dx)));
        results.push(("group dc", bits(&dc)));
        group_conv::backward_coefficients(
            &CPU,
            &layer,
            s.batch,
            x.view().into(),
            dy.view().into(),
            dc.view_mut(),
        );
        group_conv::backward_input(
            &CPU,
            &layer,
            s.batch,
            c.view(),
            dy.view().into(),
            dx.view_mut().into(),
        );
        results.push(("group dc alone", bits(&dc)));
        results.push(("group dx alone", bits(&dx)));
        conv::forward(
            &CPU,
            &direct,
            x.view().into(),
            w.view(),
            y.view_mut().into(),
        );
        conv::backward_input(
            &CPU,
            &direct,
            w.view(),
            dy.view().into(),
            dx.view_mut().into(),
        );
        conv::backward_weights(
            &CPU,
            &direct,
            x.view().into(),
            dy.view().into(),
            dw.view_mut(),
        );
        results.extend([
            ("conv y", bits(&y)),
            ("conv dx", bits(&dx)),
            ("conv dw", bits(&dw)),
        ]);
        let metric = Metric::new(&CPU, layer.basis(), 8);
        let strength = Strength {
            smoothness: 0.3,
            group_sparsity: 0.2,
        };
        penalty::steerable(&CPU, &metric, 6, strength, c.view(), dc.view_mut());
        results.push(("penalty dc", bits(&dc)));
    }

    let s = norm::Shape {
        batch: 5,
        channels: 24,
        groups: 6,
        pixels: 437,
    };
    let n = s.batch * s.channels * s.pixels;
    let (y, mut d, mut z) = (upload(&noise(n, 1)), upload(&noise(n, 2)), CPU.zeros(&[n]));
    let [mut mean, mut variance, mut moving, mut spread] = [0; 4].map(|_| CPU.zeros(&[6]));
    let (current, running) = (
        (mean.view_mut(), variance.view_mut()),
        (moving.view_mut(), spread.view_mut()),
    );
    norm::statistics(&CPU, &s, y.view().into(), 0.9, current, running);
    let (gain, offset) = (upload(&noise(6, 3)), upload(&noise(6, 4)));
    let finish = Finish {
        statistics: (mean.view(), variance.view()),
        affine: Affine {
            gain: Some(gain.view()),
            offset: offset.view(),
        },
        activation: Activation::Softplus,
    };
    let (mut dgain, mut doffset) = (CPU.zeros(&[6]), CPU.zeros(&[6]));
    norm::forward(&CPU, &s, y.view().into(), &finish, z.view_mut().into());
    let gradients = (Some(dgain.view_mut()), doffset.view_mut());
    norm::backward(
        &CPU,
        &s,
        y.view().into(),
        &finish,
        d.view_mut().into(),
        gradients,
    );
    for (name, a) in [
        ("norm mean", &mean),
        ("norm variance", &variance),
        ("norm z", &z),
        ("norm dy", &d),
        ("norm dgain", &dgain),
        ("norm doffset", &doffset),
    ] {
        results.push((name, bits(a)));
    }

    let s = readout::Shape {
        batch: 5,
        channels: 48,
        pixels: 437,
        neurons: 301,
        positive_features: false,
    };
    let x = upload(&noise(s.batch * s.channels * s.pixels, 1));
    let (mask, features) = (
        upload(&noise(s.neurons * s.pixels, 2)),
        upload(&noise(s.neurons * s.channels, 3)),
    );
    let (bias, dh) = (
        upload(&noise(s.neurons, 4)),
        upload(&noise(s.batch * s.neurons, 5)),
    );
    let weights = Weights {
        mask: mask.view(),
        features: features.view(),
        bias: bias.view(),
    };
    let mut h = CPU.zeros(&[dh.len()]);
    let [mut dx, mut dmask, mut dfeatures, mut dbias] =
        [&x, &mask, &features, &bias].map(|a| CPU.zeros(&[a.len()]));
    readout::forward(&CPU, &s, x.view().into(), weights, h.view_mut(), None);
    let gradients = Gradients {
        mask: dmask.view_mut(),
        features: dfeatures.view_mut(),
        bias: dbias.view_mut(),
    };
    readout::backward(
        &CPU,
        &s,
        x.view().into(),
        weights,
        dh.view(),
        (dx.view_mut().into(), gradients),
        None,
    );
    for (name, a) in [
        ("readout h", &h),
        ("readout dx", &dx),
        ("readout dmask", &dmask),
        ("readout dfeatures", &dfeatures),
        ("readout dbias", &dbias),
    ] {
        results.push((name, bits(a)));
    }
    results
}

#[test]
fn one_and_more_threads_give_the_same_bits() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(everything)
    };
    let one = with(1);
    for threads in [2, 3] {
        for ((name, a), (_, b)) in one.iter().zip(with(threads)) {
            let differing = a.iter().zip(&b).filter(|(a, b)| a != b).count();
            assert_eq!(
                (a.len(), differing),
                (b.len(), 0),
                "{name}, {threads} threads"
            );
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
