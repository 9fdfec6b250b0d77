//! Every type and every way of storing, as old and new versions of HDF5 write them.

use crate::fixture;
use std::path::Path;
use striate::hdf5::{Element, File, is_hdf5};

const TYPES: [&str; 2] = ["types-earliest.h5", "types-latest.h5"];

/// What `values` of `generate.py` makes.
fn value(row: usize, column: usize, signed: bool) -> f64 {
    let x = (10 * row + column + 1) as f64;
    if signed && column == 1 { -x } else { x }
}

fn all(signed: bool) -> Vec<f64> {
    (0..15).map(|i| value(i / 3, i % 3, signed)).collect()
}

#[test]
fn every_type_of_number_is_read_in_both_byte_orders() {
    for name in TYPES {
        let file = File::open(&fixture(name)).unwrap();
        let (_, names) = file.members("plain").unwrap();
        assert_eq!(names.len(), 20, "{name}: {names:?}");
        for kind in names {
            let dataset = file.dataset(&format!("/plain/{kind}")).unwrap();
            let signed = !kind.contains('u');
            assert_eq!(
                dataset.numbers::<f64>().unwrap(),
                all(signed),
                "{name} {kind}"
            );
            let part: Vec<f32> = all(signed)
                .chunks(3)
                .flat_map(|r| [r[1] as f32, r[2] as f32])
                .collect();
            let mut got: Vec<f32> = Vec::new();
            dataset.read(&[0..5, 1..3], &mut got).unwrap();
            assert_eq!(got, part, "{name} {kind}");
        }
    }
}

#[test]
fn every_way_of_storing_is_read_whole_and_in_boxes() {
    for name in TYPES {
        let file = File::open(&fixture(name)).unwrap();
        for kind in ["f4", "big_i2"] {
            let group = format!("/stored/{kind}");
            let (_, names) = file.members(&group).unwrap();
            assert_eq!(names.len(), 11, "{name} {kind}: {names:?}");
            for way in names {
                let dataset = file.dataset(&format!("{group}/{way}")).unwrap();
                let wanted = |row: usize, column: usize| match way.as_str() {
                    "never" => 7.0,
                    "partly" if row >= 2 => 7.0,
                    _ => value(row, column, true),
                };
                let boxes = [
                    (0..5, 0..3),
                    (1..4, 0..3),
                    (0..5, 1..2),
                    (3..4, 2..3),
                    (2..2, 0..3),
                ];
                for (rows, columns) in boxes {
                    let mut got: Vec<f64> = Vec::new();
                    dataset
                        .read(&[rows.clone(), columns.clone()], &mut got)
                        .unwrap();
                    let wanted: Vec<f64> = rows
                        .clone()
                        .flat_map(|r| columns.clone().map(move |c| (r, c)))
                        .map(|(r, c)| wanted(r, c))
                        .collect();
                    assert_eq!(got, wanted, "{name} {kind} {way} {rows:?} {columns:?}");
                }
            }
        }
    }
}

#[test]
fn words_truths_enumerations_and_references_are_read() {
    for name in TYPES {
        let file = File::open(&fixture(name)).unwrap();
        let words = |path: &str| file.dataset(path).unwrap().words().unwrap();
        assert_eq!(words("/words/variable"), ["train", "", "tést"], "{name}");
        assert_eq!(words("/words/fixed"), ["train", "", "test"], "{name}");
        assert_eq!(words("/words/scalar"), ["alone"], "{name}");
        let cells = |path: &str| file.dataset(path).unwrap().cells().unwrap();
        assert_eq!(cells("/words/truth"), ["true", "false", "true"], "{name}");
        assert_eq!(cells("/words/enumerated"), ["0", "2"], "{name}");
        assert_eq!(cells("/plain/f4")[..2], ["1", "-2"], "{name}");
        let references = file.dataset("/words/references").unwrap();
        let paths: Vec<&str> = references
            .references()
            .unwrap()
            .into_iter()
            .map(|at| file.referred(at, references.place()).unwrap())
            .collect();
        assert_eq!(paths, ["/plain/f4", "/words/fixed"], "{name}");
        let record = file.dataset("/words/record").unwrap();
        assert_eq!(*record.element(), Element::Other("record"), "{name}");
        assert!(
            record.numbers::<f64>().is_err() && record.cells().is_err(),
            "{name}"
        );
        let plain = file.attributes("/plain").unwrap();
        assert_eq!(plain.word("unit").unwrap(), "spikes", "{name}");
        assert_eq!(plain.words("names"), ["a", "bc"], "{name}");
        let f4 = file.attributes("/plain/f4").unwrap();
        assert_eq!(
            (f4.number("rate"), f4.word("fixed").as_deref()),
            (Some(30.0), Some("abc")),
            "{name}"
        );
    }
}

