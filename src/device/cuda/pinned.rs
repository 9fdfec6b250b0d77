//! The host's memory that a card reads and writes by itself.

use super::super::Element;
use super::{Card, Cuda, Mark, Span};
use cudarc::driver::result;
use std::fmt;
use std::sync::Arc;

/// Numbers that stay where they are in the host's memory, for copies that the host does not wait for.
pub struct Pinned<T: Element> {
    cuda: Cuda,
    /// None where there was no memory: a fault of the card.
    address: Option<*mut T>,
    len: usize,
    /// The last copy.
    done: Option<Mark>,
    /// Instead of the memory that there was not.
    nothing: Vec<T>,
}

// SAFETY: it owns its memory, and the driver's calls may come from any thread.
unsafe impl<T: Element> Send for Pinned<T> {}

impl<T: Element> fmt::Debug for Pinned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.len)
    }
}

impl<T: Element> Pinned<T> {
    pub(in crate::device) fn new(cuda: &Cuda, len: usize) -> Self {
        let card: &Arc<Card> = &cuda.card;
        let bytes = len * size_of::<T>();
        // SAFETY: used within `bytes` and freed once.
        let taken = (bytes > 0 && card.is_ready())
            .then(|| card.keep("pinning memory", unsafe { result::malloc_host(bytes, 0) }))
            .flatten();
        let address = taken.map(|a| a.cast::<T>());
        if let Some(address) = address {
            // SAFETY: just allocated; any bits are numbers, zeros too.
            unsafe { address.write_bytes(0, len) };
        }
        Self {
            cuda: cuda.clone(),
            address,
            len,
            done: None,
            nothing: match address {
                Some(_) => Vec::new(),
                None => vec![T::zeroed(); len],
            },
        }
    }

    /// The numbers, once no copy is under way.
    pub(in crate::device) fn wait(&mut self) -> &mut [T] {
        if let Some(done) = self.done.take() {
            done.wait();
        }
        match self.address {
            // SAFETY: allocated with this length, and only this has it while no copy is under way.
            Some(address) => unsafe { std::slice::from_raw_parts_mut(address, self.len) },
            None => &mut self.nothing,
        }
    }

    pub(in crate::device) fn send(&mut self, to: Span<T>, fill: impl FnOnce(&mut [T])) {
        let len = to.len();
        let numbers = &mut self.wait()[..len];
        fill(numbers);
        to.start_upload(numbers);
        self.done = Mark::new(&self.cuda);
    }

    pub(in crate::device) fn fetch(&mut self, from: Span<T>) {
        let len = from.len();
        from.start_download(&mut self.wait()[..len]);
        self.done = Mark::new(&self.cuda);
    }
}

impl<T: Element> Drop for Pinned<T> {
    fn drop(&mut self) {
        self.wait();
        if let Some(address) = self.address
            && self.cuda.card.bind()
        {
            // SAFETY: allocated by `new`, freed once, and no copy is under way.
            let freed = unsafe { result::free_host(address.cast()) };
            self.cuda.card.keep("freeing pinned memory", freed);
        }
    }
}
