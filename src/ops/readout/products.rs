//! Which kernels make the products, and the tiles of their blocks: `kernels/readout_tensor.cu` (warps: tensor cores or, in float32,
//! multiply-adds) or, on Hopper, `kernels/readout_warpgroup_*.cu`.

use super::launch::filled;
use super::{Shape, Weights};
use crate::device::kernels::{
    readout_tensor as tensor, readout_warpgroup_forward as group_forward,
    readout_warpgroup_input as group_input, readout_warpgroup_weights as group_weights,
    readout_warpgroup_weights_tf32 as group_weights_tf32,
};
use crate::device::{Device, MapView, MapViewMut, Precision, TensorMap, View, ViewMut};

/// The kernel of the forward pass: rows (b, c) by columns of neurons, at most so many whole images.
pub struct Forward {
    by_warpgroup: bool,
    rows: usize,
    cols: usize,
    images: usize,
    /// Blocks of neighbouring columns that share their rows.
    cluster: usize,
}

impl Forward {
    pub fn of(device: &Device) -> Self {
        match (device.precision(), device.is_hopper()) {
            (Precision::Tf32 | Precision::Bf16, true) => Self {
                by_warpgroup: true,
                rows: group_forward::ROWS,
                cols: group_forward::COLS,
                images: group_forward::IMAGES,
                cluster: group_forward::CLUSTER,
            },
            _ => Self {
                by_warpgroup: false,
                rows: tensor::ROWS,
                cols: tensor::COLS,
                images: tensor::IMAGES,
                cluster: 1,
            },
        }
    }

    pub fn launch(
        &self,
        device: &Device,
        shape: &Shape,
        (x, mask): (MapView, MapView),
        weights: &Weights,
        h: ViewMut,
    ) {
        let images = (self.rows / shape.channels).clamp(1, self.images);
        let columns = shape.neurons.div_ceil(self.cols);
        let grid = [
            columns.next_multiple_of(self.cluster),
            shape.batch.div_ceil(images),
            1,
        ];
        let (features, bias) = (weights.features, weights.bias);
        let (batch, channels) = (shape.batch, shape.channels);
        let (pixels, neurons) = (shape.pixels, shape.neurons);
        let positive = shape.positive_features.into();
        if self.by_warpgroup {
            group_forward::readout_warpgroup_forward(
                device,
                grid,
                rows_of(x, batch * channels, shape, group_forward::OWN_ROWS),
                rows_of(mask, neurons, shape, group_forward::COLS),
                features,
                bias,
                h,
                batch,
                channels,
                pixels,
                neurons,
                images,
                positive,
            );
        } else {
            tensor::readout_tensor_forward(
                device, grid, x, mask, features, bias, h, batch, channels, pixels, neurons, images,
                positive,
            );
        }
    }
}

/// Stored rows of pixels, in boxes of so many.
fn rows_of<'a>(matrix: MapView<'a>, rows: usize, shape: &Shape, box_rows: usize) -> TensorMap<'a> {
    TensorMap {
        matrix: matrix.slice(0..rows * filled(shape.pixels)),
        rows,
        box_rows,
    }
}

type LaunchInput =
    fn(&Device, [usize; 3], MapView, MapView, MapViewMut, usize, usize, usize, usize);

/// The kernel of the way to the maps: rows (b, c), channels filled up to a multiple of `unit`, by columns of pixels.
pub struct Input {
    pub launch: LaunchInput,
    pub rows: usize,
    pub cols: usize,
    /// Whether it reads |mask| as (P, N).
    pub mask_turned: bool,
    unit: usize,
    most_units: usize,
}

impl Input {
    pub fn of(device: &Device) -> Self {
        match (device.precision(), device.is_hopper()) {
            (precision @ (Precision::Tf32 | Precision::Bf16), true) => Self {
                launch: group_input::readout_warpgroup_backward_input,
                rows: group_input::ROWS,
                cols: group_input::COLS,
                mask_turned: precision == Precision::Tf32,
                unit: group_input::ROWS / group_input::UNITS,
                most_units: group_input::MOST_UNITS,
            },
            _ => Self {
                launch: tensor::readout_tensor_backward_input,
                rows: tensor::ROWS,
                cols: tensor::COLS,
                mask_turned: false,
                unit: tensor::ROWS / tensor::UNITS,
                most_units: tensor::MOST_UNITS,
            },
        }
    }

    /// Most channels that it counts with.
    pub fn most_channels(&self) -> usize {
        self.most_units.saturating_mul(self.unit)
    }

    /// All rows that blocks count in.
    pub fn rows_of(&self, shape: &Shape) -> usize {
        assert!(shape.channels <= self.most_channels(), "{shape:?}");
        shape.batch * shape.channels.next_multiple_of(self.unit)
    }
}

type LaunchWeights = fn(
    &Device,
    [usize; 3],
    MapView,
    MapView,
    View,
    View,
    MapView,
    View,
    ViewMut,
    ViewMut,
    usize,
    usize,
    usize,
    usize,
    usize,
);

/// The kernel of the gradients of mask and features, these in parts: rows of neurons by columns of pixels.
pub struct ToWeights {
    launch: LaunchWeights,
    pub rows: usize,
    pub cols: usize,
    /// Images of x among which it counts in 32 bits.
    images: usize,
}

impl ToWeights {
    pub fn of(device: &Device) -> Self {
        match (device.precision(), device.is_hopper()) {
            (Precision::Tf32, true) => Self {
                launch: group_weights_tf32::readout_warpgroup_backward_weights_tf32,
                rows: group_weights_tf32::NEURONS,
                cols: group_weights_tf32::PIXELS,
                images: 1,
            },
            (Precision::Bf16, true) => Self {
                launch: group_weights::readout_warpgroup_backward_weights,
                rows: group_weights::NEURONS,
                cols: group_weights::PIXELS,
                images: 64,
            },
            _ => Self {
                launch: tensor::readout_tensor_backward_weights,
                rows: tensor::NEURONS,
                cols: tensor::COLS,
                images: 0,
            },
        }
    }

    pub fn launch(
        &self,
        device: &Device,
        grid: [usize; 3],
        shape: &Shape,
        (x, mask, dh): (MapView, MapView, MapView),
        weights: &Weights,
        (sparsity, dmask, parts): (View, ViewMut, ViewMut),
    ) {
        let numbers = self.images * shape.channels * filled(shape.pixels);
        assert!(numbers < 1 << 31, "{shape:?}");
        (self.launch)(
            device,
            grid,
            x,
            mask,
            weights.mask,
            weights.features,
            dh,
            sparsity,
            dmask,
            parts,
            shape.batch,
            shape.channels,
            shape.pixels,
            shape.neurons,
            shape.positive_features.into(),
        );
    }
}
