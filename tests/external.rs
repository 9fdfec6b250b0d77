//! Runs and steps computed in float64 by another program (`tests/fixtures/generate.py`, `generate_kindel.py`).

mod common;
use common::{relative, widen};
use ndarray::{Array2, Ix2, Ix3};
use std::path::{Path, PathBuf};
use striate::device::Device;
use striate::model::checkpoint::{MODEL, Tensors};
use striate::model::{Config, Model};
use striate::npy;
use striate::ops::activation::Output;
use striate::ops::{gaussian, loss, optimiser, penalty};
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
        "kindel",
        "kindel-valid",
        "linear",
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
        "step-kindel",
        "step-kindel-dropout",
        "step-linear",
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

#[test]
fn gaussian_readouts_predict_what_grid_sample_does() {
    for name in ["equivariant", "convolutional"] {
        let run = fixture("gaussian").join(name);
        let mut model = Model::open(&run, &Device::Cpu).unwrap();
        let (images, _) = npy::read(&run.join("images.npy")).unwrap();
        let (wanted, _) = npy::read(&run.join("predictions.npy")).unwrap();
        let images = images.into_dimensionality::<Ix3>().unwrap();
        let got = model.predict(0, images.view()).unwrap();
        let (got, wanted): (Vec<f32>, Vec<f32>) = (
            got.iter().copied().collect(),
            wanted.iter().copied().collect(),
        );
        let error = relative(&widen(&got), &widen(&wanted));
        assert!(error <= 1e-5, "{name}: {error:e}");
    }
}

#[test]
fn one_step_moves_sampled_places_as_automatic_differentiation_would() {
    const RATE: f32 = 0.05;
    const SPARSITY: f64 = 0.03;
    let cpu = Device::Cpu;
    for name in ["full", "isotropic"] {
        let file = fixture("gaussian").join(format!("step-{name}.safetensors"));
        let tensors = Tensors::read(&file).unwrap().tensors;
        let of = |name: &str| &tensors[name].1;
        let up = |name: &str| cpu.upload(of(name), &[of(name).len()]);
        let &[batch, channels, height, width] = &tensors["maps"].0[..] else {
            panic!("{:?}", tensors["maps"].0);
        };
        let neurons = tensors["h"].0[1];
        let shape = gaussian::Shape {
            batch,
            channels,
            height,
            width,
            neurons,
            isotropic: name == "isotropic",
        };
        let names = ["position", "spread", "features", "bias"];
        let mut values = names.map(|n| up(&format!("before.{n}")));
        let mut grown = names.map(|n| cpu.zeros(&[of(&format!("before.{n}")).len()]));
        let (maps, noise) = (up("maps"), up("noise"));
        let responses: Vec<f32> = of("responses")
            .iter()
            .map(|&r| if r < 0.0 { f32::NAN } else { r })
            .collect();
        let responses = cpu.upload(&responses, &[batch * neurons]);
        let zeros = |n: usize| cpu.zeros(&[n]);
        let (mut h, mut corners) = (zeros(batch * neurons), zeros(4 * batch * neurons));
        let (mut dh, mut losses) = (zeros(batch * neurons), zeros(batch));
        let mut dmaps = zeros(shape.maps());
        let weights = gaussian::Weights {
            position: values[0].view(),
            spread: values[1].view(),
            features: values[2].view(),
            bias: values[3].view(),
        };
        let noise = Some(noise.view());
        let to = (h.view_mut(), corners.view_mut());
        gaussian::forward(&cpu, &shape, maps.view().into(), weights, noise, to);
        let of_loss = loss::Shape {
            batch,
            neurons,
            output: Output::Softplus,
        };
        let (gradient, each) = (Some(dh.view_mut()), losses.view_mut());
        let (kind, at, r) = (loss::Loss::Poisson, h.view(), responses.view());
        loss::losses(&cpu, &of_loss, kind, at, r, gradient, each);
        let [position, spread, features, bias] = &mut grown;
        let gradients = gaussian::Gradients {
            position: position.view_mut(),
            spread: spread.view_mut(),
            features: features.view_mut(),
            bias: bias.view_mut(),
        };
        let (from, to) = (
            (corners.view(), dh.view()),
            (dmaps.view_mut().into(), gradients),
        );
        gaussian::backward(&cpu, &shape, maps.view().into(), weights, noise, from, to);
        penalty::absolutes(&cpu, SPARSITY, values[2].view(), grown[2].view_mut());
        let close = |what: &str, got: &[f32], wanted: &[f32], most: f64| {
            let error = relative(&widen(got), &widen(wanted));
            assert!(error <= most, "{name} {what}: {error:e}");
        };
        close("h", &h.download(), of("h"), 1e-5);
        close("loss", &[losses.download().iter().sum()], of("loss"), 1e-5);
        close("dmaps", &dmaps.download(), of("dmaps"), 1e-5);
        let (rates, step) = (cpu.upload(&[RATE], &[1]), cpu.zeros::<u32>(&[1]));
        for ((what, value), grown) in names.iter().zip(&mut values).zip(&grown) {
            let rate = (rates.view(), step.view());
            optimiser::sgd(&cpu, rate, value.view_mut(), grown.view());
            let start = of(&format!("before.{what}"));
            let moved =
                |v: &[f32]| -> Vec<f32> { v.iter().zip(start).map(|(a, b)| a - b).collect() };
            let wanted = moved(of(&format!("after.{what}")));
            close(what, &moved(&value.download()), &wanted, 1e-3);
        }
    }
}
