//! Readouts at sampled places: on the map, on its outermost pixels, between them and zeros, and far beyond.

use super::{Case, Cost, Output, Trial, both, empty_maps, filled, plus_one};
use crate::common::noise;
use striate::ops::gaussian::reference::{self, Values};
use striate::ops::gaussian::{Gradients, Shape, Weights, backward, backward_input, clamp, forward};

pub fn cases() -> Vec<Case> {
    let sizes = [
        (1, 1, (1, 1), 1),
        (3, 7, (5, 6), 11),
        // One row, one column.
        (2, 3, (1, 9), 5),
        (2, 3, (8, 1), 5),
        // More pixels and channels than a tile.
        (2, 35, (9, 16), 40),
        // More neurons than a block.
        (2, 5, (7, 11), 300),
        // More images than the CPU turns at a time.
        (19, 4, (6, 5), 3),
    ];
    let mut all: Vec<Case> = sizes
        .into_iter()
        .flat_map(|(batch, channels, (height, width), neurons)| {
            [(false, true), (true, true), (false, false)].map(|(isotropic, sampled)| {
                let shape = Shape {
                    batch,
                    channels,
                    height,
                    width,
                    neurons,
                    isotropic,
                };
                case(shape, sampled)
            })
        })
        .collect();
    all.push(clamped());
    all
}

/// Positions: every fifth neuron looks at the first or last pixels, at exactly one of them, or where only the noise takes it.
fn positions(neurons: usize) -> Vec<f64> {
    let mut at = noise(2 * neurons, 2);
    for n in (0..neurons).step_by(5) {
        let corner = [(-1.0, -1.0), (1.0, 1.0), (-1.0, 0.3), (0.2, 1.0)][n / 5 % 4];
        (at[2 * n], at[2 * n + 1]) = corner;
    }
    at
}

/// Spreads, every seventh so large that its neuron looks far beyond the map.
fn spreads(s: &Shape) -> Vec<f64> {
    let mut of = noise(s.spread() * s.neurons, 3);
    for n in 0..s.neurons {
        let factor = if n % 7 == 3 { 40.0 } else { 0.4 };
        for v in &mut of[n * s.spread()..(n + 1) * s.spread()] {
            *v *= factor;
        }
    }
    of
}

pub fn case(shape: Shape, sampled: bool) -> Case {
    let how = if sampled {
        "sampled"
    } else {
        "at the position"
    };
    Case::new(format!("gaussian readout, {how}, {shape:?}"), move |on| {
        run(on, &shape, sampled)
    })
}

fn run(on: &Trial, s: &Shape, sampled: bool) -> Vec<Output> {
    let (b, n) = (s.batch, s.neurons);
    let (ax, x) = on.noise_maps(s.maps(), 1);
    let (aposition, position) = both(on, &positions(n));
    let (aspread, spread) = both(on, &spreads(s));
    let (afeatures, features) = both(on, &noise(n * s.channels, 4));
    let (abias, bias) = both(on, &noise(n, 5));
    let (anoise, e) = both(on, &noise(2 * b * n, 6));
    let (adh, dh) = on.noise(b * n, 7);
    let weights = Weights {
        position: aposition.view(),
        spread: aspread.view(),
        features: afeatures.view(),
        bias: abias.view(),
    };
    let drawn = sampled.then(|| anoise.view());
    // Four pixels of every channel for each neuron and image, or all of the maps, whichever is less.
    let seen = (4 * b * n * s.channels).min(ax.len());
    let parameters = n * (3 + s.spread() + s.channels);
    let products = 4 * b * n * s.channels;
    let words = parameters + 7 * b * n;
    let mut h = filled(on, f32::NAN, b * n);
    let mut corners = filled(on, f32::NAN, 4 * b * n);
    on.pass(
        "forward",
        Cost::words(words).maps(on, seen).products(products),
        || {
            let to = (h.view_mut(), corners.view_mut());
            forward(on, s, ax.view(), weights, drawn, to);
        },
    );
    let mut dx_alone = empty_maps(on, ax.len());
    let cost = Cost::words(parameters + 3 * b * n).maps(on, ax.len());
    on.pass("backward to the maps", cost.products(products), || {
        backward_input(on, s, weights, drawn, adh.view(), dx_alone.view_mut());
    });
    let mut dx = empty_maps(on, ax.len());
    let one = |n| filled(on, 1.0, n);
    let mut grown = [
        one(position.len()),
        one(spread.len()),
        one(features.len()),
        one(n),
    ];
    let cost = Cost::words(3 * parameters + 7 * b * n).maps(on, ax.len() + seen);
    on.pass("backward", cost.products(2 * products), || {
        let [position, spread, features, bias] = &mut grown;
        let gradients = Gradients {
            position: position.view_mut(),
            spread: spread.view_mut(),
            features: features.view_mut(),
            bias: bias.view_mut(),
        };
        let from = (corners.view(), adh.view());
        let to = (dx.view_mut(), gradients);
        backward(on, s, ax.view(), weights, drawn, from, to);
    });
    on.outputs(|| {
        let values = Values {
            position: &position,
            spread: &spread,
            features: &features,
            bias: &bias,
            noise: sampled.then_some(&e[..]),
        };
        let wanted = reference::backward(s, &x, &values, &dh);
        let [dposition, dspread, dfeatures, dbias] = grown;
        vec![
            Output::new("h", &h, reference::forward(s, &x, &values)),
            Output::maps("dx alone", &dx_alone, wanted.dx.clone()),
            Output::maps("dx", &dx, wanted.dx),
            Output::new("dposition", &dposition, plus_one(&wanted.position)),
            Output::new("dspread", &dspread, plus_one(&wanted.spread)),
            Output::new("dfeatures", &dfeatures, plus_one(&wanted.features)),
            Output::new("dbias", &dbias, plus_one(&wanted.bias)),
        ]
    })
}

fn clamped() -> Case {
    Case::new("positions clamped to the map", |on| {
        let wide: Vec<f64> = noise(601, 1).iter().map(|v| 2.0 * v).collect();
        let (mut position, mut wanted) = both(on, &wide);
        on.pass("clamp", Cost::words(2 * wanted.len()), || {
            clamp(on, position.view_mut());
        });
        on.outputs(|| {
            reference::clamp(&mut wanted);
            vec![Output::new("positions", &position, wanted)]
        })
    })
}
