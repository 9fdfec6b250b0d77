//! Register-blocked products on the CPU over a tile of pixels: what convolutions in either form come down to.
//!
//! A tile is [`TILE`] consecutive pixels of a zero-padded, flattened image: with row stride S = width + padding (the
//! zeros after a row are those before the next), tap (a, b) of a filter reads the tile shifted by a S + b, whatever the
//! image's width. Columns that hang over the right edge are computed and dropped ([`Geometry::segments`]).
//!
//! L images may be interleaved, pixel by pixel: (pixel, L). Then S is L times as long, rounded to whole tiles, and tap (a, b)
//! shifts by a S + b L. In small images most tiles would hang over; here whole tiles do, and are left out.

use pulp::{Arch, Simd, WithSimd};
use std::cell::RefCell;

/// Pixels per tile: three 16-lane vectors, one register block of the widest instructions.
pub const TILE: usize = 48;
/// Output rows per packed block of weights.
pub const ROWS: usize = 8;
/// Rows of a block whose sums fit into 16 registers.
const HALF: usize = ROWS / 2;

/// Where the pixels of one image lie, padded and flattened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub height: usize,
    pub width: usize,
    pub kernel: usize,
    pub padding: usize,
    /// L.
    pub lanes: usize,
}

/// A run of valid output pixels within a tile.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First pixel in the tile.
    pub at: usize,
    /// First pixel in the output map.
    pub output: usize,
    pub len: usize,
}

impl Geometry {
    pub fn stride(&self) -> usize {
        let row = (self.width + self.padding) * self.lanes;
        match self.lanes {
            1 => row,
            _ => row.next_multiple_of(TILE),
        }
    }

    /// Numbers of a row of the output.
    fn out_row(&self) -> usize {
        self.out_width() * self.lanes
    }

    /// Numbers of an output map.
    pub fn out_area(&self) -> usize {
        self.out_height() * self.out_row()
    }

    /// Numbers of an input map.
    pub fn area(&self) -> usize {
        self.height * self.width * self.lanes
    }

    /// Where row `row` of the input begins in its padded plane.
    pub fn row_start(&self, row: usize) -> usize {
        (row + self.padding) * self.stride() + self.padding * self.lanes
    }

    pub fn out_height(&self) -> usize {
        self.height + 2 * self.padding + 1 - self.kernel
    }

    pub fn out_width(&self) -> usize {
        self.width + 2 * self.padding + 1 - self.kernel
    }

    /// Length of a padded plane, with room for the last tile's overhang; whole cache lines.
    pub fn plane(&self) -> usize {
        let rows = self.height + 2 * self.padding;
        let reach = self.tiles() * TILE + (self.kernel - 1) * (self.stride() + self.lanes);
        ((rows * self.stride()).max(reach) + TILE).next_multiple_of(LINE)
    }

    pub fn tiles(&self) -> usize {
        ((self.out_height() - 1) * self.stride() + self.out_row()).div_ceil(TILE)
    }

    /// Those of the tiles (from the first to before the last) with valid pixels.
    pub fn used_tiles(self, (first, last): (usize, usize)) -> impl Iterator<Item = usize> {
        (first..last).filter(move |&tile| self.segments(tile).next().is_some())
    }

    pub fn segments(&self, tile: usize) -> impl Iterator<Item = Segment> + use<> {
        let (stride, width) = (self.stride(), self.out_row());
        let (start, end) = (tile * TILE, (tile + 1) * TILE);
        let last = self.out_height() - 1;
        (start / stride..=((end - 1) / stride).min(last)).filter_map(move |row| {
            let from = (row * stride).max(start);
            let to = (row * stride + width).min(end);
            (from < to).then(|| Segment {
                at: from - start,
                output: row * width + from - row * stride,
                len: to - from,
            })
        })
    }

    /// Copies one plane of `height * width` pixels into its padded place; the border must already be zero.
    pub fn place(&self, plane: &[f32], padded: &mut [f32]) {
        for (row, pixels) in plane.chunks_exact(self.width).enumerate() {
            let at = self.row_start(row);
            padded[at..at + self.width].copy_from_slice(pixels);
        }
    }
}

