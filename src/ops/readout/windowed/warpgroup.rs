//! The passes on Hopper's warpgroups: launches of `kernels/readout_regions*.cu`.

use super::super::launch::{as_maps, filled, floats, numbers_of_x, turn};
use super::super::{Gradients, Shape, Weights};
use super::Windows;
use super::launch::{add_bias, sorted};
use super::regions::Regions;
use crate::device::kernels::{
    readout as whole, readout_regions as kernels, readout_regions_forward as of_forward,
    readout_regions_input as of_input, readout_regions_weights as of_weights,
    readout_regions_weights_tf32 as of_weights_tf32,
};
use crate::device::{Device, MapView, MapViewMut, Precision, View, ViewMut};
use kernels::{FILL_BLOCKS, NEURONS, PATCH_HEIGHT, PATCH_WIDTH, THREADS};

/// Images of x among which kernels count in 32 bits.
const IMAGES: usize = 64;
/// Ranges of channels that the weights' pass works on side by side, so that few multiprocessors have nothing to do.
const RANGES: usize = 3;

/// Kernels count within these arrays in 32 bits.
fn check(s: &Shape, windows: &Windows) {
    let of_images = IMAGES * s.channels * filled(s.pixels);
    assert!(of_images.max(windows.mask_len()) < 1 << 31, "{s:?}");
    assert!(s.channels <= of_input::MOST_UNITS * UNIT, "{s:?}");
}

/// Channels that rows to the maps count in.
const UNIT: usize = of_input::ROWS / of_input::UNITS;

/// Numbers of x and of |mask| that are stored for the products; of x none where it lies already as they want it.
fn numbers(device: &Device, s: &Shape, regions: &Regions) -> (usize, usize) {
    let of_masks = regions.chunks.shape()[0] * NEURONS * Regions::span(device);
    (numbers_of_x(s), of_masks)
}

/// Floats that [`forward`] leaves for [`backward`]: what both read.
pub fn kept(device: &Device, s: &Shape, regions: &Regions) -> usize {
    floats(device, numbers(device, s, regions))
}

/// Lends x and |mask| as products want them: stored in `memory`, or as they lie there already.
fn stored(
    device: &Device,
    s: &Shape,
    (windows, regions): (&Windows, &Regions),
    (x, mask): (MapView, View),
    memory: Option<ViewMut>,
    ready: bool,
    body: impl FnOnce(MapView, MapView),
) {
    check(s, windows);
    let numbers = numbers(device, s, regions);
    let store_and_lend = |memory: ViewMut| {
        let (mut maps, mut masks) = as_maps(device, memory).split_at(numbers.0);
        if !ready {
            if numbers.0 > 0 {
                let grid = [numbers.0.div_ceil(4 * whole::THREADS), 1, 1];
                let rows = s.batch * s.channels;
                whole::readout_store_maps(device, grid, x, maps.reborrow(), rows, s.pixels);
            }
            kernels::readout_regions_store_masks(
                device,
                [FILL_BLOCKS, regions.tiles.shape()[0] - 1, 1],
                mask,
                regions.slots.view(),
                regions.tiles.view(),
                regions.chunks.view(),
                masks.reborrow(),
                windows.map.1,
            );
        }
        let x = if numbers.0 > 0 { maps.read() } else { x };
        assert!(x.in_quads(), "{s:?}: memory off 16 bytes");
        body(x, masks.read());
    };
    match memory {
        Some(memory) => store_and_lend(memory),
        None => device.scratch(floats(device, numbers), store_and_lend),
    }
}

pub fn forward(
    device: &Device,
    s: &Shape,
    (windows, regions): (&Windows, &Regions),
    x: MapView,
    weights: Weights,
    h: ViewMut,
    keep: Option<ViewMut>,
) {
    let ranges = s.channels.div_ceil(of_forward::CHANNELS);
    let outputs = s.batch * s.neurons;
    let (own, from) = ((windows, regions), (x, weights.mask));
    stored(device, s, own, from, keep, false, |x, masks| {
        let (order, features) = (regions.order.view(), weights.features);
        let more = ranges * outputs;
        sorted(
            device,
            s,
            order,
            features,
            None,
            more,
            |features, _, mut parts| {
                let tiles = regions.tiles.shape()[0] - 1;
                of_forward::readout_regions_forward(
                    device,
                    [s.batch.div_ceil(of_forward::IMAGES), ranges, tiles],
                    x,
                    masks,
                    features,
                    regions.tiles.view(),
                    regions.chunks.view(),
                    regions.sight.view(),
                    parts.reborrow(),
                    s.batch,
                    s.channels,
                    s.pixels,
                    s.neurons,
                    s.channels.div_ceil(ranges),
                    s.positive_features.into(),
                );
                kernels::readout_regions_add_outputs(
                    device,
                    blocks(outputs),
                    parts.read(),
                    weights.bias,
                    order,
                    h,
                    ranges,
                    s.batch,
                    s.neurons,
                );
            },
        );
    });
}

