//! The window that holds most.

use crate::model::config::Readout;
use crate::model::windows::{corners, window};
use crate::ops::readout::Window;

/// Where a neuron looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    pub window: Window,
    /// Share of what its place was chosen by that lies inside; NaN where there was nothing.
    pub mass: f32,
}

impl Look {
    pub fn side(&self) -> usize {
        self.window.height.max(self.window.width)
    }
}

/// Of the windows of the configured side the one that holds most of these weights (H, W), none of them negative: the first of
/// several; of twice the side if it holds too little, then all of the map.
pub fn where_most(weights: &[f64], map: (usize, usize), settings: &Readout) -> Look {
    let sums = Sums::new(weights, map);
    let total = sums.of(&Window::whole(map));
    if total <= 0.0 {
        let (top, left) = middle(settings.window, map);
        return Look {
            window: window((top, left), settings.window, map),
            mass: f32::NAN,
        };
    }
    for side in [settings.window, 2 * settings.window] {
        let (mut best, mut most) = (Window::whole(map), f64::NEG_INFINITY);
        for corner in corners(side, map) {
            let here = window(corner, side, map);
            let held = sums.of(&here);
            if held > most {
                (best, most) = (here, held);
            }
        }
        let mass = (most / total).min(1.0);
        if mass >= settings.window_mass {
            return Look {
                window: best,
                mass: mass as f32,
            };
        }
    }
    Look {
        window: Window::whole(map),
        mass: 1.0,
    }
}

/// The corner of the window nearest to the middle of the map.
fn middle(side: usize, map: (usize, usize)) -> (usize, usize) {
    let off = |first: usize, size: usize| (2 * first + side.min(size)).abs_diff(size);
    corners(side, map)
        .min_by_key(|&(top, left)| off(top, map.0).pow(2) + off(left, map.1).pow(2))
        .unwrap_or((0, 0))
}

/// Sums over all rectangles that begin at the first pixel.
struct Sums {
    sums: Vec<f64>,
    columns: usize,
}

impl Sums {
    fn new(weights: &[f64], (height, width): (usize, usize)) -> Self {
        let columns = width + 1;
        let mut sums = vec![0.0; (height + 1) * columns];
        for y in 0..height {
            let mut row = 0.0;
            for x in 0..width {
                row += weights[y * width + x];
                sums[(y + 1) * columns + x + 1] = sums[y * columns + x + 1] + row;
            }
        }
        Self { sums, columns }
    }

    fn of(&self, w: &Window) -> f64 {
        let at = |row: usize, column: usize| self.sums[row * self.columns + column];
        let (bottom, right) = (w.top + w.height, w.left + w.width);
        at(bottom, right) - at(w.top, right) - at(bottom, w.left) + at(w.top, w.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: (usize, usize) = (36, 64);

    fn settings() -> Readout {
        Readout {
            window: 8,
            ..Readout::default()
        }
    }

    fn weights(spots: &[(usize, usize, f64)]) -> Vec<f64> {
        let mut weights = vec![0.0; MAP.0 * MAP.1];
        for (y, x, v) in spots {
            weights[y * MAP.1 + x] = *v;
        }
        weights
    }

    #[test]
    fn a_window_lies_where_most_is_and_of_equals_is_the_first() {
        let look = where_most(&weights(&[(13, 30, 4.0), (30, 2, 1.0)]), MAP, &settings());
        let wanted = Window {
            top: 8,
            left: 24,
            height: 8,
            width: 8,
        };
        assert_eq!((look.window, look.mass), (wanted, 0.8));
    }

    #[test]
    fn scattered_weights_get_a_larger_window_and_then_the_map() {
        let two = [(12, 12, 1.0), (20, 24, 1.0)];
        let look = where_most(&weights(&two), MAP, &settings());
        assert_eq!((look.side(), look.mass), (16, 1.0));
        let far = [(0, 0, 1.0), (35, 63, 1.0)];
        let look = where_most(&weights(&far), MAP, &settings());
        assert_eq!((look.window, look.mass), (Window::whole(MAP), 1.0));
    }

    #[test]
    fn of_nothing_it_is_the_middle() {
        let look = where_most(&weights(&[]), MAP, &settings());
        let corner = (look.window.top, look.window.left);
        assert!(corner == (12, 28) && look.mass.is_nan(), "{look:?}");
    }

    #[test]
    fn a_window_higher_than_the_map_is_as_high_as_the_map() {
        let wide = Readout {
            window: 48,
            ..settings()
        };
        let look = where_most(&weights(&[(3, 60, 1.0)]), MAP, &wide);
        let wanted = Window {
            top: 0,
            left: 16,
            height: 36,
            width: 48,
        };
        assert_eq!((look.window, look.side()), (wanted, 48));
    }
}
