//! Gabors, plaids, gratings, differences of Gaussians and steerable patches, inside of the canvas, across its edge and outside;
//! and the gradients of their parameters.

use super::{Case, Cost, Output, both, filled};
use crate::common::{narrow, noise};
use striate::device::{Array, Device};
use striate::ops::basis::Basis;
use striate::stimuli::steerable::Functions;
use striate::stimuli::{Canvas, difference, gabor, grating, steerable};

pub fn cases() -> Vec<Case> {
    let canvas = |count, height, width| Canvas {
        count,
        height,
        width,
    };
    let mut cases = Vec::new();
    for (canvas, components) in [
        (canvas(1, 1, 1), 1),
        (canvas(3, 5, 7), 1),
        (canvas(2, 9, 4), 3),
        (canvas(1, 33, 32), 2),
        (canvas(2, 36, 64), 2),
    ] {
        cases.push(waves(canvas, components));
    }
    for canvas in [canvas(1, 1, 1), canvas(5, 7, 3), canvas(2, 36, 64)] {
        cases.push(differences(canvas));
    }
    for (canvas, ranks, kernel) in [
        (canvas(1, 1, 1), 1, 1),
        (canvas(4, 5, 9), 3, 3),
        (canvas(2, 6, 5), 7, 7),
        (canvas(3, 36, 31), 13, 13),
        (canvas(4, 12, 17), 4, 11),
    ] {
        cases.push(patches(canvas, ranks, kernel));
    }
    cases
}

/// Numbers in [low, high].
fn between(n: usize, seed: u64, low: f64, high: f64) -> Vec<f64> {
    let middle = (low + high) / 2.0;
    let half = (high - low) / 2.0;
    noise(n, seed).iter().map(|v| middle + half * v).collect()
}

/// Rows of parameters from the ranges of each.
fn rows(n: usize, ranges: &[(f64, f64)]) -> Vec<f64> {
    let columns: Vec<_> = (0..)
        .zip(ranges)
        .map(|(seed, &(low, high))| between(n, seed, low, high))
        .collect();
    let rows = (0..n).flat_map(|i| columns.iter().map(move |c| c[i]));
    rows.collect()
}

fn gradient_inside(canvas: &Canvas, device: &Device) -> (Array, Vec<f64>) {
    both(device, &noise(canvas.len(), 77))
}

fn waves(canvas: Canvas, components: usize) -> Case {
    let name = format!("stimuli: {components} waves, {canvas:?}");
    Case::new(name, move |on| {
        let (height, width) = (canvas.height as f64, canvas.width as f64);
        let ranges = [
            (-3.0, width + 2.0),
            (-3.0, height + 2.0),
            (3.0, 30.0),
            (0.02, 0.3),
            (0.1, 2.0),
            (-1.0, 4.0),
            (-7.0, 7.0),
        ];
        let (p, wide) = both(on, &rows(canvas.count * components, &ranges));
        let (dimages, dwide) = gradient_inside(&canvas, on);
        let each = components * gabor::PARAMETERS;
        let (mut gabors, mut discs) = (vec![f64::NAN; canvas.len()], vec![f64::NAN; canvas.len()]);
        let mut gradient = vec![f64::NAN; wide.len()];
        for (i, p) in wide.chunks_exact(each).enumerate() {
            let of_image = i * canvas.pixels()..(i + 1) * canvas.pixels();
            gabor::reference::draw(canvas.width, p, &mut gabors[of_image.clone()]);
            grating::reference::draw(canvas.width, p, &mut discs[of_image.clone()]);
            let d = &mut gradient[i * each..][..each];
            gabor::reference::backward(canvas.width, p, &dwide[of_image], d);
        }
        let mut images = filled(on, f32::NAN, canvas.len());
        let mut hard = filled(on, f32::NAN, canvas.len());
        let mut dparameters = filled(on, f32::NAN, wide.len());
        on.pass("Gabors", Cost::words(canvas.len() + p.len()), || {
            gabor::draw(on, &canvas, components, p.view(), images.view_mut());
        });
        on.pass("gratings", Cost::words(canvas.len() + p.len()), || {
            grating::draw(on, &canvas, components, p.view(), hard.view_mut());
        });
        on.pass(
            "Gabors: backward",
            Cost::words(canvas.len() + 2 * p.len()),
            || {
                gabor::backward(
                    on,
                    &canvas,
                    components,
                    p.view(),
                    dimages.view(),
                    dparameters.view_mut(),
                );
            },
        );
        vec![
            Output::new("gabors", &images, gabors),
            Output::new("gratings", &hard, discs),
            Output::new("gradient", &dparameters, gradient),
        ]
    })
}

