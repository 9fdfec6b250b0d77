//! Rotation-equivariant convolution over O orientations with steerable filters (Ecker et al. 2019).
//!
//! Orientation q has the filters `W_q = sum_j H_j [R(phi_q) C]_j`, phi_q = 2 pi q / O, with its blocks of input
//! orientations rolled by +q: `y[b, (q, g)] = sum_{s, f} W_q[(s, f), g] * x[b, (s, f)]` (cross-correlation, stride 1).
//! Coefficients C are (M, n_in, F_out), n_in = F_in for an image (no orientations yet), else O F_in, orientation-major.
//!
//! [`mod@reference`] synthesises the O rotated filters and convolves directly. The CPU path never forms them: in the
//! Fourier domain over orientations each output frequency needs one input frequency of each basis function
//! (`plan.rs`), so the mixing is block-diagonal and the expansion in the basis is separable. Or it does form them, and convolves with them
//! in the Fourier domain over tiles of the images (`dense.rs`): for wide filters that has less to do.
//!
//! Other devices do as the CPU does where the kernels' tiles have room (`sizes.rs`: oriented inputs, k of
//! 3, 5 or 7, O of 4 to 16; `eight.rs`: the same faster on tensor cores for O = 8, k of 3 or 5 and even widths;
//! `gradient.rs`: O up to 8, `eight_gradient.rs`), and directly elsewhere (`device.rs`).

mod adjoint;
mod contract;
mod cpu;
mod dense;
mod device;
mod eight;
mod eight_gradient;
mod expand;
mod expansion;
mod factors;
mod fourier;
mod frequency;
mod gradient;
mod image;
mod mix;
mod mix_back;
mod numbers;
mod orientation;
mod plan;
pub mod reference;
mod route;
mod scatter;
mod sizes;

use super::basis::Basis;
use super::conv;
use super::maps::LANES;
use super::norm::{self, Finish};
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use dense::Dense;
use device::Tables;
use plan::Plan;
use std::borrow::Cow;

/// Widest filter that there is a path for.
pub const MAX_KERNEL: usize = 25;

/// Sizes of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// O.
    pub orientations: usize,
    /// F_in per orientation, or image channels.
    pub in_features: usize,
    /// F_out per orientation.
    pub out_features: usize,
    /// Whether the input has orientations (every layer but the first).
    pub oriented_input: bool,
    /// H of the input.
    pub height: usize,
    /// W of the input.
    pub width: usize,
    /// k, odd.
    pub kernel: usize,
    /// Zeros added at each side.
    pub padding: usize,
}

impl Shape {
    /// n_in: F_in or O F_in.
    pub fn in_channels(&self) -> usize {
        self.in_features
            * if self.oriented_input {
                self.orientations
            } else {
                1
            }
    }

    /// O F_out.
    pub fn out_channels(&self) -> usize {
        self.orientations * self.out_features
    }

    /// M n_in F_out.
    pub fn coefficients(&self) -> usize {
        Basis::count(self.kernel) * self.in_channels() * self.out_features
    }

    /// The direct convolution with the rotated filters.
    pub fn direct(&self) -> conv::Shape {
        conv::Shape {
            batch: self.batch,
            in_channels: self.in_channels(),
            out_channels: self.out_channels(),
            height: self.height,
            width: self.width,
            kernel: self.kernel,
            padding: self.padding,
        }
    }

    /// The output as the normalisation sees it.
    fn finished(&self, finish: &Finish) -> norm::Shape {
        let direct = self.direct();
        norm::Shape {
            batch: self.batch,
            channels: self.out_channels(),
            groups: finish.affine.offset.len(),
            pixels: direct.out_height() * direct.out_width(),
        }
    }

    fn check(&self, x: usize, c: usize, y: usize) {
        let (x_len, _, y_len) = self.direct().lengths();
        assert_eq!((x, c, y), (x_len, self.coefficients(), y_len), "{self:?}");
    }
}

