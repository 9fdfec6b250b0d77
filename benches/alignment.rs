//! Seconds to align a population's codes over the whole sweep of penalties, and per step of one fit, beside the published
//! method in PyTorch in the same run.
//!
//!     benches/peers/setup.sh     # once: PyTorch in target/peer
//!     cargo bench --bench alignment -- [--neurons 13047] [--penalties 20] [--restarts 2] [--every 100]
//!         [--steps 20] [--python target/peer/bin/python] [--out FILE.json]
//!
//! Codes of 16 features by 8 orientations are 50 prototypes, turned by any angle, with noise. The peer keeps every roll of
//! every code and leaves gradients to autograd; it has the same closed form of the energy, and the faster of float64 (the authors')
//! and float32 counts. Both take the same steps from the same start, and their losses are compared.

mod peers;

use clap::Parser;
use ndarray::{Array1, Array3};
use peers::Peer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::{Value, json};
use std::f64::consts::TAU;
use std::path::PathBuf;
use std::time::Instant;
use striate::device::Device;
use striate::insilico::Watch;
use striate::ops::align::{self, Codes, LANES, Temperature};
use striate::ops::{optimiser, schedule};
use striate::population::alignment::{Settings, align as sweep, log_spaced, turned};

type Failure = Box<dyn std::error::Error>;

