//! Round apertures: part of an image on a uniform screen, so that a receptive field's centre is seen without its surround.
//! Natural images alone, whose parts are alike, hardly tell what a surround does.

use super::random::{Purpose, stream};
use ndarray::{Array3, s};
use rand::Rng;

/// Smallest and largest radius: pixels, and share of the longer side.
const RADII: (f64, f64) = (3.0, 0.5);
/// Pixels over which the image fades into the screen.
const EDGE: f64 = 2.0;

/// Shows about this share of the first `count` images through an aperture each, on a screen of their mean grey level. Centres
/// are uniform over the image, radii over their logarithm. Whether and where depends on seed and image alone.
pub(super) fn apply(images: &mut Array3<f32>, count: usize, share: f64, seed: u64) {
    let (_, height, width) = images.dim();
    let mut some = images.slice_mut(s![..count, .., ..]);
    let screen = some.iter().map(|&x| f64::from(x)).sum::<f64>() / some.len().max(1) as f64;
    let largest = (RADII.1 * height.max(width) as f64).max(RADII.0);
    for (i, mut image) in some.outer_iter_mut().enumerate() {
        let mut rng = stream(seed, Purpose::Aperture, i as u64);
        if rng.random::<f64>() >= share {
            continue;
        }
        let mut place = |side: usize| rng.random_range(-0.5..side as f64 - 0.5);
        let (y, x) = (place(height), place(width));
        let radius = RADII.0 * (largest / RADII.0).powf(rng.random());
        for ((row, column), grey) in image.indexed_iter_mut() {
            let away = (row as f64 - y).hypot(column as f64 - x) - radius;
            let seen = (0.5 - away / EDGE).clamp(0.0, 1.0);
            *grey = (screen + seen * (f64::from(*grey) - screen)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_asked_share_is_seen_in_part_and_the_rest_as_it_was() {
        let whole =
            Array3::from_shape_fn((300, 12, 15), |(i, y, x)| ((i + 3 * y + 5 * x) % 7) as f32);
        for share in [0.0, 0.4, 1.0] {
            let mut images = whole.clone();
            apply(&mut images, 200, share, 3);
            let changed = |i: usize| images.slice(s![i, .., ..]) != whole.slice(s![i, .., ..]);
            let count = (0..200).filter(|&i| changed(i)).count() as f64;
            assert!((count / 200.0 - share).abs() <= 0.1, "{share}: {count}");
            assert!((200..300).all(|i| !changed(i)));
        }
    }

    #[test]
    fn an_aperture_shows_a_disc_on_the_screen() {
        // Black images on a mean that white ones raise.
        let mut images =
            Array3::from_shape_fn((400, 20, 20), |(i, ..)| if i < 200 { 0.0 } else { 100.0 });
        apply(&mut images, 400, 1.0, 1);
        for image in images.outer_iter().take(200) {
            let dark: Vec<(usize, usize)> = (image.indexed_iter())
                .filter(|(_, v)| **v == 0.0)
                .map(|(at, _)| at)
                .collect();
            // Two dark pixels of a row have none but dark ones between them.
            for pair in dark.windows(2).filter(|p| p[0].0 == p[1].0) {
                assert_eq!(pair[0].1 + 1, pair[1].1, "{image}");
            }
            assert!(image.iter().all(|&v| (0.0..=50.0).contains(&v)));
        }
        let seen = images
            .slice(s![..200, .., ..])
            .iter()
            .filter(|v| **v == 0.0)
            .count();
        let screen = images
            .slice(s![..200, .., ..])
            .iter()
            .filter(|v| **v == 50.0)
            .count();
        assert!(seen > 1000 && screen > 1000, "{seen} {screen}");
    }
}
