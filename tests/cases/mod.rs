//! The one table of cases: every op at odd sizes, tails and edges, against its definition in float64. The emulator, the CPU
//! and a card all run these, and `benches/ops` measures them, beside the sizes of the standard model ([`standard`]).
#![allow(dead_code)]

use crate::common::{narrow, relative, widen};
use striate::device::{Array, Device, Maps, Precision};

mod align;
mod ascent;
mod bias;
mod closeup;
mod conv;
mod dense;
mod dropout;
mod gather;
mod gaussian;
mod group_conv;
mod loss;
mod maps;
mod nearest;
mod norm;
mod optimiser;
mod penalty;
mod pool;
mod random;
mod readout;
mod scan;
pub mod standard;
mod stimuli;
pub mod training;
mod trial;
pub mod watched;

pub use trial::{Clock, Cost, Trial};

type Body = Box<dyn Fn(&Trial) -> Vec<Output> + Send + Sync>;

/// One op at one size.
pub struct Case {
    pub name: String,
    /// Beside which other cases its speed is looked at.
    pub group: String,
    body: Body,
}

/// What an op wrote, and what its definition says.
pub struct Output {
    pub name: &'static str,
    pub got: Vec<f32>,
    pub wanted: Vec<f64>,
    /// Whether factors are rounded to the device's precision on the way.
    pub tensor: bool,
    /// Whether the result is rounded as maps are stored.
    pub stored: bool,
    /// Whether it is rounded as products take it.
    pub handed_on: bool,
}

impl Case {
    /// `body` does each pass of the op through [`Trial::pass`].
    pub fn new(
        name: impl Into<String>,
        body: impl Fn(&Trial) -> Vec<Output> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        Self {
            group: name.clone(),
            name,
            body: Box::new(body),
        }
    }

    /// The same by another name.
    pub fn named(self, group: &str, name: &str) -> Self {
        Self {
            group: group.into(),
            name: format!("{group}{name}"),
            ..self
        }
    }

    /// What the op writes and what its definition says.
    pub fn run(&self, device: &Device) -> Vec<Output> {
        (self.body)(&Trial::of_numbers(device))
    }

    /// Has every pass measured; how many there are.
    pub fn measure<'a>(&self, device: &'a Device, clock: &'a mut Clock<'a>) -> usize {
        let trial = Trial::of_speed(device, clock);
        (self.body)(&trial);
        trial.measured().len()
    }
}

impl Output {
    /// Of an op that multiplies in float32 on every device.
    pub fn new(name: &'static str, got: &Array, wanted: Vec<f64>) -> Self {
        Self {
            name,
            got: got.download(),
            wanted,
            tensor: false,
            stored: false,
            handed_on: false,
        }
    }

    /// Maps of an op that multiplies in float32 on every device.
    pub fn maps(name: &'static str, got: &Maps, wanted: Vec<f64>) -> Self {
        Self {
            name,
            got: got.download(),
            wanted,
            tensor: false,
            stored: true,
            handed_on: false,
        }
    }

    /// Maps that a layer hands on.
    pub fn handed_on(name: &'static str, got: &Maps, wanted: Vec<f64>) -> Self {
        Self {
            handed_on: true,
            ..Self::maps(name, got, wanted)
        }
    }

    /// Maps of an op whose factors are rounded to the device's precision.
    pub fn tensor_maps(name: &'static str, got: &Maps, wanted: Vec<f64>) -> Self {
        Self {
            tensor: true,
            ..Self::maps(name, got, wanted)
        }
    }

    /// Of an op whose factors are rounded to the device's precision.
    pub fn tensor(name: &'static str, got: &Array, wanted: Vec<f64>) -> Self {
        Self {
            tensor: true,
            ..Self::new(name, got, wanted)
        }
    }

    /// What must be the same again.
    pub fn bits(&self) -> Vec<u32> {
        self.got.iter().map(|v| v.to_bits()).collect()
    }

    /// Largest difference over the largest wanted magnitude, and the most that it may be.
    pub fn error(&self, precision: Precision) -> (f64, f64) {
        let of_op = match precision {
            Precision::Tf32 if self.tensor => 2e-3,
            Precision::Bf16 if self.tensor => 1.5e-2,
            _ => 1e-5,
        };
        // To the nearest of 8 or 11 significant bits.
        let of_storage = match precision {
            Precision::Bf16 if self.stored => 1.0 / 256.0,
            Precision::Tf32 if self.handed_on => 1.0 / 2048.0,
            _ => 0.0,
        };
        let most = of_op + of_storage;
        let is_rounded = |v: &f32| v.to_bits().trailing_zeros() >= 13;
        if self.handed_on && precision == Precision::Tf32 && !self.got.iter().all(is_rounded) {
            return (f64::INFINITY, most);
        }
        (relative(&widen(&self.got), &self.wanted), most)
    }
}

/// All cases.
pub fn all() -> Vec<Case> {
    [
        align::cases(),
        ascent::cases(),
        bias::cases(),
        closeup::cases(),
        conv::cases(),
        dense::cases(),
        dropout::cases(),
        gather::cases(),
        gaussian::cases(),
        group_conv::cases(),
        loss::cases(),
        maps::cases(),
        nearest::cases(),
        norm::cases(),
        optimiser::cases(),
        penalty::cases(),
        pool::cases(),
        random::cases(),
        readout::cases(),
        scan::cases(),
        stimuli::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The same numbers as float32 on the device and as float64 here.
pub fn both(device: &Device, values: &[f64]) -> (Array, Vec<f64>) {
    let v = narrow(values);
    (device.upload(&v, &[v.len()]), widen(&v))
}

/// The nearest numbers that maps on the device hold, and the same as float64 here.
pub fn both_maps(device: &Device, values: &[f64]) -> (Maps, Vec<f64>) {
    let mut maps = device.maps(&[values.len()]);
    maps.fill_from(&narrow(values));
    let held = widen(&maps.download());
    (maps, held)
}

/// Maps of NaN, to be overwritten.
pub fn empty_maps(device: &Device, n: usize) -> Maps {
    let mut maps = device.maps(&[n]);
    maps.fill_from(&vec![f32::NAN; n]);
    maps
}

/// `n` times the same number on the device: NaN for what must be overwritten, 1 for what must be added to.
pub fn filled(device: &Device, value: f32, n: usize) -> Array {
    device.upload(&vec![value; n], &[n])
}

/// A gradient that began as 1.
pub fn plus_one(v: &[f64]) -> Vec<f64> {
    v.iter().map(|v| v + 1.0).collect()
}
