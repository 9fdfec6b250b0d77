//! A neuron's mask moved over what its features make of a canvas: the response at every place of the stimulus.
//!
//! Moving a stimulus moves the core's maps, so one canvas tells a neuron's response to the stimulus at every place:
//! `r[b, n, place] = sum_i m[n, i] (g[b, n, p_i - place] - blank[n])`. g (B, N, H, W) are the maps of canvas b weighed by
//! neuron n's features, at the displacements from the stimulus' centre that its window covers; outside of the window the
//! canvas is blank and the term 0. A mask is a list of pixels p_i with weights.

mod cpu;
pub mod reference;

use crate::device::kernels::scan as kernels;
use crate::device::{Array, Device, MapView, ViewMut};

/// The window of displacements that g covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Displacement of its first row.
    pub top: i64,
    /// Displacement of its first column.
    pub left: i64,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

/// The places of the stimulus' centre: a rectangle of the map, numbered down the columns, first column first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// First row; may lie outside of the map.
    pub row: i64,
    /// Number of rows.
    pub rows: usize,
    /// First column; may lie outside of the map.
    pub column: i64,
    /// Number of columns.
    pub columns: usize,
}

impl Places {
    /// How many.
    pub fn count(&self) -> usize {
        self.rows * self.columns
    }

    /// Row and column of place number `i`.
    pub fn at(&self, i: usize) -> (i64, i64) {
        let (row, column) = ((i % self.rows) as i64, (i / self.rows) as i64);
        (self.row + row, self.column + column)
    }
}

/// The masks of N neurons as lists of pixels.
#[derive(Debug)]
pub struct Masks {
    /// First pixel of each neuron, then the number of all (N + 1).
    pub starts: Array<u32>,
    /// `row << 16 | column`.
    pub pixels: Array<u32>,
    /// One per pixel.
    pub weights: Array,
    /// What the projections are where the canvas is blank (N).
    pub blank: Array,
}

impl Masks {
    /// Lays out lists of ((row, column), weight), one per neuron.
    pub fn new(device: &Device, lists: &[Vec<((usize, usize), f32)>], blank: &[f32]) -> Self {
        assert_eq!(lists.len(), blank.len());
        let (mut starts, mut pixels, mut weights) = (vec![0], Vec::new(), Vec::new());
        for list in lists {
            for &((row, column), weight) in list {
                assert!(row < 1 << 16 && column < 1 << 16, "({row}, {column})");
                pixels.push((row as u32) << 16 | column as u32);
                weights.push(weight);
            }
            starts.push(pixels.len() as u32);
        }
        Self {
            starts: device.upload(&starts, &[starts.len()]),
            pixels: device.upload(&pixels, &[pixels.len()]),
            weights: device.upload(&weights, &[weights.len()]),
            blank: device.upload(blank, &[blank.len()]),
        }
    }

    /// N.
    pub fn neurons(&self) -> usize {
        self.blank.len()
    }
}

/// Writes, for each of B canvases and N neurons, the largest response and the number of its place (B, N); of equal ones
/// the first.
pub fn best(
    device: &Device,
    (window, places): (&Window, &Places),
    masks: &Masks,
    g: MapView,
    values: ViewMut,
    at: ViewMut<u32>,
) {
    let (n, size) = (masks.neurons(), window.height * window.width);
    let batch = values.len() / n;
    assert_eq!(
        (values.len(), at.len(), g.len()),
        (batch * n, batch * n, batch * n * size),
        "{window:?}"
    );
    assert!(places.count() > 0, "{places:?}");
    match device {
        Device::Cpu => cpu::best(window, places, masks, g.host(), values.host(), at.host()),
        _ => device.scratch(batch * n * places.count(), |sums| {
            kernels::scan_best(
                device,
                [n, batch, 1],
                g,
                masks.blank.view(),
                masks.starts.view(),
                masks.pixels.view(),
                masks.weights.view(),
                sums,
                values,
                at,
                n,
                window.height,
                window.width,
                offset(window.top, places.row),
                places.rows,
                offset(window.left, places.column),
                places.columns,
            );
        }),
    }
}

/// As the kernel takes it.
fn offset(window: i64, place: i64) -> usize {
    let offset = window + place + kernels::ORIGIN as i64;
    usize::try_from(offset).unwrap_or_else(|_| panic!("places {offset} pixels before the map"))
}
