//! Direct and group convolution: the CPU path against the float64 definition, gradients, adjoints.

mod common;
use common::*;
use striate::device::Device;
use striate::ops::basis::Basis;
use striate::ops::conv;
use striate::ops::group_conv::{self, Layer, Shape};
use striate::ops::maps::LANES;

fn group_cases() -> Vec<Shape> {
    let base = Shape {
        batch: 2,
        orientations: 8,
        in_features: 3,
        out_features: 5,
        oriented_input: true,
        height: 11,
        width: 17,
        kernel: 5,
        padding: 2,
    };
    vec![
        base,
        Shape {
            orientations: 4,
            padding: 0,
            ..base
        },
        Shape {
            orientations: 12,
            kernel: 3,
            padding: 1,
            ..base
        },
        Shape {
            orientations: 16,
            in_features: 2,
            out_features: 1,
            ..base
        },
        Shape {
            orientations: 5,
            kernel: 7,
            padding: 3,
            ..base
        },
        Shape {
            orientations: 1,
            ..base
        },
        Shape {
            orientations: 2,
            kernel: 1,
            padding: 0,
            ..base
        },
        Shape {
            orientations: 3,
            batch: 1,
            kernel: 9,
            padding: 4,
            height: 9,
            width: 9,
            ..base
        },
        Shape {
            oriented_input: false,
            in_features: 1,
            kernel: 13,
            padding: 6,
            height: 36,
            width: 64,
            ..base
        },
        Shape {
            oriented_input: false,
            in_features: 2,
            kernel: 7,
            padding: 0,
            orientations: 12,
            ..base
        },
        Shape {
            oriented_input: false,
            in_features: 1,
            kernel: 5,
            orientations: 5,
            ..base
        },
        Shape {
            oriented_input: false,
            in_features: 1,
            kernel: 9,
            orientations: 6,
            padding: 4,
            ..base
        },
        Shape {
            in_features: 16,
            out_features: 16,
            batch: 3,
            height: 20,
            width: 31,
            ..base
        },
    ]
}

#[test]
fn the_fourier_form_is_the_direct_form() {
    for shape in group_cases() {
        let basis = Basis::new(shape.kernel);
        let layer = Layer::new(&Device::Cpu, shape);
        let (nx, nw, ny) = shape.direct().lengths();
        let _ = nw;
        let (x, c, dy) = (noise(nx, 1), noise(shape.coefficients(), 2), noise(ny, 3));
        let (x32, c32, dy32) = (narrow(&x), narrow(&c), narrow(&dy));
        let (x, c, dy) = (widen(&x32), widen(&c32), widen(&dy32));

        let device = Device::Cpu;
        let (ax, ac, ady) = (
            device.upload(&x32, &[nx]),
            device.upload(&c32, &[c32.len()]),
            device.upload(&dy32, &[ny]),
        );
        let name = format!("{shape:?}");
        let mut y = vec![0.0; ny];
        group_conv::reference::forward(&shape, &basis, &x, &c, &mut y);
        let mut ay = device.upload(&vec![f32::NAN; ny], &[ny]);
        group_conv::forward(
            &device,
            &layer,
            shape.batch,
            ax.view().into(),
            ac.view(),
            ay.view_mut().into(),
        );
        assert_close(&format!("y {name}"), &widen(&ay.download()), &y, 1e-5);

        let mut dx = vec![0.0; nx];
        group_conv::reference::backward_input(&shape, &basis, &c, &dy, &mut dx);
        let mut adx = device.upload(&vec![f32::NAN; nx], &[nx]);
        group_conv::backward_input(
            &device,
            &layer,
            shape.batch,
            ac.view(),
            ady.view().into(),
            adx.view_mut().into(),
        );
        assert_close(&format!("dx {name}"), &widen(&adx.download()), &dx, 1e-5);

        let mut dc = vec![1.0; c.len()];
        group_conv::reference::backward_coefficients(&shape, &basis, &x, &dy, &mut dc);
        let mut adc = device.upload(&vec![1.0; c.len()], &[c.len()]);
        group_conv::backward_coefficients(
            &device,
            &layer,
            shape.batch,
            ax.view().into(),
            ady.view().into(),
            adc.view_mut(),
        );
        assert_close(&format!("dc {name}"), &widen(&adc.download()), &dc, 1e-5);

        let mut adc = device.upload(&vec![1.0; c.len()], &[c.len()]);
        let mut adx = device.upload(&vec![f32::NAN; nx], &[nx]);
        group_conv::backward(
            &device,
            &layer,
            shape.batch,
            (ax.view().into(), ac.view()),
            ady.view().into(),
            adx.view_mut().into(),
            adc.view_mut(),
        );
        assert_close(
            &format!("fused dx {name}"),
            &widen(&adx.download()),
            &dx,
            1e-5,
        );
        assert_close(
            &format!("fused dc {name}"),
            &widen(&adc.download()),
            &dc,
            1e-5,
        );
    }
}

