//! Copies between the host and a device that do not hold up the host.

use super::{Device, Element, View, ViewMut, cuda};

/// Host memory for one copy after another. On a card the host goes on while a copy waits for what was asked before it, and
/// waits itself when it uses the memory again; elsewhere a copy is done at once.
#[derive(Debug)]
pub struct Transfer<T: Element>(Memory<T>);

#[derive(Debug)]
enum Memory<T: Element> {
    Host(Vec<T>),
    Card(cuda::Pinned<T>),
}

impl Device {
    /// Memory for copies of up to `len` numbers.
    pub fn transfer<T: Element>(&self, len: usize) -> Transfer<T> {
        Transfer(match self {
            Self::Cuda(cuda) => Memory::Card(cuda::Pinned::new(cuda, len)),
            _ => Memory::Host(vec![T::zeroed(); len]),
        })
    }
}

impl<T: Element> Transfer<T> {
    /// Copies to the device what `fill` writes, as many numbers as there is room for in `to`.
    pub fn send(&mut self, to: ViewMut<T>, fill: impl FnOnce(&mut [T])) {
        match (&mut self.0, to) {
            (Memory::Card(pinned), ViewMut::Cuda(to)) => pinned.send(to, fill),
            (_, ViewMut::Host(to)) => fill(to),
            _ => panic!("a copy to a card through memory that was made for another device"),
        }
    }

    /// Copies from the device; [`Transfer::values`] has it.
    pub fn fetch(&mut self, from: View<T>) {
        match (&mut self.0, from) {
            (Memory::Card(pinned), View::Cuda(from)) => pinned.fetch(from),
            (Memory::Host(memory), View::Host(from)) => memory[..from.len()].copy_from_slice(from),
            _ => panic!("a copy from a card through memory that was made for another device"),
        }
    }

    /// The first `len` numbers of the last [`Transfer::fetch`], once they are here.
    pub fn values(&mut self, len: usize) -> &[T] {
        match &mut self.0 {
            Memory::Host(memory) => &memory[..len],
            Memory::Card(pinned) => &pinned.wait()[..len],
        }
    }
}
