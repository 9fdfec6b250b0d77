//! Training steps and predictions per second of the standard model (Ecker et al. 2019: filters 13, 5, 5; 16 features at
//! 8 orientations; 36 x 64 pixels), beside the same model in PyTorch, in turns, in one run.
//!
//!     benches/peers/setup.sh target/peer                    # once: the peer's Python environment
//!     cargo bench --bench training -- [--batch 32] [--neurons 500,6005] [--rounds 3] [--python target/peer/bin/python]
//!         [--device cpu] [--precision f32,tf32,bf16] [--out FILE.json]
//!
//! The peer is the fastest of its variants, on a card also compiled. Without Python and PyTorch it measures striate alone
//! and says so.

use ndarray::{Array2, Array3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use striate::device::{Device, Precision};
use striate::model::Config;
use striate::recording::{Recording, Tier, Trial};
use striate::training::{Options, Trainer};

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    device: Device,
    on_card: bool,
    precisions: Vec<Precision>,
    batch: usize,
    neurons: Vec<usize>,
    rounds: usize,
    python: PathBuf,
    out: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    if !std::env::args().any(|a| a == "--bench") {
        return Ok(());
    }
    let arguments = parse()?;
    println!("device: {}", arguments.device.describe());
    let with_peer = has_torch(&arguments.python);
    if !with_peer {
        println!(
            "no PyTorch in {}: striate alone (benches/peers/setup.sh makes an environment)",
            arguments.python.display()
        );
    }
    let mut results = Vec::new();
    for &precision in &arguments.precisions {
        for &neurons in &arguments.neurons {
            results.extend(compare(&arguments, precision, neurons, with_peer)?);
            if let Some(out) = &arguments.out {
                let report = json!({
                    "device": arguments.device.describe(),
                    "peak_host_memory_mib": peak_memory(),
                    "results": &results,
                });
                std::fs::write(out, serde_json::to_string_pretty(&report)? + "\n")?;
            }
        }
    }
    if let Some(peak) = peak_memory() {
        println!("peak memory of the host: {peak} MiB");
    }
    Ok(())
}

fn compare(
    a: &Arguments,
    precision: Precision,
    neurons: usize,
    with_peer: bool,
) -> Result<Vec<Value>, Failure> {
    let mut trainer = trainer(a, precision, neurons)?;
    let mut model = trainer.model().clone();
    let images = noise_images(4 * a.batch);
    // The first steps load kernels and record the step.
    trainer.steps(3);
    let mut predictor = model.predictor(0, a.batch)?;
    predictor.rates(images.view())?;
    let mut results = Vec::new();
    for (mode, steps) in [("train", if a.on_card { 20 } else { 8 }), ("predict", 4)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..a.rounds {
            let started = Instant::now();
            let seen = if mode == "train" {
                trainer.steps(steps);
                steps as usize * a.batch
            } else {
                for _ in 0..steps {
                    predictor.rates(images.view())?;
                }
                steps as usize * images.dim().0
            };
            ours.push(seen as f64 / started.elapsed().as_secs_f64());
            if with_peer {
                theirs.push(peer(a, precision, neurons, mode)?);
            }
        }
        let ours = median(&ours);
        println!(
            "{mode}, {precision:?}, {neurons} neurons, batch {}: striate {ours:.1} images/s ({:.2} steps/s)",
            a.batch,
            ours / a.batch as f64
        );
        let mut result = json!({
            "mode": mode,
            "precision": precision,
            "neurons": neurons,
            "batch": a.batch,
            "striate_images_per_second": ours,
        });
        if with_peer {
            let rates: Vec<f64> = theirs.iter().map(|p| p.rate).collect();
            let theirs_median = median(&rates);
            println!(
                "    PyTorch {theirs_median:.1} images/s ({}); striate is {:.2} times as fast",
                theirs[0].variant,
                ours / theirs_median
            );
            result["pytorch_images_per_second"] = theirs_median.into();
            result["pytorch_variant"] = theirs[0].variant.clone().into();
            result["ratio"] = (ours / theirs_median).into();
        }
        results.push(result);
    }
    Ok(results)
}

