//! NVIDIA cards through the driver, which is looked for when asked for: nothing of CUDA is needed to build or to start.
//!
//! One stream, so everything happens in the order asked for. Faults are kept until [`Device::check`](super::Device::check).

use super::Element;
use super::fault::Fault;
use super::kernels;
use super::launch::{Arg, Image, Kernel, Raw};
use super::precision::Precision;
use crate::{Error, Result};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaGraph, CudaModule, CudaStream, DriverError, result, sys,
};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// One card.
#[derive(Clone)]
pub struct Cuda {
    pub(super) card: Arc<Card>,
    pub(super) precision: Precision,
}

/// What all that lies on a card shares.
pub struct Card {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    capability: u32,
    functions: Mutex<HashMap<(&'static str, usize), Function>>,
    modules: Mutex<HashMap<(&'static str, usize), Arc<CudaModule>>>,
    /// Never freed while the card is in use: a recorded graph may point into any of them.
    pub(super) scratch: Mutex<Vec<Memory>>,
    pub(super) fault: Fault,
}

#[derive(Clone, Copy)]
struct Function(sys::CUfunction);
// SAFETY: a handle that the driver allows from any thread with the context bound.
unsafe impl Send for Function {}

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
        let fail = |e: DriverError| Error::bad(&place, "the card", e, "one that can be used");
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
            card: Arc::new(Card {
                context,
                stream,
                capability,
                functions: Mutex::default(),
                modules: Mutex::default(),
                scratch: Mutex::default(),
                fault: Fault::default(),
            }),
            precision: Precision::F32,
        })
    }

    /// Name, compute capability, memory.
    pub fn describe(&self) -> String {
        let context = &self.card.context;
        let name = context.name().unwrap_or_else(|_| "CUDA card".into());
        let memory = context.total_mem().map_or(0, |b| b >> 20);
        let (major, minor) = (self.card.capability / 10, self.card.capability % 10);
        format!(
            "{name} (cuda:{}), compute capability {major}.{minor}, {memory} MiB",
            context.ordinal()
        )
    }

    /// Free and all bytes.
    pub(super) fn memory(&self) -> Option<(usize, usize)> {
        self.card.context.mem_get_info().ok()
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
        let function = self.card.function(kernel, precision)?;
        let mut values: Vec<u64> = args
            .iter()
            .map(|a| match a {
                Arg::In(raw, _) | Arg::Out(raw, _) => raw.address,
                Arg::Int(n) => u64::from(*n as u32),
                Arg::Float(v) => u64::from(v.to_bits()),
                Arg::TooLarge(_) => 0,
            })
            .collect();
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|v| std::ptr::from_mut(v).cast())
            .collect();
        self.card.bind()?;
        // SAFETY: build.rs read the kernel's signature, and the generated function passed arguments of its types.
        unsafe {
            result::launch_kernel(
                function.0,
                (grid[0], grid[1], grid[2]),
                (kernel.threads as u32, 1, 1),
                0,
                self.card.stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(|e| format!("{}: {e}", kernel.name))
    }
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

impl Card {
    fn bind(&self) -> Result<(), String> {
        self.context.bind_to_thread().map_err(|e| e.to_string())
    }

    fn function(&self, kernel: &Kernel, precision: usize) -> Result<Function, String> {
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
        let handle = Function(function.cu_function());
        functions.insert((kernel.name, precision), handle);
        Ok(handle)
    }

    fn module(&self, name: &'static str, precision: usize) -> Result<Arc<CudaModule>, String> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&(name, precision)) {
            return Ok(Arc::clone(module));
        }
        let image = pick(name, precision, self.capability).ok_or_else(|| {
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

    fn keep<T>(&self, what: &str, outcome: Result<T, DriverError>) -> Option<T> {
        outcome
            .map_err(|e| self.fault.set(format!("{what}: {e}")))
            .ok()
    }
}

/// Machine code of the same major version, else the newest text that the driver can compile.
fn pick(module: &str, precision: usize, capability: u32) -> Option<&'static Image> {
    let images = || {
        kernels::IMAGES
            .iter()
            .filter(|i| i.module == module && i.precision == precision)
    };
    let fits =
        |i: &&Image| !i.ptx && i.capability / 10 == capability / 10 && i.capability <= capability;
    images()
        .filter(fits)
        .max_by_key(|i| i.capability)
        .or_else(|| {
            images()
                .filter(|i| i.ptx && i.capability <= capability)
                .max_by_key(|i| i.capability)
        })
}

/// A block of a card's memory.
pub struct Memory {
    card: Arc<Card>,
    address: u64,
    bytes: usize,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes)", self.bytes)
    }
}

