//! Gratings in a disc with a hard edge (Burg et al. 2021's size tuning).
//!
//! A [`Gabor`](super::Gabor) whose envelope is 1 where `dx^2 + dy^2 <= (s/2)^2` and 0 elsewhere; amplitude a/2.

use super::Canvas;
use crate::device::kernels::stimuli as kernels;
use crate::device::{Device, View, ViewMut};

/// Numbers that define a grating.
pub const PARAMETERS: usize = kernels::GABOR;

/// One disc. Lengths are in pixels, angles in radians; the first pixel's centre is (0, 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grating {
    /// Column of the centre.
    pub x: f64,
    /// Row of the centre.
    pub y: f64,
    /// s: the disc's diameter.
    pub size: f64,
    /// nu: cycles per pixel.
    pub frequency: f64,
    /// a: twice the amplitude.
    pub contrast: f64,
    /// phi: turns the pattern counter-clockwise on the screen.
    pub orientation: f64,
    /// tau.
    pub phase: f64,
}

impl Grating {
    /// What [`draw`] takes: the fields in their order.
    pub fn parameters(&self) -> [f32; PARAMETERS] {
        let &Self {
            x,
            y,
            size,
            frequency,
            contrast,
            orientation,
            phase,
        } = self;
        [x, y, size, frequency, contrast, orientation, phase].map(|v| v as f32)
    }
}

/// Overwrites images (count, H, W) with sums of `components` discs each: parameters (count, components, 7) as in
/// [`Grating::parameters`].
pub fn draw(
    device: &Device,
    canvas: &Canvas,
    components: usize,
    parameters: View,
    images: ViewMut,
) {
    let each = components * PARAMETERS;
    canvas.check(each, parameters.len(), images.len());
    let (height, width) = (canvas.height, canvas.width);
    match device {
        Device::Cpu => canvas.draw_each(each, parameters, images, reference::draw),
        _ => {
            let grid = canvas.pieces();
            kernels::stimuli_grating(device, grid, parameters, images, components, height, width);
        }
    }
}

/// The definition, in plain loops over one image.
pub mod reference {
    use super::PARAMETERS;
    use crate::ops::Real;
    use crate::stimuli::{gabor::carrier, pixels};

    /// The sum of the discs with these parameters (components, 7), on an image (H, W).
    pub fn draw<T: Real>(width: usize, parameters: &[T], image: &mut [T]) {
        image.fill(T::zero());
        for p in parameters.chunks_exact(PARAMETERS) {
            let carrier = carrier(p[5], p[3]);
            let (amplitude, reach) = (T::of(0.5) * p[4], T::of(0.25) * p[2] * p[2]);
            for (v, (column, row)) in image.iter_mut().zip(pixels::<T>(width)) {
                let (dx, dy) = (column - p[0], row - p[1]);
                if dx * dx + dy * dy <= reach {
                    *v += amplitude * (carrier(dx, dy) + p[6]).cos();
                }
            }
        }
    }
}
