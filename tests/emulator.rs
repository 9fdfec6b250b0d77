//! Every kernel, run thread by thread on this machine, against its op's definition: at every precision, in three orders of
//! threads that must give the same bits. The emulator uses one core, so the cases are dealt out to processes.

mod cases;
mod common;
#[path = "common/process.rs"]
mod process;
#[path = "common/step.rs"]
mod step;
#[path = "common/traffic.rs"]
mod traffic;

use cases::training::Fit;
use cases::{Case, Output};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use striate::device::emulator::{Emulator, Order, Totals};
use striate::device::{Device, Precision};
use striate::model::config::{CoreKind, FeaturesPenalty};
use striate::ops::activation::{self, Activation};
use striate::ops::norm::{self, Affine, Finish, Shape};

#[test]
fn every_kernel_is_its_definition_in_any_order_of_threads() {
    let Some((part, of)) = process::part() else {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        return process::parts(
            "every_kernel_is_its_definition_in_any_order_of_threads",
            cores,
            &[],
        );
    };
    let mut wrong = Vec::new();
    for case in cases::all().iter().skip(part).step_by(of) {
        for card in cards(case) {
            check(case, card, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In a second build of the kernels, whose every access to memory is looked at.
#[test]
fn no_kernel_races_and_traffic_is_as_committed() {
    let (mut totals, mut wrong) = (Totals::new(), Vec::new());
    for case in cases::watched::cases() {
        for card in cards(&case) {
            let emulator = card.emulator(Order::Forward).watched();
            let device = Device::Emulated(emulator.clone());
            // After a fault nothing runs any more, which a case may not expect.
            let outcome = catch_unwind(AssertUnwindSafe(|| case.run(&device)));
            match (device.check(), outcome) {
                (Err(e), _) => wrong.push(format!("{card} {}: {e}", case.name)),
                (Ok(()), Err(panic)) => resume_unwind(panic),
                (Ok(()), Ok(_)) => {}
            }
            for (kernel, traffic) in emulator.traffic() {
                *totals.entry(kernel).or_default() += traffic;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    traffic::assert_committed(&totals);
}

/// At the sizes of the standard model, on Hopper, where nothing is run.
#[test]
fn a_step_asks_for_what_is_committed_and_fills_its_waves() {
    let mut rows = Vec::new();
    for precision in Precision::ALL {
        for window in [0, 16] {
            let fit = Fit::standard(256, 6005);
            let fit = match window {
                0 => fit,
                side => fit.windowed(side, 1),
            };
            let card = Card {
                precision,
                hopper: true,
            };
            let emulator = card.emulator(Order::Forward).noting();
            let device = Device::Emulated(emulator.clone());
            fit.last_step(&device, || drop(emulator.launched()));
            rows.extend(step::rows(precision, window, &emulator.launched()));
        }
    }
    step::assert_committed(&rows);
}

/// What the emulator takes the place of.
#[derive(Clone, Copy)]
struct Card {
    precision: Precision,
    hopper: bool,
}

impl Card {
    fn emulator(self, order: Order) -> Emulator {
        let emulator = Emulator::new(order, self.precision);
        match self.hopper {
            true => emulator.as_hopper(),
            false => emulator,
        }
    }
}

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let on = if self.hopper { " on Hopper" } else { "" };
        write!(f, "{:?}{on}", self.precision)
    }
}

/// Those that a case is run on: all precisions, and Hopper where it has kernels of its own.
fn cards(case: &Case) -> Vec<Card> {
    let card = |hopper| move |precision| Card { precision, hopper };
    let mut cards: Vec<Card> = Precision::ALL.map(card(false)).into();
    let windowed = case.name.starts_with("readout through windows");
    if windowed || case.name.starts_with("readout Shape") {
        cards.extend([Precision::Tf32, Precision::Bf16].map(card(true)));
    }
    cards
}

/// Notes what is wrong.
fn check(case: &Case, card: Card, wrong: &mut Vec<String>) {
    let precision = card.precision;
    let mut first: Option<Vec<Output>> = None;
    for order in Order::ALL {
        let device = Device::Emulated(card.emulator(order));
        let outputs = case.run(&device);
        let mut note = |what| wrong.push(format!("{card} {}: {what}", case.name));
        if let Err(e) = device.check() {
            return note(e.to_string());
        }
        for output in &outputs {
            let (error, most) = output.error(precision);
            let fine = error <= most;
            if !fine {
                note(format!(
                    "{} is off by {error:e}, wanted at most {most:e}",
                    output.name
                ));
            }
        }
        let Some(first) = &first else {
            first = Some(outputs);
            continue;
        };
        for (output, other) in outputs.iter().zip(first) {
            if output.bits() != other.bits() {
                note(format!(
                    "{} depends on the order of threads ({order:?})",
                    output.name
                ));
            }
        }
    }
}

/// The emulator's approximations are as far off as the hardware's may be.
#[test]
fn softplus_and_its_slope_keep_to_their_error_bound() {
    let device = Device::Emulated(Emulator::new(Order::Forward, Precision::F32));
    let x: Vec<f32> = (-8000..=8000).map(|i| i as f32 / 100.0).collect();
    let shape = Shape {
        batch: 1,
        channels: 1,
        groups: 1,
        pixels: x.len(),
    };
    // Statistics that leave x as it is: 1e-3 is added to the variance.
    let [mean, variance, offset] = [0.0, 0.999, 0.0].map(|v| device.upload(&[v], &[1]));
    let finish = Finish {
        statistics: (mean.view(), variance.view()),
        affine: Affine {
            gain: None,
            offset: offset.view(),
        },
        activation: Activation::Softplus,
    };
    let [mut y, mut z, mut slope] = [(); 3].map(|()| device.maps(&[x.len()]));
    y.fill_from(&x);
    slope.fill_from(&vec![1.0; x.len()]);
    norm::forward(&device, &shape, y.view(), &finish, z.view_mut());
    norm::backward_fixed(&device, &shape, y.view(), &finish, slope.view_mut());
    device.check().unwrap();
    for (got, wanted) in [
        (z, activation::softplus as fn(f64) -> f64),
        (slope, activation::sigmoid),
    ] {
        for (&x, &got) in x.iter().zip(&got.download()) {
            let wanted = wanted(f64::from(x));
            let error = (f64::from(got) - wanted).abs() / wanted;
            assert!(
                error <= 1e-5,
                "at {x}: {got:e}, wanted {wanted:e}, off by {error:e}"
            );
        }
    }
}

#[test]
fn a_fit_through_windows_follows_the_cpu() {
    for precision in Precision::ALL {
        let device = Device::Emulated(Emulator::new(Order::Shuffled, precision));
        let fit = Fit::small(CoreKind::RotationEquivariant).through_windows();
        let found = fit.beside_the_cpu(&device);
        assert!(found.is_rounding(precision), "{precision:?}: {found:?}");
    }
}

#[test]
fn a_fit_at_sampled_places_follows_the_cpu() {
    for precision in Precision::ALL {
        let device = Device::Emulated(Emulator::new(Order::Shuffled, precision));
        let fit = Fit::small(CoreKind::RotationEquivariant).at_places();
        let found = fit.beside_the_cpu(&device);
        assert!(found.is_rounding(precision), "{precision:?}: {found:?}");
    }
}

#[test]
fn fits_with_other_penalties_follow_the_cpu() {
    for form in [FeaturesPenalty::AdaptiveLogNorm, FeaturesPenalty::L2] {
        let small = || Fit::small(CoreKind::Convolutional).penalised(form);
        for fit in [small(), small().through_windows()] {
            let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
            let found = fit.beside_the_cpu(&device);
            assert!(found.is_rounding(Precision::F32), "{form:?}: {found:?}");
        }
    }
}

#[test]
fn a_fit_and_its_predictions_follow_the_cpu() {
    for precision in Precision::ALL {
        for kind in [
            CoreKind::Convolutional,
            CoreKind::RotationEquivariant,
            CoreKind::Kindel,
            CoreKind::Linear,
        ] {
            let device = Device::Emulated(Emulator::new(Order::Shuffled, precision));
            let found = Fit::small(kind).beside_the_cpu(&device);
            println!(
                "{precision:?} {kind:?} {:e} {:e}",
                found.losses, found.rates
            );
            assert!(
                found.is_rounding(precision),
                "{precision:?} {kind:?}: {found:?}"
            );
        }
    }
}
