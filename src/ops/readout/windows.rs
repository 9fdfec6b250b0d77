//! Where neurons look: one window of the map each, neurons with the same window side by side.

use super::windowed::{Regions, launch};
use crate::device::{Array, Device};
use std::ops::Range;

/// A rectangle of a map, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Neurons with one window. Their masks lie one after the other, (neurons, height width) from [`Group::start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Where they look.
    pub window: Window,
    /// Where they begin in [`Windows::order`].
    pub first: usize,
    /// How many they are.
    pub neurons: usize,
    /// Where their masks begin.
    pub start: usize,
}

/// One window per neuron. A mask outside of its window is exactly 0, and only what is inside is stored: group after group.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Height and width of the map.
    pub map: (usize, usize),
    groups: Vec<Group>,
    order: Vec<usize>,
    /// Of each neuron: its group, and where its mask begins.
    places: Vec<(usize, usize)>,
    pub(in crate::ops) tables: Tables,
}

/// What kernels read of [`Windows`].
#[derive(Clone, Debug)]
pub(in crate::ops) struct Tables {
    /// (N): [`Windows::order`].
    pub order: Array<u32>,
    /// (N + 1): where the masks begin, in this order, and where the last one ends.
    pub starts: Array<u32>,
    /// (G, words), (tiles, words), (tiles, words): groups, and the blocks that work on them.
    pub groups: Array<u32>,
    pub of_neurons: Array<u32>,
    pub of_pixels: Array<u32>,
    /// Where the device has kernels that read them.
    pub regions: Option<Regions>,
}

impl Window {
    /// All of a map.
    pub fn whole((height, width): (usize, usize)) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }

    /// Its pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Where its rows lie in a map whose rows have `width` pixels.
    pub fn rows(self, width: usize) -> impl Iterator<Item = Range<usize>> {
        (self.top..self.top + self.height).map(move |row| {
            let first = row * width + self.left;
            first..first + self.width
        })
    }

    /// Whether it lies on a map of this height and width.
    pub fn is_inside(&self, (height, width): (usize, usize)) -> bool {
        let holds = |first: usize, size: usize, all: usize| size > 0 && first + size <= all;
        holds(self.top, self.height, height) && holds(self.left, self.width, width)
    }
}

impl Windows {
    /// Sorts neurons by their windows.
    ///
    /// # Panics
    /// When there are none, or a window does not lie on the map: that is a bug, not input.
    pub fn new(device: &Device, map: (usize, usize), windows: &[Window]) -> Self {
        assert!(!windows.is_empty(), "one window per neuron");
        assert!(windows.iter().all(|w| w.is_inside(map)), "{map:?}");
        let mut order: Vec<usize> = (0..windows.len()).collect();
        order.sort_by_key(|&n| (windows[n], n));
        let mut groups: Vec<Group> = Vec::new();
        let mut places = vec![(0, 0); windows.len()];
        let mut starts = vec![0u32];
        let mut start = 0;
        for (first, &n) in order.iter().enumerate() {
            if groups.last().is_none_or(|g| g.window != windows[n]) {
                groups.push(Group {
                    window: windows[n],
                    first,
                    neurons: 0,
                    start,
                });
            }
            let own = groups.len() - 1;
            groups[own].neurons += 1;
            places[n] = (own, start);
            start += windows[n].pixels();
            starts.push(start as u32);
        }
        assert!(u32::try_from(start).is_ok(), "{start} numbers");
        let rows: Vec<u32> = order.iter().map(|&n| n as u32).collect();
        let of_groups: Vec<_> = groups.iter().map(launch::of_group).collect();
        let (of_neurons, of_pixels) = launch::tiles(&groups);
        let regions = Regions::apply(device).then(|| Regions::new(device, map, &groups, &order));
        Self {
            map,
            tables: Tables {
                order: device.upload(&rows, &[rows.len()]),
                starts: device.upload(&starts, &[starts.len()]),
                groups: table(device, &of_groups),
                of_neurons: table(device, &of_neurons),
                of_pixels: table(device, &of_pixels),
                regions,
            },
            groups,
            order,
            places,
        }
    }

    /// In the order in which their masks lie.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Neurons, group after group.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// N.
    pub fn neurons(&self) -> usize {
        self.order.len()
    }

    /// Numbers of all masks.
    pub fn mask_len(&self) -> usize {
        self.groups
            .last()
            .map_or(0, |g| g.start + g.neurons * g.window.pixels())
    }

    /// Where this neuron looks.
    pub fn of(&self, neuron: usize) -> Window {
        self.groups[self.places[neuron].0].window
    }

    /// Where its mask lies among all of them.
    pub fn range(&self, neuron: usize) -> Range<usize> {
        let (group, start) = self.places[neuron];
        start..start + self.groups[group].window.pixels()
    }

    /// A neuron's whole mask (H, W) from what is in its window.
    pub fn expanded(&self, neuron: usize, inside: &[f32]) -> Vec<f32> {
        let mut whole = vec![0.0; self.map.0 * self.map.1];
        let window = self.of(neuron);
        for (row, from) in window
            .rows(self.map.1)
            .zip(inside.chunks_exact(window.width))
        {
            whole[row].copy_from_slice(from);
        }
        whole
    }

    /// What is inside the windows of whole masks (N, H, W).
    ///
    /// # Panics
    /// When there are not as many numbers: that is a bug, not input.
    pub fn inside(&self, whole: &[f32]) -> Vec<f32> {
        let pixels = self.map.0 * self.map.1;
        assert_eq!(whole.len(), self.neurons() * pixels, "whole masks");
        let mut out = Vec::with_capacity(self.mask_len());
        for &n in &self.order {
            let mask = &whole[n * pixels..][..pixels];
            for row in self.of(n).rows(self.map.1) {
                out.extend_from_slice(&mask[row]);
            }
        }
        out
    }
}

fn table<const WORDS: usize>(device: &Device, rows: &[[u32; WORDS]]) -> Array<u32> {
    device.upload(rows.as_flattened(), &[rows.len(), WORDS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_come_back_from_their_windows_with_zeros_outside() {
        let window = |top, left, height, width| Window {
            top,
            left,
            height,
            width,
        };
        let of_neurons = [
            window(2, 1, 2, 3),
            window(0, 0, 4, 5),
            window(2, 1, 2, 3),
            window(0, 3, 1, 2),
        ];
        let windows = Windows::new(&Device::Cpu, (4, 5), &of_neurons);
        assert_eq!((windows.groups().len(), windows.mask_len()), (3, 34));
        assert_eq!(windows.order(), [1, 3, 0, 2]);
        let whole: Vec<f32> = (1..=80).map(|v| v as f32).collect();
        let inside = windows.inside(&whole);
        for (n, w) in of_neurons.iter().enumerate() {
            let expanded = windows.expanded(n, &inside[windows.range(n)]);
            for (p, v) in expanded.into_iter().enumerate() {
                let (y, x) = (p / 5, p % 5);
                let sees = (w.top..w.top + w.height).contains(&y)
                    && (w.left..w.left + w.width).contains(&x);
                assert_eq!(v, if sees { whole[n * 20 + p] } else { 0.0 });
            }
        }
    }
}
