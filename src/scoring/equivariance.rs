//! How far a core is from turning its maps when the image turns.
//!
//! If x' is x turned counter-clockwise by phi_q, an equivariant core answers with the maps turned likewise and the
//! orientations rolled by +q (`y'[(o, f)] = rot(y[(o - q, f)])`). Quarter turns are exact on the pixel grid; the others
//! interpolate image and maps bilinearly and compare within the largest disc that no border reaches.

use crate::model::{Mode, Model, Workspace, config::CoreKind, core};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, s};

/// Relative error per layer and angle: columns `layer`, `angle` (degrees), `exact_grid` (quarter turn), `error`:
/// the norm of the difference over the norm of the turned map, about its mean.
///
/// `images` are z-scored (images, height, width); their central square is used.
///
/// # Errors
/// For a core without orientations, or images too small for it.
pub fn verify(model: &mut Model, images: ArrayView3<f32>) -> Result<Table> {
    if model.config.core.kind != CoreKind::RotationEquivariant {
        return Err(Error::bad(
            "config.toml",
            "core.kind",
            "a core without orientations",
            "\"rotation-equivariant\"",
        ));
    }
    let (n, h, w) = images.dim();
    let side = h.min(w);
    let (top, left) = ((h - side) / 2, (w - side) / 2);
    let square = images
        .slice(s![.., top..top + side, left..left + side])
        .to_owned();
    core::output_size(&model.config, side, side)?;
    let mut space = Workspace::new(model, (side, side), n, true);
    let upright = maps(model, &mut space, &square);
    let o = model.config.core.orientations;
    let (mut layers, mut angles, mut exact, mut errors) = (vec![], vec![], vec![], vec![]);
    for q in 1..o {
        let turned = turn_all(square.view(), q, o);
        let after = maps(model, &mut space, &turned);
        for (l, (before, after)) in upright.iter().zip(&after).enumerate() {
            layers.push(l as i64);
            angles.push(360.0 * q as f64 / o as f64);
            exact.push((4 * q).is_multiple_of(o));
            errors.push(error(
                before,
                after,
                q,
                o,
                model.layers[l].features,
                reach(model, l, side),
            ));
        }
    }
    Ok(Table::new()
        .with("layer", Column::Integer(layers))
        .with("angle", Column::Number(angles))
        .with("exact_grid", Column::Boolean(exact))
        .with("error", Column::Number(errors)))
}

/// Radius in a layer's map within which neither border nor corner of the square image has any influence.
fn reach(model: &Model, layer: usize, side: usize) -> f64 {
    let halves: usize = model.layers[..=layer].iter().map(|l| l.kernel / 2).sum();
    (side as f64 / 2.0 - halves as f64 - 1.5).max(1.5)
}

/// Every layer's maps, (B C, height, width).
fn maps(model: &mut Model, space: &mut Workspace, images: &Array3<f32>) -> Vec<Array3<f32>> {
    let n = images.len_of(Axis(0));
    let pixels: Vec<f32> = images.iter().copied().collect();
    space.images.fill_from(&pixels);
    core::forward(model, space, n, Mode::Prediction);
    (0..model.layers.len())
        .map(|l| {
            let map = space.map(l);
            let (planes, pixels) = (n * map.shape()[1], map.shape()[2]);
            let side = (pixels as f64).sqrt() as usize;
            let values = map.slice(0..planes * pixels).download();
            Array3::from_shape_vec((planes, side, side), values)
                .unwrap_or_else(|_| unreachable!("square images give square maps"))
        })
        .collect()
}

fn error(
    before: &Array3<f32>,
    after: &Array3<f32>,
    q: usize,
    o: usize,
    f: usize,
    radius: f64,
) -> f64 {
    let planes = before.len_of(Axis(0));
    let side = before.len_of(Axis(1));
    let exact = (4 * q).is_multiple_of(o);
    let centre = (side as f64 - 1.0) / 2.0;
    let (mut difference, mut sum, mut square, mut count) = (0.0, 0.0, 0.0, 0.0);
    for plane in 0..planes {
        let (image, c) = (plane / (o * f), plane % (o * f));
        let source = (image * o + (c / f + o - q) % o) * f + c % f;
        let wanted = turn(before.index_axis(Axis(0), source), q, o);
        let got = after.index_axis(Axis(0), plane);
        for ((i, j), &w) in wanted.indexed_iter() {
            let (y, x) = (i as f64 - centre, j as f64 - centre);
            if exact || y * y + x * x <= radius * radius {
                difference += f64::from(got[(i, j)] - w).powi(2);
                sum += f64::from(w);
                square += f64::from(w).powi(2);
                count += 1.0;
            }
        }
    }
    (difference / (square - sum * sum / count).max(f64::MIN_POSITIVE)).sqrt()
}

fn turn_all(images: ArrayView3<f32>, q: usize, o: usize) -> Array3<f32> {
    let mut out = Array3::zeros(images.dim());
    for (image, mut to) in images.outer_iter().zip(out.outer_iter_mut()) {
        to.assign(&turn(image, q, o));
    }
    out
}

/// A square map turned counter-clockwise on screen by q/o of a turn, about its centre.
fn turn(map: ArrayView2<f32>, q: usize, o: usize) -> Array2<f32> {
    let side = map.nrows();
    let quarters = 4 * q / o;
    if (4 * q).is_multiple_of(o) {
        let last = side - 1;
        return Array2::from_shape_fn((side, side), |(i, j)| match quarters % 4 {
            0 => map[(i, j)],
            1 => map[(j, last - i)],
            2 => map[(last - i, last - j)],
            _ => map[(last - j, i)],
        });
    }
    let (sin, cos) = (std::f64::consts::TAU * q as f64 / o as f64).sin_cos();
    let centre = (side as f64 - 1.0) / 2.0;
    Array2::from_shape_fn((side, side), |(i, j)| {
        let (y, x) = (i as f64 - centre, j as f64 - centre);
        // Rows grow downwards: turning by +phi on screen looks up the point turned by -phi.
        bilinear(map, centre + x * sin + y * cos, centre + x * cos - y * sin)
    })
}

fn bilinear(map: ArrayView2<f32>, row: f64, column: f64) -> f32 {
    let last = map.nrows() as f64 - 1.0;
    let (row, column) = (row.clamp(0.0, last), column.clamp(0.0, last));
    let (i, j) = (row.floor(), column.floor());
    let (u, v) = ((row - i) as f32, (column - j) as f32);
    let at = |i: f64, j: f64| map[(i.min(last) as usize, j.min(last) as usize)];
    (1.0 - u) * ((1.0 - v) * at(i, j) + v * at(i, j + 1.0))
        + u * ((1.0 - v) * at(i + 1.0, j) + v * at(i + 1.0, j + 1.0))
}
