//! Twins written by hand, whose best images are known: one or two layers, masks of one pixel.
#![allow(dead_code)]

use std::f64::consts::PI;
use std::fs;
use std::path::Path;
use striate::device::Device;
use striate::insilico::ascent::Member;
use striate::model::Model;
use striate::model::checkpoint::Tensors;

/// Height and width of the images.
pub const IMAGE: (usize, usize) = (24, 30);
/// Width of the filters.
pub const WIDTH: usize = 11;
/// What removes the normalisation: its variance is 1 and its epsilon 1e-3.
const UNIT: f64 = 1.000_499_875;

/// A neuron: which filter it sees with, where, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub filter: usize,
    pub row: usize,
    pub column: usize,
    pub gain: f32,
}

/// Gabor filters of norm 1, (n, 11, 11): orientations and phases.
pub fn gabors(settings: &[(f64, f64)]) -> Vec<f32> {
    let half = (WIDTH / 2) as f64;
    settings
        .iter()
        .flat_map(|&(orientation, phase)| {
            let at = |p: usize| {
                let (y, x) = ((p / WIDTH) as f64 - half, (p % WIDTH) as f64 - half);
                let along = x * orientation.cos() - y * orientation.sin();
                (-(x * x + y * y) / 8.0).exp() * (2.0 * PI * 0.14 * along + phase).cos()
            };
            let values: Vec<f64> = (0..WIDTH * WIDTH).map(at).collect();
            let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            values.into_iter().map(move |v| (v / norm) as f32)
        })
        .collect()
}

/// Writes a run with one convolution: rates are `gain (filter . image)` about the cell's pixel, and `bias` more, behind
/// the output nonlinearity.
pub fn write(run: &Path, output: &str, filters: &[f32], cells: &[Cell], bias: f32) {
    let count = filters.len() / (WIDTH * WIDTH);
    let weights: Vec<f32> = filters
        .iter()
        .map(|w| (f64::from(*w) * UNIT) as f32)
        .collect();
    let mut tensors = Tensors::default();
    tensors.insert("core.0.weights".into(), &[count, 1, WIDTH, WIDTH], weights);
    layer(&mut tensors, 0, count);
    let channel = |c: &Cell| vec![c.filter];
    readout(&mut tensors, count, cells, bias, channel);
    let text = configuration(output, &format!("[{WIDTH}]"), &format!("[{count}]"));
    save(run, &tensors, &text);
}

/// As [`write`], with energy: filters 2 i and 2 i + 1 and their negatives, rectified, summed for cells of filter i.
pub fn write_energy(run: &Path, filters: &[f32], cells: &[Cell]) {
    let pairs = filters.len() / (2 * WIDTH * WIDTH);
    let area = WIDTH * WIDTH;
    let mut weights = Vec::new();
    for filter in filters.chunks_exact(area) {
        for sign in [1.0, -1.0] {
            weights.extend(filter.iter().map(|w| (sign * f64::from(*w) * UNIT) as f32));
        }
    }
    let mut tensors = Tensors::default();
    let count = 4 * pairs;
    tensors.insert("core.0.weights".into(), &[count, 1, WIDTH, WIDTH], weights);
    let mut sums = vec![0.0; pairs * count];
    for (i, sums) in sums.chunks_exact_mut(count).enumerate() {
        sums[4 * i..][..4].fill(UNIT as f32);
    }
    tensors.insert("core.1.weights".into(), &[pairs, count, 1, 1], sums);
    layer(&mut tensors, 0, count);
    layer(&mut tensors, 1, pairs);
    readout(&mut tensors, pairs, cells, 0.0, |c| vec![c.filter]);
    let text = configuration(
        "linear",
        &format!("[{WIDTH}, 1]"),
        &format!("[{count}, {pairs}]"),
    );
    let text = text.replace("[core]", "[core]\nactivation = \"relu\"");
    save(run, &tensors, &text);
}

fn configuration(output: &str, widths: &str, features: &str) -> String {
    let layers = widths.matches(',').count() + 1;
    let ones = vec!["1.0"; layers].join(", ");
    format!(
        "[core]\nkind = \"convolutional\"\nfilter_sizes = {widths}\nfeatures = {features}\n\
         [readout]\noutput = \"{output}\"\n\
         [penalties]\nsmoothness_per_layer = [{ones}]\ngroup_sparsity_per_layer = [{ones}]\n"
    )
}

fn layer(tensors: &mut Tensors, l: usize, channels: usize) {
    for (name, value) in [("offset", 0.0), ("mean", 0.0), ("variance", 1.0)] {
        let name = format!("core.{l}.norm.{name}");
        tensors.insert(name, &[channels], vec![value; channels]);
    }
}

fn readout(
    tensors: &mut Tensors,
    channels: usize,
    cells: &[Cell],
    bias: f32,
    of: impl Fn(&Cell) -> Vec<usize>,
) {
    let (n, (h, w)) = (cells.len(), IMAGE);
    let (mut mask, mut features) = (vec![0.0; n * h * w], vec![0.0; n * channels]);
    for (i, cell) in cells.iter().enumerate() {
        mask[(i * h + cell.row) * w + cell.column] = 1.0;
        of(cell)
            .iter()
            .for_each(|c| features[i * channels + c] = cell.gain);
    }
    tensors.insert("readout.r.mask".into(), &[n, h, w], mask);
    tensors.insert("readout.r.features".into(), &[n, channels], features);
    tensors.insert("readout.r.bias".into(), &[n], vec![bias; n]);
    let scale = (0..n).map(|i| 1.5 + 0.25 * i as f32).collect();
    tensors.insert("readout.r.response_scale".into(), &[n], scale);
}

fn save(run: &Path, tensors: &Tensors, configuration: &str) {
    let mut tensors = tensors.clone();
    tensors.insert("input.mean".into(), &[1], vec![110.0]);
    tensors.insert("input.sd".into(), &[1], vec![50.0]);
    fs::create_dir_all(run).unwrap();
    fs::write(run.join("config.toml"), configuration).unwrap();
    tensors.write(&run.join("model.safetensors")).unwrap();
}

/// The run as it is asked.
pub fn member(run: &Path, device: &Device) -> Member {
    Member {
        place: run.display().to_string(),
        model: Model::open(run, device).unwrap(),
        index: 0,
    }
}

/// The filter of a cell where it looks, (H, W).
pub fn seen(filters: &[f32], cell: &Cell) -> Vec<f64> {
    let (h, w) = IMAGE;
    let filter = &filters[cell.filter * WIDTH * WIDTH..][..WIDTH * WIDTH];
    let mut whole = vec![0.0; h * w];
    for (p, &v) in filter.iter().enumerate() {
        let row = (cell.row + p / WIDTH).checked_sub(WIDTH / 2);
        let column = (cell.column + p % WIDTH).checked_sub(WIDTH / 2);
        if let (Some(y), Some(x)) = (row, column)
            && y < h
            && x < w
        {
            whole[y * w + x] = f64::from(v);
        }
    }
    whole
}
