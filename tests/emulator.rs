//! Every kernel, run thread by thread on this machine, against its op's definition: at every precision, in three orders of
//! threads that must give the same bits. The emulator uses one core, so the cases are dealt out to processes.

mod cases;
mod common;
#[path = "common/process.rs"]
mod process;

use cases::training::Fit;
use cases::{Case, Output};
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::model::config::{CoreKind, FeaturesPenalty};

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
        for precision in Precision::ALL {
            check(case, precision, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Notes what is wrong.
fn check(case: &Case, precision: Precision, wrong: &mut Vec<String>) {
    let mut first: Option<Vec<Output>> = None;
    for order in Order::ALL {
        let device = Device::Emulated(Emulator::new(order, precision));
        let outputs = case.run(&device);
        let mut note = |what: String| wrong.push(format!("{precision:?} {}: {what}", case.name));
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
