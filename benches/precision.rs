//! What TF32 and bf16 cost in test correlation, on a simulated population with noise: one twin's weights predicting at each
//! precision, and twins trained at each from one seed, beside float32 twins of other seeds.
//!
//!     cargo bench --bench precision -- [--device cuda] [--neurons 100] [--train 4000] [--size 28,36] [--steps 700]
//!         [--twin-steps 700] [--seeds 5] [--set core.features=[8,8,8]] [--out FILE.json]
//!
//! The twin is examples/demo.toml's. Without a card the kernels are emulated, thread by thread: the same roundings, but so
//! slow that images, population and twin are smaller by default; the CPU then trains the float32 twins.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use striate::device::{Device, Precision};
use striate::model::{Config, Model, Population};
use striate::recording::Recording;
use striate::scoring::score;
use striate::simulation::{Settings, simulate};
use striate::statistics::{mean_of_known, pearson, variance};
use striate::training::{Options, Trainer};

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    device: Device,
    /// Where float32 twins are trained.
    trains: Device,
    settings: Settings,
    steps: u64,
    twin_steps: u64,
    seeds: u64,
    overrides: Vec<String>,
    out: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    if !std::env::args().any(|a| a == "--bench") {
        return Ok(());
    }
    let a = parse()?;
    println!("device: {}", a.device.describe());
    let (recording, _) = simulate(&a.settings, None)?;
    let mut report = json!({"device": a.device.describe()});

    let trained = fit(&a, &recording, &a.trains, Precision::F32, 1, a.steps)?;
    println!("one twin, trained for {} steps in f32:", a.steps);
    let full = scored(&mut on(&trained, &a.device, Precision::F32)?, &recording)?;
    for precision in Precision::ALL {
        let found = scored(&mut on(&trained, &a.device, precision)?, &recording)?;
        report["same_weights"][name(precision)] = told(precision, &found, &full);
    }

    println!(
        "twins trained for {} steps at each precision:",
        a.twin_steps
    );
    let mut first = None;
    for precision in Precision::ALL {
        let started = Instant::now();
        let device = match precision {
            Precision::F32 => &a.trains,
            _ => &a.device,
        };
        let mut twin = fit(&a, &recording, device, precision, 1, a.twin_steps)?;
        let found = scored(&mut twin, &recording)?;
        let full = first.get_or_insert_with(|| found.clone());
        report["trained_at"][name(precision)] = told(precision, &found, full);
        println!("    ({:.0} s)", started.elapsed().as_secs_f64());
    }

    let mut seeds = Vec::new();
    for seed in 1..=a.seeds {
        let mut twin = fit(
            &a,
            &recording,
            &a.trains,
            Precision::F32,
            seed,
            a.twin_steps,
        )?;
        seeds.push(mean_of_known(&scored(&mut twin, &recording)?.correlations));
    }
    let spread = variance(&seeds, 1).sqrt();
    println!(
        "twins of {} seeds in f32: SD {spread:.4} of {seeds:.4?}",
        a.seeds
    );
    report["seeds"] = json!({"mean_correlations": seeds, "sd": spread});
    if let Some(out) = &a.out {
        std::fs::write(out, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

fn name(precision: Precision) -> String {
    format!("{precision:?}").to_lowercase()
}

#[derive(Clone)]
struct Found {
    /// With the average of each neuron's test responses.
    correlations: Vec<f64>,
    rates: Vec<f64>,
}

fn scored(model: &mut Model, recording: &Recording) -> Result<Found, Failure> {
    let scored = score(model, 0, recording)?;
    let correlations = scored.table.numbers("correlation_to_average");
    Ok(Found {
        correlations: correlations.ok_or("no correlations")?.to_vec(),
        rates: scored.predictions.iter().map(|&r| r.into()).collect(),
    })
}

/// Prints and returns what was found, and how far it is from what float32 gives.
fn told(precision: Precision, found: &Found, full: &Found) -> Value {
    let pairs = || found.correlations.iter().zip(&full.correlations);
    let differences: Vec<f64> = pairs().map(|(a, b)| a - b).collect();
    let most = differences.iter().fold(0.0f64, |m, d| m.max(d.abs()));
    let (mean, change) = (
        mean_of_known(&found.correlations),
        mean_of_known(&differences),
    );
    let same = pearson(&found.rates, &full.rates);
    println!(
        "    {:4}: mean test correlation {mean:.5}, {change:+.5} from f32, at most {most:.5} for a neuron; rates correlate {same:.7} with f32's",
        name(precision)
    );
    json!({
        "mean_correlation": mean,
        "mean_change": change,
        "largest_change": most,
        "correlation_of_rates": same,
    })
}

fn fit(
    a: &Arguments,
    recording: &Recording,
    device: &Device,
    precision: Precision,
    seed: u64,
    steps: u64,
) -> Result<Model, Failure> {
    const TWIN: &str = include_str!("../examples/demo.toml");
    let mut config = Config::parse(TWIN, "examples/demo.toml", &a.overrides)?;
    config.training.seed = seed;
    config.training.precision = precision.into();
    let out = tempfile::tempdir()?;
    let options = Options {
        out: out.path().into(),
        ..Options::default()
    };
    let mut trainer = Trainer::new(device, &config, std::slice::from_ref(recording), &options)?;
    trainer.steps(steps);
    trainer.model().device.check()?;
    Ok(trainer.model().clone())
}

/// The same weights on another device, at another precision.
fn on(model: &Model, device: &Device, precision: Precision) -> Result<Model, Failure> {
    let mut config = model.config.clone();
    config.training.precision = precision.into();
    let readout = &model.readouts[0];
    let population = Population {
        name: readout.name.clone(),
        height: readout.image.0,
        width: readout.image.1,
        response_scale: readout.response_scale.clone(),
    };
    let mut copy = Model::zeros(device, &config, model.preprocessing, &[population])?;
    let parts = [
        (&mut copy.params, &model.params),
        (&mut copy.statistics, &model.statistics),
    ];
    for (to, from) in parts {
        to.values.fill_from(&from.values.download());
    }
    Ok(copy)
}

fn parse() -> Result<Arguments, Failure> {
    let mut words = std::env::args().skip(1);
    let mut device = "emulated".to_string();
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => {}
            _ => {
                let value = words.next().ok_or(format!("{word} wants a value"))?;
                match word.as_str() {
                    "--device" => device = value,
                    _ => given.push((word, value)),
                }
            }
        }
    }
    let device = Device::open(&device)?;
    let mut a = match device {
        Device::Cuda(_) => large(device),
        _ => small(device),
    };
    for (word, value) in given {
        match word.as_str() {
            "--neurons" => a.settings.neurons = value.parse()?,
            "--train" => a.settings.train = value.parse()?,
            "--size" => {
                let (height, width) = value.split_once(',').ok_or("--size wants HEIGHT,WIDTH")?;
                (a.settings.height, a.settings.width) = (height.parse()?, width.parse()?);
            }
            "--steps" => a.steps = value.parse()?,
            "--twin-steps" => a.twin_steps = value.parse()?,
            "--seeds" => a.seeds = value.parse()?,
            "--set" => a.overrides.push(value),
            "--out" => a.out = Some(value.into()),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(a)
}

/// The demo's.
fn large(device: Device) -> Arguments {
    Arguments {
        trains: device.clone(),
        device,
        settings: Settings {
            neurons: 100,
            train: 4000,
            test: 150,
            height: 28,
            width: 36,
            ..Settings::default()
        },
        steps: 700,
        twin_steps: 700,
        seeds: 5,
        overrides: Vec::new(),
        out: None,
    }
}

/// What an emulator can train.
fn small(device: Device) -> Arguments {
    Arguments {
        trains: Device::Cpu,
        device,
        settings: Settings {
            neurons: 24,
            train: 1200,
            validation: 10,
            test: 60,
            height: 13,
            width: 15,
            reliability: 0.7,
            size: [6.0, 9.0],
            largest_surround: 12.0,
            ..Settings::default()
        },
        steps: 1500,
        twin_steps: 300,
        seeds: 5,
        overrides: [
            "core.orientations=4",
            "core.filter_sizes=[7,5]",
            "core.features=[4,4]",
            "training.batch_size=8",
            "training.learning_rate=0.01",
        ]
        .map(String::from)
        .into(),
        out: None,
    }
}
