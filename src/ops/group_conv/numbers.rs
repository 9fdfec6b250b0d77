//! The panel: the numbers of the expansion, from the responses to the basis.

use super::plan::Entry;
use crate::ops::panel::TILE;
use pulp::Simd;

/// Writes the panel rows of one number.
///
/// # Safety
/// The entry's indices must be those of rows of `responses` and `panel`.
#[inline(always)]
pub unsafe fn write_number<S: Simd>(
    simd: S,
    entry: &Entry,
    responses: *const f32,
    panel: *mut f32,
) {
    unsafe {
        let Some((imaginary, row)) = entry.imaginary else {
            return write_row(simd, entry.real.first, entry.real_row, responses, panel);
        };
        let rows = (entry.real_row, row);
        match (entry.real.second, imaginary.second, entry.sum) {
            (Some(real), Some(second), sum) => {
                let signs = (simd.splat_f32s(real.1), simd.splat_f32s(second.1));
                let value = |row: usize, v: usize| vector::<S>(responses, row, v);
                for v in 0..TILE / S::F32_LANES {
                    let a =
                        simd.mul_add_e_f32s(signs.0, value(real.0, v), value(entry.real.first, v));
                    let b =
                        simd.mul_add_e_f32s(signs.1, value(second.0, v), value(imaginary.first, v));
                    write_parts(simd, (a, b), rows, sum, panel, v);
                }
            }
            (_, _, sum) => {
                for v in 0..TILE / S::F32_LANES {
                    let a = vector::<S>(responses, entry.real.first, v);
                    let b = vector::<S>(responses, imaginary.first, v);
                    write_parts(simd, (a, b), rows, sum, panel, v);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn vector<S: Simd>(memory: *const f32, row: usize, v: usize) -> S::f32s {
    unsafe {
        memory
            .add(row * TILE)
            .cast::<S::f32s>()
            .add(v)
            .read_unaligned()
    }
}

#[inline(always)]
unsafe fn write_row<S: Simd>(
    _: S,
    from: usize,
    row: usize,
    responses: *const f32,
    panel: *mut f32,
) {
    for v in 0..TILE / S::F32_LANES {
        unsafe {
            let value = vector::<S>(responses, from, v);
            panel
                .add(row * TILE)
                .cast::<S::f32s>()
                .add(v)
                .write_unaligned(value);
        }
    }
}

/// Vector v of a number's real and imaginary part and, where wanted, of the sum for Gauss' trick.
#[inline(always)]
unsafe fn write_parts<S: Simd>(
    simd: S,
    (real, imaginary): (S::f32s, S::f32s),
    rows: (usize, usize),
    sum: Option<(usize, f32)>,
    panel: *mut f32,
    v: usize,
) {
    let store = |row: usize, value: S::f32s| unsafe {
        panel
            .add(row * TILE)
            .cast::<S::f32s>()
            .add(v)
            .write_unaligned(value);
    };
    store(rows.0, real);
    store(rows.1, imaginary);
    if let Some((row, sign)) = sum {
        store(
            row,
            simd.mul_add_e_f32s(simd.splat_f32s(sign), imaginary, real),
        );
    }
}
