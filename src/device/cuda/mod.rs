//! NVIDIA cards through the driver, which is looked for when asked for: nothing of CUDA is needed to build or to start.
//!
//! One stream, so everything happens in the order asked for. Faults are kept until [`Device::check`](super::Device::check).

mod card;
mod graph;
mod mark;
mod memory;
mod pinned;
mod scratch;

pub use card::Card;
pub use graph::Graph;
pub use mark::Mark;
pub use memory::{Memory, Span};
pub use pinned::Pinned;
use scratch::Scratch;

use super::ViewMut;
use super::kernels;
use super::launch::{Arg, Kernel};
use super::precision::Precision;
use super::tensor_map::{BOX_BYTES, Layout};
use crate::{Error, Result};
use cudarc::driver::{CudaContext, DriverError, result, sys};
use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

/// One card.
#[derive(Clone)]
pub struct Cuda {
    pub(super) card: Arc<Card>,
    pub(super) scratch: Arc<Scratch>,
    pub(super) precision: Precision,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Cuda({}, {:?})",
            self.card.context.ordinal(),
            self.precision
        )
    }
}

impl Cuda {
    /// Opens card `ordinal`.
    ///
    /// # Errors
    /// Says what is missing: kernels in this build, the driver, or the card.
    pub fn open(ordinal: usize) -> Result<Self> {
        let place = format!("--device cuda:{ordinal}");
        if let Some(why) = kernels::MISSING {
            let wanted = format!("a build with NVRTC at hand ({why})");
            return Err(Error::bad(
                place,
                "this build",
                "without CUDA kernels",
                wanted,
            ));
        }
        let count = count()
            .map_err(|e| Error::bad(&place, "the driver", e, "NVIDIA's driver, 525 or later"))?;
        if ordinal >= count {
            let got = format!("one of {count}");
            return Err(Error::bad(
                place,
                "the card",
                got,
                format!("less than {count}"),
            ));
        }
        let card = Arc::new(Card::open(ordinal, &place)?);
        Ok(Self {
            card,
            scratch: Arc::default(),
            precision: Precision::F32,
        })
    }

    /// Name, compute capability, memory.
    pub fn describe(&self) -> String {
        self.card.describe()
    }

    /// Free and all bytes.
    pub(super) fn memory(&self) -> Option<(usize, usize)> {
        self.card.memory()
    }

    /// Lends `len` float32 of the card's memory, whatever they hold, until `body` is over.
    pub(super) fn scratch<R>(&self, len: usize, body: impl FnOnce(ViewMut) -> R) -> R {
        let memory = self.scratch.take(&self.card, len * size_of::<f32>());
        let result = body(ViewMut::Cuda(Span::new(&memory, 0..len)));
        self.scratch.give(memory);
        result
    }

    pub(super) fn launch(
        &self,
        kernel: &Kernel,
        grid: [u32; 3],
        args: &[Arg],
    ) -> Result<(), String> {
        let precision = if kernel.by_precision {
            self.precision as usize
        } else {
            0
        };
        if !self.card.is_ready() {
            return Ok(());
        }
        let function = self.card.function(kernel, precision)?;
        let mut values = args
            .iter()
            .map(value)
            .collect::<Result<Vec<Value>, DriverError>>()
            .map_err(|e| format!("{}: describing a matrix: {e}", kernel.name))?;
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|v| std::ptr::from_mut(v).cast())
            .collect();
        // SAFETY: build.rs read the kernel's signature, and the generated function passed arguments of its types.
        unsafe {
            result::launch_kernel(
                function.0,
                (grid[0], grid[1], grid[2]),
                (kernel.threads as u32, 1, 1),
                kernel.dynamic as u32,
                self.card.stream.cu_stream(),
                &mut pointers,
            )
            .and_then(|()| match self.card.waits {
                true => result::stream::synchronize(self.card.stream.cu_stream()),
                false => Ok(()),
            })
        }
        .map_err(|e| format!("{}: {}", kernel.name, self.card.explain(e)))
    }
}

/// An argument as a kernel takes it, from its first byte on.
type Value = sys::CUtensorMap;

fn value(arg: &Arg) -> Result<Value, DriverError> {
    let mut value = Value { opaque: [0; 16] };
    value.opaque[0] = match arg {
        Arg::In(raw, _) | Arg::Out(raw, _) => raw.address,
        Arg::Int(n) => u64::from(*n as u32),
        Arg::Float(v) => u64::from(v.to_bits()),
        Arg::TooLarge(_) => 0,
        Arg::Boxes(raw, layout, _) => return described(raw.address, *layout),
    };
    Ok(value)
}

/// A matrix of words, copied in boxes whose rows lie in the order that products of warpgroups read (`kernels/warpgroup.cuh`).
fn described(address: u64, layout: Layout) -> Result<Value, DriverError> {
    let mut map = Value { opaque: [0; 16] };
    let lengths = [layout.words as u64, layout.rows as u64];
    let to_next_row = [layout.words as u64 * 4];
    let of_box = [(BOX_BYTES / 4) as u32, layout.box_rows as u32];
    // SAFETY: every array is as long as two axes ask for, and the matrix was checked to hold its rows.
    unsafe {
        sys::cuTensorMapEncodeTiled(
            &mut map,
            sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT32,
            2,
            address as *mut c_void,
            lengths.as_ptr(),
            to_next_row.as_ptr(),
            of_box.as_ptr(),
            [1; 2].as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
        .result()?;
    }
    Ok(map)
}

/// Cards that there are.
fn count() -> Result<usize, String> {
    // SAFETY: asks the loader whether the library is there.
    if !unsafe { sys::is_culib_present() } {
        return Err("not found (libcuda.so)".into());
    }
    CudaContext::device_count()
        .map(|n| n as usize)
        .map_err(|e| e.to_string())
}

/// The architectures that this build has kernels for.
///
/// # Errors
/// Why there are none, and how to get them.
pub fn architectures() -> Result<String, &'static str> {
    if let Some(why) = kernels::MISSING {
        return Err(why);
    }
    let mut names: Vec<&str> = kernels::IMAGES.iter().map(|i| i.arch).collect();
    names.sort_by_key(|n| (n.starts_with("compute"), n.len(), *n));
    names.dedup();
    Ok(names.join(", "))
}

/// Every card that the driver shows, in words.
///
/// # Errors
/// When there is no driver.
pub fn list() -> Result<Vec<String>, String> {
    (0..count()?)
        .map(|i| Ok(Cuda::open(i).map_or_else(|e| e.to_string(), |c| c.describe())))
        .collect()
}

/// How many cards can be opened; 0 without a driver.
pub fn cards() -> usize {
    count().unwrap_or(0)
}