/// A layer's constants: the basis and the tables of both directions, built once per layer.
#[derive(Clone, Debug)]
pub struct Layer {
    shape: Shape,
    basis: Basis,
    forward: Plan,
    /// Carries gradients back to an oriented input: the adjoint of an equivariant layer is one.
    adjoint: Option<Plan>,
    /// On the CPU, where that form has less to do.
    dense: Option<Dense>,
    /// What kernels read; empty on the CPU.
    tables: Option<Tables>,
    /// Of interleaved images: the coefficients that they are convolved with.
    held: Option<Held>,
}

/// Coefficients as the passes over interleaved images take them.
#[derive(Clone, Debug)]
struct Held {
    forward: Vec<f32>,
    backward: Vec<Vec<f32>>,
}

impl Layer {
    /// Builds the tables for a shape; its batch size may vary from call to call.
    pub fn new(device: &Device, shape: Shape) -> Self {
        let mut layer = Self::on_host(shape, 1);
        match device {
            Device::Cpu => layer.dense = Dense::of(shape, &layer.basis, &layer.forward),
            _ => layer.tables = Some(Tables::new(device, &layer)),
        }
        layer
    }

    /// For maps of L = [`LANES`] images at a time that are interleaved, (B / L, C, H, W, L), on the CPU: images that are
    /// small beside the filter fill whole vectors then. The coefficients (M, n_in, F_out) are these from now on, whatever
    /// the passes are given, and have no gradient.
    pub fn interleaved(shape: Shape, coefficients: View) -> Self {
        let mut layer = Self::on_host(shape, LANES);
        let c = coefficients.host();
        layer.held = Some(Held {
            forward: layer.forward.weights(&cpu::widen(c)),
            backward: mix_back::transposed_weights(&layer.forward, c),
        });
        layer
    }

    fn on_host(shape: Shape, lanes: usize) -> Self {
        let basis = Basis::new(shape.kernel);
        let adjoint = (shape.oriented_input && lanes == 1).then(|| {
            let adjoint = Shape {
                in_features: shape.out_features,
                out_features: shape.in_features,
                height: shape.direct().out_height(),
                width: shape.direct().out_width(),
                padding: shape.kernel - 1 - shape.padding,
                ..shape
            };
            Plan::new(adjoint, 1, &basis)
        });
        Self {
            forward: Plan::new(shape, lanes, &basis),
            adjoint,
            basis,
            shape,
            dense: None,
            tables: None,
            held: None,
        }
    }

    /// The same layer with the direct path on a device: rotated filters, then the plain convolution.
    #[must_use]
    pub fn direct(mut self) -> Self {
        if let Some(tables) = &mut self.tables {
            tables.forget_fourier();
        }
        self
    }

    /// The same layer in the orientation-Fourier form on the CPU, whatever it costs.
    #[must_use]
    pub fn oriented(mut self) -> Self {
        self.dense = None;
        self
    }

    fn tables(&self) -> &Tables {
        let tables = self.tables.as_ref();
        tables.expect("the layer was made for the device it runs on")
    }

    /// The layer's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The layer's basis.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The mixing weights on the CPU.
    fn weights(&self, c: &[f32]) -> Cow<'_, [f32]> {
        match &self.held {
            Some(held) => Cow::Borrowed(&held.forward),
            None => Cow::Owned(self.forward.weights(&cpu::widen(c))),
        }
    }

    fn at(&self, batch: usize) -> Shape {
        Shape {
            batch,
            ..self.shape
        }
    }
}

/// Writes y (B, O F_out, H', W').
pub fn forward(device: &Device, layer: &Layer, batch: usize, x: MapView, c: View, y: MapViewMut) {
    match device {
        Device::Cpu => {
            let (x, c, y) = (x.host(), c.host(), y.host());
            layer.at(batch).check(x.len(), c.len(), y.len());
            match &layer.dense {
                Some(dense) => dense.forward(x, c, y),
                None => cpu::forward(&layer.forward, x, &layer.weights(c), None, y),
            }
        }
        _ => {
            let shape = layer.at(batch);
            shape.check(x.len(), c.len(), y.len());
            device::forward(device, layer.tables(), &shape, x, c, None, y);
        }
    }
}

