//! Every op's CPU path in float32 against its definition in float64, on the same inputs.
//!
//! Outputs begin as NaN, for they must be overwritten; gradients of parameters begin as 1, for they must be added to.
//! The convolutions have a file of their own.

mod common;
use common::*;
use striate::device::{Array, Device};
use striate::ops::activation::{Activation, Output};
use striate::ops::basis::Basis;
use striate::ops::group_conv;
use striate::ops::norm::Affine;
use striate::ops::penalty::{Metric, Strength};
use striate::ops::readout::{Gradients, Weights};
use striate::ops::{gather, loss, norm, optimiser, penalty, readout};

const CPU: Device = Device::Cpu;
const TOLERANCE: f64 = 1e-5;

/// The same numbers as float32 on the device and as float64 here.
fn both(values: &[f64]) -> (Array, Vec<f64>) {
    let v = narrow(values);
    (CPU.upload(&v, &[v.len()]), widen(&v))
}

fn filled(value: f32, n: usize) -> Array {
    CPU.upload(&vec![value; n], &[n])
}

#[track_caller]
fn assert_same(what: &str, got: &Array, wanted: &[f64]) {
    assert_close(what, &widen(&got.download()), wanted, TOLERANCE);
}

/// A gradient that began as 1.
fn plus_one(v: &[f64]) -> Vec<f64> {
    v.iter().map(|v| v + 1.0).collect()
}

#[test]
fn nan_never_passes_for_a_number() {
    for (got, wanted) in [
        ([f64::NAN, 1.0], [0.0, 1.0]),
        ([1.0, f64::NAN], [1.0, 1.0]),
        ([1.0, 1.0], [f64::NAN, 1.0]),
        ([f64::INFINITY, 1.0], [1.0, 1.0]),
        ([f64::INFINITY, 1.0], [f64::INFINITY, 1.0]),
    ] {
        let error = relative(&got, &wanted);
        let passes = error <= 1e300;
        assert!(!passes, "{got:?} {wanted:?} {error}");
    }
    assert!(relative(&[0.0, 2.0], &[0.0, 2.0]) <= 0.0);
}

fn norm_shapes() -> Vec<norm::Shape> {
    let mut shapes = Vec::new();
    for activation in [Activation::Softplus, Activation::Relu, Activation::None] {
        for (batch, channels, groups, pixels) in [
            (2, 6, 6, 37),
            (3, 8, 2, 64),
            (1, 1, 1, 5),
            (1, 12, 3, 1),
            (5, 4, 1, 131),
            (2, 3, 3, 16 * 17),
        ] {
            shapes.push(norm::Shape {
                batch,
                channels,
                groups,
                pixels,
                activation,
            });
        }
    }
    shapes
}

