//! The part of a map that a neuron's mask weighs.

use crate::ops::readout::Window;

/// How much of a mask may be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tail {
    /// This share of the sum of absolute values.
    Mass(f64),
    /// This share of the sum of squares: a faint, widespread rest of training does not widen the window.
    Energy(f64),
}

impl Tail {
    fn share(self) -> f64 {
        match self {
            Self::Mass(share) | Self::Energy(share) => share,
        }
    }

    fn weight(self, mask: f32) -> f64 {
        let mask = f64::from(mask).abs();
        match self {
            Self::Mass(_) => mask,
            Self::Energy(_) => mask * mask,
        }
    }
}

impl Window {
    /// A small window of `mask` (rows of `width`) outside of which lies no more than the tail: rows and columns are
    /// taken off the sides, always the lightest one. Of a mask of zeros, its middle pixel.
    pub fn of_mask(mask: &[f32], width: usize, tail: Tail) -> Self {
        let height = mask.len() / width;
        let weights: Vec<f64> = mask.iter().map(|&m| tail.weight(m)).collect();
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            let (top, left) = (height / 2, width / 2);
            return Self {
                top,
                left,
                height: 1,
                width: 1,
            };
        }
        let mut left_over = tail.share() * total;
        let (mut t, mut b, mut l, mut r) = (0, height, 0, width);
        let row = |y: usize, l: usize, r: usize| weights[y * width + l..y * width + r].iter();
        let column = |x: usize, t: usize, b: usize| (t..b).map(move |y| y * width + x);
        loop {
            let sides = [
                row(t, l, r).sum(),
                row(b - 1, l, r).sum(),
                column(l, t, b).map(|i| weights[i]).sum::<f64>(),
                column(r - 1, t, b).map(|i| weights[i]).sum(),
            ];
            let possible = [b - t > 1, b - t > 1, r - l > 1, r - l > 1];
            let lightest = (0..4)
                .filter(|&i| possible[i])
                .min_by(|&i, &j| sides[i].total_cmp(&sides[j]));
            match lightest {
                Some(side) if sides[side] <= left_over => {
                    left_over -= sides[side];
                    match side {
                        0 => t += 1,
                        1 => b -= 1,
                        2 => l += 1,
                        _ => r -= 1,
                    }
                }
                _ => break,
            }
        }
        Self {
            top: t,
            left: l,
            height: b - t,
            width: r - l,
        }
    }

    /// The smallest window that holds both.
    pub fn union(self, other: Self) -> Self {
        let (top, left) = (self.top.min(other.top), self.left.min(other.left));
        let bottom = (self.top + self.height).max(other.top + other.height);
        let right = (self.left + self.width).max(other.left + other.width);
        Self {
            top,
            left,
            height: bottom - top,
            width: right - left,
        }
    }

    /// This window with `height` x `width` pixels about the same centre, moved where the map ends.
    pub(super) fn resized(self, height: usize, width: usize, map: (usize, usize)) -> Self {
        let start = |first: usize, had: usize, has: usize, most: usize| {
            (first + had / 2)
                .saturating_sub(has / 2)
                .min(most - has.min(most))
        };
        Self {
            top: start(self.top, self.height, height, map.0),
            left: start(self.left, self.width, width, map.1),
            height,
            width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(of: &[(usize, usize, f32)]) -> Vec<f32> {
        let mut mask = vec![0.0; 6 * 8];
        of.iter().for_each(|&(y, x, m)| mask[y * 8 + x] = m);
        mask
    }

    #[test]
    fn it_holds_all_that_is_not_zero() {
        let found = Window::of_mask(&mask(&[(1, 2, -1.0), (3, 6, 0.1)]), 8, Tail::Mass(0.0));
        let wanted = Window {
            top: 1,
            left: 2,
            height: 3,
            width: 5,
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_faint_is_left_out() {
        let mask = mask(&[(1, 2, -1.0), (5, 7, 0.2)]);
        let at = |tail| Window::of_mask(&mask, 8, tail);
        assert_eq!(at(Tail::Energy(0.1)).height, 1);
        assert_eq!(at(Tail::Mass(0.1)).height, 5);
    }

    #[test]
    fn growing_stays_on_the_map() {
        let corner = Window {
            top: 5,
            left: 0,
            height: 1,
            width: 1,
        };
        let wanted = Window {
            top: 1,
            left: 0,
            height: 5,
            width: 5,
        };
        assert_eq!(corner.resized(5, 5, (6, 8)), wanted);
    }
}
