//! The forward pass as simpler kernels (`kernels/ladder.cu`), for those who learn: for benches and tests only.

use super::Shape;
use crate::device::kernels::ladder as kernels;
use crate::device::{Device, View, ViewMut};
use kernels::{SIDE, THREADS, WIDEST};

/// Writes y, one thread per number; the CPU takes its one path.
pub fn plain(device: &Device, shape: &Shape, x: View, w: View, y: ViewMut) {
    if matches!(device, Device::Cpu) {
        return super::forward(device, shape, x.into(), w, y.into());
    }
    shape.check(x.len(), w.len(), y.len());
    kernels::ladder_conv_plain(
        device,
        [y.len().div_ceil(THREADS), 1, 1],
        x,
        w,
        y,
        shape.batch,
        shape.in_channels,
        shape.out_channels,
        shape.height,
        shape.width,
        shape.kernel,
        shape.padding,
    );
}

/// Writes y through tiles in shared memory; the CPU takes its one path.
///
/// # Panics
/// For filters wider than 33: the tile and its surroundings would not fit.
pub fn tiled(device: &Device, shape: &Shape, x: View, w: View, y: ViewMut) {
    if matches!(device, Device::Cpu) {
        return super::forward(device, shape, x.into(), w, y.into());
    }
    shape.check(x.len(), w.len(), y.len());
    assert!(shape.kernel <= WIDEST, "{shape:?}");
    let tiles = shape.out_height().div_ceil(SIDE) * shape.out_width().div_ceil(SIDE);
    kernels::ladder_conv_tiled(
        device,
        [tiles, shape.out_channels, shape.batch],
        x,
        w,
        y,
        shape.in_channels,
        shape.out_channels,
        shape.height,
        shape.width,
        shape.kernel,
        shape.padding,
    );
}
