//! Whether a card computes what the definitions say: every case of the one table at every precision, each twice for the same
//! bits, and a small fit beside the CPU's. Exit code 1 if anything differs.
//!
//!     cargo bench --bench parity -- [--device cuda] [--precision f32]

#[path = "../tests/cases/mod.rs"]
mod cases;
#[path = "../tests/common/mod.rs"]
mod common;

use cases::training::beside_the_cpu;
use std::process::ExitCode;
use striate::device::{Device, Precision};
use striate::model::config::CoreKind;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if !words.iter().any(|w| w == "--bench") {
        return ExitCode::SUCCESS;
    }
    let after = |flag: &str| {
        let at = words.iter().position(|w| w == flag)?;
        words.get(at + 1).map(String::as_str)
    };
    let device = match Device::open(after("--device").unwrap_or("cuda")) {
        Ok(device) => device,
        Err(e) => {
            println!("skipped: {e}");
            return ExitCode::SUCCESS;
        }
    };
    println!("device: {}", device.describe());
    let mut failed = 0;
    let only = after("--precision").map(str::to_lowercase);
    let wanted = |p: &Precision| {
        only.as_ref()
            .is_none_or(|only| format!("{p:?}").to_lowercase() == *only)
    };
    for precision in Precision::ALL.into_iter().filter(wanted) {
        let device = device.with_precision(precision);
        failed += at(&device, precision);
        for kind in [CoreKind::Convolutional, CoreKind::RotationEquivariant] {
            let found = beside_the_cpu(&device, kind);
            let fine = found.is_rounding(precision);
            failed += usize::from(!fine);
            println!(
                "{} ten steps of a small fit ({precision:?}, {kind:?}): losses within {:.1e} of the CPU's, rates within {:.1e}",
                verdict(fine),
                found.losses,
                found.rates
            );
        }
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn at(device: &Device, precision: Precision) -> usize {
    let (mut failed, mut count, mut worst) = (0, 0, 0.0f64);
    for case in cases::all() {
        let (first, second) = (case.run(device), case.run(device));
        if let Err(e) = device.check() {
            println!("FAILED {precision:?} {}: {e}", case.name);
            return failed + 1;
        }
        for (output, again) in first.iter().zip(&second) {
            let (error, most) = output.error(precision);
            let same = output.bits() == again.bits();
            let fine = error <= most && same;
            (count, failed) = (count + 1, failed + usize::from(!fine));
            worst = worst.max(error / most);
            if !fine {
                let bits = if same { "the same" } else { "OTHER" };
                println!(
                    "FAILED {precision:?} {}: {} is off by {error:.2e}, wanted at most {most:.0e}; {bits} bits again",
                    case.name, output.name
                );
            }
        }
    }
    println!(
        "{} {precision:?}: {count} outputs, {failed} failed, worst error {:.0} % of what is allowed, every one twice with the same bits",
        verdict(failed == 0),
        100.0 * worst
    );
    failed
}

fn verdict(fine: bool) -> &'static str {
    if fine { "ok    " } else { "FAILED" }
}