impl Memory {
    /// `bytes` zeros. Too little memory is a fault of the card.
    pub fn zeros(cuda: &Cuda, bytes: usize) -> Self {
        let card = Arc::clone(&cuda.card);
        let mut memory = Self {
            card,
            address: 0,
            bytes: 0,
        };
        if bytes == 0 || memory.card.fault.is_set() || memory.card.bind().is_err() {
            return memory;
        }
        // SAFETY: the address is used within `bytes` and freed once.
        match unsafe { result::malloc_sync(bytes) } {
            Ok(address) => {
                (memory.address, memory.bytes) = (address, bytes);
                let stream = memory.card.stream.cu_stream();
                // SAFETY: just allocated.
                let set = unsafe { result::memset_d8_async(address, 0, bytes, stream) };
                memory.card.keep("clearing memory", set);
            }
            Err(e) => {
                let free = cuda
                    .memory()
                    .map_or("unknown".into(), |(free, _)| free.to_string());
                memory.card.fault.set(format!(
                    "{}: {bytes} bytes of memory wanted, {free} free ({e}); a smaller training.batch_size needs less",
                    cuda.describe()
                ));
            }
        }
        memory
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn span<T: Element>(&self, range: Range<usize>) -> (u64, usize) {
        let (start, end) = (range.start * size_of::<T>(), range.end * size_of::<T>());
        // After a failed allocation there is nothing, and nothing will be run.
        assert!(
            start <= end && (end <= self.bytes || self.card.fault.is_set()),
            "{range:?} of {self:?}"
        );
        (self.address + start as u64, end - start)
    }
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        let cuda = Cuda {
            card: Arc::clone(&self.card),
            precision: Precision::F32,
        };
        let copy = Self::zeros(&cuda, self.bytes);
        if copy.bytes == self.bytes && self.bytes > 0 {
            copy_within(&self.card, copy.address, self.address, self.bytes);
        }
        copy
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.address != 0 && self.card.bind().is_ok() {
            // SAFETY: allocated by `zeros`, freed once; freeing waits for what still runs.
            let freed = unsafe { result::free_sync(self.address) };
            self.card.keep("freeing memory", freed);
        }
    }
}

fn copy_within(card: &Card, to: u64, from: u64, bytes: usize) {
    if bytes == 0 || card.fault.is_set() || card.bind().is_err() {
        return;
    }
    // SAFETY: both lie in live allocations of this length.
    let copied = unsafe { result::memcpy_dtod_async(to, from, bytes, card.stream.cu_stream()) };
    card.keep("copying on the card", copied);
}

/// Part of a card's memory.
#[derive(Debug)]
pub struct Span<'a, T: Element> {
    memory: &'a Memory,
    start: usize,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Element> Clone for Span<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for Span<'_, T> {}

