//! Every definition's gradient in float64 against central differences, with a random gradient coming in.

mod common;
#[path = "gradients/layers.rs"]
mod layers;

use common::*;
use striate::ops::activation::{Activation, Output};
use striate::ops::basis::Basis;
use striate::ops::{
    align, ascent, conv, gaussian, group_conv, loss, norm, optimiser, penalty, readout,
};
use striate::stimuli::{difference, gabor, steerable};

#[test]
fn direct_convolution_agrees_with_differences() {
    let base = conv::Shape {
        batch: 2,
        in_channels: 2,
        out_channels: 3,
        height: 5,
        width: 7,
        kernel: 3,
        padding: 1,
    };
    for s in [
        base,
        conv::Shape { padding: 0, ..base },
        conv::Shape {
            batch: 1,
            in_channels: 1,
            out_channels: 1,
            height: 5,
            width: 5,
            kernel: 5,
            padding: 0,
        },
        conv::Shape {
            kernel: 5,
            padding: 2,
            ..base
        },
        conv::Shape {
            kernel: 1,
            padding: 0,
            ..base
        },
    ] {
        let (nx, nw, ny) = s.lengths();
        let (x, w, dy) = (noise(nx, 1), noise(nw, 2), noise(ny, 3));
        let loss = |x: &[f64], w: &[f64]| {
            let mut y = vec![0.0; ny];
            conv::reference::forward(&s, x, w, &mut y);
            dot(&y, &dy)
        };
        let (mut dx, mut dw) = (vec![f64::NAN; nx], vec![0.0; nw]);
        conv::reference::backward_input(&s, &w, &dy, &mut dx);
        conv::reference::backward_weights(&s, &x, &dy, &mut dw);
        assert_gradient(&format!("dx {s:?}"), &x, &dx, |x| loss(x, &w));
        assert_gradient(&format!("dw {s:?}"), &w, &dw, |w| loss(&x, w));
    }
}

#[test]
fn group_convolution_agrees_with_differences() {
    let base = group_conv::Shape {
        batch: 2,
        orientations: 4,
        in_features: 2,
        out_features: 1,
        oriented_input: true,
        height: 5,
        width: 4,
        kernel: 3,
        padding: 1,
    };
    for s in [
        base,
        group_conv::Shape {
            batch: 1,
            orientations: 8,
            in_features: 1,
            out_features: 2,
            padding: 0,
            ..base
        },
        group_conv::Shape {
            orientations: 1,
            kernel: 5,
            padding: 2,
            ..base
        },
        group_conv::Shape {
            orientations: 3,
            ..base
        },
        group_conv::Shape {
            oriented_input: false,
            in_features: 1,
            orientations: 8,
            kernel: 5,
            padding: 2,
            ..base
        },
        group_conv::Shape {
            oriented_input: false,
            out_features: 3,
            ..base
        },
    ] {
        let basis = Basis::new(s.kernel);
        let (nx, _, ny) = s.direct().lengths();
        let (x, c, dy) = (noise(nx, 1), noise(s.coefficients(), 2), noise(ny, 3));
        let loss = |x: &[f64], c: &[f64]| {
            let mut y = vec![0.0; ny];
            group_conv::reference::forward(&s, &basis, x, c, &mut y);
            dot(&y, &dy)
        };
        let (mut dx, mut dc) = (vec![f64::NAN; nx], vec![0.0; c.len()]);
        group_conv::reference::backward_input(&s, &basis, &c, &dy, &mut dx);
        group_conv::reference::backward_coefficients(&s, &basis, &x, &dy, &mut dc);
        assert_gradient(&format!("dx {s:?}"), &x, &dx, |x| loss(x, &c));
        assert_gradient(&format!("dc {s:?}"), &c, &dc, |c| loss(&x, c));
    }
}

