//! Every kernel, run thread by thread on this machine, against its op's definition: at every precision, in three orders of
//! threads that must give the same bits.

mod cases;
mod common;

use cases::training::beside_the_cpu;
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::model::config::CoreKind;

#[test]
fn every_kernel_is_its_definition_in_any_order_of_threads() {
    let mut wrong = Vec::new();
    let all = cases::all();
    for precision in Precision::ALL {
        for case in &all {
            let runs = Order::ALL.map(|order| {
                let device = Device::Emulated(Emulator::new(order, precision));
                let outputs = (case.run)(&device);
                (outputs, device.check())
            });
            // Ops that do not multiply matrices are the same at every precision.
            if precision != Precision::F32 && runs[0].0.iter().all(|o| !o.tensor) {
                continue;
            }
            for (i, (outputs, fault)) in runs.iter().enumerate() {
                if let Err(e) = fault {
                    wrong.push(format!("{precision:?} {}: {e}", case.name));
                    break;
                }
                for (output, first) in outputs.iter().zip(&runs[0].0) {
                    let (error, most) = output.error(precision);
                    let fine = error <= most;
                    if !fine {
                        wrong.push(format!(
                            "{precision:?} {}: {} is off by {error:e}, wanted at most {most:e}",
                            case.name, output.name
                        ));
                    }
                    let bits =
                        |o: &cases::Output| o.got.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    if bits(output) != bits(first) {
                        wrong.push(format!(
                            "{precision:?} {}: {} depends on the order of threads ({:?})",
                            case.name,
                            output.name,
                            Order::ALL[i]
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_fit_and_its_predictions_follow_the_cpu() {
    for kind in [CoreKind::RotationEquivariant, CoreKind::Convolutional] {
        let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
        let found = beside_the_cpu(&device, kind);
        assert!(
            found.losses <= 1e-4,
            "{kind:?}: losses off by {:e}",
            found.losses
        );
        assert!(
            found.rates <= 1e-3,
            "{kind:?}: rates off by {:e}",
            found.rates
        );
    }
}
