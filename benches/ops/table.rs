//! What was measured, in one table.

use crate::cases::Cost;
use crate::roof::Roof;
use striate::device::Precision;

/// One pass that was measured.
pub struct Row {
    pub group: String,
    pub name: String,
    pub pass: &'static str,
    pub precision: Precision,
    pub seconds: f64,
    pub cost: Cost,
}

impl Row {
    /// The least time that the roof allows over the time it took, in per cent.
    fn share(&self, roof: &Roof) -> String {
        // What the precision does not change is multiplied in float32.
        let precision = match self.cost.by_precision {
            true => self.precision,
            false => Precision::F32,
        };
        let moving = self.cost.bytes as f64 / roof.bytes_per_second;
        let multiplying = 2.0 * self.cost.products as f64 / roof.flops[precision as usize];
        format!("{:.0} %", 100.0 * moving.max(multiplying) / self.seconds)
    }
}

/// `rows` by case, after the roof.
pub fn print(title: &str, rows: &[Row], roof: Option<&Roof>) {
    if rows.is_empty() {
        return;
    }
    println!("\n{title}");
    if let Some(r) = roof {
        println!(
            "roof: copy {:.0} GB/s; products {:.2} (F32), {:.2} (Tf32), {:.2} (Bf16) TFLOP/s",
            r.bytes_per_second / 1e9,
            r.flops[0] / 1e12,
            r.flops[1] / 1e12,
            r.flops[2] / 1e12
        );
    }
    println!(
        "  {:<28} {:>5} {:>11} {:>9} {:>9} {:>6} {:>9}",
        "", "", "us", "GB/s", "GFLOP/s", "roof", "x plain"
    );
    let mut last = "";
    for row in rows {
        if row.name != last {
            println!("{}", row.name);
            last = &row.name;
        }
        let plain = rows
            .iter()
            .find(|r| r.group == row.group && r.pass == "forward, plain rung")
            .filter(|_| row.pass.starts_with("forward"))
            .map_or(String::new(), |p| format!("{:.1}", p.seconds / row.seconds));
        println!(
            "  {:<28} {:>5} {:>11.1} {:>9.1} {:>9.1} {:>6} {plain:>9}",
            row.pass,
            format!("{:?}", row.precision),
            1e6 * row.seconds,
            row.cost.bytes as f64 / row.seconds / 1e9,
            2.0 * row.cost.products as f64 / row.seconds / 1e9,
            roof.map_or(String::new(), |r| row.share(r)),
        );
    }
}
