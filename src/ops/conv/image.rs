//! Images of one channel or a few, as a first layer sees them: launches of `kernels/conv_image_*.cu`.

use super::Shape;
use super::launch::{check, sum_parts};
use crate::device::kernels::{
    conv_image_forward as of_forward, conv_image_input as of_input,
    conv_image_weights as of_weights,
};
use crate::device::{Device, MULTIPROCESSORS, MapView, MapViewMut, Precision, View, ViewMut};
use std::cmp::Reverse;

/// Of images; for more, `conv.cu` makes better use of its tiles.
const MOST_CHANNELS: usize = 8;
/// Widest filter that the kernels have room for.
const WIDEST: usize = 25;
/// Units of a step of any of the products.
const DEPTH: usize = 8;
/// Pixels of a run.
const RUN: usize = 8;

/// Numbers of a unit.
fn wide(device: &Device) -> usize {
    match device.precision() {
        Precision::Bf16 => 2,
        _ => 1,
    }
}

/// Whether the way back to them has a kernel of its own.
pub fn is_image(shape: &Shape) -> bool {
    shape.in_channels <= MOST_CHANNELS && shape.kernel <= WIDEST
}

/// Whether tensor cores multiply where they lie.
pub fn has_products(device: &Device, shape: &Shape) -> bool {
    is_image(shape) && device.precision() != Precision::F32
}

/// Writes y.
pub fn forward(device: &Device, s: &Shape, x: MapView, w: View, mut y: MapViewMut) {
    check(s);
    let units = s.kernel * s.kernel.div_ceil(wide(device));
    let tiles = s.out_channels.div_ceil(of_forward::CHANNELS);
    let words = s.in_channels * units.next_multiple_of(DEPTH) * tiles * of_forward::CHANNELS;
    device.scratch(words, |mut filters| {
        of_forward::conv_image_filters(
            device,
            [words.div_ceil(of_forward::THREADS), 1, 1],
            w,
            filters.reborrow(),
            s.in_channels,
            s.out_channels,
            s.kernel,
            words,
        );
        // Runs side by side, and how many rows of them and strips there are.
        let runs = s.out_width().div_ceil(RUN);
        let across = runs.min(RUN);
        let groups = s.out_height().div_ceil(of_forward::TILES / across);
        of_forward::conv_image_forward(
            device,
            [groups * runs.div_ceil(across), tiles, s.batch],
            x,
            filters.read(),
            y.reborrow(),
            s.in_channels,
            s.out_channels,
            s.height,
            s.width,
            s.kernel,
            s.padding,
            across,
        );
    });
}

/// Rows of an image that a block has at once for the gradient of the weights; none where pixels do not lie as the kernel wants them.
pub fn band(device: &Device, s: &Shape, dy: MapView) -> Option<usize> {
    if !has_products(device, s) || !dy.in_quads() {
        return None;
    }
    let (wide, width, height) = (wide(device), s.out_width(), s.out_height());
    // What is copied at once must not end between two images or bands, units not between two rows.
    let chunk = 4 * wide;
    if !(width * height).is_multiple_of(chunk) || !width.is_multiple_of(wide) {
        return None;
    }
    let columns = width + s.kernel - 1;
    let words = match wide {
        2 => 2 * (columns / 2 + 1),
        _ => columns,
    };
    let room = (of_weights::MOST_WORDS / words).checked_sub(s.kernel - 1)?;
    let fits = |rows: usize| rows == height || (rows * width).is_multiple_of(chunk);
    (1..=height.min(room))
        .filter(|&rows| fits(rows))
        .min_by_key(|&rows| {
            // A row of the image takes some eighth of the time of a row of products.
            let turns = turns(s.batch * height.div_ceil(rows), slices_wanted(s));
            (turns * (8 * rows + s.kernel - 1), Reverse(rows))
        })
}

/// How often a place for blocks, of so many, is taken.
fn turns(blocks: usize, places: usize) -> usize {
    blocks.div_ceil(places)
}

/// Blocks of the gradient of the weights by columns of taps and tiles of channels.
fn tiles_of_weights(s: &Shape) -> (usize, usize) {
    let columns = (s.kernel * s.kernel).div_ceil(of_weights::TAPS) * s.in_channels;
    (columns, s.out_channels.div_ceil(of_weights::CHANNELS))
}

/// Slices of all bands that fill all multiprocessors.
fn slices_wanted(s: &Shape) -> usize {
    let (columns, tiles) = tiles_of_weights(s);
    MULTIPROCESSORS.div_ceil(columns * tiles)
}

/// Adds to dw; `rows` is what [`band`] gave.
pub fn backward_weights(
    device: &Device,
    s: &Shape,
    rows: usize,
    (x, dy): (MapView, MapView),
    dw: ViewMut,
) {
    check(s);
    let taps = s.kernel * s.kernel;
    let (columns, tiles) = tiles_of_weights(s);
    let pieces = s.batch * s.out_height().div_ceil(rows);
    let each = pieces.div_ceil(slices_wanted(s));
    let slices = pieces.div_ceil(each);
    // Warps that neither rows nor columns are left for share out pixels.
    let by_rows = if 2 * s.out_channels <= of_weights::CHANNELS {
        1
    } else {
        2
    };
    let by_columns = if 2 * taps <= of_weights::TAPS { 1 } else { 2 };
    let parts = slices * (of_weights::THREADS / 32) / (by_rows * by_columns);
    device.scratch(parts * dw.len(), |mut sums| {
        of_weights::conv_image_backward_weights(
            device,
            [columns, tiles, slices],
            x,
            dy,
            sums.reborrow(),
            s.batch,
            s.in_channels,
            s.out_channels,
            s.height,
            s.width,
            s.kernel,
            s.padding,
            rows,
            each,
        );
        sum_parts(device, sums.read(), dw, parts);
    });
}

/// Columns and rows of dx that a block owns; it sees k - 1 more rows of dy.
fn own(s: &Shape) -> (usize, usize) {
    let strip = match s.out_width() <= of_input::COLS {
        true => s.width,
        false => of_input::COLS + 1 - s.kernel,
    };
    let others = s.batch * s.in_channels * s.width.div_ceil(strip);
    let most = s.height.min(of_input::MOST_OWN / strip);
    let rows = (1..=most).min_by_key(|&rows| {
        let turns = turns(others * s.height.div_ceil(rows), 2 * MULTIPROCESSORS);
        (turns * (rows + s.kernel - 1), Reverse(rows))
    });
    (strip, rows.unwrap_or(most))
}

/// Writes dx.
pub fn backward_input(device: &Device, s: &Shape, w: View, dy: MapView, mut dx: MapViewMut) {
    check(s);
    let at_once = of_input::ROWS / s.kernel * s.kernel;
    let steps = s.out_channels.div_ceil(DEPTH * wide(device));
    let of_taps = (s.kernel * s.kernel).div_ceil(at_once) * of_input::ROWS;
    let words = s.in_channels * of_taps * steps * DEPTH;
    device.scratch(words, |mut taps| {
        of_input::conv_image_taps(
            device,
            [words.div_ceil(of_input::THREADS), 1, 1],
            w,
            taps.reborrow(),
            s.in_channels,
            s.out_channels,
            s.kernel,
            words,
        );
        let (strip, rows) = own(s);
        let parts = s.width.div_ceil(strip) * s.height.div_ceil(rows);
        of_input::conv_image_backward_input(
            device,
            [parts, s.in_channels, s.batch],
            dy,
            taps.read(),
            dx.reborrow(),
            s.out_channels,
            s.height,
            s.width,
            s.kernel,
            s.padding,
            rows,
            strip,
        );
    });
}
