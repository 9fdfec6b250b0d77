//! Pictures inside figures: their pixels are the numbers.

use super::drawing::figure;
use super::fixture;
use super::small::striate;
use std::fmt::Write;
use std::fs;
use striate::report::plot::{RASTERISED, ramp};

#[test]
fn a_gallery_shows_each_image_on_one_grey_scale() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    let drawn = figure(&run, "gallery-meis");
    let tiles = drawn.of_class("tile");
    let (h, w) = fixture::SIZE;
    assert_eq!((tiles.len(), drawn.data.rows()), (13, 13 * h));
    // The image of neuron i has the pixels sin(0.31 k), whose largest size over all images is the end of the scale.
    let all: Vec<f64> = (0..13 * h * w)
        .map(|k| f64::from((0.31 * k as f64).sin() as f32))
        .collect();
    let most = all.iter().map(|v| v.abs()).fold(0.0, f64::max);
    let scores: Vec<f64> = (0..13).map(|i| fixture::value(i, 1)).collect();
    let mut order: Vec<usize> = (0..13).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    for (tile, neuron) in tiles.iter().zip(order) {
        let (width, height, depth, pixels) = tile.picture();
        assert_eq!((width, height, depth), (w, h, 1));
        for (k, pixel) in pixels.iter().enumerate() {
            let wanted = 127.5 * (1.0 + all[neuron * h * w + k] / most);
            assert!(
                (f64::from(*pixel) - wanted).abs() <= 0.51,
                "neuron {neuron}, pixel {k}"
            );
        }
    }
}

#[test]
fn bar_codes_have_a_cell_per_weight_in_its_colour() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    let drawn = figure(&run, "bar-codes-0");
    let pictures = drawn.of_class("matrix");
    assert_eq!(pictures.len(), 2, "as fitted, aligned");
    let rows = drawn.data.rows() / 2;
    for (part, picture) in pictures.iter().enumerate() {
        let (width, height, _, pixels) = picture.picture();
        assert_eq!((width, height), (8, rows));
        for row in 0..rows {
            for c in 0..8 {
                let name = format!("feature_{}_orientation_{}", c / 4, c % 4);
                let weight = drawn.column(&name)[part * rows + row];
                let at = 4 * (row * 8 + c);
                assert_eq!(
                    pixels[at..at + 3],
                    ramp(0.5 + 0.5 * weight),
                    "part {part}, row {row}, {name}"
                );
            }
        }
    }
    // A neuron's readout is orientation-major, its bar code feature-major.
    let (f, o) = (1, 2);
    let own = drawn.column(&format!("feature_{f}_orientation_{o}"));
    let who = drawn.data.text("neuron").unwrap();
    let neuron: usize = who[0].parse().unwrap();
    let count = if drawn.data.text("recording").unwrap()[0] == fixture::names()[0] {
        9
    } else {
        4
    };
    let code: Vec<f64> = (0..8)
        .map(|c| (f64::from(count) + 0.7 * (8 * neuron + c) as f64).sin())
        .collect();
    let most = code.iter().map(|v| v.abs()).fold(0.0, f64::max);
    assert!(
        (own[0] - code[2 * o + f] / most).abs() < 1e-6,
        "{} {}",
        own[0],
        code[2 * o + f] / most
    );
}

#[test]
fn many_points_are_painted_where_each_of_them_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::bare(folder.path());
    let count = RASTERISED + 1;
    let path = run.join("model.safetensors");
    let mut tensors = striate::model::checkpoint::Tensors::read(&path).unwrap();
    tensors
        .tensors
        .retain(|name, _| !name.starts_with("readout."));
    tensors.insert(
        "readout.r.features".into(),
        &[count, 8],
        vec![1.0; 8 * count],
    );
    tensors.insert("readout.r.mask".into(), &[count, 1, 1], vec![1.0; count]);
    tensors.insert("readout.r.bias".into(), &[count], vec![0.0; count]);
    tensors.write(&path).unwrap();
    let mut text = String::from("neuron,oracle_correlation,single_trial_correlation\n");
    for i in 0..count {
        writeln!(
            text,
            "{i},{},{}",
            fixture::value(i, 1),
            fixture::value(i, 7) * 0.5
        )
        .unwrap();
    }
    fs::write(run.join("evaluation.csv"), text).unwrap();
    striate(folder.path(), "report run").ok();
    let drawn = figure(&run, "twin-and-oracle");
    assert!(drawn.of_class("point").is_empty());
    let picture = drawn.of_class("points")[0];
    let (width, height, depth, pixels) = picture.picture();
    let (to_x, to_y) = (drawn.x(), drawn.y());
    let [left, top, w, h] = ["x", "y", "width", "height"].map(|a| picture.number(a));
    let (xs, ys) = (
        drawn.column("oracle_correlation"),
        drawn.column("single_trial_correlation"),
    );
    // The axes are linear: two places tell where every value is.
    let back = |to: &dyn Fn(f64) -> f64, v: f64| (v - to(0.0)) / (to(1.0) - to(0.0));
    for i in 0..count {
        let (px, py) = (back(&to_x, xs[i]), back(&to_y, ys[i]));
        let column = ((px - left) / w * width as f64) as usize;
        let row = ((py - top) / h * height as f64) as usize;
        assert!(
            pixels[depth * (row * width + column) + 3] > 200,
            "neuron {i} at {px}, {py}"
        );
    }
    let painted = pixels.chunks(depth).filter(|p| p[3] > 0).count();
    assert!(
        painted < width * height / 2,
        "the rest of the picture is clear"
    );
}
