//! Masks that lie in windows: how a model comes to hold them so, and how it shows them whole again.

use super::Model;
use super::params::{Arena, Layout};
use super::readout::{Readout, Spatial};
use crate::ops::readout::{Window, Windows};
use std::sync::Arc;

/// Corners of windows lie on a grid of so many pixels.
pub const GRID: usize = 4;

/// A model's windows must hold less than this share of its masks' numbers, or the masks stay whole.
const PAYS: f64 = 0.6;

/// Where the neurons of each readout look; nothing for those that keep their masks as they are.
pub type Placement = Vec<Option<Arc<Windows>>>;

/// The window of this side with its first pixel there; it ends where the map does.
pub fn window((top, left): (usize, usize), side: usize, (height, width): (usize, usize)) -> Window {
    Window {
        top,
        left,
        height: side.min(height),
        width: side.min(width),
    }
}

/// The corners that windows of this side may have on a map, row by row.
pub fn corners(
    side: usize,
    (height, width): (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let along = move |size: usize| (0..=size - side.min(size)).step_by(GRID);
    along(height).flat_map(move |top| along(width).map(move |left| (top, left)))
}

impl Readout {
    /// A neuron's whole mask (H, W), of a view of all masks as they lie.
    fn whole(&self, neuron: usize, arena: &Arena) -> Vec<f32> {
        let masks = match self.spatial {
            Spatial::Masks(slot) => arena.view(slot),
            Spatial::Places(places) => {
                let own = arena
                    .view(places.position)
                    .slice(2 * neuron..2 * neuron + 2);
                let at = own.download();
                return self.mask_at([at[0], at[1]]);
            }
            Spatial::Whole => panic!("{}: no masks", self.name),
        };
        match &self.windows {
            Some(windows) => {
                let inside = masks.slice(windows.range(neuron)).download();
                windows.expanded(neuron, &inside)
            }
            None => {
                let pixels = self.map.0 * self.map.1;
                masks
                    .slice(neuron * pixels..(neuron + 1) * pixels)
                    .download()
            }
        }
    }

    /// All masks (N, H, W) of an arena, whole; `slot` is theirs.
    pub(crate) fn whole_masks(&self, slot: usize, arena: &Arena) -> Vec<f32> {
        let masks = arena.view(slot).download();
        let Some(windows) = &self.windows else {
            return masks;
        };
        let mut whole = vec![0.0; self.neurons * self.map.0 * self.map.1];
        let pixels = self.map.0 * self.map.1;
        for (neuron, to) in whole.chunks_exact_mut(pixels).enumerate() {
            let window = windows.of(neuron);
            let inside = masks[windows.range(neuron)].chunks_exact(window.width);
            for (row, from) in window.rows(self.map.1).zip(inside) {
                to[row].copy_from_slice(from);
            }
        }
        whole
    }
}

impl Model {
    /// A neuron's mask (H, W) before the absolute value, 0 outside of its window; of one that looks from a place, the four
    /// pixels around it by how much they count.
    ///
    /// # Panics
    /// For a readout that weighs all of the core's output: [`super::Config::is_unfactorised`].
    pub fn mask(&self, index: usize, neuron: usize) -> Vec<f32> {
        self.readouts[index].whole(neuron, &self.params)
    }

    /// The layout once these windows are in force.
    pub(crate) fn layout_with(&self, placement: &Placement) -> Arc<Layout> {
        let mut layout = Layout::default();
        for (slot, old) in self.params.layout.slots.iter().enumerate() {
            match self.readouts.iter().position(|r| r.masks() == Some(slot)) {
                Some(r) => {
                    let shape = match &placement[r] {
                        Some(windows) => vec![windows.mask_len()],
                        None => old.shape.clone(),
                    };
                    layout.declare_aligned(old.name.clone(), shape);
                }
                None => {
                    layout.declare(old.name.clone(), old.shape.clone());
                }
            }
        }
        Arc::new(layout)
    }

    /// An arena of the present layout in that one: of masks what is inside the windows, all else as it is.
    pub(crate) fn relaid(
        &self,
        arena: &Arena,
        layout: &Arc<Layout>,
        placement: &Placement,
    ) -> Arena {
        let mut new = Arena::zeros(&self.device, layout);
        for slot in 0..layout.slots.len() {
            let readout = self.readouts.iter().position(|r| r.masks() == Some(slot));
            match readout.and_then(|r| placement[r].as_ref().map(|w| (r, w))) {
                Some((r, windows)) => {
                    let whole = self.readouts[r].whole_masks(slot, arena);
                    new.view_mut(slot).fill_from(&windows.inside(&whole));
                }
                None => new.view_mut(slot).copy_from(arena.view(slot)),
            }
        }
        new
    }

    /// Holds the masks of these readouts inside windows from now on; what lies outside is forgotten.
    pub fn look_through(&mut self, placement: &Placement) {
        let layout = self.layout_with(placement);
        self.params = self.relaid(&self.params, &layout, placement);
        self.use_windows(placement);
    }

    /// Notes that the masks lie in these windows.
    pub(crate) fn use_windows(&mut self, placement: &Placement) {
        for (readout, windows) in self.readouts.iter_mut().zip(placement) {
            if windows.is_some() {
                readout.windows.clone_from(windows);
            }
        }
    }

    /// Finds out masks that are exactly 0 outside of a window each, and multiplies them only there.
    pub(super) fn find_windows(&mut self) {
        let found = |readout: &Readout| {
            let masks = readout.whole_masks(readout.masks()?, &self.params);
            let pixels = readout.map.0 * readout.map.1;
            let windows: Vec<Window> = masks
                .chunks_exact(pixels)
                .map(|mask| around(mask, readout.map))
                .collect();
            let inside: usize = windows.iter().map(Window::pixels).sum();
            let pays = (inside as f64) < PAYS * masks.len() as f64;
            pays.then(|| Arc::new(Windows::new(&self.device, readout.map, &windows)))
        };
        let placement: Placement = self.readouts.iter().map(found).collect();
        if placement.iter().any(Option::is_some) {
            self.look_through(&placement);
        }
    }
}

/// Those corners and the last ones that a window of this side has room for.
fn corners_to_the_end(side: usize, map: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    let along = move |size: usize| {
        let last = size - side.min(size);
        (0..last).step_by(GRID).chain([last])
    };
    along(map.0).flat_map(move |top| along(map.1).map(move |left| (top, left)))
}

/// A window that holds all of a mask that is not 0: of the sides that go round, so that many neurons share one.
fn around(mask: &[f32], map: (usize, usize)) -> Window {
    let Some(tight) = tight(mask, map.1) else {
        return window((0, 0), GRID, map);
    };
    let holds = |w: &Window| {
        w.top <= tight.top
            && w.left <= tight.left
            && w.top + w.height >= tight.top + tight.height
            && w.left + w.width >= tight.left + tight.width
    };
    // Twice the distance of two windows' centres, squared.
    let off = |w: &Window| {
        let apart = |a: usize, n: usize, b: usize, m: usize| (2 * a + n).abs_diff(2 * b + m).pow(2);
        apart(w.top, w.height, tight.top, tight.height)
            + apart(w.left, w.width, tight.left, tight.width)
    };
    let sides = (1..=8).chain([10, 12, 16, 20, 24, 32, 48, 64]);
    sides
        .map(|n| n * GRID)
        .find_map(|side| {
            let windows = corners_to_the_end(side, map).map(|corner| window(corner, side, map));
            windows.filter(holds).min_by_key(off)
        })
        .unwrap_or(Window::whole(map))
}

/// The smallest window that holds all of a mask that is not 0; none of a mask of zeros.
pub(super) fn tight(mask: &[f32], width: usize) -> Option<Window> {
    let rows: Vec<&[f32]> = mask.chunks_exact(width).collect();
    let alive = |row: &&[f32]| row.iter().any(|&m| m != 0.0);
    let (top, bottom) = (rows.iter().position(alive)?, rows.iter().rposition(alive)?);
    let alive = |&x: &usize| rows.iter().any(|row| row[x] != 0.0);
    let (left, right) = ((0..width).find(alive)?, (0..width).rfind(alive)?);
    Some(Window {
        top,
        left,
        height: bottom + 1 - top,
        width: right + 1 - left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_around_a_mask_holds_all_of_it() {
        let (height, width) = (21, 30);
        for (top, left, h, w) in [(0, 0, 1, 1), (5, 7, 6, 9), (17, 20, 4, 10), (0, 3, 20, 2)] {
            let mask: Vec<f32> = (0..height * width)
                .map(|p| {
                    let (y, x) = (p / width, p % width);
                    let inside = (top..top + h).contains(&y) && (left..left + w).contains(&x);
                    if inside { -1.0 } else { 0.0 }
                })
                .collect();
            let wanted = Window {
                top,
                left,
                height: h,
                width: w,
            };
            assert_eq!(tight(&mask, width), Some(wanted));
            let got = around(&mask, (height, width));
            let held: f32 = got
                .rows(width)
                .map(|row| mask[row].iter().sum::<f32>())
                .sum();
            assert_eq!(held, -((h * w) as f32), "{got:?}");
            assert!(got.pixels() <= height * width);
        }
        assert_eq!(around(&[0.0; 600], (20, 30)).pixels(), GRID * GRID);
    }

    #[test]
    fn corners_lie_on_the_grid_inside_the_map() {
        let got: Vec<_> = corners(8, (9, 17)).collect();
        assert_eq!(got, [(0, 0), (0, 4), (0, 8)]);
        assert_eq!(corners(64, (36, 40)).collect::<Vec<_>>(), [(0, 0)]);
    }
}
