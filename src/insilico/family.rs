//! Stimuli with parameters, of which the first two are the place.

use crate::device::{Device, View, ViewMut};
use crate::stimuli::{Canvas, difference, gabor};

/// What the parameters of a stimulus mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// [`crate::stimuli::Gabor`]: x, y, size, frequency, contrast, orientation, phase.
    Gabors,
    /// Two Gabors, one after the other, added.
    Plaids,
    /// [`crate::stimuli::DifferenceOfGaussians`]: x, y, sigma of centre and surround, contrast, surround contrast.
    Differences,
}

impl Family {
    /// Patterns that a stimulus is the sum of, each with a place of its own.
    fn components(self) -> usize {
        match self {
            Self::Gabors | Self::Differences => 1,
            Self::Plaids => 2,
        }
    }

    /// Numbers per stimulus.
    pub fn parameters(self) -> usize {
        match self {
            Self::Gabors | Self::Plaids => self.components() * gabor::PARAMETERS,
            Self::Differences => difference::PARAMETERS,
        }
    }

    /// Draws one image per stimulus.
    pub fn draw(self, device: &Device, canvas: &Canvas, parameters: View, images: ViewMut) {
        match self {
            Self::Gabors | Self::Plaids => {
                gabor::draw(device, canvas, self.components(), parameters, images);
            }
            Self::Differences => difference::draw(device, canvas, parameters, images),
        }
    }

    /// Carries a gradient at the images to the parameters.
    pub fn backward(
        self,
        device: &Device,
        canvas: &Canvas,
        parameters: View,
        dimages: View,
        dparameters: ViewMut,
    ) {
        match self {
            Self::Gabors | Self::Plaids => gabor::backward(
                device,
                canvas,
                self.components(),
                parameters,
                dimages,
                dparameters,
            ),
            Self::Differences => {
                difference::backward(device, canvas, parameters, dimages, dparameters);
            }
        }
    }

    /// The stimulus moved by so many columns and rows.
    pub fn moved(self, stimulus: &[f32], columns: f32, rows: f32) -> Vec<f32> {
        let mut moved = stimulus.to_vec();
        let each = self.parameters() / self.components();
        for component in moved.chunks_exact_mut(each) {
            component[0] += columns;
            component[1] += rows;
        }
        moved
    }
}
