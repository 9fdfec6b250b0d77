//! Images with the statistics of natural scenes: the dead-leaves model.
//!
//! Leaves fall on top of each other until they cover the image; what is seen are their edges and occlusions.
//! With radii distributed as r^-3 the pattern looks alike at every scale and its amplitude spectrum falls about
//! as 1/frequency, as in photographs (Ruderman 1997; Lee, Mumford & Huang 2001).

use super::random::{Purpose, stream};
use ndarray::Array3;
use rand::Rng;
use rayon::prelude::*;
use std::f64::consts::{PI, TAU};
use std::ops::Range;

/// Samples per pixel and axis; a pixel is the mean of its samples.
const SUPERSAMPLING: usize = 2;
/// Smallest major half-axis of a leaf in pixels.
const SMALLEST_RADIUS: f64 = 1.0;
/// Largest major half-axis as a fraction of the longer image side.
const LARGEST_RADIUS: f64 = 0.75;
/// Largest ratio of a leaf's axes.
const LARGEST_ASPECT: f64 = 2.0;
/// Range of a leaf's mean grey level.
const GREY: Range<f64> = 15.0..240.0;
/// Largest change of grey level from a leaf's centre to its rim.
const LARGEST_SHADING: f64 = 20.0;
/// Largest amplitude of a leaf's texture in grey levels.
const LARGEST_TEXTURE: f64 = 10.0;
/// Range of the texture's wavelength in pixels.
const WAVELENGTH: Range<f64> = 2.5..12.0;
/// Largest relative change of illumination across the image, per axis.
const LARGEST_ILLUMINATION: f64 = 0.4;
/// Leaves after which what is still uncovered becomes background (practically never reached).
const MOST_LEAVES: usize = 1_000_000;

/// Grey levels (count, height, width) of dead-leaves images: whole numbers in 0..=255.
///
/// Leaves are ellipses of random axis ratio, angle and grey level, with a gradient and a faint grating on each and
/// a gradient of illumination over the image. Image `i` depends on `seed`, `i`, `height` and `width` only: more
/// images or other threads leave it as it is.
pub fn dead_leaves(count: usize, height: usize, width: usize, seed: u64) -> Array3<f32> {
    let mut images = Array3::zeros((count, height, width));
    if images.is_empty() {
        return images;
    }
    if let Some(pixels) = images.as_slice_mut() {
        pixels
            .par_chunks_mut(height * width)
            .enumerate()
            .for_each_init(Canvas::default, |canvas, (index, pixels)| {
                let mut rng = stream(seed, Purpose::Image, index as u64);
                canvas.clear(height, width);
                canvas.cover(&mut rng);
                develop(canvas, pixels, &mut rng);
            });
    }
    images
}

/// The same images with mean 0 and SD 1 over all pixels: what a model sees where no recording is at hand.
pub fn standardised_leaves(count: usize, height: usize, width: usize, seed: u64) -> Array3<f32> {
    let images = dead_leaves(count, height, width, seed);
    let mean = images.mean().unwrap_or(0.0);
    let sd = images.std(0.0).max(f32::MIN_POSITIVE);
    images.mapv(|x| (x - mean) / sd)
}

/// Where a leaf lies; lengths in pixels.
struct Place {
    x: f64,
    y: f64,
    radius: f64,
}

impl Place {
    /// One that may touch the image: of the leaves that fall on the whole plane, those whose bounding square meets
    /// the image.
    fn fall(height: f64, width: f64, rng: &mut impl Rng) -> Self {
        let radius = radius(height, width, rng);
        Self {
            x: rng.random_range(-radius..width + radius),
            y: rng.random_range(-radius..height + radius),
            radius,
        }
    }

    /// Rows or columns of samples, of `side`, whose centres lie within the radius of `centre`.
    fn samples(&self, centre: f64, side: usize) -> Range<usize> {
        let fine = SUPERSAMPLING as f64;
        let first = ((centre - self.radius) * fine - 0.5).ceil().max(0.0) as usize;
        let end = ((centre + self.radius) * fine + 0.5).floor().max(0.0) as usize;
        first.min(side)..end.min(side)
    }
}

/// How a leaf looks: an ellipse with shading and texture.
struct Look {
    aspect: f64,
    cos: f64,
    sin: f64,
    grey: f64,
    shading: [f64; 2],
    texture: f64,
    wave: [f64; 2],
    phase: f64,
}