/// Weights (rows, depth) as blocks of [`ROWS`] rows, depth outermost within a block, padded with zeros.
pub fn pack(rows: usize, depth: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut packed = vec![0.0; rows.div_ceil(ROWS) * depth * ROWS];
    for (block, values) in packed.chunks_exact_mut(depth * ROWS).enumerate() {
        for (k, column) in values.chunks_exact_mut(ROWS).enumerate() {
            for (i, value) in column.iter_mut().enumerate() {
                if block * ROWS + i < rows {
                    *value = weight(block * ROWS + i, k);
                }
            }
        }
    }
    packed
}

/// Where row k of a panel's tile lies.
pub trait Panel: Copy {
    /// # Safety
    /// The panel must have a row k.
    unsafe fn row(self, k: usize) -> *const f32;
}

/// Rows of [`TILE`] one after another.
#[derive(Clone, Copy)]
pub struct Contiguous(pub *const f32);

impl Panel for Contiguous {
    #[inline(always)]
    unsafe fn row(self, k: usize) -> *const f32 {
        unsafe { self.0.add(k * TILE) }
    }
}

/// Rows at any offsets.
#[derive(Clone, Copy)]
pub struct Scattered<'a>(pub *const f32, pub &'a [usize]);

impl Panel for Scattered<'_> {
    #[inline(always)]
    unsafe fn row(self, k: usize) -> *const f32 {
        unsafe { self.0.add(*self.1.get_unchecked(k)) }
    }
}

/// The parts of a product's depth.
#[derive(Clone, Copy)]
pub struct Parts {
    pub count: usize,
    /// Steps in floats.
    pub panel: usize,
    pub weights: usize,
}

impl Parts {
    /// All in one.
    pub const ONE: Self = Self {
        count: 1,
        panel: 0,
        weights: 0,
    };
}

/// `out[r][p] = sum_k weights[r][k] panel[k][p]`, k < depth, for one tile of pixels p; added to `out` if `add`.
///
/// The depth may come in several `parts`, a step apart in the panel and in the weights.
///
/// `out` has rows of [`TILE`] floats, a multiple of [`ROWS`] of them, of which the first `rows` are wanted; what is left in the
/// others means nothing.
///
/// # Safety
/// `panel` must have `depth` rows readable for a tile; `weights` packed by [`pack`].
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub unsafe fn product<S: Simd>(
    simd: S,
    weights: &[f32],
    panel: impl Panel,
    depth: usize,
    parts: Parts,
    rows: usize,
    out: &mut [f32],
    add: bool,
) {
    let vectors = if S::REGISTER_COUNT >= 32 { 3 } else { 2 };
    let block = vectors * S::F32_LANES;
    let padded = rows.next_multiple_of(ROWS);
    debug_assert!(TILE.is_multiple_of(block) && padded * TILE <= out.len());
    debug_assert!((parts.count - 1) * parts.weights + padded * depth <= weights.len());
    let mut p = 0;
    while p < TILE {
        for r in (0..rows).step_by(ROWS) {
            // SAFETY: the caller vouches for the panel; weights and out are within their slices by the check above.
            unsafe {
                let w = weights.as_ptr().add(r * depth);
                let o = (out.as_mut_ptr().add(r * TILE + p), TILE);
                let is_whole = r + HALF < rows;
                if S::REGISTER_COUNT >= 32 {
                    match is_whole {
                        true => {
                            product_block::<S, _, 3, ROWS>(simd, w, panel, depth, parts, p, o, add)
                        }
                        false => {
                            product_block::<S, _, 3, HALF>(simd, w, panel, depth, parts, p, o, add)
                        }
                    }
                    continue;
                }
                product_block::<S, _, 2, HALF>(simd, w, panel, depth, parts, p, o, add);
                if is_whole {
                    let (w, o) = (w.add(HALF), (o.0.add(HALF * TILE), TILE));
                    product_block::<S, _, 2, HALF>(simd, w, panel, depth, parts, p, o, add);
                }
            }
        }
        p += block;
    }
}

