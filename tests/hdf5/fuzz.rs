//! Files that are damaged in ways that nobody thought of: one clear error or a recording, no panic, and no more memory than the
//! file's size allows.

use crate::{fixture, layouts, nwb};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use striate::hdf5::File;
use striate::recording::import;

/// Remembers the largest piece of memory that anything has asked for.
struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Damages a file in one to four places.
fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..8) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes[at] = [0, 1, 2, 127, 128, 255][random.random_range(0..6)],
            // A length or an address.
            3 | 4 => {
                let length = bytes.len() as u64;
                let words = [
                    0,
                    u64::MAX,
                    1 << 31,
                    1 << 40,
                    1 << 62,
                    length,
                    length - 1,
                    at as u64,
                ];
                let word = words[random.random_range(0..8)].to_le_bytes();
                let at = at & !7;
                let end = bytes
                    .len()
                    .min(at + [1, 2, 4, 8][random.random_range(0..4)]);
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
            5 => {
                let from = random.random_range(0..bytes.len());
                let count = random.random_range(1..64).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + count, at);
            }
            6 if random.random_range(0..4) == 0 => bytes.truncate(at.max(1)),
            _ => {
                let end = bytes.len().min(at + random.random_range(1..32));
                bytes[at..end].fill(0);
            }
        }
    }
}

/// Reads all that there is.
fn read(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    let _ = file.attributes("/");
    for listed in file.list().unwrap_or_default() {
        let Ok(Some(dataset)) = file.find(&listed.path) else {
            continue;
        };
        let _ = dataset.attributes();
        let _ = dataset.cells();
        let _ = file.words(&dataset);
        let _ = dataset.numbers::<f32>();
        let few: Vec<_> = dataset.shape().iter().map(|n| n / 2..*n).collect();
        let _ = dataset.read::<f64>(&few, &mut Vec::new());
    }
}

fn attack(names: &[&str], cases: u64, import: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for name in names {
        let sound = std::fs::read(fixture(name)).unwrap();
        for seed in 0..cases {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut bytes = sound.clone();
            damage(&mut bytes, &mut random);
            std::fs::write(&path, &bytes).unwrap();
            LARGEST.store(0, Ordering::Relaxed);
            read(&path);
            import(&path);
            let largest = LARGEST.load(Ordering::Relaxed);
            let most = 1032 * bytes.len() + (1 << 24);
            assert!(
                largest <= most,
                "{name}, seed {seed}: {largest} bytes at once, wanted at most {most}"
            );
        }
    }
}

#[test]
fn damaged_hdf5_files_are_refused_or_read() {
    let names = [
        "static.h5",
        "csi-train.h5",
        "openretina.h5",
        "types-latest.h5",
        "types-earliest.h5",
    ];
    attack(&names, 60, |path| {
        let _ = import::hdf5(
            &[path.to_path_buf()],
            None,
            &layouts::options(),
            &mut |_, _, _| Ok(()),
        );
    });
    attack(&["matlab.mat"], 60, |path| {
        let by = import::Hdf5 {
            tiers: Some("/tiers".into()),
            ..layouts::paths("/imgs", "/resp")
        };
        let _ = import::hdf5(&[path.to_path_buf()], None, &by, &mut |_, _, _| Ok(()));
    });
}

#[test]
fn damaged_nwb_files_are_refused_or_read() {
    attack(&["units.nwb", "rois.nwb", "allen1.nwb"], 60, |path| {
        let _ = import::offers(path);
        let _ = import::nwb(path, None, &nwb::options("0.125-0.25"), &mut |_, _, _| {
            Ok(())
        });
    });
}

#[test]
fn files_that_end_early_are_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for name in ["static.h5", "csi-train.h5"] {
        let sound = std::fs::read(fixture(name)).unwrap();
        for length in (0..sound.len()).step_by(61) {
            std::fs::write(&path, &sound[..length]).unwrap();
            read(&path);
            let sources = [path.clone()];
            let told = import::hdf5(&sources, None, &layouts::options(), &mut |_, _, _| Ok(()));
            if let Err(e) = told {
                let told = e.to_string();
                assert!(
                    told.contains("file") && !told.contains('\n'),
                    "{name} of {length} bytes: {told}"
                );
            }
        }
    }
}
