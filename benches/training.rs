//! Training steps and predictions per second of the standard model (Ecker et al. 2019: filters 13, 5, 5; 16 features at
//! 8 orientations; 36 x 64 pixels), beside the same model in PyTorch, in turns, in one run.
//!
//!     benches/peers/setup.sh target/peer                    # once: the peer's Python environment
//!     cargo bench --bench training -- [--batch 32] [--neurons 500,6005] [--rounds 3] [--python target/peer/bin/python]
//!         [--device cpu] [--precision f32,tf32,bf16] [--window 16] [--image 36x64] [--system kindel]
//!         [--out FILE.json]
//!
//! `--system gaussian` puts a Gaussian readout (Lurz et al. 2021) behind the same core, `--system kindel` trains the network of Kindel
//! et al. 2017, each beside the same in PyTorch.
//!
//! With `--window` striate's masks lie in windows of so many pixels (`readout.window`), put where fresh masks happen to hold most:
//! all over the map, in more groups than receptive fields would make. The peer is the published model all the same.
//!
//! The peer is the fastest of its variants, on a card also compiled. Without Python and PyTorch, and where the peer fails, it
//! measures striate alone and says so.

mod peers;

use clap::Parser;
use ndarray::{Array2, Array3};
use peers::{Peer, median};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use striate::device::{Device, Precision};
use striate::model::Config;
use striate::recording::{Recording, Tier, Trial};
use striate::training::{Options, Trainer};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value = "cpu")]
    device: String,
    #[arg(long, value_delimiter = ',', default_value = "f32")]
    precision: Vec<String>,
    #[arg(long, default_value_t = 32)]
    batch: usize,
    #[arg(long, value_delimiter = ',', default_value = "500")]
    neurons: Vec<usize>,
    #[arg(long, value_enum, default_value_t = System::Equivariant)]
    system: System,
    /// Rows and columns of the images.
    #[arg(long, value_delimiter = 'x', num_args = 1, default_value = "36x64")]
    image: Vec<usize>,
    /// readout.window
    #[arg(long, default_value_t = 0)]
    window: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[arg(long, default_value = "target/peer/bin/python")]
    python: PathBuf,
    #[arg(long)]
    out: Option<PathBuf>,
    /// Cargo says that this is a bench.
    #[arg(long)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum System {
    Equivariant,
    Gaussian,
    Kindel,
}

impl System {
    fn name(self) -> &'static str {
        match self {
            Self::Equivariant => "equivariant",
            Self::Gaussian => "gaussian",
            Self::Kindel => "kindel",
        }
    }
}

/// What is measured.
struct Work {
    system: System,
    device: Device,
    precision: Precision,
    batch: usize,
    neurons: usize,
    image: (usize, usize),
    window: usize,
}

fn main() -> Result<(), Failure> {
    let a = Arguments::parse();
    if !a.bench {
        return Ok(());
    }
    // As `striate train` does: within the threads that share the work.
    Ok(rayon::scope(|_| measure(&a).map_err(|e| e.to_string()))?)
}

