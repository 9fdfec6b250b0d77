//! What the kernels for Hopper's warpgroups read about windows (`kernels/readout_regions.cuh`): which neurons make a tile, what a tile
//! looks at, who sees a patch of the map.

use super::{Group, Window};
use crate::device::kernels::{
    readout_regions as kernels, readout_regions_weights as of_weights,
    readout_regions_weights_tf32 as of_weights_tf32,
};
use crate::device::{Array, Device, Precision};
use kernels::{NEURONS, PATCH_HEIGHT, PATCH_WIDTH};
use std::cmp::Reverse;

/// Chunks of a span; a chunk is the neighbours that are copied at once, pixels of a map or slots.
const CHUNKS: usize = 8;
/// Neurons of a tile that a warpgroup multiplies.
const GROUP: usize = 64;
const NO_CHUNK: u32 = u32::MAX;
/// Bytes of a chunk.
const AT_ONCE: usize = 16;

/// The tables. A slot is a neuron's place in the order in which neighbours look at neighbouring places.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Regions {
    /// That they are for.
    precision: Precision,
    /// (slots): neurons.
    pub order: Array<u32>,
    /// (tiles of slots, words): windows and masks.
    pub slots: Array<u32>,
    /// (tiles + 1, 2): first span and first piece.
    pub tiles: Array<u32>,
    /// (spans, chunks): of the map.
    pub chunks: Array<u32>,
    /// (spans): which pairs of its chunks are seen by the first, second, third group of the tile's neurons.
    pub sight: Array<u32>,
    /// (pieces, 2): tile, and first chunk of what it looks at.
    pub pieces: Array<u32>,
    /// (spans, chunks) of slots and the thirds of their patch that the span sees, and the patch's corner (spans, 2).
    pub viewers: Array<u32>,
    pub corners: Array<u32>,
    /// (patches, 8): corner, first span, ends of its kinds of spans; those with most first.
    pub patches: Array<u32>,
}

impl Regions {
    /// Whether the kernels are for this device.
    pub fn apply(device: &Device) -> bool {
        device.is_hopper() && device.precision() != Precision::F32
    }

    /// Whether these tables are for this device.
    pub fn are_for(&self, device: &Device) -> bool {
        device.is_hopper() && device.precision() == self.precision
    }

    /// Pixels, or slots, of a span.
    pub fn span(device: &Device) -> usize {
        CHUNKS * chunk(device)
    }

    /// Of neurons in this order, groups of one window each.
    pub fn new(device: &Device, map: (usize, usize), groups: &[Group], order: &[usize]) -> Self {
        let mut groups: Vec<&Group> = groups.iter().collect();
        groups.sort_by_key(|g| snake(&g.window));
        let chunk = chunk(device);
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
        let mut sight = Vec::new();
        for (tile, windows) in windows.chunks(NEURONS).enumerate() {
            tiles.push([spans(&chunks), pieces.len() as u32]);
            let seen = looked_at(windows, map, chunk);
            let groups = windows.chunks(GROUP).map(|own| sees(own, map, chunk));
            let groups: Vec<_> = groups.collect();
            sight.extend(seen.chunks(CHUNKS).map(|span| pairs_seen(&groups, span)));
            let first_chunks = (0..seen.len()).step_by(piece(device) / chunk);
            pieces.extend(first_chunks.map(|first| [tile as u32, first as u32]));
            append_spans(&mut chunks, seen);
        }
        tiles.push([spans(&chunks), pieces.len() as u32]);
        let (mut viewers, mut corners, mut patches) = (Vec::new(), Vec::new(), Vec::new());
        for top in (0..map.0).step_by(PATCH_HEIGHT) {
            for left in (0..map.1).step_by(PATCH_WIDTH) {
                let (first, corner) = (spans(&viewers), [top as u32, left as u32]);
                let kinds = append_patch(&mut viewers, windows.chunks(chunk), (top, left));
                corners.extend(kinds.iter().map(|_| corner));
                let end = |k| kinds.iter().filter(|kind| **kind <= k).count() as u32;
                let [top, left] = corner;
                patches.push([top, left, first, end(0), end(1), end(2), end(3), end(4)]);
            }
        }
        patches.sort_by_key(|patch| Reverse(patch[7]));
        Self {
            precision: device.precision(),
            order: device.upload(&neurons, &[neurons.len()]),
            slots: table(device, &slots),
            tiles: table(device, &tiles),
            chunks: table(device, chunks.as_chunks::<CHUNKS>().0),
            sight: device.upload(&sight, &[sight.len()]),
            pieces: table(device, &pieces),
            viewers: table(device, viewers.as_chunks::<CHUNKS>().0),
            corners: table(device, &corners),
            patches: table(device, &patches),
        }
    }
}

