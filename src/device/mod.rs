//! The seam: where numbers live and where kernels run.
//!
//! Ops are free functions that take the [`Device`] first and match on it at one place, below the model and below
//! training: the CPU has its own paths, every other device runs the kernels, through one door (`launch`).

mod array;
pub mod cuda;
#[cfg(feature = "emulator")]
pub mod emulator;
mod fault;
pub(crate) mod kernels;
pub(crate) mod launch;
mod maps;
mod memory;
mod precision;
mod tensor_map;
mod transfer;

pub use array::{Array, Element, View, ViewMut};
pub use cuda::Cuda;
#[cfg(feature = "emulator")]
pub use emulator::Emulator;
pub use maps::{MapView, MapViewMut, Maps};
pub use precision::Precision;
pub(crate) use tensor_map::TensorMap;
pub use transfer::Transfer;

use crate::{Error, Result};

/// Multiprocessors of the largest cards, for plans of launches. The same on all of them where it decides the order of a sum.
pub const MULTIPROCESSORS: usize = 132;

/// Where arrays live and ops run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Device {
    /// All cores of this machine.
    Cpu,
    /// An NVIDIA card.
    Cuda(Cuda),
    /// The card's kernels on this machine's processor, for tests.
    #[cfg(feature = "emulator")]
    Emulated(Emulator),
}

/// A sequence of work that the device repeats by itself, or that has to be asked for each time.
#[derive(Debug)]
pub struct Graph(Option<cuda::Graph>);

/// A moment in a device's work.
#[derive(Debug)]
pub struct Mark(Moment);

#[derive(Debug)]
enum Moment {
    Here(std::time::Instant),
    Card(Option<cuda::Mark>),
}

impl Device {
    /// Opens `auto` (the first card if there is one and this build has kernels, else the CPU), `cpu`, `cuda` or `cuda:N`.
    ///
    /// # Errors
    /// For a name that is none of these, or a device that cannot be had.
    pub fn open(name: &str) -> Result<Self> {
        let ordinal = match name {
            "cuda" => Some(0),
            _ => name.strip_prefix("cuda:").and_then(|n| n.parse().ok()),
        };
        match (name, ordinal) {
            ("auto", _) if kernels::MISSING.is_none() && cuda::cards() > 0 => {
                Ok(Self::Cuda(Cuda::open(0)?))
            }
            ("auto" | "cpu", _) => Ok(Self::Cpu),
            (_, Some(ordinal)) => Ok(Self::Cuda(Cuda::open(ordinal)?)),
            #[cfg(feature = "emulator")]
            ("emulated", _) => Ok(Self::Emulated(Emulator::new(
                emulator::Order::Forward,
                Precision::F32,
            ))),
            _ => Err(Error::bad(
                "--device",
                "the device",
                format!("\"{name}\""),
                "auto, cpu, cuda or cuda:N",
            )),
        }
    }

    /// The same device with another way to multiply matrices; the CPU knows float32 only.
    pub fn with_precision(&self, precision: Precision) -> Self {
        match self {
            Self::Cpu => Self::Cpu,
            Self::Cuda(cuda) => Self::Cuda(Cuda {
                precision,
                ..cuda.clone()
            }),
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => Self::Emulated(Emulator {
                precision,
                ..emulator.clone()
            }),
        }
    }

    /// How it multiplies matrices.
    pub fn precision(&self) -> Precision {
        match self {
            Self::Cpu => Precision::F32,
            Self::Cuda(cuda) => cuda.precision,
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => emulator.precision,
        }
    }

    /// Whether it runs the kernels that are for Hopper alone.
    pub(crate) fn is_hopper(&self) -> bool {
        match self {
            Self::Cpu => false,
            Self::Cuda(cuda) => cuda.card.is_hopper(),
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => emulator.hopper,
        }
    }

