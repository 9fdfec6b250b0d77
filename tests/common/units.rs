//! A twin made by hand, whose neurons do what they are said to do; and the same neurons once more, in plain float64.
//!
//! The first layer has eight rectified filters: both signs of an even and an odd Gabor, upright and lying. The second adds
//! them up to four units: linear, energy, energy less the energy around it, energy less that of lying patterns.
#![allow(dead_code)]

use ndarray::Array2;
use std::f64::consts::{FRAC_PI_2, TAU};
use std::fs;
use std::path::Path;
use striate::model::checkpoint::Tensors;
use striate::stimuli::Gabor;

pub const IMAGE: (usize, usize) = (30, 36);
const FIRST: usize = 9;
const SECOND: usize = 11;
pub const FREQUENCY: f64 = 0.17;
/// SD of each neuron's responses.
pub const SCALES: [f64; 4] = [0.5, 2.0, 1.0, 3.0];
/// Row and column of the pixel that each neuron's mask weighs, the last ones near the image's border.
pub const PLACES: [(usize, usize); 4] = [(14, 17), (12, 20), (15, 15), (3, 31)];
pub const BIAS: f64 = 1.5;

/// Filter c at (i, j).
fn first(c: usize, i: usize, j: usize) -> f64 {
    let (dx, dy) = (j as f64 - 4.0, i as f64 - 4.0);
    let along = if c < 4 { dx } else { -dy };
    let phase = if c % 4 < 2 { 0.0 } else { -FRAC_PI_2 };
    let sign = if c.is_multiple_of(2) { 1.0 } else { -1.0 };
    let envelope = (-(dx * dx + dy * dy) / 9.0).exp();
    sign * 0.35 * envelope * (TAU * FREQUENCY * along + phase).cos()
}

/// Weight of channel c at (i, j) around the neuron's pixel.
fn second(unit: usize, c: usize, i: usize, j: usize) -> f64 {
    let distance = f64::hypot(i as f64 - 5.0, j as f64 - 5.0);
    let centre = if distance == 0.0 { 1.0 } else { 0.0 };
    let around = if distance > 3.5 { 1.0 } else { 0.0 };
    match (unit, c) {
        (0, 0) => centre,
        (0, 1) => -centre,
        (0, _) => 0.0,
        (1, 0..4) => 0.7 * centre,
        (2, 0..4) => centre - 0.02 * around,
        (3, 0..4) => centre,
        (3, _) => -0.8 * centre,
        _ => 0.0,
    }
}

/// Writes `config.toml` and `model.safetensors`; neuron n reads unit n.
pub fn write(run: &Path, output: &str) {
    write_populations(run, output, &["hand"], 4);
}

/// As [`write`], with several readouts of `neurons` neurons, of which every fourth does the same.
pub fn write_populations(run: &Path, output: &str, names: &[&str], neurons: usize) {
    fs::create_dir_all(run).unwrap();
    let config = format!(
        "recordings = []\n[core]\nkind = \"convolutional\"\nfilter_sizes = [{FIRST}, {SECOND}]\nfeatures = [8, 4]\n\
         activation = \"relu\"\n[readout]\noutput = \"{output}\"\n"
    );
    fs::write(run.join("config.toml"), config).unwrap();
    let mut tensors = Tensors::default();
    let mut put = |name: &str, shape: &[usize], value: &dyn Fn(&[usize]) -> f64| {
        let len: usize = shape.iter().product();
        let at = |mut p: usize| {
            let mut index = vec![0; shape.len()];
            for axis in (0..shape.len()).rev() {
                index[axis] = p % shape[axis];
                p /= shape[axis];
            }
            index
        };
        let values = (0..len).map(|p| value(&at(p)) as f32).collect();
        tensors.insert(name.to_string(), shape, values);
    };
    put("input.mean", &[1], &|_| 100.0);
    put("input.sd", &[1], &|_| 40.0);
    put("core.0.weights", &[8, 1, FIRST, FIRST], &|a| {
        first(a[0], a[2], a[3])
    });
    put("core.1.weights", &[4, 8, SECOND, SECOND], &|a| {
        second(a[0], a[1], a[2], a[3])
    });
    for (layer, channels) in [(0, 8), (1, 4)] {
        let name = |what: &str| format!("core.{layer}.norm.{what}");
        put(&name("offset"), &[channels], &|_| 0.0);
        put(&name("mean"), &[channels], &|_| 0.0);
        // With the 0.001 that keeps denominators from 0: nothing is changed.
        put(&name("variance"), &[channels], &|_| 0.999);
    }
    let (h, w) = IMAGE;
    for readout in names {
        let name = |what: &str| format!("readout.{readout}.{what}");
        put(&name("mask"), &[neurons, h, w], &|a| {
            f64::from(u8::from((a[1], a[2]) == PLACES[a[0] % 4]))
        });
        put(&name("features"), &[neurons, 4], &|a| {
            f64::from(u8::from(a[0] % 4 == a[1]))
        });
        put(&name("bias"), &[neurons], &|_| BIAS);
        put(&name("response_scale"), &[neurons], &|a| SCALES[a[0] % 4]);
    }
    tensors.write(&run.join("model.safetensors")).unwrap();
}

