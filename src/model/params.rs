//! Names, shapes and places of a model's numbers: one arena, declared once.

use crate::device::{Array, Device, View, ViewMut};
use std::ops::Range;
use std::sync::Arc;

/// One tensor in an arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// As in `model.safetensors`.
    pub name: String,
    /// Lengths of the axes, slowest first.
    pub shape: Vec<usize>,
    /// First element.
    pub start: usize,
}

impl Slot {
    /// Elements in the arena.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.shape.iter().product::<usize>()
    }
}

/// The tensors of an arena, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// In order, from 0; back to back but for what alignment leaves free.
    pub slots: Vec<Slot>,
}

impl Layout {
    /// Appends a tensor and returns its index.
    pub fn declare(&mut self, name: String, shape: Vec<usize>) -> usize {
        let start = self.len();
        self.slots.push(Slot { name, shape, start });
        self.slots.len() - 1
    }

    /// As [`Layout::declare`], beginning at a whole multiple of four elements, as wide loads want it.
    pub fn declare_aligned(&mut self, name: String, shape: Vec<usize>) -> usize {
        let start = self.len().next_multiple_of(4);
        self.slots.push(Slot { name, shape, start });
        self.slots.len() - 1
    }

    /// Elements of the arena.
    pub fn len(&self) -> usize {
        self.slots.last().map_or(0, |s| s.range().end)
    }

    /// Numbers of all tensors.
    pub fn count(&self) -> usize {
        self.slots.iter().map(|s| s.range().len()).sum()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// Numbers in the places that a layout names.
#[derive(Clone, Debug)]
pub struct Arena {
    /// Where each tensor lies.
    pub layout: Arc<Layout>,
    /// All numbers.
    pub values: Array,
}

impl Arena {
    /// Zeros.
    pub fn zeros(device: &Device, layout: &Arc<Layout>) -> Self {
        Self {
            layout: Arc::clone(layout),
            values: device.zeros(&[layout.len()]),
        }
    }

    /// Tensor `slot`, to read.
    pub fn view(&self, slot: usize) -> View<'_> {
        self.values.slice(self.layout.slots[slot].range())
    }

    /// Tensor `slot`, to write.
    pub fn view_mut(&mut self, slot: usize) -> ViewMut<'_> {
        self.values.slice_mut(self.layout.slots[slot].range())
    }

    /// Zeros but for these tensors, in order, which somebody writes.
    pub fn clear_but(&mut self, written: impl Iterator<Item = usize>) {
        let mut from = 0;
        for slot in written {
            let own = self.layout.slots[slot].range();
            self.values.slice_mut(from..own.start).fill(0.0);
            from = own.end;
        }
        self.values.slice_mut(from..self.layout.len()).fill(0.0);
    }

    /// Two tensors declared one after the other, to write.
    pub fn pair_mut(&mut self, first: usize) -> (ViewMut<'_>, ViewMut<'_>) {
        let (a, b) = (
            self.layout.slots[first].range(),
            self.layout.slots[first + 1].range(),
        );
        self.values.slice_mut(a.start..b.end).split_at(a.len())
    }
}