/// Both ways back; `kept` is what [`forward`] left.
pub fn backward(
    device: &Device,
    s: &Shape,
    (windows, regions): (&Windows, &Regions),
    (x, dh): (MapView, View),
    weights: Weights,
    (dx, gradients): (MapViewMut, Gradients),
    kept: Option<ViewMut>,
) {
    let (ready, own) = (kept.is_some(), (windows, regions));
    let Gradients {
        sparsity,
        mask,
        features,
        bias,
    } = gradients;
    stored(
        device,
        s,
        own,
        (x, weights.mask),
        kept,
        ready,
        |x, masks| {
            let order = regions.order.view();
            sorted(
                device,
                s,
                order,
                weights.features,
                Some(dh),
                0,
                |own_features, dh, _| {
                    to_input(device, s, own, (weights.mask, own_features), dh, dx);
                    let from = (x, masks, weights.mask, own_features);
                    to_weights(device, s, own, from, dh, (sparsity, mask, features));
                },
            );
        },
    );
    add_bias(device, s, dh, bias);
}

pub fn backward_input(
    device: &Device,
    s: &Shape,
    (windows, regions): (&Windows, &Regions),
    weights: Weights,
    dh: View,
    dx: MapViewMut,
) {
    check(s, windows);
    let (order, features) = (regions.order.view(), weights.features);
    sorted(
        device,
        s,
        order,
        features,
        Some(dh),
        0,
        |features, dh, _| {
            let own = (windows, regions);
            to_input(device, s, own, (weights.mask, features), dh, dx);
        },
    );
}

/// Of features and dh in the order of slots.
fn to_input(
    device: &Device,
    s: &Shape,
    (windows, regions): (&Windows, &Regions),
    (mask, features): (View, View),
    dh: View,
    dx: MapViewMut,
) {
    let (row, spans) = (filled(s.neurons), regions.viewers.shape()[0]);
    let (of_features, of_dh) = (s.channels * row, s.batch * row);
    let of_masks = spans * Regions::span(device) * PATCH_HEIGHT * PATCH_WIDTH;
    let all = floats(device, (of_features + of_dh, of_masks));
    device.scratch(all, |scratch| {
        let (mut factors, mut masks) = as_maps(device, scratch).split_at(of_features + of_dh);
        kernels::readout_regions_store_patches(
            device,
            [spans, 1, 1],
            mask,
            regions.slots.view(),
            regions.viewers.view(),
            regions.corners.view(),
            masks.reborrow(),
        );
        let (own_features, own_dh) = factors.reborrow().split_at(of_features);
        let of = (s.neurons, s.channels);
        let positive = s.positive_features;
        turn(device, of, features, own_features, positive, false);
        let grid = [of_dh.div_ceil(4 * whole::THREADS), 1, 1];
        whole::readout_fill(device, grid, dh, own_dh, s.batch, s.neurons);
        let rows = s.batch * s.channels.next_multiple_of(UNIT);
        of_input::readout_regions_backward_input(
            device,
            [rows.div_ceil(of_input::ROWS), regions.patches.shape()[0], 1],
            masks.read(),
            factors.read(),
            regions.viewers.view(),
            regions.patches.view(),
            dx,
            s.batch,
            s.channels,
            windows.map.0,
            windows.map.1,
            s.neurons,
        );
    });
}

/// Of features and dh in the order of slots.
fn to_weights(
    device: &Device,
    s: &Shape,
    (windows, regions): (&Windows, &Regions),
    (x, masks, mask, features): (MapView, MapView, View, View),
    dh: View,
    (sparsity, dmask, dfeatures): (View, ViewMut, ViewMut),
) {
    let (pieces, inside) = (regions.pieces.shape()[0], mask.len());
    let each = s.channels.div_ceil(RANGES);
    let ranges = s.channels.div_ceil(each);
    let of_dh = floats(device, (0, s.neurons * filled(s.batch)));
    let (of_masks, of_features) = (ranges * inside, pieces * NEURONS * s.channels);
    device.scratch(of_dh + of_masks + of_features, |scratch| {
        let (own_dh, rest) = scratch.split_at(of_dh);
        let (mut masks_grown, mut parts) = rest.split_at(of_masks);
        let mut own_dh = as_maps(device, own_dh);
        let of = (s.batch, s.neurons);
        turn(device, of, dh, own_dh.reborrow(), false, true);
        let launch = match device.precision() {
            Precision::Tf32 => of_weights_tf32::readout_regions_backward_weights_tf32,
            _ => of_weights::readout_regions_backward_weights,
        };
        launch(
            device,
            [pieces, ranges, 1],
            x,
            masks,
            features,
            own_dh.read(),
            regions.slots.view(),
            regions.tiles.view(),
            regions.chunks.view(),
            regions.pieces.view(),
            masks_grown.reborrow(),
            parts.reborrow(),
            s.batch,
            s.channels,
            s.pixels,
            windows.map.1,
            s.neurons,
            inside,
            each,
            s.positive_features.into(),
        );
        kernels::readout_regions_add_masks(
            device,
            [s.neurons, 1, 1],
            masks_grown.read(),
            mask,
            sparsity,
            windows.tables.starts.view(),
            dmask,
            ranges,
            inside,
        );
        kernels::readout_regions_add_features(
            device,
            blocks(features.len()),
            parts.read(),
            features,
            regions.tiles.view(),
            regions.order.view(),
            dfeatures,
            s.neurons,
            s.channels,
            s.positive_features.into(),
        );
    });
}

fn blocks(threads: usize) -> [usize; 3] {
    [threads.div_ceil(THREADS), 1, 1]
}
