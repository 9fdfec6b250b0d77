//! What a device can hold, so that an impossible size costs one message and not an abort.

use super::Device;
use crate::{Error, Result};

impl Device {
    /// Refuses what this device could not hold even if it were empty.
    ///
    /// # Errors
    /// Names what wants the memory, the bytes wanted and the bytes there are.
    pub fn require(&self, what: &str, bytes: u128) -> Result<()> {
        let most = match self {
            Self::Cuda(cuda) => cuda.memory().map(|(free, _)| free as u64),
            _ => host(),
        };
        match most {
            Some(most) if bytes > u128::from(most) => {
                let whose = match self {
                    Self::Cuda(_) => "what the card has free",
                    _ => "what this machine has",
                };
                let wanted = format!("at most {most}: {whose}");
                Err(Error::bad(
                    what,
                    "the memory it takes",
                    format!("{bytes} bytes"),
                    wanted,
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of this machine's memory, or of the share that its control group grants; unknown where there is no Linux.
fn host() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let total = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .ok()?
        * 1024;
    let granted = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let granted = granted.and_then(|g| g.trim().parse::<u64>().ok());
    Some(granted.map_or(total, |g| g.min(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_holds_is_refused_with_the_bytes_wanted() {
        Device::Cpu.require("a model", 1 << 20).unwrap();
        if host().is_some() {
            let message = Device::Cpu
                .require("a model", 1 << 100)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("1267650600228229401496703205376 bytes"),
                "{message}"
            );
        }
    }
}
