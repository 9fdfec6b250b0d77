//! `striate info`

use super::Global;
use super::common::Report;
use striate::Result;
use striate::device::Device;

pub fn run(global: &Global) -> Result<Report> {
    let device = Device::open(&global.device)?.describe();
    let version = env!("CARGO_PKG_VERSION");
    let cuda = "not in this version";
    let text = format!("striate {version}\ndevice: {device}\nCUDA kernels: {cuda}");
    Ok(Report::new(text)
        .fact("version", version)
        .fact("device", device)
        .fact("cuda_kernels", cuda))
}