#[test]
fn normalisation_agrees_with_differences() {
    for activation in [Activation::Softplus, Activation::Relu, Activation::None] {
        for (batch, channels, groups, pixels) in
            [(2, 3, 3, 7), (3, 6, 2, 5), (1, 4, 1, 9), (1, 1, 1, 2)]
        {
            let s = norm::Shape {
                batch,
                channels,
                groups,
                pixels,
            };
            let kind = (&s, activation);
            let n = batch * channels * pixels;
            let (y, dz) = (noise(n, 1), noise(n, 2));
            let (gains, offset) = (noise(groups, 3), noise(groups, 4));
            for gain in [None, Some(&gains[..])] {
                let name = format!("{kind:?}, gain {}", gain.is_some());
                let forward = |y: &[f64], gain: Option<&[f64]>, offset: &[f64]| {
                    let (mean, variance) = norm::reference::statistics(&s, y);
                    dot(
                        &norm::reference::forward(kind, y, (&mean, &variance), gain, offset),
                        &dz,
                    )
                };
                let (dy, dgain, doffset) = norm::reference::backward(kind, &y, gain, &offset, &dz);
                assert_gradient(&format!("dy {name}"), &y, &dy, |y| {
                    forward(y, gain, &offset)
                });
                assert_gradient(&format!("doffset {name}"), &offset, &doffset, |o| {
                    forward(&y, gain, o)
                });
                if let Some(gain) = gain {
                    assert_gradient(&format!("dgain {name}"), gain, &dgain, |g| {
                        forward(&y, Some(g), &offset)
                    });
                }
                let (mean, variance) = (noise(groups, 5), vec![0.7; groups]);
                let dy = norm::reference::backward_fixed(
                    kind,
                    &y,
                    (&mean, &variance),
                    gain,
                    &offset,
                    &dz,
                );
                assert_gradient(&format!("fixed dy {name}"), &y, &dy, |y| {
                    dot(
                        &norm::reference::forward(kind, y, (&mean, &variance), gain, &offset),
                        &dz,
                    )
                });
            }
        }
    }
}

/// Away from 0, where an absolute value has no slope.
fn away_from_zero(v: Vec<f64>) -> Vec<f64> {
    v.into_iter().map(|v| v + 0.05 * v.signum()).collect()
}

/// `sum sparsity |mask|`.
fn l1<'a>(masks: impl Iterator<Item = (&'a [f64], &'a f64)>) -> f64 {
    masks
        .map(|(mask, sparsity)| sparsity * mask.iter().map(|m| m.abs()).sum::<f64>())
        .sum()
}

#[test]
fn factorised_readout_agrees_with_differences() {
    for (batch, channels, pixels, neurons) in
        [(2, 3, 7, 5), (1, 1, 1, 1), (3, 4, 5, 1), (1, 2, 9, 3)]
    {
        for positive_features in [false, true] {
            let s = readout::Shape {
                batch,
                channels,
                pixels,
                neurons,
                positive_features,
            };
            let x = noise(batch * channels * pixels, 1);
            let mask = away_from_zero(noise(neurons * pixels, 2));
            let features = away_from_zero(noise(neurons * channels, 3));
            let (bias, dh) = (noise(neurons, 4), noise(batch * neurons, 5));
            let sparsity = noise(neurons, 6);
            let loss = |x: &[f64], m: &[f64], f: &[f64], b: &[f64]| {
                let masks = m.chunks_exact(pixels).zip(&sparsity);
                dot(&readout::reference::forward(&s, x, m, f, b), &dh) + l1(masks)
            };
            let [dx, dmask, dfeatures, dbias] =
                readout::reference::backward(&s, &x, &mask, &features, &dh, &sparsity);
            assert_gradient(&format!("dx {s:?}"), &x, &dx, |x| {
                loss(x, &mask, &features, &bias)
            });
            assert_gradient(&format!("dmask {s:?}"), &mask, &dmask, |m| {
                loss(&x, m, &features, &bias)
            });
            assert_gradient(&format!("dfeatures {s:?}"), &features, &dfeatures, |f| {
                loss(&x, &mask, f, &bias)
            });
            assert_gradient(&format!("dbias {s:?}"), &bias, &dbias, |b| {
                loss(&x, &mask, &features, b)
            });
        }
    }
}

