//! The passes as launches of `kernels/readout_windows.cu`.

use super::super::{Gradients, Shape, Weights};
use super::Windows;
use crate::device::kernels::readout as whole;
use crate::device::kernels::readout_windows as kernels;
use crate::device::{Device, MapView, MapViewMut, View, ViewMut};
use crate::ops::gather;
use kernels::{NEURONS, PATCH_HEIGHT, PATCH_WIDTH, THREADS, TILE};

/// Kernels count within these arrays in 32 bits.
fn check(s: &Shape) {
    let largest = s.neurons * s.channels.max(s.batch);
    assert!(
        largest < 1 << 31 && s.channels * s.pixels < 1 << 31,
        "{s:?}"
    );
}

/// Lends the features, and dh where there is some, in an order of neurons, and `more` floats.
pub fn sorted(
    device: &Device,
    s: &Shape,
    order: View<u32>,
    features: View,
    dh: Option<View>,
    more: usize,
    body: impl FnOnce(View, View, ViewMut),
) {
    check(s);
    let (of_features, of_dh) = (features.len(), dh.map_or(0, |dh| dh.len()));
    device.scratch(of_features + of_dh + more, |scratch| {
        let (mut own_features, rest) = scratch.split_at(of_features);
        let (mut own_dh, rest) = rest.split_at(of_dh);
        gather::rows(device, s.channels, features, order, own_features.reborrow());
        if let Some(dh) = dh {
            let grid = [dh.len().div_ceil(THREADS), 1, 1];
            let to = own_dh.reborrow();
            kernels::readout_windows_sort(device, grid, dh, order, to, s.batch, s.neurons);
        }
        body(own_features.read(), own_dh.read(), rest);
    });
}

pub fn forward(
    device: &Device,
    s: &Shape,
    windows: &Windows,
    x: MapView,
    weights: Weights,
    h: ViewMut,
) {
    let (images, tables) = ((TILE / s.channels).max(1), &windows.tables);
    let (order, features) = (tables.order.view(), weights.features);
    sorted(device, s, order, features, None, 0, |features, _, _| {
        kernels::readout_windows_forward(
            device,
            [tables.of_neurons.shape()[0], s.batch.div_ceil(images), 1],
            x,
            weights.mask,
            features,
            weights.bias,
            tables.groups.view(),
            tables.of_neurons.view(),
            tables.order.view(),
            h,
            s.batch,
            s.channels,
            windows.map.0,
            windows.map.1,
            s.neurons,
            images,
            s.positive_features.into(),
        );
    });
}

pub fn backward_input(
    device: &Device,
    s: &Shape,
    windows: &Windows,
    weights: Weights,
    dh: View,
    dx: MapViewMut,
) {
    let (order, features) = (windows.tables.order.view(), weights.features);
    sorted(
        device,
        s,
        order,
        features,
        Some(dh),
        0,
        |features, dh, _| {
            to_input(device, s, windows, (weights.mask, features), dh, dx);
        },
    );
}

fn to_input(
    device: &Device,
    s: &Shape,
    windows: &Windows,
    (mask, features): (View, View),
    dh: View,
    dx: MapViewMut,
) {
    let (height, width) = windows.map;
    let patches = height.div_ceil(PATCH_HEIGHT) * width.div_ceil(PATCH_WIDTH);
    kernels::readout_windows_backward_input(
        device,
        [patches, (s.batch * s.channels).div_ceil(TILE), 1],
        mask,
        features,
        dh,
        windows.tables.groups.view(),
        dx,
        windows.groups().len(),
        s.batch,
        s.channels,
        height,
        width,
        s.neurons,
        s.positive_features.into(),
    );
}

pub fn backward(
    device: &Device,
    s: &Shape,
    windows: &Windows,
    x: MapView,
    weights: Weights,
    dh: View,
    (dx, gradients): (MapViewMut, Gradients),
) {
    let tables = &windows.tables;
    let largest = windows.groups().iter().map(|g| g.window.pixels()).max();
    let parts = largest.unwrap_or(0).div_ceil(TILE) * weights.features.len();
    let blocks = |threads: usize| [threads.div_ceil(THREADS), 1, 1];
    let positive = usize::from(s.positive_features);
    let (order, features) = (windows.tables.order.view(), weights.features);
    sorted(
        device,
        s,
        order,
        features,
        Some(dh),
        parts,
        |features, sorted, mut parts| {
            to_input(device, s, windows, (weights.mask, features), sorted, dx);
            kernels::readout_windows_backward_weights(
                device,
                [tables.of_pixels.shape()[0], 1, 1],
                x,
                weights.mask,
                features,
                sorted,
                gradients.sparsity,
                tables.groups.view(),
                tables.of_pixels.view(),
                gradients.mask,
                parts.reborrow(),
                s.batch,
                s.channels,
                windows.map.0,
                windows.map.1,
                s.neurons,
                positive,
            );
            kernels::readout_windows_backward_features(
                device,
                blocks(features.len()),
                parts.read(),
                features,
                tables.starts.view(),
                tables.order.view(),
                gradients.features,
                s.neurons,
                s.channels,
                positive,
            );
        },
    );
    add_bias(device, s, dh, gradients.bias);
}

pub fn add_bias(device: &Device, s: &Shape, dh: View, dbias: ViewMut) {
    let grid = [s.neurons.div_ceil(whole::THREADS), 1, 1];
    whole::readout_backward_bias(device, grid, dh, dbias, s.batch, s.neurons);
}

/// A row of the table of groups.
pub fn of_group(group: &super::Group) -> [u32; kernels::GROUP_WORDS] {
    let w = &group.window;
    let words = [
        w.top,
        w.left,
        w.height,
        w.width,
        group.first,
        group.neurons,
        group.start,
        0,
    ];
    words.map(|v| v as u32)
}

/// A row of a table of tiles: group, first neuron of it, first pixel of its window.
pub type TileRow = [u32; kernels::TILE_WORDS];

/// Blocks of neurons, each with all pixels; and blocks of neurons and pixels. Those with most work come first.
pub fn tiles(groups: &[super::Group]) -> (Vec<TileRow>, Vec<TileRow>) {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&g| std::cmp::Reverse(groups[g].window.pixels()));
    let (mut of_neurons, mut of_pixels) = (Vec::new(), Vec::new());
    for g in order {
        for neuron in (0..groups[g].neurons).step_by(NEURONS) {
            of_neurons.push([g as u32, neuron as u32, 0, 0]);
            for pixel in (0..groups[g].window.pixels()).step_by(TILE) {
                of_pixels.push([g as u32, neuron as u32, pixel as u32, 0]);
            }
        }
    }
    (of_neurons, of_pixels)
}