impl Look {
    fn draw(rng: &mut impl Rng) -> Self {
        let angle = rng.random_range(0.0..PI);
        let wave_angle = rng.random_range(0.0..TAU);
        let wave = TAU / rng.random_range(WAVELENGTH);
        Self {
            aspect: rng.random_range(1.0..LARGEST_ASPECT),
            cos: angle.cos(),
            sin: angle.sin(),
            grey: rng.random_range(GREY),
            shading: [
                either_sign(rng, LARGEST_SHADING),
                either_sign(rng, LARGEST_SHADING),
            ],
            texture: rng.random_range(0.0..LARGEST_TEXTURE),
            wave: [wave * wave_angle.cos(), wave * wave_angle.sin()],
            phase: rng.random_range(0.0..TAU),
        }
    }

    /// Grey level at an offset from the centre; none outside the leaf.
    #[inline]
    fn at(&self, radius: f64, dx: f64, dy: f64) -> Option<f64> {
        let u = (self.cos * dx + self.sin * dy) / radius;
        let v = (self.cos * dy - self.sin * dx) / radius * self.aspect;
        (u * u + v * v <= 1.0).then(|| {
            let wave = self.wave[0] * dx + self.wave[1] * dy + self.phase;
            self.grey + self.shading[0] * u + self.shading[1] * v + self.texture * wave.sin()
        })
    }
}

/// Draws a radius from r^-3 (width + 2r)(height + 2r), the rate of leaves that meet the image: a mixture of three
/// power laws, each inverted in closed form.
fn radius(height: f64, width: f64, rng: &mut impl Rng) -> f64 {
    let small = SMALLEST_RADIUS;
    let large = (LARGEST_RADIUS * height.max(width)).max(1.5 * small);
    let cubic = height * width * (small.powi(-2) - large.powi(-2)) / 2.0;
    let square = 2.0 * (height + width) * (1.0 / small - 1.0 / large);
    let inverse = 4.0 * (large / small).ln();
    let which = rng.random_range(0.0..cubic + square + inverse);
    let u: f64 = rng.random();
    if which < cubic {
        (small.powi(-2) + u * (large.powi(-2) - small.powi(-2))).powf(-0.5)
    } else if which < cubic + square {
        1.0 / (1.0 / small + u * (1.0 / large - 1.0 / small))
    } else {
        small * (large / small).powf(u)
    }
}

/// The samples of one image, `SUPERSAMPLING` per pixel and axis.
#[derive(Default)]
struct Canvas {
    rows: usize,
    columns: usize,
    samples: Vec<f64>,
    /// One bit per sample not yet covered, `words` to a row.
    open: Vec<u64>,
    words: usize,
}

impl Canvas {
    /// Makes everything uncovered.
    fn clear(&mut self, height: usize, width: usize) {
        (self.rows, self.columns) = (SUPERSAMPLING * height, SUPERSAMPLING * width);
        self.samples.clear();
        self.samples.resize(self.rows * self.columns, 0.0);
        self.words = self.columns.div_ceil(64);
        self.open.clear();
        for _ in 0..self.rows {
            self.open
                .extend((0..self.words).map(|word| bits(word, 0..self.columns)));
        }
    }

    /// Lays leaves from front to back until every sample is covered.
    fn cover(&mut self, rng: &mut impl Rng) {
        let fine = SUPERSAMPLING as f64;
        let (height, width) = (self.rows as f64 / fine, self.columns as f64 / fine);
        let mut uncovered = self.samples.len();
        for _ in 0..MOST_LEAVES {
            let place = Place::fall(height, width, rng);
            uncovered -= self.lay(&place, rng);
            if uncovered == 0 {
                return;
            }
        }
        let background = rng.random_range(GREY);
        for row in 0..self.rows {
            for column in 0..self.columns {
                if self.open[row * self.words + column / 64] >> (column % 64) & 1 == 1 {
                    self.samples[row * self.columns + column] = background;
                }
            }
        }
    }

    /// Paints what a leaf covers for the first time; returns how many samples. Its look is drawn only when
    /// something of it may be seen.
    fn lay(&mut self, place: &Place, rng: &mut impl Rng) -> usize {
        let fine = SUPERSAMPLING as f64;
        let columns = place.samples(place.x, self.columns);
        let mut look = None;
        let mut covered = 0;
        for row in place.samples(place.y, self.rows) {
            let dy = (row as f64 + 0.5) / fine - place.y;
            for word in columns.start / 64..columns.end.div_ceil(64) {
                let open = &mut self.open[row * self.words + word];
                let mut left = *open & bits(word, columns.clone());
                while left != 0 {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    let column = 64 * word + bit;
                    let dx = (column as f64 + 0.5) / fine - place.x;
                    let look = look.get_or_insert_with(|| Look::draw(rng));
                    if let Some(grey) = look.at(place.radius, dx, dy) {
                        self.samples[row * self.columns + column] = grey;
                        *open &= !(1 << bit);
                        covered += 1;
                    }
                }
            }
        }
        covered
    }
}