#[test]
fn the_readout_through_windows_agrees_with_differences() {
    let map = (5, 6);
    for of_neurons in [
        vec![(1, 2, 3, 3)],
        vec![(0, 0, 2, 3), (3, 4, 2, 2), (0, 0, 2, 3), (0, 0, 5, 6)],
    ] {
        let windows =
            readout::Windows::new(&striate::device::Device::Cpu, map, &windows(&of_neurons));
        for positive_features in [false, true] {
            let s = readout::Shape {
                batch: 2,
                channels: 3,
                pixels: map.0 * map.1,
                neurons: of_neurons.len(),
                positive_features,
            };
            let x = noise(s.batch * s.channels * s.pixels, 1);
            let mask = away_from_zero(noise(windows.mask_len(), 2));
            let sparsity = noise(s.neurons, 6);
            let features = away_from_zero(noise(s.neurons * s.channels, 3));
            let (bias, dh) = (noise(s.neurons, 4), noise(s.batch * s.neurons, 5));
            let loss = |x: &[f64], m: &[f64], f: &[f64], b: &[f64]| {
                let h = readout::windowed::reference::forward(&s, &windows, x, m, f, b);
                let masks = windows.order().iter().map(|&n| &m[windows.range(n)]);
                dot(&h, &dh) + l1(masks.zip(&sparsity))
            };
            let [dx, dmask, dfeatures, dbias] = readout::windowed::reference::backward(
                &s, &windows, &x, &mask, &features, &dh, &sparsity,
            );
            assert_gradient(&format!("dx {s:?}"), &x, &dx, |x| {
                loss(x, &mask, &features, &bias)
            });
            assert_gradient(&format!("dmask {s:?}"), &mask, &dmask, |m| {
                loss(&x, m, &features, &bias)
            });
            assert_gradient(&format!("dfeatures {s:?}"), &features, &dfeatures, |f| {
                loss(&x, &mask, f, &bias)
            });
            assert_gradient(&format!("dbias {s:?}"), &bias, &dbias, |b| {
                loss(&x, &mask, &features, b)
            });
        }
    }
}

#[test]
fn the_loss_with_responses_missing_agrees_with_differences() {
    for output in [
        Output::Softplus,
        Output::EluPlusOne,
        Output::Exponential,
        Output::Linear,
    ] {
        for n in [1, 2, 17] {
            let mut h = away_from_zero(noise(n, 1));
            if output == Output::Linear {
                h.iter_mut().for_each(|h| *h = h.abs());
            }
            let mut r: Vec<f64> = noise(n, 2).into_iter().map(|r| 2.0 * r.abs()).collect();
            if n > 2 {
                r[3] = f64::NAN;
                r[16] = f64::NAN;
                r[5] = 0.0;
            }
            for kind in [loss::Loss::Poisson, loss::Loss::VarianceScaledMse] {
                let mut dh = vec![f64::NAN; n];
                loss::reference::image(kind, output, 0.25, &h, &r, &mut dh);
                assert!(r.iter().zip(&dh).all(|(r, d)| !r.is_nan() || *d == 0.0));
                assert_gradient(&format!("{kind:?} {output:?} {n}"), &h, &dh, |h| {
                    loss::reference::image(kind, output, 0.25, h, &r, &mut vec![0.0; n])
                });
            }
        }
    }
}

#[test]
fn filter_penalties_agree_with_differences() {
    for (kernel, channels) in [(1, 1), (3, 1), (3, 4), (5, 3), (7, 2)] {
        let w = noise(channels * kernel * kernel, 1);
        for (smoothness, group_sparsity) in [(1.0, 0.0), (0.0, 1.0), (0.3, 0.7)] {
            let strength = penalty::Strength {
                smoothness,
                group_sparsity,
            };
            let mut dw = vec![0.0; w.len()];
            penalty::reference::filter(kernel, strength, &w, &mut dw);
            // Alone, a filter of one weight or G of one channel is constant up to 1e-8: nothing to divide by.
            let name = format!("{kernel} {channels} {strength:?}");
            let value = |w: &[f64]| {
                penalty::reference::filter(kernel, strength, w, &mut vec![0.0; w.len()])
            };
            if kernel == 1 || channels == 1 && smoothness == 0.0 {
                assert!(dw.iter().all(|d| d.abs() <= 1e-4), "{name}: {dw:?}");
            } else {
                assert_gradient(&name, &w, &dw, value);
            }
        }
    }
}

