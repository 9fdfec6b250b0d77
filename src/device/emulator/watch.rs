//! Launches of which every access to memory is looked at: races are faults, and what the accesses of warps cost is counted.

use super::super::precision::Precision;
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};

/// What the accesses of warps cost. An access is the k-th of one place in the code, by all lanes that come there between two
/// exchanges.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Of shared memory.
    pub shared_accesses: u64,
    /// What they take: a pass serves one word of each of 32 banks.
    pub shared_passes: u64,
    /// Of arguments.
    pub global_accesses: u64,
    /// What they touch of 32 bytes.
    pub global_sectors: u64,
    /// What they touch of 128 bytes.
    pub global_lines: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.shared_accesses += more.shared_accesses;
        self.shared_passes += more.shared_passes;
        self.global_accesses += more.global_accesses;
        self.global_sectors += more.global_sectors;
        self.global_lines += more.global_lines;
    }
}

/// As `watch.h` has it.
#[repr(C)]
pub(super) struct Watch {
    pointers: *const *mut u16,
    bytes: *const usize,
    count: usize,
    pub traffic: Traffic,
}

impl Watch {
    /// Of a launch with these pointers, to so many bytes each, which must outlive it.
    pub fn new(pointers: &[*mut u16], bytes: &[usize]) -> Self {
        assert_eq!(pointers.len(), bytes.len());
        Self {
            pointers: pointers.as_ptr(),
            bytes: bytes.as_ptr(),
            count: pointers.len(),
            traffic: Traffic::default(),
        }
    }
}

/// The traffic of kernels, by name and precision.
pub type Totals = BTreeMap<(&'static str, &'static str), Traffic>;

/// What all launches took so far.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Totals>);

impl Ledger {
    /// Adds one launch.
    pub fn add(&self, kernel: &'static str, precision: Precision, traffic: Traffic) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *totals.entry((kernel, precision.name())).or_default() += traffic;
    }

    /// All of them.
    pub fn totals(&self) -> Totals {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic;
    use crate::device::emulator::{Emulator, Order};
    use crate::device::kernels::planted_warpgroup;
    use crate::device::kernels::planted_watched::{self, *};
    use crate::device::{Device, Precision, View, ViewMut};

    const N: usize = planted_watched::WATCHED_THREADS;

    fn emulator() -> Emulator {
        Emulator::new(Order::Forward, Precision::F32).watched()
    }

    /// The fault after this, if there is one.
    fn fault(run: impl FnOnce(&Device)) -> Option<String> {
        let device = Device::Emulated(emulator());
        run(&device);
        device.check().err().map(|e| e.to_string())
    }

    #[track_caller]
    fn assert_race(found: Option<String>, wanted: bool, parts: &[&str]) {
        let Some(message) = found else {
            return assert!(!wanted, "no race was seen");
        };
        let parts = ["race on", ".cu:"].iter().chain(parts);
        let missing: Vec<_> = parts.filter(|p| !message.contains(**p)).collect();
        assert!(
            wanted && missing.is_empty(),
            "{message} (without {missing:?})"
        );
    }

    type OfOneArray = fn(&Device, [usize; 3], ViewMut<'_, f32>, usize);

    #[test]
    fn threads_that_nothing_orders_race_whatever_the_outcome() {
        let kernels: [(OfOneArray, &[bool]); 4] = [
            (watched_across_warps, &[true, false]),
            (watched_within_a_warp, &[true, true, false]),
            (watched_writes_too_early, &[true, false]),
            (watched_same_number, &[false, false, true]),
        ];
        for (kernel, races) in kernels {
            for (how, &race) in races.iter().enumerate() {
                let found = fault(|d| kernel(d, [1, 1, 1], d.zeros(&[N]).view_mut(), how));
                assert_race(
                    found,
                    race,
                    &["of shared memory: thread", "of block 0 writes it"],
                );
            }
        }
    }

    #[test]
    fn a_copy_writes_until_its_thread_has_waited() {
        for (how, race) in [true, false, true, false, true, false]
            .into_iter()
            .enumerate()
        {
            let found = fault(|d| {
                let (x, mut y) = (d.zeros(&[4 * N]), d.zeros(&[N]));
                watched_copies(d, [1, 1, 1], x.view(), y.view_mut(), how);
            });
            assert_race(found, race, &[]);
        }
    }

    #[test]
    fn a_product_reads_until_somebody_has_waited_for_it() {
        for (how, race) in [(1, false), (2, true)] {
            let emulator = Emulator::new(Order::Forward, Precision::Bf16);
            let d = Device::Emulated(emulator.as_hopper().watched());
            let (a, b) = (d.maps(&[64 * 64]), d.maps(&[64 * 128]));
            let mut y = d.zeros(&[64 * 96]);
            planted_warpgroup::planted_group_product(
                &d,
                [1, 1, 1],
                a.view(),
                b.view(),
                y.view_mut(),
                how,
            );
            let found = d.check().err().map(|e| e.to_string());
            let parts = [
                "race on",
                "before the wait for the product of planted_warpgroup.cu:",
            ];
            assert_race(found, race, &parts);
        }
    }

    #[test]
    fn blocks_of_a_launch_race() {
        for (how, race) in [false, true, true].into_iter().enumerate() {
            let found = fault(|d| {
                let (mut y, mut z) = (d.zeros(&[1]), d.zeros(&[3]));
                watched_blocks(d, [3, 1, 1], y.view_mut(), z.view_mut(), how);
            });
            assert_race(found, race, &["byte 0 of pointer 0", "writes it at"]);
        }
    }

    /// Of one launch of two warps.
    fn traffic(run: impl FnOnce(&Device)) -> Traffic {
        let emulator = emulator();
        let device = Device::Emulated(emulator.clone());
        run(&device);
        device.check().unwrap();
        emulator.traffic().into_values().next().unwrap()
    }

    #[test]
    fn passes_and_sectors_are_those_of_the_hardware() {
        type Watched = fn(&Device, [usize; 3], View<'_, f32>, ViewMut<'_, f32>, usize);
        let (word, four): ((Watched, usize), (Watched, usize)) =
            ((watched_words, 1), (watched_fours, 4));
        // What a lane takes, one of every so many, and what the loads of a warp then cost; its stores lie side by side.
        for ((kernel, words), stride, passes, sectors, lines) in [
            (word, 1, 1, 4, 1),
            (word, 2, 2, 8, 2),
            (word, 8, 8, 32, 8),
            (word, 32, 32, 32, 32),
            (word, 33, 1, 32, 32),
            (four, 1, 4, 16, 4),
            (four, 2, 8, 32, 8),
            (four, 8, 32, 32, 32),
        ] {
            let found = traffic(|d| {
                let (x, mut y) = (d.zeros(&[33 * words * N]), d.zeros(&[words * N]));
                kernel(d, [1, 1, 1], x.view(), y.view_mut(), stride);
            });
            let of_stores = words as u64;
            let wanted = Traffic {
                shared_accesses: 4,
                shared_passes: 4 * passes,
                global_accesses: 4,
                global_sectors: 2 * (sectors + 4 * of_stores),
                global_lines: 2 * (lines + of_stores),
            };
            assert_eq!(found, wanted, "{words} words of every {stride}");
        }
    }

    #[test]
    fn lanes_that_leave_out_an_access_do_not_mix_up_the_next() {
        let found = traffic(|d| {
            let (x, mut y) = (d.zeros(&[2 * N]), d.zeros(&[N]));
            watched_half_a_warp(d, [1, 1, 1], x.view(), y.view_mut());
        });
        assert_eq!((found.global_accesses, found.global_sectors), (6, 24));
    }
}
