//! Maps between the core's operations, stored as float32 or, where a device's products take bf16, as bf16.
//!
//! What an op reads it widens and what it writes it rounds to the nearest (`kernels/map.cuh`); all arithmetic is float32.

use super::{Array, Device, View, ViewMut};
use std::ops::Range;

/// Maps (B, C, P), or any other numbers that kernels call `Map`. [`Device::maps`] makes them.
#[derive(Clone, Debug)]
pub enum Maps {
    /// float32.
    Float(Array),
    /// bf16, each as the upper half of a float32.
    Half(Array<u16>),
}

/// Part of [`Maps`], to read.
#[derive(Clone, Copy, Debug)]
pub enum MapView<'a> {
    /// float32.
    Float(View<'a>),
    /// bf16.
    Half(View<'a, u16>),
}

/// Part of [`Maps`], to write.
#[derive(Debug)]
pub enum MapViewMut<'a> {
    /// float32.
    Float(ViewMut<'a>),
    /// bf16.
    Half(ViewMut<'a, u16>),
}

/// Calls the same of whichever it holds.
macro_rules! either {
    ($self:expr, $inner:ident => $value:expr) => {
        match $self {
            Self::Float($inner) => $value,
            Self::Half($inner) => $value,
        }
    };
}

impl Maps {
    /// Lengths of the axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        either!(self, a => a.shape())
    }

    /// Numbers held.
    pub fn len(&self) -> usize {
        either!(self, a => a.len())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, to read.
    pub fn view(&self) -> MapView<'_> {
        self.slice(0..self.len())
    }

    /// All of it, to write.
    pub fn view_mut(&mut self) -> MapViewMut<'_> {
        self.slice_mut(0..self.len())
    }

    /// Elements `range`, to read.
    pub fn slice(&self, range: Range<usize>) -> MapView<'_> {
        match self {
            Self::Float(a) => MapView::Float(a.slice(range)),
            Self::Half(a) => MapView::Half(a.slice(range)),
        }
    }

    /// Elements `range`, to write.
    pub fn slice_mut(&mut self, range: Range<usize>) -> MapViewMut<'_> {
        match self {
            Self::Float(a) => MapViewMut::Float(a.slice_mut(range)),
            Self::Half(a) => MapViewMut::Half(a.slice_mut(range)),
        }
    }

    /// Copies everything to this machine's memory, as float32.
    pub fn download(&self) -> Vec<f32> {
        self.view().download()
    }

    /// Overwrites everything with the nearest to `values`, which are as many.
    pub fn fill_from(&mut self, values: &[f32]) {
        self.view_mut().fill_from(values);
    }
}

impl<'a> MapView<'a> {
    /// The numbers, of float32 maps in this machine's memory.
    ///
    /// # Panics
    /// For others: a CPU path was given a card's maps.
    pub fn host(self) -> &'a [f32] {
        match self {
            Self::Float(v) => v.host(),
            Self::Half(_) => panic!("{NOT_FLOAT}"),
        }
    }

    /// Numbers seen.
    pub fn len(&self) -> usize {
        either!(self, v => v.len())
    }

    /// Whether it sees none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements `range` of this view.
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::Float(v) => Self::Float(v.slice(range)),
            Self::Half(v) => Self::Half(v.slice(range)),
        }
    }

    /// Copies to this machine's memory, as float32.
    pub fn download(self) -> Vec<f32> {
        match self {
            Self::Float(v) => v.download(),
            Self::Half(v) => v.download().into_iter().map(widen).collect(),
        }
    }

    /// Whether it begins where 16 bytes may be read at once.
    pub(crate) fn in_quads(self) -> bool {
        either!(self, v => v.in_quads())
    }

    pub(super) fn check(self, device: &Device) {
        let width = either!(self, v => v.raw().width);
        assert_eq!(width, device.precision().map_bytes(), "{NOT_FLOAT}");
    }
}

impl<'a> MapViewMut<'a> {
    /// The numbers, of float32 maps in this machine's memory.
    ///
    /// # Panics
    /// As [`MapView::host`].
    pub fn host(self) -> &'a mut [f32] {
        match self {
            Self::Float(v) => v.host(),
            Self::Half(_) => panic!("{NOT_FLOAT}"),
        }
    }

    /// Numbers seen.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether it sees none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same numbers, to read.
    pub fn read(&self) -> MapView<'_> {
        match self {
            Self::Float(v) => MapView::Float(v.read()),
            Self::Half(v) => MapView::Half(v.read()),
        }
    }

    /// Overwrites everything with the nearest to `values`, which are as many.
    pub fn fill_from(self, values: &[f32]) {
        match self {
            Self::Float(v) => v.fill_from(values),
            Self::Half(v) => v.fill_from(&values.iter().map(|&v| round(v)).collect::<Vec<_>>()),
        }
    }

    /// The same numbers, for a shorter time.
    pub fn reborrow(&mut self) -> MapViewMut<'_> {
        match self {
            Self::Float(v) => MapViewMut::Float(v.reborrow()),
            Self::Half(v) => MapViewMut::Half(v.reborrow()),
        }
    }

    /// Cuts into two views at element `middle`.
    pub(crate) fn split_at(self, middle: usize) -> (Self, Self) {
        match self {
            Self::Float(v) => {
                let (a, b) = v.split_at(middle);
                (Self::Float(a), Self::Float(b))
            }
            Self::Half(v) => {
                let (a, b) = v.split_at(middle);
                (Self::Half(a), Self::Half(b))
            }
        }
    }
}

impl<'a> From<View<'a>> for MapView<'a> {
    fn from(view: View<'a>) -> Self {
        Self::Float(view)
    }
}

impl<'a> From<ViewMut<'a>> for MapViewMut<'a> {
    fn from(view: ViewMut<'a>) -> Self {
        Self::Float(view)
    }
}

const NOT_FLOAT: &str = "maps stored otherwise than the device's precision wants them";

/// The nearest bf16, of two equally near the even one; NaN stays NaN.
fn round(v: f32) -> u16 {
    let bits = v.to_bits();
    if v.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    let up = 0x7fff + (bits >> 16 & 1);
    (bits.wrapping_add(up) >> 16) as u16
}

fn widen(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_bf16_is_taken_and_of_two_the_even_one() {
        let next = |v: f32, ulps: i32| f32::from_bits((v.to_bits() as i32 + ulps) as u32);
        for (v, wanted) in [
            (1.0, 1.0),
            (next(1.0, 0x7fff), 1.0),
            (next(1.0, 0x8000), 1.0),
            (next(1.0, 0x8001), 1.0 + 1.0 / 128.0),
            (next(1.0, 0x1_8000), 1.0 + 2.0 / 128.0),
            (-0.0, -0.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            let got: f32 = widen(round(v));
            assert_eq!(got.to_bits(), f32::to_bits(wanted), "{v:e}");
        }
        assert!(widen(round(f32::NAN)).is_nan());
        assert!(widen(round(f32::from_bits(0x7f80_0001))).is_nan());
    }
}