#[test]
fn a_channel_without_weights_has_no_gradient_of_its_own() {
    let mut w = noise(3 * 9, 1);
    w[9..18].fill(0.0);
    let mut dw = vec![0.0; w.len()];
    let strength = penalty::Strength {
        smoothness: 0.0,
        group_sparsity: 1.0,
    };
    let value = penalty::reference::filter(3, strength, &w, &mut dw);
    assert!(value.is_finite() && dw.iter().all(|d| d.is_finite()));
    assert!(dw[9..18].iter().all(|d| *d == 0.0));
}

#[test]
fn the_readout_penalty_agrees_with_differences() {
    for (pixels, channels) in [(1, 1), (7, 5), (20, 3)] {
        let (mask, features) = (
            away_from_zero(noise(pixels, 1)),
            away_from_zero(noise(channels, 2)),
        );
        let mut dfeatures = vec![0.0; channels];
        let (_, sparsity) = penalty::reference::neuron(0.3, &mask, &features, &mut dfeatures);
        let dmask: Vec<f64> = mask.iter().map(|m| m.signum() * sparsity).collect();
        let value =
            |m: &[f64], f: &[f64]| penalty::reference::neuron(0.3, m, f, &mut vec![0.0; f.len()]).0;
        assert_gradient("dmask", &mask, &dmask, |m| value(m, &features));
        assert_gradient("dfeatures", &features, &dfeatures, |f| value(&mask, f));
    }
}

#[test]
fn the_other_readout_penalties_agree_with_differences() {
    use penalty::reference::{absolutes, adaptive_neuron, squares};
    let values = away_from_zero(noise(9, 1));
    for penalty in [absolutes::<f64>, squares::<f64>] {
        let mut gradient = vec![0.0; values.len()];
        penalty(0.3, &values, &mut gradient);
        let value = |v: &[f64]| penalty(0.3, v, &mut vec![0.0; v.len()]);
        assert_gradient("element by element", &values, &gradient, value);
    }
    let (mask, features) = (away_from_zero(noise(7, 2)), away_from_zero(noise(5, 3)));
    let value = |m: &[f64], f: &[f64], s: f64| {
        let (mut df, mut ds) = (vec![0.0; 5], 0.0);
        let (value, sparsity) = adaptive_neuron((0.3, 0.25), (m, f, s), (&mut df, &mut ds));
        let dm: Vec<f64> = m.iter().map(|m| m.signum() * sparsity).collect();
        (value, dm, df, ds)
    };
    let (_, dm, df, ds) = value(&mask, &features, 0.4);
    assert_gradient("dmask", &mask, &dm, |m| value(m, &features, 0.4).0);
    assert_gradient("dfeatures", &features, &df, |f| value(&mask, f, 0.4).0);
    assert_gradient("dlog_norm", &[0.4], &[ds], |s| {
        value(&mask, &features, s[0]).0
    });
}

#[test]
fn adam_is_its_closed_form() {
    let (n, steps, rate) = (7, 6, 0.01);
    let gradients: Vec<Vec<f64>> = (0..steps).map(|t| noise(n, t)).collect();
    let start = noise(n, 99);
    let (mut values, mut first, mut second) = (start.clone(), vec![0.0; n], vec![0.0; n]);
    let mut wanted = start;
    for t in 1..=steps as usize {
        optimiser::reference::adam(
            rate,
            t as u64,
            &mut values,
            &gradients[t - 1],
            &mut first,
            &mut second,
        );
        // Moments are weighted sums of all gradients so far.
        for i in 0..n {
            let sum = |decay: f64, power: i32| -> f64 {
                (0..t)
                    .map(|s| {
                        (1.0 - decay) * decay.powi((t - 1 - s) as i32) * gradients[s][i].powi(power)
                    })
                    .sum()
            };
            let step =
                rate * (1.0 - 0.999f64.powi(t as i32)).sqrt() / (1.0 - 0.9f64.powi(t as i32));
            wanted[i] -= step * sum(0.9, 1) / (sum(0.999, 2).sqrt() + 1e-8);
        }
        assert_close(&format!("step {t}"), &values, &wanted, 1e-12);
    }
}

