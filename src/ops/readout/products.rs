//! Which kernels make the products, and the tiles of their blocks.

use super::launch::filled;
use super::{Shape, Weights};
use crate::device::kernels::{
    readout_plain as plain, readout_tensor as tensor, readout_warpgroup as warpgroup,
    readout_warpgroup_weights as warpgroup_weights,
};
use crate::device::{Device, MapView, MapViewMut, Precision, View, ViewMut};

/// What multiplies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Products {
    /// `kernels/readout_plain.cu`: float32 multiply-adds.
    Plain,
    /// `kernels/readout_tensor.cu`: tensor cores, asked by warps.
    Tensor,
    /// `kernels/readout_warpgroup.cu` and `kernels/readout_warpgroup_weights.cu`: tensor cores, asked by four warps at a time.
    Warpgroup,
}

type LaunchForward = fn(
    &Device,
    [usize; 3],
    MapView,
    MapView,
    View,
    View,
    ViewMut,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
);

/// The kernel of the forward pass: rows (b, c) by columns of neurons, at most so many whole images.
pub struct Forward {
    pub launch: LaunchForward,
    pub rows: usize,
    pub cols: usize,
    pub images: usize,
}

type LaunchInput =
    fn(&Device, [usize; 3], MapView, MapView, MapViewMut, usize, usize, usize, usize);

/// The kernel of the way to the maps: rows (b, c), channels filled up to a multiple of `unit`, by columns of pixels.
pub struct Input {
    pub launch: LaunchInput,
    pub rows: usize,
    pub cols: usize,
    unit: usize,
    most_units: usize,
}

impl Input {
    /// All rows that blocks count in.
    pub fn rows_of(&self, shape: &Shape) -> usize {
        let units = shape.channels.div_ceil(self.unit);
        assert!(units <= self.most_units, "{shape:?}");
        shape.batch * units * self.unit
    }
}

impl Products {
    pub fn of(device: &Device) -> Self {
        match device.precision() {
            Precision::F32 => Self::Plain,
            Precision::Bf16 if device.is_hopper() => Self::Warpgroup,
            _ => Self::Tensor,
        }
    }

    pub fn forward(self) -> Forward {
        match self {
            Self::Plain => Forward {
                launch: plain::readout_forward,
                rows: plain::TILE,
                cols: plain::TILE,
                images: plain::TILE,
            },
            Self::Tensor => Forward {
                launch: tensor::readout_tensor_forward,
                rows: tensor::ROWS,
                cols: tensor::COLS,
                images: tensor::IMAGES,
            },
            Self::Warpgroup => Forward {
                launch: warpgroup::readout_warpgroup_forward,
                rows: warpgroup::ROWS,
                cols: warpgroup::COLS,
                images: warpgroup::IMAGES,
            },
        }
    }

    pub fn input(self) -> Input {
        match self {
            Self::Plain => Input {
                launch: plain::readout_backward_input,
                rows: plain::TILE,
                cols: plain::TILE,
                unit: 1,
                most_units: usize::MAX,
            },
            Self::Tensor => Input {
                launch: tensor::readout_tensor_backward_input,
                rows: tensor::ROWS,
                cols: tensor::COLS,
                unit: tensor::ROWS / tensor::UNITS,
                most_units: tensor::MOST_UNITS,
            },
            Self::Warpgroup => Input {
                launch: warpgroup::readout_warpgroup_backward_input,
                rows: warpgroup::ROWS,
                cols: warpgroup::COLS,
                unit: warpgroup::ROWS / warpgroup::UNITS,
                most_units: warpgroup::MOST_UNITS,
            },
        }
    }

    /// Rows (neurons) and columns (pixels) of a block of [`Products::to_weights`].
    pub fn weights(self) -> (usize, usize) {
        match self {
            Self::Plain => (plain::NEURONS, plain::TILE),
            Self::Tensor => (tensor::NEURONS, tensor::COLS),
            Self::Warpgroup => (warpgroup_weights::NEURONS, warpgroup_weights::PIXELS),
        }
    }

    /// Launches the products of the gradients of mask and features, these in parts.
    pub fn to_weights(
        self,
        device: &Device,
        grid: [usize; 3],
        shape: &Shape,
        (x, mask, dh): (MapView, MapView, MapView),
        weights: &Weights,
        (dmask, parts): (ViewMut, ViewMut),
    ) {
        let launch = match self {
            Self::Plain => {
                return plain::readout_backward_weights(
                    device,
                    grid,
                    x,
                    mask,
                    weights.features,
                    dh,
                    dmask,
                    parts,
                    shape.batch,
                    shape.channels,
                    shape.pixels,
                    shape.neurons,
                    shape.positive_features.into(),
                );
            }
            Self::Tensor => tensor::readout_tensor_backward_weights,
            Self::Warpgroup => {
                // Of the images that are copied at once.
                let numbers = 64 * shape.channels * filled(shape.pixels);
                assert!(numbers < 1 << 31, "{shape:?}");
                warpgroup_weights::readout_warpgroup_backward_weights
            }
        };
        launch(
            device,
            grid,
            x,
            mask,
            weights.mask,
            weights.features,
            dh,
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