    /// An array of zeros.
    pub fn zeros<T: Element>(&self, shape: &[usize]) -> Array<T> {
        let len = shape.iter().product::<usize>();
        match self {
            Self::Cuda(cuda) => {
                Array::from_card(cuda::Memory::zeros(&cuda.card, len * size_of::<T>()), shape)
            }
            _ => Array::from_host(vec![T::zeroed(); len], shape),
        }
    }

    /// Maps of zeros, stored as the precision wants them.
    pub fn maps(&self, shape: &[usize]) -> Maps {
        match self.precision() {
            Precision::Bf16 => Maps::Half(self.zeros(shape)),
            _ => Maps::Float(self.zeros(shape)),
        }
    }

    /// Copies numbers to the device.
    pub fn upload<T: Element>(&self, values: &[T], shape: &[usize]) -> Array<T> {
        match self {
            Self::Cuda(_) => {
                let mut array = self.zeros(shape);
                array.fill_from(values);
                array
            }
            _ => Array::from_host(values.to_vec(), shape),
        }
    }

    /// Lends `len` float32 of the device's memory from a multiple of 16 bytes on, whatever they hold, until `body` is over.
    pub(crate) fn scratch<R>(&self, len: usize, body: impl FnOnce(ViewMut) -> R) -> R {
        if let Self::Cuda(cuda) = self {
            return cuda.scratch(len, body);
        }
        let nan: u128 = bytemuck::cast([f32::NAN; 4]);
        let mut quads = vec![nan; len.div_ceil(4)];
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(&mut quads);
        body(ViewMut::Host(&mut numbers[..len]))
    }

    /// Whether something went wrong.
    fn failed(&self) -> bool {
        match self {
            Self::Cpu => false,
            Self::Cuda(cuda) => cuda.card.fault.is_set(),
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => emulator.fault.is_set(),
        }
    }

    fn fail(&self, message: String) {
        match self {
            Self::Cpu => panic!("{message}"),
            Self::Cuda(cuda) => cuda.card.fault.set(message),
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => emulator.fault.set(message),
        }
    }

    /// Whether all that was asked of the device went well so far. Work that was asked for may still be under way.
    ///
    /// # Errors
    /// The first fault: too little memory, a kernel that failed.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Cpu => Ok(()),
            Self::Cuda(cuda) => cuda.card.fault.check(),
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => emulator.fault.check(),
        }
    }

    /// Records what `body` asks of the device, for [`Graph::replay`]. A card does not do it yet; elsewhere, and where each
    /// kernel is waited for, there is nothing to record and `body` is not called.
    pub fn record(&self, body: impl FnOnce()) -> Graph {
        match self {
            Self::Cuda(cuda) if !cuda.card.waits => Graph(cuda::Graph::record(cuda, body)),
            _ => Graph(None),
        }
    }

    /// Notes the moment at which all that was asked for so far is done.
    pub fn mark(&self) -> Mark {
        match self {
            Self::Cuda(cuda) => Mark(Moment::Card(cuda::Mark::new(cuda))),
            _ => Mark(Moment::Here(std::time::Instant::now())),
        }
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Cuda(cuda) => cuda.describe(),
            #[cfg(feature = "emulator")]
            Self::Emulated(_) => "the card's kernels, emulated".into(),
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

impl Graph {
    /// Repeats the recorded work; false if nothing was recorded.
    pub fn replay(&self) -> bool {
        self.0.as_ref().map(cuda::Graph::replay).is_some()
    }
}

impl Mark {
    /// Waits until the device has come here.
    pub fn wait(&self) {
        if let Moment::Card(Some(mark)) = &self.0 {
            mark.wait();
        }
    }

    /// Seconds from here to a later mark, on the device's clock.
    pub fn seconds_until(&self, later: &Self) -> f64 {
        match (&self.0, &later.0) {
            (Moment::Here(a), Moment::Here(b)) => (*b - *a).as_secs_f64(),
            (Moment::Card(Some(a)), Moment::Card(Some(b))) => {
                b.wait();
                a.until(b).map_or(f64::NAN, |ms| f64::from(ms) / 1e3)
            }
            _ => f64::NAN,
        }
    }
}
