//! Seconds for k-means of a population's bar codes, beside scikit-learn's KMeans in the same run on the same rows.
//!
//!     python3 -m venv target/peer && target/peer/bin/pip install scikit-learn     # once
//!     cargo bench --bench clusters -- [--rows 13047] [--width 128] [--clusters 50] [--restarts 10] [--noise 1]
//!         [--python target/peer/bin/python] [--device cpu] [--out FILE.json]
//!
//! Rows are planted: prototypes of length 1 and of unequal frequency, noise of that length, and each row to length 1 again. Both
//! seed themselves by k-means++ with the same number of candidates; scikit-learn stops a run by its tolerance, striate when no row
//! moves. Lower inertia is better.

mod peers;

use clap::Parser;
use ndarray::Array2;
use peers::Peer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use striate::device::Device;
use striate::insilico::Watch;
use striate::population::clusters::{Settings, adjusted_rand, k_means};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 13_047)]
    rows: usize,
    #[arg(long, default_value_t = 128)]
    width: usize,
    #[arg(long, default_value_t = Settings::default().clusters)]
    clusters: usize,
    #[arg(long, default_value_t = Settings::default().restarts)]
    restarts: usize,
    /// Length of the noise beside prototypes of length 1.
    #[arg(long, default_value_t = 1.0)]
    noise: f64,
    #[arg(long, default_value = "target/peer/bin/python")]
    python: PathBuf,
    #[arg(long, default_value = "cpu")]
    device: String,
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
    let device = Device::open(&a.device)?;
    let (rows, truth) = planted(&a);
    let settings = Settings {
        clusters: a.clusters,
        restarts: a.restarts,
        ..Settings::default()
    };
    let started = Instant::now();
    let found = k_means(&device, rows.view(), &settings, &mut Watch::hidden())?;
    let ours = started.elapsed().as_secs_f64();
    let index = adjusted_rand(&found.labels, &truth)?;
    println!(
        "{} x {}, {} clusters, {} restarts, noise {}, {}: striate {ours:.2} s, inertia {:.2}, adjusted Rand index with the planted {index:.3}",
        a.rows,
        a.width,
        a.clusters,
        a.restarts,
        a.noise,
        device.describe(),
        found.inertia
    );
    let mut report = json!({
        "rows": a.rows,
        "width": a.width,
        "clusters": a.clusters,
        "restarts": a.restarts,
        "noise": a.noise,
        "device": device.describe(),
        "threads": rayon::current_num_threads(),
        "striate_seconds": ours,
        "striate_inertia": found.inertia,
        "striate_index": index,
    });
    if let Some(peer) = Peer::sklearn(&a.python) {
        let theirs = beside(&a, &peer, &rows)?;
        compare(&theirs, &truth, &mut report)?;
    }
    if let Some(out) = &a.out {
        std::fs::write(out, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

fn compare(theirs: &Value, truth: &[usize], report: &mut Value) -> Result<(), Failure> {
    let number = |v: &Value, name: &str| v[name].as_f64().ok_or(format!("no {name}"));
    let (seconds, inertia) = (number(theirs, "seconds")?, number(theirs, "inertia")?);
    let labels: Vec<usize> = serde_json::from_value(theirs["labels"].clone())?;
    let index = adjusted_rand(&labels, truth)?;
    let ratio = seconds / number(report, "striate_seconds")?;
    let more = number(report, "striate_inertia")? / inertia - 1.0;
    println!(
        "    scikit-learn {}: {seconds:.2} s, inertia {inertia:.2}, index {index:.3}; striate is {ratio:.1} times as fast, its inertia {:+.2} %",
        theirs["version"].as_str().unwrap_or_default(),
        100.0 * more
    );
    report["peer_version"] = theirs["version"].clone();
    report["peer_seconds"] = seconds.into();
    report["peer_inertia"] = inertia.into();
    report["peer_index"] = index.into();
    report["peer_processor_seconds"] = theirs["processor_seconds"].clone();
    report["ratio"] = ratio.into();
    report["inertia_ratio"] = (1.0 + more).into();
    Ok(())
}

fn beside(a: &Arguments, peer: &Peer, rows: &Array2<f32>) -> Result<Value, Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rows.npy");
    striate::npy::write(&file, rows.view())?;
    let [clusters, restarts, threads] =
        [a.clusters, a.restarts, rayon::current_num_threads()].map(|n| n.to_string());
    let file = file.display().to_string();
    Ok(peer.run(
        "clusters.py",
        &[
            &file,
            "--clusters",
            &clusters,
            "--restarts",
            &restarts,
            "--threads",
            &threads,
        ],
    )?)
}

/// Rows and the prototype of each.
fn planted(a: &Arguments) -> (Array2<f32>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut unit = |length: f64| -> Vec<f64> {
        let v: Vec<f64> = StandardNormal.sample_iter(&mut rng).take(a.width).collect();
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter().map(|v| v * length / norm).collect()
    };
    let prototypes: Vec<Vec<f64>> = (0..a.clusters).map(|_| unit(1.0)).collect();
    let noise: Vec<Vec<f64>> = (0..a.rows).map(|_| unit(a.noise)).collect();
    // From one to ten shares of the rows.
    let shares: Vec<f64> = (0..a.clusters)
        .map(|_| rng.random_range(1.0..10.0))
        .collect();
    let total: f64 = shares.iter().sum();
    let mut labels = Vec::with_capacity(a.rows);
    let mut rows = Array2::zeros((a.rows, a.width));
    for (mut row, noise) in rows.outer_iter_mut().zip(noise) {
        let mut at = rng.random::<f64>() * total;
        let within = |share: &f64| {
            at -= share;
            at < 0.0
        };
        let label = shares.iter().position(within).unwrap_or(a.clusters - 1);
        let sum: Vec<f64> = noise
            .iter()
            .zip(&prototypes[label])
            .map(|(n, p)| n + p)
            .collect();
        let norm = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut()
            .zip(sum)
            .for_each(|(to, v)| *to = (v / norm) as f32);
        labels.push(label);
    }
    (rows, labels)
}
