//! How the kernels of the Fourier form cut a layer, and which layers they take.

use super::Shape;
use crate::device::kernels::group_conv as kernels;

/// How the kernels cut the work.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Pairs of components.
    pub units: usize,
    /// Steps of taps' pairs.
    pub taps: usize,
    /// Steps of functions.
    pub slots: usize,
    /// Rows of a tile.
    pub rows: usize,
}

impl Sizes {
    /// None where the kernels' shared memory does not do, and where the direct path is the faster one.
    pub fn new(s: &Shape) -> Option<Self> {
        let (o, k) = (s.orientations, s.kernel);
        if !s.oriented_input || !matches!(k, 3 | 5 | 7) {
            return None;
        }
        if !(4..=kernels::GROUP_CONV_ORIENTATIONS).contains(&o) {
            return None;
        }
        let units = o.div_ceil(2);
        let pairs = k * k.div_ceil(2);
        let slots = if k == 7 { 4 } else { 2 };
        let fits = |rows: usize| {
            let halo = 2 * units * (rows + k - 1) * kernels::GROUP_CONV_STRIDE;
            let numbers = 2 * units * slots * rows * 32 * 4;
            let sums =
                2 * units * kernels::GROUP_CONV_FEATURES * rows * kernels::GROUP_CONV_COLUMNS;
            halo <= kernels::GROUP_CONV_HALO && numbers.max(sums) <= kernels::GROUP_CONV_NUMBERS
        };
        let rows = [4, 2, 1].into_iter().find(|&rows| fits(rows))?;
        Some(Self {
            units,
            taps: pairs.div_ceil(8) * 2,
            slots,
            rows,
        })
    }

    /// Of all units together.
    pub fn steps(&self) -> usize {
        self.units * 2 * self.slots
    }
}
