//! Matrix products on the CPU, on all cores, with the same bits for any number of them.

use super::Real;
use gemm::Parallelism;

/// A matrix in memory: element (i, j) is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T = f32> {
    pub data: &'a [T],
    pub row: usize,
    pub column: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Row-major with rows of `columns` numbers.
    pub fn new(data: &'a [T], columns: usize) -> Self {
        Self {
            data,
            row: columns,
            column: 1,
        }
    }

    pub fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows * columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// `c = a b`, or `c += a b`; a is (m, k), b (k, n), c (m, n) row-major.
pub fn multiply<T: Real>(
    sizes: (usize, usize, usize),
    a: Matrix<T>,
    b: Matrix<T>,
    c: &mut [T],
    add: bool,
) {
    product(sizes, a, b, c, add, Parallelism::Rayon(0));
}

/// The same on this core alone, for one of many products that run beside each other.
pub fn multiply_here<T: Real>(
    sizes: (usize, usize, usize),
    a: Matrix<T>,
    b: Matrix<T>,
    c: &mut [T],
    add: bool,
) {
    product(sizes, a, b, c, add, Parallelism::None);
}

fn product<T: Real>(
    (m, n, k): (usize, usize, usize),
    a: Matrix<T>,
    b: Matrix<T>,
    c: &mut [T],
    add: bool,
    parallelism: Parallelism,
) {
    assert!(a.holds(m, k) && b.holds(k, n) && c.len() == m * n);
    // `gemm` gathers b number by number where its rows lie apart in memory; a is gathered instead where it has fewer.
    if b.column > 1 && m < n {
        let mut turned = vec![T::zero(); m * n];
        let (a, b) = (a.transposed(), b.transposed());
        product((n, m, k), b, a, &mut turned, false, parallelism);
        for (i, c) in c.chunks_exact_mut(n).enumerate() {
            for (c, &sum) in c.iter_mut().zip(turned[i..].iter().step_by(m)) {
                *c = if add { *c + sum } else { sum };
            }
        }
        return;
    }
    // SAFETY: every element that the strides reach lies within the slices, as just asserted.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
}
