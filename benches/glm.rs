//! Seconds for cross-validated Poisson GLMs of a population, beside scikit-learn's PoissonRegressor in the same run.
//!
//!     python3 -m venv target/peer && target/peer/bin/pip install scikit-learn     # once
//!     cargo bench --bench glm -- [--neurons 100] [--images 4000] [--penalties 48] [--folds 5]
//!         [--python target/peer/bin/python] [--out FILE.json]
//!
//! striate fits every column: neurons x penalties x folds, and the final fits. The peer would take hours: it fits a
//! sample, two neurons at four penalties spread evenly over the logarithm, and its mean time is extrapolated to all.
//! The fastest of its solvers and precisions counts. The batch is full with 100 neurons already; the time of more, as
//! --neurons 500, grows with their number. Images are dead leaves of 36 x 64 pixels, neurons
//! linear-exponential Gabors with Poisson noise.

mod peers;

use clap::Parser;
use ndarray::{Array2, Array3, Axis, s};
use peers::Peer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use striate::glm::{PENALTIES, Settings, fit, progress::Progress};
use striate::recording::{Recording, Tier, Trial, preprocess};
use striate::simulation::dead_leaves;

type Failure = Box<dyn std::error::Error>;

/// Height and width of the images.
const SIZE: (usize, usize) = (36, 64);
/// Images of the test tier.
const TEST: usize = 50;
/// What the peer fits of the population.
const SAMPLED: usize = 2;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 100)]
    neurons: usize,
    #[arg(long, default_value_t = 4000)]
    images: usize,
    #[arg(long, default_value_t = Settings::default().penalties)]
    penalties: usize,
    #[arg(long, default_value_t = Settings::default().folds)]
    folds: usize,
    #[arg(long, default_value = "target/peer/bin/python")]
    python: PathBuf,
    #[arg(long)]
    out: Option<PathBuf>,
    /// Cargo says that this is a bench.
    #[arg(long)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let a = Arguments::parse();
    if !a.bench {
        return Ok(());
    }
    let settings = Settings {
        penalties: a.penalties,
        folds: a.folds,
        ..Settings::default()
    };
    let recording = population(a.neurons, a.images)?;
    let rows: Vec<usize> = (0..a.neurons).collect();
    let started = Instant::now();
    let glms = fit(&recording, &rows, &settings, Progress::Stderr, &|| None)?;
    let ours = started.elapsed().as_secs_f64();
    let fits = a.neurons * (a.penalties * a.folds + 1);
    println!(
        "{} neurons x {} penalties x {} folds, {} images of {} pixels: striate {ours:.1} s for {fits} fits, {} neurons unconverged",
        a.neurons,
        a.penalties,
        a.folds,
        a.images,
        SIZE.0 * SIZE.1,
        glms.unconverged.len()
    );
    println!(
        "    {:.2} iterations per fit; gradients at most {:.1e} of those without weights",
        glms.iterations as f64 / fits as f64,
        glms.largest_gradient
    );
    let mut report = json!({
        "neurons": a.neurons,
        "penalties": a.penalties,
        "folds": a.folds,
        "images": a.images,
        "pixels": SIZE.0 * SIZE.1,
        "threads": rayon::current_num_threads(),
        "striate_seconds": ours,
        "iterations_per_fit": glms.iterations as f64 / fits as f64,
        "unconverged": glms.unconverged.len(),
    });
    if let Some(peer) = Peer::sklearn(&a.python) {
        match sampled(&a, &peer, &recording) {
            Ok(theirs) => compare(&theirs, ours, fits, &mut report)?,
            Err(e) => println!("    scikit-learn FAILED: {e}"),
        }
    }
    if let Some(out) = &a.out {
        std::fs::write(out, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

fn compare(peer: &Value, ours: f64, fits: usize, report: &mut Value) -> Result<(), Failure> {
    let variants = peer["variants"].as_array().ok_or("no variants")?;
    let mut best = f64::INFINITY;
    for v in variants {
        let seconds = v["seconds_per_fit"].as_f64().ok_or("no seconds")?;
        best = best.min(seconds);
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        println!(
            "    scikit-learn {}, {}: {seconds:.3} s per fit ({} fits, {:.1} iterations)",
            word(&peer["version"]),
            word(&v["name"]),
            v["fits"],
            v["iterations"]
        );
    }
    let theirs = best * fits as f64;
    println!(
        "    its fastest, extrapolated from the sample to {fits} fits: {:.2} h; striate is {:.0} times as fast",
        theirs / 3600.0,
        theirs / ours
    );
    report["peer"] = peer.clone();
    report["peer_seconds_extrapolated"] = theirs.into();
    report["ratio"] = (theirs / ours).into();
    Ok(())
}

/// Dead leaves, and neurons with a Gabor each whose rate is the exponential of what it sees.
fn population(neurons: usize, images: usize) -> Result<Recording, Failure> {
    let (h, w) = SIZE;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let grey = dead_leaves(images + TEST, h, w, 1);
    let (mean, sd) = (grey.mean().unwrap_or(0.0), grey.std(0.0));
    let z = grey.mapv(|x| (x - mean) / sd);
    let mut responses = Array2::zeros((images + TEST, neurons));
    for mut column in responses.columns_mut() {
        let filter = gabor(&mut rng);
        let drive: Vec<f32> = z.axis_iter(Axis(0)).map(|i| (&i * &filter).sum()).collect();
        let sd = (drive.iter().map(|d| d * d).sum::<f32>() / drive.len() as f32).sqrt();
        let strength = rng.random_range(0.3..1.0) / sd.max(1e-6);
        for (r, d) in column.iter_mut().zip(drive) {
            let rate = (d * strength).exp().clamp(1e-6, 100.0);
            *r = Poisson::new(f64::from(rate))?.sample(&mut rng) as f32;
        }
    }
    let tier = |image| match image {
        i if i < images * 9 / 10 => Tier::Train,
        i if i < images => Tier::Validation,
        _ => Tier::Test,
    };
    let trials = (0..images + TEST).map(|image| Trial {
        image,
        tier: tier(image),
    });
    Ok(Recording {
        name: "gabors".into(),
        images: grey,
        responses,
        trials: trials.collect(),
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    })
}

fn gabor(rng: &mut ChaCha8Rng) -> Array2<f32> {
    let (h, w) = (SIZE.0 as f32, SIZE.1 as f32);
    let (cy, cx) = (
        rng.random_range(0.3..0.7) * h,
        rng.random_range(0.3..0.7) * w,
    );
    let size: f32 = rng.random_range(2.0..4.0);
    let angle: f32 = rng.random_range(0.0..std::f32::consts::PI);
    let phase: f32 = rng.random_range(0.0..std::f32::consts::TAU);
    Array2::from_shape_fn(SIZE, |(y, x)| {
        let (dy, dx) = (y as f32 - cy, x as f32 - cx);
        let along = dx * angle.cos() + dy * angle.sin();
        let envelope = (-(dx * dx + dy * dy) / (2.0 * size * size)).exp();
        envelope * (1.5 * along / size + phase).cos()
    })
}

/// Times the peer on one fold of a few neurons.
fn sampled(a: &Arguments, peer: &Peer, recording: &Recording) -> Result<Value, Failure> {
    let folder = tempfile::tempdir()?;
    let one = std::slice::from_ref(recording);
    let z: Array3<f32> = preprocess::Preprocessing::images(one)?.z_score(recording.images.view());
    let held_out = a.images / a.folds;
    let n = a.images - held_out;
    let x = z
        .slice(s![..n, .., ..])
        .to_shape((n, SIZE.0 * SIZE.1))?
        .to_owned();
    let scale = preprocess::response_scale(recording);
    let r = preprocess::normalised_responses(recording, scale.view());
    let sampled = SAMPLED.min(a.neurons);
    striate::npy::write(&folder.path().join("x.npy"), x.view())?;
    striate::npy::write(&folder.path().join("r.npy"), r.slice(s![..n, ..sampled]))?;
    let (most, least) = PENALTIES;
    let penalties: Vec<String> = (0..4)
        .map(|i| (most * (least / most).powf(f64::from(i) / 3.0)).to_string())
        .collect();
    let folder = folder.path().display().to_string();
    let arguments = [folder.as_str(), "--penalties", &penalties.join(",")];
    Ok(peer.run("glm.py", &arguments)?)
}
