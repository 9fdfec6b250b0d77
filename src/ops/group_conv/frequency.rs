//! The packed real DFT over orientations.

use std::f64::consts::TAU;

/// Rows computed together when transforming.
pub const ROWS_AT_ONCE: usize = 4;

/// A small dense matrix, laid out for use from left to right: (terms, rows padded with zeros).
#[derive(Clone, Debug)]
pub struct Matrix {
    pub values: Vec<f32>,
    pub rows: usize,
    pub terms: usize,
}

impl Matrix {
    /// The value at (row, term).
    pub fn value(&self, row: usize, term: usize) -> f32 {
        self.values[term * self.rows.next_multiple_of(ROWS_AT_ONCE) + row]
    }

    /// From its values by (row, term).
    pub fn new(rows: usize, terms: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let padded = rows.next_multiple_of(ROWS_AT_ONCE);
        let mut values = vec![0.0; terms * padded];
        for (term, values) in values.chunks_exact_mut(padded).enumerate() {
            for (row, v) in values[..rows].iter_mut().enumerate() {
                *v = value(row, term);
            }
        }
        Self {
            values,
            rows,
            terms,
        }
    }
}

/// Frequency u of a real signal over n orientations, from its packed components.
pub struct Packed {
    pub real: usize,
    /// Component of the imaginary part and its sign; none for frequencies 0 and n/2.
    pub imaginary: Option<(usize, f32)>,
    /// True spectrum = scale * packed.
    pub scale: f64,
}

/// Where frequency u is.
pub fn packed(n: usize, u: usize) -> Packed {
    let (n_f, folded) = (n as f64, u.min(n - u));
    if folded == 0 {
        Packed {
            real: 0,
            imaginary: None,
            scale: n_f.sqrt(),
        }
    } else if 2 * folded == n {
        Packed {
            real: n - 1,
            imaginary: None,
            scale: n_f.sqrt(),
        }
    } else {
        let sign = if u == folded { 1.0 } else { -1.0 };
        Packed {
            real: 2 * folded - 1,
            imaginary: Some((2 * folded, sign)),
            scale: (n_f / 2.0).sqrt(),
        }
    }
}

/// Orthonormal real DFT over n points, (component, point); its transpose is its inverse.
pub fn transform(n: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; n * n];
    for u in 0..=n / 2 {
        let p = packed(n, u);
        for s in 0..n {
            let (sin, cos) = (TAU * (u * s % n) as f64 / n as f64).sin_cos();
            matrix[p.real * n + s] = (cos / p.scale) as f32;
            if let Some((c, _)) = p.imaginary {
                matrix[c * n + s] = (-sin / p.scale) as f32;
            }
        }
    }
    matrix
}

/// The inverse transform of the products, in the order in which [`super::plan::Plan::new`] makes them.
pub fn synthesis(n: usize, transform: &[f32]) -> Vec<f32> {
    let row = |c: usize| &transform[c * n..][..n];
    let mut matrix = Vec::new();
    for k in 0..=n / 2 {
        let out = packed(n, k);
        let real = row(out.real);
        match out.imaginary {
            None => matrix.extend_from_slice(real),
            Some((c, _)) => {
                let imaginary = row(c);
                matrix.extend(real.iter().zip(imaginary).map(|(r, i)| r + i));
                matrix.extend_from_slice(imaginary);
                matrix.extend(real.iter().map(|r| -r));
            }
        }
    }
    matrix
}
