//! Files as NumPy writes them: every kind of number, both byte orders, both orders of axes, versions 1 to 3, zip64.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use striate::npy::{Archive, Rows, Stored, Whole};

const KINDS: [&str; 12] = [
    "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/numpy")
        .join(name)
}

/// Values of an array (2, 3, 2) in C order, as the script says them.
fn wanted(kind: &str) -> Vec<f64> {
    let all = (0..12).map(|at| f64::from(at / 6 * 100 + at / 2 % 3 * 10 + at % 2));
    all.map(|x| match kind.as_bytes()[0] {
        b'b' => x % 2.0,
        b'i' | b'f' => x - 100.0,
        _ => x,
    })
    .collect()
}

#[test]
fn every_kind_order_and_version_is_read_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["kinds.npz", "kinds-compressed.npz"] {
        let mut archive = Archive::open(&fixture(name)).unwrap();
        assert_eq!(archive.names().len(), 4 * KINDS.len());
        let mut zip = zip::ZipArchive::new(fs::File::open(fixture(name)).unwrap()).unwrap();
        for member in archive.names() {
            let wanted = wanted(&member[..2]);
            let array = archive.array(&member).unwrap().numbers_as::<f64>().unwrap();
            assert_eq!(array.shape(), [2, 3, 2], "{member}");
            assert_eq!(
                array.iter().copied().collect::<Vec<_>>(),
                wanted,
                "{member}"
            );
            let mut bytes = Vec::new();
            let mut one = zip.by_name(&format!("{member}.npy")).unwrap();
            one.read_to_end(&mut bytes).unwrap();
            let whole = Whole::new("x.npy".into(), bytes.clone()).unwrap();
            assert_eq!(whole.numbers::<f64>().unwrap(), wanted, "{member}");
            let file = folder.path().join("x.npy");
            fs::write(&file, bytes).unwrap();
            let rows = Rows::open(&file).unwrap();
            let mut second: Vec<f64> = Vec::new();
            rows.read(1, 1, &mut second).unwrap();
            assert_eq!(second, wanted[6..], "{member}");
            let mut blocks = Vec::new();
            let stored = Stored::open(&file).unwrap();
            stored
                .by_rows::<f64>(1, |_, row| {
                    blocks.extend_from_slice(row);
                    Ok(())
                })
                .unwrap();
            assert_eq!(blocks, wanted, "{member}");
        }
    }
}

#[test]
fn words_and_scalars_are_read() {
    let words = Stored::open(&fixture("words.npy"))
        .unwrap()
        .words()
        .unwrap();
    assert_eq!(
        words.into_raw_vec_and_offset().0,
        ["V1", "naïve", "L2/3", ""]
    );
    let bytes = Stored::open(&fixture("bytes.npy"))
        .unwrap()
        .words()
        .unwrap();
    assert_eq!(bytes.into_raw_vec_and_offset().0, ["train", "test"]);
    let scalar = Stored::open(&fixture("scalar.npy"))
        .unwrap()
        .numbers()
        .unwrap();
    assert_eq!((scalar.ndim(), scalar.sum()), (0, 2.5));
}

#[test]
fn what_is_no_plain_number_is_refused_by_name() {
    for (name, parts) in [
        ("objects.npy", ["pickled", "numpy.save("]),
        ("complex.npy", ["'<c16'", "wanted"]),
        ("record.npy", ["record", "wanted"]),
        ("times.npy", ["M8", "wanted"]),
    ] {
        let read = Stored::open(&fixture(name)).and_then(Stored::numbers);
        let message = read.unwrap_err().to_string();
        for part in parts.into_iter().chain([name]) {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
    }
    let mut archive = Archive::open(&fixture("pickled.npz")).unwrap();
    assert_eq!(archive.array("good").unwrap().numbers().unwrap().sum(), 3.0);
    let message = archive
        .array("bad")
        .unwrap()
        .numbers()
        .unwrap_err()
        .to_string();
    for part in [
        "pickled.npz",
        "bad.npy",
        "pickled",
        "z[\"bad\"]",
        "numpy.savez(",
    ] {
        assert!(message.contains(part), "wanted {part:?} in: {message}");
    }
}
