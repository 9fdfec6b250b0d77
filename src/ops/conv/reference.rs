//! The definition, in plain loops.

use super::Shape;
use crate::ops::Real;

/// Calls `visit(x, w, y)` with the flat indices of every product in the sum.
fn visit(s: &Shape, mut visit: impl FnMut(usize, usize, usize)) {
    let (oh, ow, k) = (s.out_height(), s.out_width(), s.kernel);
    for b in 0..s.batch {
        for o in 0..s.out_channels {
            for c in 0..s.in_channels {
                for i in 0..oh {
                    for j in 0..ow {
                        let y = ((b * s.out_channels + o) * oh + i) * ow + j;
                        for u in 0..k {
                            let Some(row) =
                                (i + u).checked_sub(s.padding).filter(|&r| r < s.height)
                            else {
                                continue;
                            };
                            for v in 0..k {
                                let Some(column) =
                                    (j + v).checked_sub(s.padding).filter(|&q| q < s.width)
                                else {
                                    continue;
                                };
                                let x =
                                    ((b * s.in_channels + c) * s.height + row) * s.width + column;
                                visit(x, ((o * s.in_channels + c) * k + u) * k + v, y);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes y.
pub fn forward<T: Real>(s: &Shape, x: &[T], w: &[T], y: &mut [T]) {
    y.fill(T::zero());
    visit(s, |i, j, k| y[k] += x[i] * w[j]);
}

/// Writes dx.
pub fn backward_input<T: Real>(s: &Shape, w: &[T], dy: &[T], dx: &mut [T]) {
    dx.fill(T::zero());
    visit(s, |i, j, k| dx[i] += w[j] * dy[k]);
}

/// Adds to dw.
pub fn backward_weights<T: Real>(s: &Shape, x: &[T], dy: &[T], dw: &mut [T]) {
    visit(s, |i, j, k| dw[j] += x[i] * dy[k]);
}