fn differences(canvas: Canvas) -> Case {
    let name = format!("stimuli: differences of Gaussians, {canvas:?}");
    Case::new(name, move |on| {
        let ranges = [
            (-3.0, canvas.width as f64 + 2.0),
            (-3.0, canvas.height as f64 + 2.0),
            (1.0, 4.0),
            (2.0, 12.0),
            (-2.0, 2.0),
            (0.0, 1.5),
        ];
        let (p, wide) = both(on, &rows(canvas.count, &ranges));
        let (dimages, dwide) = gradient_inside(&canvas, on);
        let (mut wanted, mut gradient) = (vec![f64::NAN; canvas.len()], vec![f64::NAN; wide.len()]);
        let images = wanted.chunks_exact_mut(canvas.pixels());
        let all = images.zip(dwide.chunks_exact(canvas.pixels()));
        let parameters = wide.chunks_exact(difference::PARAMETERS);
        let gradients = gradient.chunks_exact_mut(difference::PARAMETERS);
        for ((image, dimage), (p, d)) in all.zip(parameters.zip(gradients)) {
            difference::reference::draw(canvas.width, p, image);
            difference::reference::backward(canvas.width, p, dimage, d);
        }
        let mut images = filled(on, f32::NAN, canvas.len());
        let mut dparameters = filled(on, f32::NAN, wide.len());
        on.pass("differences", Cost::words(canvas.len() + p.len()), || {
            difference::draw(on, &canvas, p.view(), images.view_mut());
        });
        on.pass(
            "differences: backward",
            Cost::words(canvas.len() + 2 * p.len()),
            || {
                difference::backward(
                    on,
                    &canvas,
                    p.view(),
                    dimages.view(),
                    dparameters.view_mut(),
                );
            },
        );
        vec![
            Output::new("images", &images, wanted),
            Output::new("gradient", &dparameters, gradient),
        ]
    })
}

fn patches(canvas: Canvas, ranks: usize, kernel: usize) -> Case {
    let name = format!("stimuli: steerable patches of {kernel}, {ranks} ranks, {canvas:?}");
    Case::new(name, move |on| {
        let functions = Functions::with_ranks(on, ranks, kernel);
        let m = Basis::count(ranks);
        let basis: Vec<f64> = narrow(&functions.basis.filters)
            .iter()
            .map(|&v| f64::from(v))
            .collect();
        let (c, wide) = both(on, &noise(canvas.count * m, 1));
        let (dimages, dwide) = gradient_inside(&canvas, on);
        // In the middle, across a corner, outside, across an edge.
        let (h, w) = (canvas.height as i64, canvas.width as i64);
        let places = [(w / 2, h / 2), (-1, h), (w + 30, 2), (w - 1, h / 2)];
        let places = &places[..canvas.count];
        let flat: Vec<f32> = places
            .iter()
            .flat_map(|&(x, y)| [x as f32, y as f32])
            .collect();
        let centres = on.upload(&flat, &[canvas.count, 2]);
        let (mut wanted, mut gradient) = (vec![f64::NAN; canvas.len()], vec![f64::NAN; wide.len()]);
        for (i, &place) in places.iter().enumerate() {
            let of_image = i * canvas.pixels()..(i + 1) * canvas.pixels();
            let (c, d) = (&wide[i * m..][..m], &mut gradient[i * m..][..m]);
            let image = &mut wanted[of_image.clone()];
            steerable::reference::draw(canvas.width, kernel, &basis, c, place, image);
            let dimage = &dwide[of_image];
            steerable::reference::backward(canvas.width, kernel, &basis, place, dimage, d);
        }
        let mut images = filled(on, f32::NAN, canvas.len());
        let mut dc = filled(on, f32::NAN, wide.len());
        on.pass("patches", Cost::words(canvas.len() + c.len()), || {
            let (at, out) = (centres.view(), images.view_mut());
            steerable::draw(on, &canvas, &functions, c.view(), at, out);
        });
        on.pass(
            "patches: backward",
            Cost::words(canvas.len() + c.len()),
            || {
                let (at, out) = (centres.view(), dc.view_mut());
                steerable::backward(on, &canvas, &functions, at, dimages.view(), out);
            },
        );
        vec![
            Output::new("images", &images, wanted),
            Output::new("gradient", &dc, gradient),
        ]
    })
}