#[test]
fn the_smoothness_of_an_image_and_its_norm_agree_with_differences() {
    let (h, w) = (5, 6);
    for frame in [[0, 0, 7, 8], [1, 1, 6, 7], [2, 0, 7, 4], [0, 3, 5, 8]] {
        // What does not exist is 0.
        let exists = |p: usize| {
            let (i, j) = ((p / w + 1) as u32, (p % w + 1) as u32);
            (frame[0]..frame[2]).contains(&i) && (frame[1]..frame[3]).contains(&j)
        };
        let real: Vec<usize> = (0..h * w).filter(|&p| exists(p)).collect();
        let spread = |values: &[f64]| {
            let mut x = vec![0.0; h * w];
            real.iter().zip(values).for_each(|(&p, v)| x[p] = *v);
            x
        };
        let value = |x: &[f64], g: &mut [f64]| ascent::reference::smooth((h, w), &frame, 0.7, x, g);
        let at = noise(real.len(), 1);
        let mut gradient = vec![f64::NAN; h * w];
        value(&spread(&at), &mut gradient);
        let wanted: Vec<f64> = real.iter().map(|&p| gradient[p]).collect();
        assert_gradient(&format!("{frame:?}"), &at, &wanted, |v| {
            value(&spread(v), &mut vec![0.0; h * w])
        });
        assert!((0..h * w).all(|p| exists(p) || gradient[p] == 0.0));
    }
    let (z, g) = (noise(30, 2), noise(30, 3));
    let (mut x, mut dz) = (vec![f64::NAN; 30], vec![f64::NAN; 30]);
    let length = ascent::reference::constrain(12.0, &z, &mut x);
    ascent::reference::project(12.0, length, &x, &g, &mut dz);
    assert_gradient("dz", &z, &dz, |z| {
        let mut x = vec![f64::NAN; 30];
        ascent::reference::constrain(12.0, z, &mut x);
        dot(&x, &g)
    });
}

#[test]
fn the_parameters_of_gabors_and_plaids_agree_with_differences() {
    let (height, width) = (9, 13);
    let dimage = noise(height * width, 1);
    let gabors = [
        [6.3, 3.8, 7.5, 0.13, 1.4, 0.6, 0.9],
        // Its centre lies outside.
        [-1.2, 10.4, 12.0, 0.08, 0.7, -2.0, 4.0],
    ];
    for p in [gabors[0].to_vec(), gabors[1].to_vec(), gabors.concat()] {
        let mut dp = vec![f64::NAN; p.len()];
        gabor::reference::backward(width, &p, &dimage, &mut dp);
        assert_gradient(&format!("{p:?}"), &p, &dp, |p| {
            let mut image = vec![f64::NAN; height * width];
            gabor::reference::draw(width, p, &mut image);
            dot(&image, &dimage)
        });
    }
}

#[test]
fn the_parameters_of_differences_of_gaussians_agree_with_differences() {
    let (height, width) = (9, 13);
    let dimage = noise(height * width, 1);
    for p in [
        [6.3, 3.8, 2.0, 4.5, 1.4, 0.6],
        [-0.7, 9.1, 3.0, 1.5, -2.0, 1.2],
    ] {
        let mut dp = vec![f64::NAN; p.len()];
        difference::reference::backward(width, &p, &dimage, &mut dp);
        assert_gradient(&format!("{p:?}"), &p, &dp, |p| {
            let mut image = vec![f64::NAN; height * width];
            difference::reference::draw(width, p, &mut image);
            dot(&image, &dimage)
        });
    }
}

#[test]
fn the_coefficients_of_steerable_patches_agree_with_differences() {
    let (height, width, k) = (7, 8, 5);
    let (dimage, basis) = (noise(height * width, 1), Basis::new(k));
    for centre in [(4, 3), (0, 6), (9, -1)] {
        let c = noise(basis.len(), 2);
        let mut dc = vec![f64::NAN; c.len()];
        let functions = &basis.filters;
        steerable::reference::backward(width, k, functions, centre, &dimage, &mut dc);
        assert_gradient(&format!("{centre:?}"), &c, &dc, |c| {
            let mut image = vec![f64::NAN; height * width];
            steerable::reference::draw(width, k, functions, c, centre, &mut image);
            dot(&image, &dimage)
        });
    }
}

