//! The operations of the twin, one module each: shape, `forward`, `backward_*`, and `reference`, the definition.
//!
//! Gradients of parameters add to what is there; everything else overwrites.

pub mod activation;
pub mod align;
pub mod ascent;
pub mod basis;
pub mod bias;
pub mod closeup;
pub mod conv;
pub mod dense;
pub mod dropout;
pub mod gather;
pub mod gaussian;
pub mod group_conv;
pub mod loss;
pub mod maps;
pub(crate) mod matmul;
pub mod nearest;
pub mod norm;
pub mod optimiser;
mod panel;
pub mod penalty;
pub mod pool;
pub mod random;
pub mod readout;
pub mod scan;
pub mod schedule;
mod turn;

/// The numbers in which references run: `f32` or `f64`.
pub trait Real:
    num_traits::Float + num_traits::NumAssign + std::iter::Sum + Default + Send + Sync + 'static
{
    /// Nearest number of this type.
    fn of(x: f64) -> Self;
    /// Widens.
    fn f64(self) -> f64;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn f64(self) -> f64 {
        self
    }
}
