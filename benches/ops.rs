//! Criterion benches of the heavy ops at the sizes of the standard model, in multiply-adds per second of the dense
//! form, so that the orientation-Fourier form and the direct one compare at sight.
//!
//!     cargo bench --bench ops

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use striate::device::{Array, Device};
use striate::ops::activation::Activation;
use striate::ops::{conv, group_conv, norm, readout};

const BATCH: usize = 8;

fn noise(n: usize) -> Array {
    let values: Vec<f32> = (0..n)
        .map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 500.0)
        .collect();
    Device::Cpu.upload(&values, &[n])
}

fn convolutions(c: &mut Criterion) {
    let device = Device::Cpu;
    for (name, oriented_input, in_features, kernel) in [
        ("layer 1 (13, 1 to 16)", false, 1, 13),
        ("layer 2 (5, 16 to 16)", true, 16, 5),
    ] {
        let shape = group_conv::Shape {
            batch: BATCH,
            orientations: 8,
            in_features,
            out_features: 16,
            oriented_input,
            height: 36,
            width: 64,
            kernel,
            padding: kernel / 2,
        };
        let layer = group_conv::Layer::new(&CPU, shape);
        let direct = shape.direct();
        let (nx, nw, ny) = direct.lengths();
        let (x, w, dy) = (noise(nx), noise(nw), noise(ny));
        let coefficients = noise(shape.coefficients());
        let (mut y, mut dx) = (device.zeros::<f32>(&[ny]), device.zeros::<f32>(&[nx]));
        let mut dc = device.zeros::<f32>(&[shape.coefficients()]);
        let mut dw = device.zeros::<f32>(&[nw]);
        let dense = (ny * direct.in_channels * kernel * kernel) as u64;
        let mut group = c.benchmark_group(name);
        group
            .sample_size(10)
            .throughput(Throughput::Elements(dense));
        group.bench_function("forward, orientation-Fourier", |b| {
            b.iter(|| {
                group_conv::forward(
                    &device,
                    &layer,
                    BATCH,
                    x.view(),
                    coefficients.view(),
                    y.view_mut(),
                )
            });
        });
        group.bench_function("forward, direct", |b| {
            b.iter(|| conv::forward(&device, &direct, x.view(), w.view(), y.view_mut()));
        });
        group.throughput(Throughput::Elements(if oriented_input {
            2 * dense
        } else {
            dense
        }));
        group.bench_function("backward, orientation-Fourier", |b| {
            b.iter(|| {
                if oriented_input {
                    let inputs = (x.view(), coefficients.view());
                    group_conv::backward(
                        &device,
                        &layer,
                        BATCH,
                        inputs,
                        dy.view(),
                        dx.view_mut(),
                        dc.view_mut(),
                    );
                } else {
                    group_conv::backward_coefficients(
                        &device,
                        &layer,
                        BATCH,
                        x.view(),
                        dy.view(),
                        dc.view_mut(),
                    );
                }
            });
        });
        group.bench_function("backward, direct", |b| {
            b.iter(|| {
                conv::backward_weights(&device, &direct, x.view(), dy.view(), dw.view_mut());
                if oriented_input {
                    conv::backward_input(&device, &direct, w.view(), dy.view(), dx.view_mut());
                }
            });
        });
        group.finish();
        black_box((&y, &dx, &dc, &dw));
    }
}

fn readouts(c: &mut Criterion) {
    let device = Device::Cpu;
    let shape = readout::Shape {
        batch: BATCH,
        channels: 128,
        pixels: 2304,
        neurons: 500,
        positive_features: false,
    };
    let x = noise(BATCH * 128 * 2304);
    let (mask, features, bias) = (noise(500 * 2304), noise(500 * 128), noise(500));
    let weights = || readout::Weights {
        mask: mask.view(),
        features: features.view(),
        bias: bias.view(),
    };
    let mut h = device.zeros::<f32>(&[BATCH * 500]);
    let mut dx = device.zeros::<f32>(&[x.len()]);
    let mut d = [
        device.zeros::<f32>(&[mask.len()]),
        device.zeros(&[features.len()]),
        device.zeros(&[500]),
    ];
    let dense = (BATCH * 128 * 2304 * 500) as u64;
    let mut group = c.benchmark_group("readout (500 neurons)");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(dense));
    group.bench_function("forward", |b| {
        b.iter(|| readout::forward(&device, &shape, x.view(), weights(), h.view_mut(), None));
    });
    group.throughput(Throughput::Elements(3 * dense));
    group.bench_function("backward", |b| {
        b.iter(|| {
            let [mask, features, bias] = &mut d;
            let gradients = readout::Gradients {
                mask: mask.view_mut(),
                features: features.view_mut(),
                bias: bias.view_mut(),
            };
            readout::backward(
                &device,
                &shape,
                x.view(),
                weights(),
                h.view(),
                (dx.view_mut(), gradients),
                None,
            );
        });
    });
    group.finish();
}

fn normalisation(c: &mut Criterion) {
    let device = Device::Cpu;
    let shape = norm::Shape {
        batch: BATCH,
        channels: 128,
        groups: 128,
        pixels: 2304,
        activation: Activation::Softplus,
    };
    let y = noise(BATCH * 128 * 2304);
    let (gain, offset, mean) = (noise(128), noise(128), noise(128));
    let variance = device.upload(&[1.0; 128], &[128]);
    let mut z = device.zeros::<f32>(&[y.len()]);
    let mut group = c.benchmark_group("normalisation and softplus (128 channels)");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(8 * y.len() as u64));
    group.bench_function("forward", |b| {
        b.iter(|| {
            let affine = norm::Affine {
                gain: Some(gain.view()),
                offset: offset.view(),
            };
            norm::forward(
                &device,
                &shape,
                y.view(),
                (mean.view(), variance.view()),
                affine,
                z.view_mut(),
            );
        });
    });
    group.finish();
}

criterion_group!(benches, convolutions, readouts, normalisation);
criterion_main!(benches);
