//! Files with something wrong in them, made from whole ones: no panic, no memory beyond what the file's size explains, and one
//! sentence of what is wrong.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use striate::matlab::{Class, File};
use striate::npy::{Archive, Rows, Stored, Whole};

/// Counts what this thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn held(by: isize) {
    // Not there any more while a thread ends.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + by);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: hands everything on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        held(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        held(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a file of so many bytes may cost: buffers, and what deflate can make of them, as numbers and as words.
fn bound(bytes: usize) -> isize {
    (1 << 22) + (bytes * 1032 * 64) as isize
}

/// What of a file is changed.
fn mutated(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..7) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at] = random.random(),
            // Lengths, types and flags are words of four bytes.
            3 | 4 => {
                let at = at / 4 * 4;
                let odd = [
                    0,
                    1,
                    7,
                    8,
                    14,
                    15,
                    0xff,
                    0x7fff_ffff,
                    0x8000_0000,
                    u32::MAX,
                    0x0001_0001,
                ];
                let word: u32 = odd[random.random_range(0..odd.len())];
                if let Some(four) = bytes.get_mut(at..at + 4) {
                    four.copy_from_slice(&word.to_le_bytes());
                }
            }
            5 => {
                let count = random.random_range(1..17).min(bytes.len() - at);
                bytes.drain(at..at + count);
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            _ => {
                let count = random.random_range(1..33).min(bytes.len() - at);
                let again = bytes[at..at + count].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

/// Reads mutations of every file; whatever it says must be one line that names the file.
fn endures(
    files: &[PathBuf],
    seed: u64,
    rounds: usize,
    read: impl Fn(&Path, &[u8]) -> Vec<String>,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut refused = 0;
    for file in files {
        let whole = fs::read(file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let place = folder.path().join(name);
        for round in 0..rounds {
            let bytes = mutated(&whole, &mut random);
            fs::write(&place, &bytes).unwrap();
            let before = HELD.get();
            MOST.set(before);
            let messages = read(&place, &bytes);
            let cost = MOST.get() - before;
            assert!(
                cost <= bound(bytes.len()),
                "{name}, seed {seed}, round {round}: {cost} bytes held"
            );
            refused += usize::from(!messages.is_empty());
            for message in messages {
                let told = message.contains(name) && message.lines().count() == 1;
                assert!(told, "{name}, seed {seed}, round {round}: {message}");
            }
        }
    }
    // Most mutations are found out.
    assert!(2 * refused > files.len() * rounds, "{refused}");
}

fn fixtures(folder: &str, ending: &str) -> Vec<PathBuf> {
    let at = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(at)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.retain(|f| f.extension().is_some_and(|e| e == ending));
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Everything in a file, one way or another.
fn all_of(place: &Path) -> striate::Result<()> {
    let file = File::open(place)?;
    for listed in file.list() {
        let mut value = file.value(&listed.address)?;
        match listed.class {
            _ if listed.numbers => drop(value.numbers::<f64>()?),
            Class::Char => drop(value.words()?),
            Class::Cell | Class::Struct => {
                let mut children = value.children()?;
                while let Some(mut child) = children.following()? {
                    if child.is_numbers() {
                        child.numbers::<f32>()?;
                    }
                }
            }
            _ => {}
        }
    }
    // Ways that need not be there.
    for address in [
        "cell{2,2}.deep",
        "stat(2).red",
        "outer.inner.x",
        "stim.resp",
    ] {
        if let Ok(mut value) = file.value(address) {
            value.numbers::<f64>()?;
        }
    }
    Ok(())
}

#[test]
fn damaged_matlab_files_are_refused_in_one_sentence() {
    let files = fixtures("matlab", "mat");
    endures(&files, 11, 400, |place, _| {
        all_of(place)
            .err()
            .map(|e| e.to_string())
            .into_iter()
            .collect()
    });
}

#[test]
fn damaged_numpy_files_are_refused_in_one_sentence() {
    endures(&fixtures("numpy", "npy"), 12, 400, |place, bytes| {
        let mut said = Vec::new();
        let mut say = |e: striate::Error| said.push(e.to_string());
        let stored = Stored::open(place).and_then(|s| match s.header().dtype.is_text() {
            true => s.words().map(drop),
            false => s.numbers_as::<f64>().map(drop),
        });
        stored.unwrap_or_else(&mut say);
        let rows = Rows::open(place).and_then(|r| match r.count() {
            0 => Ok(()),
            count => r.read::<f32>(count - 1, 1, &mut Vec::new()),
        });
        rows.unwrap_or_else(&mut say);
        let whole = Whole::new(place.to_path_buf(), bytes.to_vec());
        whole
            .and_then(|w| w.cells().map(drop))
            .unwrap_or_else(&mut say);
        said
    });
}

#[test]
fn damaged_archives_are_refused_in_one_sentence() {
    endures(&fixtures("numpy", "npz"), 13, 400, |place, _| {
        let mut archive = match Archive::open(place) {
            Ok(archive) => archive,
            Err(e) => return vec![e.to_string()],
        };
        let mut said = Vec::new();
        for name in archive.names() {
            let array = archive.array(&name).and_then(|a| a.cells());
            said.extend(array.err().map(|e| e.to_string()));
        }
        said.truncate(3);
        said
    });
}
