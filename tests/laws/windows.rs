//! The readout through windows: the whole readout of masks that are 0 outside, whoever does the work.

use super::{CPU, upload};
use crate::common::{assert_close, narrow, noise, widen, windows};
use striate::device::Array;
use striate::ops::readout::{self, Gradients, Shape, Weights, Windows};

const MAP: (usize, usize) = (18, 27);

fn shape(neurons: usize) -> Shape {
    Shape {
        batch: 5,
        channels: 12,
        pixels: MAP.0 * MAP.1,
        neurons,
        positive_features: false,
    }
}

/// Windows of three sides, most neurons in one of them, and one that sees all.
fn looks() -> Windows {
    let of_neurons: Vec<_> = (0..301)
        .map(|n| match n % 7 {
            0 => (0, 4, 8, 8),
            1 => (10, 19, 8, 8),
            2 if n == 2 => (0, 0, MAP.0, MAP.1),
            _ => (0, 8, 16, 16),
        })
        .collect();
    Windows::new(&CPU, MAP, &windows(&of_neurons))
}

/// h, h from what is kept, dx, dx alone, dmask, dfeatures, dbias.
fn passes(s: &Shape, mask: &Array, windows: Option<&Windows>) -> Vec<Vec<f32>> {
    let x = upload(&noise(s.batch * s.channels * s.pixels, 1));
    let features = upload(&noise(s.neurons * s.channels, 3));
    let bias = upload(&noise(s.neurons, 4));
    let dh = upload(&noise(s.batch * s.neurons, 5));
    let weights = Weights {
        mask: mask.view(),
        features: features.view(),
        bias: bias.view(),
        windows,
    };
    let [mut h, mut again] = [(); 2].map(|()| CPU.zeros(&[dh.len()]));
    let mut kept = CPU.zeros(&[s.kept(&CPU, windows)]);
    readout::forward(&CPU, s, x.view().into(), weights, h.view_mut(), None);
    let keep = Some(kept.view_mut());
    readout::forward(&CPU, s, x.view().into(), weights, again.view_mut(), keep);
    let [mut dx, mut alone] = [(); 2].map(|()| CPU.zeros(&[x.len()]));
    readout::backward_input(&CPU, s, weights, dh.view(), alone.view_mut().into());
    let [mut dmask, mut dfeatures, mut dbias] =
        [mask, &features, &bias].map(|a| CPU.zeros(&[a.len()]));
    let mut sparsity = noise(s.neurons, 6);
    if let Some(windows) = windows {
        sparsity = windows.order().iter().map(|&n| sparsity[n]).collect();
    }
    let sparsity = upload(&sparsity);
    let gradients = Gradients {
        sparsity: sparsity.view(),
        mask: dmask.view_mut(),
        features: dfeatures.view_mut(),
        bias: dbias.view_mut(),
    };
    readout::backward(
        &CPU,
        s,
        x.view().into(),
        weights,
        dh.view(),
        (dx.view_mut().into(), gradients),
        Some(kept.view_mut()),
    );
    [h, again, dx, alone, dmask, dfeatures, dbias]
        .iter()
        .map(Array::download)
        .collect()
}

#[test]
fn it_is_the_whole_readout_of_masks_that_are_zero_outside() {
    let windows = looks();
    let s = shape(windows.neurons());
    let inside = narrow(&noise(windows.mask_len(), 2));
    let whole: Vec<f32> = (0..s.neurons)
        .flat_map(|n| windows.expanded(n, &inside[windows.range(n)]))
        .collect();
    let in_windows = passes(&s, &CPU.upload(&inside, &[inside.len()]), Some(&windows));
    let mut of_whole = passes(&s, &CPU.upload(&whole, &[whole.len()]), None);
    of_whole[4] = windows.inside(&of_whole[4]);
    let names = [
        "h",
        "h, keeping",
        "dx",
        "dx alone",
        "dmask",
        "dfeatures",
        "dbias",
    ];
    for ((name, got), wanted) in names.iter().zip(&in_windows).zip(&of_whole) {
        assert_close(name, &widen(got), &widen(wanted), 1e-6);
    }
}

#[test]
fn its_bits_are_those_of_any_number_of_threads() {
    let windows = looks();
    let s = shape(windows.neurons());
    let mask = upload(&noise(windows.mask_len(), 2));
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let results = pool.unwrap().install(|| passes(&s, &mask, Some(&windows)));
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        results.into_iter().map(bits).collect::<Vec<_>>()
    };
    let one = bits(1);
    for threads in [2, 3, 7] {
        assert!(bits(threads) == one, "{threads} threads");
    }
}
