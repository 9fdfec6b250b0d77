use super::{Case, Cost, Output, Trial, empty_maps, filled};
use striate::device::Device;
use striate::ops::conv::{
    Shape, backward, backward_input, backward_weights, forward, ladder, reference,
};

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
        (1, 70, 66, 3, 4, 3, 1),
        (1, 4, 2, 13, 12, 13, 6),
        (5, 1, 2, 8, 9, 7, 6),
        // Wide filters between several channels: in the Fourier domain on a CPU, in tiles of several sizes.
        (1, 8, 8, 20, 20, 11, 0),
        (2, 5, 9, 12, 22, 11, 5),
        (1, 6, 19, 10, 11, 11, 5),
        // Images of one step each, in several slices.
        (140, 1, 2, 4, 4, 3, 1),
        // Images: back to them in strips; more taps and more channels than are worked on at once, several bands.
        (1, 1, 2, 4, 90, 5, 2),
        (1, 2, 70, 6, 4, 15, 7),
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
            case(shape)
        },
    )
    .into()
}

pub fn case(shape: Shape) -> Case {
    Case::new(format!("conv {shape:?}"), move |on| run(on, &shape))
}

fn run(on: &Trial, s: &Shape) -> Vec<Output> {
    let (nx, nw, ny) = s.lengths();
    let (ax, x) = on.noise_maps(nx, 1);
    let (aw, w) = on.noise(nw, 2);
    let (ady, dy) = on.noise_maps(ny, 3);
    // What the simpler kernels, of float32 alone, read and write.
    let full_x = on.upload(&ax.download(), &[nx]);
    let [mut plain, mut tiled] = [(); 2].map(|()| filled(on, f32::NAN, ny));
    let (mut ay, mut adx) = (empty_maps(on, ny), empty_maps(on, nx));
    let mut adw = filled(on, 1.0, nw);
    let (ax, aw, ady) = (ax.view(), aw.view(), ady.view());

    let products = ny * s.in_channels * s.kernel * s.kernel;
    let cost = Cost::words(nw).maps(on, nx + ny);
    let full = Cost::words(nx + nw + ny);
    on.pass("forward", cost.tensor(products), || {
        forward(on, s, ax, aw, ay.view_mut());
    });
    on.rung("forward, plain rung", full.products(products), || {
        ladder::plain(on, s, full_x.view(), aw, plain.view_mut());
    });
    on.rung("forward, tiled rung", full.products(products), || {
        ladder::tiled(on, s, full_x.view(), aw, tiled.view_mut());
    });
    on.pass("backward to the input", cost.tensor(products), || {
        backward_input(on, s, aw, ady, adx.view_mut());
    });
    let cost = Cost::words(2 * nw).maps(on, nx + ny).tensor(products);
    on.pass("backward to the weights", cost, || {
        backward_weights(on, s, ax, ady, adw.view_mut());
    });
    // Elsewhere it is one after the other.
    let mut both = (empty_maps(on, nx), filled(on, 1.0, nw));
    let shares = matches!(**on, Device::Cpu);
    if shares {
        let (dx, dw) = (both.0.view_mut(), both.1.view_mut());
        backward(on, s, (ax, aw), ady, dx, dw);
    }
    on.outputs(|| {
        let (mut y, mut dx, mut dw) = (vec![0.0; ny], vec![0.0; nx], vec![1.0; nw]);
        reference::forward(s, &x, &w, &mut y);
        reference::backward_input(s, &w, &dy, &mut dx);
        reference::backward_weights(s, &x, &dy, &mut dw);
        let mut all = vec![
            Output::tensor_maps("y", &ay, y.clone()),
            Output::new("y, plain", &plain, y.clone()),
            Output::new("y, tiled", &tiled, y),
            Output::tensor_maps("dx", &adx, dx.clone()),
            Output::tensor("dw", &adw, dw.clone()),
        ];
        if shares {
            all.push(Output::tensor_maps("dx, both", &both.0, dx));
            all.push(Output::tensor("dw, both", &both.1, dw));
        }
        all
    })
}
