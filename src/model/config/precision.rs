//! `training.precision`: which of a device's precisions a model asks for.

use crate::device::{self, Device};
use serde::{Deserialize, Serialize};

/// `training.precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// What the device is best at without a visible loss: TF32 on a card, float32 elsewhere.
    #[default]
    Auto,
    /// float32.
    F32,
    /// Tensor cores, factors rounded to 10 bits of mantissa.
    Tf32,
    /// Tensor cores, factors and stored maps rounded to 7 bits of mantissa.
    Bf16,
}

impl Precision {
    /// What it is on a device.
    pub fn on(self, device: &Device) -> device::Precision {
        match (self, device) {
            (Self::Auto, Device::Cuda(_)) | (Self::Tf32, _) => device::Precision::Tf32,
            (Self::Auto | Self::F32, _) => device::Precision::F32,
            (Self::Bf16, _) => device::Precision::Bf16,
        }
    }
}

impl From<device::Precision> for Precision {
    fn from(precision: device::Precision) -> Self {
        match precision {
            device::Precision::F32 => Self::F32,
            device::Precision::Tf32 => Self::Tf32,
            device::Precision::Bf16 => Self::Bf16,
        }
    }
}