/// What neuron n answers to a z-scored image.
pub fn response(n: usize, output: &str, image: &Array2<f64>) -> f64 {
    let (h, w) = (IMAGE.0 as i64, IMAGE.1 as i64);
    let inside = |i: i64, j: i64| (0..h).contains(&i) && (0..w).contains(&j);
    let channel = |c: usize, row: i64, column: i64| -> f64 {
        let mut sum = 0.0;
        for p in 0..FIRST * FIRST {
            let (i, j) = (
                row + (p / FIRST) as i64 - 4,
                column + (p % FIRST) as i64 - 4,
            );
            if inside(i, j) {
                sum += first(c, p / FIRST, p % FIRST) * image[(i as usize, j as usize)];
            }
        }
        f64::max(sum, 0.0)
    };
    let (row, column) = (PLACES[n].0 as i64, PLACES[n].1 as i64);
    let mut drive = BIAS;
    for p in 0..SECOND * SECOND {
        let (i, j) = (
            row + (p / SECOND) as i64 - 5,
            column + (p % SECOND) as i64 - 5,
        );
        for c in (0..8).filter(|_| inside(i, j)) {
            let weight = second(n, c, p / SECOND, p % SECOND);
            if weight != 0.0 {
                drive += weight * channel(c, i, j);
            }
        }
    }
    SCALES[n]
        * match output {
            "exponential" => drive.exp(),
            "softplus" => drive.exp().ln_1p(),
            _ => drive,
        }
}

/// A Gabor pixel by pixel, as it is published.
pub fn gabor(g: &Gabor) -> Array2<f64> {
    Array2::from_shape_fn(IMAGE, |(i, j)| {
        let (dx, dy) = (j as f64 - g.x, i as f64 - g.y);
        let (sin, cos) = g.orientation.sin_cos();
        let (x, y) = (cos * dx - sin * dy, sin * dx + cos * dy);
        let sd = g.size / 4.0;
        let envelope = (-(x * x + y * y) / (2.0 * sd * sd)).exp();
        g.contrast / 2.0 * envelope * (TAU * g.frequency * x + g.phase).cos()
    })
}

/// A Gabor that each neuron likes.
pub fn liked(n: usize) -> Gabor {
    Gabor {
        x: PLACES[n].1 as f64,
        y: PLACES[n].0 as f64,
        size: 8.0 * 1.2,
        frequency: FREQUENCY,
        contrast: 1.0,
        orientation: 0.0,
        phase: 0.0,
    }
}

/// Writes `gabors.csv`.
pub fn write_gabors(path: &Path, gabors: &[Gabor]) {
    let mut text = "neuron,x,y,size,frequency,orientation,phase,contrast,response\n".to_string();
    for (n, g) in gabors.iter().enumerate() {
        text += &format!(
            "{n},{},{},{},{},{},{},{},1\n",
            g.x, g.y, g.size, g.frequency, g.orientation, g.phase, g.contrast
        );
    }
    fs::write(path, text).unwrap();
}
