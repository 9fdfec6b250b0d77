//! From images to the spectra of their tiles, and back.

use super::lines;
use super::plan::Plan;
use crate::ops::panel::LINE;
use pulp::{Simd, WithSimd};

/// Spectra of images or of what comes out, (pair of frequencies, 2 half, columns): the real parts of so many channels, then the
/// imaginary ones; in a column for each tile what stands at f, then at -f.
pub struct Spectra<V> {
    pub half: usize,
    pub columns: usize,
    pub values: V,
}

impl<V: std::ops::Deref<Target = [f32]>> Spectra<V> {
    /// Numbers of a pair of frequencies.
    pub fn len(&self) -> usize {
        2 * self.half * self.columns
    }

    pub fn stride(&self) -> usize {
        stride(self.half, self.columns)
    }

    pub fn pair(&self, f: usize) -> &[f32] {
        &self.values[f * self.stride()..][..self.len()]
    }
}

/// From one pair of frequencies to the next: not all in one set of a cache.
pub fn stride(half: usize, columns: usize) -> usize {
    2 * half * columns + LINE
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

/// What a lane's tile shares with an image.
struct Part {
    lane: usize,
    image: usize,
    /// Down and across: first pixel of the image, first pixel of the tile, how many.
    overlap: [(usize, usize, usize); 2],
}

impl Cut {
    /// Where a tile at this place overlaps the image: first row and column of it and of the tile, and how many.
    fn overlap(&self, place: [usize; 2]) -> [(usize, usize, usize); 2] {
        let of = |axis: usize, length: usize| {
            let start = place[axis] as isize - self.before as isize;
            let from = start.max(0) as usize;
            let to = (start + self.size[axis] as isize).min(length as isize);
            let inside = (from as isize - start) as usize;
            (from, inside, (to.max(0) as usize).saturating_sub(from))
        };
        [of(0, self.height), of(1, self.width)]
    }

    /// Of all lanes of a unit among so many images.
    fn parts(&self, plan: &Plan, unit: usize, images: usize) -> Vec<Part> {
        let parts = plan.of_unit(unit, images).map(|(lane, image, place)| Part {
            lane,
            image,
            overlap: self.overlap(place),
        });
        parts.collect()
    }
}

/// Spectra of the units from `first` on of some images.
pub struct Analyse<'a, 'b> {
    pub plan: &'a Plan,
    pub cut: Cut,
    pub images: &'a [f32],
    pub first: usize,
    pub spectra: &'a mut Spectra<&'b mut [f32]>,
    pub tiles: &'a mut [f32],
}

impl WithSimd for Analyse<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            cut,
            images,
            first,
            spectra,
            tiles,
        } = self;
        let area = cut.height * cut.width;
        let count = images.len() / (cut.channels * area);
        let units = spectra.columns / plan.unit();
        let lanes: Vec<Vec<Part>> = (first..first + units)
            .map(|unit| cut.parts(plan, unit, count))
            .collect();
        for channel in 0..cut.channels {
            for (tile, lanes) in tiles.chunks_exact_mut(plan.len()).zip(&lanes) {
                let per_row = plan.at(0, 1, 0);
                for (r, row) in tile.chunks_exact_mut(per_row).enumerate() {
                    row.fill(0.0);
                    if r >= cut.size[0] {
                        continue;
                    }
                    for part in lanes {
                        let [(row_from, row_to, rows), (from, to, columns)] = part.overlap;
                        if !(row_to..row_to + rows).contains(&r) {
                            continue;
                        }
                        let at = (part.image * cut.channels + channel) * area;
                        let at = at + (row_from + r - row_to) * cut.width + from;
                        let to = row[plan.at(part.lane, 0, to)..].iter_mut();
                        for (to, &v) in to.step_by(plan.unit()).zip(&images[at..][..columns]) {
                            *to = v;
                        }
                    }
                    // SAFETY: a row of elements.
                    unsafe { lines::row(simd, &plan.sides, row.as_mut_ptr(), 0) };
                }
                // SAFETY: a tile has as many elements as its sides say.
                unsafe { lines::columns(simd, &plan.sides, tile.as_mut_ptr()) };
            }
            // SAFETY: pairs are elements of a tile; each has two rows of a channel and two vectors of a unit.
            unsafe {
                let (stride, imaginary) = (spectra.stride(), spectra.half * spectra.columns);
                let to = spectra.values.as_mut_ptr().add(channel * spectra.columns);
                for (f, pair) in plan.pairs.iter().enumerate() {
                    for unit in 0..units {
                        let to = to.add(f * stride + unit * plan.unit());
                        let tile = tiles.as_ptr().add(unit * plan.len());
                        for (i, &at) in pair.iter().enumerate() {
                            let (re, im) = lines::load::<S>(tile.add(at * plan.unit()));
                            let im = if i == 0 { im } else { simd.neg_f32s(im) };
                            let to = to.add(i * S::F32_LANES);
                            to.cast::<S::f32s>().write_unaligned(re);
                            to.add(imaginary).cast::<S::f32s>().write_unaligned(im);
                        }
                    }
                }
            }
        }
    }
}

