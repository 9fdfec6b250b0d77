//! Images with the same pixels: the same stimulus, whatever their row numbers say.

use ndarray::ArrayView2;
use rayon::prelude::*;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

/// For every image the first row with exactly its pixels: itself, unless an earlier one is identical.
pub fn first_identical(images: &[ArrayView2<'_, f32>]) -> Vec<usize> {
    let hashes: Vec<u64> = images
        .par_iter()
        .map(|image| {
            let mut hasher = DefaultHasher::new();
            for pixel in image {
                // Adding zero makes -0 and 0 the same grey level.
                hasher.write_u32((pixel + 0.0).to_bits());
            }
            hasher.finish()
        })
        .collect();
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut first = Vec::with_capacity(hashes.len());
    for (row, hash) in hashes.into_iter().enumerate() {
        let candidates = seen.entry(hash).or_default();
        let twin = candidates.iter().find(|c| images[**c] == images[row]);
        match twin {
            Some(twin) => first.push(*twin),
            None => {
                candidates.push(row);
                first.push(row);
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_pixels_are_found() {
        let images = ndarray::array![[[0.0, 1.0]], [[1.0, 0.0]], [[-0.0, 1.0]], [[1.0, 0.0]]];
        let images: Vec<_> = images.outer_iter().collect();
        assert_eq!(first_identical(&images), [0, 1, 0, 1]);
    }
}
