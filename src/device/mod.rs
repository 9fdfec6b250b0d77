//! The seam: where numbers live and where kernels run.
//!
//! Ops are free functions that take the [`Device`] first and match on it at one place, below the model and below
//! training. A new device is a variant here, a variant in [`Array`]'s storage, and a kernel per op.

mod array;
mod memory;

pub use array::{Array, Element, View, ViewMut};

use crate::{Error, Result};

/// Where arrays live and ops run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Device {
    /// All cores of this machine.
    Cpu,
}

impl Device {
    /// Opens `auto`, `cpu`, `cuda` or `cuda:N`.
    ///
    /// # Errors
    /// For a name that is none of these, or a device that cannot be had.
    pub fn open(name: &str) -> Result<Self> {
        let is_cuda = name == "cuda"
            || name
                .strip_prefix("cuda:")
                .is_some_and(|n| n.parse::<u32>().is_ok());
        match name {
            "auto" | "cpu" => Ok(Self::Cpu),
            _ if is_cuda => Err(Error::bad(
                "--device",
                "the device",
                name,
                "auto or cpu: this version has no CUDA engine yet",
            )),
            _ => Err(Error::bad(
                "--device",
                "the device",
                format!("\"{name}\""),
                "auto, cpu, cuda or cuda:N",
            )),
        }
    }

    /// An array of zeros.
    pub fn zeros<T: Element>(&self, shape: &[usize]) -> Array<T> {
        match self {
            Self::Cpu => Array::from_host(vec![T::zeroed(); shape.iter().product()], shape),
        }
    }

    /// Copies numbers to the device.
    pub fn upload<T: Element>(&self, values: &[T], shape: &[usize]) -> Array<T> {
        match self {
            Self::Cpu => Array::from_host(values.to_vec(), shape),
        }
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Cpu => format!(
                "CPU, {} threads, {}",
                rayon::current_num_threads(),
                match pulp::Arch::new() {
                    #[cfg(target_arch = "x86_64")]
                    pulp::Arch::V4(_) => "AVX-512",
                    #[cfg(target_arch = "x86_64")]
                    pulp::Arch::V3(_) => "AVX2",
                    _ => "portable vectors",
                }
            ),
        }
    }
}
