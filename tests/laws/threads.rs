//! Any number of threads, the same bits.

use super::{CPU, Ways, upload};
use crate::common::*;
use striate::device::Array;
use striate::ops::activation::Activation;
use striate::ops::norm::{Affine, Finish};
use striate::ops::penalty::{Metric, Strength};
use striate::ops::readout::{Gradients, Weights};
use striate::ops::{align, group_conv, norm, penalty, readout};

/// All results of the CPU paths on one set of inputs.
fn everything() -> Vec<(&'static str, Vec<u32>)> {
    let bits = |a: &Array| {
        a.download()
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<u32>>()
    };
    let mut results = Vec::new();
    let shape = |oriented_input, in_features, kernel| group_conv::Shape {
        batch: 5,
        orientations: 8,
        in_features,
        out_features: 6,
        oriented_input,
        height: 19,
        width: 23,
        kernel,
        padding: kernel / 2,
    };
    for s in [shape(true, 5, 5), shape(false, 1, 13)] {
        let (direct, mut group) = (Ways::direct(&s.direct()), Ways::group(&s));
        results.extend([
            ("conv y", bits(&direct.y)),
            ("conv dx", bits(&direct.dx)),
            ("conv dw", bits(&direct.dweights)),
            ("group y", bits(&group.y)),
            ("group dx alone", bits(&group.dx)),
            ("group dc alone", bits(&group.dweights)),
        ]);
        let layer = group_conv::Layer::new(&CPU, s);
        group_conv::backward(
            &CPU,
            &layer,
            s.batch,
            (group.x.view().into(), group.weights.view()),
            group.dy.view().into(),
            group.dx.view_mut().into(),
            group.dweights.view_mut(),
        );
        results.push(("group dx", bits(&group.dx)));
        results.push(("group dc", bits(&group.dweights)));
        let metric = Metric::new(&CPU, layer.basis(), 8);
        let strength = Strength {
            smoothness: 0.3,
            group_sparsity: 0.2,
        };
        let (c, dc) = (group.weights.view(), group.dweights.view_mut());
        penalty::steerable(&CPU, &metric, 6, strength, c, dc);
        results.push(("penalty dc", bits(&group.dweights)));
    }

    let s = norm::Shape {
        batch: 5,
        channels: 24,
        groups: 6,
        pixels: 437,
    };
    let n = s.batch * s.channels * s.pixels;
    let (y, mut d, mut z) = (upload(&noise(n, 1)), upload(&noise(n, 2)), CPU.zeros(&[n]));
    let [mut mean, mut variance, mut moving, mut spread] = [0; 4].map(|_| CPU.zeros(&[6]));
    let (current, running) = (
        (mean.view_mut(), variance.view_mut()),
        (moving.view_mut(), spread.view_mut()),
    );
    norm::statistics(&CPU, &s, y.view().into(), 0.9, current, running);
    let (gain, offset) = (upload(&noise(6, 3)), upload(&noise(6, 4)));
    let finish = Finish {
        statistics: (mean.view(), variance.view()),
        affine: Affine {
            gain: Some(gain.view()),
            offset: offset.view(),
        },
        activation: Activation::Softplus,
    };
    let (mut dgain, mut doffset) = (CPU.zeros(&[6]), CPU.zeros(&[6]));
    norm::forward(&CPU, &s, y.view().into(), &finish, z.view_mut().into());
    let gradients = (Some(dgain.view_mut()), doffset.view_mut());
    norm::backward(
        &CPU,
        &s,
        y.view().into(),
        &finish,
        d.view_mut().into(),
        gradients,
    );
    for (name, a) in [
        ("norm mean", &mean),
        ("norm variance", &variance),
        ("norm z", &z),
        ("norm dy", &d),
        ("norm dgain", &dgain),
        ("norm doffset", &doffset),
    ] {
        results.push((name, bits(a)));
    }

    let s = readout::Shape {
        batch: 5,
        channels: 48,
        pixels: 437,
        neurons: 301,
        positive_features: false,
    };
    let x = upload(&noise(s.batch * s.channels * s.pixels, 1));
    let (mask, features) = (
        upload(&noise(s.neurons * s.pixels, 2)),
        upload(&noise(s.neurons * s.channels, 3)),
    );
    let (bias, dh) = (
        upload(&noise(s.neurons, 4)),
        upload(&noise(s.batch * s.neurons, 5)),
    );
    let weights = Weights {
        mask: mask.view(),
        features: features.view(),
        bias: bias.view(),
        windows: None,
    };
    let mut h = CPU.zeros(&[dh.len()]);
    let [mut dx, mut dmask, mut dfeatures, mut dbias] =
        [&x, &mask, &features, &bias].map(|a| CPU.zeros(&[a.len()]));
    readout::forward(&CPU, &s, x.view().into(), weights, h.view_mut(), None);
    let sparsity = upload(&noise(s.neurons, 6));
    let gradients = Gradients {
        sparsity: sparsity.view(),
        mask: dmask.view_mut(),
        features: dfeatures.view_mut(),
        bias: dbias.view_mut(),
    };
    readout::backward(
        &CPU,
        &s,
        x.view().into(),
        weights,
        dh.view(),
        (dx.view_mut().into(), gradients),
        None,
    );
    for (name, a) in [
        ("readout h", &h),
        ("readout dx", &dx),
        ("readout dmask", &dmask),
        ("readout dfeatures", &dfeatures),
        ("readout dbias", &dbias),
    ] {
        results.push((name, bits(a)));
    }

    let raw = ndarray::Array3::from_shape_vec((1301, 3, 8), narrow(&noise(1301 * 24, 1))).unwrap();
    let (codes, temperature) = (align::Codes::new(&CPU, raw.view()), Default::default());
    let shape = codes.shape(2);
    let (point, penalties) = (upload(&noise(shape.parameters(), 2)), upload(&[1.0, 3.0]));
    let [mut means, mut losses] = [shape.means(), 4].map(|n| CPU.zeros(&[n]));
    let mut gradient = CPU.zeros(&[point.len()]);
    let outputs = (means.view_mut(), losses.view_mut());
    align::forward(
        &CPU,
        &codes,
        2,
        temperature,
        point.view(),
        outputs.0,
        outputs.1,
    );
    align::backward(
        &CPU,
        &codes,
        temperature,
        penalties.view(),
        point.view(),
        means.view(),
        gradient.view_mut(),
    );
    for (name, a) in [
        ("align means", &means),
        ("align losses", &losses),
        ("align gradient", &gradient),
    ] {
        results.push((name, bits(a)));
    }
    results
}

#[test]
fn one_and_more_threads_give_the_same_bits() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(everything)
    };
    let one = with(1);
    for threads in [2, 3] {
        for ((name, a), (_, b)) in one.iter().zip(with(threads)) {
            let differing = a.iter().zip(&b).filter(|(a, b)| a != b).count();
            assert_eq!(
                (a.len(), differing),
                (b.len(), 0),
                "{name}, {threads} threads"
            );
        }
    }
}
