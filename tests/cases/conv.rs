use super::{Case, Output, both, filled};
use crate::common::noise;
use striate::device::Device;
use striate::ops::conv::{Shape, backward_input, backward_weights, forward, ladder, reference};

pub fn cases() -> Vec<Case> {
    [
        // B, C_in, C_out, H, W, k, p
        (1, 1, 1, 5, 5, 1, 0),
        (2, 1, 3, 9, 7, 3, 1),
        (3, 2, 5, 11, 17, 5, 2),
        (1, 20, 4, 4, 3, 1, 0),
        // More filters than a tile has rows, then more taps than it has columns.
        (2, 3, 131, 6, 7, 3, 0),
        (2, 60, 3, 5, 5, 3, 1),
        (1, 4, 2, 13, 12, 13, 6),
        (5, 1, 2, 8, 9, 7, 6),
        // Images of one step each, in several slices.
        (20, 1, 2, 4, 4, 3, 1),
    ]
    .map(
        |(batch, in_channels, out_channels, height, width, kernel, padding)| {
            let shape = Shape {
                batch,
                in_channels,
                out_channels,
                height,
                width,
                kernel,
                padding,
            };
            Case::new(format!("conv {shape:?}"), move |device| run(device, &shape))
        },
    )
    .into()
}

fn run(device: &Device, s: &Shape) -> Vec<Output> {
    let (nx, nw, ny) = s.lengths();
    let (ax, x) = both(device, &noise(nx, 1));
    let (aw, w) = both(device, &noise(nw, 2));
    let (ady, dy) = both(device, &noise(ny, 3));
    let (mut y, mut dx, mut dw) = (vec![0.0; ny], vec![0.0; nx], vec![1.0; nw]);
    reference::forward(s, &x, &w, &mut y);
    reference::backward_input(s, &w, &dy, &mut dx);
    reference::backward_weights(s, &x, &dy, &mut dw);

    let empty = |n| filled(device, f32::NAN, n);
    let (mut ay, mut plain, mut tiled, mut adx) = (empty(ny), empty(ny), empty(ny), empty(nx));
    let mut adw = filled(device, 1.0, nw);
    let (ax, aw, ady) = (ax.view(), aw.view(), ady.view());
    forward(device, s, ax, aw, ay.view_mut());
    ladder::plain(device, s, ax, aw, plain.view_mut());
    ladder::tiled(device, s, ax, aw, tiled.view_mut());
    backward_input(device, s, aw, ady, adx.view_mut());
    backward_weights(device, s, ax, ady, adw.view_mut());
    vec![
        Output::tensor("y", &ay, y.clone()),
        Output::new("y, plain", &plain, y.clone()),
        Output::new("y, tiled", &tiled, y),
        Output::tensor("dx", &adx, dx),
        Output::tensor("dw", &adw, dw),
    ]
}
