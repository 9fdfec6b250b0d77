//! Seconds for a population's optimal Gabors, tuning experiments and most exciting images, beside PyTorch in the same run.
//!
//!     benches/peers/setup.sh target/peer                    # once: the peer's Python environment
//!     cargo bench --bench insilico -- [--neurons 500] [--meis 200] [--steps 2000] [--device cpu] [--precision f32]
//!         [--python target/peer/bin/python] [--out FILE.json] [--only gabors|tune|meis|clusters] [--clusters 50]
//!     cargo bench --bench insilico -- --only meis --run runs/mouse    # of a trained twin's first readout
//!
//! The standard model (Ecker et al. 2019: filters 13, 5, 5; 16 features at 8 orientations; 36 x 64 pixels) with random
//! weights and masks that are Gaussians of 1.5 pixels SD, zero beyond 4 pixels, centred where the published grid has its
//! places. The Gabors are the published 9,326,592. The peer would take days for them: its images per second with all neurons
//! read out, at the same precision and the fastest of its variants, on a card also compiled, are extrapolated. For most exciting
//! images the peer takes one neuron at a time, its
//! 8 starts in one batch, on whole images, not compiled, until the last of them has settled; the seconds of 50 steps of two neurons are
//! extrapolated to the steps that the recipe took here. A peer that fails is left out. Two neurons climb again here, on whole images: the
//! largest difference of their responses from those on crops.
//!
//! For the images that clusters share neurons are dealt out to clusters, each with a Gabor of its own orientation where it looks.
//! The peer takes one cluster at a time, the members of all its starts in one batch, on whole images, with Adam; the seconds of
//! 10 steps of two clusters, and of once around the circle, are extrapolated to the steps that the longest start of each cluster
//! took here.

mod peers;

use clap::Parser;
use ndarray::ArrayView1;
use peers::{Peer, median};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use striate::device::{Device, Precision};
use striate::insilico::ascent::{Member, Recipe, meis};
use striate::insilico::search::{Gabors, Optimum, refine, search};
use striate::insilico::shared;
use striate::insilico::tuning::tune;
use striate::insilico::{Watch, show};
use striate::model::{Config, Model, Population};
use striate::ops::scan::Places;
use striate::recording::preprocess::Preprocessing;
use striate::stimuli::Gabor;

type Failure = Box<dyn std::error::Error>;

/// Height and width of the images.
const SIZE: (usize, usize) = (36, 64);
/// Columns and rows of the published grid's centres.
const PLACES: Places = Places {
    row: 5,
    rows: 23,
    column: 27,
    columns: 22,
};
/// Neurons whose images the peer seeks.
const SAMPLED: usize = 2;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 500)]
    neurons: usize,
    /// Of these, most exciting images are sought for so many.
    #[arg(long, default_value_t = 200)]
    meis: usize,
    /// At most, of the ascent.
    #[arg(long, default_value_t = 2000)]
    steps: u32,
    #[arg(long, default_value = "cpu")]
    device: String,
    #[arg(long, default_value = "f32")]
    precision: String,
    #[arg(long, default_value = "target/peer/bin/python")]
    python: PathBuf,
    #[arg(long)]
    out: Option<PathBuf>,
    /// Clusters that neurons are dealt out to.
    #[arg(long, default_value_t = 50)]
    clusters: usize,
    /// One part alone: gabors, tune, meis or clusters.
    #[arg(long)]
    only: Option<String>,
    /// A trained twin instead of the standard model with masks that look at one spot; with --only meis.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Cargo says that this is a bench.
    #[arg(long)]
    bench: bool,
}

impl Arguments {
    fn on_card(&self) -> bool {
        self.device.starts_with("cuda")
    }
}

