use super::{Case, Cost, Output, Trial, both, empty_maps, filled, plus_one};
use crate::common::{noise, windows};
use striate::device::{Array, Maps};
use striate::ops::readout::{Gradients, Shape, Weights, backward, backward_input, forward};
use striate::ops::readout::{Window, Windows, ladder, reference, windowed};

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
        // A span of pixels without a tail, and one number more.
        (2, 3, 32, 4),
        (2, 3, 33, 4),
        // Two spans of images; channels that fill no unit.
        (40, 3, 5, 3),
        (3, 40, 64, 33),
        // More channels than a block has units of, and more spans of pixels than stages.
        (1, 270, 390, 3),
        (1, 128, 16, 128),
        // More neurons and pixels than a tile of a warpgroup; more images than it keeps.
        (2, 3, 200, 200),
        (260, 6, 33, 5),
    ]
    .into_iter()
    .enumerate()
    .flat_map(|(i, (batch, channels, pixels, neurons))| {
        signs(i).iter().map(move |&positive_features| {
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
    .chain(windowed_cases())
    .collect()
}

/// Whether features are positive: both for the first sizes, by turns for the others.
fn signs(size: usize) -> &'static [bool] {
    match size {
        0 | 1 => &[false, true],
        _ if size.is_multiple_of(2) => &[false],
        _ => &[true],
    }
}

/// Maps, and windows of neurons on them: (top, left, height, width).
fn windowed_cases() -> impl Iterator<Item = Case> {
    let corners = vec![
        (0, 0, 3, 4),
        (0, 5, 3, 4),
        (4, 0, 3, 4),
        (4, 5, 3, 4),
        (0, 5, 3, 4),
    ];
    let one_each = (0..6).map(|n| (n, n, 2, 1 + n % 3)).collect();
    let all_in_one = vec![(1, 4, 16, 16); 70];
    let mixed = (0..37)
        .map(|n| match n % 5 {
            0 => (0, 0, 20, 26),
            1 | 3 => (4, 8, 16, 16),
            _ => (8, 4, 8, 8),
        })
        .collect();
    // More neurons in a window than a tile has, and more numbers.
    let crowded = (0..140).map(|n| (4 * (n / 135), 0, 12, 12)).collect();
    // More neurons and images than a block of a warpgroup's has; some see all.
    let scattered = (0..200)
        .map(|n| match n {
            7 => (0, 0, 13, 11),
            _ => (n % 5 * 2, n % 8, 1 + n % 3, 2 + n % 2),
        })
        .collect();
    // Enough of those that see a third, two thirds, all of a patch of the map, the lower two thirds, the lowest.
    let thirds = [
        (0, 0, 4, 3),
        (2, 0, 6, 3),
        (1, 1, 10, 3),
        (5, 2, 7, 3),
        (9, 1, 3, 3),
    ];
    let thirds = (0..360).map(|n| thirds[n / 72]).collect();
    [
        (1, 1, (1, 1), vec![(0, 0, 1, 1)]),
        (3, 7, (7, 9), corners),
        (2, 5, (8, 8), one_each),
        (5, 6, (18, 20), all_in_one),
        (4, 9, (20, 26), mixed),
        (18, 3, (16, 16), crowded),
        (130, 2, (13, 11), scattered),
        (260, 1, (2, 3), vec![(0, 1, 2, 2); 2]),
        (2, 3, (12, 8), thirds),
        (
            2,
            131,
            (9, 16),
            vec![(0, 0, 8, 8), (0, 4, 9, 12), (1, 8, 8, 8)],
        ),
    ]
    .into_iter()
    .enumerate()
    .flat_map(|(i, (batch, channels, map, of_neurons))| {
        signs(i).iter().map(move |&positive_features| {
            let shape = Shape {
                batch,
                channels,
                pixels: map.0 * map.1,
                neurons: of_neurons.len(),
                positive_features,
            };
            windowed_case(shape, map, windows(&of_neurons))
        })
    })
}

pub fn windowed_case(shape: Shape, map: (usize, usize), of_neurons: Vec<Window>) -> Case {
    Case::new(format!("readout through windows {shape:?}"), move |on| {
        run_windowed(on, &shape, map, &of_neurons)
    })
}

fn run_windowed(on: &Trial, s: &Shape, map: (usize, usize), of_neurons: &[Window]) -> Vec<Output> {
    let windows = Windows::new(on, map, of_neurons);
    let (b, n) = (s.batch, s.neurons);
    let (ax, x) = on.noise_handed_on(b * s.channels * s.pixels, 1);
    let (amask, mask) = both(on, &with_zeros(windows.mask_len(), 2));
    let (afeatures, features) = both(on, &with_zeros(n * s.channels, 3));
    let (abias, bias) = both(on, &noise(n, 4));
    let (adh, dh) = on.noise(b * n, 5);
    let (asparsity, sparsity) = both(on, &noise(n, 6));
    let weights = Weights {
        mask: amask.view(),
        features: afeatures.view(),
        bias: abias.view(),
        windows: Some(&windows),
    };
    let products = b * s.channels * windows.mask_len();
    let parameters = mask.len() + features.len() + bias.len();
    let cost = Cost::words(parameters + b * n)
        .maps(on, ax.len())
        .tensor(products);
    let [mut h, mut h_keeping] = [(); 2].map(|()| filled(on, f32::NAN, b * n));
    let mut kept = filled(on, f32::NAN, s.kept(on, Some(&windows)));
    on.pass("forward", cost, || {
        forward(on, s, ax.view(), weights, h.view_mut(), None);
    });
    let keeps = !kept.is_empty();
    if keeps {
        on.pass("forward, keeping", cost, || {
            let keep = Some(kept.view_mut());
            forward(on, s, ax.view(), weights, h_keeping.view_mut(), keep);
        });
    }
    let mut dx_alone = empty_maps(on, ax.len());
    on.pass("backward to the maps", cost, || {
        backward_input(on, s, weights, adh.view(), dx_alone.view_mut());
    });
    // The gradient of the masks is not read.
    let cost = Cost::words(3 * parameters - mask.len() + (b + 1) * n)
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
            let dmask = filled(on, f32::NAN, amask.len());
            let mut grown = [dmask, one(afeatures.len()), one(n)];
            on.pass(name, cost, || {
                let [mask, features, bias] = &mut grown;
                let gradients = Gradients {
                    sparsity: asparsity.view(),
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
        let wanted = windowed::reference::forward(s, &windows, &x, &mask, &features, &bias);
        let mut outputs = vec![Output::tensor("h", &h, wanted.clone())];
        if keeps {
            outputs.push(Output::tensor("h, keeping", &h_keeping, wanted));
        }
        let [dx, dmask, dfeatures, dbias] =
            windowed::reference::backward(s, &windows, &x, &mask, &features, &dh, &sparsity);
        outputs.push(Output::tensor_maps("dx alone", &dx_alone, dx.clone()));
        for (adx, [gm, gf, gb]) in &gradients {
            outputs.extend([
                Output::tensor_maps("dx", adx, dx.clone()),
                Output::tensor("dmask", gm, dmask.clone()),
                Output::tensor("dfeatures", gf, plus_one(&dfeatures)),
                Output::new("dbias", gb, plus_one(&dbias)),
            ]);
        }
        outputs
    })
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
    let (ax, x) = on.noise_handed_on(b * s.channels * s.pixels, 1);
    // What the simpler kernels, of float32 alone, read.
    let full_x = on.upload(&ax.download(), &[ax.len()]);
    let (amask, mask) = both(on, &with_zeros(n * s.pixels, 2));
    let (afeatures, features) = both(on, &with_zeros(n * s.channels, 3));
    let (abias, bias) = both(on, &noise(n, 4));
    let (adh, dh) = on.noise(b * n, 5);
    let (asparsity, sparsity) = both(on, &noise(n, 6));
    let weights = Weights {
        mask: amask.view(),
        features: afeatures.view(),
        bias: abias.view(),
        windows: None,
    };
    let empty = |n| filled(on, f32::NAN, n);
    let products = s.projections() * s.pixels;
    let parameters = mask.len() + features.len() + bias.len();

    let cost = Cost::words(parameters + b * n).maps(on, ax.len());
    let full = Cost::words(ax.len() + parameters + b * n);
    let [mut h, mut h_keeping, mut plain, mut tiled] = [(); 4].map(|()| empty(b * n));
    let mut kept = empty(s.kept(on, None));
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
    // The gradient of the masks is not read.
    let cost = Cost::words(3 * parameters - mask.len() + (b + 1) * n)
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
            let dmask = filled(on, f32::NAN, amask.len());
            let mut grown = [dmask, one(afeatures.len()), one(n)];
            on.pass(name, cost, || {
                let [mask, features, bias] = &mut grown;
                let gradients = Gradients {
                    sparsity: asparsity.view(),
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
        let [dx, dmask, dfeatures, dbias] =
            reference::backward(s, &x, &mask, &features, &dh, &sparsity);
        outputs.push(Output::tensor_maps("dx alone", &dx_alone, dx.clone()));
        for (adx, [gm, gf, gb]) in &gradients {
            outputs.extend([
                Output::tensor_maps("dx", adx, dx.clone()),
                Output::tensor("dmask", gm, dmask.clone()),
                Output::tensor("dfeatures", gf, plus_one(&dfeatures)),
                Output::new("dbias", gb, plus_one(&dbias)),
            ]);
        }
        outputs
    })
}
