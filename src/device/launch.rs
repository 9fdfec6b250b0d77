//! The one door to kernels: every launch of every device passes [`Device::launch`].

use super::tensor_map::{Layout, TensorMap};
use super::{Device, Element, MapView, MapViewMut, View, ViewMut};
use std::io::Read as _;
use std::marker::PhantomData;

/// A kernel as its source declares it.
#[derive(Debug)]
pub struct Kernel {
    /// The file that holds it, without extension.
    pub module: &'static str,
    /// Its name in the machine code.
    pub name: &'static str,
    /// Threads of a block.
    pub threads: usize,
    /// Blocks that are to run on a multiprocessor at once, as `__launch_bounds__` says.
    pub resident: usize,
    /// Neighbouring blocks along x that run together and reach each other's shared memory.
    pub cluster: usize,
    /// Bytes of shared memory that a launch asks for, beside what the kernel declares.
    pub dynamic: usize,
    /// Whether there is one for each precision.
    pub by_precision: bool,
    /// Compiled for this machine's processor: one, or one per precision that there is.
    #[cfg(feature = "emulator")]
    pub emulated: &'static [Option<Emulated>],
}

/// A kernel compiled for this machine's processor.
#[cfg(feature = "emulator")]
#[derive(Debug)]
pub struct Emulated {
    /// To run.
    pub plain: Entry,
    /// To be watched at every access to memory.
    pub watched: Entry,
}

/// How to run a kernel on this machine's processor.
#[cfg(feature = "emulator")]
#[derive(Debug)]
pub struct Entry {
    /// Calls it with pointers to its arguments.
    pub run: unsafe extern "C" fn(*mut *mut std::ffi::c_void),
    /// Writes begin and end of its file's shared memory.
    pub shared: unsafe extern "C" fn(*mut *mut u32),
}

/// Machine code of one file of kernels for one target.
#[derive(Debug)]
pub struct Image {
    /// The file, without extension.
    pub module: &'static str,
    /// Index among the precisions.
    pub precision: usize,
    /// `sm_90`, `sm_90a` (Hopper alone) or `compute_80`.
    pub arch: &'static str,
    /// 90.
    pub capability: u32,
    /// Text that the driver compiles, for later architectures, instead of machine code.
    pub ptx: bool,
    /// The code, deflated.
    pub deflated: &'static [u8],
}

impl Image {
    /// The code.
    ///
    /// # Errors
    /// When it is not what `build.rs` wrote.
    pub fn code(&self) -> std::io::Result<Vec<u8>> {
        let mut code = Vec::new();
        flate2::read::ZlibDecoder::new(self.deflated).read_to_end(&mut code)?;
        Ok(code)
    }
}

/// One argument of a launch.
#[derive(Debug)]
pub enum Arg<'a> {
    /// Read.
    In(Raw, PhantomData<&'a ()>),
    /// Written, and perhaps read.
    Out(Raw, PhantomData<&'a mut ()>),
    /// Read, by the copy engine.
    Boxes(Raw, Layout, PhantomData<&'a ()>),
    /// `int`.
    Int(i32),
    /// `float`.
    Float(f32),
    /// A number that no `int` holds.
    TooLarge(usize),
}

/// Memory of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    /// Address on the device, or here.
    pub address: u64,
    /// Length.
    #[cfg_attr(not(feature = "emulator"), expect(dead_code))]
    pub bytes: usize,
    /// Bytes of a number.
    pub width: usize,
}

impl<'a> Arg<'a> {
    /// A view that the kernel reads.
    pub fn input<T: Element>(view: View<'a, T>) -> Self {
        Self::In(view.raw(), PhantomData)
    }

    /// A view that the kernel writes.
    pub fn output<T: Element>(view: ViewMut<'a, T>) -> Self {
        Self::Out(view.raw(), PhantomData)
    }

    /// Maps that the kernel reads.
    ///
    /// # Panics
    /// When they are not stored as the device's precision wants it: they were made for another device.
    pub fn input_map(device: &Device, maps: MapView<'a>) -> Self {
        maps.check(device);
        match maps {
            MapView::Float(view) => Self::input(view),
            MapView::Half(view) => Self::input(view),
        }
    }

    /// Maps that the kernel writes.
    ///
    /// # Panics
    /// As [`Arg::input_map`].
    pub fn output_map(device: &Device, maps: MapViewMut<'a>) -> Self {
        maps.read().check(device);
        match maps {
            MapViewMut::Float(view) => Self::output(view),
            MapViewMut::Half(view) => Self::output(view),
        }
    }

    /// A matrix that the kernel has the copy engine read.
    ///
    /// # Panics
    /// As [`Arg::input_map`], and when it cannot be copied so.
    pub fn tensor_map(device: &Device, map: TensorMap<'a>) -> Self {
        let raw = match map.matrix {
            MapView::Float(view) => view.raw(),
            MapView::Half(view) => view.raw(),
        };
        Self::Boxes(raw, map.layout(device), PhantomData)
    }

    /// A count or a size.
    pub fn int(n: usize) -> Self {
        i32::try_from(n).map_or(Self::TooLarge(n), Self::Int)
    }
}

/// Most blocks along each axis of a grid.
const MOST_BLOCKS: [usize; 3] = [i32::MAX as usize, 65_535, 65_535];

impl Device {
    /// Runs `grid` blocks of a kernel, after what was asked of the device before. Faults are kept for [`Device::check`].
    pub(crate) fn launch(&self, kernel: &'static Kernel, grid: [usize; 3], args: &mut [Arg]) {
        if grid.contains(&0) || self.failed() {
            return;
        }
        let mut blocks = [0u32; 3];
        for axis in 0..3 {
            if grid[axis] > MOST_BLOCKS[axis] {
                return self.fail(format!(
                    "{}: {grid:?} blocks, wanted at most {MOST_BLOCKS:?}",
                    kernel.name
                ));
            }
            blocks[axis] = grid[axis] as u32;
        }
        if !grid[0].is_multiple_of(kernel.cluster) {
            return self.fail(format!(
                "{}: {} blocks, wanted a multiple of {}",
                kernel.name, grid[0], kernel.cluster
            ));
        }
        if let Some(Arg::TooLarge(n)) = args.iter().find(|a| matches!(a, Arg::TooLarge(_))) {
            return self.fail(format!(
                "{}: an argument of {n}, wanted less than 2^31",
                kernel.name
            ));
        }
        let outcome = match self {
            Self::Cpu => Err(format!("{}: the CPU runs no kernels", kernel.name)),
            Self::Cuda(cuda) => cuda.launch(kernel, blocks, args),
            #[cfg(feature = "emulator")]
            Self::Emulated(emulator) => emulator.launch(kernel, blocks, args),
        };
        if let Err(message) = outcome {
            self.fail(message);
        }
    }
}
