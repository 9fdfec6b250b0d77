//! How a device multiplies matrices.

use serde::{Deserialize, Serialize};

/// The numbers that matrix products take, and as which maps lie in memory ([`super::Maps`]); sums are float32 in all of them,
/// and so is everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// Tensor cores, factors rounded to 10 bits of mantissa; so is what a layer of the core hands on.
    Tf32,
    /// Tensor cores, factors and stored maps rounded to 7 bits of mantissa.
    Bf16,
}

impl Precision {
    /// All, in the order of `kernels/striate.cuh`.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// As configurations and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of a map's number.
    pub fn map_bytes(self) -> usize {
        match self {
            Self::Bf16 => size_of::<u16>(),
            _ => size_of::<f32>(),
        }
    }
}
