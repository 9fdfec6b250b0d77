//! Whether a neuron's mask is one place: what correlations do not show.
//!
//! | column | definition |
//! |---|---|
//! | `mask_blobs` | parts, connected by edges of pixels, in which the mask is above a tenth of its peak |
//! | `mask_mass_in_radius` | share of the absolute mass within 8 pixels of the peak |
//! | `mask_at_border` | whether the peak is one of the map's outermost pixels |
//!
//! Pixels are those of the last map. A mask of zeros has no blob, and an empty share.

use crate::model::Model;
use crate::statistics::mean_of_known;
use crate::table::{Column, Table};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;

/// Of the peak: what belongs to a blob is above it.
const THRESHOLD: f32 = 0.1;
/// Pixels around the peak.
const RADIUS: f64 = 8.0;

/// How a mask looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Connected parts above a tenth of the peak.
    pub blobs: usize,
    /// Share of the absolute mass within 8 pixels of the peak; NaN where all is zero.
    pub mass_in_radius: f64,
    /// Whether the peak is one of the outermost pixels.
    pub at_border: bool,
}

impl Health {
    /// Of a mask (height, width); its sign does not matter.
    pub fn of(mask: ArrayView2<'_, f32>) -> Self {
        let (height, width) = mask.dim();
        let cells = mask.indexed_iter();
        // The first of equal peaks.
        let peak = cells.fold(((0, 0), 0.0f32), |best, (at, m)| match m.abs() > best.1 {
            true => (at, m.abs()),
            false => best,
        });
        let ((row, column), peak) = peak;
        if peak == 0.0 {
            return Self {
                blobs: 0,
                mass_in_radius: f64::NAN,
                at_border: false,
            };
        }
        let (mut near, mut all) = (0.0, 0.0);
        for ((y, x), m) in mask.indexed_iter() {
            let distance = (y as f64 - row as f64).hypot(x as f64 - column as f64);
            let m = f64::from(m.abs());
            all += m;
            near += if distance <= RADIUS { m } else { 0.0 };
        }
        Self {
            blobs: blobs(mask, THRESHOLD * peak),
            mass_in_radius: near / all,
            at_border: row == 0 || column == 0 || row + 1 == height || column + 1 == width,
        }
    }
}

/// Parts above a threshold, connected by edges.
fn blobs(mask: ArrayView2<'_, f32>, threshold: f32) -> usize {
    let (height, width) = mask.dim();
    let mut open: Vec<bool> = mask.iter().map(|m| m.abs() > threshold).collect();
    let mut count = 0;
    for start in 0..open.len() {
        if !std::mem::take(&mut open[start]) {
            continue;
        }
        count += 1;
        let mut edge = vec![start];
        while let Some(at) = edge.pop() {
            let (y, x) = (at / width, at % width);
            let around = [
                (y > 0).then(|| at - width),
                (y + 1 < height).then_some(at + width),
                (x > 0).then(|| at - 1),
                (x + 1 < width).then_some(at + 1),
            ];
            let fresh = around.into_iter().flatten();
            edge.extend(fresh.filter(|&next| std::mem::take(&mut open[next])));
        }
    }
    count
}

/// Of every neuron of readout `index`, which has masks or places.
pub fn health(model: &Model, index: usize) -> Vec<Health> {
    let readout = &model.readouts[index];
    let (height, width) = readout.map;
    let neurons: Vec<usize> = (0..readout.neurons).collect();
    let one = |&neuron: &usize| {
        let mask = model.mask(index, neuron);
        let mask = ArrayView2::from_shape((height, width), &mask);
        Health::of(mask.expect("a mask has the map's size"))
    };
    neurons.par_iter().map(one).collect()
}

/// The columns of `evaluation.csv`, a row per neuron.
pub fn columns(of: &[Health]) -> Table {
    let blobs = of.iter().map(|h| h.blobs as i64).collect();
    let mass = of.iter().map(|h| h.mass_in_radius).collect();
    let border = of.iter().map(|h| h.at_border).collect();
    Table::new()
        .with("mask_blobs", Column::Integer(blobs))
        .with("mask_mass_in_radius", Column::Number(mass))
        .with("mask_at_border", Column::Boolean(border))
}

/// What the masks of a population are like; prints as text, serialises as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Neurons whose mask has more than one blob.
    pub several_blobs: usize,
    /// Mean share of mass within 8 pixels of the peak; NaN (null) without masks.
    pub mass_in_radius: f64,
    /// Neurons whose peak is at the border.
    pub at_border: usize,
    /// Neurons with a mask of zeros.
    pub zero: usize,
    #[serde(skip)]
    neurons: usize,
}

impl Summary {
    /// Of the columns of `evaluation.csv`, or [`columns`].
    pub fn of(table: &Table) -> Self {
        let column = |name: &str| table.numbers(name).unwrap_or_default();
        let blobs = column("mask_blobs");
        let count = |f: &dyn Fn(f64) -> bool| blobs.iter().filter(|b| f(**b)).count();
        let border = match table.column("mask_at_border") {
            Some(Column::Boolean(border)) => border.iter().filter(|b| **b).count(),
            _ => 0,
        };
        Self {
            several_blobs: count(&|b| b > 1.0),
            mass_in_radius: mean_of_known(&column("mask_mass_in_radius")),
            at_border: border,
            zero: count(&|b| b == 0.0),
            neurons: blobs.len(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: usize| 100.0 * count as f64 / self.neurons.max(1) as f64;
        write!(
            f,
            "masks: {:.1} % have more than one blob, {:.1} % their peak at the border, {} are zero; within {RADIUS} pixels of the peak lies {:.3} of their mass",
            share(self.several_blobs),
            share(self.at_border),
            self.zero,
            self.mass_in_radius
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn with(pixels: &[(usize, usize, f32)]) -> Array2<f32> {
        let mut mask = Array2::zeros((24, 30));
        pixels.iter().for_each(|&(y, x, m)| mask[(y, x)] = m);
        mask
    }

    #[test]
    fn parts_that_touch_by_edges_are_one_and_by_corners_two() {
        let one = with(&[(5, 5, 1.0), (5, 6, -0.5), (6, 6, 0.2)]);
        assert_eq!(Health::of(one.view()).blobs, 1);
        let two = with(&[(5, 5, 1.0), (6, 6, 0.5)]);
        assert_eq!(Health::of(two.view()).blobs, 2);
        let faint = with(&[(5, 5, 1.0), (20, 20, 0.1)]);
        assert_eq!(Health::of(faint.view()).blobs, 1);
    }

    #[test]
    fn mass_is_counted_to_eight_pixels_from_the_peak() {
        let mask = with(&[(10, 10, 2.0), (10, 18, 1.0), (16, 16, -1.0), (2, 1, 0.5)]);
        let health = Health::of(mask.view());
        // (16, 16) is 8.49 pixels away, (10, 18) 8.
        assert!((health.mass_in_radius - 3.0 / 4.5).abs() < 1e-12);
        assert!(!health.at_border);
    }

    #[test]
    fn a_peak_on_the_outermost_pixels_is_at_the_border() {
        for at in [(0, 7), (23, 7), (7, 0), (7, 29)] {
            assert!(Health::of(with(&[(at.0, at.1, -1.0)]).view()).at_border);
        }
        assert!(!Health::of(with(&[(1, 1, 1.0), (0, 1, 0.9)]).view()).at_border);
    }

    #[test]
    fn a_mask_of_zeros_has_no_blob_and_no_share() {
        let health = Health::of(with(&[]).view());
        assert!(health.blobs == 0 && health.mass_in_radius.is_nan() && !health.at_border);
    }
}
