//! Curves and indices against float64, on the CPU and through the kernels.

use super::ALL;
use super::common::assert_close;
use super::units::{self, gabor, liked, response};
use std::f64::consts::{FRAC_PI_2, PI, TAU};
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::insilico::tuning::{Curve, Indices, Tuning, tune};
use striate::insilico::{Watch, show};
use striate::model::Model;
use striate::stimuli::Gabor;

/// The curves of a neuron in float64, and the indices that they come to, by formulas of their own.
pub struct Known {
    pub curves: [Vec<f64>; 4],
    pub indices: [f64; 5],
}

pub fn known(n: usize, output: &str) -> Known {
    let one = |g: Gabor| response(n, output, &gabor(&g));
    let liked = liked(n);
    let orientation: Vec<f64> = (0..24)
        .map(|k| f64::from(k) * PI / 24.0)
        .map(|orientation| {
            one(Gabor {
                orientation,
                ..liked
            })
        })
        .collect();
    let phase: Vec<f64> = (0..12)
        .map(|k| f64::from(k) * TAU / 12.0)
        .map(|phase| one(Gabor { phase, ..liked }))
        .collect();
    let mut size_contrast = Vec::new();
    for i in 0..12 {
        for j in 0..12 {
            size_contrast.push(one(Gabor {
                size: 8.0 * 1.2f64.powi(i),
                contrast: 2f64.powf(-3.5 + f64::from(j) / 2.0),
                ..liked
            }));
        }
    }
    let of_plaid = |k: i32| match k {
        0 => 0.0,
        k => 2f64.powf(-3.0 + f64::from(k - 1) / 2.0),
    };
    let mut plaid = Vec::new();
    for o in 0..10 {
        for p in 0..10 {
            let preferred = Gabor {
                contrast: of_plaid(p),
                ..liked
            };
            let orthogonal = Gabor {
                contrast: of_plaid(o),
                orientation: liked.orientation + FRAC_PI_2,
                ..liked
            };
            plaid.push(response(
                n,
                output,
                &(gabor(&preferred) + gabor(&orthogonal)),
            ));
        }
    }
    let harmonic = |r: &[f64], step: f64| {
        let cosine: f64 = r
            .iter()
            .enumerate()
            .map(|(j, r)| r * (step * j as f64).cos())
            .sum();
        let sine: f64 = r
            .iter()
            .enumerate()
            .map(|(j, r)| r * (step * j as f64).sin())
            .sum();
        cosine.hypot(sine) / r.iter().sum::<f64>()
    };
    let lost = |r: &[f64]| {
        let largest = r.iter().copied().fold(f64::MIN, f64::max);
        (largest - r[r.len() - 1]) / largest
    };
    let every = |r: &[f64], first: usize, step: usize| -> Vec<f64> {
        r.iter().skip(first).step_by(step).copied().collect()
    };
    let indices = [
        harmonic(&orientation, TAU / 24.0),
        harmonic(&phase, TAU / 12.0),
        lost(&every(&size_contrast, 11, 12)),
        lost(&size_contrast[132..]),
        lost(&every(&plaid, 9, 10)),
    ];
    Known {
        curves: [orientation, phase, size_contrast, plaid],
        indices,
    }
}

fn numbers(i: &Indices) -> [f64; 5] {
    [i.orientation, i.phase, i.suppression, i.contrast, i.plaid]
}

fn tuned(device: &Device, output: &str, neurons: &[usize]) -> Tuning {
    let folder = tempfile::tempdir().unwrap();
    units::write(folder.path(), output);
    let mut model = Model::open(folder.path(), device).unwrap();
    let groups = show::exact(&mut model, 0, neurons).unwrap();
    let optimal: Vec<Option<Gabor>> = neurons.iter().map(|&n| Some(liked(n))).collect();
    tune(&mut model, &groups, &optimal, &mut Watch::hidden()).unwrap()
}

#[test]
fn curves_and_indices_are_those_of_the_known_neurons() {
    for output in ["exponential", "softplus"] {
        let neurons = [2, 0, 3, 1];
        let tuning = tuned(&Device::Cpu, output, &neurons);
        for (place, (&n, found)) in neurons.iter().zip(tuning.indices()).enumerate() {
            let known = known(n, output);
            for (curve, wanted) in Curve::ALL.into_iter().zip(&known.curves) {
                let got = tuning.curves[curve as usize].row(place).to_vec();
                assert_close(&format!("{output} {n} {curve:?}"), &got, wanted, 1e-4);
            }
            for (got, wanted) in numbers(&found).iter().zip(known.indices) {
                assert!(
                    (got - wanted).abs() <= 1e-4,
                    "{output} {n}: {found:?} {wanted}"
                );
            }
        }
    }
}

#[test]
fn the_kernels_draw_and_see_the_same() {
    let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let (emulated, here) = (
        tuned(&device, "softplus", &[3]),
        tuned(&Device::Cpu, "softplus", &[3]),
    );
    device.check().unwrap();
    for (a, b) in emulated.curves.iter().zip(&here.curves) {
        assert_close("curve", a.as_slice().unwrap(), b.as_slice().unwrap(), 1e-4);
    }
}

#[test]
fn indices_tell_what_the_neurons_were_made_to_do() {
    let tuning = tuned(&Device::Cpu, "linear", &ALL);
    let found = tuning.indices();
    let [linear, energy, surround, crossed] = &found[..] else {
        panic!("{found:?}");
    };
    // A linear neuron's phase curve is a sine about the response to nothing.
    let row = tuning.curves[Curve::Phase as usize].row(0).to_vec();
    let amplitude = row.iter().copied().fold(f64::MIN, f64::max) - units::BIAS * units::SCALES[0];
    let wanted = amplitude / (2.0 * units::BIAS * units::SCALES[0]);
    assert!((linear.phase - wanted).abs() <= 1e-4, "{linear:?} {wanted}");
    assert!(linear.phase >= 0.15 && energy.phase <= 0.02, "{found:?}");
    assert!(
        surround.suppression >= 0.3 && energy.suppression <= 0.1,
        "{found:?}"
    );
    assert!(crossed.plaid >= 0.3 && energy.plaid <= 0.1, "{found:?}");
    assert!(
        energy.contrast.abs() <= 1e-6 && surround.contrast >= 0.3,
        "{found:?}"
    );
    for (n, found) in found.iter().enumerate() {
        for (got, wanted) in numbers(found).iter().zip(known(n, "linear").indices) {
            assert!((got - wanted).abs() <= 1e-4, "{n}: {found:?} {wanted}");
        }
    }
}