/// The first rows and columns of what spectra say, for the units from `first` on of some images.
pub struct Synthesise<'a, 'b> {
    pub plan: &'a Plan,
    pub spectra: &'a Spectra<&'b mut [f32]>,
    pub first: usize,
    pub channels: usize,
    pub images: &'a mut [f32],
    pub tiles: &'a mut [f32],
}

impl WithSimd for Synthesise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            plan,
            spectra,
            first,
            channels,
            images,
            tiles,
        } = self;
        let (height, width) = (plan.shape.out_height(), plan.shape.out_width());
        let count = images.len() / (channels * height * width);
        let units = spectra.columns / plan.unit();
        let cut = Cut {
            channels,
            height,
            width,
            before: 0,
            size: plan.inner,
        };
        let lanes: Vec<Vec<Part>> = (first..first + units)
            .map(|unit| cut.parts(plan, unit, count))
            .collect();
        for channel in 0..channels {
            // SAFETY: as in `Analyse`; real and imaginary parts are exchanged.
            unsafe {
                let (stride, imaginary) = (spectra.stride(), spectra.half * spectra.columns);
                let from = spectra.values.as_ptr().add(channel * spectra.columns);
                for (f, pair) in plan.pairs.iter().enumerate() {
                    for unit in 0..units {
                        let from = from.add(f * stride + unit * plan.unit());
                        let tile = tiles.as_mut_ptr().add(unit * plan.len());
                        for (i, &at) in pair.iter().enumerate() {
                            let from = from.add(i * S::F32_LANES);
                            let re = from.cast::<S::f32s>().read_unaligned();
                            let im = from.add(imaginary).cast::<S::f32s>().read_unaligned();
                            let im = if i == 0 { im } else { simd.neg_f32s(im) };
                            let to = tile.add(at * plan.unit()).cast::<S::f32s>();
                            to.write_unaligned(im);
                            to.add(1).write_unaligned(re);
                        }
                    }
                }
            }
            for (tile, lanes) in tiles.chunks_exact_mut(plan.len()).zip(&lanes) {
                // SAFETY: a tile has as many elements as its sides say.
                unsafe { lines::columns(simd, &plan.sides, tile.as_mut_ptr()) };
                let rows = tile.chunks_exact_mut(plan.at(0, 1, 0));
                for (r, row) in rows.enumerate().take(plan.inner[0]) {
                    // SAFETY: a row of elements.
                    unsafe { lines::row(simd, &plan.sides, row.as_mut_ptr(), 0) };
                    for part in lanes {
                        let [(to_row, _, rows), (to, _, columns)] = part.overlap;
                        if r < rows {
                            let at = (part.image * channels + channel) * height * width;
                            let to = &mut images[at + (to_row + r) * width + to..][..columns];
                            let from = row[mirrored(part.lane, plan.lanes)..].iter();
                            for (to, &v) in to.iter_mut().zip(from.step_by(plan.unit())) {
                                *to = v;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The lane of the other part: inverse transforms exchange real and imaginary parts.
pub fn mirrored(lane: usize, lanes: usize) -> usize {
    if lane < lanes {
        lane + lanes
    } else {
        lane - lanes
    }
}