#[test]
fn normalisation_is_its_definition() {
    for s in norm_shapes() {
        let (n, groups) = (s.batch * s.channels * s.pixels, s.groups);
        let spread: Vec<f64> = noise(n, 1).iter().map(|y| 0.5 + 3.0 * y).collect();
        let (ay, y) = both(&spread);
        let (adz, dz) = both(&noise(n, 2));
        let (again, gain) = both(&noise(groups, 3));
        let (aoffset, offset) = both(&noise(groups, 4));
        let (mut moving_mean, old_mean) = both(&noise(groups, 5));
        let (mut moving_variance, old_variance) = both(&vec![0.8; groups]);
        let name = format!("{s:?}");

        let (mean, variance) = norm::reference::statistics(&s, &y);
        let (mut amean, mut avariance) = (filled(f32::NAN, groups), filled(f32::NAN, groups));
        norm::statistics(
            &CPU,
            &s,
            ay.view(),
            0.9,
            (amean.view_mut(), avariance.view_mut()),
            (moving_mean.view_mut(), moving_variance.view_mut()),
        );
        assert_same(&format!("mean {name}"), &amean, &mean);
        assert_same(&format!("variance {name}"), &avariance, &variance);
        let count = (s.batch * s.pixels * s.channels / s.groups) as f64;
        let correction = if count > 1.0 {
            count / (count - 1.0)
        } else {
            1.0
        };
        let moved = |old: &[f64], new: &[f64], factor: f64| -> Vec<f64> {
            old.iter()
                .zip(new)
                .map(|(o, n)| 0.9 * o + 0.1 * factor * n)
                .collect()
        };
        assert_same(
            &format!("moving mean {name}"),
            &moving_mean,
            &moved(&old_mean, &mean, 1.0),
        );
        let wanted = moved(&old_variance, &variance, correction);
        assert_same(
            &format!("moving variance {name}"),
            &moving_variance,
            &wanted,
        );

        // From here on both sides get the float32 statistics of a batch or, for prediction, some others.
        let (fixed_mean, fixed_variance) = (filled(0.3, groups), filled(1.7, groups));
        for with_gain in [false, true] {
            let name = format!("gain {with_gain} {name}");
            let gain = with_gain.then_some(&gain[..]);
            let affine = Affine {
                gain: with_gain.then(|| again.view()),
                offset: aoffset.view(),
            };
            for (m, v) in [(&amean, &avariance), (&fixed_mean, &fixed_variance)] {
                let (mean, variance) = (widen(&m.download()), widen(&v.download()));
                let statistics = (&mean[..], &variance[..]);
                let z = norm::reference::forward(&s, &y, statistics, gain, &offset);
                let mut az = filled(f32::NAN, n);
                norm::forward(
                    &CPU,
                    &s,
                    ay.view(),
                    (m.view(), v.view()),
                    affine,
                    az.view_mut(),
                );
                assert_same(&format!("z {name}"), &az, &z);

                let dy = norm::reference::backward_fixed(&s, &y, statistics, gain, &offset, &dz);
                let mut d = adz.clone();
                norm::backward_fixed(
                    &CPU,
                    &s,
                    ay.view(),
                    (m.view(), v.view()),
                    affine,
                    d.view_mut(),
                );
                assert_same(&format!("fixed dy {name}"), &d, &dy);
            }
            let (dy, dgain, doffset) = norm::reference::backward(&s, &y, gain, &offset, &dz);
            let mut d = adz.clone();
            let (mut again, mut aoffset) = (filled(1.0, groups), filled(1.0, groups));
            norm::backward(
                &CPU,
                &s,
                ay.view(),
                (amean.view(), avariance.view()),
                affine,
                d.view_mut(),
                (with_gain.then(|| again.view_mut()), aoffset.view_mut()),
            );
            // What is left of one sample after its own mean and variance is rounding.
            if count > 2.0 {
                assert_same(&format!("dy {name}"), &d, &dy);
                let wanted = if with_gain {
                    plus_one(&dgain)
                } else {
                    vec![1.0; groups]
                };
                assert_same(&format!("dgain {name}"), &again, &wanted);
            }
            assert_same(&format!("doffset {name}"), &aoffset, &plus_one(&doffset));
        }
    }
}

