//! The kernels of `kernels/*.cu` as typed functions, and their machine code; written by `build.rs`.

use super::launch::Image;
use super::launch::{Arg, Kernel};
#[cfg(feature = "emulator")]
use super::launch::{Emulated, Entry};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

#[cfg(test)]
mod tests {
    use super::{KERNELS, MISSING, RESOURCES, SASS};
    use std::collections::HashMap;
    use std::path::Path;

    /// Set to write the tables anew.
    const BLESS: &str = "STRIATE_BLESS";

    /// The lines of a table by column, or none where this build has no machine code.
    fn rows(table: &str) -> Vec<HashMap<&str, &str>> {
        if let Some(why) = MISSING {
            println!("skipped: no machine code to look at: {why}");
            return Vec::new();
        }
        let mut lines = table.lines().map(|line| line.split(','));
        let columns: Vec<&str> = lines.next().unwrap().collect();
        lines
            .map(|line| columns.iter().copied().zip(line).collect())
            .collect()
    }

    fn number(row: &HashMap<&str, &str>, column: &str) -> usize {
        row[column].parse().unwrap()
    }

    #[track_caller]
    fn assert_committed(name: &str, built: &str) {
        if MISSING.is_some() {
            return;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, built).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = built.lines().zip(committed.lines()).find(|(a, b)| a != b);
        assert!(
            committed == built,
            "{} is not what this build has (first difference, build and file: {differs:?}); look at it, then run \
             `{BLESS}=1 cargo test --lib committed`",
            path.display()
        );
    }

    #[test]
    fn no_kernel_spills_and_the_committed_tables_are_current() {
        for row in rows(RESOURCES) {
            assert_eq!(row["spilled_bytes"], "0", "spills: {row:?}");
        }
        assert_committed("kernels/resources.csv", RESOURCES);
        assert_committed("kernels/sass.csv", SASS);
    }

    /// Bytes of shared memory of a multiprocessor.
    fn shared_memory(arch: &str) -> usize {
        match arch {
            "sm_80" => 164 << 10,
            _ => 228 << 10,
        }
    }

    #[test]
    fn as_many_blocks_fit_on_a_multiprocessor_as_the_launch_bounds_promise() {
        let kernels: HashMap<&str, _> = KERNELS.iter().map(|k| (k.name, k)).collect();
        for row in rows(RESOURCES) {
            let kernel = kernels[row["kernel"]];
            // Registers go to warps in blocks of 256; every block of threads takes 1 KiB more than it asks for.
            let registers = number(&row, "registers").next_multiple_of(8).max(8);
            let shared = number(&row, "shared_bytes") + 1024;
            let fit = (65_536 / (registers * kernel.threads))
                .min(shared_memory(row["arch"]) / shared)
                .min(2048 / kernel.threads);
            assert!(
                fit >= kernel.resident,
                "{fit} fit, {} promised: {row:?}",
                kernel.resident
            );
        }
    }

    #[test]
    fn machine_code_of_hopper_keeps_slow_instructions_out_of_its_products() {
        for row in rows(SASS) {
            assert_eq!(number(&row, "local_accesses"), 0, "{row:?}");
            assert_eq!(number(&row, "divisions_between_products"), 0, "{row:?}");
            // Operands from shared memory, not from other lanes.
            if row["precision"] == "f32" && row["kernel"].starts_with("group_conv_forward") {
                assert_eq!(number(&row, "shuffles"), 0, "{row:?}");
            }
            // Where all operands lie in memory as the products want them.
            let of_warpgroups = row["kernel"].starts_with("readout_warpgroup");
            if of_warpgroups || row["kernel"].starts_with("readout_tensor") {
                // Multiply-adds, of operands that no matrix load reads.
                let plain = row["precision"] == "f32";
                let by_warp = number(&row, "matrix_products") > 0;
                let by_group = number(&row, "warpgroup_products") > 0;
                assert_eq!(
                    (by_warp, by_group),
                    (!of_warpgroups && !plain, of_warpgroups),
                    "{row:?}"
                );
                let copies = number(&row, "global_to_shared") + number(&row, "boxes_to_shared");
                assert!(copies > 0, "{row:?}");
                let matrices = number(&row, "matrix_loads") > 0;
                assert!(of_warpgroups || plain || matrices, "{row:?}");
                assert_eq!(number(&row, "global_loads_2"), 0, "{row:?}");
            }
        }
    }
}
