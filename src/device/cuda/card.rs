//! One card: its context, its one stream, the code loaded on it, its first fault.

use super::super::fault::Fault;
use super::super::kernels;
use super::super::launch::{Image, Kernel};
use crate::{Error, Result};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, DriverError, sys};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Environment: has the driver compile the kernels' text, as for cards that are newer than the program.
const FROM_TEXT: &str = "STRIATE_CUDA_PTX";

/// Environment: waits for every kernel, so that an error names the one that failed. Slow.
const WAIT: &str = "STRIATE_CUDA_WAIT";

/// What the card takes of shared memory for each block beside what the kernel asks for, in bytes.
const SHARED_PER_BLOCK: usize = 1024;

/// What all that lies on a card shares.
pub struct Card {
    pub(super) context: Arc<CudaContext>,
    pub(super) stream: Arc<CudaStream>,
    capability: u32,
    from_text: bool,
    /// Whether every kernel is waited for.
    pub(in crate::device) waits: bool,
    functions: Mutex<HashMap<(&'static str, usize), Function>>,
    modules: Mutex<HashMap<(&'static str, usize), Arc<CudaModule>>>,
    pub(in crate::device) fault: Fault,
}

#[derive(Clone, Copy)]
pub(super) struct Function(pub(super) sys::CUfunction);
// SAFETY: a handle that the driver allows from any thread with the context bound.
unsafe impl Send for Function {}

impl Card {
    /// Opens card `ordinal`; `place` is where it was asked for.
    pub(super) fn open(ordinal: usize, place: &str) -> Result<Self> {
        let fail = |e: DriverError| Error::bad(place, "the card", e, "one that can be used");
        let context = CudaContext::new(ordinal).map_err(fail)?;
        // SAFETY: one stream, nothing to track.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(fail)?;
        let (major, minor) = context.compute_capability().map_err(fail)?;
        let capability = (major * 10 + minor) as u32;
        if capability < 80 {
            let got = format!("compute capability {major}.{minor}");
            return Err(Error::bad(place, "the card", got, "8.0 (Ampere) or later"));
        }
        Ok(Self {
            context,
            stream,
            capability,
            from_text: std::env::var_os(FROM_TEXT).is_some(),
            waits: std::env::var_os(WAIT).is_some(),
            functions: Mutex::default(),
            modules: Mutex::default(),
            fault: Fault::default(),
        })
    }

    /// Name, compute capability, memory.
    pub(super) fn describe(&self) -> String {
        let name = self.context.name().unwrap_or_else(|_| "CUDA card".into());
        let memory = self.context.total_mem().map_or(0, |b| b >> 20);
        let (major, minor) = (self.capability / 10, self.capability % 10);
        format!(
            "{name} (cuda:{}), compute capability {major}.{minor}, {memory} MiB",
            self.context.ordinal()
        )
    }

    /// Whether it takes machine code for Hopper alone, which has no text for other cards.
    pub(in crate::device) fn is_hopper(&self) -> bool {
        self.capability == 90 && !self.from_text
    }

    /// Free and all bytes.
    pub(super) fn memory(&self) -> Option<(usize, usize)> {
        self.context.mem_get_info().ok()
    }

    /// Makes this thread's calls go to this card. Failure is a fault.
    pub(super) fn bind(&self) -> bool {
        self.keep("using the card", self.context.bind_to_thread())
            .is_some()
    }

    /// Whether calls from this thread go to this card and nothing has failed before.
    pub(super) fn is_ready(&self) -> bool {
        !self.fault.is_set() && self.bind()
    }

    pub(super) fn function(&self, kernel: &Kernel, precision: usize) -> Result<Function, String> {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(f) = functions.get(&(kernel.name, precision)) {
            return Ok(*f);
        }
        let module = self.module(kernel.module, precision)?;
        let function = module
            .load_function(kernel.name)
            .map_err(|e| format!("{}: {e}", kernel.name))?;
        self.make_room(&function, kernel)
            .map_err(|e| format!("{}: sharing out memory: {e}", kernel.name))?;
        let handle = Function(function.cu_function());
        functions.insert((kernel.name, precision), handle);
        Ok(handle)
    }

    /// Allows what the kernel's launches ask for, and divides the memory of a multiprocessor between cache and shared memory, so
    /// that as many blocks fit as the kernel is made for: the driver's own guess may leave room for one.
    fn make_room(&self, function: &CudaFunction, kernel: &Kernel) -> Result<(), DriverError> {
        if kernel.dynamic > 0 {
            let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function.set_attribute(most, kernel.dynamic as i32)?;
        }
        if kernel.resident == 1 {
            return Ok(());
        }
        let most =
            sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR;
        let all = self.context.attribute(most)?.max(1) as usize;
        let of_block = function.shared_size_bytes()? as usize + kernel.dynamic + SHARED_PER_BLOCK;
        let percent = (100 * kernel.resident * of_block).div_ceil(all).min(100);
        let share = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
        function.set_attribute(share, percent as i32)
    }

    fn module(&self, name: &'static str, precision: usize) -> Result<Arc<CudaModule>, String> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&(name, precision)) {
            return Ok(Arc::clone(module));
        }
        let image = self.pick(name, precision).ok_or_else(|| {
            format!(
                "{name}: no machine code for compute capability {}",
                self.capability
            )
        })?;
        let fail = |e: &dyn fmt::Display| format!("{name} ({}): {e}", image.arch);
        let code = image.code().map_err(|e| fail(&e))?;
        let code = if image.ptx {
            Ptx::from_src(String::from_utf8(code).map_err(|e| fail(&e))?)
        } else {
            Ptx::from_binary(code)
        };
        let module = self.context.load_module(code).map_err(|e| fail(&e))?;
        modules.insert((name, precision), Arc::clone(&module));
        Ok(module)
    }

    /// The error, and how to learn what failed where an earlier launch did.
    pub(super) fn explain(&self, error: DriverError) -> String {
        match kernel_failed(error) && !self.waits {
            true => format!("{error} (a kernel failed before; {WAIT}=1 names it)"),
            false => error.to_string(),
        }
    }

    pub(super) fn keep<T>(&self, what: &str, outcome: Result<T, DriverError>) -> Option<T> {
        outcome
            .map_err(|e| self.fault.set(format!("{what}: {}", self.explain(e))))
            .ok()
    }

    /// Machine code of the same major version, else the newest text that the driver can compile.
    fn pick(&self, module: &str, precision: usize) -> Option<&'static Image> {
        let images = |text: bool| {
            kernels::IMAGES.iter().filter(move |i| {
                i.module == module
                    && i.precision == precision
                    && i.ptx == text
                    && i.capability <= self.capability
            })
        };
        images(false)
            .filter(|i| !self.from_text && i.capability / 10 == self.capability / 10)
            .max_by_key(|i| i.capability)
            .or_else(|| images(true).max_by_key(|i| i.capability))
    }
}

/// Whether an error tells of a kernel that was asked for earlier.
fn kernel_failed(error: DriverError) -> bool {
    use sys::CUresult as C;
    matches!(
        error.0,
        C::CUDA_ERROR_LAUNCH_FAILED
            | C::CUDA_ERROR_ILLEGAL_ADDRESS
            | C::CUDA_ERROR_MISALIGNED_ADDRESS
            | C::CUDA_ERROR_ILLEGAL_INSTRUCTION
    )
}
