//! Direct and group convolution: the CPU path against the float64 definition, gradients, adjoints.

mod common;
use common::*;
use striate::device::Device;
use striate::ops::basis::Basis;
use striate::ops::conv;
use striate::ops::group_conv::{self, Layer, Shape};

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
