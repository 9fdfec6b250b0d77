//! What a device can do at most.

use crate::common::{narrow, noise};
use std::time::Instant;
use striate::device::{Array, Device};
use striate::ops::readout::{self, Shape, Weights};

pub struct Roof {
    pub bytes_per_second: f64,
    /// By precision.
    pub flops: [f64; 3],
}

/// From the file named by `STRIATE_ROOF`, or measured where that can be done without another program.
pub fn of(device: &Device) -> Option<Roof> {
    if let Ok(path) = std::env::var("STRIATE_ROOF") {
        let found = read(&path);
        if found.is_none() {
            println!("no roof: {path} is not what benches/peers/roof.py writes");
        }
        return found;
    }
    if !matches!(device, Device::Cpu) {
        println!("no roof: STRIATE_ROOF names none (benches/peers/roof.py writes one)");
        return None;
    }
    Some(Roof {
        bytes_per_second: copy(device),
        flops: [product(device); 3],
    })
}

fn read(path: &str) -> Option<Roof> {
    let text = std::fs::read_to_string(path).ok()?;
    let report: serde_json::Value = serde_json::from_str(&text).ok()?;
    let number = |key: &str| report[key].as_f64();
    Some(Roof {
        bytes_per_second: number("bytes_per_second")?,
        flops: [
            number("f32_flops")?,
            number("tf32_flops")?,
            number("bf16_flops")?,
        ],
    })
}

fn filled(device: &Device, n: usize) -> Array {
    let block = narrow(&noise(1 << 12, 1));
    let values: Vec<f32> = block.iter().copied().cycle().take(n).collect();
    device.upload(&values, &[n])
}

/// Bytes that a large copy reads and writes per second.
fn copy(device: &Device) -> f64 {
    let words = 1 << 26;
    let (from, mut to) = (filled(device, words), device.zeros::<f32>(&[words]));
    8.0 * words as f64 / fastest(|| to.copy_from(&from))
}

/// Floating-point operations per second of the readout at a size at which it is one large matrix product.
fn product(device: &Device) -> f64 {
    let shape = Shape {
        batch: 8,
        channels: 128,
        pixels: 2304,
        neurons: 512,
        positive_features: false,
    };
    let x = filled(device, shape.batch * shape.channels * shape.pixels);
    let mask = filled(device, shape.neurons * shape.pixels);
    let features = filled(device, shape.neurons * shape.channels);
    let bias = filled(device, shape.neurons);
    let mut h = device.zeros::<f32>(&[shape.batch * shape.neurons]);
    let weights = Weights {
        mask: mask.view(),
        features: features.view(),
        bias: bias.view(),
        windows: None,
    };
    let seconds = fastest(|| {
        readout::forward(device, &shape, x.view().into(), weights, h.view_mut(), None);
    });
    2.0 * (shape.projections() * shape.pixels) as f64 / seconds
}

fn fastest(mut work: impl FnMut()) -> f64 {
    let seconds = (0..30).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}
