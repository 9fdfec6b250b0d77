//! The kernels of `kernels/*.cu` as typed functions, and their machine code; written by `build.rs`.

#[cfg(feature = "emulator")]
use super::launch::Emulated;
use super::launch::Image;
use super::launch::{Arg, Kernel};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

#[cfg(test)]
mod tests {
    use super::{MISSING, RESOURCES};
    use std::path::Path;

    /// Set to write the table anew.
    const BLESS: &str = "STRIATE_BLESS";

    #[test]
    fn no_kernel_spills_and_the_committed_table_of_registers_is_current() {
        if let Some(why) = MISSING {
            println!("skipped: no machine code to look at: {why}");
            return;
        }
        for line in RESOURCES.lines().skip(1) {
            assert_eq!(line.split(',').nth(4), Some("0"), "spills: {line}");
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/resources.csv");
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, RESOURCES).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = RESOURCES
            .lines()
            .zip(committed.lines())
            .find(|(a, b)| a != b);
        assert!(
            committed == RESOURCES,
            "{} is not what this build has (first difference, build and file: {differs:?}); look at it, then run \
             `{BLESS}=1 cargo test --lib registers`",
            path.display()
        );
    }
}