fn parse() -> Result<Arguments, Failure> {
    let mut arguments = Arguments {
        device: Device::Cpu,
        on_card: false,
        precisions: vec![Precision::F32],
        batch: 32,
        neurons: vec![500],
        rounds: 3,
        python: "target/peer/bin/python".into(),
        out: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--bench" => {}
            "--batch" => arguments.batch = value()?.parse()?,
            "--neurons" => {
                let counts = value()?;
                arguments.neurons = counts
                    .split(',')
                    .map(str::parse)
                    .collect::<Result<_, _>>()?;
            }
            "--rounds" => arguments.rounds = value()?.parse()?,
            "--python" => arguments.python = value()?.into(),
            "--device" => arguments.device = Device::open(&value()?)?,
            "--precision" => {
                let names = value()?;
                let parse = |name: &str| serde_json::from_value(name.into());
                arguments.precisions = names.split(',').map(parse).collect::<Result<_, _>>()?;
            }
            "--out" => arguments.out = Some(value()?.into()),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    arguments.on_card = matches!(arguments.device, Device::Cuda(_));
    Ok(arguments)
}

fn noise_images(n: usize) -> Array3<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array3::from_shape_simple_fn((n, 36, 64), || rng.random_range(-1.7..1.7))
}

fn trainer(a: &Arguments, precision: Precision, neurons: usize) -> Result<Trainer, Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let n = 2 * a.batch;
    let recording = Recording {
        name: "noise".into(),
        images: noise_images(n + 1),
        responses: Array2::from_shape_simple_fn((n + 1, neurons), || rng.random_range(0.0..2.0)),
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
    config.training.precision = precision;
    let out = tempfile::tempdir()?.keep();
    let options = Options {
        out,
        ..Options::default()
    };
    Ok(Trainer::new(&a.device, &config, &[recording], &options)?)
}

/// The peer's best variant by its own clock.
struct Peer {
    rate: f64,
    variant: String,
}

fn has_torch(python: &Path) -> bool {
    let import = Command::new(python).args(["-c", "import torch"]).output();
    import.is_ok_and(|o| o.status.success())
}

/// All layouts and orders of contraction; on a card the best of them also compiled.
fn peer(a: &Arguments, precision: Precision, neurons: usize, mode: &str) -> Result<Peer, Failure> {
    let eager = run_peer(a, precision, neurons, mode, &[])?;
    let (mut best, layout, order) = best(&eager)?;
    if a.on_card {
        let layout = if layout {
            "--channels-last"
        } else {
            "--no-channels-last"
        };
        let chosen = ["--compile", "default", layout, "--readout", &order];
        // A variant that does not compile does not count.
        if let Ok(report) = run_peer(a, precision, neurons, mode, &chosen) {
            let compiled = self::best(&report)?.0;
            if compiled.rate > best.rate {
                best = Peer {
                    variant: format!("compiled, {}", compiled.variant),
                    ..compiled
                };
            }
        }
    }
    Ok(best)
}

fn run_peer(
    a: &Arguments,
    precision: Precision,
    neurons: usize,
    mode: &str,
    more: &[&str],
) -> Result<Value, Failure> {
    let here = Path::new("benches/peers/train.py");
    let script = if here.exists() {
        here.to_path_buf()
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(here)
    };
    let dtype = serde_json::to_value(precision)?;
    let (device, steps) = if a.on_card {
        ("cuda", "10")
    } else {
        ("cpu", "4")
    };
    let output = Command::new(&a.python)
        .arg(script)
        .args([
            "--json", "--mode", mode, "--device", device, "--steps", steps,
        ])
        .args(["--warmup", if a.on_card { "3" } else { "1" }])
        .args(["--dtype", dtype.as_str().unwrap_or("f32")])
        .args(["--batch", &a.batch.to_string()])
        .args(["--neurons", &neurons.to_string()])
        .args(["--threads", &rayon::current_num_threads().to_string()])
        .args(more)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn best(report: &Value) -> Result<(Peer, bool, String), Failure> {
    let best = &report["best"];
    let missing = || format!("no best variant in {report}");
    let rate = best["median_images_per_second"]
        .as_f64()
        .ok_or_else(missing)?;
    let layout = best["channels_last"].as_bool().ok_or_else(missing)?;
    let order = best["readout_first"].as_str().ok_or_else(missing)?;
    let variant = format!(
        "channels {}, {order} first",
        if layout { "last" } else { "first" }
    );
    Ok((Peer { rate, variant }, layout, order.to_owned()))
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