#[test]
fn the_readout_is_its_definition() {
    for (batch, channels, pixels, neurons) in [
        (2, 3, 35, 7),
        (1, 1, 1, 1),
        (3, 16, 64, 33),
        (1, 8, 129, 1),
        (5, 5, 17, 64),
        (4, 24, 12 * 17, 50),
    ] {
        for positive_features in [false, true] {
            let s = readout::Shape {
                batch,
                channels,
                pixels,
                neurons,
                positive_features,
            };
            let (ax, x) = both(&noise(batch * channels * pixels, 1));
            let mut mask = noise(neurons * pixels, 2);
            let mut features = noise(neurons * channels, 3);
            // At 0 an absolute value has gradient 0.
            (mask[0], features[0]) = (0.0, 0.0);
            let ((amask, mask), (afeatures, features)) = (both(&mask), both(&features));
            let (abias, bias) = both(&noise(neurons, 4));
            let (adh, dh) = both(&noise(batch * neurons, 5));
            let weights = Weights {
                mask: amask.view(),
                features: afeatures.view(),
                bias: abias.view(),
            };
            let h = readout::reference::forward(&s, &x, &mask, &features, &bias);
            let [dx, dmask, dfeatures, dbias] =
                readout::reference::backward(&s, &x, &mask, &features, &dh);
            for keep in [false, true] {
                let name = format!("keep {keep} {s:?}");
                let mut projections = filled(f32::NAN, s.projections());
                let mut ah = filled(f32::NAN, h.len());
                let kept = keep.then(|| projections.view_mut());
                readout::forward(&CPU, &s, ax.view(), weights, ah.view_mut(), kept);
                assert_same(&format!("h {name}"), &ah, &h);

                let mut adx = filled(f32::NAN, dx.len());
                let mut dm = filled(1.0, dmask.len());
                let mut df = filled(1.0, dfeatures.len());
                let mut db = filled(1.0, dbias.len());
                let gradients = Gradients {
                    mask: dm.view_mut(),
                    features: df.view_mut(),
                    bias: db.view_mut(),
                };
                let kept = keep.then(|| projections.view_mut());
                readout::backward(
                    &CPU,
                    &s,
                    ax.view(),
                    weights,
                    adh.view(),
                    (adx.view_mut(), gradients),
                    kept,
                );
                assert_same(&format!("dx {name}"), &adx, &dx);
                assert_same(&format!("dmask {name}"), &dm, &plus_one(&dmask));
                assert_same(&format!("dfeatures {name}"), &df, &plus_one(&dfeatures));
                assert_same(&format!("dbias {name}"), &db, &plus_one(&dbias));
            }
            let mut adx = filled(f32::NAN, dx.len());
            readout::backward_input(&CPU, &s, weights, adh.view(), adx.view_mut());
            assert_same(&format!("dx alone {s:?}"), &adx, &dx);
        }
    }
}

#[test]
fn a_batch_whose_projections_come_in_parts_is_the_definition() {
    // (C, N) floats of one image are a third of what is formed at once: the last part is smaller.
    let s = readout::Shape {
        batch: 4,
        channels: 128,
        pixels: 2,
        neurons: 43_000,
        positive_features: false,
    };
    let (ax, x) = both(&noise(s.batch * s.channels * s.pixels, 1));
    let (amask, mask) = both(&noise(s.neurons * s.pixels, 2));
    let (afeatures, features) = both(&noise(s.neurons * s.channels, 3));
    let (abias, bias) = both(&noise(s.neurons, 4));
    let weights = Weights {
        mask: amask.view(),
        features: afeatures.view(),
        bias: abias.view(),
    };
    let mut ah = filled(f32::NAN, s.batch * s.neurons);
    readout::forward(&CPU, &s, ax.view(), weights, ah.view_mut(), None);
    assert_same(
        "h",
        &ah,
        &readout::reference::forward(&s, &x, &mask, &features, &bias),
    );

    let (adh, dh) = both(&noise(s.batch * s.neurons, 5));
    let [dx, dmask, dfeatures, dbias] = readout::reference::backward(&s, &x, &mask, &features, &dh);
    let mut adx = filled(f32::NAN, dx.len());
    let mut dm = filled(1.0, dmask.len());
    let mut df = filled(1.0, dfeatures.len());
    let mut db = filled(1.0, dbias.len());
    let gradients = Gradients {
        mask: dm.view_mut(),
        features: df.view_mut(),
        bias: db.view_mut(),
    };
    readout::backward(
        &CPU,
        &s,
        ax.view(),
        weights,
        adh.view(),
        (adx.view_mut(), gradients),
        None,
    );
    assert_same("dx", &adx, &dx);
    assert_same("dmask", &dm, &plus_one(&dmask));
    assert_same("dfeatures", &df, &plus_one(&dfeatures));
    assert_same("dbias", &db, &plus_one(&dbias));
}