#[test]
fn links_are_followed_and_those_to_nowhere_are_none() {
    for name in TYPES {
        let file = File::open(&fixture(name)).unwrap();
        let soft = file.dataset("/links/soft").unwrap();
        assert_eq!(soft.numbers::<f64>().unwrap(), all(true), "{name}");
        let through = file.dataset("/links/group/i2").unwrap();
        assert_eq!(through.numbers::<f64>().unwrap(), all(true), "{name}");
        for nowhere in [
            "/links/dangling",
            "/links/itself",
            "/links/outside",
            "/links/none",
        ] {
            assert!(file.dataset(nowhere).is_err(), "{name} {nowhere}");
        }
        let listed = file.list().unwrap();
        let names = ["/plain/f4", "/links/soft"];
        let once = listed
            .iter()
            .filter(|l| names.contains(&l.path.as_str()))
            .count();
        assert_eq!(once, 1, "{name}: a dataset with two names is listed once");
    }
}

#[test]
fn files_of_other_programs_are_read() {
    let matlab = File::open(&fixture("matlab.mat")).unwrap();
    assert!(matlab.is_matlab());
    let words = |path: &str| matlab.words(&matlab.dataset(path).unwrap()).unwrap();
    assert_eq!(words("/note"), ["hello"]);
    assert_eq!(
        words("/tiers")[7..11],
        ["train", "validation", "validation", "test"]
    );
    assert_eq!(matlab.dataset("/stim/resp").unwrap().shape(), [3, 24]);
    let tables = File::open(&fixture("pytables.h5")).unwrap();
    assert!(!tables.is_matlab());
    let responses: Vec<f32> = tables.dataset("/responses").unwrap().numbers().unwrap();
    assert_eq!(responses[3..6], [1.0, 1.125, 1.25]);
    assert_eq!(
        tables.dataset("/truth").unwrap().cells().unwrap(),
        ["1", "0"]
    );
    let blosc = tables
        .dataset("/blosc")
        .unwrap()
        .numbers::<f32>()
        .unwrap_err()
        .to_string();
    assert!(
        blosc.contains("pytables.h5/blosc") && blosc.contains("filter"),
        "{blosc}"
    );
}

#[test]
fn what_is_missing_is_told_with_what_there_is() {
    let file = File::open(&fixture("other.h5")).unwrap();
    let told = file.dataset("/activity/rate").unwrap_err().to_string();
    assert!(
        told.contains(
            "other.h5/activity/rate: does not exist; the nearest path is /activity/rates"
        ),
        "{told}"
    );
    assert!(
        told.contains("/stimuli/pixels float32 (12, 4, 6)"),
        "{told}"
    );
    let told = file.dataset("/activity").unwrap_err().to_string();
    assert!(told.contains("is a group"), "{told}");
}

#[test]
fn what_is_no_hdf5_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let told = |bytes: &[u8]| {
        let path = folder.path().join("file.h5");
        std::fs::write(&path, bytes).unwrap();
        assert!(!is_hdf5(&path));
        File::open(&path).unwrap_err().to_string()
    };
    assert!(told(b"").contains("is empty"));
    assert!(told(b"MATLAB 5.0 MAT-file, Platform: GLNXA64").contains("striate import mat"));
    assert!(told(b"\x93NUMPY\x01\x00v").contains("import npy"));
    assert!(told(b"PK\x03\x04").contains("archive"));
    assert!(told(b"\x80\x04\x95").contains("pickle"));
    assert!(told(&[7; 4096]).contains("no signature"));
    assert!(
        File::open(folder.path())
            .unwrap_err()
            .to_string()
            .contains("not a file")
    );
    assert!(
        File::open(Path::new("/nowhere.h5"))
            .unwrap_err()
            .to_string()
            .contains("cannot read")
    );
    assert!(is_hdf5(&fixture("matlab.mat")) && is_hdf5(&fixture("units.nwb")));
}
