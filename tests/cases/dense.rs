//! Dense layers with and without a bias, at sizes around a tile and tails of a step.

use super::{Case, Cost, Output, Trial, empty_maps, filled};
use striate::ops::dense::{Shape, backward_input, backward_weights, forward, reference};

pub fn cases() -> Vec<Case> {
    [
        // B, I, N
        (1, 1, 1),
        (3, 17, 5),
        (2, 32, 300),
        (5, 130, 7),
        (70, 20, 66),
        (65, 64, 64),
    ]
    .map(|(batch, inputs, units)| {
        let shape = Shape {
            batch,
            inputs,
            units,
        };
        [false, true].map(|biased| case(shape, biased))
    })
    .into_iter()
    .flatten()
    .collect()
}

pub fn case(shape: Shape, biased: bool) -> Case {
    let name = format!("dense {shape:?}, bias {biased}");
    Case::new(name, move |on| run(on, &shape, biased))
}

fn run(on: &Trial, s: &Shape, biased: bool) -> Vec<Output> {
    let (nx, nw, ny) = s.lengths();
    let (ax, x) = on.noise_maps(nx, 1);
    let (aw, w) = on.noise(nw, 2);
    let (abias, bias) = on.noise(s.units, 3);
    let (ady, dy) = on.noise(ny, 4);
    let (mut ay, mut adx) = (filled(on, f32::NAN, ny), empty_maps(on, nx));
    let (mut adw, mut adbias) = (filled(on, 1.0, nw), filled(on, 1.0, s.units));
    let (x_view, w_view) = (ax.view(), aw.view());
    let products = ny * s.inputs;
    let cost = Cost::words(nw + ny).maps(on, nx).tensor(products);
    on.pass("forward", cost, || {
        let bias = biased.then(|| abias.view());
        forward(on, s, x_view, w_view, bias, ay.view_mut());
    });
    on.pass("backward to the input", cost, || {
        backward_input(on, s, w_view, ady.view(), adx.view_mut());
    });
    let cost = Cost::words(2 * nw + ny).maps(on, nx).tensor(products);
    on.pass("backward to the weights", cost, || {
        let dbias = biased.then(|| adbias.view_mut());
        backward_weights(on, s, x_view, ady.view(), adw.view_mut(), dbias);
    });
    on.outputs(|| {
        let none = vec![0.0; s.units];
        let (mut y, mut dx) = (vec![f64::NAN; ny], vec![f64::NAN; nx]);
        let (mut dw, mut dbias) = (vec![1.0; nw], vec![1.0; s.units]);
        reference::forward(s, &x, &w, if biased { &bias } else { &none }, &mut y);
        reference::backward_input(s, &w, &dy, &mut dx);
        reference::backward_weights(s, &x, &dy, &mut dw);
        if biased {
            reference::backward_bias(s, &dy, &mut dbias);
        }
        vec![
            Output::tensor("y", &ay, y),
            Output::tensor_maps("dx", &adx, dx),
            Output::tensor("dw", &adw, dw),
            Output::new("dbias", &adbias, dbias),
        ]
    })
}
