//! The way to a card, without one: the driver of `src/device/emulator/driver.cpp` in place of NVIDIA's, found as that would
//! be. Memory, arguments, precision, recorded steps, and what happens when memory runs out.

mod cases;
mod common;
#[path = "common/process.rs"]
mod process;
#[path = "common/small.rs"]
mod small;
#[path = "common/twin.rs"]
mod twin;

use cases::training::Fit;
use small::{Done, striate};
use std::path::Path;
use striate::device::{Array, Device, Precision};
use striate::model::Model;
use striate::model::config::CoreKind;
use striate::stimuli::{self, Canvas};

/// The device, in a process that has the driver; elsewhere starts that process and gives none.
#[track_caller]
fn card(test: &str) -> Option<Device> {
    cards(test, 1)
}

/// The same in so many processes, that share out the work by [`process::part`].
#[track_caller]
fn cards(test: &str, processes: usize) -> Option<Device> {
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
    process::parts(test, processes, &variables);
    None
}

#[test]
fn hopper_runs_kernels_of_its_own_and_other_cards_do_without() {
    const MAJOR: &str = "STRIATE_DRIVER_MAJOR";
    const FAILS: &str = "STRIATE_DRIVER_FAILS";
    const OWN: &str = "readout_warpgroup_forward";
    if let Err(why) = striate::device::cuda::architectures() {
        println!("skipped: {why}");
        return;
    }
    if process::part().is_none() {
        for (major, fails) in [("9", ""), ("9", OWN), ("12", OWN)] {
            let variables = [
                ("LD_LIBRARY_PATH", striate::device::emulator::DRIVER),
                (FAILS, fails),
                (MAJOR, major),
            ];
            let test = "hopper_runs_kernels_of_its_own_and_other_cards_do_without";
            process::parts(test, 1, &variables);
        }
        return;
    }
    let is = |name: &str, value: &str| std::env::var(name).unwrap() == value;
    let device = Device::open("cuda").unwrap();
    for precision in Precision::ALL {
        let device = device.with_precision(precision);
        let all = cases::all();
        let case = all.iter().find(|c| c.name.starts_with("readout Shape"));
        let outputs = case.unwrap().run(&device);
        if is(MAJOR, "9") && is(FAILS, OWN) && precision != Precision::F32 {
            assert!(device.check().is_err());
            return;
        }
        device.check().unwrap();
        for output in outputs {
            let (error, most) = output.error(precision);
            assert!(error <= most, "{precision:?} {}: {error:e}", output.name);
        }
    }
}

#[test]
fn every_case_passes_through_the_driver_and_repeats_its_bits() {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let test = "every_case_passes_through_the_driver_and_repeats_its_bits";
    let Some(device) = cards(test, cores) else {
        return;
    };
    let (part, of) = process::part().unwrap_or((0, 1));
    for case in cases::all().iter().skip(part).step_by(of) {
        for precision in Precision::ALL {
            let device = device.with_precision(precision);
            let first = case.run(&device);
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
                let second = case.run(&device);
                for (output, again) in first.iter().zip(&second) {
                    assert_eq!(output.bits(), again.bits(), "{} {}", case.name, output.name);
                }
            }
        }
    }
}

#[test]
fn a_fit_with_recorded_steps_follows_the_cpu() {
    let Some(device) = card("a_fit_with_recorded_steps_follows_the_cpu") else {
        return;
    };
    for precision in Precision::ALL {
        for kind in [
            CoreKind::Convolutional,
            CoreKind::RotationEquivariant,
            CoreKind::Kindel,
        ] {
            let found = Fit::small(kind).beside_the_cpu(&device.with_precision(precision));
            assert!(
                found.is_rounding(precision),
                "{precision:?} {kind:?}: {found:?}"
            );
        }
    }
}

#[test]
fn a_fit_that_puts_windows_between_recorded_steps_follows_the_cpu() {
    let Some(device) = card("a_fit_that_puts_windows_between_recorded_steps_follows_the_cpu")
    else {
        return;
    };
    for precision in Precision::ALL {
        let fit = Fit::small(CoreKind::RotationEquivariant).through_windows();
        let found = fit.beside_the_cpu(&device.with_precision(precision));
        assert!(found.is_rounding(precision), "{precision:?}: {found:?}");
    }
}

#[test]
fn a_card_multiplies_in_tf32_unless_told_otherwise() {
    let Some(card) = card("a_card_multiplies_in_tf32_unless_told_otherwise") else {
        return;
    };
    let asked = striate::model::Config::default().training.precision;
    assert_eq!(asked.on(&card), Precision::Tf32);
    assert_eq!(asked.on(&Device::Cpu), Precision::F32);
    for precision in Precision::ALL {
        let named = striate::model::config::Precision::from(precision);
        assert_eq!(named.on(&card), precision);
    }
}

