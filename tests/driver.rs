//! The way to a card, without one: the driver of `src/device/emulator/driver.cpp` in place of NVIDIA's, found as that would
//! be. Memory, arguments, precision, recorded steps, and what happens when memory runs out.

mod cases;
mod common;

use cases::training::beside_the_cpu;
use std::process::{Command, Output};
use striate::device::{Device, Precision};
use striate::model::config::CoreKind;

/// Set in the process that has the driver.
const INSIDE: &str = "STRIATE_TEST_INSIDE";

/// Runs one of the tests below again, in a process that finds the driver.
fn inside(test: &str, memory: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("LD_LIBRARY_PATH", striate::device::emulator::DRIVER)
        .env("STRIATE_DRIVER_MEMORY", memory)
        .output()
        .unwrap()
}

/// A device in the process that has the driver; elsewhere runs that process and gives none.
#[track_caller]
fn card(test: &str) -> Option<Device> {
    if let Err(why) = striate::device::cuda::architectures() {
        println!("skipped: {why}");
        return None;
    }
    if std::env::var_os(INSIDE).is_some() {
        return Some(Device::open("cuda").unwrap());
    }
    let output = inside(test, &(1u64 << 30).to_string());
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    None
}

#[test]
fn every_case_passes_through_the_driver_and_repeats_its_bits() {
    let Some(device) = card("every_case_passes_through_the_driver_and_repeats_its_bits") else {
        return;
    };
    for precision in Precision::ALL {
        let device = device.with_precision(precision);
        for case in cases::all() {
            let (first, second) = ((case.run)(&device), (case.run)(&device));
            device.check().unwrap();
            for (output, again) in first.iter().zip(&second) {
                let (error, most) = output.error(precision);
                assert!(
                    error <= most,
                    "{precision:?} {} {}: {error:e}",
                    case.name,
                    output.name
                );
                let bits =
                    |o: &cases::Output| o.got.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(
                    bits(output),
                    bits(again),
                    "{precision:?} {} {}",
                    case.name,
                    output.name
                );
            }
        }
    }
}

#[test]
fn a_fit_with_recorded_steps_follows_the_cpu() {
    let Some(device) = card("a_fit_with_recorded_steps_follows_the_cpu") else {
        return;
    };
    for kind in [CoreKind::RotationEquivariant, CoreKind::Convolutional] {
        let found = beside_the_cpu(&device, kind);
        assert!(
            found.losses <= 1e-4 && found.rates <= 1e-3,
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
