//! MATLAB files as SciPy writes them, and as MATLAB does: every value as SciPy reads it.

use super::written::{double, packed, save, structs};
use std::path::{Path, PathBuf};
use striate::matlab::{File, Version, version};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/matlab")
        .join(name)
}

fn expected(file: &str) -> serde_json::Map<String, serde_json::Value> {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all[file].as_object().unwrap().clone()
}

fn words(list: &serde_json::Value) -> Vec<String> {
    let words = list.as_array().unwrap().iter();
    words.map(|w| w.as_str().unwrap().to_string()).collect()
}

fn holds(name: &str, like: &str) {
    let file = File::open(&fixture(name)).unwrap();
    let expected = expected(like);
    assert!(expected.len() > 5);
    for (address, wanted) in expected {
        let mut value = file.value(&address).unwrap();
        if let Some(list) = wanted.get("words") {
            assert_eq!(value.words().unwrap(), words(list), "{name}: {address}");
            continue;
        }
        let shape: Vec<usize> = serde_json::from_value(wanted["shape"].clone()).unwrap();
        assert_eq!(value.shape(), shape, "{name}: {address}");
        let numbers = words(&wanted["numbers"]);
        let numbers: Vec<u64> = numbers
            .iter()
            .map(|x| x.parse::<f64>().unwrap().to_bits())
            .collect();
        let got: Vec<u64> = value
            .numbers::<f64>()
            .unwrap()
            .into_iter()
            .map(f64::to_bits)
            .collect();
        assert_eq!(got, numbers, "{name}: {address}");
    }
}

#[test]
fn every_class_is_read_as_scipy_reads_it_compressed_or_not() {
    holds("kinds.mat", "kinds.mat");
    holds("kinds-compressed.mat", "kinds.mat");
}

#[test]
fn both_byte_orders_and_numbers_stored_narrower_than_their_class_are_read() {
    holds("little.mat", "little.mat");
    holds("big.mat", "big.mat");
}

#[test]
fn integers_of_64_bits_keep_all_digits_as_words() {
    let file = File::open(&fixture("kinds-compressed.mat")).unwrap();
    let told = file.value("uint64").unwrap().words().unwrap();
    assert!(told.contains(&u64::MAX.to_string()));
    let told = file.value("int64").unwrap().words().unwrap();
    assert!(told.contains(&i64::MIN.to_string()));
}

#[test]
fn parts_of_an_array_are_read_in_order() {
    let file = File::open(&fixture("kinds-compressed.mat")).unwrap();
    let all: Vec<f64> = file.value("double").unwrap().numbers().unwrap();
    let mut value = file.value("double").unwrap();
    let mut array = value.array().unwrap();
    let mut some: Vec<f64> = Vec::new();
    array.skip(5).unwrap();
    array.read(3, &mut some).unwrap();
    array.skip(2).unwrap();
    array.read(14, &mut some).unwrap();
    assert_eq!(some, [&all[5..8], &all[10..]].concat());
    assert!(array.read(1, &mut some).is_err());
}

#[test]
fn parts_of_a_large_compressed_struct_are_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("s.mat");
    let values: Vec<f64> = (0..300_000).map(f64::from).collect();
    let fields = [
        double("", &[300, 1000], &values),
        double("", &[1, 2], &[5.0, 6.0]),
    ];
    let whole = packed(&structs("stim", &[1, 1], &["resp", "istim"], &fields));
    save(&place, &[whole.clone(), double("after", &[1, 1], &[7.0])]);
    let file = File::open(&place).unwrap();
    let read = |address: &str| file.value(address).unwrap().numbers::<f64>().unwrap();
    for _ in 0..2 {
        assert_eq!(read("stim.istim"), [5.0, 6.0]);
        assert_eq!(read("stim.resp"), values);
        assert_eq!(read("after"), [7.0]);
    }
    // Cut in its compressed data, and said to be as long as that.
    let mut cut = whole[..whole.len() / 2].to_vec();
    let left = cut.len() as u32 - 8;
    cut[4..8].copy_from_slice(&left.to_le_bytes());
    save(&place, &[cut]);
    let file = File::open(&place).unwrap();
    let message = file.value("stim.istim").err().unwrap().to_string();
    assert!(
        message.contains("stim") && message.contains("truncated"),
        "{message}"
    );
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let refused = File::open(&fixture("refused.mat")).unwrap();
    let odd = File::open(&fixture("odd.mat")).unwrap();
    for (file, variable, parts) in [
        (&refused, "sparse", ["sparse", "full(x)"]),
        (&refused, "complex", ["complex", "abs(x)"]),
        (&refused, "object", ["object", "numbers"]),
        (&odd, "handle", ["function handle", "numbers"]),
        (&odd, "table", ["object", "numbers"]),
    ] {
        let message = file
            .value(variable)
            .unwrap()
            .numbers::<f64>()
            .unwrap_err()
            .to_string();
        for part in parts.into_iter().chain([variable]) {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
    }
    // They do not hide what comes after them.
    assert_eq!(
        refused.value("plain").unwrap().numbers::<f64>().unwrap(),
        [0.0, 1.0, 2.0]
    );
    assert_eq!(odd.value("after").unwrap().numbers::<f64>().unwrap(), [9.0]);
}

#[test]
fn other_versions_are_recognised_and_said() {
    assert_eq!(version(&fixture("seven-three.mat")).unwrap(), Version::Hdf5);
    for (name, parts) in [
        ("seven-three.mat", ["7.3", "HDF5"]),
        ("four.mat", ["version 4", "-v7"]),
        ("expected.json", ["no MATLAB file", "version 5"]),
        ("absent.mat", ["cannot read", "absent.mat"]),
    ] {
        let message = File::open(&fixture(name)).err().unwrap().to_string();
        for part in parts {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
    }
}

#[test]
fn a_wrong_address_is_told_what_there_is() {
    let file = File::open(&fixture("kinds.mat")).unwrap();
    for (address, parts) in [
        ("stm.resp", ["no variable `stm`", "did you mean `stim`"]),
        ("stim.rsp", ["no field `rsp`", "resp, istim, name"]),
        ("stat.red", ["1x3", "stat(1)"]),
        ("stat(4).red", ["1x3", "no (4)"]),
        ("cell{5}", ["2x2", "no {5}"]),
        ("double{1}", ["double of 2x3x4", "no {1}"]),
        ("stat(1)", ["wanted a field", "stat(1).x"]),
        ("stim..resp", ["no address", "stim.resp"]),
    ] {
        let message = file.value(address).err().unwrap().to_string();
        for part in parts {
            assert!(
                message.contains(part),
                "{address}: wanted {part:?} in: {message}"
            );
        }
    }
}

#[test]
fn a_file_tells_what_is_in_it() {
    let file = File::open(&fixture("kinds-compressed.mat")).unwrap();
    let told: Vec<String> = file.list().iter().map(ToString::to_string).collect();
    for wanted in [
        "stim.resp (4x3 single)",
        "double (2x3x4 double)",
        "cell (2x2 cell)",
        "stat (1x3 struct)",
    ] {
        assert!(
            told.iter().any(|t| t == wanted),
            "{wanted} is not in {told:?}"
        );
    }
}
