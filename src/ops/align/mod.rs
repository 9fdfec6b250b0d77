//! The energy of codes that are turned against each other (Ustyuzhaninov et al. 2020), many fits side by side.
//!
//! A neuron's code is V_n (F, O). The relaxed shift by an angle a mixes its rolls by +i with weights
//! `c_i = exp(T cos(a - 2 pi i / O)) / sum_j exp(T cos(a - 2 pi j / O))`: `x_n = sum_i c_i(a_n, T) shift_i(V_n)`. With
//! the mean m of all x_n, over all pairs of neurons,
//!
//! `E = mean |x_i - x_j|^2 = (2 / N) sum |x_n|^2 - 2 |m|^2`, `Rec = (1 / N) sum |sum_i c_i(0, T) shift_i(V_n) - V_n|^2`,
//!
//! and a fit minimises `E + penalty Rec` over every a_n = 2 pi sigmoid(logit_n) and over T.
//!
//! A roll only turns the two components of each of a code's frequencies along O. In an orthonormal Fourier basis, with c's
//! spectrum p_k + i q_k, `|x_n|^2 = sum_k (p_k^2 + q_k^2) P_k`, P_k the code's power summed over features; `Rec` takes the
//! power's mean over neurons and nothing else; and only m needs the whole code, two products per number and its
//! gradient two more, whatever O is.
//!
//! Shapes: spectra (blocks, O, F, [`LANES`]), neurons interleaved, zeros after the last; components in the order
//! constant, cosine and sine of each frequency, alternating (even O). Parameters (blocks + 1, J, LANES): J fits' logits, and
//! in the first lane of the last block the parameter t of T. m's spectrum (J, O, F); energies and reconstructions (J, 2).

mod cpu;
mod lanes;
mod launch;
pub mod reference;

use super::Real;
use crate::device::{Array, Device, View, ViewMut};
use ndarray::ArrayView3;
use std::f64::consts::TAU;

/// Neurons that lie interleaved in memory.
pub const LANES: usize = 64;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// J.
    pub fits: usize,
    /// N.
    pub neurons: usize,
    /// F.
    pub features: usize,
    /// O.
    pub orientations: usize,
}

/// How T comes from its parameter t.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Temperature {
    /// T = cap sigmoid(t); without a cap T = exp(t).
    pub cap: Option<f64>,
}

/// What fits know of the codes, on a device.
#[derive(Debug)]
pub struct Codes {
    neurons: usize,
    features: usize,
    orientations: usize,
    /// (blocks, O, F, LANES).
    spectra: Array,
    /// P_k (blocks, O / 2 + 1, LANES).
    power: Array,
    /// Its mean over neurons (O / 2 + 1).
    mean_power: Array,
    /// cos and sin of 2 pi i / O, then what each component of c's spectrum takes of c: (2 + O, O).
    circle: Array,
}

impl Shape {
    /// Blocks of neurons.
    pub fn blocks(&self) -> usize {
        self.neurons.div_ceil(LANES)
    }

    /// Parameters of all fits.
    pub fn parameters(&self) -> usize {
        (self.blocks() + 1) * self.fits * LANES
    }

    /// Numbers of all means.
    pub fn means(&self) -> usize {
        self.fits * self.orientations * self.features
    }

    /// Where the logit of a fit's neuron stands among the parameters.
    pub fn logit(&self, fit: usize, neuron: usize) -> usize {
        (neuron / LANES * self.fits + fit) * LANES + neuron % LANES
    }

    /// Where a fit's t stands among the parameters.
    pub fn t(&self, fit: usize) -> usize {
        (self.blocks() * self.fits + fit) * LANES
    }
}

/// Frequency of each component, and whether it is a sine.
fn component(orientations: usize, c: usize) -> (usize, bool) {
    let alternating = orientations.is_multiple_of(2) && c + 1 == orientations;
    (c.div_ceil(2), c > 0 && c.is_multiple_of(2) && !alternating)
}

