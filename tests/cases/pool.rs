//! Max pooling with windows that overlap, touch and leave gaps, rows and columns that no window holds, and ties.

use super::{Case, Cost, Output, Trial, empty_maps};
use striate::ops::pool::{Shape, backward, forward, reference};

pub fn cases() -> Vec<Case> {
    [
        // B, C, H, W, s, t
        (1, 1, 3, 3, 3, 2),
        (2, 3, 9, 12, 3, 2),
        (3, 5, 10, 7, 2, 2),
        (1, 2, 11, 13, 2, 3),
        (2, 1, 8, 8, 4, 1),
        (1, 4, 5, 6, 1, 1),
        (1, 2, 7, 5, 5, 4),
    ]
    .map(|(batch, channels, height, width, size, stride)| {
        let shape = Shape {
            batch,
            channels,
            height,
            width,
            size,
            stride,
        };
        case(shape)
    })
    .into()
}

pub fn case(shape: Shape) -> Case {
    Case::new(format!("pool {shape:?}"), move |on| run(on, &shape))
}

fn run(on: &Trial, s: &Shape) -> Vec<Output> {
    let (nx, ny) = s.lengths();
    // Few different numbers, so that many windows have several largest ones.
    let noise = crate::common::noise(nx, 1);
    let coarse: Vec<f64> = noise.iter().map(|v| (2.0 * v).round() / 2.0).collect();
    let (ax, x) = super::both_maps(on, &coarse);
    let (ady, dy) = on.noise_maps(ny, 2);
    let (mut ay, mut adx) = (empty_maps(on, ny), empty_maps(on, nx));
    on.pass("forward", Cost::default().maps(on, nx + ny), || {
        forward(on, s, ax.view(), ay.view_mut());
    });
    on.pass("backward", Cost::default().maps(on, 2 * nx + ny), || {
        backward(on, s, ax.view(), ady.view(), adx.view_mut());
    });
    on.outputs(|| {
        let (mut y, mut dx) = (vec![f64::NAN; ny], vec![f64::NAN; nx]);
        reference::forward(s, &x, &mut y);
        reference::backward(s, &x, &dy, &mut dx);
        vec![Output::maps("y", &ay, y), Output::maps("dx", &adx, dx)]
    })
}
