//! What a device can hold, so that an impossible size costs one message and not an abort.

use super::Device;
use crate::{Error, Result};
use std::path::Path;

impl Device {
    /// Bytes that this process may have of its memory: of a card what is free; unknown where nothing tells.
    pub fn memory(&self) -> Option<u64> {
        match self {
            Self::Cuda(cuda) => cuda.memory().map(|(free, _)| free as u64),
            _ => host(),
        }
    }

    /// Refuses what this device could not hold even if it were empty.
    ///
    /// # Errors
    /// Names what wants the memory, the bytes wanted and the bytes there are.
    pub fn require(&self, what: &str, bytes: u128) -> Result<()> {
        match self.memory() {
            Some(most) if bytes > u128::from(most) => {
                let whose = match self {
                    Self::Cuda(_) => "what the card has free",
                    _ => "what this process may have",
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

/// Bytes of memory that this process may have: of the machine, or less where its own limits or those of its control groups
/// say so; unknown where there is no Linux.
fn host() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let total = first_number(line)? * 1024;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let granted = of_groups(&groups, Path::new("/sys/fs/cgroup"));
    let all = of_process(&limits).into_iter().chain(granted);
    Some(all.fold(total, u64::min))
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().find_map(|word| word.parse().ok())
}

/// The smaller soft limit of address space and data, as `ulimit -v` and `-d` set them.
fn of_process(limits: &str) -> Option<u64> {
    let of = |name: &str| limits.lines().find_map(|l| l.strip_prefix(name));
    let soft = |rest: &str| rest.split_whitespace().next()?.parse::<u64>().ok();
    ["Max address space", "Max data size"]
        .into_iter()
        .filter_map(|name| of(name).and_then(soft))
        .min()
}

/// The smallest grant of a process's control groups (`/proc/self/cgroup`) and of all that they lie in, in both versions.
fn of_groups(groups: &str, mounted: &Path) -> Option<u64> {
    let mut grants = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match kinds {
            "" => (mounted.to_path_buf(), "memory.max"),
            k if k.split(',').any(|k| k == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let own = root.join(path.trim_start_matches('/'));
        let inside = own.ancestors().take_while(|p| p.starts_with(&root));
        let files = inside.map(|p| p.join(file));
        // In a container the group's own path may not be there, and the root is the group.
        grants.extend(files.filter_map(|f| {
            let text = std::fs::read_to_string(f).ok()?;
            text.trim().parse::<u64>().ok()
        }));
    }
    grants.into_iter().min()
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

    #[test]
    fn limits_of_the_process_count() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax data size             unlimited  unlimited  bytes\n\
                      Max address space         3221225472  unlimited  bytes\n";
        assert_eq!(of_process(limits), Some(3 << 30));
        assert_eq!(
            of_process("Max address space  unlimited  unlimited  bytes"),
            None
        );
    }

    #[test]
    fn the_smallest_of_nested_groups_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("job/step/memory.max", "max\n");
        write("job/memory.max", "2000\n");
        write("memory/slurm/task/memory.limit_in_bytes", "9000\n");
        write("memory/memory.limit_in_bytes", "5000\n");
        let of = |groups| of_groups(groups, folder.path());
        assert_eq!(of("0::/job/step\n"), Some(2000));
        assert_eq!(of("4:cpu,memory:/slurm/task\n3:cpu:/x\n"), Some(5000));
        assert_eq!(of("0::/elsewhere\n"), None);
    }
}
