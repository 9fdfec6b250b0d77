//! Every case of the one table (`tests/cases`) for its speed, on any device, beside the device's roof: the sizes of the
//! standard model with the ladder of simpler kernels, then every op at the odd sizes that the tests check it at.
//!
//!     cargo bench --bench ops [-- FILTER]
//!     STRIATE_DEVICE=cuda STRIATE_ROOF=roof.json cargo bench --bench ops
//!     STRIATE_DEVICE=cuda STRIATE_CASES=standard cargo bench --bench ops
//!
//! With `STRIATE_CASES=standard` only the standard model's sizes are measured, without the ladder, at bf16 and tf32, in half a minute on
//! a card, beside what is predicted for them (`predicted.csv`).
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
mod predicted;
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
    let is_quick = match std::env::var("STRIATE_CASES").as_deref() {
        Err(_) => false,
        Ok("standard") => true,
        Ok(other) => {
            println!("FAILED: STRIATE_CASES is {other:?}, wanted \"standard\" or nothing");
            return ExitCode::FAILURE;
        }
    };
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
        without_ladder: false,
    };
    let precisions = match (on_cpu, is_quick) {
        (true, _) => &[Precision::F32][..],
        (false, true) => &[Precision::Bf16, Precision::Tf32],
        (false, false) => &Precision::ALL,
    };
    let is_emulated = matches!(device, Device::Emulated(_));
    if is_emulated {
        println!("the emulator cannot see time: without the sizes of the standard model");
    }
    if is_quick && !is_emulated {
        let effort = Effort {
            warm_up: milliseconds(40),
            measurement: milliseconds(120),
        };
        bench.without_ladder = true;
        bench.measure(
            &device,
            &cases::standard::cases(standard),
            precisions,
            effort,
        );
        table::print("The standard model's sizes", &bench.rows, roof.as_ref());
        predicted::print(&bench.rows);
        return bench.end(&device);
    }
    if !is_emulated {
        bench.measure(&device, &cases::standard::cases(standard), precisions, long);
    }
    // Told at once, should the rest be cut off.
    table::print("The standard model's sizes", &bench.rows, roof.as_ref());
    bench.rows.clear();
    bench.measure(&device, &cases::all(), precisions, short);
    bench.criterion.final_summary();
    table::print("Every case of the tests", &bench.rows, roof.as_ref());
    bench.end(&device)
}

struct Bench {
    criterion: Criterion,
    rows: Vec<Row>,
    /// Cases that say no pass.
    without: Vec<String>,
    without_ladder: bool,
}

impl Bench {
    /// Says what was not measured, and whether the device still works.
    fn end(&self, device: &Device) -> ExitCode {
        for name in &self.without {
            println!("NOT MEASURED, for it says no pass: {name}");
        }
        if let Err(e) = device.check() {
            println!("FAILED: {e}");
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }

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
        let is_ladder_left_out = self.without_ladder;
        let mut clock = |pass: &'static str, cost: Cost, run: &mut dyn FnMut()| {
            changes |= cost.by_precision;
            let is_left_out = is_ladder_left_out && pass.ends_with("rung");
            if is_left_out || (!all && !cost.by_precision) {
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
