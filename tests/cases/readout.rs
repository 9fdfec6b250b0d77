use super::{Case, Output, both, filled, plus_one};
use crate::common::noise;
use striate::device::Device;
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
            Case::new(format!("{shape:?}"), move |device| run(device, &shape))
        })
    })
    .collect()
}

/// Noise with a few zeros, where the derivative of the absolute value is 0.
fn with_zeros(n: usize, seed: u64) -> Vec<f64> {
    let mut v = noise(n, seed);
    v.iter_mut().step_by(7).for_each(|v| *v = 0.0);
    v
}

fn run(device: &Device, s: &Shape) -> Vec<Output> {
    let (ax, x) = both(device, &noise(s.batch * s.channels * s.pixels, 1));
    let (amask, mask) = both(device, &with_zeros(s.neurons * s.pixels, 2));
    let (afeatures, features) = both(device, &with_zeros(s.neurons * s.channels, 3));
    let (abias, bias) = both(device, &noise(s.neurons, 4));
    let (adh, dh) = both(device, &noise(s.batch * s.neurons, 5));
    let weights = Weights {
        mask: amask.view(),
        features: afeatures.view(),
        bias: abias.view(),
    };
    let empty = |n| filled(device, f32::NAN, n);

    let h = reference::forward(s, &x, &mask, &features, &bias);
    let (mut ah, mut ah_kept) = (empty(h.len()), empty(h.len()));
    let mut kept = empty(s.kept(device));
    forward(device, s, ax.view(), weights, ah.view_mut(), None);
    let keep = Some(kept.view_mut());
    forward(device, s, ax.view(), weights, ah_kept.view_mut(), keep);
    let (mut plain, mut tiled) = (empty(h.len()), empty(h.len()));
    ladder::plain(device, s, ax.view(), weights, plain.view_mut());
    ladder::tiled(device, s, ax.view(), weights, tiled.view_mut());

    let [dx, dmask, dfeatures, dbias] = reference::backward(s, &x, &mask, &features, &dh);
    let mut adx_only = empty(x.len());
    let (ax, adh) = (ax.view(), adh.view());
    backward_input(device, s, weights, adh, adx_only.view_mut());
    let mut outputs = vec![
        Output::tensor("h", &ah, h.clone()),
        Output::tensor("h, kept", &ah_kept, h.clone()),
        Output::new("h, plain", &plain, h.clone()),
        Output::new("h, tiled", &tiled, h),
        Output::tensor("dx alone", &adx_only, dx.clone()),
    ];
    // With what the forward pass kept, if it keeps anything here, and without.
    let ways = if kept.is_empty() { 1 } else { 2 };
    for kept in [None, Some(kept.view_mut())].into_iter().take(ways) {
        let mut adx = empty(x.len());
        let one = |n| filled(device, 1.0, n);
        let (mut gm, mut gf, mut gb) = (one(mask.len()), one(features.len()), one(bias.len()));
        let gradients = Gradients {
            mask: gm.view_mut(),
            features: gf.view_mut(),
            bias: gb.view_mut(),
        };
        backward(
            device,
            s,
            ax,
            weights,
            adh,
            (adx.view_mut(), gradients),
            kept,
        );
        outputs.extend([
            Output::tensor("dx", &adx, dx.clone()),
            Output::tensor("dmask", &gm, plus_one(&dmask)),
            Output::tensor("dfeatures", &gf, plus_one(&dfeatures)),
            Output::new("dbias", &gb, plus_one(&dbias)),
        ]);
    }
    outputs
}
