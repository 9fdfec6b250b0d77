//! What a twin is shown instead of natural images, in units of its z-scored input, drawn where the twin lives.
//!
//! Each kind is a module like an op's: `draw`, where a search climbs `backward`, and `reference`, the definition. Lengths
//! are in pixels, angles in radians; the first pixel's centre is (0, 0), and centres may lie outside of the canvas: to draw
//! into a crop, subtract its origin.

pub mod difference;
pub mod gabor;
pub mod grating;
pub mod steerable;

pub use difference::DifferenceOfGaussians;
pub use gabor::Gabor;
pub use grating::Grating;

use crate::device::kernels::stimuli::PIECE;
use crate::device::{View, ViewMut};
use crate::ops::Real;
use rayon::prelude::*;

/// Images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Images.
    pub count: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl Canvas {
    /// Pixels of one image.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Pixels of all images.
    pub fn len(&self) -> usize {
        self.count * self.pixels()
    }

    /// Whether there is no pixel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Panics unless there are this many parameters per image and a pixel for each value: anything else is a bug.
    fn check(&self, per_image: usize, parameters: usize, pixels: usize) {
        let wanted = (self.count * per_image, self.len());
        assert_eq!((parameters, pixels), wanted, "{self:?}");
    }

    /// Has every image drawn from its `each` parameters by a definition, (width, parameters, image).
    fn draw_each(
        &self,
        each: usize,
        parameters: View,
        images: ViewMut,
        draw: fn(usize, &[f32], &mut [f32]),
    ) {
        images
            .host()
            .par_chunks_exact_mut(self.pixels())
            .zip(parameters.host().par_chunks_exact(each))
            .for_each(|(image, p)| draw(self.width, p, image));
    }

    /// Blocks of the kernels that draw.
    fn pieces(&self) -> [usize; 3] {
        [self.count, self.pixels().div_ceil(PIECE), 1]
    }
}

/// Column and row of an image's pixels, row by row, without end.
fn pixels<T: Real>(width: usize) -> impl Iterator<Item = (T, T)> {
    let rows = (0..).map(|row| T::of(f64::from(row)));
    rows.flat_map(move |row| (0..width).map(move |column| (T::of(column as f64), row)))
}
