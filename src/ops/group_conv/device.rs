//! Launches: the direct path (rotated filters, then the convolution), and the Fourier form where there are tables for it.

use super::eight::Eight;
use super::fourier::Fourier;
use super::{Layer, Shape};
use crate::device::kernels::filters as kernels;
use crate::device::{Array, Device, MapView, MapViewMut, View, ViewMut};
use crate::ops::basis::Basis;
use crate::ops::conv;
use crate::ops::norm::{self, Finish};

/// A layer's constants on a device.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The filter of basis function j at orientation q, (O, M, k, k).
    rotated: Array,
    /// None where the direct path is taken.
    fourier: Option<Fourier>,
    /// For the gradient of the input.
    adjoint: Option<Fourier>,
    /// What both leave to the kernels of 8 orientations.
    eight: Option<Eight>,
    eight_adjoint: Option<Eight>,
}

impl Tables {
    pub fn new(device: &Device, layer: &Layer) -> Self {
        let s = &layer.shape;
        Self {
            rotated: device.upload(
                &layer.basis.rotated(s.orientations),
                &[s.orientations, layer.basis.len(), s.kernel * s.kernel],
            ),
            fourier: Fourier::new(device, &layer.forward, &layer.basis, false),
            adjoint: layer
                .adjoint
                .as_ref()
                .and_then(|plan| Fourier::new(device, plan, &layer.basis, true)),
            eight: Eight::new(device, &layer.forward, &layer.basis, false),
            eight_adjoint: (layer.adjoint.as_ref())
                .and_then(|plan| Eight::new(device, plan, &layer.basis, true)),
        }
    }

    /// Takes the direct path from now on.
    pub fn forget_fourier(&mut self) {
        (self.fourier, self.adjoint) = (None, None);
        (self.eight, self.eight_adjoint) = (None, None);
    }
}

/// M, n_in, F_out, k k and by how many channels an orientation rolls the input's.
fn filter_sizes(s: &Shape) -> [usize; 5] {
    let roll = if s.oriented_input { s.in_features } else { 0 };
    [
        Basis::count(s.kernel),
        s.in_channels(),
        s.out_features,
        s.kernel * s.kernel,
        roll,
    ]
}

fn with_filters(device: &Device, tables: &Tables, s: &Shape, c: View, body: impl FnOnce(View)) {
    let [functions, channels, features, taps, roll] = filter_sizes(s);
    device.scratch(s.direct().lengths().1, |mut filters| {
        let grid = [
            taps.div_ceil(kernels::FILTERS_TAPS),
            (channels * features).div_ceil(kernels::FILTERS_COLUMNS),
            s.orientations,
        ];
        let table = tables.rotated.view();
        let w = filters.reborrow();
        kernels::filters_rotate(
            device, grid, table, c, w, functions, channels, features, taps, roll,
        );
        body(filters.read());
    });
}

pub fn forward(
    device: &Device,
    tables: &Tables,
    s: &Shape,
    x: MapView,
    c: View,
    finish: Option<&Finish>,
    mut y: MapViewMut,
) {
    if let Some(eight) = &tables.eight {
        return eight.run(device, s.batch, x, c, finish, y);
    }
    if let Some(fourier) = &tables.fourier {
        return fourier.run(device, s.batch, x, c, finish, y);
    }
    with_filters(device, tables, s, c, |w| {
        conv::forward(device, &s.direct(), x, w, y.reborrow());
    });
    if let Some(finish) = finish {
        let shape = s.finished(finish);
        norm::finish(device, &shape, finish, y);
    }
}

pub fn backward_input(
    device: &Device,
    tables: &Tables,
    s: &Shape,
    c: View,
    dy: MapView,
    mut dx: MapViewMut,
) {
    if let Some(adjoint) = &tables.eight_adjoint {
        return adjoint.run(device, s.batch, dy, c, None, dx);
    }
    if let Some(adjoint) = &tables.adjoint {
        return adjoint.run(device, s.batch, dy, c, None, dx);
    }
    with_filters(device, tables, s, c, |w| {
        conv::backward_input(device, &s.direct(), w, dy, dx.reborrow());
    });
}

pub fn backward_coefficients(
    device: &Device,
    tables: &Tables,
    s: &Shape,
    x: MapView,
    dy: MapView,
    mut dc: ViewMut,
) {
    let eight = tables.eight.as_ref();
    if let Some(gradient) = eight.and_then(|e| e.gradient.as_ref()) {
        return gradient.run(device, s, x, dy, dc);
    }
    if let Some((fourier, gradient)) =
        (tables.fourier.as_ref()).and_then(|f| Some((f, f.gradient.as_ref()?)))
    {
        return gradient.run(device, (&fourier.expansion, s.batch), x, dy, dc);
    }
    let [functions, channels, features, taps, roll] = filter_sizes(s);
    let weights = s.direct().lengths().1;
    device.scratch(weights, |mut dw| {
        let blocks = weights.div_ceil(kernels::FILTERS_THREADS);
        kernels::filters_clear(device, [blocks, 1, 1], dw.reborrow(), weights);
        conv::backward_weights(device, &s.direct(), x, dy, dw.reborrow());
        let warps = kernels::FILTERS_THREADS / 32;
        let grid = [
            (channels * features).div_ceil(warps),
            functions.div_ceil(kernels::FILTERS_FUNCTIONS),
            1,
        ];
        kernels::filters_rotate_adjoint(
            device,
            grid,
            tables.rotated.view(),
            dw.read(),
            dc.reborrow(),
            s.orientations,
            functions,
            channels,
            features,
            taps,
            roll,
        );
    });
}
