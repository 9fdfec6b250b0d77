//! `kernels/step.csv`: what a step of the standard model asks of a card with 132 multiprocessors, and how full its waves are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use striate::device::emulator::Launched;
use striate::device::{MULTIPROCESSORS, Precision};

/// Set to write the table anew.
const BLESS: &str = "STRIATE_BLESS";
const HEAD: &str = "step,window,kernel,precision,launches,blocks,at_once,waves,full_percent";
/// Their blocks last, beside those that have matrix products.
const SUMS: [&str; 2] = ["norm_statistics_slices", "norm_backward_slices"];
/// Of a multiprocessor: registers, bytes of shared memory, threads, blocks.
const ROOM: [usize; 4] = [65_536, 228 << 10, 2048, 32];
/// All waves together, in percent.
const LEAST_FULL: f64 = 90.0;

/// Launches of one kernel with one number of blocks.
pub struct Row {
    text: String,
    kernel: &'static str,
    waves: f64,
    full: f64,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// By kernel and precision what a block takes of a multiprocessor of Hopper: registers of a thread, bytes of shared memory.
fn resources() -> HashMap<(String, String), [usize; 2]> {
    let text = std::fs::read_to_string(path("kernels/resources.csv")).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split(',').collect());
    let rows = rows.filter(|row: &Vec<_>| row[2].starts_with("sm_90"));
    let number = |text: &str| text.parse().unwrap();
    rows.map(|row| {
        (
            (row[0].into(), row[1].into()),
            [number(row[3]), number(row[5])],
        )
    })
    .collect()
}

/// Of a step at this precision, through windows of so many pixels or (0) whole masks.
pub fn rows(precision: Precision, window: usize, launched: &[Launched]) -> Vec<Row> {
    let mut counts: BTreeMap<Launched, usize> = BTreeMap::new();
    for &launch in launched {
        *counts.entry(launch).or_default() += 1;
    }
    let resources = resources();
    let row = |(l, count): (Launched, usize)| {
        let [registers, shared] = resources[&(l.kernel.into(), l.precision.into())];
        // Registers go to warps in blocks of 256; every block of threads takes 1 KiB more than it asks for.
        let registers = registers.next_multiple_of(8).max(8) * l.threads;
        let at_once = (ROOM[0] / registers).min(ROOM[1] / (shared + 1024));
        let at_once = at_once.min(ROOM[2] / l.threads).min(ROOM[3]);
        let waves = l.blocks as f64 / (MULTIPROCESSORS * at_once) as f64;
        let full = 100.0 * waves / waves.ceil();
        let name = format!("{},{window},{},{}", precision.name(), l.kernel, l.precision);
        let text = format!("{name},{count},{},{at_once},{waves:.2},{full:.0}", l.blocks);
        Row {
            text,
            kernel: l.kernel,
            waves,
            full,
        }
    };
    counts.into_iter().map(row).collect()
}

/// Kernels whose blocks last: where many short ones follow each other, a last wave does not matter.
fn lasting() -> BTreeSet<String> {
    let text = std::fs::read_to_string(path("kernels/sass.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name| head.iter().position(|c| *c == name).unwrap();
    let products = ["matrix_products", "warpgroup_products"].map(column);
    let with_products = lines.filter(|row| products.iter().any(|&c| row[c] != "0"));
    let names = with_products.map(|row| row[0].to_owned());
    names.chain(SUMS.map(str::to_owned)).collect()
}

/// That the table is the committed one, and that no launch of more than one wave of blocks that last leaves much of its last one empty.
#[track_caller]
pub fn assert_committed(rows: &[Row]) {
    let path = path("kernels/step.csv");
    let lines = rows.iter().map(|row| row.text.as_str());
    let built: String = std::iter::once(HEAD)
        .chain(lines)
        .map(|line| format!("{line}\n"))
        .collect();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &built).unwrap();
    }
    let lasting = lasting();
    let empty: Vec<_> = (rows.iter())
        .filter(|row| lasting.contains(row.kernel) && row.waves > 1.0 && row.full < LEAST_FULL)
        .map(|row| &row.text)
        .collect();
    assert!(empty.is_empty(), "waves with room left: {empty:#?}");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = built.lines().zip(committed.lines()).find(|(a, b)| a != b);
    assert!(
        built == committed,
        "{} is not what this build asks for (first difference, build and file: {differs:?}); look at it, then run \
         `{BLESS}=1 cargo test --test emulator step`",
        path.display()
    );
}
