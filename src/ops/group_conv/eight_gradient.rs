//! The coefficients' gradient of 8 orientations on a device: `kernels/group_conv_eight_gradient.cu`.

use super::Shape;
use super::gradient::Adjoint;
use super::mix::Terms;
use super::route::{Place, Weights, slots};
use crate::device::kernels::group_conv_eight_gradient as kernels;
use crate::device::{Array, Device, MapView, Precision, ViewMut};
use crate::ops::basis::Basis;

/// Blocks that are wanted at once: three on each multiprocessor.
const BLOCKS: usize = 396;

/// Fewest tiles of a block.
const TILES: usize = 2;

/// Columns of a tile.
const COLUMNS: usize = 32;

/// By order: what meets frequencies 0 and 4, then 1 to 3 twice; unit and sign of a number, as the kernel's header has them.
const NUMBERS: [&str; 5] = [
    "0+ 0- 1+ 1- 2+ 2- 3- 3+",
    "1+ 3- 0+ 2+ 1- 3+ 0- 2-",
    "2+ 2- 1+ 3+ 0+ 0- 3- 1-",
    "3+ 1- 0- 2+ 3- 1+ 0+ 2-",
    "0- 0+ 3+ 3- 2+ 2- 1- 1+",
];

/// Of which weights the kernel's sums are gradients: (frequency, element, slot).
fn sums(basis: &Basis) -> Vec<Terms> {
    let mut weights = Weights::new(basis);
    let place = |frequency: usize, slot: usize| Place {
        unit: frequency / 2,
        group: slot / 4,
        half: frequency % 2,
        lane: slot % 4,
    };
    for (i, slot) in slots(basis).into_iter().enumerate() {
        let Some(slot @ [Some(j), _]) = slot else {
            continue;
        };
        let order = basis.functions[j].order;
        for (frequency, number) in NUMBERS[order].split(' ').enumerate() {
            let (unit, minus) = (
                usize::from(number.as_bytes()[0] - b'0'),
                number.ends_with('-'),
            );
            let at = place(frequency, i);
            let k = if frequency == 1 { 4 } else { at.unit };
            if order == 0 {
                weights.round(at, k, slot, minus);
            } else {
                weights.pair(at, k, j, (unit, minus), 1.0);
            }
        }
    }
    let all = weights.terms();
    (0..kernels::EIGHT_GRADIENT_SUMS)
        .map(|i| {
            let (frequency, element, slot) = (i / 16, i / 8 % 2, i % 8);
            // A complex number's weights come twice, once for each part of what they make.
            let part = usize::from(frequency == 1);
            all[place(frequency, slot).row(part, element)].clone()
        })
        .collect()
}

/// The filters of all slots' first functions, then of the second ones.
fn filters(basis: &Basis) -> Vec<f32> {
    let area = basis.width * basis.width;
    let slots = slots(basis);
    (0..2 * slots.len() * area)
        .map(|i| {
            let (row, tap) = (i / area, i % area);
            let function = slots[row % slots.len()].and_then(|s| s[row / slots.len()]);
            function.map_or(0.0, |j| basis.filters[j * area + tap] as f32)
        })
        .collect()
}

/// Constants.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// Rows of a tile.
    rows: usize,
    filters: Array,
    adjoint: Adjoint,
}

impl Gradient {
    /// Of a layer that `Eight` serves.
    pub fn new(device: &Device, basis: &Basis) -> Self {
        let filters = filters(basis);
        Self {
            rows: match device.precision() {
                Precision::Bf16 => kernels::EIGHT_GRADIENT_ROWS_BF16,
                _ => kernels::EIGHT_GRADIENT_ROWS,
            },
            filters: device.upload(&filters, &[filters.len()]),
            adjoint: Adjoint::new(device, 8, &sums(basis), basis),
        }
    }

    /// Adds to dc.
    pub fn run(&self, device: &Device, s: &Shape, x: MapView, dy: MapView, dc: ViewMut) {
        let direct = s.direct();
        let tiles = s.batch
            * direct.out_height().div_ceil(self.rows)
            * direct.out_width().div_ceil(COLUMNS);
        let groups = s.in_features.div_ceil(kernels::EIGHT_GRADIENT_INPUTS);
        let chunks = s.out_features.div_ceil(kernels::EIGHT_GRADIENT_OUTPUTS);
        let slices = tiles.div_ceil(TILES).min(BLOCKS.div_ceil(groups * chunks));
        let per_slice = tiles.div_ceil(slices);
        let slices = tiles.div_ceil(per_slice);
        assert!(x.in_quads() && dy.in_quads(), "{s:?}: memory off 16 bytes");
        let kernel = match s.kernel {
            3 => kernels::group_conv_eight_gradient_3,
            _ => kernels::group_conv_eight_gradient_5,
        };
        let sums = |partial: ViewMut| {
            kernel(
                device,
                [groups, slices, chunks],
                x,
                dy,
                self.filters.view(),
                partial,
                s.in_features,
                s.out_features,
                s.height,
                s.width,
                s.padding,
                tiles,
                per_slice,
            );
        };
        self.adjoint.run(device, s, slices, sums, dc);
    }
}
