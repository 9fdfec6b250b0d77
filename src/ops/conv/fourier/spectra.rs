//! From images to the spectra of their tiles, and back. As many channels at a time as a vector has lanes.

use super::lines;
use super::plan::Plan;
use crate::ops::panel::LINE;
use crate::ops::turn::turn;
use pulp::{Simd, WithSimd};

/// How spectra lie in memory: (complex tile, pair of frequencies, column, real and imaginary parts, channels). A complex tile has two
/// columns: what stands at f, and the conjugate of what stands at -f.
#[derive(Clone, Copy)]
pub struct Layout {
    /// In whole vectors.
    pub channels: usize,
    pub tiles: usize,
    pub pairs: usize,
}

impl Layout {
    pub fn columns(&self) -> usize {
        2 * self.tiles
    }

    /// From one column of a tile to the other.
    pub fn column(&self) -> usize {
        2 * self.channels
    }

    /// From one pair of frequencies to the next.
    pub fn pair(&self) -> usize {
        2 * self.column()
    }

    /// From one tile to the next: not all in one set of a cache.
    pub fn tile(&self) -> usize {
        self.pairs * self.pair() + LINE
    }

    /// Numbers of all tiles.
    pub fn len(&self) -> usize {
        self.tiles * self.tile()
    }

    /// From one column to the next.
    pub fn rows(&self) -> Rows {
        Rows {
            two: self.tile(),
            one: self.column(),
        }
    }
}

/// Rows of a matrix: from one pair of them to the next, and from the first of a pair to the second.
#[derive(Clone, Copy)]
pub struct Rows {
    two: usize,
    one: usize,
}

impl Rows {
    /// All `one` apart.
    pub fn apart(one: usize) -> Self {
        Self { two: 2 * one, one }
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> usize {
        row / 2 * self.two + row % 2 * self.one
    }
}

/// What lies in a tile of each image: `size` pixels from the output's place less `before` on.
#[derive(Clone, Copy)]
pub struct Cut {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub before: usize,
    pub size: [usize; 2],
}

/// What a tile shares with an image: first pixel of the image, first of the tile, how many.
#[derive(Clone, Copy, Default)]
struct Overlap {
    image: usize,
    tile: usize,
    count: usize,
}

impl Cut {
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Down and across, of a tile at this place.
    fn overlap(&self, place: Option<[usize; 2]>) -> [Overlap; 2] {
        let Some(place) = place else {
            return [Overlap::default(); 2];
        };
        let of = |axis: usize, length: usize| {
            let start = place[axis] as isize - self.before as isize;
            let image = start.max(0) as usize;
            let end = (start + self.size[axis] as isize).min(length as isize);
            Overlap {
                image,
                tile: (image as isize - start) as usize,
                count: (end.max(0) as usize).saturating_sub(image),
            }
        };
        [of(0, self.height), of(1, self.width)]
    }
}

/// The spectra of a complex tile of an image.
pub struct Analyse<'a> {
    pub plan: &'a Plan,
    pub cut: Cut,
    pub image: &'a [f32],
    pub two: usize,
    pub layout: Layout,
    /// The tile's first number.
    pub to: *mut f32,
    pub tile: &'a mut [f32],
}

