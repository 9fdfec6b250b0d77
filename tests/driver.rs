//! The way to a card, without one: the driver of `src/device/emulator/driver.cpp` in place of NVIDIA's, found as that would
//! be. Memory, arguments, precision, recorded steps, and what happens when memory runs out.

mod cases;
mod common;
#[path = "common/process.rs"]
mod process;

use cases::training::beside_the_cpu;
use striate::device::{Device, Precision};
use striate::model::config::CoreKind;

/// The device, in a process that has the driver; elsewhere starts that process and gives none.
#[track_caller]
fn card(test: &str) -> Option<Device> {
    if let Err(why) = striate::device::cuda::architectures() {
        println!("skipped: {why}");
        return None;
    }
    if process::part().is_some() {
        return Some(Device::open("cuda").unwrap());
    }
    let variables = [
        ("LD_LIBRARY_PATH", striate::device::emulator::DRIVER),
        ("STRIATE_DRIVER_MEMORY", "1073741824"),
    ];
    process::parts(test, 1, &variables);
    None
}

#[test]
fn every_case_passes_through_the_driver_and_repeats_its_bits() {
    let Some(device) = card("every_case_passes_through_the_driver_and_repeats_its_bits") else {
        return;
    };
    for case in cases::all() {
        for precision in Precision::ALL {
            let device = device.with_precision(precision);
            let first = (case.run)(&device);
            device.check().unwrap();
            for output in &first {
                let (error, most) = output.error(precision);
                assert!(
                    error <= most,
                    "{precision:?} {} {}: {error:e}",
                    case.name,
                    output.name
                );
            }
            if precision == Precision::Bf16 {
                let second = (case.run)(&device);
                for (output, again) in first.iter().zip(&second) {
                    assert_eq!(output.bits(), again.bits(), "{} {}", case.name, output.name);
                }
            } else if first.iter().all(|o| !o.tensor) {
                break;
            }
        }
    }
}

#[test]
fn a_fit_with_recorded_steps_follows_the_cpu() {
    let Some(device) = card("a_fit_with_recorded_steps_follows_the_cpu") else {
        return;
    };
    for kind in [CoreKind::Convolutional, CoreKind::RotationEquivariant] {
        let found = beside_the_cpu(&device, kind);
        assert!(
            found.losses <= 1e-4 && found.rates <= 1e-4,
            "{kind:?}: {:e} {:e}",
            found.losses,
            found.rates
        );
    }
}

#[test]
fn recorded_work_is_done_when_repeated_and_not_before() {
    let Some(device) = card("recorded_work_is_done_when_repeated_and_not_before") else {
        return;
    };
    let mut array = device.upload(&[1.0f32; 10], &[10]);
    let mut other = device.upload(&[3.0f32; 10], &[10]);
    let graph = device.record(|| {
        array.fill(2.0);
        other.copy_from(&array);
    });
    assert_eq!(array.download(), [1.0; 10]);
    assert!(graph.replay());
    assert_eq!(other.download(), [2.0; 10]);
    array.fill(5.0);
    graph.replay();
    assert_eq!(other.download(), [2.0; 10]);
    device.check().unwrap();
    // A recording cannot allocate.
    device.record(|| drop(device.zeros::<f32>(&[10])));
    let message = device.check().unwrap_err().to_string();
    assert!(message.contains("CAPTURE"), "{message}");
}

#[test]
fn too_little_memory_is_an_error_with_the_bytes_wanted_and_free() {
    let Some(device) = card("too_little_memory_is_an_error_with_the_bytes_wanted_and_free") else {
        return;
    };
    let first = device.zeros::<f32>(&[1 << 27]);
    device.check().unwrap();
    let second = device.zeros::<f32>(&[1 << 28]);
    let message = device.check().unwrap_err().to_string();
    for part in [
        "1073741824 bytes of memory wanted",
        "536870912 free",
        "batch_size",
    ] {
        assert!(message.contains(part), "{message}");
    }
    drop((first, second));
}
