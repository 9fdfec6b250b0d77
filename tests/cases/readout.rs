use super::{Case, Cost, Output, Trial, both, empty_maps, filled, plus_one};
use crate::common::noise;
use striate::device::{Array, Maps};
use striate::ops::readout::{Gradients, Shape, Weights, backward, backward_input, forward};
use striate::ops::readout::{ladder, reference};

pub fn cases() -> Vec<Case> {
    [
        (1, 1, 5, 1),
        // Several images to a block; more images than one step of the sum over them.
        (3, 7, 37, 11),
        (20, 9, 20, 3),
        // More channels than a tile has rows.
        (2, 131, 18, 5),
        // More neurons and pixels than a tile; rows that may be read in quads.
        (2, 5, 132, 130),
        (17, 3, 150, 70),
        // Two steps of pixels without a tail, and one number more.
        (2, 3, 32, 4),
        (2, 3, 33, 4),
        (1, 128, 16, 128),
    ]
    .into_iter()
    .flat_map(|(batch, channels, pixels, neurons)| {
        [false, true].map(|positive_features| {
            let shape = Shape {
                batch,
                channels,
                pixels,
                neurons,
                positive_features,
            };
            case(shape)
        })
    })
    .collect()
}

pub fn case(shape: Shape) -> Case {
    Case::new(format!("readout {shape:?}"), move |on| run(on, &shape))
}

/// Noise with a few zeros, where the derivative of the absolute value is 0.
fn with_zeros(n: usize, seed: u64) -> Vec<f64> {
    let mut v = noise(n, seed);
    v.iter_mut().step_by(7).for_each(|v| *v = 0.0);
    v
}

fn run(on: &Trial, s: &Shape) -> Vec<Output> {
    let (b, n) = (s.batch, s.neurons);
    let (ax, x) = on.noise_maps(b * s.channels * s.pixels, 1);
    // What the simpler kernels, of float32 alone, read.
    let full_x = on.upload(&ax.download(), &[ax.len()]);
    let (amask, mask) = both(on, &with_zeros(n * s.pixels, 2));
    let (afeatures, features) = both(on, &with_zeros(n * s.channels, 3));
    let (abias, bias) = both(on, &noise(n, 4));
    let (adh, dh) = on.noise(b * n, 5);
    let weights = Weights {
        mask: amask.view(),
        features: afeatures.view(),
        bias: abias.view(),
    };
    let empty = |n| filled(on, f32::NAN, n);
    let products = s.projections() * s.pixels;
    let parameters = mask.len() + features.len() + bias.len();

    let cost = Cost::words(parameters + b * n).maps(on, ax.len());
    let full = Cost::words(ax.len() + parameters + b * n);
    let [mut h, mut h_keeping, mut plain, mut tiled] = [(); 4].map(|()| empty(b * n));
    let mut kept = empty(s.kept(on));
    on.pass("forward", cost.tensor(products), || {
        forward(on, s, ax.view(), weights, h.view_mut(), None);
    });
    // Where nothing is kept the two are one.
    let keeps = !kept.is_empty();
    if keeps {
        on.pass("forward, keeping", cost.tensor(products), || {
            let keep = Some(kept.view_mut());
            forward(on, s, ax.view(), weights, h_keeping.view_mut(), keep);
        });
    }
    on.rung("forward, plain rung", full.products(products), || {
        ladder::plain(on, s, full_x.view(), weights, plain.view_mut());
    });
    on.rung("forward, tiled rung", full.products(products), || {
        ladder::tiled(on, s, full_x.view(), weights, tiled.view_mut());
    });
    let mut dx_alone = empty_maps(on, ax.len());
    on.pass("backward to the maps", cost.tensor(products), || {
        backward_input(on, s, weights, adh.view(), dx_alone.view_mut());
    });
    let cost = Cost::words(3 * parameters + b * n)
        .maps(on, 2 * ax.len())
        .tensor(2 * products);
    let mut ways = vec![("backward", None)];
    if keeps {
        ways.push(("backward from what was kept", Some(kept)));
    }
    let gradients: Vec<(Maps, [Array; 3])> = ways
        .into_iter()
        .map(|(name, mut kept)| {
            let one = |n| filled(on, 1.0, n);
            let mut dx = empty_maps(on, ax.len());
            let mut grown = [one(amask.len()), one(afeatures.len()), one(n)];
            on.pass(name, cost, || {
                let [mask, features, bias] = &mut grown;
                let gradients = Gradients {
                    mask: mask.view_mut(),
                    features: features.view_mut(),
                    bias: bias.view_mut(),
                };
                let (to, kept) = ((dx.view_mut(), gradients), kept.as_mut());
                let kept = kept.map(Array::view_mut);
                backward(on, s, ax.view(), weights, adh.view(), to, kept);
            });
            (dx, grown)
        })
        .collect();
    on.outputs(|| {
        let wanted = reference::forward(s, &x, &mask, &features, &bias);
        let mut outputs = vec![
            Output::tensor("h", &h, wanted.clone()),
            Output::new("h, plain", &plain, wanted.clone()),
            Output::new("h, tiled", &tiled, wanted.clone()),
        ];
        if keeps {
            outputs.push(Output::tensor("h, keeping", &h_keeping, wanted));
        }
        let [dx, dmask, dfeatures, dbias] = reference::backward(s, &x, &mask, &features, &dh);
        outputs.push(Output::tensor_maps("dx alone", &dx_alone, dx.clone()));
        for (adx, [gm, gf, gb]) in &gradients {
            outputs.extend([
                Output::tensor_maps("dx", adx, dx.clone()),
                Output::tensor("dmask", gm, plus_one(&dmask)),
                Output::tensor("dfeatures", gf, plus_one(&dfeatures)),
                Output::new("dbias", gb, plus_one(&dbias)),
            ]);
        }
        outputs
    })
}
