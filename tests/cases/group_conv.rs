use super::{Case, Output, both, filled, plus_one};
use crate::common::noise;
use striate::device::Device;
use striate::ops::activation::Activation;
use striate::ops::basis::Basis;
use striate::ops::group_conv::{self, Layer, Shape};
use striate::ops::norm::{self, Affine, Finish};

pub fn cases() -> Vec<Case> {
    // (B, O, F_in, F_out, H, W, k, p)
    let oriented = [
        // More than one tile in each direction, more than one chunk of output features.
        (1, 4, 1, 17, 5, 17, 3, 1),
        (2, 8, 3, 2, 4, 9, 3, 0),
        // More input features than the gradient's blocks take at once.
        (1, 8, 5, 2, 4, 18, 5, 2),
        (1, 8, 3, 1, 2, 5, 7, 3),
        (1, 5, 1, 2, 8, 9, 7, 0),
        // More tiles than a block of the gradient takes.
        (3, 4, 1, 2, 7, 7, 5, 1),
        (1, 7, 1, 3, 5, 9, 5, 1),
        (1, 16, 2, 2, 3, 3, 3, 1),
        (1, 15, 1, 2, 3, 4, 5, 2),
        // What the Fourier form does not cover.
        (1, 8, 3, 2, 2, 3, 1, 0),
        (1, 4, 1, 2, 3, 4, 9, 4),
        (2, 3, 3, 2, 3, 9, 5, 2),
        (1, 1, 3, 2, 3, 9, 5, 2),
    ];
    let image = [
        (1, 4, 1, 2, 14, 15, 13, 0),
        (1, 3, 2, 2, 4, 5, 13, 6),
        (2, 1, 1, 1, 6, 19, 5, 2),
    ];
    let shape = |(batch, o, f_in, f_out, height, width, kernel, padding), oriented_input| Shape {
        batch,
        orientations: o,
        in_features: f_in,
        out_features: f_out,
        oriented_input,
        height,
        width,
        kernel,
        padding,
    };
    let oriented = oriented.map(|s| shape(s, true));
    let images = image.map(|s| shape(s, false));
    let mut cases: Vec<Case> = (oriented.iter().chain(&images))
        .map(|&s| case(s, false))
        .collect();
    cases.push(case(oriented[1], true));
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
