//! `kernels/traffic.csv`: what the accesses of every kernel's warps cost, over the emulator's watched cases.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use striate::device::emulator::{Totals, Traffic};

/// Set to write the table anew.
const BLESS: &str = "STRIATE_BLESS";
const HEAD: &str =
    "kernel,precision,shared_accesses,shared_passes,global_accesses,global_sectors,global_lines";
/// Compilers differ a little in which accesses they merge.
const SLACK: f64 = 0.02;

/// Kernel and precision.
type Key = (String, String);

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What stands before the head, and the rows after it.
fn read(name: &str) -> (String, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path(name)).unwrap_or_default();
    let (notes, rows): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.starts_with('#'));
    let rows = rows.into_iter().skip(1);
    let rows = rows.map(|line| line.split(',').map(str::to_owned).collect());
    (notes.join("\n"), rows.collect())
}

/// The compiler, which chooses the accesses.
fn compiler() -> String {
    let name = std::env::var("CXX").unwrap_or("g++".into());
    let told = std::process::Command::new(&name)
        .arg("-dumpfullversion")
        .output();
    let version = told.map(|t| String::from_utf8_lossy(&t.stdout).trim().to_owned());
    format!("{name} {}", version.unwrap_or_default())
}

fn columns(t: &Traffic) -> [u64; 5] {
    [
        t.shared_accesses,
        t.shared_passes,
        t.global_accesses,
        t.global_sectors,
        t.global_lines,
    ]
}

/// That all kernels ran and that none took more, or much less, than the committed table says.
#[track_caller]
pub fn assert_committed(totals: &Totals) {
    let table = "kernels/traffic.csv";
    let (theirs, committed) = read(table);
    let own = format!("# counted as {} compiles", compiler());
    let found: BTreeMap<Key, [u64; 5]> = totals
        .iter()
        .map(|(&(kernel, precision), t)| ((kernel.into(), precision.into()), columns(t)))
        .collect();
    // Float32 stores no operands.
    let of_tensor_cores = ["readout_store_maps", "readout_store_mask"];
    let kernels: BTreeSet<Key> = (read("kernels/sass.csv").1.into_iter())
        .map(|row| (row[0].clone(), row[1].clone()))
        .filter(|(kernel, precision)| {
            precision != "f32" || !of_tensor_cores.contains(&kernel.as_str())
        })
        .collect();
    let unseen: Vec<&Key> = kernels.iter().filter(|k| !found.contains_key(k)).collect();
    assert!(
        unseen.is_empty(),
        "tests/cases/watched.rs runs no {unseen:?}"
    );
    if std::env::var_os(BLESS).is_some() {
        let mut text = format!("{own}\n{HEAD}\n");
        for ((kernel, precision), columns) in &found {
            let columns = columns.map(|n| n.to_string()).join(",");
            text += &format!("{kernel},{precision},{columns}\n");
        }
        return std::fs::write(path(table), text).unwrap();
    }
    if theirs != own {
        let told = format!("NOT COMPARED with {table}: that is \"{theirs}\", this \"{own}\"\n");
        // Not through the test's captured output: a check that is left out must be seen.
        return std::io::stderr().write_all(told.as_bytes()).unwrap();
    }
    let committed: BTreeMap<Key, Vec<u64>> = committed
        .into_iter()
        .map(|row| {
            let columns = row[2..].iter().map(|n| n.parse().unwrap());
            ((row[0].clone(), row[1].clone()), columns.collect())
        })
        .collect();
    let same = |key: &Key| match (found.get(key), committed.get(key)) {
        (Some(found), Some(committed)) => found.iter().zip(committed).all(|(&now, &then)| {
            let difference = now.abs_diff(then) as f64;
            difference <= SLACK * then as f64
        }),
        _ => false,
    };
    let keys: BTreeSet<&Key> = found.keys().chain(committed.keys()).collect();
    let differing: Vec<String> = keys
        .into_iter()
        .filter(|key| !same(key))
        .map(|key| {
            format!(
                "{key:?}: {:?}, was {:?}",
                found.get(key),
                committed.get(key)
            )
        })
        .collect();
    assert!(
        differing.is_empty(),
        "{table} is not what this build has ({HEAD}); look at it, then run `{BLESS}=1 cargo test --test emulator traffic`:\n{}",
        differing.join("\n")
    );
}
