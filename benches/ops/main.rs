//! Every case of the one table (`tests/cases`) for its speed, on any device, beside the device's roof: the sizes of the
//! standard model with the ladder of simpler kernels, then every op at the odd sizes that the tests check it at.
//!
//!     cargo bench --bench ops [-- FILTER]
//!     STRIATE_DEVICE=cuda STRIATE_ROOF=roof.json cargo bench --bench ops
//!
//! Criterion measures. The table at the end has, per pass and precision, the time, what must move and what is multiplied per
//! second (of the dense form, so that the orientation-Fourier form and the direct one compare at sight), the share of the
//! roof, and how many times as fast as the plainest rung of its group it is. The odd sizes are small: their times are mostly what
//! a call costs. The roof is a large copy and a large matrix product, measured: on a CPU here, on a card by
//! `benches/peers/roof.py`.

#[path = "../../tests/cases/mod.rs"]
mod cases;
#[path = "../../tests/common/mod.rs"]
mod common;
mod roof;
mod table;

use cases::standard::Standard;
use cases::{Case, Cost};
use criterion::{Criterion, SamplingMode};
use std::process::ExitCode;
use std::time::Duration;
use striate::device::{Device, Precision};
use table::Row;

/// How long a pass is measured for.
#[derive(Clone, Copy)]
struct Effort {
    warm_up: Duration,
    measurement: Duration,
}

fn main() -> ExitCode {
    if !std::env::args().any(|a| a == "--bench") {
        return ExitCode::SUCCESS;
    }
    let name = std::env::var("STRIATE_DEVICE").unwrap_or_else(|_| "cpu".into());
    let device = match Device::open(&name) {
        Ok(device) => device,
        Err(e) => {
            println!("FAILED: {e}");
            return ExitCode::FAILURE;
        }
    };
    println!("device: {}", device.describe());
    let on_cpu = matches!(device, Device::Cpu);
    let standard = match on_cpu {
        true => Standard {
            batch: 8,
            neurons: 500,
        },
        false => Standard {
            batch: 256,
            neurons: 6005,
        },
    };
    let milliseconds = Duration::from_millis;
    let long = Effort {
        warm_up: milliseconds(300),
        measurement: milliseconds(if on_cpu { 2000 } else { 500 }),
    };
    let short = Effort {
        warm_up: milliseconds(5),
        measurement: milliseconds(20),
    };
    let roof = roof::of(&device);
    let mut bench = Bench {
        criterion: Criterion::default().sample_size(10).configure_from_args(),
        rows: Vec::new(),
        without: Vec::new(),
    };
    let precisions = if on_cpu {
        &Precision::ALL[..1]
    } else {
        &Precision::ALL[..]
    };
    if matches!(device, Device::Emulated(_)) {
        println!("the emulator cannot see time: without the sizes of the standard model");
    } else {
        bench.measure(&device, &cases::standard::cases(standard), precisions, long);
    }
    // Told at once, should the rest be cut off.
    table::print("The standard model's sizes", &bench.rows, roof.as_ref());
    bench.rows.clear();
    bench.measure(&device, &cases::all(), precisions, short);
    bench.criterion.final_summary();
    table::print("Every case of the tests", &bench.rows, roof.as_ref());
    for name in &bench.without {
        println!("NOT MEASURED, for it says no pass: {name}");
    }
    if let Err(e) = device.check() {
        println!("FAILED: {e}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

struct Bench {
    criterion: Criterion,
    rows: Vec<Row>,
    /// Cases that say no pass.
    without: Vec<String>,
}

impl Bench {
    /// Every pass at the first precision, and those that it changes at the others.
    fn measure(
        &mut self,
        device: &Device,
        cases: &[Case],
        precisions: &[Precision],
        effort: Effort,
    ) {
        for case in cases {
            let mut changes = true;
            for (i, &precision) in precisions.iter().enumerate() {
                if changes {
                    let device = device.with_precision(precision);
                    changes = self.case(&device, case, i == 0, effort);
                }
            }
        }
    }

    /// Whether the precision changes any of the case's passes.
    fn case(&mut self, device: &Device, case: &Case, all: bool, effort: Effort) -> bool {
        let precision = device.precision();
        let mut group = (self.criterion).benchmark_group(format!("{}, {precision:?}", case.name));
        group
            .warm_up_time(effort.warm_up)
            .measurement_time(effort.measurement)
            .sampling_mode(SamplingMode::Flat)
            .nresamples(1001);
        let (mut changes, rows) = (false, &mut self.rows);
        let mut clock = |pass: &'static str, cost: Cost, run: &mut dyn FnMut()| {
            changes |= cost.by_precision;
            if !all && !cost.by_precision {
                return;
            }
            let mut best = f64::INFINITY;
            group.bench_function(pass, |b| {
                b.iter_custom(|repeats| {
                    let start = device.mark();
                    for _ in 0..repeats {
                        run();
                    }
                    let seconds = start.seconds_until(&device.mark());
                    best = best.min(seconds / repeats as f64);
                    Duration::from_secs_f64(seconds.max(1e-9))
                });
            });
            // A pass that the filter leaves out was not run.
            if best.is_finite() {
                rows.push(Row {
                    group: case.group.clone(),
                    name: case.name.clone(),
                    pass,
                    precision,
                    seconds: best,
                    cost,
                });
            }
        };
        if case.measure(device, &mut clock) == 0 {
            self.without.push(case.name.clone());
        }
        group.finish();
        changes
    }
}