#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn product_block<S: Simd, P: Panel, const V: usize, const R: usize>(
    simd: S,
    weights: *const f32,
    panel: P,
    depth: usize,
    parts: Parts,
    p: usize,
    (out, stride): (*mut f32, usize),
    add: bool,
) {
    unsafe {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if add {
            for (i, sum) in sums.iter_mut().enumerate() {
                let from = out.add(i * stride).cast::<S::f32s>();
                for (n, v) in sum.iter_mut().enumerate() {
                    *v = from.add(n).read_unaligned();
                }
            }
        }
        for part in 0..parts.count {
            let mut w = weights.add(part * parts.weights);
            for k in 0..depth {
                let source = panel.row(k).add(part * parts.panel + p).cast::<S::f32s>();
                let mut v = [simd.splat_f32s(0.0); V];
                for (n, v) in v.iter_mut().enumerate() {
                    *v = source.add(n).read_unaligned();
                }
                for (i, sum) in sums.iter_mut().enumerate() {
                    let a = simd.splat_f32s(*w.add(i));
                    for (sum, &v) in sum.iter_mut().zip(&v) {
                        *sum = simd.mul_add_e_f32s(a, v, *sum);
                    }
                }
                w = w.add(ROWS);
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            let to = out.add(i * stride).cast::<S::f32s>();
            for (n, &v) in sum.iter().enumerate() {
                to.add(n).write_unaligned(v);
            }
        }
    }
}

/// Rows that [`outer`] wants in `right`: whole vectors of this machine.
pub fn padded_rows(rows: usize) -> usize {
    rows.next_multiple_of(lanes())
}

/// Numbers of a vector of this machine.
pub fn lanes() -> usize {
    Arch::new().dispatch(Lanes)
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// `sums[k][r] += sum_p panel[k][p] right[p][r]` over consecutive pixels p.
///
/// `right` is (pixels, rows) and `sums` (depth, rows) with rows padded by [`padded_rows`].
///
/// # Safety
/// `panel` must have `depth` rows readable for all the pixels.
#[inline(always)]
pub unsafe fn outer<S: Simd>(
    simd: S,
    panel: impl Panel,
    right: &[f32],
    rows: usize,
    sums: &mut [f32],
) {
    let lanes = S::F32_LANES;
    debug_assert!(rows.is_multiple_of(lanes) && sums.len().is_multiple_of(rows));
    debug_assert!(right.len().is_multiple_of(rows));
    let mut r = 0;
    while r < rows {
        // SAFETY: the caller vouches for the panel; rows are whole vectors.
        unsafe {
            if r + 2 * lanes <= rows {
                outer_columns::<S, _, 2>(simd, panel, right, rows, r, sums);
                r += 2 * lanes;
            } else {
                outer_columns::<S, _, 1>(simd, panel, right, rows, r, sums);
                r += lanes;
            }
        }
    }
}

/// V vectors of columns from r on, in the fewest blocks of panel rows whose sums fit into the registers, of like size.
#[inline(always)]
unsafe fn outer_columns<S: Simd, P: Panel, const V: usize>(
    simd: S,
    panel: P,
    right: &[f32],
    rows: usize,
    r: usize,
    sums: &mut [f32],
) {
    let depth = sums.len() / rows;
    let most = if S::REGISTER_COUNT >= 32 { 24 } else { 12 } / V;
    let blocks = depth.div_ceil(most);
    let mut k = 0;
    macro_rules! sizes {
        ($($c:literal)*) => {
            for block in 0..blocks {
                let end = (block + 1) * depth / blocks;
                match end - k {
                    $($c if $c * V <= 24 => apart(simd, OuterBlock::<P, $c, V> {
                        panel,
                        k,
                        right,
                        rows,
                        r,
                        sums,
                    }),)*
                    _ => unreachable!("at most {most} rows"),
                }
                k = end;
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
}

/// Does it in a function of its own: among others, inlined, the compiler spills sums that have room in registers.
#[inline(never)]
fn apart<S: Simd, W: WithSimd>(simd: S, work: W) -> W::Output {
    simd.vectorize(work)
}

/// C rows of the panel from k on, V vectors of columns from r on.
struct OuterBlock<'a, P, const C: usize, const V: usize> {
    panel: P,
    k: usize,
    right: &'a [f32],
    rows: usize,
    r: usize,
    sums: &'a mut [f32],
}

impl<P: Panel, const C: usize, const V: usize> WithSimd for OuterBlock<'_, P, C, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            panel,
            k,
            right,
            rows,
            r,
            sums,
        } = self;
        // SAFETY: the caller vouches for the panel's rows and for whole vectors of columns.
        unsafe {
            let mut total = [[simd.splat_f32s(0.0); V]; C];
            let from: [*const f32; C] = std::array::from_fn(|c| panel.row(k + c));
            let pixels = right.len() / rows;
            let right = right.as_ptr().add(r);
            for p in 0..pixels {
                let source = right.add(p * rows).cast::<S::f32s>();
                let v: [S::f32s; V] = std::array::from_fn(|n| source.add(n).read_unaligned());
                for (total, from) in total.iter_mut().zip(&from) {
                    let a = simd.splat_f32s(*from.add(p));
                    for (t, &v) in total.iter_mut().zip(&v) {
                        *t = simd.mul_add_e_f32s(a, v, *t);
                    }
                }
            }
            for (c, total) in total.iter().enumerate() {
                let to = sums.as_mut_ptr().add((k + c) * rows + r).cast::<S::f32s>();
                for (n, &t) in total.iter().enumerate() {
                    let old = to.add(n).read_unaligned();
                    to.add(n).write_unaligned(simd.add_f32s(old, t));
                }
            }
        }
    }
}

/// Images handled by one task of a gradient: fixed, so that sums do not depend on the number of threads.
pub fn images_per_task(batch: usize) -> usize {
    batch.div_ceil(16).max(1)
}

/// Where tasks write what is theirs.
#[derive(Clone, Copy)]
pub struct Shared(pub *mut f32);

// SAFETY: tasks write different numbers.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Shared {
    /// From that number on.
    ///
    /// # Safety
    /// There must be so many.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        unsafe { self.0.add(offset) }
    }
}

