//! Matrices as a card's copy engine is told of them (`kernels/tensor_map.cuh`).

use super::{Device, MapView};

/// Bytes of a row that are copied at once.
pub const BOX_BYTES: usize = 128;

/// Most rows that are copied at once.
const MOST_ROWS: usize = 256;

/// A matrix that kernels have the copy engine copy to shared memory, a box of rows at a time.
#[derive(Clone, Copy, Debug)]
pub struct TensorMap<'a> {
    /// Row after row.
    pub matrix: MapView<'a>,
    /// How many there are.
    pub rows: usize,
    /// Rows of a box.
    pub box_rows: usize,
}

impl TensorMap<'_> {
    /// What the engine has to know.
    ///
    /// # Panics
    /// When no such matrix can be copied: rows must be as long as each other and a multiple of 16 bytes, from a multiple of 16
    /// bytes on, and a box has at most 256 of them.
    pub(super) fn layout(&self, device: &Device) -> Layout {
        self.matrix.check(device);
        let bytes = self.matrix.len() * device.precision().map_bytes();
        let row = bytes / self.rows.max(1);
        let whole = row * self.rows == bytes && row.is_multiple_of(16) && self.matrix.in_quads();
        assert!(whole && self.box_rows <= MOST_ROWS, "{self:?}");
        Layout {
            words: row / 4,
            rows: self.rows,
            box_rows: self.box_rows,
        }
    }
}

/// Rows of words.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Of a row.
    pub words: usize,
    /// Of the matrix.
    pub rows: usize,
    /// Of a box.
    pub box_rows: usize,
}

/// As the emulated kernels take it: `src/device/emulator/boxes.h` reads these words.
#[cfg(feature = "emulator")]
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Described([u64; 16]);

#[cfg(feature = "emulator")]
impl Described {
    pub(super) fn new(address: u64, layout: Layout) -> Self {
        let mut words = [0; 16];
        let Layout {
            words: row,
            rows,
            box_rows,
        } = layout;
        words[..4].copy_from_slice(&[address, row as u64, rows as u64, box_rows as u64]);
        Self(words)
    }
}
