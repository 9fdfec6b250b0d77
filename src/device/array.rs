//! Contiguous numbers with a shape, on one device.

use std::ops::Range;

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
}

/// Part of an [`Array`], to read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum View<'a, T: Element = f32> {
    /// In this machine's memory.
    Host(&'a [T]),
}

/// Part of an [`Array`], to write.
#[derive(Debug)]
#[non_exhaustive]
pub enum ViewMut<'a, T: Element = f32> {
    /// In this machine's memory.
    Host(&'a mut [T]),
}

impl<T: Element> Array<T> {
    pub(super) fn from_host(values: Vec<T>, shape: &[usize]) -> Self {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{shape:?}");
        Self {
            shape: shape.to_vec(),
            storage: Storage::Host(values),
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
        }
    }

    /// All of it, to write.
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        match &mut self.storage {
            Storage::Host(v) => ViewMut::Host(v),
        }
    }

    /// Elements `range`, to read.
    pub fn slice(&self, range: Range<usize>) -> View<'_, T> {
        match &self.storage {
            Storage::Host(v) => View::Host(&v[range]),
        }
    }

    /// Elements `range`, to write.
    pub fn slice_mut(&mut self, range: Range<usize>) -> ViewMut<'_, T> {
        match &mut self.storage {
            Storage::Host(v) => ViewMut::Host(&mut v[range]),
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
        match &mut self.storage {
            Storage::Host(v) => v.fill(value),
        }
    }

    /// Overwrites everything with `other`, of the same length and device.
    pub fn copy_from(&mut self, other: &Self) {
        match (&mut self.storage, &other.storage) {
            (Storage::Host(to), Storage::Host(from)) => to.copy_from_slice(from),
        }
    }
}

impl<'a, T: Element> View<'a, T> {
    /// The numbers, of a view in this machine's memory.
    pub fn host(self) -> &'a [T] {
        match self {
            Self::Host(v) => v,
        }
    }

    /// Numbers seen.
    pub fn len(&self) -> usize {
        match self {
            Self::Host(v) => v.len(),
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
        }
    }

    /// Copies to this machine's memory.
    pub fn download(self) -> Vec<T> {
        match self {
            Self::Host(v) => v.to_vec(),
        }
    }
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// The numbers, of a view in this machine's memory.
    pub fn host(self) -> &'a mut [T] {
        match self {
            Self::Host(v) => v,
        }
    }

    /// Cuts into two views at element `middle`.
    pub fn split_at(self, middle: usize) -> (Self, Self) {
        match self {
            Self::Host(v) => {
                let (a, b) = v.split_at_mut(middle);
                (Self::Host(a), Self::Host(b))
            }
        }
    }

    /// Overwrites with a view of the same length on the same device.
    pub fn copy_from(self, other: View<T>) {
        match (self, other) {
            (Self::Host(to), View::Host(from)) => to.copy_from_slice(from),
        }
    }

    /// Overwrites with `values` of the same length.
    pub fn fill_from(self, values: &[T]) {
        match self {
            Self::Host(v) => v.copy_from_slice(values),
        }
    }
}
