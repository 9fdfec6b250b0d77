use super::{Case, Cost, Output, Trial, both, empty_maps, filled, plus_one};
use crate::common::noise;
use striate::device::{Array, Maps};
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
        // Even widths, which 8 orientations have kernels for: odd padding and two chunks, none and more than one tile.
        (1, 8, 2, 17, 5, 34, 3, 1),
        (1, 8, 2, 2, 4, 18, 3, 1),
        (2, 8, 3, 2, 5, 68, 5, 0),
        // More input features than a block of their gradient takes, more tiles than one.
        (1, 8, 5, 2, 14, 34, 5, 2),
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

pub fn case(s: Shape, direct: bool) -> Case {
    let path = if direct { "directly " } else { "" };
    Case::new(format!("group_conv {path}{s:?}"), move |on| {
        let layer = Layer::new(on, s);
        let layer = if direct { layer.direct() } else { layer };
        let basis = Basis::new(s.kernel);
        let (x_len, _, y_len) = s.direct().lengths();
        let (c_len, batch) = (s.coefficients(), s.batch);
        let (ax, x) = on.noise_maps(x_len, 1);
        let (ac, c) = on.noise(c_len, 2);
        let (ady, dy) = on.noise_maps(y_len, 3);
        let products = y_len * s.in_channels() * s.kernel * s.kernel;
        let cost = Cost::words(c_len).maps(on, x_len + y_len).tensor(products);

        let mut ay = empty_maps(on, y_len);
        on.pass("forward", cost, || {
            group_conv::forward(on, &layer, batch, ax.view(), ac.view(), ay.view_mut());
        });
        let z = finished(on, &layer, (&ax, &ac), cost);
        let mut adx = empty_maps(on, x_len);
        on.pass("backward to the input", cost, || {
            let (c, dy) = (ac.view(), ady.view());
            group_conv::backward_input(on, &layer, batch, c, dy, adx.view_mut());
        });
        let mut adc = filled(on, 1.0, c_len);
        let cost = Cost::words(2 * c_len)
            .maps(on, x_len + y_len)
            .tensor(products);
        on.pass("backward to the coefficients", cost, || {
            let (x, dy) = (ax.view(), ady.view());
            group_conv::backward_coefficients(on, &layer, batch, x, dy, adc.view_mut());
        });
        let mut both_dx = empty_maps(on, x_len);
        let mut both_dc = filled(on, 1.0, c_len);
        let cost = Cost::words(3 * c_len)
            .maps(on, 2 * x_len + y_len)
            .tensor(2 * products);
        on.pass("backward", cost, || {
            let (from, dy) = ((ax.view(), ac.view()), ady.view());
            let (dx, dc) = (both_dx.view_mut(), both_dc.view_mut());
            group_conv::backward(on, &layer, batch, from, dy, dx, dc);
        });
        on.outputs(|| {
            let (mut y, mut dx) = (vec![f64::NAN; y_len], vec![f64::NAN; x_len]);
            let mut dc = vec![0.0; c_len];
            group_conv::reference::forward(&s, &basis, &x, &c, &mut y);
            group_conv::reference::backward_input(&s, &basis, &c, &dy, &mut dx);
            group_conv::reference::backward_coefficients(&s, &basis, &x, &dy, &mut dc);
            let mut outputs: Vec<Output> = z.iter().map(|z| z.output(&s, &y)).collect();
            outputs.extend([
                Output::tensor_maps("y", &ay, y),
                Output::tensor_maps("dx", &adx, dx.clone()),
                Output::tensor("dc", &adc, plus_one(&dc)),
                Output::tensor_maps("dx of both", &both_dx, dx),
                Output::tensor("dc of both", &both_dc, plus_one(&dc)),
            ]);
            outputs
        })
    })
}

/// y normalised and activated on the device, and with what.
struct Finished {
    name: &'static str,
    z: Maps,
    gain: Option<Vec<f64>>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    offset: Vec<f64>,
    activation: Activation,
}

/// With statistics of its own for each channel and a gain, and with shared ones and none.
fn finished(on: &Trial, layer: &Layer, (x, c): (&Maps, &Array), cost: Cost) -> [Finished; 2] {
    let s = *layer.shape();
    let channels = s.out_channels();
    [
        ("z", channels, true, Activation::Softplus),
        ("z shared", s.out_features, false, Activation::Relu),
    ]
    .map(|(name, groups, gained, activation)| {
        let positive = |v: Vec<f64>| v.iter().map(|v| 1.5 + v).collect::<Vec<_>>();
        let (amean, mean) = both(on, &noise(groups, 4));
        let (avariance, variance) = both(on, &positive(noise(groups, 5)));
        let (again, gain) = both(on, &positive(noise(groups, 6)));
        let (aoffset, offset) = both(on, &noise(groups, 7));
        let finish = Finish {
            statistics: (amean.view(), avariance.view()),
            affine: Affine {
                gain: gained.then(|| again.view()),
                offset: aoffset.view(),
            },
            activation,
        };
        let mut z = empty_maps(on, s.direct().lengths().2);
        on.pass("forward and finish", cost, || {
            let (input, z) = ((x.view(), c.view()), z.view_mut());
            group_conv::forward_finished(on, layer, s.batch, input, &finish, z);
        });
        Finished {
            name,
            z,
            gain: gained.then_some(gain),
            mean,
            variance,
            offset,
            activation,
        }
    })
}

impl Finished {
    fn output(&self, s: &Shape, y: &[f64]) -> Output {
        let (channels, groups) = (s.out_channels(), self.mean.len());
        let pixels = y.len() / s.batch / channels;
        let wanted = y.iter().enumerate().map(|(i, y)| {
            let group = i / pixels % channels % groups;
            let gain = self.gain.as_ref().map_or(1.0, |gain| gain[group]);
            let scale = gain / (self.variance[group] + norm::EPSILON).sqrt();
            (self.activation).value((y - self.mean[group]) * scale + self.offset[group])
        });
        Output {
            tensor: true,
            ..Output::handed_on(self.name, &self.z, wanted.collect())
        }
    }
}