impl WithSimd for Analyse<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            cut,
            image,
            two,
            layout,
            to,
            tile,
        } = self;
        let overlaps = plan.places(two).map(|place| cut.overlap(place));
        let columns = plan.tile[1];
        let covers = overlaps.iter().all(|o| o[1].count == columns);
        for first in (0..cut.channels).step_by(S::F32_LANES) {
            let channels = S::F32_LANES.min(cut.channels - first);
            let whole = covers && channels == S::F32_LANES;
            for (r, row) in tile.chunks_exact_mut(plan.at(0, 1, 0)).enumerate() {
                let inside =
                    overlaps.map(|[down, _]| (down.tile..down.tile + down.count).contains(&r));
                if !(whole && inside[0] && inside[1]) {
                    row.fill(0.0);
                }
                if !inside[0] && !inside[1] {
                    continue;
                }
                for (half, [down, across]) in overlaps.iter().enumerate() {
                    if !inside[half] {
                        continue;
                    }
                    let pixel = (down.image + r - down.tile) * cut.width + across.image;
                    let plane = cut.height * cut.width;
                    let at = plan.at(half * S::F32_LANES, 0, across.tile);
                    // SAFETY: pixels of the image that are this tile's, in its row.
                    unsafe {
                        let from = image.as_ptr().add(first * plane + pixel);
                        let to = (row.as_mut_ptr().add(at), plan.element());
                        turn(simd, (from, plane), to, (channels, across.count));
                    }
                }
                // SAFETY: a row of elements.
                unsafe { lines::row(simd, &plan.sides, row.as_mut_ptr(), 0) };
            }
            // SAFETY: a tile has as many elements as its sides say; pairs are elements of it, and each has two columns of two parts.
            unsafe {
                lines::columns(simd, &plan.sides, tile.as_mut_ptr());
                let tile = tile.as_ptr();
                for (f, &[at, mirror]) in plan.pairs.iter().enumerate() {
                    let to = to.add(f * layout.pair() + first);
                    let (re, im) = lines::load::<S>(tile.add(at * plan.element()));
                    lines::store::<S>(to, layout.channels, (re, im));
                    let (re, im) = lines::load::<S>(tile.add(mirror * plan.element()));
                    let conjugate = (re, simd.neg_f32s(im));
                    lines::store::<S>(to.add(layout.column()), layout.channels, conjugate);
                }
            }
        }
    }
}

/// The outputs of a complex tile, of what its spectra say.
pub struct Synthesise<'a> {
    pub plan: &'a Plan,
    /// From the tile's first number on.
    pub from: &'a [f32],
    pub layout: Layout,
    pub two: usize,
    pub channels: usize,
    /// First number of the image.
    pub image: *mut f32,
    pub tile: &'a mut [f32],
}

impl WithSimd for Synthesise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            from,
            layout,
            two,
            channels,
            image,
            tile,
        } = self;
        let (height, width) = (plan.shape.out_height(), plan.shape.out_width());
        let cut = Cut {
            channels,
            height,
            width,
            before: 0,
            size: plan.inner,
        };
        let overlaps = plan.places(two).map(|place| cut.overlap(place));
        for first in (0..channels).step_by(S::F32_LANES) {
            // SAFETY: as in `Analyse`; real and imaginary parts are exchanged, for an inverse transform.
            unsafe {
                let to = tile.as_mut_ptr();
                for (f, &[at, mirror]) in plan.pairs.iter().enumerate() {
                    let from = from.as_ptr().add(f * layout.pair() + first);
                    let (re, im) = lines::load_parts::<S>(from, layout.channels);
                    let (re2, im2) =
                        lines::load_parts::<S>(from.add(layout.column()), layout.channels);
                    let lanes = S::F32_LANES;
                    lines::store::<S>(
                        to.add(mirror * plan.element()),
                        lanes,
                        (simd.neg_f32s(im2), re2),
                    );
                    lines::store::<S>(to.add(at * plan.element()), lanes, (im, re));
                }
                lines::columns(simd, &plan.sides, to);
            }
            let channels = S::F32_LANES.min(channels - first);
            let rows = tile.chunks_exact_mut(plan.at(0, 1, 0));
            for (r, row) in rows.enumerate().take(plan.inner[0]) {
                // SAFETY: a row of elements.
                unsafe { lines::row(simd, &plan.sides, row.as_mut_ptr(), 0) };
                for (half, [down, across]) in overlaps.iter().enumerate() {
                    if r >= down.count {
                        continue;
                    }
                    let pixel = (down.image + r) * width + across.image;
                    // Parts are exchanged.
                    let at = (1 - half) * S::F32_LANES;
                    // SAFETY: pixels of the image that are this tile's.
                    unsafe {
                        let from = (row.as_ptr().add(at), plan.element());
                        let to = image.add(first * height * width + pixel);
                        turn(simd, from, (to, height * width), (across.count, channels));
                    }
                }
            }
        }
    }
}
