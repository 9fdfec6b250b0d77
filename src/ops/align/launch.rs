//! The kernels of `kernels/align.cu`.

use super::{Codes, LANES, Shape, Temperature};
use crate::device::kernels::align as kernels;
use crate::device::{Device, View, ViewMut};

/// As the kernels take it.
fn cap(temperature: Temperature) -> f32 {
    temperature.cap.unwrap_or(0.0) as f32
}

/// Lends taps and turns at a point, each block's sum of squared norms, and as many numbers again.
fn turned(
    device: &Device,
    codes: &Codes,
    shape: &Shape,
    temperature: Temperature,
    point: View,
    body: impl FnOnce(View, View, ViewMut, ViewMut),
) {
    let (blocks, fits, o) = (shape.blocks(), shape.fits, shape.orientations);
    let parts = (blocks * LANES).div_ceil(kernels::THREADS);
    let rows = fits * o * blocks * LANES;
    device.scratch(2 * rows + 2 * fits * parts, |scratch| {
        let (mut taps, rest) = scratch.split_at(rows);
        let (mut turns, rest) = rest.split_at(rows);
        let (mut norms, others) = rest.split_at(fits * parts);
        kernels::align_turns(
            device,
            [parts, fits, 1],
            codes.power.view(),
            codes.circle.view(),
            point,
            taps.reborrow(),
            turns.reborrow(),
            norms.reborrow(),
            blocks,
            fits,
            o,
            cap(temperature),
        );
        body(taps.read(), turns.read(), norms, others);
    });
}

pub fn forward(
    device: &Device,
    codes: &Codes,
    shape: &Shape,
    temperature: Temperature,
    point: View,
    mut means: ViewMut,
    losses: ViewMut,
) {
    let (features, o) = (shape.features, shape.orientations);
    turned(
        device,
        codes,
        shape,
        temperature,
        point,
        |_, turns, norms, _| {
            kernels::align_means(
                device,
                [o * features, shape.fits, 1],
                codes.spectra.view(),
                turns,
                means.reborrow(),
                shape.blocks(),
                shape.neurons,
                features,
                o,
            );
            kernels::align_losses(
                device,
                [shape.fits, 1, 1],
                codes.mean_power.view(),
                codes.circle.view(),
                point,
                means.read(),
                norms.read(),
                losses,
                shape.blocks(),
                shape.neurons,
                norms.len() / shape.fits,
                features,
                o,
                cap(temperature),
            );
        },
    );
}

#[expect(clippy::too_many_arguments)]
pub fn backward(
    device: &Device,
    codes: &Codes,
    shape: &Shape,
    temperature: Temperature,
    penalties: View,
    point: View,
    means: View,
    mut dpoint: ViewMut,
) {
    let o = shape.orientations;
    turned(
        device,
        codes,
        shape,
        temperature,
        point,
        |taps, turns, _, mut sums| {
            let parts = sums.len() / shape.fits;
            kernels::align_gradient(
                device,
                [parts, shape.fits, 1],
                codes.spectra.view(),
                codes.power.view(),
                codes.circle.view(),
                point,
                means,
                taps,
                turns,
                dpoint.reborrow(),
                sums.reborrow(),
                shape.blocks(),
                shape.neurons,
                shape.fits,
                shape.features,
                o,
                cap(temperature),
            );
            kernels::align_temperature(
                device,
                [shape.fits, 1, 1],
                codes.mean_power.view(),
                codes.circle.view(),
                penalties,
                point,
                sums.read(),
                dpoint.reborrow(),
                shape.blocks(),
                parts,
                o,
                cap(temperature),
            );
        },
    );
}
