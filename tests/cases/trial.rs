//! One body for every question about an op: whether it is its definition (each pass once) and how fast it is (each pass again
//! and again, without the definition).

use super::{Output, both, both_maps};
use crate::common::{narrow, noise};
use std::cell::RefCell;
use std::ops::Deref;
use striate::device::{Array, Device, Maps, Precision};

/// What a pass takes at least.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Multiply-adds, of the dense form.
    pub products: usize,
    /// What must come from memory and go to it.
    pub bytes: usize,
    /// Whether the products are taken at the device's precision.
    pub by_precision: bool,
}

impl Cost {
    /// Reads and writes so many 32-bit words.
    pub fn words(words: usize) -> Self {
        Self {
            bytes: 4 * words,
            ..Self::default()
        }
    }

    /// Reads and writes so many numbers of maps too.
    pub fn maps(self, device: &Device, numbers: usize) -> Self {
        Self {
            bytes: self.bytes + device.precision().map_bytes() * numbers,
            ..self
        }
    }

    /// Multiplies in float32.
    pub fn products(self, products: usize) -> Self {
        Self { products, ..self }
    }

    /// Multiplies at the device's precision.
    pub fn tensor(self, products: usize) -> Self {
        Self {
            by_precision: true,
            ..self.products(products)
        }
    }
}

/// Measures a pass by doing it as often as it likes.
pub type Clock<'a> = dyn FnMut(&'static str, Cost, &mut dyn FnMut()) + 'a;

struct Timing<'a> {
    clock: &'a mut Clock<'a>,
    measured: Vec<&'static str>,
}

/// A device, and what is asked about the op on it.
pub struct Trial<'a> {
    device: &'a Device,
    timing: Option<RefCell<Timing<'a>>>,
}

impl Deref for Trial<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.device
    }
}

impl<'a> Trial<'a> {
    pub fn of_numbers(device: &'a Device) -> Self {
        Self {
            device,
            timing: None,
        }
    }

    pub fn of_speed(device: &'a Device, clock: &'a mut Clock<'a>) -> Self {
        let measured = Vec::new();
        Self {
            device,
            timing: Some(RefCell::new(Timing { clock, measured })),
        }
    }

    /// Names of the passes that were measured.
    pub fn measured(self) -> Vec<&'static str> {
        self.timing.map_or(vec![], |t| t.into_inner().measured)
    }

    /// Does one pass of the op, or has it measured if it is the first of its name.
    pub fn pass(&self, name: &'static str, cost: Cost, mut run: impl FnMut()) {
        let Some(timing) = &self.timing else {
            return run();
        };
        let mut timing = timing.borrow_mut();
        if timing.measured.contains(&name) {
            return run();
        }
        timing.measured.push(name);
        (timing.clock)(name, cost, &mut run);
    }

    /// A pass of the ladder of simpler kernels, which are a card's alone.
    pub fn rung(&self, name: &'static str, cost: Cost, mut run: impl FnMut()) {
        match (&self.timing, self.device) {
            (Some(_), Device::Cpu) => {}
            (None, _) => run(),
            _ => self.pass(name, cost, run),
        }
    }

    /// Noise on the device and the same in float64 here, which is empty where nobody will ask for the definition.
    pub fn noise(&self, n: usize, seed: u64) -> (Array, Vec<f64>) {
        if self.timing.is_none() {
            return both(self.device, &noise(n, seed));
        }
        (self.device.upload(&repeated(n, seed), &[n]), Vec::new())
    }

    /// The same as maps.
    pub fn noise_maps(&self, n: usize, seed: u64) -> (Maps, Vec<f64>) {
        if self.timing.is_none() {
            return both_maps(self.device, &noise(n, seed));
        }
        let mut maps = self.device.maps(&[n]);
        maps.fill_from(&repeated(n, seed));
        (maps, Vec::new())
    }

    /// The same as a layer hands them on: rounded as products take them.
    pub fn noise_handed_on(&self, n: usize, seed: u64) -> (Maps, Vec<f64>) {
        let (maps, held) = self.noise_maps(n, seed);
        if self.precision() != Precision::Tf32 || held.is_empty() {
            return (maps, held);
        }
        // To the nearest of 11 significant bits.
        let nearest = |v: f32| f32::from_bits((v.to_bits() + (1 << 12)) & !0x1fff);
        let rounded = held.iter().map(|&v| f64::from(nearest(v as f32)));
        both_maps(self.device, &rounded.collect::<Vec<_>>())
    }

    /// What the op wrote and what its definition says; nothing where only time is asked for.
    pub fn outputs(&self, compare: impl FnOnce() -> Vec<Output>) -> Vec<Output> {
        match &self.timing {
            None => compare(),
            Some(_) => Vec::new(),
        }
    }
}

/// A block of noise again and again.
fn repeated(n: usize, seed: u64) -> Vec<f32> {
    const BLOCK: usize = 1 << 16;
    let block = narrow(&noise(n.min(BLOCK), seed));
    block.iter().copied().cycle().take(n).collect()
}