/// The bits of word `word` that stand for the columns of a range.
fn bits(word: usize, columns: Range<usize>) -> u64 {
    let below = |end: usize| match end.saturating_sub(64 * word) {
        n if n >= 64 => u64::MAX,
        n => (1 << n) - 1,
    };
    below(columns.end) & !below(columns.start)
}

/// Averages samples into pixels, under a gradient of illumination.
fn develop(canvas: &Canvas, pixels: &mut [f32], rng: &mut impl Rng) {
    let (height, width) = (canvas.rows / SUPERSAMPLING, canvas.columns / SUPERSAMPLING);
    let down = either_sign(rng, LARGEST_ILLUMINATION);
    let right = either_sign(rng, LARGEST_ILLUMINATION);
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let (row, column) = (index / width, index % width);
        let mut sum = 0.0;
        for i in 0..SUPERSAMPLING {
            let start = (SUPERSAMPLING * row + i) * canvas.columns + SUPERSAMPLING * column;
            sum += canvas.samples[start..start + SUPERSAMPLING]
                .iter()
                .sum::<f64>();
        }
        let light = 1.0
            + down * ((row as f64 + 0.5) / height as f64 - 0.5)
            + right * ((column as f64 + 0.5) / width as f64 - 0.5);
        let grey = light * sum / (SUPERSAMPLING * SUPERSAMPLING) as f64;
        *pixel = grey.round().clamp(0.0, 255.0) as f32;
    }
}

/// Uniform in -limit..limit.
fn either_sign(rng: &mut impl Rng, limit: f64) -> f64 {
    rng.random_range(-limit..limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayView2, Axis, s};

    #[test]
    fn an_image_depends_on_its_index_and_seed_alone() {
        let three = dead_leaves(3, 12, 20, 7);
        let two = dead_leaves(2, 12, 20, 7);
        assert_eq!(three.slice(s![..2, .., ..]), two);
        assert_ne!(three.index_axis(Axis(0), 0), three.index_axis(Axis(0), 1));
        assert_ne!(two, dead_leaves(2, 12, 20, 8));
        assert!(
            three
                .iter()
                .all(|&x| (0.0..=255.0).contains(&x) && x.fract() == 0.0)
        );
    }

    #[test]
    fn threads_do_not_matter() {
        let run = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| dead_leaves(8, 10, 14, 3))
        };
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn no_pixels_no_images() {
        assert_eq!(dead_leaves(0, 4, 4, 1).dim(), (0, 4, 4));
        assert_eq!(dead_leaves(2, 0, 4, 1).dim(), (2, 0, 4));
        assert_eq!(dead_leaves(1, 1, 1, 1).dim(), (1, 1, 1));
    }

    /// Adds |DFT|^2 of a square image under a Hann window to `power`.
    fn add_power(image: ArrayView2<f32>, power: &mut [f64]) {
        let n = image.nrows();
        let hann = |i: usize| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos();
        let mean = f64::from(image.mean().unwrap());
        let wave: Vec<(f64, f64)> = (0..n)
            .map(|k| (TAU * k as f64 / n as f64).sin_cos())
            .collect();
        let mut rows = vec![(0.0, 0.0); n * n];
        for i in 0..n {
            for k in 0..n {
                for j in 0..n {
                    let x = (f64::from(image[[i, j]]) - mean) * hann(i) * hann(j);
                    let (sin, cos) = wave[j * k % n];
                    rows[i * n + k].0 += x * cos;
                    rows[i * n + k].1 -= x * sin;
                }
            }
        }
        for k in 0..n {
            for l in 0..n {
                let (mut re, mut im) = (0.0, 0.0);
                for i in 0..n {
                    let (sin, cos) = wave[i * l % n];
                    let (a, b) = rows[i * n + k];
                    re += a * cos + b * sin;
                    im += b * cos - a * sin;
                }
                power[l * n + k] += re * re + im * im;
            }
        }
    }

    #[test]
    fn the_amplitude_spectrum_falls_as_one_over_frequency() {
        let n = 32;
        let images = dead_leaves(200, n, n, 11);
        let mut power = vec![0.0; n * n];
        for image in images.outer_iter() {
            add_power(image, &mut power);
        }
        // log amplitude against log frequency, from 3/32 to 10/32 cycles per pixel
        let (mut count, mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for l in 0..n {
            for k in 0..n {
                let f = (l.min(n - l) as f64).hypot(k.min(n - k) as f64);
                if (2.5..10.5).contains(&f) {
                    let (x, y) = (f.ln(), 0.5 * power[l * n + k].ln());
                    count += 1.0;
                    sx += x;
                    sy += y;
                    sxx += x * x;
                    sxy += x * y;
                }
            }
        }
        let slope = (count * sxy - sx * sy) / (count * sxx - sx * sx);
        assert!((-1.35..-0.75).contains(&slope), "slope {slope}");
    }
}
