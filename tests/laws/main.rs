//! What holds whatever the numbers are: symmetries, adjoints, invariances, independence of threads.

#[path = "../common/mod.rs"]
mod common;

mod adjoint;
mod penalties;
mod threads;
mod twins;
mod windows;

use common::{narrow, noise};
use striate::device::{Array, Device};
use striate::ops::{conv, group_conv};

const CPU: Device = Device::Cpu;

fn upload(values: &[f64]) -> Array {
    CPU.upload(&narrow(values), &[values.len()])
}

/// A convolution of noise, and its ways back from noise.
struct Ways {
    x: Array,
    weights: Array,
    dy: Array,
    y: Array,
    dx: Array,
    dweights: Array,
}

impl Ways {
    fn new(nx: usize, ny: usize, weights: Array) -> Self {
        Self {
            x: upload(&noise(nx, 1)),
            dy: upload(&noise(ny, 3)),
            y: CPU.zeros(&[ny]),
            dx: CPU.zeros(&[nx]),
            dweights: CPU.zeros(&[weights.len()]),
            weights,
        }
    }

    fn direct(s: &conv::Shape) -> Self {
        let (nx, nw, ny) = s.lengths();
        let mut w = Self::new(nx, ny, upload(&noise(nw, 2)));
        let (x, dy, weights) = (w.x.view(), w.dy.view(), w.weights.view());
        conv::forward(&CPU, s, x.into(), weights, w.y.view_mut().into());
        conv::backward_input(&CPU, s, weights, dy.into(), w.dx.view_mut().into());
        conv::backward_weights(&CPU, s, x.into(), dy.into(), w.dweights.view_mut());
        w
    }

    /// Each way by itself.
    fn group(s: &group_conv::Shape) -> Self {
        let layer = group_conv::Layer::new(&CPU, *s);
        let (nx, _, ny) = s.direct().lengths();
        let mut w = Self::new(nx, ny, upload(&noise(s.coefficients(), 4)));
        let (x, dy, c) = (w.x.view(), w.dy.view(), w.weights.view());
        group_conv::forward(&CPU, &layer, s.batch, x.into(), c, w.y.view_mut().into());
        let dx = w.dx.view_mut().into();
        group_conv::backward_input(&CPU, &layer, s.batch, c, dy.into(), dx);
        let dc = w.dweights.view_mut();
        group_conv::backward_coefficients(&CPU, &layer, s.batch, x.into(), dy.into(), dc);
        w
    }
}