fn main() -> Result<(), Failure> {
    let mut a = Arguments::parse();
    if !a.bench {
        return Ok(());
    }
    if a.run.is_some() && a.only.as_deref() != Some("meis") {
        return Err("--run goes with --only meis".into());
    }
    let precision: Precision = serde_json::from_value(a.precision.as_str().into())?;
    let device = Device::open(&a.device)?;
    println!("device: {}", device.describe());
    let mut model = match &a.run {
        Some(run) => Model::open(run, &device)?,
        None => model(&device, precision, a.neurons)?,
    };
    a.neurons = model.readouts[0].neurons;
    a.meis = a.meis.min(a.neurons);
    let peer = Peer::torch(&a.python);
    let wanted = |part: &str| a.only.as_deref().is_none_or(|only| only == part);
    let mut report = json!({
        "device": device.describe(),
        "precision": precision,
        "neurons": a.neurons,
    });
    let mut optimal = None;
    if wanted("gabors") {
        let (found, result) = gabors(&a, &mut model)?;
        optimal = Some(found);
        report["gabors"] = result;
        write(&a, &report)?;
        against(&mut report["gabors"], peer.as_ref().map(|p| images(&a, p)));
        write(&a, &report)?;
    }
    if wanted("tune") {
        report["tune"] = tuning(&a, &mut model, optimal)?;
        write(&a, &report)?;
    }
    let made = tempfile::tempdir()?;
    let run = match &a.run {
        Some(run) => run.display().to_string(),
        None => {
            model.write(&made.path().join("model.safetensors"))?;
            std::fs::write(made.path().join("config.toml"), model.config.to_toml()?)?;
            made.path().display().to_string()
        }
    };
    if wanted("clusters") {
        report["clusters"] = clusters(&a, &mut model)?;
        write(&a, &report)?;
        let theirs = peer.as_ref().map(|p| templates(&a, p, &run));
        against(&mut report["clusters"], theirs);
        write(&a, &report)?;
    }
    if wanted("meis") {
        report["meis"] = exciting(&a, model)?;
        write(&a, &report)?;
        against(
            &mut report["meis"],
            peer.as_ref().map(|p| climbs(&a, p, &run)),
        );
        by_step(&mut report["meis"]);
        write(&a, &report)?;
    }
    Ok(())
}

fn write(a: &Arguments, report: &Value) -> Result<(), Failure> {
    if let Some(out) = &a.out {
        std::fs::write(out, serde_json::to_string_pretty(report)? + "\n")?;
    }
    Ok(())
}

/// The standard model with masks that look at one spot each.
fn model(device: &Device, precision: Precision, neurons: usize) -> Result<Model, Failure> {
    let mut config = Config::default();
    config.training.precision = precision.into();
    let population = Population {
        name: "bench".into(),
        height: SIZE.0,
        width: SIZE.1,
        response_scale: vec![1.0; neurons],
    };
    let preprocessing = Preprocessing {
        image_mean: 0.0,
        image_sd: 1.0,
    };
    let mut model = Model::zeros(device, &config, preprocessing, &[population])?;
    model.initialise(&[vec![1.0; neurons]]);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut masks = Vec::with_capacity(neurons * SIZE.0 * SIZE.1);
    for _ in 0..neurons {
        let span = |first: i64, count: usize| first as f64..(first + count as i64) as f64;
        let x = rng.random_range(span(PLACES.column, PLACES.columns));
        let y = rng.random_range(span(PLACES.row, PLACES.rows));
        for p in 0..SIZE.0 * SIZE.1 {
            let r = ((p % SIZE.1) as f64 - x).hypot((p / SIZE.1) as f64 - y);
            let value = if r < 4.0 { (-r * r / 4.5).exp() } else { 0.0 };
            masks.push(value as f32);
        }
    }
    let readout = model.readouts[0].clone();
    model
        .params
        .view_mut(readout.masks().expect("a factorised readout"))
        .fill_from(&masks);
    // Features that make stimuli matter.
    let n = model.params.layout.slots[readout.features].range().len();
    let features: Vec<f32> = (0..n).map(|_| rng.random_range(-0.3..0.3)).collect();
    model.params.view_mut(readout.features).fill_from(&features);
    Ok(model)
}