impl Codes {
    /// Lays out codes (N, F, O).
    pub fn new(device: &Device, codes: ArrayView3<f32>) -> Self {
        let (neurons, features, o) = codes.dim();
        assert!(neurons > 0 && features > 0 && o > 0, "{:?}", codes.dim());
        let frequencies = o / 2 + 1;
        let wave = |c: usize, i: usize| {
            let (k, sine) = component(o, c);
            let angle = TAU * (k * i % o) as f64 / o as f64;
            if sine { angle.sin() } else { angle.cos() }
        };
        let mut circle: Vec<f64> = (0..o).map(|i| (TAU * i as f64 / o as f64).cos()).collect();
        circle.extend((0..o).map(|i| (TAU * i as f64 / o as f64).sin()));
        circle.extend((0..o * o).map(|at| wave(at / o, at % o)));
        let blocks = neurons.div_ceil(LANES);
        let mut spectra = vec![0.0f32; blocks * o * features * LANES];
        let mut power = vec![0.0f32; blocks * frequencies * LANES];
        let mut mean_power = vec![0.0f64; frequencies];
        for (n, code) in codes.outer_iter().enumerate() {
            let (block, lane) = (n / LANES, n % LANES);
            let mut own = vec![0.0f64; frequencies];
            for c in 0..o {
                let (k, _) = component(o, c);
                let alone = k == 0 || 2 * k == o;
                let norm = (if alone { 1.0 } else { 2.0 } / o as f64).sqrt();
                for (f, row) in code.outer_iter().enumerate() {
                    let waves = &circle[(2 + c) * o..][..o];
                    let sum: f64 = row.iter().zip(waves).map(|(&v, w)| f64::from(v) * w).sum();
                    spectra[((block * o + c) * features + f) * LANES + lane] = (norm * sum) as f32;
                    own[k] += norm * sum * norm * sum;
                }
            }
            for (k, own) in own.into_iter().enumerate() {
                power[(block * frequencies + k) * LANES + lane] = own as f32;
                mean_power[k] += own / neurons as f64;
            }
        }
        let narrow = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<_>>();
        Self {
            neurons,
            features,
            orientations: o,
            spectra: device.upload(&spectra, &[blocks, o, features, LANES]),
            power: device.upload(&power, &[blocks, frequencies, LANES]),
            mean_power: device.upload(&narrow(&mean_power), &[frequencies]),
            circle: device.upload(&narrow(&circle), &[2 + o, o]),
        }
    }

    /// The shape of so many fits.
    pub fn shape(&self, fits: usize) -> Shape {
        Shape {
            fits,
            neurons: self.neurons,
            features: self.features,
            orientations: self.orientations,
        }
    }
}

/// Writes the mean shifted code's spectrum (J, O, F), and energy and reconstruction (J, 2).
pub fn forward(
    device: &Device,
    codes: &Codes,
    fits: usize,
    temperature: Temperature,
    point: View,
    means: ViewMut,
    losses: ViewMut,
) {
    let shape = codes.shape(fits);
    assert_eq!(
        (point.len(), means.len(), losses.len()),
        (shape.parameters(), shape.means(), 2 * fits),
        "{shape:?}"
    );
    match device {
        Device::Cpu => {
            let (point, means, losses) = (point.host(), means.host(), losses.host());
            let temperatures: Vec<f32> = (0..fits)
                .map(|j| temperature.value(point[shape.t(j)]))
                .collect();
            let norms = cpu::forward(&shape, codes, point, &temperatures, means);
            let each = means.chunks_exact(means.len() / fits).zip(norms);
            for (j, (mean, norms)) in each.enumerate() {
                let square: f64 = mean.iter().map(|&m| f64::from(m) * f64::from(m)).sum();
                losses[2 * j] = (2.0 / shape.neurons as f64 * norms - 2.0 * square) as f32;
                losses[2 * j + 1] = codes.reconstruction(temperatures[j].into()).0 as f32;
            }
        }
        _ => launch::forward(device, codes, &shape, temperature, point, means, losses),
    }
}

/// Adds the gradient of `E + penalty Rec` by all parameters, means as [`forward`] left them.
pub fn backward(
    device: &Device,
    codes: &Codes,
    temperature: Temperature,
    penalties: View,
    point: View,
    means: View,
    dpoint: ViewMut,
) {
    let fits = penalties.len();
    let shape = codes.shape(fits);
    assert_eq!(
        (point.len(), means.len(), dpoint.len()),
        (shape.parameters(), shape.means(), shape.parameters()),
        "{shape:?}"
    );
    match device {
        Device::Cpu => {
            let (point, means, dpoint) = (point.host(), means.host(), dpoint.host());
            let t: Vec<f32> = (0..fits).map(|j| point[shape.t(j)]).collect();
            let temperatures: Vec<f32> = t.iter().map(|&t| temperature.value(t)).collect();
            let of_energy = cpu::backward(&shape, codes, point, &temperatures, means, dpoint);
            for (j, of_energy) in of_energy.into_iter().enumerate() {
                let (_, slope) = codes.reconstruction(temperatures[j].into());
                let d = of_energy + f64::from(penalties.host()[j]) * slope;
                dpoint[shape.t(j)] += (d * temperature.slope(f64::from(t[j]))) as f32;
            }
        }
        _ => launch::backward(
            device,
            codes,
            &shape,
            temperature,
            penalties,
            point,
            means,
            dpoint,
        ),
    }
}

impl Codes {
    /// Rec at T and its derivative.
    fn reconstruction(&self, temperature: f64) -> (f64, f64) {
        let o = self.orientations;
        let [c, _, by] = reference::taps(o, 0.0, temperature);
        let mut sums = (0.0, 0.0);
        for (k, &power) in self.mean_power.view().host().iter().enumerate() {
            let wave = |v: &[f64]| -> f64 {
                let at = |i: usize| (TAU * (k * i % o) as f64 / o as f64).cos();
                v.iter().enumerate().map(|(i, v)| v * at(i)).sum()
            };
            let (missing, slope) = (wave(&c) - 1.0, wave(&by));
            sums.0 += f64::from(power) * missing * missing;
            sums.1 += f64::from(power) * 2.0 * missing * slope;
        }
        sums
    }
}
