//! What the kernels for Hopper's warpgroups read about windows (`kernels/readout_regions.cuh`): which neurons make a tile, what a tile
//! looks at, who sees a patch of the map.

use super::{Group, Window};
use crate::device::kernels::{readout_regions as kernels, readout_regions_weights as of_weights};
use crate::device::{Array, Device, Precision};
use kernels::{NEURONS, PATCH_HEIGHT, PATCH_WIDTH};
use std::cmp::Reverse;

/// Neighbours that are copied at once: pixels of a map, or slots.
const CHUNK: usize = 8;
/// Chunks of a span.
const CHUNKS: usize = 8;
const NO_CHUNK: u32 = u32::MAX;

/// The tables. A slot is a neuron's place in the order in which neighbours look at neighbouring places.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Regions {
    /// (slots): neurons.
    pub order: Array<u32>,
    /// (tiles of slots, words): windows and masks.
    pub slots: Array<u32>,
    /// (tiles + 1, 2): first span and first piece.
    pub tiles: Array<u32>,
    /// (spans, chunks): of the map.
    pub chunks: Array<u32>,
    /// (pieces, 2): tile, and first chunk of what it looks at.
    pub pieces: Array<u32>,
    /// (spans, chunks) of slots, and the corner of the patch that they see (spans, 2).
    pub eights: Array<u32>,
    pub corners: Array<u32>,
    /// (patches, 4): first span, spans, corner; those with most first.
    pub patches: Array<u32>,
}

impl Regions {
    /// Whether the kernels are for this device.
    pub fn apply(device: &Device) -> bool {
        device.is_hopper() && device.precision() == Precision::Bf16
    }

    /// Of neurons in this order, groups of one window each.
    pub fn new(device: &Device, map: (usize, usize), groups: &[Group], order: &[usize]) -> Self {
        let mut groups: Vec<&Group> = groups.iter().collect();
        groups.sort_by_key(|g| snake(&g.window));
        let (mut neurons, mut windows, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        for g in groups {
            let w = g.window;
            for i in 0..g.neurons {
                neurons.push(order[g.first + i] as u32);
                windows.push(w);
                let start = g.start + i * w.pixels();
                slots.push([w.top, w.left, w.height, w.width, start, 0, 0, 0].map(|v| v as u32));
            }
        }
        slots.resize(slots.len().next_multiple_of(NEURONS), [0; 8]);
        let (mut tiles, mut chunks, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
        for (tile, windows) in windows.chunks(NEURONS).enumerate() {
            tiles.push([spans(&chunks), pieces.len() as u32]);
            let seen = looked_at(windows, map);
            let first_chunks = (0..seen.len()).step_by(of_weights::PIXELS / CHUNK);
            pieces.extend(first_chunks.map(|first| [tile as u32, first as u32]));
            append_spans(&mut chunks, seen);
        }
        tiles.push([spans(&chunks), pieces.len() as u32]);
        let (mut eights, mut corners, mut patches) = (Vec::new(), Vec::new(), Vec::new());
        for top in (0..map.0).step_by(PATCH_HEIGHT) {
            for left in (0..map.1).step_by(PATCH_WIDTH) {
                let first = spans(&eights);
                append_spans(&mut eights, who_sees(&windows, (top, left)));
                let (corner, own) = ([top as u32, left as u32], spans(&eights) - first);
                corners.extend(std::iter::repeat_n(corner, own as usize));
                patches.push([first, own, corner[0], corner[1]]);
            }
        }
        patches.sort_by_key(|&[_, spans, ..]| Reverse(spans));
        Self {
            order: device.upload(&neurons, &[neurons.len()]),
            slots: table(device, &slots),
            tiles: table(device, &tiles),
            chunks: table(device, chunks.as_chunks::<CHUNKS>().0),
            pieces: table(device, &pieces),
            eights: table(device, eights.as_chunks::<CHUNKS>().0),
            corners: table(device, &corners),
            patches: table(device, &patches),
        }
    }
}

/// Windows of one size row of corners after row, back and forth.
fn snake(w: &Window) -> (usize, usize, isize) {
    let left = w.left as isize;
    let forth = w.top / 4 % 2 == 0;
    (w.pixels(), w.top, if forth { left } else { -left })
}

/// The chunks of a map that any of these windows has a pixel of.
fn looked_at(windows: &[Window], map: (usize, usize)) -> Vec<u32> {
    let mut seen = vec![false; (map.0 * map.1).div_ceil(CHUNK)];
    for own in windows.chunk_by(|a, b| a == b) {
        for row in own[0].rows(map.1) {
            seen[row.start / CHUNK..row.end.div_ceil(CHUNK)].fill(true);
        }
    }
    indices(seen)
}

/// The chunks of slots that have a neuron that sees something of a patch.
fn who_sees(windows: &[Window], (top, left): (usize, usize)) -> Vec<u32> {
    let meets = |first: usize, size: usize, other: usize, others: usize| {
        first < other + others && other < first + size
    };
    let sees = |w: &Window| {
        meets(w.top, w.height, top, PATCH_HEIGHT) && meets(w.left, w.width, left, PATCH_WIDTH)
    };
    indices(windows.chunks(CHUNK).map(|eight| eight.iter().any(sees)))
}

fn indices(are: impl IntoIterator<Item = bool>) -> Vec<u32> {
    (0..)
        .zip(are)
        .filter_map(|(i, is)| is.then_some(i))
        .collect()
}

/// Appends chunks, filled up to whole spans.
fn append_spans(all: &mut Vec<u32>, own: Vec<u32>) {
    all.extend(own);
    all.resize(all.len().next_multiple_of(CHUNKS), NO_CHUNK);
}

fn spans(chunks: &[u32]) -> u32 {
    (chunks.len() / CHUNKS) as u32
}

fn table<const WORDS: usize>(device: &Device, rows: &[[u32; WORDS]]) -> Array<u32> {
    device.upload(rows.as_flattened(), &[rows.len(), WORDS])
}