fn gabors(a: &Arguments, model: &mut Model) -> Result<(Vec<Optimum>, Value), Failure> {
    let all: Vec<usize> = (0..a.neurons).collect();
    let grid = Gabors::default().grid(PLACES);
    let stop = || None;
    let mut watch = Watch::stderr(&stop);
    let started = Instant::now();
    let groups = show::exact(model, 0, &all)?;
    let found = search(model, 0, &all, &groups, &grid, &mut watch)?;
    let searched = started.elapsed().as_secs_f64();
    let refined = refine(model, &groups, &grid, &found, &mut watch)?;
    let climbed = started.elapsed().as_secs_f64() - searched;
    let gains = refined.iter().zip(&found);
    let gains: Vec<f64> = gains
        .map(|(r, g)| f64::from(r.answer.rate / g.answer.rate))
        .collect();
    println!(
        "{} Gabors, {} neurons: striate {searched:.1} s, refinement {climbed:.1} s more (median gain {:.3})",
        grid.len(),
        a.neurons,
        median(&gains)
    );
    let result = json!({
        "stimuli": grid.len(),
        "seconds": searched,
        "refinement_seconds": climbed,
        "median_gain_of_refinement": median(&gains),
    });
    Ok((found, result))
}

/// The experiments of `tune`, with the found Gabors or any.
fn tuning(a: &Arguments, model: &mut Model, found: Option<Vec<Optimum>>) -> Result<Value, Failure> {
    let all: Vec<usize> = (0..a.neurons).collect();
    let optimal: Vec<Option<Gabor>> = match found {
        Some(found) => found
            .iter()
            .map(|o| Some(Gabor::from_parameters(&o.stimulus)))
            .collect(),
        None => {
            let gabor = Gabor::from_parameters(&[32.0, 18.0, 12.5, 0.1, 1.0, 0.5, 0.5]);
            vec![Some(gabor); a.neurons]
        }
    };
    let stop = || None;
    let mut watch = Watch::stderr(&stop);
    let started = Instant::now();
    let groups = show::exact(model, 0, &all)?;
    let tuning = tune(model, &groups, &optimal, &mut watch)?;
    let seconds = started.elapsed().as_secs_f64();
    let images: usize = tuning.curves.iter().map(|c| c.len()).sum();
    println!("{images} images of tuning experiments: striate {seconds:.1} s");
    Ok(json!({ "images": images, "seconds": seconds }))
}

fn exciting(a: &Arguments, model: Model) -> Result<Value, Failure> {
    let rows: Vec<usize> = (0..a.meis).collect();
    let recipe = Recipe {
        steps: a.steps,
        ..Recipe::default()
    };
    let mut members = [Member {
        place: "bench".into(),
        model,
        index: 0,
    }];
    let stop = || None;
    let started = Instant::now();
    let found = meis(&mut members, &rows, &recipe, &mut Watch::stderr(&stop))?;
    let seconds = started.elapsed().as_secs_f64();
    let whole = Recipe {
        whole: true,
        ..recipe
    };
    let again = &rows[..SAMPLED.min(rows.len())];
    let again = meis(&mut members, again, &whole, &mut Watch::stderr(&stop))?;
    let pairs = found.found.iter().zip(&again.found);
    let apart = pairs.map(|(crop, whole)| (crop.response / whole.response - 1.0).abs());
    let apart = apart.fold(0.0, |a: f64, b| if a.is_nan() || b <= a { a } else { b });
    let steps = f64::from(found.steps.sum());
    // One neuron at a time goes on until the last of its starts has settled.
    let last = |of: ArrayView1<u32>| f64::from(of.iter().copied().max().unwrap_or(0));
    let longest: f64 = found.steps.rows().into_iter().map(last).sum();
    println!(
        "{} most exciting images of {} starts: striate {seconds:.1} s, {:.0} steps a start, {:.0} until the last start settles, {:.0} image steps/s; responses differ by at most {apart:.1e} from those of climbs on whole images",
        rows.len(),
        recipe.starts,
        steps / (rows.len() * recipe.starts) as f64,
        longest / rows.len() as f64,
        steps / seconds
    );
    Ok(json!({
        "images": rows.len(),
        "starts": recipe.starts,
        "mean_steps": steps / (rows.len() * recipe.starts) as f64,
        "mean_steps_of_last_start": longest / rows.len() as f64,
        "seconds": seconds,
        "image_steps_per_second": steps / seconds,
        "apart_from_whole_images": apart,
    }))
}

