//! The cases again at the sizes of the standard model: for speed, too large for the definition.

use super::{
    Case, align, conv, dense, gaussian, group_conv, loss, norm, optimiser, penalty, pool, readout,
};
use crate::common::windows;
use striate::ops::activation::{Activation, Output};
use striate::ops::loss::Loss;
use striate::ops::penalty::Strength;

/// B, and N of the readout.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    pub batch: usize,
    pub neurons: usize,
}

const CHANNELS: usize = 128;
const PIXELS: usize = 36 * 64;

/// Layers 1 and 2, in the orientation-Fourier domain and directly, the readout, and what goes through memory once.
pub fn cases(Standard { batch, neurons }: Standard) -> Vec<Case> {
    let mut all = Vec::new();
    for (group, oriented_input, in_features, kernel) in [
        ("layer 1 (13, 1 to 16)", false, 1, 13),
        ("layer 2 (5, 16 to 16)", true, 16, 5),
    ] {
        let shape = striate::ops::group_conv::Shape {
            batch,
            orientations: 8,
            in_features,
            out_features: 16,
            oriented_input,
            height: 36,
            width: 64,
            kernel,
            padding: kernel / 2,
        };
        let strength = Strength {
            smoothness: 1.0,
            group_sparsity: 1.0,
        };
        all.extend([
            group_conv::case(shape, false).named(group, ", orientation-Fourier"),
            conv::case(shape.direct()).named(group, ", direct"),
            penalty::steerable(shape, strength).named(group, ", penalties"),
        ]);
    }
    let shape = striate::ops::readout::Shape {
        batch,
        channels: CHANNELS,
        pixels: PIXELS,
        neurons,
        positive_features: false,
    };
    all.push(readout::case(shape).named("readout", ""));
    let corner = |n: usize| (n % 6 * 4, n / 6 % 6 * 8, 16, 16);
    let corners: Vec<_> = (0..neurons).map(corner).collect();
    let in_windows = readout::windowed_case(shape, (36, 64), windows(&corners));
    all.push(in_windows.named("readout", ", windows of 16"));
    let at_places = gaussian::case(
        striate::ops::gaussian::Shape {
            batch,
            channels: CHANNELS,
            height: 36,
            width: 64,
            neurons,
            isotropic: false,
        },
        true,
    );
    all.push(at_places.named("readout", ", at sampled places"));
    let penalty = penalty::readout((neurons, PIXELS, CHANNELS));
    all.push(penalty.named("readout", ", penalty"));

    let shape = striate::ops::norm::Shape {
        batch,
        channels: CHANNELS,
        groups: CHANNELS,
        pixels: PIXELS,
    };
    let with = norm::With {
        shape,
        activation: Activation::Softplus,
        with_gain: true,
    };
    let sizes = (neurons, 16, 8, 20);
    all.push(align::case(sizes, None, 1.0).named("alignment", ", 20 fits"));
    let group = "normalisation";
    all.extend([
        norm::statistics(shape, 0.5).named(group, ""),
        with.forward().named(group, ", softplus"),
        with.backward()
            .named(group, ", softplus, batch's statistics"),
    ]);
    let shape = striate::ops::loss::Shape {
        batch,
        neurons,
        output: Output::Softplus,
    };
    let poisson = loss::losses(Loss::Poisson, shape, 4.0, true);
    all.push(poisson.named("Poisson loss", ""));
    // Kindel et al. 2017: behind the first convolution, and the dense layer.
    let shape = striate::ops::pool::Shape {
        batch,
        channels: 16,
        height: 36,
        width: 64,
        size: 3,
        stride: 2,
    };
    all.push(pool::case(shape).named("max pooling", ""));
    let shape = striate::ops::dense::Shape {
        batch,
        inputs: 32 * 8 * 15,
        units: 300,
    };
    all.push(dense::case(shape, false).named("dense layer", ""));
    let parameters = neurons * (PIXELS + CHANNELS);
    all.push(optimiser::adam(parameters, 0).named("Adam", ""));
    all
}