fn measure(a: &Arguments) -> Result<(), Failure> {
    if a.image.len() != 2 {
        return Err("--image: want rows and columns, as 36x64".into());
    }
    let device = Device::open(&a.device)?;
    println!("device: {}", device.describe());
    let peer = Peer::torch(&a.python);
    let mut results = Vec::new();
    for &neurons in &a.neurons {
        for precision in &a.precision {
            let work = Work {
                system: a.system,
                device: device.clone(),
                precision: serde_json::from_value(precision.as_str().into())?,
                batch: a.batch,
                neurons,
                image: (a.image[0], a.image[1]),
                window: a.window,
            };
            results.extend(compare(&work, a.rounds, peer.as_ref())?);
            if let Some(out) = &a.out {
                let report = json!({
                    "device": device.describe(),
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

const MODES: [&str; 2] = ["train", "predict"];

fn compare(work: &Work, rounds: usize, peer: Option<&Peer>) -> Result<Vec<Value>, Failure> {
    let Work {
        precision, batch, ..
    } = *work;
    let mut trainer = trainer(work)?;
    let images = noise_images(4 * batch, work.image);
    // The first steps put the windows, load kernels and record the step.
    trainer.steps(3);
    let mut model = trainer.model().clone();
    let mut predictor = model.predictor(0, batch)?;
    predictor.rates(images.view())?;
    let [mut ours, mut theirs] = [[const { Vec::new() }; 2], [const { Vec::new() }; 2]];
    let mut last = None;
    let steps = if work.on_card() { 20 } else { 1 };
    for _ in 0..rounds {
        let taken = per_second(|| {
            trainer.steps(steps);
            Ok(())
        })?;
        ours[0].push(taken * (steps as usize * batch) as f64);
        let predicted =
            per_second(|| predictor.rates(images.view()).map(drop).map_err(Into::into))?;
        ours[1].push(predicted * images.dim().0 as f64);
        println!(
            "{precision:?}, {} neurons: {:.1} images/s in training, {:.1} in prediction",
            work.neurons,
            median(&ours[0]),
            median(&ours[1])
        );
        match peer.map(|peer| work.by(peer)).transpose() {
            Ok(None) => {}
            Ok(Some(report)) => {
                for (theirs, mode) in theirs.iter_mut().zip(MODES) {
                    theirs.extend(report[mode]["best"]["median_images_per_second"].as_f64());
                }
                last = Some(report);
            }
            Err(e) => println!("    PyTorch FAILED: {e}"),
        }
    }
    let mut results = Vec::new();
    for (i, mode) in MODES.into_iter().enumerate() {
        let (ours, theirs) = (median(&ours[i]), median(&theirs[i]));
        println!(
            "{mode}, {}, {precision:?}, {} neurons, {} x {} pixels, window {}, batch {batch}: striate {ours:.1} images/s ({:.2} steps/s)",
            work.system.name(),
            work.neurons,
            work.image.0,
            work.image.1,
            work.window,
            ours / batch as f64
        );
        let mut result = json!({
            "mode": mode,
            "system": work.system.name(),
            "precision": precision,
            "neurons": work.neurons,
            "batch": batch,
            "image": [work.image.0, work.image.1],
            "window": work.window,
            "striate_images_per_second": ours,
        });
        if let Some(report) = &last {
            let best = &report[mode]["best"];
            println!(
                "    PyTorch {theirs:.1} images/s ({}); striate is {:.2} times as fast",
                variant(best),
                ours / theirs
            );
            result["pytorch_images_per_second"] = theirs.into();
            result["pytorch_variant"] = variant(best).into();
            result["pytorch_variants"] = report[mode]["variants"].clone();
            result["ratio"] = (ours / theirs).into();
        } else if peer.is_some() {
            result["pytorch_failed"] = true.into();
        }
        results.push(result);
    }
    Ok(results)
}

/// How often a second this can be done: measured as the peer is, for a second after some that do not count.
fn per_second(mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    for _ in 0..WARM_UP {
        work()?;
    }
    let (started, mut done) = (Instant::now(), 0);
    while done == 0 || started.elapsed() < SHORTEST {
        work()?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

const WARM_UP: usize = 2;
const SHORTEST: Duration = Duration::from_secs(1);

impl Work {
    fn on_card(&self) -> bool {
        matches!(self.device, Device::Cuda(_))
    }

    /// The same by the peer: all layouts and orders of contraction; on a card the best of them also compiled.
    fn by(&self, peer: &Peer) -> Result<Value, String> {
        let (batch, neurons) = (self.batch.to_string(), self.neurons.to_string());
        let dtype = serde_json::to_value(self.precision).map_err(|e| e.to_string())?;
        let mut arguments = vec!["--mode", "train,predict", "--batch", &batch];
        arguments.extend(["--neurons", &neurons, "--system", self.system.name()]);
        let (height, width) = (self.image.0.to_string(), self.image.1.to_string());
        arguments.extend(["--height", &height, "--width", &width]);
        arguments.extend(["--dtype", dtype.as_str().unwrap_or("f32")]);
        arguments.extend(match self.on_card() {
            true => "--device cuda --blocks 3 --steps 5 --warmup 3 --seconds 1 --compile default,reduce-overhead",
            false => "--device cpu --blocks 3 --steps 1 --warmup 2 --seconds 1",
        }
        .split(' '));
        peer.run("train.py", &arguments)
    }
}

/// In words.
fn variant(best: &Value) -> String {
    let last = best["channels_last"].as_bool().unwrap_or(false);
    format!(
        "{}, channels {}, {} first",
        best["compiled"].as_str().unwrap_or("eager"),
        if last { "last" } else { "first" },
        best["readout_first"].as_str().unwrap_or("?")
    )
}

fn noise_images(n: usize, (height, width): (usize, usize)) -> Array3<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array3::from_shape_simple_fn((n, height, width), || rng.random_range(-1.7..1.7))
}

fn trainer(a: &Work) -> Result<Trainer, Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let n = 2 * a.batch;
    let recording = Recording {
        name: "noise".into(),
        images: noise_images(n + 1, a.image),
        responses: Array2::from_shape_simple_fn((n + 1, a.neurons), || rng.random_range(0.0..2.0)),
        trials: (0..=n)
            .map(|image| Trial {
                image,
                tier: if image < n { Tier::Train } else { Tier::Test },
            })
            .collect(),
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    let kind = match a.system {
        System::Equivariant => "",
        System::Gaussian => "[readout]\nkind = \"gaussian\"\n",
        System::Kindel => "[core]\nkind = \"kindel\"\n",
    };
    let text = format!("recordings = [\"noise\"]\n{kind}");
    let mut config = Config::parse(&text, a.system.name(), &[])?;
    config.training.batch_size = a.batch;
    config.training.precision = a.precision.into();
    config.readout.window = a.window;
    (config.readout.window_after, config.readout.window_mass) = (1, 0.0);
    let out = tempfile::tempdir()?.keep();
    let options = Options {
        out,
        ..Options::default()
    };
    Ok(Trainer::new(&a.device, &config, &[recording], &options)?)
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