/// The images that clusters share.
fn clusters(a: &Arguments, model: &mut Model) -> Result<Value, Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let masks = model
        .params
        .view(model.readouts[0].masks().expect("a factorised readout"))
        .download();
    let middle = |mask: &[f32]| {
        let weigh = |at: fn(usize) -> usize| {
            let pairs = mask.iter().enumerate();
            let sum: f32 = pairs.map(|(p, m)| m.abs() * at(p) as f32).sum();
            f64::from(sum / mask.iter().map(|m| m.abs()).sum::<f32>())
        };
        (weigh(|p| p % SIZE.1), weigh(|p| p / SIZE.1))
    };
    let members: Vec<shared::Member> = masks
        .chunks_exact(SIZE.0 * SIZE.1)
        .enumerate()
        .map(|(neuron, mask)| {
            let (x, y) = middle(mask);
            let stimulus = Gabor {
                x: x.round(),
                y: y.round(),
                size: 12.0,
                frequency: 0.1,
                contrast: 1.0,
                orientation: rng.random_range(0.0..std::f64::consts::PI),
                phase: 0.0,
            };
            shared::Member {
                readout: 0,
                neuron,
                cluster: neuron % a.clusters,
                gabor: Some(shared::Best {
                    stimulus,
                    response: 1.0,
                    refined: f64::NAN,
                }),
                difference: None,
                image: None,
            }
        })
        .collect();
    let mut of = vec![Vec::new(); a.clusters];
    members.iter().for_each(|m| of[m.cluster].push(m.neuron));
    let recipe = shared::Recipe::default();
    let none = vec![None; a.clusters];
    let stop = || None;
    let started = Instant::now();
    let mut watch = Watch::stderr(&stop);
    let found = shared::meis(model, &members, &of, &none, &recipe, &mut watch)?;
    let seconds = started.elapsed().as_secs_f64();
    let found: Vec<_> = found.into_iter().flatten().collect();
    let longest = |s: &shared::Shared| f64::from(s.starts.iter().copied().max().unwrap_or(0));
    let steps: f64 = found.iter().map(longest).sum();
    let rates = found.iter().flat_map(|s| &s.seen).map(|s| s.1);
    let mean = rates.sum::<f64>() / members.len() as f64;
    println!(
        "images that {} clusters of {} neurons share, {} starts: striate {seconds:.1} s, {:.0} steps until the last start settles, mean rate {mean:.3}",
        found.len(),
        a.neurons,
        recipe.starts,
        steps / found.len() as f64
    );
    Ok(json!({
        "clusters": found.len(),
        "members": a.neurons / a.clusters.max(1),
        "starts": recipe.starts,
        "angles": recipe.angles,
        "steps_of_last_starts": steps,
        "mean_rate": mean,
        "seconds": seconds,
    }))
}

/// Notes what the peer takes for the same.
fn against(ours: &mut Value, theirs: Option<Result<Theirs, String>>) {
    let seconds = |ours: &Value| ours["seconds"].as_f64().unwrap_or(f64::NAN);
    match theirs {
        None => {}
        Some(Err(e)) => {
            println!("    PyTorch FAILED: {e}");
            ours["pytorch_failed"] = e.into();
        }
        Some(Ok(theirs)) => {
            let all = theirs.seconds(ours);
            println!(
                "    PyTorch, {}: {:.2} hours for all; striate is {:.0} times as fast",
                theirs.told,
                all / 3600.0,
                all / seconds(ours)
            );
            ours["pytorch"] = theirs.told.into();
            ours["pytorch_seconds_per_unit"] = theirs.seconds_per_unit.into();
            ours["pytorch_seconds_extrapolated"] = all.into();
            ours["ratio"] = (all / seconds(ours)).into();
        }
    }
}

/// Notes how steps compare, however many there are.
fn by_step(meis: &mut Value) {
    let of = |key: &str| meis[key].as_f64();
    let factors = ["image_steps_per_second", "pytorch_seconds_per_unit"].map(of);
    if let ([Some(ours), Some(theirs)], Some(starts)) = (factors, of("starts")) {
        let ratio = ours * theirs / starts;
        println!("    by step {ratio:.0} times as fast");
        meis["ratio_by_step"] = ratio.into();
    }
}

