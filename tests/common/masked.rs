//! A small twin with masks of known extent.
#![allow(dead_code)]

use super::common::{narrow, noise};
use striate::device::Device;
use striate::model::{Config, Model, Population};
use striate::recording::preprocess::Preprocessing;

/// Height and width of its images.
pub const IMAGE: (usize, usize) = (19, 23);
/// Rows and columns that the masks look at: a corner, the middle, an edge, everything.
pub const SEEN: [[usize; 4]; 5] = [
    [0, 2, 0, 3],
    [8, 11, 9, 12],
    [0, 1, 10, 11],
    [5, 9, 1, 4],
    [0, usize::MAX, 0, usize::MAX],
];

/// Five neurons behind three layers with random numbers.
pub fn model(device: &Device, kind: &str, padding: &str) -> Model {
    let overrides = [
        format!("core.kind=\"{kind}\""),
        format!("core.padding=\"{padding}\""),
        "core.orientations=4".into(),
        "core.filter_sizes=[5, 3, 3]".into(),
        "core.features=[2, 3, 2]".into(),
        "readout.positive_features=true".into(),
    ];
    let config = Config::parse("recordings = [\"r\"]", "test", &overrides).unwrap();
    let population = Population {
        name: "r".into(),
        height: IMAGE.0,
        width: IMAGE.1,
        response_scale: vec![1.0; SEEN.len()],
    };
    let preprocessing = Preprocessing {
        image_mean: 0.0,
        image_sd: 1.0,
    };
    let mut model = Model::zeros(device, &config, preprocessing, &[population]).unwrap();
    let n = model.params.values.len();
    model.params.values.fill_from(&narrow(&noise(n, 3)));
    let n = model.statistics.values.len();
    let statistics: Vec<f64> = noise(n, 4).iter().map(|v| 1.5 + v).collect();
    model.statistics.values.fill_from(&narrow(&statistics));
    let (readout, (height, width)) = (model.readouts[0].clone(), model.readouts[0].map);
    let mut masks = noise(SEEN.len() * height * width, 5);
    for (mask, [top, bottom, left, right]) in masks.chunks_exact_mut(height * width).zip(SEEN) {
        for (p, m) in mask.iter_mut().enumerate() {
            let (y, x) = (p / width, p % width);
            if !((top..bottom).contains(&y) && (left..right).contains(&x)) {
                *m = 0.0;
            }
        }
    }
    model
        .params
        .view_mut(readout.masks().unwrap())
        .fill_from(&narrow(&masks));
    model
}
