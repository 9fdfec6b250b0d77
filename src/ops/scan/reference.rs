//! The definition, in plain loops.

use super::{Places, Window};
use crate::ops::Real;

/// The responses of one neuron to one canvas, by place; g (H, W).
pub fn responses<T: Real>(
    window: &Window,
    places: &Places,
    mask: &[((usize, usize), T)],
    g: &[T],
    blank: T,
) -> Vec<T> {
    let at = |place: usize| {
        let (y, x) = places.at(place);
        mask.iter()
            .map(|&((row, column), m)| {
                let row = row as i64 - y - window.top;
                let column = column as i64 - x - window.left;
                let inside = (0..window.height as i64).contains(&row)
                    && (0..window.width as i64).contains(&column);
                if inside {
                    m * (g[row as usize * window.width + column as usize] - blank)
                } else {
                    T::zero()
                }
            })
            .sum()
    };
    (0..places.count()).map(at).collect()
}

/// The first largest of them and its number.
pub fn best<T: Real>(responses: &[T]) -> (T, usize) {
    let mut best = (responses[0], 0);
    for (i, &r) in responses.iter().enumerate() {
        if r > best.0 {
            best = (r, i);
        }
    }
    best
}
