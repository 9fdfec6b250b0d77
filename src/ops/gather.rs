//! Picks rows: a batch of images or responses out of all that lie on the device.

use crate::device::{Device, View, ViewMut};
use crate::kernels::gather as kernels;

/// `out[i, ..] = source[rows[i], ..]`, rows of `width` numbers.
pub fn rows(device: &Device, width: usize, source: View, rows: View<u32>, out: ViewMut) {
    match device {
        Device::Cpu => {
            let (source, rows, out) = (source.host(), rows.host(), out.host());
            assert_eq!((out.len(), source.len() % width), (rows.len() * width, 0));
            for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
                out.copy_from_slice(&source[row as usize * width..][..width]);
            }
        }
        _ => {
            assert_eq!((out.len(), source.len() % width), (rows.len() * width, 0));
            let grid = [width.div_ceil(kernels::THREADS).min(64), rows.len(), 1];
            kernels::gather_rows(device, grid, source, rows, out, width);
        }
    }
}
