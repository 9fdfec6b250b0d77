//! Contiguous numbers with a shape, on one device.

use super::cuda::{Memory, Span};
use super::launch::Raw;
use rayon::prelude::*;
use std::ops::Range;

/// Numbers that one thread fills.
const CHUNK: usize = 1 << 16;

/// A number that arrays hold.
pub trait Element: bytemuck::Pod + Send + Sync {}
impl<T: bytemuck::Pod + Send + Sync> Element for T {}

/// Contiguous numbers with a shape, on one device (C order).
#[derive(Clone, Debug)]
pub struct Array<T: Element = f32> {
    shape: Vec<usize>,
    storage: Storage<T>,
}

#[derive(Clone, Debug)]
enum Storage<T> {
    Host(Vec<T>),
    Cuda(Memory),
}

/// Part of an [`Array`], to read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum View<'a, T: Element = f32> {
    /// In this machine's memory.
    Host(&'a [T]),
    /// In a card's.
    Cuda(Span<'a, T>),
}

/// Part of an [`Array`], to write.
#[derive(Debug)]
#[non_exhaustive]
pub enum ViewMut<'a, T: Element = f32> {
    /// In this machine's memory.
    Host(&'a mut [T]),
    /// In a card's.
    Cuda(Span<'a, T>),
}

impl<T: Element> Array<T> {
    pub(super) fn from_host(values: Vec<T>, shape: &[usize]) -> Self {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{shape:?}");
        Self {
            shape: shape.to_vec(),
            storage: Storage::Host(values),
        }
    }

    pub(super) fn from_card(memory: Memory, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            storage: Storage::Cuda(memory),
        }
    }

    /// Lengths of the axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers held.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, to read.
    pub fn view(&self) -> View<'_, T> {
        match &self.storage {
            Storage::Host(v) => View::Host(v),
            Storage::Cuda(m) => View::Cuda(Span::new(m, 0..self.len())),
        }
    }

    /// All of it, to write.
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        let len = self.len();
        match &mut self.storage {
            Storage::Host(v) => ViewMut::Host(v),
            Storage::Cuda(m) => ViewMut::Cuda(Span::new(m, 0..len)),
        }
    }

    /// Elements `range`, to read.
    pub fn slice(&self, range: Range<usize>) -> View<'_, T> {
        match &self.storage {
            Storage::Host(v) => View::Host(&v[range]),
            Storage::Cuda(m) => View::Cuda(Span::new(m, range)),
        }
    }

    /// Elements `range`, to write.
    pub fn slice_mut(&mut self, range: Range<usize>) -> ViewMut<'_, T> {
        match &mut self.storage {
            Storage::Host(v) => ViewMut::Host(&mut v[range]),
            Storage::Cuda(m) => ViewMut::Cuda(Span::new(m, range)),
        }
    }

    /// Copies everything to this machine's memory.
    pub fn download(&self) -> Vec<T> {
        self.view().download()
    }

    /// Overwrites everything with `values` of the same length.
    pub fn fill_from(&mut self, values: &[T]) {
        self.view_mut().fill_from(values);
    }

    /// Overwrites everything with one value.
    pub fn fill(&mut self, value: T) {
        self.view_mut().fill(value);
    }

    /// Overwrites everything with `other`, of the same length and device.
    pub fn copy_from(&mut self, other: &Self) {
        self.view_mut().copy_from(other.view());
    }
}

impl<'a, T: Element> View<'a, T> {
    /// The numbers, of a view in this machine's memory.
    ///
    /// # Panics
    /// For a view of a card's memory: a CPU path was given a card's array.
    pub fn host(self) -> &'a [T] {
        match self {
            Self::Host(v) => v,
            Self::Cuda(_) => panic!("{ON_CARD}"),
        }
    }

    /// Numbers seen.
    pub fn len(&self) -> usize {
        match self {
            Self::Host(v) => v.len(),
            Self::Cuda(s) => s.len(),
        }
    }

    /// Whether it sees none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements `range` of this view.
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::Host(v) => Self::Host(&v[range]),
            Self::Cuda(s) => Self::Cuda(s.slice(range)),
        }
    }

    /// Copies to this machine's memory.
    pub fn download(self) -> Vec<T> {
        match self {
            Self::Host(v) => v.to_vec(),
            Self::Cuda(s) => s.download(),
        }
    }

    /// Whether it begins where 16 bytes may be read at once.
    pub(crate) fn in_quads(self) -> bool {
        self.raw().address.is_multiple_of(16)
    }

    pub(super) fn raw(self) -> Raw {
        match self {
            Self::Host(v) => Raw {
                address: v.as_ptr() as u64,
                bytes: size_of_val(v),
                width: size_of::<T>(),
            },
            Self::Cuda(s) => s.raw(),
        }
    }
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// The numbers, of a view in this machine's memory.
    ///
    /// # Panics
    /// For a view of a card's memory: a CPU path was given a card's array.
    pub fn host(self) -> &'a mut [T] {
        match self {
            Self::Host(v) => v,
            Self::Cuda(_) => panic!("{ON_CARD}"),
        }
    }

    /// Numbers seen.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether it sees none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same numbers, to read.
    pub fn read(&self) -> View<'_, T> {
        match self {
            Self::Host(v) => View::Host(v),
            Self::Cuda(s) => View::Cuda(*s),
        }
    }

    /// The same numbers, for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_, T> {
        match self {
            Self::Host(v) => ViewMut::Host(v),
            Self::Cuda(s) => ViewMut::Cuda(*s),
        }
    }

    /// Elements `range` of this view.
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::Host(v) => Self::Host(&mut v[range]),
            Self::Cuda(s) => Self::Cuda(s.slice(range)),
        }
    }

    /// Cuts into two views at element `middle`.
    pub fn split_at(self, middle: usize) -> (Self, Self) {
        match self {
            Self::Host(v) => {
                let (a, b) = v.split_at_mut(middle);
                (Self::Host(a), Self::Host(b))
            }
            Self::Cuda(s) => (
                Self::Cuda(s.slice(0..middle)),
                Self::Cuda(s.slice(middle..s.len())),
            ),
        }
    }

    /// Overwrites everything with one value.
    pub fn fill(self, value: T) {
        match self {
            Self::Host(v) => v.par_chunks_mut(CHUNK).for_each(|v| v.fill(value)),
            Self::Cuda(s) => s.fill(value),
        }
    }

    /// Overwrites with a view of the same length on the same device.
    ///
    /// # Panics
    /// When they lie on different devices.
    pub fn copy_from(self, other: View<T>) {
        match (self, other) {
            (Self::Host(to), View::Host(from)) => to.copy_from_slice(from),
            (Self::Cuda(to), View::Cuda(from)) => to.copy_from(from),
            _ => panic!("{ON_CARD}"),
        }
    }

    /// Overwrites with `values` of the same length.
    pub fn fill_from(self, values: &[T]) {
        match self {
            Self::Host(v) => v.copy_from_slice(values),
            Self::Cuda(s) => s.upload(values),
        }
    }

    pub(super) fn raw(self) -> Raw {
        self.read().raw()
    }
}

impl<'a> ViewMut<'a> {
    /// The same memory as twice as many halves of words.
    pub(crate) fn halves(self) -> ViewMut<'a, u16> {
        match self {
            Self::Host(v) => ViewMut::Host(bytemuck::cast_slice_mut(v)),
            Self::Cuda(s) => ViewMut::Cuda(s.halves()),
        }
    }
}

const ON_CARD: &str =
    "an array on a card where one in this machine's memory is wanted, or the other way round";
