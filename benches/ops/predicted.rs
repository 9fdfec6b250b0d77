//! What a model of a Hopper multiprocessor predicts for the standard model's sizes on 132 of them (`benches/runs/*-model`), to be
//! proven wrong by a card: it was never held against one.

use crate::table::Row;

/// What the model is held for: times from 15 % below to 35 % above it.
const TRUSTED: (f64, f64) = (0.85, 1.35);

struct Line {
    case: String,
    pass: String,
    precision: String,
    microseconds: f64,
}

fn lines() -> Vec<Line> {
    let mut reader = csv::Reader::from_reader(include_str!("predicted.csv").as_bytes());
    let lines = reader.records().map(|record| {
        let record = record.expect("predicted.csv is a table");
        Line {
            case: record[0].into(),
            pass: record[1].into(),
            precision: record[2].into(),
            microseconds: record[3].parse().expect("a number of microseconds"),
        }
    });
    lines.collect()
}

/// Every prediction beside what was measured.
pub fn print(rows: &[Row]) {
    let lines = lines();
    let (mut measured, mut held) = (0, 0);
    println!("\nPredicted by the model of the kernels' machine code");
    println!(
        "  {:<44} {:<30} {:>5} {:>11} {:>11} {:>6}",
        "", "", "", "us", "predicted", "ratio"
    );
    for line in &lines {
        let is_it = |row: &&Row| {
            let precision = format!("{:?}", row.precision).to_lowercase();
            (&row.name, row.pass, precision.as_str())
                == (&line.case, line.pass.as_str(), line.precision.as_str())
        };
        let found = rows.iter().find(is_it).map(|row| 1e6 * row.seconds);
        let ratio = found.map(|us| us / line.microseconds);
        let holds = ratio.is_some_and(|r| (TRUSTED.0..=TRUSTED.1).contains(&r));
        measured += usize::from(ratio.is_some());
        held += usize::from(holds);
        println!(
            "  {:<44} {:<30} {:>5} {:>11} {:>11.0} {:>6} {}",
            line.case,
            line.pass,
            line.precision,
            found.map_or("-".into(), |us| format!("{us:.0}")),
            line.microseconds,
            ratio.map_or(String::new(), |r| format!("{r:.2}")),
            if holds || ratio.is_none() {
                ""
            } else {
                "WRONG"
            },
        );
    }
    println!(
        "the model holds for {held} of {measured} passes (-15 % to +35 %); {} not measured",
        lines.len() - measured
    );
}