fn chunk(device: &Device) -> usize {
    AT_ONCE / device.precision().map_bytes()
}

/// Pixels of a piece, for the gradients of the weights.
fn piece(device: &Device) -> usize {
    match device.precision() {
        Precision::Tf32 => of_weights_tf32::PIXELS,
        _ => of_weights::PIXELS,
    }
}

/// Windows of one size row of corners after row, back and forth.
fn snake(w: &Window) -> (usize, usize, isize) {
    let left = w.left as isize;
    let forth = (w.top / 4).is_multiple_of(2);
    (w.pixels(), w.top, if forth { left } else { -left })
}

/// Whether any of these windows has a pixel of each chunk of a map.
fn sees(windows: &[Window], map: (usize, usize), chunk: usize) -> Vec<bool> {
    let mut seen = vec![false; (map.0 * map.1).div_ceil(chunk)];
    for own in windows.chunk_by(|a, b| a == b) {
        for row in own[0].rows(map.1) {
            seen[row.start / chunk..row.end.div_ceil(chunk)].fill(true);
        }
    }
    seen
}

/// The chunks that any of these windows has a pixel of: two rows of two neighbours after two rows. Pairs lie below one another, and what
/// memory hands over at once, 32 bytes, comes in one span.
fn looked_at(windows: &[Window], map: (usize, usize), size: usize) -> Vec<u32> {
    let seen = sees(windows, map, size);
    let mut chunks: Vec<usize> = (0..seen.len()).filter(|&chunk| seen[chunk]).collect();
    chunks.sort_by_key(|&chunk| {
        let (y, column) = (chunk * size / map.1, chunk * size % map.1 / size);
        (column / 2, y / 2, column % 2, chunk)
    });
    chunks.into_iter().map(|chunk| chunk as u32).collect()
}

/// Of each group's chunks and pairs of a span's, 4 bits for a group, whether they have one in common.
fn pairs_seen(groups: &[Vec<bool>], span: &[u32]) -> u32 {
    let pairs = |seen: &[bool]| {
        let any = |pair: &[u32]| pair.iter().any(|&chunk| seen[chunk as usize]);
        let bits = (0..).zip(span.chunks(2));
        bits.map(|(i, pair)| u32::from(any(pair)) << i).sum::<u32>()
    };
    let bits = (0..).step_by(CHUNKS / 2).zip(groups);
    bits.map(|(i, seen)| pairs(seen) << i).sum()
}

/// The kinds of spans of a patch, in the order in which they come, by the thirds that they see.
const KINDS: [u32; 5] = [0b001, 0b011, 0b111, 0b110, 0b100];
/// Where these are noted, above the chunk of slots.
const THIRDS_AT: u32 = 29;
const NO_VIEWERS: u32 = (1 << THIRDS_AT) - 1;

/// The thirds of a patch that a window has a pixel of.
fn thirds(w: &Window, (top, left): (usize, usize)) -> u32 {
    let meets = |first: usize, size: usize, other: usize, others: usize| {
        first < other + others && other < first + size
    };
    let third = PATCH_HEIGHT / 3;
    let sees = |t: usize| {
        meets(w.top, w.height, top + t * third, third) && meets(w.left, w.width, left, PATCH_WIDTH)
    };
    (0..3).map(|t| u32::from(sees(t)) << t).sum()
}

/// The first kind that has these thirds.
fn kind(thirds: u32) -> usize {
    let holds = |kind: &u32| kind & thirds == thirds;
    KINDS.iter().position(holds).unwrap_or(2)
}

/// Appends the chunks of slots that have a neuron that sees something of a patch, and tells the kinds of their spans.
fn append_patch<'a>(
    all: &mut Vec<u32>,
    chunks: impl Iterator<Item = &'a [Window]>,
    corner: (usize, usize),
) -> Vec<usize> {
    let any = |chunk: &[Window]| chunk.iter().fold(0, |some, w| some | thirds(w, corner));
    let mut seen: Vec<(usize, u32)> = (0..)
        .zip(chunks)
        .map(|(i, chunk)| (any(chunk), i))
        .filter(|(thirds, _)| *thirds > 0)
        .map(|(thirds, i)| (kind(thirds), i))
        .collect();
    seen.sort_unstable();
    let spans = seen.chunks(CHUNKS).map(|span| {
        let kind = kind(span.iter().fold(0, |some, (kind, _)| some | KINDS[*kind]));
        let viewers = (0..CHUNKS).map(|i| span.get(i).map_or(NO_VIEWERS, |chunk| chunk.1));
        all.extend(viewers.map(|chunk| chunk | KINDS[kind] << THIRDS_AT));
        kind
    });
    spans.collect()
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
