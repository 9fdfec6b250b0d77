//! Every op's CPU path in float32 against its definition in float64, on the same inputs.
//!
//! Outputs begin as NaN, for they must be overwritten; gradients of parameters begin as 1, for they must be added to.
//! The convolutions have a file of their own; most ops are cases (`tests/cases`).

mod cases;
mod common;
use common::*;
use striate::device::{Array, Device, Precision};
use striate::ops::readout::{self, Gradients, Weights, Window, Windows};

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

#[test]
fn every_case_is_its_definition_on_the_cpu() {
    for case in cases::all() {
        for output in case.run(&CPU) {
            let (error, most) = output.error(Precision::F32);
            assert!(error <= most, "{}: {} {error:e}", case.name, output.name);
        }
    }
}

#[test]
fn every_pass_says_what_it_moves_and_can_be_done_again() {
    let mut count = 0;
    for case in cases::all() {
        let mut clock = |name, cost: cases::Cost, run: &mut dyn FnMut()| {
            assert!(cost.bytes > 0, "{}: {name}", case.name);
            count += 1;
            run();
            run();
        };
        case.measure(&CPU, &mut clock);
    }
    assert!(count > 250, "{count} passes");
}

/// Every pass, with projections kept and formed again. Masks of neurons with `windows` are 0 outside of them.
fn assert_readout_is_its_definition(s: readout::Shape, windows: Option<&Windows>) {
    let (ax, x) = both(&noise(s.batch * s.channels * s.pixels, 1));
    let mut mask = noise(s.neurons * s.pixels, 2);
    let mut features = noise(s.neurons * s.channels, 3);
    // At 0 an absolute value has gradient 0.
    (mask[0], features[0]) = (0.0, 0.0);
    // What a pass is given of all masks, and what it gives.
    let stored = |whole: &[f64]| match windows {
        None => narrow(whole),
        Some(windows) => windows.inside(&narrow(whole)),
    };
    let upload = |v: Vec<f32>| CPU.upload(&v, &[v.len()]);
    if let Some(windows) = windows {
        for (n, mask) in mask.chunks_exact_mut(s.pixels).enumerate() {
            let inside = vec![1.0; windows.of(n).pixels()];
            let seen = windows.expanded(n, &inside);
            mask.iter_mut()
                .zip(seen)
                .for_each(|(m, s)| *m *= f64::from(s));
        }
    }
    let mask = widen(&narrow(&mask));
    let (amask, (afeatures, features)) = (upload(stored(&mask)), both(&features));
    let (abias, bias) = both(&noise(s.neurons, 4));
    let (adh, dh) = both(&noise(s.batch * s.neurons, 5));
    let weights = Weights {
        mask: amask.view(),
        features: afeatures.view(),
        bias: abias.view(),
        windows,
    };
    let h = readout::reference::forward(&s, &x, &mask, &features, &bias);
    let (asparsity, sparsity) = both(&noise(s.neurons, 6));
    let asparsity = match windows {
        None => asparsity,
        Some(windows) => {
            let sorted = windows.order().iter().map(|&n| sparsity[n] as f32);
            upload(sorted.collect())
        }
    };
    let [dx, dmask, dfeatures, dbias] =
        readout::reference::backward(&s, &x, &mask, &features, &dh, &sparsity);
    let dmask = widen(&stored(&dmask));
    for keep in [false, true] {
        let name = format!("keep {keep} {s:?}");
        let mut projections = filled(f32::NAN, s.projections());
        let mut ah = filled(f32::NAN, h.len());
        let kept = keep.then(|| projections.view_mut());
        readout::forward(&CPU, &s, ax.view().into(), weights, ah.view_mut(), kept);
        assert_same(&format!("h {name}"), &ah, &h);

        let mut adx = filled(f32::NAN, dx.len());
        let mut dm = filled(f32::NAN, dmask.len());
        let mut df = filled(1.0, features.len());
        let mut db = filled(1.0, bias.len());
        let gradients = Gradients {
            sparsity: asparsity.view(),
            mask: dm.view_mut(),
            features: df.view_mut(),
            bias: db.view_mut(),
        };
        let kept = keep.then(|| projections.view_mut());
        readout::backward(
            &CPU,
            &s,
            ax.view().into(),
            weights,
            adh.view(),
            (adx.view_mut().into(), gradients),
            kept,
        );
        assert_same(&format!("dx {name}"), &adx, &dx);
        assert_same(&format!("dmask {name}"), &dm, &dmask);
        assert_same(&format!("dfeatures {name}"), &df, &plus_one(&dfeatures));
        assert_same(&format!("dbias {name}"), &db, &plus_one(&dbias));
    }
    let mut adx = filled(f32::NAN, dx.len());
    readout::backward_input(&CPU, &s, weights, adh.view(), adx.view_mut().into());
    assert_same(&format!("dx alone {s:?}"), &adx, &dx);
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
        // More neurons than are worked on at once, and then more images; the last of both are fewer.
        (3, 2, 6, 4_500),
        (70, 128, 1, 2_100),
    ] {
        for positive_features in [false, true] {
            let s = readout::Shape {
                batch,
                channels,
                pixels,
                neurons,
                positive_features,
            };
            assert_readout_is_its_definition(s, None);
        }
    }
}

#[test]
fn a_readout_through_crowded_windows_is_its_definition() {
    // Several parts of one group's neurons; more images than share the cache.
    let of_neurons: Vec<Window> = (0..650)
        .map(|n| Window {
            top: usize::from(n % 25 == 0),
            left: 1,
            height: 2,
            width: 3,
        })
        .collect();
    let windows = Windows::new(&CPU, (4, 5), &of_neurons);
    for positive_features in [false, true] {
        let s = readout::Shape {
            batch: 19,
            channels: 3,
            pixels: 20,
            neurons: of_neurons.len(),
            positive_features,
        };
        assert_readout_is_its_definition(s, Some(&windows));
    }
}
