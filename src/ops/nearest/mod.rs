//! Rows and centres: the nearest centre of every row, all distances between them, and what the rows of a centre add up to.
//!
//! With rows x (n, d) and centres c (k, d), `|x - c|^2 = |x|^2 - 2 x.c + |c|^2`: one matrix product, whose
//! scores `|c|^2 - 2 x.c` decide which centre is nearest (of equal ones the first). The distance to that one is then summed up from
//! differences, where nothing cancels: it is 0 for a row that is its centre. Products are taken in float32 on every device.

mod cpu;
mod follow;
pub mod reference;

use crate::device::kernels::nearest as kernels;
use crate::device::{Device, View, ViewMut};

/// Sizes of the matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// n.
    pub rows: usize,
    /// k.
    pub centres: usize,
    /// d.
    pub width: usize,
}

impl Shape {
    fn check(&self, rows: usize, centres: usize) {
        assert_eq!(
            (rows, centres),
            (self.rows * self.width, self.centres * self.width),
            "{self:?}"
        );
        assert!(self.centres > 0 && self.width > 0, "{self:?}");
    }
}

/// Writes the number of each row's nearest centre (n), of equally near ones the first, and its squared distance (n).
pub fn assign(
    device: &Device,
    s: &Shape,
    rows: View,
    centres: View,
    labels: ViewMut<u32>,
    distances: ViewMut,
) {
    s.check(rows.len(), centres.len());
    assert_eq!((labels.len(), distances.len()), (s.rows, s.rows));
    match device {
        Device::Cpu => cpu::assign(
            s,
            rows.host(),
            centres.host(),
            labels.host(),
            distances.host(),
        ),
        _ => kernels::nearest_assign(
            device,
            [s.rows.div_ceil(kernels::TILE), 1, 1],
            rows,
            centres,
            labels,
            distances,
            s.rows,
            s.centres,
            s.width,
        ),
    }
}

/// What [`follow`] knows from one call to the next.
#[derive(Debug, Default)]
pub struct Memory(Option<follow::Bounds>);

/// Writes the labels of [`assign`], and no distances, for centres that move little from call to call. `memory` belongs to these
/// rows and holds what is known since the first call, `labels` what that call wrote. On the CPU, rows whose centre cannot
/// have changed are left out; where two centres are equally near up to rounding, the earlier label may stay.
pub fn follow(
    device: &Device,
    s: &Shape,
    rows: View,
    centres: View,
    memory: &mut Memory,
    labels: ViewMut<u32>,
) {
    match device {
        Device::Cpu => {
            s.check(rows.len(), centres.len());
            assert_eq!(labels.len(), s.rows);
            let (rows, centres) = (rows.host(), centres.host());
            follow::follow(s, rows, centres, &mut memory.0, labels.host());
        }
        _ => device.scratch(s.rows, |distances| {
            assign(device, s, rows, centres, labels, distances);
        }),
    }
}

/// Writes the squared norm of each row (n), as [`distances`] wants it.
pub fn norms(device: &Device, width: usize, rows: View, norms: ViewMut) {
    assert_eq!(rows.len(), norms.len() * width);
    match device {
        Device::Cpu => cpu::norms(width, rows.host(), norms.host()),
        _ => {
            let grid = [norms.len().div_ceil(kernels::THREADS), 1, 1];
            let n = norms.len();
            kernels::nearest_norms(device, grid, rows, norms, n, width);
        }
    }
}

/// Writes all squared distances (n, k); exactly 0 between equal rows. `norms` are those of the rows, by [`norms`].
pub fn distances(device: &Device, s: &Shape, rows: View, norms: View, centres: View, out: ViewMut) {
    s.check(rows.len(), centres.len());
    assert_eq!((norms.len(), out.len()), (s.rows, s.rows * s.centres));
    match device {
        Device::Cpu => cpu::distances(s, rows.host(), norms.host(), centres.host(), out.host()),
        _ => kernels::nearest_distances(
            device,
            [
                s.rows.div_ceil(kernels::TILE),
                s.centres.div_ceil(kernels::TILE),
                1,
            ],
            rows,
            norms,
            centres,
            out,
            s.rows,
            s.centres,
            s.width,
        ),
    }
}

/// Writes the sum of the rows of each label (k, d) and their number (k). Every label is less than k.
pub fn totals(
    device: &Device,
    s: &Shape,
    rows: View,
    labels: View<u32>,
    sums: ViewMut,
    counts: ViewMut<u32>,
) {
    s.check(rows.len(), sums.len());
    assert_eq!((labels.len(), counts.len()), (s.rows, s.centres));
    match device {
        Device::Cpu => cpu::totals(s, rows.host(), labels.host(), sums.host(), counts.host()),
        _ => {
            let pieces = s.rows.div_ceil(kernels::PIECE).max(1);
            device.scratch(pieces * s.centres * s.width, |mut parts| {
                kernels::nearest_parts(
                    device,
                    [s.centres, pieces, 1],
                    rows,
                    labels,
                    parts.reborrow(),
                    s.rows,
                    s.centres,
                    s.width,
                );
                let n = s.centres * s.width;
                let grid = [n.div_ceil(kernels::THREADS), 1, 1];
                kernels::nearest_sums(device, grid, parts.read(), sums, n, pieces);
            });
            kernels::nearest_counts(device, [s.centres, 1, 1], labels, counts, s.rows);
        }
    }
}