/// Floats of a cache line.
pub const LINE: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

thread_local! {
    /// What nobody has borrowed: whoever borrows at the same depth of calls meets what lay there before.
    static SCRATCH: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Asks for pages of 2 MiB: what is written in many places at a time, as spectra are, needs fewer of the processor's page entries. A
/// system that has none goes on with small ones.
#[cfg(target_os = "linux")]
fn in_large_pages(memory: &mut [std::mem::MaybeUninit<Line>]) {
    use rustix::mm::{Advice, madvise};
    const PAGE: usize = 4096;
    let (begin, bytes) = (memory.as_mut_ptr() as usize, size_of_val(memory));
    let (first, end) = (begin.next_multiple_of(PAGE), (begin + bytes) / PAGE * PAGE);
    if end >= first + LARGE {
        // SAFETY: whole pages of this memory; advice does not change what stands there.
        let _ = unsafe { madvise(first as *mut _, end - first, Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn in_large_pages(_: &mut [std::mem::MaybeUninit<Line>]) {}

/// Bytes of a large page.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// Lends this thread's scratch memory, `len` floats of any content, aligned to a cache line.
pub fn with_scratch<R>(len: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with(|cell| {
        let mut memory = cell.borrow_mut().pop().unwrap_or_default();
        if memory.len() * LINE < len {
            let lines = len.div_ceil(LINE);
            drop(std::mem::take(&mut memory));
            memory = Vec::with_capacity(lines);
            in_large_pages(memory.spare_capacity_mut());
            memory.resize(lines, Line([0.0; LINE]));
        }
        // SAFETY: a line is LINE floats without gaps, and there are enough of them.
        let floats =
            unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<f32>(), len) };
        let result = body(floats);
        cell.borrow_mut().push(memory);
        result
    })
}