impl<'a, T: Element> Span<'a, T> {
    pub(super) fn new(memory: &'a Memory, range: Range<usize>) -> Self {
        Self {
            memory,
            start: range.start,
            len: range.len(),
            of: PhantomData,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn slice(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {}",
            self.len
        );
        Self {
            start: self.start + range.start,
            len: range.len(),
            ..self
        }
    }

    fn place(&self) -> (u64, usize) {
        self.memory.span::<T>(self.start..self.start + self.len)
    }

    pub(super) fn raw(self) -> Raw {
        let (address, bytes) = self.place();
        Raw {
            address,
            words: bytes / 4,
        }
    }

    /// Waits for all that was asked of the card before.
    pub(super) fn download(self) -> Vec<T> {
        let mut values = vec![T::zeroed(); self.len];
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || card.fault.is_set() || card.bind().is_err() {
            return values;
        }
        let stream = card.stream.cu_stream();
        // SAFETY: the allocation is live and as long; the host's copy is complete after the wait.
        let copied = unsafe {
            result::memcpy_dtoh_async(&mut values, address, stream)
                .and_then(|()| result::stream::synchronize(stream))
        };
        card.keep("copying from the card", copied);
        values
    }

    pub(super) fn upload(self, values: &[T]) {
        assert_eq!(values.len(), self.len);
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || card.fault.is_set() || card.bind().is_err() {
            return;
        }
        // SAFETY: the allocation is live and as long; from pageable memory the driver has read all before it returns.
        let copied = unsafe { result::memcpy_htod_async(address, values, card.stream.cu_stream()) };
        card.keep("copying to the card", copied);
    }

    pub(super) fn copy_from(self, other: Self) {
        assert_eq!(self.len, other.len);
        let ((to, bytes), (from, _)) = (self.place(), other.place());
        copy_within(&self.memory.card, to, from, bytes);
    }

    pub(super) fn fill(self, value: T) {
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || card.fault.is_set() || card.bind().is_err() {
            return;
        }
        let stream = card.stream.cu_stream();
        let filled = match bytemuck::bytes_of(&value) {
            &[a, b, c, d] => {
                let word = u32::from_ne_bytes([a, b, c, d]);
                // SAFETY: the allocation is live and holds this many words.
                unsafe { sys::cuMemsetD32Async(address, word, bytes / 4, stream) }.result()
            }
            // SAFETY: as above.
            all if all.iter().all(|&b| b == 0) => unsafe {
                result::memset_d8_async(address, 0, bytes, stream)
            },
            _ => return self.upload(&vec![value; self.len]),
        };
        card.keep("filling memory", filled);
    }
}

/// A sequence of launches that the card repeats by itself.
pub struct Graph {
    graph: CudaGraph,
    card: Arc<Card>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Graph")
    }
}

impl Graph {
    /// Records what `body` asks of the card, without doing it.
    pub(super) fn record(cuda: &Cuda, body: impl FnOnce()) -> Option<Self> {
        let card = &cuda.card;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        card.keep("recording a step", card.stream.begin_capture(mode))?;
        body();
        let flags = sys::CUgraphInstantiate_flags(0);
        let graph = card.keep("recording a step", card.stream.end_capture(flags))??;
        Some(Self {
            graph,
            card: Arc::clone(card),
        })
    }

    /// Does it.
    pub(super) fn replay(&self) {
        if !self.card.fault.is_set() {
            self.card.keep("repeating a step", self.graph.launch());
        }
    }
}

/// A moment in the stream.
pub struct Mark {
    event: CudaEvent,
    card: Arc<Card>,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

impl Mark {
    pub(super) fn new(cuda: &Cuda) -> Option<Self> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let event = cuda
            .card
            .keep("marking a moment", cuda.card.stream.record_event(flags))?;
        Some(Self {
            event,
            card: Arc::clone(&cuda.card),
        })
    }

    /// Waits until the card has come here.
    pub(super) fn wait(&self) {
        self.card
            .keep("waiting for the card", self.event.synchronize());
    }

    /// Milliseconds on the card from here to a later mark, once both have been reached.
    pub(super) fn until(&self, later: &Self) -> Option<f32> {
        self.card
            .keep("timing", self.event.elapsed_ms(&later.event))
    }
}