#[test]
fn the_loss_is_its_definition_and_skips_what_was_not_recorded() {
    for output in [
        Output::Softplus,
        Output::EluPlusOne,
        Output::Exponential,
        Output::Linear,
    ] {
        for (batch, neurons) in [(1, 1), (3, 7), (5, 64), (2, 4099)] {
            let shape = loss::Shape {
                batch,
                neurons,
                output,
            };
            let n = batch * neurons;
            let mut h: Vec<f64> = noise(n, 1).iter().map(|h| 4.0 * h).collect();
            if output == Output::Linear {
                h.iter_mut().for_each(|h| *h = h.abs() + 0.01);
            }
            let mut r: Vec<f64> = noise(n, 2).iter().map(|r| 3.0 * r.max(0.0)).collect();
            if n > 1 {
                r.iter_mut().step_by(5).for_each(|r| *r = f64::NAN);
            }
            let ((ah, h), (ar, r)) = (both(&h), both(&r));
            let name = format!("{shape:?}");
            let mut arates = filled(f32::NAN, n);
            loss::rates(&CPU, &shape, ah.view(), arates.view_mut());
            let rates: Vec<f64> = h.iter().map(|&h| output.value(h)).collect();
            assert_same(&format!("rates {name}"), &arates, &rates);

            let mut dh = vec![f64::NAN; n];
            let losses: Vec<f64> = (0..batch)
                .map(|b| {
                    let of = b * neurons..(b + 1) * neurons;
                    let (h, r) = (&h[of.clone()], &r[of.clone()]);
                    loss::reference::image(output, 1.0 / batch as f64, h, r, &mut dh[of])
                })
                .collect();
            for wanted in [true, false] {
                let (mut adh, mut alosses) = (filled(f32::NAN, n), filled(f32::NAN, batch));
                let gradient = wanted.then(|| adh.view_mut());
                loss::poisson(
                    &CPU,
                    &shape,
                    ah.view(),
                    ar.view(),
                    gradient,
                    alosses.view_mut(),
                );
                assert_same(&format!("losses {name}"), &alosses, &losses);
                if wanted {
                    assert_same(&format!("dh {name}"), &adh, &dh);
                }
            }
        }
    }
}

const STRENGTHS: [Strength; 3] = [
    Strength {
        smoothness: 1.0,
        group_sparsity: 0.0,
    },
    Strength {
        smoothness: 0.0,
        group_sparsity: 1.0,
    },
    Strength {
        smoothness: 0.3,
        group_sparsity: 0.2,
    },
];

#[test]
fn the_steerable_penalty_is_that_of_the_rotated_filters() {
    let base = group_conv::Shape {
        batch: 1,
        orientations: 8,
        in_features: 3,
        out_features: 2,
        oriented_input: true,
        height: 8,
        width: 8,
        kernel: 5,
        padding: 2,
    };
    for s in [
        base,
        group_conv::Shape {
            orientations: 4,
            kernel: 3,
            out_features: 5,
            ..base
        },
        group_conv::Shape {
            orientations: 3,
            kernel: 7,
            in_features: 1,
            ..base
        },
        group_conv::Shape {
            oriented_input: false,
            in_features: 1,
            kernel: 13,
            ..base
        },
        group_conv::Shape {
            oriented_input: false,
            in_features: 2,
            out_features: 1,
            ..base
        },
    ] {
        let basis = Basis::new(s.kernel);
        let metric = Metric::new(&basis, s.orientations);
        let scaled: Vec<f64> = noise(s.coefficients(), 1).iter().map(|c| 0.1 * c).collect();
        let (ac, c) = both(&scaled);
        let w = group_conv::reference::filters(&s, &basis, &c);
        for strength in STRENGTHS {
            let per_output = s.in_channels() * s.kernel * s.kernel;
            let mut dw = vec![0.0; w.len()];
            let wanted: f64 = w
                .chunks_exact(per_output)
                .zip(dw.chunks_exact_mut(per_output))
                .map(|(w, dw)| penalty::reference::filter(s.kernel, strength, w, dw))
                .sum();
            let mut dc = vec![1.0; c.len()];
            group_conv::reference::backward_filters(&s, &basis, &dw, &mut dc);
            let mut adc = filled(1.0, c.len());
            let got = penalty::steerable(
                &CPU,
                &metric,
                s.out_features,
                strength,
                ac.view(),
                adc.view_mut(),
            );
            let name = format!("{strength:?} {s:?}");
            assert_close(&format!("value {name}"), &[got], &[wanted], TOLERANCE);
            assert_same(&format!("dc {name}"), &adc, &dc);
        }
    }
}

