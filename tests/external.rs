//! Runs and steps computed in float64 by another program (`tests/fixtures/generate.py`).

mod common;
use common::{relative, widen};
use ndarray::{Array2, Ix2, Ix3};
use std::path::{Path, PathBuf};
use striate::device::Device;
use striate::model::checkpoint::{MODEL, Tensors};
use striate::model::{Config, Model};
use striate::npy;
use striate::training::{Interrupts, Options, Progress, Trainer, open_recordings};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

#[test]
fn predictions_of_a_hand_written_run_are_those_of_float64() {
    for name in [
        "same",
        "valid",
        "exponential",
        "odd",
        "convolutional",
        "one-layer",
        "published-sizes",
    ] {
        let run = fixture(name);
        let mut model = Model::open(&run, &Device::Cpu).unwrap();
        let (images, _) = npy::read(&run.join("images.npy")).unwrap();
        let (wanted, _) = npy::read(&run.join("predictions.npy")).unwrap();
        let images = images.into_dimensionality::<Ix3>().unwrap();
        let wanted: Array2<f32> = wanted.into_dimensionality::<Ix2>().unwrap();
        let got = model.predict(0, images.view()).unwrap();
        assert_eq!(got.dim(), wanted.dim());
        let flat = |a: &Array2<f32>| a.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let error = relative(&flat(&got), &flat(&wanted));
        println!("{name}: {error:.2e}");
        assert!(error <= 2e-5, "{name}: {error:e}");
    }
}

#[test]
fn one_sgd_step_moves_every_tensor_as_automatic_differentiation_would() {
    for name in [
        "step-same",
        "step-valid",
        "step-convolutional",
        "step-two-recordings",
    ] {
        let case = fixture(name);
        let config = Config::open(&case.join("config.toml"), &[]).unwrap();
        let recordings = open_recordings(&config).unwrap();
        let out = tempfile::tempdir().unwrap();
        let options = Options {
            out: out.path().to_path_buf(),
            init: Some(case.join("init.safetensors")),
            ..Options::default()
        };
        let mut trainer = Trainer::new(&Device::Cpu, &config, &recordings, &options).unwrap();
        trainer
            .run(&Interrupts::none(), &mut Progress::hidden())
            .unwrap();
        let got = Tensors::read(&out.path().join(MODEL)).unwrap();
        let before = Tensors::read(&case.join("init.safetensors")).unwrap();
        let after = Tensors::read(&case.join("after.safetensors")).unwrap();
        for (tensor, (shape, wanted)) in &after.tensors {
            let (got_shape, got) = &got.tensors[tensor];
            assert_eq!(got_shape, shape, "{name} {tensor}");
            // Where the step is known, its error is measured against the step, not against the value.
            let (got, wanted) = match before.tensors.get(tensor) {
                Some((_, start)) => {
                    let moved = |v: &[f32]| -> Vec<f64> {
                        v.iter()
                            .zip(start)
                            .map(|(a, b)| f64::from(*a) - f64::from(*b))
                            .collect()
                    };
                    (moved(got), moved(wanted))
                }
                None => (widen(got), widen(wanted)),
            };
            let error = relative(&got, &wanted);
            assert!(error <= 1e-3, "{name} {tensor}: {error:e}");
        }
    }
}