#[test]
fn alignment_agrees_with_differences() {
    for (neurons, features, o, cap) in [(5, 2, 8, None), (4, 3, 5, Some(2.5)), (1, 2, 2, None)] {
        let codes = noise(neurons * features * o, 1);
        let parameters: Vec<f64> = noise(neurons + 1, 2).iter().map(|v| 2.0 * v).collect();
        let loss = |parameters: &[f64]| {
            let fit = align_fit((features, o, cap), &codes, parameters);
            let (energy, reconstruction, _) = align::reference::forward(&fit);
            energy + 1.5 * reconstruction
        };
        let fit = align_fit((features, o, cap), &codes, &parameters);
        let (mut gradient, dt) = align::reference::backward(&fit, 1.5);
        gradient.push(dt);
        assert_gradient(&format!("{neurons} {o}"), &parameters, &gradient, loss);
    }
}

fn align_fit<'a>(
    (features, orientations, cap): (usize, usize, Option<f64>),
    codes: &'a [f64],
    parameters: &'a [f64],
) -> align::reference::Fit<'a, f64> {
    let (&t, logits) = parameters.split_last().unwrap();
    align::reference::Fit {
        features,
        orientations,
        temperature: align::Temperature { cap },
        codes,
        logits,
        t,
    }
}

#[test]
fn the_energy_is_the_mean_over_all_pairs() {
    let (features, o) = (3, 8);
    let (codes, logits) = (noise(6 * features * o, 1), noise(6, 2));
    let parameters = [logits.clone(), vec![0.4]].concat();
    let fit = align_fit((features, o, None), &codes, &parameters);
    let (energy, ..) = align::reference::forward(&fit);
    let turned: Vec<Vec<f64>> = codes
        .chunks_exact(features * o)
        .zip(&logits)
        .map(|(code, &logit)| {
            let [taps, ..] =
                align::reference::taps(o, align::reference::angle(logit), 0.4f64.exp());
            align::reference::relaxed(code, &taps)
        })
        .collect();
    let mut sum = 0.0;
    for a in &turned {
        for b in &turned {
            sum += a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / 36.0;
        }
    }
    assert_close("energy", &[energy], &[sum], 1e-12);
}

#[test]
fn the_gaussian_readout_agrees_with_differences() {
    use gaussian::reference::{Values, backward, forward};
    let base = gaussian::Shape {
        batch: 3,
        channels: 4,
        height: 5,
        width: 7,
        neurons: 6,
        isotropic: false,
    };
    for s in [
        base,
        gaussian::Shape {
            isotropic: true,
            ..base
        },
        gaussian::Shape {
            height: 1,
            neurons: 1,
            ..base
        },
    ] {
        // Up to half a map beyond its edge.
        let wide =
            |n: usize, seed: u64| -> Vec<f64> { noise(n, seed).iter().map(|v| 1.5 * v).collect() };
        let n = s.neurons;
        let (x, e, dh) = (
            noise(s.maps(), 1),
            noise(2 * s.batch * n, 2),
            noise(s.batch * n, 3),
        );
        let (position, spread) = (wide(2 * n, 4), noise(s.spread() * n, 5));
        let (features, bias) = (noise(n * s.channels, 6), noise(n, 7));
        let at = Values {
            position: &position,
            spread: &spread,
            features: &features,
            bias: &bias,
            noise: Some(&e),
        };
        let grown = backward(&s, &x, &at, &dh);
        let loss = |x: &[f64], values: &Values<f64>| dot(&forward(&s, x, values), &dh);
        assert_gradient(&format!("dx {s:?}"), &x, &grown.dx, |x| loss(x, &at));
        assert_gradient(
            &format!("position {s:?}"),
            &position,
            &grown.position,
            |v| loss(&x, &Values { position: v, ..at }),
        );
        assert_gradient(&format!("spread {s:?}"), &spread, &grown.spread, |v| {
            loss(&x, &Values { spread: v, ..at })
        });
        assert_gradient(
            &format!("features {s:?}"),
            &features,
            &grown.features,
            |v| loss(&x, &Values { features: v, ..at }),
        );
        assert_gradient(&format!("bias {s:?}"), &bias, &grown.bias, |v| {
            loss(&x, &Values { bias: v, ..at })
        });
    }
}
