//! Gradients of the penalties; the steerable one against that of the rotated filters.

use super::{Case, Cost, Output, both, filled};
use crate::common::{noise, windows};
use striate::device::{Device, View, ViewMut};
use striate::ops::basis::Basis;
use striate::ops::group_conv::{self, Shape};
use striate::ops::penalty::{self, Metric, Strength};
use striate::ops::readout::Windows;

const STRENGTHS: [(f64, f64); 3] = [(1.0, 0.0), (0.0, 1.0), (0.3, 0.2)];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (smoothness, group_sparsity) in STRENGTHS {
        let strength = Strength {
            smoothness,
            group_sparsity,
        };
        let layers = layers().into_iter();
        cases.extend(layers.map(|layer| steerable(layer, strength)));
        let filters_of = |size| filters(size, strength);
        let sizes = [(5, 3, 5), (1, 1, 1), (2, 1, 13), (17, 11, 3)];
        cases.extend(sizes.map(filters_of));
    }
    cases.extend([(1, 1, 1), (7, 35, 3), (5, 600, 16), (33, 64, 16)].map(readout));
    cases.push(windowed_readout());
    cases.extend(elements());
    cases.extend([false, true].map(adaptive));
    cases
}

fn layers() -> [Shape; 5] {
    let base = Shape {
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
    let image = Shape {
        oriented_input: false,
        ..base
    };
    [
        base,
        Shape {
            orientations: 4,
            kernel: 3,
            out_features: 5,
            ..base
        },
        Shape {
            orientations: 3,
            kernel: 7,
            in_features: 1,
            ..base
        },
        Shape {
            in_features: 1,
            kernel: 13,
            ..image
        },
        Shape {
            in_features: 2,
            out_features: 1,
            ..image
        },
    ]
}

pub fn steerable(s: Shape, strength: Strength) -> Case {
    Case::new(format!("steerable {strength:?} {s:?}"), move |on| {
        let basis = Basis::new(s.kernel);
        let metric = Metric::new(on, &basis, s.orientations);
        let mut scaled: Vec<f64> = noise(s.coefficients(), 1).iter().map(|c| 0.1 * c).collect();
        // An input without weights has no gradient of its own.
        if s.in_channels() > 1 {
            for c in scaled.chunks_exact_mut(s.in_channels() * s.out_features) {
                c[..s.out_features].fill(0.0);
            }
        }
        let (ac, c) = both(on, &scaled);
        let mut adc = filled(on, 1.0, c.len());
        let features = s.out_features;
        // A quadratic form of each penalty for each orientation.
        let products = 2 * s.orientations * basis.len() * c.len();
        let cost = Cost::words(3 * c.len()).products(products);
        on.pass("gradient", cost, || {
            penalty::steerable(on, &metric, features, strength, ac.view(), adc.view_mut());
        });
        on.outputs(|| {
            let w = group_conv::reference::filters(&s, &basis, &c);
            let per_output = s.in_channels() * s.kernel * s.kernel;
            let (mut dw, mut dc) = (vec![0.0; w.len()], vec![1.0; c.len()]);
            let outputs = w
                .chunks_exact(per_output)
                .zip(dw.chunks_exact_mut(per_output));
            let values =
                outputs.map(|(w, dw)| penalty::reference::filter(s.kernel, strength, w, dw));
            let value: f64 = values.sum();
            group_conv::reference::backward_filters(&s, &basis, &dw, &mut dc);

            let got = penalty::steerable_value(&metric, features, strength, &ac.download());
            let got = on.upload(&[got as f32], &[1]);
            vec![
                Output::new("dc", &adc, dc),
                Output::new("value", &got, vec![value]),
            ]
        })
    })
}

fn filters((outputs, inputs, kernel): (usize, usize, usize), strength: Strength) -> Case {
    let name = format!("filters {outputs} {inputs} {kernel} {strength:?}");
    Case::new(name, move |on| {
        let per_output = inputs * kernel * kernel;
        let mut w = noise(outputs * per_output, 1);
        if inputs > 1 {
            w[..kernel * kernel].fill(0.0);
        }
        let (aw, w) = both(on, &w);
        let mut adw = filled(on, 1.0, w.len());
        on.pass("gradient", Cost::words(3 * w.len()), || {
            let sizes = (inputs, kernel);
            penalty::filters(on, sizes, strength, aw.view(), adw.view_mut());
        });
        on.outputs(|| {
            let mut dw = vec![1.0; w.len()];
            for (w, dw) in w
                .chunks_exact(per_output)
                .zip(dw.chunks_exact_mut(per_output))
            {
                penalty::reference::filter(kernel, strength, w, dw);
            }
            vec![Output::new("dw", &adw, dw)]
        })
    })
}

pub fn readout((neurons, pixels, channels): (usize, usize, usize)) -> Case {
    let name = format!("readout penalty {neurons} {pixels} {channels}");
    Case::new(name, move |on| {
        let mut mask = noise(neurons * pixels, 1);
        mask[0] = 0.0;
        let (amask, mask) = both(on, &mask);
        let (afeatures, features) = both(on, &noise(neurons * channels, 2));
        let mut dm = filled(on, 1.0, mask.len());
        let mut df = filled(on, 1.0, features.len());
        on.pass(
            "gradient",
            Cost::words(3 * (mask.len() + features.len())),
            || {
                let values = (amask.view(), afeatures.view());
                let gradients = (dm.view_mut(), df.view_mut());
                penalty::readout(on, neurons, 0.02, values, gradients);
            },
        );
        on.outputs(|| {
            let (mut dmask, mut dfeatures) = (vec![1.0; mask.len()], vec![1.0; features.len()]);
            for n in 0..neurons {
                let (p, c) = (
                    n * pixels..(n + 1) * pixels,
                    n * channels..(n + 1) * channels,
                );
                let (m, f) = (&mask[p.clone()], &features[c.clone()]);
                penalty::reference::neuron(0.02, m, f, &mut dmask[p], &mut dfeatures[c]);
            }
            vec![
                Output::new("dmask", &dm, dmask),
                Output::new("dfeatures", &df, dfeatures),
            ]
        })
    })
}

fn elements() -> [Case; 2] {
    type Op = fn(&Device, f64, View, ViewMut);
    type Definition = fn(f64, &[f64], &mut [f64]) -> f64;
    let all: [(&str, Op, Definition); 2] = [
        (
            "absolutes",
            penalty::absolutes,
            penalty::reference::absolutes,
        ),
        ("squares", penalty::squares, penalty::reference::squares),
    ];
    all.map(|(name, op, definition)| {
        Case::new(format!("penalty of {name}"), move |on| {
            let (avalues, values) = both(on, &with_zero(noise(517, 2)));
            let mut gradient = filled(on, 1.0, values.len());
            on.pass("gradient", Cost::words(3 * values.len()), || {
                op(on, 0.02, avalues.view(), gradient.view_mut());
            });
            on.outputs(|| {
                let mut wanted = vec![1.0; values.len()];
                definition(0.02, &values, &mut wanted);
                vec![Output::new("gradient", &gradient, wanted)]
            })
        })
    })
}

fn adaptive(in_windows: bool) -> Case {
    let name = format!("adaptive readout penalty, windows {in_windows}");
    Case::new(name, move |on| {
        let (channels, map) = (5, (12, 20));
        let corners: Vec<_> = (0..9).map(|n| (n % 3, 4, 8, 8 + n % 2)).collect();
        let windows = Windows::new(on, map, &windows(&corners));
        let neurons = windows.neurons();
        let own = |n: usize| match in_windows {
            true => windows.range(n),
            false => n * map.0 * map.1..(n + 1) * map.0 * map.1,
        };
        let len = (0..neurons).map(|n| own(n).len()).sum();
        let (amask, mask) = both(on, &noise(len, 1));
        let (afeatures, features) = both(on, &noise(neurons * channels, 2));
        let (anorms, norms) = both(on, &noise(neurons, 3));
        let [mut dm, mut df, mut ds] =
            [mask.len(), features.len(), neurons].map(|n| filled(on, 1.0, n));
        let words = 3 * (mask.len() + features.len() + neurons);
        on.pass("gradient", Cost::words(words), || {
            let values = (amask.view(), afeatures.view());
            let gradients = (dm.view_mut(), df.view_mut());
            let log_norm = penalty::LogNorm {
                values: anorms.view(),
                gradient: ds.view_mut(),
                sd: 0.25,
            };
            let windows = in_windows.then_some(&windows);
            penalty::adaptive(on, windows, 0.02, values, gradients, log_norm);
        });
        on.outputs(|| {
            let [mut dmask, mut dfeatures, mut dnorms] =
                [mask.len(), features.len(), neurons].map(|n| vec![1.0; n]);
            for n in 0..neurons {
                let (p, c) = (own(n), n * channels..(n + 1) * channels);
                let values = (&mask[p.clone()], &features[c.clone()], norms[n]);
                let to = (&mut dmask[p], &mut dfeatures[c], &mut dnorms[n]);
                penalty::reference::adaptive_neuron((0.02, 0.25), values, to);
            }
            vec![
                Output::new("dmask", &dm, dmask),
                Output::new("dfeatures", &df, dfeatures),
                Output::new("dlog_norm", &ds, dnorms),
            ]
        })
    })
}

fn with_zero(mut values: Vec<f64>) -> Vec<f64> {
    values[3] = 0.0;
    values
}

fn windowed_readout() -> Case {
    Case::new("readout penalty through windows", |on| {
        let corners: Vec<_> = (0..9).map(|n| (n % 3, 4, 8, 8 + n % 2)).collect();
        let windows = Windows::new(on, (12, 20), &windows(&corners));
        let (neurons, channels) = (windows.neurons(), 5);
        let (amask, mask) = both(on, &noise(windows.mask_len(), 1));
        let (afeatures, features) = both(on, &noise(neurons * channels, 2));
        let mut dm = filled(on, 1.0, mask.len());
        let mut df = filled(on, 1.0, features.len());
        let words = 3 * (mask.len() + features.len());
        on.pass("gradient", Cost::words(words), || {
            let values = (amask.view(), afeatures.view());
            let gradients = (dm.view_mut(), df.view_mut());
            penalty::windowed_readout(on, &windows, 0.02, values, gradients);
        });
        on.outputs(|| {
            let (mut dmask, mut dfeatures) = (vec![1.0; mask.len()], vec![1.0; features.len()]);
            for n in 0..neurons {
                let (p, c) = (windows.range(n), n * channels..(n + 1) * channels);
                let (m, f) = (&mask[p.clone()], &features[c.clone()]);
                penalty::reference::neuron(0.02, m, f, &mut dmask[p], &mut dfeatures[c]);
            }
            vec![
                Output::new("dmask", &dm, dmask),
                Output::new("dfeatures", &df, dfeatures),
            ]
        })
    })
}
