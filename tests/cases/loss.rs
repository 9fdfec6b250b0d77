//! Rates and both losses of all outputs, with responses that were not recorded, and a step's total.

use super::{Case, Cost, Output, both, filled};
use crate::common::{narrow, noise};
use striate::ops::activation::Output as Nonlinearity;
use striate::ops::loss::{self, Loss, Shape};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![total(1), total(5), total(300)];
    for output in [
        Nonlinearity::Softplus,
        Nonlinearity::EluPlusOne,
        Nonlinearity::Exponential,
        Nonlinearity::Linear,
    ] {
        for (batch, neurons) in [(1, 1), (3, 7), (5, 64), (2, 4099)] {
            let shape = Shape {
                batch,
                neurons,
                output,
            };
            for loss in [Loss::Poisson, Loss::VarianceScaledMse] {
                cases.push(losses(loss, shape, 4.0, false));
                cases.push(losses(loss, shape, 4.0, true));
            }
        }
    }
    // Where exp would overflow.
    for output in [Nonlinearity::Softplus, Nonlinearity::EluPlusOne] {
        let shape = Shape {
            batch: 2,
            neurons: 70,
            output,
        };
        cases.push(losses(Loss::Poisson, shape, 100.0, true));
    }
    cases
}

pub fn losses(loss: Loss, shape: Shape, spread: f64, with_gradient: bool) -> Case {
    let name = format!("{loss:?} {shape:?}, spread {spread}, gradient {with_gradient}");
    Case::new(name, move |on| {
        let (batch, neurons) = (shape.batch, shape.neurons);
        let n = batch * neurons;
        let mut h: Vec<f64> = noise(n, 1).iter().map(|h| spread * h).collect();
        if shape.output == Nonlinearity::Linear {
            h.iter_mut().for_each(|h| *h = h.abs() + 0.01);
        }
        let mut r: Vec<f64> = noise(n, 2).iter().map(|r| 3.0 * r.max(0.0)).collect();
        if n > 1 {
            r.iter_mut().step_by(5).for_each(|r| *r = f64::NAN);
        }
        let ((ah, h), (ar, r)) = (both(on, &h), both(on, &r));
        let mut arates = filled(on, f32::NAN, n);
        let mut aslopes = filled(on, f32::NAN, n);
        let mut adh = filled(on, f32::NAN, n);
        let mut alosses = filled(on, f32::NAN, batch);
        on.pass("rates", Cost::words(2 * n), || {
            loss::rates(on, &shape, ah.view(), arates.view_mut());
        });
        on.pass("slopes", Cost::words(2 * n), || {
            loss::slopes(on, &shape, ah.view(), aslopes.view_mut());
        });
        let words = if with_gradient { 3 * n } else { 2 * n };
        on.pass("losses", Cost::words(words + batch), || {
            let gradient = with_gradient.then(|| adh.view_mut());
            let (h, r, losses) = (ah.view(), ar.view(), alosses.view_mut());
            loss::losses(on, &shape, loss, h, r, gradient, losses);
        });
        on.outputs(|| {
            let (kind, share) = (shape.output, 1.0 / batch as f64);
            let mut dh = vec![f64::NAN; n];
            let losses: Vec<f64> = h
                .chunks_exact(neurons)
                .zip(r.chunks_exact(neurons))
                .zip(dh.chunks_exact_mut(neurons))
                .map(|((h, r), dh)| loss::reference::image(loss, kind, share, h, r, dh))
                .collect();
            let rates: Vec<f64> = h.iter().map(|&h| kind.value(h)).collect();
            let slopes: Vec<f64> = h.iter().map(|&h| kind.slope(h)).collect();
            let mut outputs = vec![
                Output::new("rates", &arates, rates),
                Output::new("slopes", &aslopes, slopes),
                Output::new("losses", &alosses, losses),
            ];
            if with_gradient {
                outputs.push(Output::new("dh", &adh, dh));
            }
            outputs
        })
    })
}

/// The second of three steps, written and then added to.
fn total(batch: usize) -> Case {
    Case::new(format!("loss total of {batch}"), move |on| {
        let (losses, wanted) = both(on, &noise(batch, 1));
        let (others, more) = both(on, &noise(batch, 2));
        let step = on.upload(&[1u32], &[1]);
        let mut totals = on.upload(&narrow(&[3.0, 5.0, 7.0]), &[3]);
        for (from, add) in [(&losses, false), (&others, true)] {
            on.pass("total", Cost::words(batch + 1), || {
                loss::total(on, from.view(), step.view(), totals.view_mut(), add);
            });
        }
        on.outputs(|| {
            let sum = wanted.iter().chain(&more).sum();
            vec![Output::new("totals", &totals, vec![3.0, sum, 7.0])]
        })
    })
}
