//! Seconds for t-SNE of a population's bar codes, beside scikit-learn's and, where it is installed, openTSNE's in the
//! same run.
//!
//!     python3 -m venv target/peer && target/peer/bin/pip install scikit-learn openTSNE     # once
//!     cargo bench --bench embedding -- [--rows 13047] [--columns 128] [--python target/peer/bin/python] [--out FILE.json]
//!
//! Rows are 50 prototypes and noise, of unit length. Every program runs its defaults: perplexity 30, from the principal
//! components, on all threads. Divergences are each program's own; trustworthiness (5 neighbours) is ours, for all.

mod peers;

use clap::Parser;
use ndarray::{Array2, Ix2};
use peers::Peer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use striate::insilico::Watch;
use striate::population::embedding::{Settings, t_sne, trustworthiness};

type Failure = Box<dyn std::error::Error>;

const PROTOTYPES: usize = 50;
const NOISE: f32 = 0.8;
const NEIGHBOURS: usize = 5;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 13_047)]
    rows: usize,
    #[arg(long, default_value_t = 128)]
    columns: usize,
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
    let rows = bar_codes(a.rows, a.columns);
    let started = Instant::now();
    let ours = t_sne(rows.view(), &Settings::default(), &mut Watch::hidden())?;
    let seconds = started.elapsed().as_secs_f64();
    let trust = trustworthiness(rows.view(), ours.points.view(), NEIGHBOURS);
    println!(
        "{} x {}, {} threads",
        a.rows,
        a.columns,
        rayon::current_num_threads()
    );
    println!(
        "    striate {seconds:.1} s, divergence {:.4}, trustworthiness {trust:.4}",
        ours.divergence
    );
    let mut report = json!({
        "rows": a.rows,
        "columns": a.columns,
        "threads": rayon::current_num_threads(),
        "striate": { "seconds": seconds, "divergence": ours.divergence, "trustworthiness": trust },
    });
    if let Some(peer) = Peer::sklearn(&a.python) {
        let folder = tempfile::tempdir()?;
        striate::npy::write(&folder.path().join("rows.npy"), rows.view())?;
        let (path, threads) = (
            folder.path().display().to_string(),
            rayon::current_num_threads().to_string(),
        );
        let answer = peer.run("embedding.py", &[&path, "--threads", &threads])?;
        for theirs in answer.as_array().ok_or("no list of peers")? {
            let name = theirs["name"].as_str().ok_or("no name")?;
            let (points, _) = striate::npy::read(&folder.path().join(format!("{name}.npy")))?;
            let points = points.into_dimensionality::<Ix2>()?;
            let trust = trustworthiness(rows.view(), points.view(), NEIGHBOURS);
            let peer_seconds = theirs["seconds"].as_f64().ok_or("no seconds")?;
            println!(
                "    {name} {}: {peer_seconds:.1} s, divergence {}, trustworthiness {trust:.4}; striate is {:.1} times as fast",
                theirs["version"],
                theirs["divergence"],
                peer_seconds / seconds
            );
            report[name] = theirs.clone();
            report[name]["trustworthiness"] = trust.into();
            report[name]["ratio"] = (peer_seconds / seconds).into();
        }
    }
    if let Some(out) = &a.out {
        std::fs::write(out, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

/// Prototypes and noise, every row of length 1.
fn bar_codes(rows: usize, columns: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut normal =
        |n: usize| -> Vec<f32> { StandardNormal.sample_iter(&mut rng).take(n).collect() };
    let (prototypes, noise) = (normal(PROTOTYPES * columns), normal(rows * columns));
    let kinds: Vec<usize> = (0..rows).map(|_| rng.random_range(0..PROTOTYPES)).collect();
    let mut codes = Array2::from_shape_fn((rows, columns), |(i, c)| {
        prototypes[kinds[i] * columns + c] + NOISE * noise[i * columns + c]
    });
    for mut row in codes.rows_mut() {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row /= length;
    }
    codes
}