#[test]
fn the_filter_penalty_is_its_definition() {
    for (out_channels, in_channels, kernel) in [(5, 3, 5), (1, 1, 1), (2, 1, 13), (17, 8, 3)] {
        let per_output = in_channels * kernel * kernel;
        let (aw, w) = both(&noise(out_channels * per_output, 1));
        for strength in STRENGTHS {
            let mut dw = vec![1.0; w.len()];
            let wanted: f64 = w
                .chunks_exact(per_output)
                .zip(dw.chunks_exact_mut(per_output))
                .map(|(w, dw)| penalty::reference::filter(kernel, strength, w, dw))
                .sum();
            let mut adw = filled(1.0, w.len());
            let got = penalty::filters(
                &CPU,
                (in_channels, kernel),
                strength,
                aw.view(),
                adw.view_mut(),
            );
            assert_close("value", &[got], &[wanted], TOLERANCE);
            assert_same("dw", &adw, &dw);
        }
    }
}

#[test]
fn the_readout_penalty_is_its_definition() {
    for (neurons, pixels, channels) in [(1, 1, 1), (7, 35, 3), (33, 64, 16)] {
        let mut mask = noise(neurons * pixels, 1);
        mask[0] = 0.0;
        let ((amask, mask), (afeatures, features)) =
            (both(&mask), both(&noise(neurons * channels, 2)));
        let (mut dmask, mut dfeatures) = (vec![1.0; mask.len()], vec![1.0; features.len()]);
        let wanted: f64 = mask
            .chunks_exact(pixels)
            .zip(features.chunks_exact(channels))
            .zip(
                dmask
                    .chunks_exact_mut(pixels)
                    .zip(dfeatures.chunks_exact_mut(channels)),
            )
            .map(|((m, f), (dm, df))| penalty::reference::neuron(0.02, m, f, dm, df))
            .sum();
        let (mut dm, mut df) = (filled(1.0, mask.len()), filled(1.0, features.len()));
        let gradients = (dm.view_mut(), df.view_mut());
        let got = penalty::readout(
            &CPU,
            neurons,
            0.02,
            (amask.view(), afeatures.view()),
            gradients,
        );
        if neurons == 1 {
            assert_eq!(got, 0.0);
        } else {
            assert_close("value", &[got], &[wanted], TOLERANCE);
        }
        assert_same("dmask", &dm, &dmask);
        assert_same("dfeatures", &df, &dfeatures);
    }
}

#[test]
fn gathering_copies_the_rows_asked_for() {
    let (source, values) = both(&noise(9 * 5, 1));
    let rows: [u32; 6] = [8, 0, 3, 3, 7, 1];
    let mut out = filled(f32::NAN, rows.len() * 5);
    gather::rows(
        &CPU,
        5,
        source.view(),
        CPU.upload(&rows, &[rows.len()]).view(),
        out.view_mut(),
    );
    let wanted: Vec<f64> = rows
        .iter()
        .flat_map(|&r| &values[r as usize * 5..][..5])
        .copied()
        .collect();
    assert_eq!(widen(&out.download()), wanted);
}

#[test]
fn optimiser_steps_are_their_definition() {
    // More than two of the chunks that threads take, and a tail.
    for n in [1, 5, 40_003] {
        let (mut av, mut v) = both(&noise(n, 1));
        let (mut am, mut m) = (filled(0.0, n), vec![0.0; n]);
        let (mut asecond, mut second) = (filled(0.0, n), vec![0.0; n]);
        for t in 1..=5 {
            let (ag, g) = both(&noise(n, 10 + t));
            optimiser::adam(
                &CPU,
                0.01,
                t,
                av.view_mut(),
                ag.view(),
                (am.view_mut(), asecond.view_mut()),
            );
            optimiser::reference::adam(0.01, t, &mut v, &g, &mut m, &mut second);
            assert_same(&format!("values {n} {t}"), &av, &v);
            assert_same(&format!("first {n} {t}"), &am, &m);
            assert_same(&format!("second {n} {t}"), &asecond, &second);
        }
        let (ag, g) = both(&noise(n, 20));
        let (mut av, v) = both(&noise(n, 21));
        optimiser::sgd(&CPU, 0.05, av.view_mut(), ag.view());
        let wanted: Vec<f64> = v.iter().zip(&g).map(|(v, g)| v - 0.05 * g).collect();
        assert_same(&format!("descent {n}"), &av, &wanted);
    }
}