/// Writes z (B, O F_out, H', W'): y normalised with fixed statistics and activated, without y in between.
pub fn forward_finished(
    device: &Device,
    layer: &Layer,
    batch: usize,
    (x, c): (MapView, View),
    finish: &Finish,
    mut z: MapViewMut,
) {
    match device {
        Device::Cpu if layer.dense.is_some() => {
            forward(device, layer, batch, x, c, z.reborrow());
            let shape = layer.at(batch).finished(finish);
            norm::finish(device, &shape, finish, z);
        }
        Device::Cpu => {
            let (x, c, z) = (x.host(), c.host(), z.host());
            layer.at(batch).check(x.len(), c.len(), z.len());
            let lines = finish.lines(layer.shape.out_channels());
            let epilogue = Some((&lines[..], finish.activation));
            cpu::forward(&layer.forward, x, &layer.weights(c), epilogue, z);
        }
        _ => {
            let shape = layer.at(batch);
            shape.check(x.len(), c.len(), z.len());
            device::forward(device, layer.tables(), &shape, x, c, Some(finish), z);
        }
    }
}

/// Adds to dc (M, n_in, F_out) and writes dx, both from one expansion of dy, or from its spectra where the layer is dense on this device.
/// For an oriented input.
pub fn backward(
    device: &Device,
    layer: &Layer,
    batch: usize,
    (x, c): (MapView, View),
    dy: MapView,
    dx: MapViewMut,
    dc: ViewMut,
) {
    match (device, &layer.dense, &layer.adjoint) {
        (Device::Cpu, dense, adjoint) if dense.is_some() || adjoint.is_some() => {
            let (x, c, dy, dx, dc) = (x.host(), c.host(), dy.host(), dx.host(), dc.host());
            layer.at(batch).check(x.len(), c.len(), dy.len());
            layer.at(batch).check(dx.len(), dc.len(), dy.len());
            match (dense, adjoint) {
                (Some(dense), _) => dense.backward((x, c), dy, dx, dc),
                (None, Some(adjoint)) => cpu::backward(adjoint, &layer.basis, x, c, dy, dx, dc),
                (None, None) => unreachable!("one of them"),
            }
        }
        _ => {
            backward_coefficients(device, layer, batch, x, dy, dc);
            backward_input(device, layer, batch, c, dy, dx);
        }
    }
}

/// Writes dx.
pub fn backward_input(
    device: &Device,
    layer: &Layer,
    batch: usize,
    c: View,
    dy: MapView,
    dx: MapViewMut,
) {
    match device {
        Device::Cpu => {
            let (c, dy, dx) = (c.host(), dy.host(), dx.host());
            layer.at(batch).check(dx.len(), c.len(), dy.len());
            match (&layer.held, &layer.dense, &layer.adjoint) {
                (Some(held), ..) => {
                    scatter::backward_input(&layer.forward, &held.backward, dy, dx);
                }
                (_, Some(dense), _) => dense.backward_input(c, dy, dx),
                (_, _, Some(adjoint)) => cpu::backward_input(adjoint, &layer.basis, c, dy, dx),
                (_, _, None) => image::backward_image(&layer.forward, &layer.basis, c, dy, dx),
            }
        }
        _ => {
            let shape = layer.at(batch);
            shape.check(dx.len(), c.len(), dy.len());
            device::backward_input(device, layer.tables(), &shape, c, dy, dx);
        }
    }
}

/// Adds to dc (M, n_in, F_out).
pub fn backward_coefficients(
    device: &Device,
    layer: &Layer,
    batch: usize,
    x: MapView,
    dy: MapView,
    dc: ViewMut,
) {
    match device {
        Device::Cpu => {
            let (x, dy, dc) = (x.host(), dy.host(), dc.host());
            layer.at(batch).check(x.len(), dc.len(), dy.len());
            match &layer.dense {
                Some(dense) => dense.backward_coefficients(x, dy, dc),
                None => cpu::backward_coefficients(&layer.forward, x, dy, dc),
            }
        }
        _ => {
            let shape = layer.at(batch);
            shape.check(x.len(), dc.len(), dy.len());
            device::backward_coefficients(device, layer.tables(), &shape, x, dy, dc);
        }
    }
}
