//! Aligned codes: energies, means and gradients of several fits, also of one neuron, one feature, few orientations and zeros.

use super::{Case, Cost, Output, both, filled, plus_one};
use crate::common::{narrow, noise, widen};
use ndarray::Array3;
use striate::ops::align::{self, Codes, Temperature, reference};

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        (1, 5, 8, 1),
        (70, 1, 8, 3),
        (65, 3, 2, 2),
        (130, 2, 5, 1),
        (9, 3, 7, 2),
        (64, 16, 8, 2),
        (3, 4, 1, 1),
    ]
    .into_iter()
    .map(|sizes| case(sizes, None, 1.0))
    .collect();
    cases.push(case((33, 2, 8, 2), Some(1.5), 1.0));
    // Taps that are nearly one or nothing.
    cases.push(case((20, 2, 8, 1), None, 4.0));
    cases
}

/// N, F, O and J; the cap of T; and what the parameters of T are about.
pub fn case(
    (neurons, features, o, fits): (usize, usize, usize, usize),
    cap: Option<f64>,
    t: f64,
) -> Case {
    let name = format!("align N {neurons} F {features} O {o} J {fits}, cap {cap:?}, t {t}");
    Case::new(name, move |on| {
        let size = features * o;
        let mut values = narrow(&noise(neurons * size, 1));
        if neurons > 2 {
            values[2 * size..3 * size].fill(0.0);
        }
        let raw = Array3::from_shape_vec((neurons, features, o), values.clone()).unwrap();
        let codes = Codes::new(on, raw.view());
        let shape = codes.shape(fits);
        let mut point = vec![0.0; shape.parameters()];
        let random = noise(fits * (neurons + 1), 2);
        for (fit, own) in random.chunks_exact(neurons + 1).enumerate() {
            for (n, v) in own[..neurons].iter().enumerate() {
                point[shape.logit(fit, n)] = 3.0 * v;
            }
            point[shape.t(fit)] = t * (1.0 + 0.3 * own[neurons]);
        }
        let (apoint, point) = both(on, &point);
        let penalties: Vec<f64> = (1..=fits).map(|j| 0.7 * j as f64).collect();
        let (apenalties, penalties) = both(on, &penalties);
        let temperature = Temperature { cap };
        let mut means = filled(on, f32::NAN, shape.means());
        let mut losses = filled(on, f32::NAN, 2 * fits);
        let mut gradient = filled(on, 1.0, point.len());
        let data = shape.blocks() * align::LANES * (size + o / 2 + 1);
        let products = 2 * fits * neurons * size;
        let forward = Cost::words(data + point.len() + shape.means()).products(products);
        on.pass("forward", forward, || {
            let (means, losses) = (means.view_mut(), losses.view_mut());
            align::forward(on, &codes, fits, temperature, apoint.view(), means, losses);
        });
        let backward = Cost::words(data + 3 * point.len() + shape.means()).products(products);
        on.pass("backward", backward, || {
            align::backward(
                on,
                &codes,
                temperature,
                apenalties.view(),
                apoint.view(),
                means.view(),
                gradient.view_mut(),
            );
        });
        on.outputs(|| {
            let mut wanted_losses = Vec::new();
            let mut wanted = vec![0.0; point.len()];
            for (fit, &penalty) in penalties.iter().enumerate() {
                let logits: Vec<f64> = (0..neurons).map(|n| point[shape.logit(fit, n)]).collect();
                let one = reference::Fit {
                    features,
                    orientations: o,
                    temperature,
                    codes: &widen(&values),
                    logits: &logits,
                    t: point[shape.t(fit)],
                };
                let (energy, reconstruction, _) = reference::forward(&one);
                wanted_losses.extend([energy, reconstruction]);
                let (dlogits, dt) = reference::backward(&one, penalty);
                for (n, d) in dlogits.into_iter().enumerate() {
                    wanted[shape.logit(fit, n)] = d;
                }
                wanted[shape.t(fit)] = dt;
            }
            vec![
                Output::new("energies and reconstructions", &losses, wanted_losses),
                Output::new("gradient", &gradient, plus_one(&wanted)),
            ]
        })
    })
}
