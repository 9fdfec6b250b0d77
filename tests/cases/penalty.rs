//! Gradients of the penalties; the steerable one against that of the rotated filters.

use super::{Case, Cost, Output, Trial, both, filled};
use crate::common::{noise, windows};
use std::ops::Range;
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

/// Masks of so many pixels, of windows, or of neurons.
struct Masks {
    windows: Option<Windows>,
    pixels: usize,
}

impl Masks {
    fn in_windows(on: &Device) -> Self {
        let corners: Vec<_> = (0..9).map(|n| (n % 3, 4, 8, 8 + n % 2)).collect();
        let map = (12, 20);
        Self {
            windows: Some(Windows::new(on, map, &windows(&corners))),
            pixels: map.0 * map.1,
        }
    }

    fn range(&self, neuron: usize) -> Range<usize> {
        match &self.windows {
            Some(windows) => windows.range(neuron),
            None => neuron * self.pixels..(neuron + 1) * self.pixels,
        }
    }

    fn len(&self, neurons: usize) -> usize {
        (0..neurons).map(|n| self.range(n).len()).sum()
    }

    /// From the order of neurons to that of masks.
    fn sorted(&self, of_neurons: Vec<f64>) -> Vec<f64> {
        match &self.windows {
            Some(windows) => windows.order().iter().map(|&n| of_neurons[n]).collect(),
            None => of_neurons,
        }
    }
}

pub fn readout((neurons, pixels, channels): (usize, usize, usize)) -> Case {
    let name = format!("readout penalty {neurons} {pixels} {channels}");
    Case::new(name, move |on| {
        let masks = Masks {
            windows: None,
            pixels,
        };
        run_readout(on, &masks, neurons, channels)
    })
}

fn windowed_readout() -> Case {
    Case::new("readout penalty through windows", |on| {
        run_readout(on, &Masks::in_windows(on), 9, 5)
    })
}

fn run_readout(on: &Trial, masks: &Masks, neurons: usize, channels: usize) -> Vec<Output> {
    let mut mask = noise(masks.len(neurons), 1);
    mask[0] = 0.0;
    let (amask, mask) = both(on, &mask);
    let (afeatures, features) = both(on, &with_zero(noise(neurons * channels, 2)));
    let mut sparsity = filled(on, f32::NAN, neurons);
    let mut df = filled(on, 1.0, features.len());
    let words = mask.len() + 3 * features.len() + neurons;
    on.pass("gradient", Cost::words(words), || {
        let values = (amask.view(), afeatures.view());
        let to = (sparsity.view_mut(), df.view_mut());
        penalty::readout(on, masks.windows.as_ref(), 0.02, values, to);
    });
    on.outputs(|| {
        let mut dfeatures = vec![1.0; features.len()];
        let own = dfeatures.chunks_exact_mut(channels).enumerate();
        let own = own.map(|(n, df)| {
            let (m, f) = (&mask[masks.range(n)], &features[n * channels..][..channels]);
            penalty::reference::neuron(0.02, m, f, df).1
        });
        let wanted = masks.sorted(own.collect());
        vec![
            Output::new("sparsity", &sparsity, wanted),
            Output::new("dfeatures", &df, dfeatures),
        ]
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
        let (neurons, channels, mut masks) = (9, 5, Masks::in_windows(on));
        if !in_windows {
            masks.windows = None;
        }
        let (amask, mask) = both(on, &noise(masks.len(neurons), 1));
        let (afeatures, features) = both(on, &noise(neurons * channels, 2));
        let (anorms, norms) = both(on, &noise(neurons, 3));
        let mut sparsity = filled(on, f32::NAN, neurons);
        let [mut df, mut ds] = [features.len(), neurons].map(|n| filled(on, 1.0, n));
        let words = mask.len() + 3 * (features.len() + neurons) + neurons;
        on.pass("gradient", Cost::words(words), || {
            let values = (amask.view(), afeatures.view());
            let to = (sparsity.view_mut(), df.view_mut());
            let log_norm = penalty::LogNorm {
                values: anorms.view(),
                gradient: ds.view_mut(),
                sd: 0.25,
            };
            penalty::adaptive(on, masks.windows.as_ref(), 0.02, values, to, log_norm);
        });
        on.outputs(|| {
            let [mut dfeatures, mut dnorms] = [features.len(), neurons].map(|n| vec![1.0; n]);
            let own = dfeatures.chunks_exact_mut(channels).zip(&mut dnorms);
            let own = own.enumerate().map(|(n, to)| {
                let (m, f) = (&mask[masks.range(n)], &features[n * channels..][..channels]);
                penalty::reference::adaptive_neuron((0.02, 0.25), (m, f, norms[n]), to).1
            });
            let wanted = masks.sorted(own.collect());
            vec![
                Output::new("sparsity", &sparsity, wanted),
                Output::new("dfeatures", &df, dfeatures),
                Output::new("dlog_norm", &ds, dnorms),
            ]
        })
    })
}

/// With a number whose absolute value has no slope, if there are several.
fn with_zero(mut values: Vec<f64>) -> Vec<f64> {
    if values.len() > 1 {
        let middle = values.len() / 2;
        values[middle] = 0.0;
    }
    values
}