#[test]
fn tiled_direct_convolution_is_the_definition() {
    let base = conv::Shape {
        batch: 2,
        in_channels: 3,
        out_channels: 5,
        height: 11,
        width: 17,
        kernel: 5,
        padding: 2,
    };
    for shape in [
        base,
        conv::Shape {
            batch: 1,
            in_channels: 1,
            out_channels: 1,
            height: 5,
            width: 5,
            padding: 0,
            ..base
        },
        conv::Shape {
            kernel: 13,
            padding: 6,
            in_channels: 1,
            out_channels: 32,
            height: 36,
            width: 64,
            ..base
        },
        conv::Shape {
            kernel: 3,
            padding: 0,
            out_channels: 17,
            batch: 19,
            ..base
        },
    ] {
        let (nx, nw, ny) = shape.lengths();
        let (x, w, dy) = (
            narrow(&noise(nx, 1)),
            narrow(&noise(nw, 2)),
            narrow(&noise(ny, 3)),
        );
        let (x64, w64, dy64) = (widen(&x), widen(&w), widen(&dy));
        let device = Device::Cpu;
        let (ax, aw, ady) = (
            device.upload(&x, &[nx]),
            device.upload(&w, &[nw]),
            device.upload(&dy, &[ny]),
        );
        let (mut y, mut dx, mut dw) = (vec![0.0; ny], vec![0.0; nx], vec![1.0; nw]);
        conv::reference::forward(&shape, &x64, &w64, &mut y);
        conv::reference::backward_input(&shape, &w64, &dy64, &mut dx);
        conv::reference::backward_weights(&shape, &x64, &dy64, &mut dw);
        let nan = |n: usize| device.upload(&vec![f32::NAN; n], &[n]);
        let (mut ay, mut adx) = (nan(ny), nan(nx));
        let mut adw = device.upload(&vec![1.0; nw], &[nw]);
        conv::forward(
            &device,
            &shape,
            ax.view().into(),
            aw.view(),
            ay.view_mut().into(),
        );
        conv::backward_input(
            &device,
            &shape,
            aw.view(),
            ady.view().into(),
            adx.view_mut().into(),
        );
        conv::backward_weights(
            &device,
            &shape,
            ax.view().into(),
            ady.view().into(),
            adw.view_mut(),
        );
        assert_close("y", &widen(&ay.download()), &y, 1e-5);
        assert_close("dx", &widen(&adx.download()), &dx, 1e-5);
        assert_close("dw", &widen(&adw.download()), &dw, 1e-5);
    }
}

/// (B, n) to (B / L, n, L), and back.
fn interleaved(x: &[f32], n: usize) -> Vec<f32> {
    let block = |x: &[f32]| -> Vec<f32> {
        let at = |i: usize| x[i % LANES * n + i / LANES];
        (0..x.len()).map(at).collect()
    };
    x.chunks(n * LANES).flat_map(block).collect()
}

fn separated(x: &[f32], n: usize) -> Vec<f32> {
    let block = |x: &[f32]| -> Vec<f32> {
        let at = |i: usize| x[i % n * LANES + i / n];
        (0..x.len()).map(at).collect()
    };
    x.chunks(n * LANES).flat_map(block).collect()
}

#[test]
fn interleaved_images_are_convolved_as_images_one_by_one_are() {
    let (device, batch) = (Device::Cpu, 2 * LANES);
    for shape in group_cases() {
        let shape = Shape { batch, ..shape };
        let (x_len, _, y_len) = shape.direct().lengths();
        let x = narrow(&noise(x_len, 1));
        let c = device.upload(
            &narrow(&noise(shape.coefficients(), 2)),
            &[shape.coefficients()],
        );
        let dy = narrow(&noise(y_len, 3));
        let (x_image, y_image) = (x_len / batch, y_len / batch);
        let pass = |layer: &Layer, x: &[f32], dy: &[f32]| {
            let (x, dy) = (device.upload(x, &[x_len]), device.upload(dy, &[y_len]));
            let mut y = device.upload(&vec![f32::NAN; y_len], &[y_len]);
            let mut dx = device.upload(&vec![f32::NAN; x_len], &[x_len]);
            let (from, to) = (x.view().into(), y.view_mut().into());
            group_conv::forward(&device, layer, batch, from, c.view(), to);
            let (from, to) = (dy.view().into(), dx.view_mut().into());
            group_conv::backward_input(&device, layer, batch, c.view(), from, to);
            (y.download(), dx.download())
        };
        let (y, dx) = pass(&Layer::new(&device, shape), &x, &dy);
        let layer = Layer::interleaved(shape, c.view());
        let got = pass(
            &layer,
            &interleaved(&x, x_image),
            &interleaved(&dy, y_image),
        );
        for (what, got, wanted) in [
            ("y", separated(&got.0, y_image), y),
            ("dx", separated(&got.1, x_image), dx),
        ] {
            let error = relative(&widen(&got), &widen(&wanted));
            assert!(error <= 2e-6, "{shape:?}: {what} off by {error:e}");
        }
    }
}
