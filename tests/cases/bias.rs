//! Biases of channels and the activation behind them.

use super::{Case, Cost, Output, Trial, both_maps, empty_maps, filled};
use striate::ops::activation::Activation;
use striate::ops::bias::{Shape, backward, backward_input, forward, reference};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in [Activation::Relu, Activation::Softplus, Activation::None] {
        for (batch, channels, pixels) in [(1, 1, 1), (3, 5, 7), (2, 3, 260), (9, 301, 1)] {
            let shape = Shape {
                batch,
                channels,
                pixels,
                activation,
            };
            let name = format!("bias {shape:?}");
            cases.push(Case::new(name, move |on| run(on, &shape)));
        }
    }
    cases
}

fn run(on: &Trial, s: &Shape) -> Vec<Output> {
    let n = s.len();
    let (ay, y) = on.noise_maps(n, 1);
    let (abias, bias) = on.noise(s.channels, 2);
    let (mut adz, dz) = on.noise_maps(n, 3);
    let (mut again, _) = both_maps(on, &crate::common::noise(n, 3));
    let mut az = empty_maps(on, n);
    let mut adbias = filled(on, 1.0, s.channels);
    on.pass("forward", Cost::words(s.channels).maps(on, 2 * n), || {
        forward(on, s, ay.view(), abias.view(), az.view_mut());
    });
    let cost = Cost::words(2 * s.channels).maps(on, 3 * n);
    on.pass("backward", cost, || {
        let (to, dbias) = (adz.view_mut(), adbias.view_mut());
        backward(on, s, ay.view(), abias.view(), to, dbias);
    });
    on.pass("backward to the input", cost, || {
        backward_input(on, s, ay.view(), abias.view(), again.view_mut());
    });
    on.outputs(|| {
        let mut z = vec![f64::NAN; n];
        let (mut dy, mut dbias) = (dz, vec![1.0; s.channels]);
        reference::forward(s, &y, &bias, &mut z);
        reference::backward(s, &y, &bias, &mut dy, &mut dbias);
        vec![
            Output::maps("z", &az, z),
            Output::maps("dy", &adz, dy.clone()),
            Output::maps("dy alone", &again, dy),
            Output::new("dbias", &adbias, dbias),
        ]
    })
}
