//! A few steps of a fit and the predictions after it, on a device beside the CPU.

use crate::common::relative;
use ndarray::{Array2, Array3};
use std::path::Path;
use striate::device::{Device, Precision};
use striate::model::Config;
use striate::model::config::{CoreKind, FeaturesPenalty, ReadoutKind};
use striate::recording::{Recording, Tier, Trial};
use striate::training::{Options, Trainer};

/// Largest relative differences from the CPU: of the losses, and of the rates after training.
#[derive(Debug)]
pub struct Difference {
    pub losses: f64,
    pub rates: f64,
}

impl Difference {
    /// Whether rounding to the precision, a few times over, explains it.
    pub fn is_rounding(&self, precision: Precision) -> bool {
        let most = match precision {
            Precision::F32 => 1e-4,
            Precision::Tf32 => 1e-3,
            Precision::Bf16 => 1e-2,
        };
        self.losses <= most && self.rates <= most
    }
}

/// What is fitted, and for how long.
pub struct Fit {
    config: Config,
    recordings: Vec<Recording>,
    steps: u64,
}

impl Fit {
    /// Ten steps of a small twin of two recordings of different size.
    pub fn small(kind: CoreKind) -> Self {
        let text = match kind {
            // Penalties large enough to show in ten steps.
            CoreKind::RotationEquivariant | CoreKind::Convolutional => {
                "orientations = 4\nfilter_sizes = [5, 3, 3]\nfeatures = [3, 2, 2]\n\
                 [penalties]\nsmoothness = 0.3\ngroup_sparsity = 0.2\nreadout_sparsity = 0.01"
            }
            // Smooth, so that rounding turns nothing on or off.
            CoreKind::Kindel => {
                "filter_sizes = [3]\nfeatures = [3]\ndense = 9\nactivation = \"softplus\""
            }
            CoreKind::Linear => "[penalties]\npixel_ridge = 0.05",
        };
        let kind = toml::Value::try_from(kind).unwrap();
        let text = format!("[core]\nkind = {kind}\n{text}\n[training]\nbatch_size = 5\n");
        let config = Config::parse(&text, "a small fit", &[]).unwrap();
        Self {
            config,
            recordings: vec![
                recording("left", 7, 41, (9, 11), 1),
                recording("right", 3, 26, (9, 11), 2),
            ],
            steps: 10,
        }
    }

    /// The same, but from the fifth step on neurons look through windows, of which small maps have room for one.
    pub fn through_windows(self) -> Self {
        self.windowed(8, 4)
    }

    /// The same, but after so many steps neurons look through windows of so many pixels.
    pub fn windowed(self, side: usize, after: u64) -> Self {
        let mut config = self.config;
        config.readout.window = side;
        config.readout.window_after = after;
        config.readout.window_mass = 0.0;
        Self { config, ..self }
    }

    /// The same with places in place of masks, sampled widely.
    pub fn at_places(self) -> Self {
        let mut config = self.config;
        config.readout.kind = ReadoutKind::Gaussian;
        config.readout.initial_range = 0.9;
        config.readout.initial_spread = 0.3;
        Self { config, ..self }
    }

    /// The same with another form of the readout's penalty, at a strength that shows.
    pub fn penalised(self, form: FeaturesPenalty) -> Self {
        let mut config = self.config;
        config.readout.features_penalty = form;
        config.penalties.readout_sparsity = 0.1;
        Self { config, ..self }
    }

    /// Two steps of the standard model (Ecker et al. 2019) at the sizes that it is used at.
    pub fn standard(batch: usize, neurons: usize) -> Self {
        let mut config = Config::default();
        config.training.batch_size = batch;
        Self {
            config,
            recordings: vec![recording("noise", neurons, batch + 8, (36, 64), 1)],
            steps: 2,
        }
    }

    /// How far apart the device, at its precision, and the CPU are.
    pub fn beside_the_cpu(&self, device: &Device) -> Difference {
        let (wanted_losses, wanted_rates) = self.run(&Device::Cpu);
        let (losses, rates) = self.run(device);
        Difference {
            losses: relative(&losses, &wanted_losses),
            rates: relative(&rates, &wanted_rates),
        }
    }

    /// Whether the device gives the same bits twice.
    pub fn repeats(&self, device: &Device) -> bool {
        let [first, second] = [(); 2].map(|()| self.run(device));
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        bits(&first.0) == bits(&second.0) && bits(&first.1) == bits(&second.1)
    }

    /// Takes all steps but the last, does what is `asked` before that one, and takes it.
    pub fn last_step(&self, device: &Device, asked: impl FnOnce()) {
        let out = tempfile::tempdir().unwrap();
        let mut trainer = self.trainer(device, out.path());
        trainer.steps(self.steps - 1);
        asked();
        trainer.steps(1);
        device.check().unwrap();
    }

    fn trainer(&self, device: &Device, out: &Path) -> Trainer {
        let options = Options {
            out: out.into(),
            ..Options::default()
        };
        let mut config = self.config.clone();
        config.training.precision = device.precision().into();
        Trainer::new(device, &config, &self.recordings, &options).unwrap()
    }

    /// Losses of the steps, and rates after them.
    fn run(&self, device: &Device) -> (Vec<f64>, Vec<f64>) {
        let out = tempfile::tempdir().unwrap();
        let mut trainer = self.trainer(device, out.path());
        let losses = trainer.steps(self.steps);
        let losses = losses.iter().map(|&l| f64::from(l)).collect();
        let mut model = trainer.into_best();
        let mut rates = Vec::new();
        for (i, recording) in self.recordings.iter().enumerate() {
            let predicted = model.predict(i, recording.images.view()).unwrap();
            rates.extend(predicted.iter().map(|&r| f64::from(r)));
        }
        device.check().unwrap();
        (losses, rates)
    }
}

/// Noise, some responses missing; four images are for testing.
fn recording(
    name: &str,
    neurons: usize,
    count: usize,
    (height, width): (usize, usize),
    seed: u64,
) -> Recording {
    let pixels = crate::common::noise(count * height * width, seed);
    let images = pixels.iter().map(|&p| p as f32).collect();
    let drawn = crate::common::noise(count * neurons, seed + 10);
    let responses = drawn.iter().enumerate().map(|(i, &r)| match i % 11 {
        5 => f32::NAN,
        _ => 1.0 + r as f32,
    });
    let tier = |image| match image < count - 4 {
        true => Tier::Train,
        false => Tier::Test,
    };
    Recording {
        name: name.into(),
        images: Array3::from_shape_vec((count, height, width), images).unwrap(),
        responses: Array2::from_shape_vec((count, neurons), responses.collect()).unwrap(),
        trials: (0..count)
            .map(|image| Trial {
                image,
                tier: tier(image),
            })
            .collect(),
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    }
}
