//! Images that are nearly the same: saved anew, scaled, brightened. In two tiers they are a leak like identical ones.
//!
//! Images are compared as thumbnails (at most 16 x 16, means of pixels) without their mean and contrast, and where those are
//! alike, pixel by pixel.

use super::{Recording, Tier};
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Rows and columns of a thumbnail, at most.
const SIDE: usize = 16;
/// Correlation of thumbnails from which images are compared pixel by pixel.
const THUMBNAIL: f32 = 0.98;
/// Correlation of pixels from which two images are nearly the same.
const ALIKE: f64 = 0.95;
/// Images of the nearest thumbnails that are looked at pixel by pixel.
const LOOKS: usize = 4;
/// Thumbnails that are compared with all others at a time.
const AT_ONCE: usize = 64;

/// Images of a tier that are nearly, but not exactly, the same as one of an earlier tier: that one first.
pub(super) fn across_tiers(recording: &Recording, first: &[usize]) -> Vec<(usize, usize)> {
    let train = recording.images_of(Tier::Train);
    let validation = recording.images_of(Tier::Validation);
    let mut pairs = between(recording, &validation, &train, first);
    let seen: Vec<usize> = train.into_iter().chain(validation).collect();
    pairs.extend(between(
        recording,
        &recording.images_of(Tier::Test),
        &seen,
        first,
    ));
    pairs
}

/// For each of `new` that has one, the one of `seen` that it looks most like.
fn between(
    recording: &Recording,
    new: &[usize],
    seen: &[usize],
    first: &[usize],
) -> Vec<(usize, usize)> {
    let thumbnails = |rows: &[usize]| -> Array2<f32> {
        let (h, w) = (recording.height().min(SIDE), recording.width().min(SIDE));
        let of = |&image: &usize| thumbnail(recording.images.index_axis(Axis(0), image), (h, w));
        let all: Vec<f32> = rows.par_iter().flat_map_iter(of).collect();
        let all = Array2::from_shape_vec((rows.len(), h * w), all);
        all.expect("thumbnails of one size")
    };
    let (of_new, of_seen) = (thumbnails(new), thumbnails(seen));
    let blocks: Vec<usize> = (0..new.len()).step_by(AT_ONCE).collect();
    let of_block = |&start: &usize| -> Vec<(usize, usize)> {
        let end = (start + AT_ONCE).min(new.len());
        let correlations = of_new.slice(s![start..end, ..]).dot(&of_seen.t());
        let mut pairs = Vec::new();
        for (n, row) in correlations.outer_iter().enumerate() {
            let near = row.iter().enumerate().filter(|(_, r)| **r > THUMBNAIL);
            let mut near: Vec<(usize, f32)> = near.map(|(s, r)| (s, *r)).collect();
            near.sort_by(|a, b| b.1.total_cmp(&a.1));
            let new = new[start + n];
            let near = near.iter().map(|(s, _)| seen[*s]);
            let other = near.filter(|&s| first[s] != first[new]).take(LOOKS);
            let mut alike = other.filter(|&s| alike(recording, s, new));
            pairs.extend(alike.next().map(|s| (s, new)));
        }
        pairs
    };
    blocks.par_iter().flat_map_iter(of_block).collect()
}

/// Means of pixels, without mean and of length 1; zeros of an image that does not vary.
fn thumbnail(image: ArrayView2<'_, f32>, (height, width): (usize, usize)) -> Vec<f32> {
    let (h, w) = image.dim();
    let mut small = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            let rows = y * h / height..(y + 1) * h / height;
            let part = image.slice(s![rows, x * w / width..(x + 1) * w / width]);
            let sum: f64 = part.iter().map(|v| f64::from(*v)).sum();
            small.push(sum / part.len() as f64);
        }
    }
    let mean = small.iter().sum::<f64>() / small.len() as f64;
    let squares = small.iter().map(|v| (v - mean).powi(2));
    let length = squares.sum::<f64>().sqrt();
    let varies = length > 1e-6 * mean.abs();
    let unit = |v: f64| if varies { (v - mean) / length } else { 0.0 };
    small.into_iter().map(|v| unit(v) as f32).collect()
}

/// Whether the pixels correlate.
fn alike(recording: &Recording, a: usize, b: usize) -> bool {
    let pixels = |image: usize| -> Vec<f64> {
        let image = recording.images.index_axis(Axis(0), image);
        image.iter().map(|v| f64::from(*v)).collect()
    };
    crate::statistics::pearson(&pixels(a), &pixels(b)) > ALIKE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Trial, first_identical};
    use crate::simulation::dead_leaves;

    fn pairs(change: impl Fn(&mut ndarray::Array3<f32>)) -> Vec<(usize, usize)> {
        let mut images = dead_leaves(60, 36, 64, 5);
        change(&mut images);
        let tier = |image| match image {
            0..40 => Tier::Train,
            40..50 => Tier::Validation,
            _ => Tier::Test,
        };
        let trials = (0..60).map(|image| Trial {
            image,
            tier: tier(image),
        });
        let recording = Recording {
            name: "r".into(),
            responses: Array2::zeros((60, 1)),
            trials: trials.collect(),
            images,
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        };
        let all: Vec<_> = recording.images.outer_iter().collect();
        across_tiers(&recording, &first_identical(&all))
    }

    fn copy(images: &mut ndarray::Array3<f32>, from: usize, to: usize, f: fn(usize, f32) -> f32) {
        let image = images.index_axis(Axis(0), from).to_owned();
        let mut place = images.index_axis_mut(Axis(0), to);
        for (i, (p, v)) in place.iter_mut().zip(&image).enumerate() {
            *p = f(i, *v);
        }
    }

    #[test]
    fn natural_images_do_not_look_alike() {
        assert_eq!(pairs(|_| {}), []);
    }

    #[test]
    fn brighter_noisier_and_flatter_copies_in_another_tier_are_found() {
        let found = pairs(|images| {
            copy(images, 3, 45, |_, v| v + 20.0);
            copy(images, 7, 50, |i, v| v + (i * 7919 % 11) as f32 - 5.0);
            copy(images, 45, 59, |_, v| 0.25 * v);
        });
        assert_eq!(found[..2], [(3, 45), (7, 50)]);
        // 3 and 45 are alike.
        assert!(found.len() == 3 && found[2].1 == 59, "{found:?}");
    }

    #[test]
    fn a_recording_of_copies_is_looked_through_in_the_time_of_its_images() {
        let found = pairs(|images| {
            for (i, mut image) in images.outer_iter_mut().enumerate() {
                let ramp = |(at, v): (usize, &mut f32)| *v = (at + i) as f32;
                image.iter_mut().enumerate().for_each(ramp);
            }
        });
        assert_eq!(found.len(), 20);
    }

    #[test]
    fn identical_and_constant_images_and_those_of_one_tier_are_not_meant() {
        let found = pairs(|images| {
            copy(images, 3, 45, |_, v| v);
            copy(images, 4, 5, |_, v| v + 1.0);
            copy(images, 8, 51, |_, _| 30.0);
            copy(images, 8, 9, |_, _| 30.0);
        });
        assert_eq!(found, []);
    }
}
