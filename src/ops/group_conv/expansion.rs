//! How the kernels of the Fourier form make numbers of pixels: the tables that its passes share (`kernels/group_conv.cu`).

use super::Shape;
use super::mix::{Mix, plain_taps, taps, transform};
use super::sizes::Sizes;
use crate::device::{Array, Device, Precision};
use crate::ops::basis::Basis;

/// Constants of one direction.
#[derive(Clone, Debug)]
pub struct Expansion {
    /// Of this direction.
    pub shape: Shape,
    pub sizes: Sizes,
    pub transform: Array,
    pub basis: Array,
    pub places: Array<u32>,
}

impl Expansion {
    pub fn new(device: &Device, shape: Shape, sizes: Sizes, mix: &Mix, basis: &Basis) -> Self {
        let upload = |values: &[f32]| device.upload(values, &[values.len()]);
        let of_basis = match device.precision() {
            Precision::F32 => plain_taps(&sizes, basis),
            _ => taps(&sizes, basis),
        };
        Self {
            transform: upload(&transform(shape.orientations)),
            basis: upload(&of_basis),
            places: device.upload(&mix.places, &[mix.places.len()]),
            shape,
            sizes,
        }
    }
}
