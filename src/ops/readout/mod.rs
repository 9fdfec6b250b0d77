//! Factorised readout (Klindt et al. 2017; Ecker et al. 2019), one mask and one feature vector per neuron:
//!
//! `h[b, n] = bias[n] + sum_c v[n, c] sum_p |mask[n, p]| x[b, c, p]`, v = features, or |features| where only positive
//! ones are wanted. x is (B, C, P), mask (N, P), features (N, C), h (B, N).
//!
//! Where each neuron looks through a window alone ([`Weights::windows`]), see [`windowed`].
//!
//! The inner sum is one matrix product. On the CPU its (B, C, N) result is formed for a few images at a time, or kept from
//! the forward pass for the backward one where memory is given for it ([`Shape::kept`]); elsewhere it never leaves the
//! registers (`kernels/readout.cu`). There, on tensor cores, what enters the products is rounded once and lies in memory so: |mask|, and
//! x, with rows filled up where they end within a step; given memory, the forward pass keeps these. x comes rounded, as normalisation
//! hands it on: of others TF32 cuts the last bits off. Sums, parameters and their gradients are float32.

mod cpu;
pub mod ladder;
mod launch;
mod products;
pub mod reference;
pub mod windowed;
pub mod windows;

use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use cpu::Host;
pub use windows::{Window, Windows};

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// C.
    pub channels: usize,
    /// P.
    pub pixels: usize,
    /// N.
    pub neurons: usize,
    /// Whether features count by their absolute value.
    pub positive_features: bool,
}

impl Shape {
    /// Elements of (B, C, N).
    pub fn projections(&self) -> usize {
        self.batch * self.channels * self.neurons
    }

    /// Floats that a forward pass on `device` can keep for the backward one: projections on the CPU, elsewhere what both read.
    pub fn kept(&self, device: &Device, windows: Option<&Windows>) -> usize {
        match (device, windows) {
            (_, Some(windows)) => windowed::kept(device, self, windows),
            (Device::Cpu, None) => self.projections(),
            (_, None) => launch::kept(device, self),
        }
    }

    fn check(&self, x: usize, weights: &Weights, h: usize) {
        let wanted = (
            self.batch * self.channels * self.pixels,
            weights.mask_len(self),
            self.neurons * self.channels,
            self.neurons,
            self.batch * self.neurons,
        );
        let (mask, features) = (weights.mask.len(), weights.features.len());
        assert_eq!(
            (x, mask, features, weights.bias.len(), h),
            wanted,
            "{self:?}"
        );
    }
}

/// Most channels that it reads on `device`.
pub fn most_channels(device: &Device) -> usize {
    match device {
        Device::Cpu => usize::MAX,
        _ => launch::most_channels(device),
    }
}

/// One readout's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// (N, P), before the absolute value; with `windows` what is inside them, in their order.
    pub mask: View<'a>,
    /// (N, C).
    pub features: View<'a>,
    /// (N).
    pub bias: View<'a>,
    /// Where the neurons look; without, each looks at the whole map.
    pub windows: Option<&'a Windows>,
}

impl Weights<'_> {
    fn mask_len(&self, shape: &Shape) -> usize {
        let Some(windows) = self.windows else {
            return shape.neurons * shape.pixels;
        };
        let (height, width) = windows.map;
        let sizes = (windows.neurons(), height * width);
        assert_eq!(sizes, (shape.neurons, shape.pixels), "{shape:?}: windows");
        windows.mask_len()
    }
}

/// Their gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// (N), neurons in the order of their masks: the gradient of every |mask| of a neuron that its penalty gives.
    pub sparsity: View<'a>,
    /// As the masks lie.
    pub mask: ViewMut<'a>,
    /// (N, C).
    pub features: ViewMut<'a>,
    /// (N).
    pub bias: ViewMut<'a>,
}

/// Writes h. Into `keep`, [`Shape::kept`] floats from the beginning of an array, goes what [`backward`] would form again.
pub fn forward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    weights: Weights,
    h: ViewMut,
    keep: Option<ViewMut>,
) {
    shape.check(x.len(), &weights, h.len());
    check_kept(device, shape, &weights, keep.as_ref());
    if let Some(windows) = weights.windows {
        return windowed::forward(device, (shape, windows), x, weights, h, keep);
    }
    match device {
        Device::Cpu => {
            let keep = keep.map(ViewMut::host);
            cpu::forward(shape, x.host(), &Host::new(weights), h.host(), keep);
        }
        _ => launch::forward(device, shape, x, weights, h, keep),
    }
}

fn check_kept(device: &Device, shape: &Shape, weights: &Weights, kept: Option<&ViewMut>) {
    let wanted = shape.kept(device, weights.windows);
    let got = kept.map_or(wanted, ViewMut::len);
    assert_eq!(got, wanted, "{shape:?}: floats kept between the passes");
}

/// Writes dx and, `sparsity` included, the gradient of the masks; adds to the other gradients. `kept` is what [`forward`] kept of the same
/// x and weights; its content is used up.
pub fn backward(
    device: &Device,
    shape: &Shape,
    x: MapView,
    weights: Weights,
    dh: View,
    (dx, gradients): (MapViewMut, Gradients),
    kept: Option<ViewMut>,
) {
    shape.check(x.len(), &weights, dh.len());
    assert_eq!(x.len(), dx.len());
    let wanted = (weights.mask.len(), weights.features.len(), shape.neurons);
    let Gradients {
        sparsity,
        mask,
        features,
        bias,
    } = &gradients;
    assert_eq!((mask.len(), features.len(), bias.len()), wanted);
    assert_eq!(sparsity.len(), shape.neurons);
    check_kept(device, shape, &weights, kept.as_ref());
    if let Some(windows) = weights.windows {
        let to = (dx, gradients);
        return windowed::backward(device, (shape, windows), x, weights, dh, to, kept);
    }
    match device {
        Device::Cpu => {
            let (x, dh, dx) = (x.host(), dh.host(), dx.host());
            let kept = kept.map(ViewMut::host);
            cpu::backward(shape, x, &Host::new(weights), dh, dx, gradients, kept);
        }
        _ => launch::backward(device, shape, x, weights, dh, (dx, gradients), kept),
    }
}

/// Writes dx only.
pub fn backward_input(device: &Device, shape: &Shape, weights: Weights, dh: View, dx: MapViewMut) {
    shape.check(dx.len(), &weights, dh.len());
    if let Some(windows) = weights.windows {
        return windowed::backward_input(device, (shape, windows), weights, dh, dx);
    }
    match device {
        Device::Cpu => cpu::backward_input(shape, &Host::new(weights), dh.host(), dx.host()),
        _ => launch::backward_input(device, shape, weights, dh, dx),
    }
}
