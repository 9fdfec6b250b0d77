//! Whether a card computes what the definitions say: every case of the one table at every precision, each twice for the same
//! bits, and fits, small and of the standard size, beside the CPU's. Exit code 1 if anything differs.
//!
//!     cargo bench --bench parity -- [--device cuda] [--precision f32] [--from 0]
//!
//! A fault of a card is the end of what uses it, so the checks run in another process, and after one that faults, dies or hangs
//! in yet another from the next check on. With --from they run in this one, to be watched by a tool.

#[path = "../tests/cases/mod.rs"]
mod cases;
#[path = "../tests/common/mod.rs"]
mod common;

use cases::Case;
use cases::training::Fit;
use clap::Parser;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use striate::device::{Device, Precision};
use striate::model::config::CoreKind;

/// Before each check, its number among all of its precision.
const NEXT: &str = "check ";
/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value = "cuda")]
    device: String,
    /// One precision alone: f32, tf32 or bf16.
    #[arg(long)]
    precision: Option<String>,
    /// In this process, from this check on.
    #[arg(long)]
    from: Option<usize>,
    /// The cases alone, without the fits.
    #[arg(long)]
    cases: bool,
    /// Cargo says that this is a bench.
    #[arg(long)]
    bench: bool,
}

fn main() -> ExitCode {
    let a = Arguments::parse();
    if !a.bench {
        return ExitCode::SUCCESS;
    }
    let precisions = Precision::ALL
        .into_iter()
        .filter(|p| a.precision.as_ref().is_none_or(|only| *only == name(*p)));
    let failed: usize = precisions
        .map(|precision| match a.from {
            Some(from) => here(&a, precision, from),
            None => apart(&a, precision),
        })
        .sum();
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// As configurations have it.
fn name(precision: Precision) -> String {
    format!("{precision:?}").to_lowercase()
}

/// All checks of a precision in other processes; how many failed.
fn apart(a: &Arguments, precision: Precision) -> usize {
    let (mut from, mut failed) = (0, 0);
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--bench", "--device", &a.device])
            .args(["--precision", &name(precision)])
            .args(["--from", &from.to_string()])
            .args(a.cases.then_some("--cases"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (line_is_there, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut told = output.lines().map_while(Result::ok);
            told.all(|line| line_is_there.send(line).is_ok())
        });
        let mut last = None;
        let hangs = loop {
            match lines.recv_timeout(PATIENCE) {
                Err(mpsc::RecvTimeoutError::Timeout) => break true,
                Err(mpsc::RecvTimeoutError::Disconnected) => break false,
                Ok(line) => match line.strip_prefix(NEXT) {
                    Some(check) => last = Some(check.to_owned()),
                    // The child's own sum.
                    None if line.ends_with(" failed") => {}
                    None => {
                        failed += usize::from(line.starts_with("FAILED"));
                        println!("{line}");
                    }
                },
            }
        };
        if hangs {
            let _ = child.kill();
        }
        let status = child.wait().unwrap();
        // Everything was checked.
        if !hangs && matches!(status.code(), Some(0 | 1)) {
            return failed;
        }
        failed += 1;
        let how = match hangs {
            true => format!("took more than {} s", PATIENCE.as_secs()),
            false => format!("ended the process ({status})"),
        };
        println!(
            "FAILED {precision:?} {}: {how}",
            last.as_deref().unwrap_or("before the first check")
        );
        let number = last.and_then(|l| l.split(' ').next()?.parse::<usize>().ok());
        match number {
            Some(number) => from = number + 1,
            None => return failed,
        }
    }
}

/// Checks of a precision from one on, in this process; how many failed. A fault ends the process.
fn here(a: &Arguments, precision: Precision, from: usize) -> usize {
    let device = match Device::open(&a.device) {
        Ok(device) => device.with_precision(precision),
        Err(e) => {
            println!("FAILED: {e}");
            return 1;
        }
    };
    if from == 0 {
        println!("device: {}", device.describe());
    }
    let mut checks = Checks {
        device,
        precision,
        failed: 0,
        outputs: 0,
        worst: 0.0,
    };
    let cases = cases::all();
    for (i, case) in cases.iter().enumerate().skip(from) {
        println!("{NEXT}{i} {}", case.name);
        checks.case(case);
    }
    if checks.outputs > 0 {
        println!(
            "{} {precision:?}: {} outputs, {} wrong, worst error {:.0} % of what is allowed, every one twice for the same bits",
            if checks.failed == 0 {
                verdict(true)
            } else {
                "      "
            },
            checks.outputs,
            checks.failed,
            100.0 * checks.worst
        );
    }
    if a.cases {
        return checks.failed;
    }
    let fits = [
        ("a small plain fit", Fit::small(CoreKind::Convolutional)),
        ("a small fit", Fit::small(CoreKind::RotationEquivariant)),
        ("a small Kindel fit", Fit::small(CoreKind::Kindel)),
        ("a small linear fit", Fit::small(CoreKind::Linear)),
        ("a fit of the standard size", Fit::standard(256, 6005)),
    ];
    for (i, (name, fit)) in (cases.len()..).zip(&fits).skip_while(|(i, _)| *i < from) {
        println!("{NEXT}{i} {name}");
        checks.fit(name, fit);
    }
    checks.failed
}

struct Checks {
    device: Device,
    precision: Precision,
    failed: usize,
    outputs: usize,
    worst: f64,
}

impl Checks {
    fn case(&mut self, case: &Case) {
        let (first, second) = (case.run(&self.device), case.run(&self.device));
        if let Err(e) = self.device.check() {
            println!("fault of the card: {e}");
            std::process::exit(3);
        }
        for (output, again) in first.iter().zip(&second) {
            let (error, most) = output.error(self.precision);
            let same = output.bits() == again.bits();
            let fine = error <= most && same;
            self.outputs += 1;
            self.worst = self.worst.max(error / most);
            if !fine {
                self.failed += 1;
                println!(
                    "FAILED {:?} {}: {} is off by {error:.2e}, wanted at most {most:.0e}; {} bits again",
                    self.precision,
                    case.name,
                    output.name,
                    if same { "the same" } else { "OTHER" }
                );
            }
        }
    }

    fn fit(&mut self, name: &str, fit: &Fit) {
        let found = fit.beside_the_cpu(&self.device);
        let same = fit.repeats(&self.device);
        let fine = found.is_rounding(self.precision) && same;
        self.failed += usize::from(!fine);
        println!(
            "{} {:?} {name}: losses within {:.1e} of the CPU's, rates within {:.1e}; {} bits again",
            verdict(fine),
            self.precision,
            found.losses,
            found.rates,
            if same { "the same" } else { "OTHER" }
        );
    }
}

fn verdict(fine: bool) -> &'static str {
    if fine { "ok    " } else { "FAILED" }
}