#[test]
fn predictions_in_many_batches_are_those_of_one_image_at_a_time() {
    let Some(card) = card("predictions_in_many_batches_are_those_of_one_image_at_a_time") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let filters = twin::gabors(&[(0.3, 0.0), (1.2, 1.0)]);
    let cell = |n: usize| twin::Cell {
        filter: n % 2,
        row: 8 + n,
        column: 10 + 2 * n,
        gain: 1.0,
    };
    let cells: Vec<_> = (0..3).map(cell).collect();
    twin::write(folder.path(), "softplus", &filters, &cells, 0.5);
    let mut model = Model::open(folder.path(), &card).unwrap();
    let (count, (height, width)) = (17, twin::IMAGE);
    let pixels = common::narrow(&common::noise(count * height * width, 1));
    let images = ndarray::Array3::from_shape_vec((count, height, width), pixels).unwrap();
    let mut in_batches_of = |batch: usize| {
        let mut predictor = model.predictor(0, batch).unwrap();
        predictor.rates(images.view()).unwrap()
    };
    let one_by_one = in_batches_of(1);
    // Two batches, many, and a last one that is not full.
    for batch in [9, 4, 2, 17] {
        assert_eq!(in_batches_of(batch), one_by_one);
    }
    drop(model);
    card.check().unwrap();
}

