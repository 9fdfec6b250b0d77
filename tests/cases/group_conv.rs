use super::{Case, Output, both, filled, plus_one};
use crate::common::noise;
use striate::device::Device;
use striate::ops::activation::Activation;
use striate::ops::basis::Basis;
use striate::ops::group_conv::{self, Layer, Shape};
use striate::ops::norm::{self, Affine, Finish};

pub fn cases() -> Vec<Case> {
    let base = Shape {
        batch: 1,
        orientations: 8,
        in_features: 3,
        out_features: 2,
        oriented_input: true,
        height: 6,
        width: 19,
        kernel: 5,
        padding: 2,
    };
    let image = Shape {
        oriented_input: false,
        in_features: 1,
        ..base
    };
    let mut cases = Vec::new();
    for (shape, both_paths) in [
        // More than one tile in each direction, more than one chunk of output features.
        (
            Shape {
                batch: 2,
                in_features: 1,
                out_features: 17,
                height: 5,
                ..base
            },
            false,
        ),
        (
            Shape {
                kernel: 3,
                padding: 0,
                ..base
            },
            true,
        ),
        (
            Shape {
                kernel: 7,
                padding: 3,
                height: 3,
                width: 17,
                out_features: 1,
                ..base
            },
            false,
        ),
        (
            Shape {
                kernel: 7,
                padding: 0,
                orientations: 5,
                height: 9,
                in_features: 1,
                ..base
            },
            false,
        ),
        // More input features than the gradient's blocks take at once.
        (
            Shape {
                padding: 0,
                orientations: 4,
                in_features: 5,
                ..base
            },
            false,
        ),
        (
            Shape {
                orientations: 7,
                padding: 1,
                height: 5,
                in_features: 1,
                out_features: 9,
                ..base
            },
            false,
        ),
        (
            Shape {
                kernel: 3,
                padding: 1,
                orientations: 16,
                height: 5,
                width: 5,
                in_features: 2,
                ..base
            },
            false,
        ),
        (
            Shape {
                orientations: 15,
                height: 3,
                width: 4,
                in_features: 1,
                ..base
            },
            false,
        ),
        // What the Fourier form does not cover.
        (
            Shape {
                kernel: 1,
                padding: 0,
                height: 2,
                width: 3,
                ..base
            },
            false,
        ),
        (
            Shape {
                kernel: 9,
                padding: 4,
                height: 3,
                width: 4,
                orientations: 4,
                in_features: 1,
                ..base
            },
            false,
        ),
        (
            Shape {
                orientations: 3,
                height: 3,
                width: 9,
                ..base
            },
            false,
        ),
        (
            Shape {
                orientations: 1,
                height: 3,
                width: 9,
                ..base
            },
            false,
        ),
        (
            Shape {
                kernel: 13,
                padding: 0,
                height: 14,
                out_features: 5,
                ..image
            },
            false,
        ),
        (
            Shape {
                kernel: 13,
                padding: 6,
                orientations: 3,
                in_features: 2,
                height: 4,
                width: 5,
                ..image
            },
            false,
        ),
        (
            Shape {
                orientations: 1,
                out_features: 1,
                ..image
            },
            false,
        ),
    ] {
        cases.push(case(shape, false));
        if both_paths {
            cases.push(case(shape, true));
        }
    }
    cases
}

fn case(s: Shape, direct: bool) -> Case {
    let path = if direct { "directly " } else { "" };
    Case::new(format!("group_conv {path}{s:?}"), move |device| {
        let layer = Layer::new(device, s);
        let layer = if direct { layer.direct() } else { layer };
        let basis = Basis::new(s.kernel);
        let (x_len, _, y_len) = s.direct().lengths();
        let (ax, x) = both(device, &noise(x_len, 1));
        let (ac, c) = both(device, &noise(s.coefficients(), 2));
        let (ady, dy) = both(device, &noise(y_len, 3));

        let mut y = vec![f64::NAN; y_len];
        group_conv::reference::forward(&s, &basis, &x, &c, &mut y);
        let mut ay = filled(device, f32::NAN, y_len);
        group_conv::forward(device, &layer, s.batch, ax.view(), ac.view(), ay.view_mut());

        let mut dx = vec![f64::NAN; x_len];
        group_conv::reference::backward_input(&s, &basis, &c, &dy, &mut dx);
        let mut adx = filled(device, f32::NAN, x_len);
        group_conv::backward_input(
            device,
            &layer,
            s.batch,
            ac.view(),
            ady.view(),
            adx.view_mut(),
        );

        let mut dc = vec![0.0; c.len()];
        group_conv::reference::backward_coefficients(&s, &basis, &x, &dy, &mut dc);
        let mut adc = filled(device, 1.0, c.len());
        group_conv::backward_coefficients(
            device,
            &layer,
            s.batch,
            ax.view(),
            ady.view(),
            adc.view_mut(),
        );

        let mut both_dx = filled(device, f32::NAN, x_len);
        let mut both_dc = filled(device, 1.0, c.len());
        group_conv::backward(
            device,
            &layer,
            s.batch,
            (ax.view(), ac.view()),
            ady.view(),
            both_dx.view_mut(),
            both_dc.view_mut(),
        );
        let mut outputs = finished(device, &layer, (&ax, &ac), &y);
        outputs.extend([
            Output::tensor("y", &ay, y),
            Output::tensor("dx", &adx, dx.clone()),
            Output::tensor("dc", &adc, plus_one(&dc)),
            Output::tensor("dx of both", &both_dx, dx),
            Output::tensor("dc of both", &both_dc, plus_one(&dc)),
        ]);
        outputs
    })
}

/// y normalised and activated: with statistics of its own for each channel and a gain, and shared ones without.
fn finished(
    device: &Device,
    layer: &Layer,
    (x, c): (&striate::device::Array, &striate::device::Array),
    y: &[f64],
) -> Vec<Output> {
    let s = *layer.shape();
    let channels = s.out_channels();
    let pixels = y.len() / s.batch / channels;
    let mut outputs = Vec::new();
    for (name, groups, gained, activation) in [
        ("z", channels, true, Activation::Softplus),
        ("z shared", s.out_features, false, Activation::Relu),
    ] {
        let positive = |v: Vec<f64>| v.iter().map(|v| 1.5 + v).collect::<Vec<_>>();
        let (amean, mean) = both(device, &noise(groups, 4));
        let (avariance, variance) = both(device, &positive(noise(groups, 5)));
        let (again, gain) = both(device, &positive(noise(groups, 6)));
        let (aoffset, offset) = both(device, &noise(groups, 7));
        let finish = Finish {
            statistics: (amean.view(), avariance.view()),
            affine: Affine {
                gain: gained.then(|| again.view()),
                offset: aoffset.view(),
            },
            activation,
        };
        let mut z = filled(device, f32::NAN, y.len());
        let input = (x.view(), c.view());
        group_conv::forward_finished(device, layer, s.batch, input, &finish, z.view_mut());
        let wanted = y.iter().enumerate().map(|(i, y)| {
            let group = i / pixels % channels % groups;
            let gain = if gained { gain[group] } else { 1.0 };
            let scale = gain / (variance[group] + norm::EPSILON).sqrt();
            activation.value((y - mean[group]) * scale + offset[group])
        });
        outputs.push(Output::tensor(name, &z, wanted.collect()));
    }
    outputs
}
