//! The product with the table on the CPU: rows of the table beside their mirror images, so that each source pixel adds one
//! stretch of a row to each row of the output, of which several are summed in registers at a time.

/// Numbers per vector of the widest instructions.
const LANES: usize = 16;
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
        let stride = width + width.next_multiple_of(LANES);
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
    #[inline(always)]
    pub fn multiply(&self, g: &[f32], out: &mut [f32]) {
        let height = g.len() / self.width;
        for first in (0..height).step_by(ROWS) {
            for begin in (0..self.width).step_by(LANES) {
                let sums = self.sums(g, height, first, begin);
                let count = LANES.min(self.width - begin);
                for (row, sums) in (first..height).zip(&sums) {
                    let at = row * self.width + begin;
                    out[at..at + count].copy_from_slice(&sums[..count]);
                }
            }
        }
    }

    #[inline(always)]
    fn sums(&self, g: &[f32], height: usize, first: usize, begin: usize) -> [[f32; LANES]; ROWS] {
        let mut sums = [[0.0f32; LANES]; ROWS];
        for (k, line) in g.chunks_exact(self.width).enumerate() {
            // Rows past the last repeat it, and are not written.
            let rows: [&[f32]; ROWS] = std::array::from_fn(|r| {
                let away = (first + r).min(height - 1).abs_diff(k);
                &self.values[away * self.stride + begin..][..self.stride - begin]
            });
            for (j, &value) in line.iter().enumerate() {
                let start = self.width - 1 - j;
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    let stretch = &row[start..start + LANES];
                    for (sum, t) in sums.iter_mut().zip(stretch) {
                        *sum += t * value;
                    }
                }
            }
        }
        sums
    }
}