#[test]
fn a_card_that_nobody_uses_any_more_gets_its_memory_back() {
    let Some(device) = card("a_card_that_nobody_uses_any_more_gets_its_memory_back") else {
        return;
    };
    let all = |device: &Device| device.require("everything", 1 << 30);
    all(&device).unwrap();
    let case = cases::all()
        .into_iter()
        .find(|c| c.name.starts_with("readout Shape"));
    case.unwrap().run(&device.with_precision(Precision::Bf16));
    device.check().unwrap();
    // What ops borrow stays with the device.
    all(&device).unwrap_err();
    drop(device);
    all(&Device::open("cuda").unwrap()).unwrap();
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
fn any_thread_may_use_the_card() {
    let Some(device) = card("any_thread_may_use_the_card") else {
        return;
    };
    let canvas = Canvas {
        count: 1,
        height: 9,
        width: 9,
    };
    let gabor = device.upload(&[4.0f32, 4.0, 5.0, 0.2, 1.0, 0.3, 0.1], &[7]);
    let draw = |images: &mut Array| {
        stimuli::gabor::draw(&device, &canvas, 1, gabor.view(), images.view_mut());
    };
    let [mut here, mut there, mut first] = [(); 3].map(|()| device.zeros::<f32>(&[81]));
    // The first thing that a thread asks for: a kernel that is known, or one that is not.
    let disc = || {
        stimuli::grating::draw(&device, &canvas, 1, gabor.view(), first.view_mut());
    };
    draw(&mut here);
    std::thread::scope(|s| s.spawn(|| draw(&mut there)).join().unwrap());
    std::thread::scope(|s| s.spawn(disc).join().unwrap());
    assert_eq!(here.download(), there.download());
    assert!(first.download().iter().any(|v| *v != 0.0));
    device.check().unwrap();
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

/// The binary on the card, or none where the build has no kernels.
fn on_card(folder: &Path, line: &str, memory: &str) -> Option<Done> {
    if let Err(why) = striate::device::cuda::architectures() {
        println!("skipped: {why}");
        return None;
    }
    let mut command = small::command(folder, &format!("{line} --device cuda"));
    command
        .env("LD_LIBRARY_PATH", striate::device::emulator::DRIVER)
        .env("STRIATE_DRIVER_MEMORY", memory);
    Some(command.output().unwrap().into())
}

const ENOUGH: &str = "1073741824";
const STEPS: &str = "learning_rate = 0.01\nvalidate_every = 2\nmax_steps = 4\nprecision = \"f32\"";

/// Every number in a table of text, missing ones as 0.
fn numbers(text: &str) -> Vec<f64> {
    let cells = text.lines().skip(1).flat_map(|l| l.split(','));
    cells.map(|c| c.parse().unwrap_or(0.0)).collect()
}

#[test]
fn train_predict_and_evaluate_answer_on_a_card_as_on_the_cpu() {
    let f = small::folder(STEPS);
    let Some(done) = on_card(f.path(), "train c.toml --out card", ENOUGH) else {
        return;
    };
    done.ok();
    striate(f.path(), "train c.toml --out cpu --device cpu").ok();
    common::assert_close(
        "history",
        &numbers(&small::history(&f.path().join("card"))),
        &numbers(&small::history(&f.path().join("cpu"))),
        1e-4,
    );
    // One model on both devices.
    let images = "--images rec/images.npy";
    for (device, out) in [("cuda", "a.npy"), ("cpu", "b.npy")] {
        let line = format!("predict cpu {images} --out {out}");
        match device {
            "cuda" => on_card(f.path(), &line, ENOUGH).unwrap().ok(),
            _ => striate(f.path(), &format!("{line} --device cpu")).ok(),
        };
    }
    let read = |name: &str| {
        let bytes = std::fs::read(f.path().join(name)).unwrap();
        let values = &bytes[bytes.len() - 4 * 58 * 5..];
        let floats = values
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        floats.map(f64::from).collect::<Vec<_>>()
    };
    common::assert_close("predictions", &read("a.npy"), &read("b.npy"), 1e-4);
    let scores = || numbers(&std::fs::read_to_string(f.path().join("cpu/evaluation.csv")).unwrap());
    on_card(f.path(), "evaluate cpu", ENOUGH).unwrap().ok();
    let card = scores();
    striate(f.path(), "evaluate cpu --device cpu").ok();
    common::assert_close("scores", &card, &scores(), 1e-4);
}

#[test]
fn kernels_that_the_driver_compiles_give_the_same() {
    let f = small::folder(STEPS);
    let Some(done) = on_card(f.path(), "train c.toml --out run", ENOUGH) else {
        return;
    };
    done.ok();
    let line = "train c.toml --out text --device cuda";
    let done: Done = small::command(f.path(), line)
        .env("LD_LIBRARY_PATH", striate::device::emulator::DRIVER)
        .env("STRIATE_CUDA_PTX", "1")
        .output()
        .unwrap()
        .into();
    done.ok();
    small::assert_same_run(&f.path().join("run"), &f.path().join("text"));
}

#[test]
fn a_run_on_a_card_resumes_bit_for_bit() {
    let f = small::folder(STEPS);
    let Some(done) = on_card(f.path(), "train c.toml --out straight", ENOUGH) else {
        return;
    };
    done.ok();
    let first = "train c.toml --set training.max_steps=2 --out parts";
    on_card(f.path(), first, ENOUGH).unwrap().ok();
    let rest = "train c.toml --out parts --resume";
    on_card(f.path(), rest, ENOUGH).unwrap().ok();
    small::assert_same_run(&f.path().join("straight"), &f.path().join("parts"));
}

#[test]
fn a_model_too_large_for_the_card_is_refused_with_the_bytes() {
    let f = small::folder(STEPS);
    let Some(done) = on_card(f.path(), "train c.toml --out run", "100000") else {
        return;
    };
    assert_eq!(done.code, 2, "{}", done.err);
    for part in ["bytes", "what the card has free"] {
        assert!(done.err.contains(part), "{}", done.err);
    }
    assert!(!f.path().join("run").exists());
    // Enough for what is known beforehand, too little for everything.
    let done = on_card(f.path(), "train c.toml --out run", "900000").unwrap();
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("bytes of memory wanted"), "{}", done.err);
}

#[test]
fn a_kernel_that_fails_is_named_where_each_is_waited_for() {
    let f = small::folder(STEPS);
    if let Err(why) = striate::device::cuda::architectures() {
        println!("skipped: {why}");
        return;
    }
    let run = |wait: bool, fails: &str, out: &str| -> Done {
        let line = format!("train c.toml --out {out} --device cuda");
        let mut command = small::command(f.path(), &line);
        command
            .env("LD_LIBRARY_PATH", striate::device::emulator::DRIVER)
            .env("STRIATE_DRIVER_FAILS", fails);
        if wait {
            command.env("STRIATE_CUDA_WAIT", "1");
        }
        command.output().unwrap().into()
    };
    let late = run(false, "norm_forward", "late");
    assert_ne!(late.code, 0);
    assert!(late.err.contains("STRIATE_CUDA_WAIT=1"), "{}", late.err);
    let named = run(true, "norm_forward", "named");
    assert_ne!(named.code, 0);
    assert!(named.err.contains("norm_forward: "), "{}", named.err);
    assert!(!named.err.contains("STRIATE_CUDA_WAIT"), "{}", named.err);
    // Waiting changes nothing else.
    run(false, "", "straight").ok();
    run(true, "", "waited").ok();
    small::assert_same_run(&f.path().join("straight"), &f.path().join("waited"));
}

#[test]
fn a_kernel_that_asked_for_no_memory_is_not_launched() {
    let f = small::folder(STEPS);
    if let Err(why) = striate::device::cuda::architectures() {
        println!("skipped: {why}");
        return;
    }
    // The most dynamic shared memory, and the share of a multiprocessor that several blocks need.
    for (attribute, kernel) in [("8", "readout_warpgroup"), ("9", "conv_")] {
        let line =
            "train c.toml --out run --overwrite --device cuda --set training.precision=\"bf16\"";
        let mut command = small::command(f.path(), line);
        command
            .env("LD_LIBRARY_PATH", striate::device::emulator::DRIVER)
            .env("STRIATE_DRIVER_DEAF", attribute);
        let done: Done = command.output().unwrap().into();
        assert_ne!(done.code, 0, "{attribute}");
        assert!(done.err.contains(kernel), "{attribute}: {}", done.err);
    }
}
