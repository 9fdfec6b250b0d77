//! Picks rows: a batch of images or responses out of all that lie on the device.

use crate::device::kernels;
use crate::device::{Device, View, ViewMut};

/// `out[i, ..] = source[rows[i], ..]`, rows of `width` numbers.
pub fn rows(device: &Device, width: usize, source: View, rows: View<u32>, out: ViewMut) {
    let len = out.len();
    assert_eq!((len, source.len() % width), (rows.len() * width, 0));
    match device {
        Device::Cpu => copy(width, source.host(), rows.host(), out.host()),
        _ => {
            let grid = grid(rows.len(), width);
            kernels::gather::gather_rows(device, grid, source, rows, out, width);
        }
    }
}

/// As [`rows`], with the rows of step `step[0]` in a table (steps, rows of one step).
pub fn scheduled_rows(
    device: &Device,
    width: usize,
    source: View,
    rows: View<u32>,
    step: View<u32>,
    out: ViewMut,
) {
    let count = out.len() / width;
    assert_eq!((out.len(), source.len() % width), (count * width, 0));
    assert_eq!((rows.len() % count, step.len()), (0, 1));
    match device {
        Device::Cpu => {
            let at = step.host()[0] as usize * count;
            copy(
                width,
                source.host(),
                &rows.host()[at..][..count],
                out.host(),
            );
        }
        _ => {
            let grid = grid(count, width);
            kernels::gather::gather_scheduled_rows(device, grid, source, rows, step, out, width);
        }
    }
}

fn copy(width: usize, source: &[f32], rows: &[u32], out: &mut [f32]) {
    for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
        out.copy_from_slice(&source[row as usize * width..][..width]);
    }
}

fn grid(rows: usize, width: usize) -> [usize; 3] {
    [rows, width.div_ceil(kernels::gather::PIECE), 1]
}
