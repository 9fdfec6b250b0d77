//! The product with the table on the CPU: rows of the table beside their mirror images, so that each source pixel adds one
//! stretch of a row to each row of the output, of which several are summed in registers at a time.

use pulp::{Arch, Simd, WithSimd};

/// Numbers of two vectors of the widest instructions.
const REACH: usize = 32;
/// Rows of the output at a time.
const ROWS: usize = 4;

/// A table (h, w), its rows mirrored about their first number and padded.
pub struct Mirrored {
    width: usize,
    stride: usize,
    values: Vec<f32>,
}

impl Mirrored {
    /// Of a table with rows of `width`.
    pub fn new(table: &[f32], width: usize) -> Self {
        let stride = width + width.next_multiple_of(REACH);
        let mut values = vec![0.0; table.len() / width * stride];
        for (mirrored, row) in values
            .chunks_exact_mut(stride)
            .zip(table.chunks_exact(width))
        {
            let numbers = row.iter().rev().chain(&row[1..]);
            mirrored.iter_mut().zip(numbers).for_each(|(m, t)| *m = *t);
        }
        Self {
            width,
            stride,
            values,
        }
    }

    /// Writes `out[i, j] = sum of table[|i - i'|, |j - j'|] g[i', j']`.
    pub fn multiply(&self, g: &[f32], out: &mut [f32]) {
        let table = self;
        Arch::new().dispatch(Multiply { table, g, out });
    }
}

struct Multiply<'a> {
    table: &'a Mirrored,
    g: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { table, g, out } = self;
        let (width, height) = (table.width, g.len() / table.width);
        for first in (0..height).step_by(ROWS) {
            let mut begin = 0;
            while begin < width {
                let left = width - begin;
                begin += match left > S::F32_LANES {
                    true => sums::<S, 2>(simd, table, g, (first, begin), out),
                    false => sums::<S, 1>(simd, table, g, (first, begin), out),
                };
            }
        }
    }
}

/// V vectors of [`ROWS`] rows of the output, from that row and column on; returns their length.
#[inline(always)]
fn sums<S: Simd, const V: usize>(
    simd: S,
    table: &Mirrored,
    g: &[f32],
    (first, begin): (usize, usize),
    out: &mut [f32],
) -> usize {
    let (width, height) = (table.width, g.len() / table.width);
    let reach = V * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; ROWS];
    for (k, line) in g.chunks_exact(width).enumerate() {
        // Rows past the last repeat it, and are not written.
        let rows: [&[f32]; ROWS] = std::array::from_fn(|r| {
            let away = (first + r).min(height - 1).abs_diff(k);
            &table.values[away * table.stride + begin..][..width - 1 + reach]
        });
        for (j, &value) in line.iter().enumerate() {
            let value = simd.splat_f32s(value);
            for (sums, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: a row is read from width - 1 - j on, for as much as is added to it above.
                let from = unsafe { row.as_ptr().add(width - 1 - j).cast::<S::f32s>() };
                for (v, sum) in sums.iter_mut().enumerate() {
                    let stretch = unsafe { from.add(v).read_unaligned() };
                    *sum = simd.mul_add_e_f32s(stretch, value, *sum);
                }
            }
        }
    }
    for (row, sums) in (first..height).zip(&sums) {
        let to = &mut out[row * width + begin..(row + 1) * width];
        for (to, &sum) in to.chunks_mut(S::F32_LANES).zip(sums) {
            simd.partial_store_f32s(to, sum);
        }
    }
    reach
}
