//! Ten steps of a small fit and the predictions after it, on a device beside the CPU.

use crate::common::relative;
use ndarray::{Array2, Array3};
use striate::device::{Device, Precision};
use striate::model::Config;
use striate::model::config::CoreKind;
use striate::recording::{Recording, Tier, Trial};
use striate::training::{Options, Trainer};

/// Largest relative differences from the CPU: of the losses, and of the rates after training.
#[derive(Debug)]
pub struct Difference {
    pub losses: f64,
    pub rates: f64,
}

impl Difference {
    /// Whether rounding to the precision, ten times over, explains it.
    pub fn is_rounding(&self, precision: Precision) -> bool {
        let most = match precision {
            Precision::F32 => 1e-4,
            Precision::Tf32 => 1e-3,
            Precision::Bf16 => 1e-2,
        };
        self.losses <= most && self.rates <= most
    }
}

const STEPS: u64 = 10;
const HEIGHT: usize = 9;
const WIDTH: usize = 11;

/// Two recordings of different size, some responses missing.
fn recordings() -> Vec<Recording> {
    [("left", 7, 41, 1), ("right", 3, 26, 2)]
        .map(|(name, neurons, count, seed)| {
            let pixels = crate::common::noise(count * HEIGHT * WIDTH, seed);
            let images = Array3::from_shape_vec(
                (count, HEIGHT, WIDTH),
                pixels.iter().map(|&p| p as f32).collect(),
            )
            .unwrap();
            let drawn = crate::common::noise(count * neurons, seed + 10);
            let responses = drawn.iter().enumerate().map(|(i, &r)| {
                if i % 11 == 5 {
                    f32::NAN
                } else {
                    1.0 + r as f32
                }
            });
            Recording {
                name: name.into(),
                images,
                responses: Array2::from_shape_vec((count, neurons), responses.collect()).unwrap(),
                trials: (0..count)
                    .map(|image| Trial {
                        image,
                        tier: if image < count - 4 {
                            Tier::Train
                        } else {
                            Tier::Test
                        },
                    })
                    .collect(),
                neurons: None,
                degrees_per_pixel: None,
                response_unit: None,
                source: None,
            }
        })
        .into()
}

fn config(kind: CoreKind) -> Config {
    let mut config = Config::default();
    config.core.kind = kind;
    config.core.orientations = 4;
    config.core.filter_sizes = vec![5, 3, 3];
    config.core.features = vec![3, 2, 2];
    config.training.batch_size = 5;
    // Large enough to show in ten steps.
    config.penalties.smoothness = 0.3;
    config.penalties.group_sparsity = 0.2;
    config.penalties.readout_sparsity = 0.01;
    config
}

fn run(device: &Device, config: &Config, recordings: &[Recording]) -> (Vec<f64>, Vec<f64>) {
    let out = tempfile::tempdir().unwrap();
    let options = Options {
        out: out.path().into(),
        ..Options::default()
    };
    let mut trainer = Trainer::new(device, config, recordings, &options).unwrap();
    let losses = trainer.steps(STEPS).iter().map(|&l| f64::from(l)).collect();
    let mut model = trainer.into_best();
    let mut rates = Vec::new();
    for (i, recording) in recordings.iter().enumerate() {
        rates.extend(
            model
                .predict(i, recording.images.view())
                .unwrap()
                .iter()
                .map(|&r| f64::from(r)),
        );
    }
    device.check().unwrap();
    (losses, rates)
}

/// A rotation-equivariant or a plain twin, at the device's precision.
pub fn beside_the_cpu(device: &Device, kind: CoreKind) -> Difference {
    let (mut config, recordings) = (config(kind), recordings());
    let (wanted_losses, wanted_rates) = run(&Device::Cpu, &config, &recordings);
    config.training.precision = device.precision();
    let (losses, rates) = run(device, &config, &recordings);
    Difference {
        losses: relative(&losses, &wanted_losses),
        rates: relative(&rates, &wanted_rates),
    }
}
