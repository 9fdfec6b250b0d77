//! Blocks of a card's memory, and parts of them.

use super::super::Element;
use super::super::launch::Raw;
use super::Card;
use cudarc::driver::{result, sys};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

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
    pub fn zeros(card: &Arc<Card>, bytes: usize) -> Self {
        let mut memory = Self {
            card: Arc::clone(card),
            address: 0,
            bytes: 0,
        };
        if bytes == 0 || !memory.card.is_ready() {
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
                let free = card
                    .memory()
                    .map_or("unknown".into(), |(free, _)| free.to_string());
                memory.card.fault.set(format!(
                    "{}: {bytes} bytes of memory wanted, {free} free ({e}); a smaller training.batch_size needs less",
                    card.describe()
                ));
            }
        }
        memory
    }

    pub(in crate::device) fn bytes(&self) -> usize {
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
        let copy = Self::zeros(&self.card, self.bytes);
        if copy.bytes == self.bytes && self.bytes > 0 {
            copy_within(&self.card, copy.address, self.address, self.bytes);
        }
        copy
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.address != 0 && self.card.bind() {
            // SAFETY: allocated by `zeros`, freed once; freeing waits for what still runs.
            let freed = unsafe { result::free_sync(self.address) };
            self.card.keep("freeing memory", freed);
        }
    }
}

fn copy_within(card: &Card, to: u64, from: u64, bytes: usize) {
    if bytes == 0 || !card.is_ready() {
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
    pub(in crate::device) fn new(memory: &'a Memory, range: Range<usize>) -> Self {
        Self {
            memory,
            start: range.start,
            len: range.len(),
            of: PhantomData,
        }
    }

    pub(in crate::device) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::device) fn slice(self, range: Range<usize>) -> Self {
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

    /// The same memory as numbers of 16 bits.
    pub(in crate::device) fn halves(self) -> Span<'a, u16> {
        let per_number = size_of::<T>() / size_of::<u16>();
        Span {
            memory: self.memory,
            start: self.start * per_number,
            len: self.len * per_number,
            of: PhantomData,
        }
    }

    fn place(&self) -> (u64, usize) {
        self.memory.span::<T>(self.start..self.start + self.len)
    }

    pub(in crate::device) fn raw(self) -> Raw {
        let (address, bytes) = self.place();
        Raw {
            address,
            bytes,
            width: size_of::<T>(),
        }
    }

    /// Has the card read `values`, pinned memory that must stay as it is until it has.
    pub(in crate::device) fn start_upload(self, values: &[T]) {
        assert_eq!(values.len(), self.len);
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || !card.is_ready() {
            return;
        }
        // SAFETY: the allocation is live and as long; the owner of the host's copy waits before it touches it.
        let copied = unsafe { result::memcpy_htod_async(address, values, card.stream.cu_stream()) };
        card.keep("copying to the card", copied);
    }

    /// Has the card write `values`, pinned memory that must not be used until it has.
    pub(in crate::device) fn start_download(self, values: &mut [T]) {
        assert_eq!(values.len(), self.len);
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || !card.is_ready() {
            return;
        }
        // SAFETY: as for `start_upload`.
        let copied = unsafe { result::memcpy_dtoh_async(values, address, card.stream.cu_stream()) };
        card.keep("copying from the card", copied);
    }

    /// Waits for all that was asked of the card before.
    pub(in crate::device) fn download(self) -> Vec<T> {
        let mut values = vec![T::zeroed(); self.len];
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || !card.is_ready() {
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

    /// Waits until the card has read `values`.
    pub(in crate::device) fn upload(self, values: &[T]) {
        assert_eq!(values.len(), self.len);
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || !card.is_ready() {
            return;
        }
        let stream = card.stream.cu_stream();
        // SAFETY: the allocation is live and as long; after the wait nobody reads the host's copy.
        let copied = unsafe {
            result::memcpy_htod_async(address, values, stream)
                .and_then(|()| result::stream::synchronize(stream))
        };
        card.keep("copying to the card", copied);
    }

    pub(in crate::device) fn copy_from(self, other: Self) {
        assert_eq!(self.len, other.len);
        let ((to, bytes), (from, _)) = (self.place(), other.place());
        copy_within(&self.memory.card, to, from, bytes);
    }

    pub(in crate::device) fn fill(self, value: T) {
        let ((address, bytes), card) = (self.place(), &self.memory.card);
        if bytes == 0 || !card.is_ready() {
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