const FEATURES: usize = 16;
const O: usize = 8;
const PROTOTYPES: usize = 50;
/// The published example's.
const PENALTY: f64 = 1.5;
/// Steps before the clock starts, here and in the peer.
const BEFORE: usize = 3;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 13_047)]
    neurons: usize,
    #[arg(long, default_value_t = 20)]
    penalties: usize,
    #[arg(long, default_value_t = Settings::default().restarts)]
    restarts: usize,
    /// Steps between two evaluations.
    #[arg(long, default_value_t = Settings::default().evaluate_every)]
    every: usize,
    /// Steps that are timed beside the peer.
    #[arg(long, default_value_t = 20)]
    steps: usize,
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
    let codes = population(a.neurons)?;
    let mut report = json!({
        "neurons": a.neurons,
        "features": FEATURES,
        "orientations": O,
        "threads": rayon::current_num_threads(),
    });
    steps(&a, &codes, &mut report)?;
    if a.penalties > 0 {
        whole(&a, &codes, &mut report)?;
    }
    if let Some(out) = &a.out {
        std::fs::write(out, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

/// The sweep.
fn whole(a: &Arguments, codes: &Array3<f32>, report: &mut Value) -> Result<(), Failure> {
    let settings = Settings {
        penalties: log_spaced(1e-3, 10.0, a.penalties),
        restarts: a.restarts,
        evaluate_every: a.every,
        ..Settings::default()
    };
    let started = Instant::now();
    let stop = || None;
    let found = sweep(
        &Device::Cpu,
        codes.view(),
        &settings,
        &mut Watch::stderr(&stop),
    )?;
    let seconds = started.elapsed().as_secs_f64();
    let fits = found.descents.len();
    println!(
        "{} penalties and {} starts, {fits} fits: {seconds:.1} s; T {:.2}, energy {:.4}",
        a.penalties,
        a.restarts,
        found.temperature,
        found
            .fits
            .iter()
            .find(|f| f.chosen)
            .map_or(f64::NAN, |f| f.energy),
    );
    report["sweep"] = json!({
        "penalties": a.penalties,
        "restarts": a.restarts,
        "evaluate_every": a.every,
        "fits": fits,
        "seconds": seconds,
        "steps": found.fits.iter().map(|f| f.steps).collect::<Vec<_>>(),
        "temperatures": found.fits.iter().map(|f| f.temperature).collect::<Vec<_>>(),
    });
    Ok(())
}

/// Steps of one fit alone and of 20 side by side, and the peer's.
fn steps(a: &Arguments, codes: &Array3<f32>, report: &mut Value) -> Result<(), Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let logits: Array1<f32> = (0..a.neurons)
        .map(|_| rng.sample::<f32, _>(StandardNormal))
        .collect();
    let laid_out = Codes::new(&Device::Cpu, codes.view());
    let mut ours = Vec::new();
    let mut best = f64::INFINITY;
    for fits in [1, 20] {
        let (seconds, losses) = timed(&laid_out, &logits, fits, a.steps);
        println!(
            "striate, {fits} fits side by side: {:.3} ms per step and fit",
            1e3 * seconds
        );
        report[format!("seconds_per_step_{fits}")] = seconds.into();
        (best, ours) = (best.min(seconds), losses);
    }
    let Some(peer) = Peer::torch(&a.python) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    striate::npy::write(&folder.path().join("codes.npy"), codes.view())?;
    striate::npy::write(&folder.path().join("logits.npy"), logits.view())?;
    let (folder, count) = (folder.path().display().to_string(), a.steps.to_string());
    let arguments = [
        &folder,
        "--penalty",
        &PENALTY.to_string(),
        "--steps",
        &count,
    ];
    let theirs = peer.run("alignment.py", &arguments)?;
    let mut fastest = f64::INFINITY;
    for variant in theirs["variants"].as_array().ok_or("no variants")? {
        let seconds = variant["seconds_per_step"].as_f64().ok_or("no seconds")?;
        fastest = fastest.min(seconds);
        let losses = variant["losses"].as_array().ok_or("no losses")?;
        let apart = losses
            .iter()
            .zip(&ours)
            .map(|(theirs, ours)| (theirs.as_f64().unwrap_or(f64::NAN) / ours - 1.0).abs());
        println!(
            "    PyTorch {}, {}: {:.1} ms per step; losses differ by at most {:.1e} of themselves",
            theirs["version"],
            variant["name"],
            1e3 * seconds,
            apart.fold(0.0, f64::max)
        );
    }
    println!(
        "    striate is {:.0} times as fast per step",
        fastest / best
    );
    report["peer"] = theirs;
    report["ratio"] = (fastest / best).into();
    Ok(())
}

/// Seconds per step and fit, and the loss before each step.
fn timed(codes: &Codes, logits: &Array1<f32>, fits: usize, steps: usize) -> (f64, Vec<f64>) {
    let (device, temperature) = (Device::Cpu, Temperature::default());
    let shape = codes.shape(fits);
    let mut start = vec![0.0; shape.parameters()];
    for fit in 0..fits {
        for (n, &logit) in logits.iter().enumerate() {
            start[shape.logit(fit, n)] = logit;
        }
    }
    let mut point = device.upload(&start, &[start.len()]);
    let [mut gradient, mut first, mut second] = [(); 3].map(|()| device.zeros(&[start.len()]));
    let mut means = device.zeros(&[shape.means()]);
    let mut energies = device.zeros(&[2 * fits]);
    let penalties = device.upload(&vec![PENALTY as f32; fits], &[fits]);
    let all = BEFORE + steps;
    let rates: Vec<f32> = (0..all * fits)
        .map(|i| optimiser::adam_rate(0.01, (i / fits) as u64 + 1))
        .collect();
    let rates = device.upload(&rates, &[rates.len()]);
    let mut step = device.zeros::<u32>(&[1]);
    let mut losses = Vec::new();
    let mut started = Instant::now();
    for i in 0..all {
        if i == BEFORE {
            started = Instant::now();
        }
        let outputs = (means.view_mut(), energies.view_mut());
        align::forward(
            &device,
            codes,
            fits,
            temperature,
            point.view(),
            outputs.0,
            outputs.1,
        );
        let found = energies.download();
        losses.push(f64::from(found[0]) + PENALTY * f64::from(found[1]));
        gradient.fill(0.0);
        align::backward(
            &device,
            codes,
            temperature,
            penalties.view(),
            point.view(),
            means.view(),
            gradient.view_mut(),
        );
        optimiser::adam_by_group(
            &device,
            (rates.view(), step.view()),
            (fits, LANES),
            point.view_mut(),
            gradient.view(),
            (first.view_mut(), second.view_mut()),
        );
        schedule::advance(&device, step.view_mut());
    }
    (
        started.elapsed().as_secs_f64() / (steps * fits) as f64,
        losses,
    )
}

/// Prototypes of a few tuned features each, turned, with noise, rows of norm 1.
fn population(neurons: usize) -> Result<Array3<f32>, Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut prototypes = Vec::new();
    for _ in 0..PROTOTYPES {
        let mut code = vec![0.0f32; FEATURES * O];
        for _ in 0..rng.random_range(2..6) {
            let row = rng.random_range(0..FEATURES) * O;
            let (centre, width): (f64, f64) =
                (rng.random_range(0.0..TAU), rng.random_range(0.5..4.0));
            let size = rng.random_range(-0.3..1.0);
            for i in 0..O {
                let away = TAU * i as f64 / O as f64 - centre;
                code[row + i] += (size * (width * (away.cos() - 1.0)).exp()) as f32;
            }
        }
        prototypes.push(unit(code));
    }
    let mut codes = Array3::zeros((neurons, FEATURES, O));
    for mut code in codes.outer_iter_mut() {
        let prototype = &prototypes[rng.random_range(0..PROTOTYPES)];
        let mut own = turned(prototype, FEATURES, O, rng.random_range(0.0..TAU))?;
        let sd = 0.5 / (own.len() as f32).sqrt();
        own.iter_mut()
            .for_each(|v| *v += sd * rng.sample::<f32, _>(StandardNormal));
        code.iter_mut().zip(unit(own)).for_each(|(to, v)| *to = v);
    }
    Ok(codes)
}

fn unit(mut code: Vec<f32>) -> Vec<f32> {
    let norm = code.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    code.iter_mut().for_each(|v| *v /= norm);
    code
}
