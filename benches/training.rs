//! Training steps and predictions per second of the standard model (Ecker et al. 2019: filters 13, 5, 5; 16 features at
//! 8 orientations; 36 x 64 pixels), beside the same model in PyTorch, in turns, in one run.
//!
//!     benches/peers/setup.sh target/peer                    # once: the peer's Python environment
//!     cargo bench --bench training -- [--batch 32] [--neurons 500] [--rounds 3] [--peer target/peer] [--out FILE.json]
//!
//! Without the peer's environment it measures striate alone and says so.

use ndarray::{Array2, Array3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use striate::device::Device;
use striate::model::Config;
use striate::recording::{Recording, Tier, Trial};
use striate::training::{Options, Trainer};

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    batch: usize,
    neurons: usize,
    rounds: usize,
    peer: PathBuf,
    out: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    if !std::env::args().any(|a| a == "--bench") {
        return Ok(());
    }
    let arguments = parse()?;
    let python = arguments.peer.join("bin/python");
    let with_peer = python.exists();
    if !with_peer {
        println!(
            "no PyTorch peer at {}: striate alone (benches/peers/setup.sh makes one)",
            arguments.peer.display()
        );
    }
    let mut trainer = trainer(&arguments)?;
    let mut model = trainer.model().clone();
    let images = noise_images(4 * arguments.batch);
    trainer.step();
    let mut predictor = model.predictor(0, arguments.batch)?;
    predictor.rates(images.view())?;

    let mut results = serde_json::Map::new();
    for (mode, steps) in [("train", 8), ("predict", 4)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            let started = Instant::now();
            let seen = if mode == "train" {
                (0..steps).for_each(|_| trainer.step());
                steps * arguments.batch
            } else {
                for _ in 0..steps {
                    predictor.rates(images.view())?;
                }
                steps * images.dim().0
            };
            ours.push(seen as f64 / started.elapsed().as_secs_f64());
            if with_peer {
                theirs.push(peer(&python, mode, &arguments)?);
            }
        }
        let (a, b) = (median(&ours), median(&theirs));
        println!(
            "{mode}: striate {a:.1} images/s ({:.2} steps/s)",
            a / arguments.batch as f64
        );
        results.insert(format!("{mode}_striate_images_per_second"), a.into());
        if with_peer {
            println!(
                "{mode}: PyTorch {b:.1} images/s; striate is {:.2} times as fast",
                a / b
            );
            results.insert(format!("{mode}_pytorch_images_per_second"), b.into());
            results.insert(format!("{mode}_ratio"), (a / b).into());
        }
    }
    results.insert("batch".into(), arguments.batch.into());
    results.insert("neurons".into(), arguments.neurons.into());
    results.insert("device".into(), Device::Cpu.describe().into());
    if let Some(peak) = peak_memory() {
        println!("peak memory: {peak} MiB");
        results.insert("peak_memory_mib".into(), peak.into());
    }
    if let Some(out) = arguments.out {
        std::fs::write(out, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(())
}

fn parse() -> Result<Arguments, Failure> {
    let mut arguments = Arguments {
        batch: 32,
        neurons: 500,
        rounds: 3,
        peer: PathBuf::from("target/peer"),
        out: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--bench" => {}
            "--batch" => arguments.batch = value()?.parse()?,
            "--neurons" => arguments.neurons = value()?.parse()?,
            "--rounds" => arguments.rounds = value()?.parse()?,
            "--peer" => arguments.peer = value()?.into(),
            "--out" => arguments.out = Some(value()?.into()),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(arguments)
}

fn noise_images(n: usize) -> Array3<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array3::from_shape_simple_fn((n, 36, 64), || rng.random_range(-1.7..1.7))
}

fn trainer(a: &Arguments) -> Result<Trainer, Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let n = 2 * a.batch;
    let recording = Recording {
        name: "noise".into(),
        images: noise_images(n + 1),
        responses: Array2::from_shape_simple_fn((n + 1, a.neurons), || rng.random_range(0.0..2.0)),
        trials: (0..=n)
            .map(|image| Trial {
                image,
                tier: if image < n { Tier::Train } else { Tier::Test },
            })
            .collect(),
        neurons: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    let mut config = Config::default();
    config.training.batch_size = a.batch;
    let out = tempfile::tempdir()?.keep();
    let options = Options {
        out,
        ..Options::default()
    };
    Ok(Trainer::new(&Device::Cpu, &config, &[recording], &options)?)
}

/// Images per second of the peer's best variant, by its own clock.
fn peer(python: &std::path::Path, mode: &str, a: &Arguments) -> Result<f64, Failure> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/train.py");
    let output = Command::new(python)
        .args([
            script, "--json", "--mode", mode, "--device", "cpu", "--steps", "4",
        ])
        .args([
            "--batch",
            &a.batch.to_string(),
            "--neurons",
            &a.neurons.to_string(),
        ])
        .args(["--threads", &rayon::current_num_threads().to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    best(&report).ok_or_else(|| format!("no images_per_second in {report}").into())
}

/// The largest median that the peer reports.
fn best(report: &serde_json::Value) -> Option<f64> {
    match report {
        serde_json::Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| match value.as_f64() {
                Some(number) if name == "median_images_per_second" => Some(number),
                _ => best(value),
            })
            .reduce(f64::max),
        serde_json::Value::Array(items) => items.iter().filter_map(best).reduce(f64::max),
        _ => None,
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