/// What was measured of the peer.
struct Theirs {
    told: String,
    /// Of an image, or of a step of one neuron.
    seconds_per_unit: f64,
    /// Of our report: how many there are.
    units: fn(&Value) -> f64,
    /// Seconds that come on top of them.
    besides: f64,
}

impl Theirs {
    fn seconds(&self, ours: &Value) -> f64 {
        self.seconds_per_unit * (self.units)(ours) + self.besides
    }
}

/// Every stimulus as an image.
fn images(a: &Arguments, peer: &Peer) -> Result<Theirs, String> {
    let neurons = a.neurons.to_string();
    let mut arguments = vec!["--mode", "predict", "--neurons", &neurons];
    arguments.extend(["--dtype", &a.precision]);
    arguments.extend(match a.on_card() {
        true => "--device cuda --batch 256 --blocks 3 --steps 8 --warmup 3 --compile default,reduce-overhead",
        false => "--device cpu --batch 32 --blocks 4",
    }
    .split(' '));
    let report = peer.run("train.py", &arguments)?;
    let rate = report["predict"]["best"]["median_images_per_second"].as_f64();
    let rate = rate.ok_or_else(|| format!("no best variant in {report}"))?;
    Ok(Theirs {
        told: format!("{rate:.1} images/s"),
        seconds_per_unit: 1.0 / rate,
        units: |ours| ours["stimuli"].as_f64().unwrap_or(f64::NAN),
        besides: 0.0,
    })
}

/// One neuron after another, each until its last start has settled.
fn climbs(a: &Arguments, peer: &Peer, run: &str) -> Result<Theirs, String> {
    let sampled: Vec<String> = (0..SAMPLED.min(a.meis)).map(|r| r.to_string()).collect();
    let sampled = sampled.join(",");
    let device = if a.on_card() { "cuda" } else { "cpu" };
    let mut arguments = vec!["--device", device, "--dtype", &a.precision];
    // All steps take equally long.
    arguments.extend(["--run", run, "--rows", &sampled, "--steps", "50"]);
    let report = peer.run("mei.py", &arguments)?;
    let per_step = report["median_seconds_per_step"].as_f64();
    let per_step = per_step.ok_or_else(|| format!("no seconds in {report}"))?;
    Ok(Theirs {
        told: format!("one neuron at a time, {per_step:.4} s a step"),
        seconds_per_unit: per_step,
        units: |ours| {
            let of = |key: &str| ours[key].as_f64().unwrap_or(f64::NAN);
            of("images") * of("mean_steps_of_last_start")
        },
        besides: 0.0,
    })
}

/// One cluster after another.
fn templates(a: &Arguments, peer: &Peer, run: &str) -> Result<Theirs, String> {
    let recipe = shared::Recipe::default();
    let device = if a.on_card() { "cuda" } else { "cpu" };
    let members = (a.neurons / a.clusters.max(1)).to_string();
    let (starts, angles) = (recipe.starts.to_string(), recipe.angles.to_string());
    let mut arguments = vec!["--device", device, "--dtype", &a.precision, "--run", run];
    arguments.extend([
        "--members",
        &members,
        "--starts",
        &starts,
        "--angles",
        &angles,
    ]);
    arguments.extend(["--clusters", "2", "--steps", "10"]);
    let report = peer.run("cluster_mei.py", &arguments)?;
    let of = |key: &str| {
        let value = report[key].as_f64();
        value.ok_or_else(|| format!("no {key} in {report}"))
    };
    let (step, circle) = (of("median_seconds_per_step")?, of("seconds_per_circle")?);
    Ok(Theirs {
        told: format!(
            "two clusters of {members}, one at a time: {step:.3} s a step, {circle:.1} s once around the circle; scaled to all"
        ),
        seconds_per_unit: step,
        units: |ours| ours["steps_of_last_starts"].as_f64().unwrap_or(f64::NAN),
        besides: circle * a.clusters as f64,
    })
}
