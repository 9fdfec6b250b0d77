//! `striate info`

use super::Global;
use super::common::Report;
use striate::Result;
use striate::device::{Device, cuda};

pub fn run(global: &Global) -> Result<Report> {
    let device = Device::open(&global.device)?.describe();
    let version = env!("CARGO_PKG_VERSION");
    let kernels = match cuda::architectures() {
        Ok(names) => format!("for {names}"),
        Err(why) => format!("not in this build: {why}"),
    };
    let cards = match cuda::list() {
        Ok(cards) if cards.is_empty() => "none".to_string(),
        Ok(cards) => cards.join("; "),
        Err(why) => format!("none: the driver is {why}"),
    };
    let text = format!(
        "striate {version}\ndevice: {device}\nCUDA kernels: {kernels}\nCUDA cards: {cards}"
    );
    Ok(Report::new(text)
        .fact("version", version)
        .fact("device", device)
        .fact("cuda_kernels", kernels)
        .fact("cuda_cards", cards))
}
