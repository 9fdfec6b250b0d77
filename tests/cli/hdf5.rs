//! HDF5 and NWB files imported, as a user would.

use super::small::{Done, everything, striate};
use std::fs;
use std::path::PathBuf;
use striate::recording::Recording;

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = folder.join("tests/fixtures/hdf5").join(name);
    path.display().to_string()
}

trait Fails {
    fn fails(self, what: &str);
}

impl Fails for Done {
    /// It said so, and that it could not.
    #[track_caller]
    fn fails(self, what: &str) {
        assert_eq!(self.code, 2, "{}", self.err);
        assert!(self.err.contains(what), "{}", self.err);
        assert_eq!(self.err.trim().lines().count(), 1, "{}", self.err);
    }
}

#[test]
fn files_are_looked_at_and_imported() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    let other = fixture("other.h5");
    let by = format!(
        "--images /stimuli/pixels --responses /activity/rates --image-of-trial /activity/order {other}"
    );
    let told = striate(f, &format!("import hdf5 {by} --dry-run")).ok();
    assert!(
        told.contains("12 of 4x6") && told.contains("only looked at"),
        "{told}"
    );
    assert!(everything(f).is_empty());
    striate(f, &format!("import hdf5 {by} --out a --test 0.25 --seed 3")).ok();
    let a = Recording::open(&f.join("a")).unwrap();
    assert!(
        a.source
            .unwrap()
            .ends_with("split by image: test 0.25, validation 0.1, seed 3")
    );
    let units = fixture("units.nwb");
    let told = striate(f, &format!("import nwb {units} --list")).ok();
    assert!(told.contains("units: 3 units"), "{told}");
    let done = striate(
        f,
        &format!("import nwb {units} --window 0-0.25 --sum --out b"),
    );
    assert!(
        done.err
            .contains("1 presentations without an image are left out"),
        "{}",
        done.err
    );
    done.ok();
    assert_eq!(Recording::open(&f.join("b")).unwrap().trials.len(), 24);
    striate(f, &format!("import hdf5 {} --out c", fixture("matlab.mat")))
        .fails("perhaps --images /imgs --responses /resp");
}

#[test]
fn a_source_of_another_kind_is_recognised_and_a_dry_run_of_npy_writes_nothing() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    let static_h5 = fixture("static.h5");
    for kind in ["npy", "sensorium"] {
        striate(f, &format!("import {kind} {static_h5} --out a"))
            .fails("try `striate import hdf5`");
    }
    striate(f, &format!("import npy {} --out a", fixture("units.nwb")))
        .fails("try `striate import nwb`");
    striate(f, "import hdf5 loose --out a").fails("cannot read");
    assert!(everything(f).is_empty());
    fs::create_dir(f.join("loose")).unwrap();
    let images = ndarray::Array3::from_shape_fn((10, 2, 3), |(i, y, x)| (i + y + x) as f32);
    striate::npy::write(&f.join("loose/images.npy"), images.view()).unwrap();
    let responses = ndarray::Array2::from_shape_fn((10, 2), |(t, n)| (t + n) as f32);
    striate::npy::write(&f.join("loose/responses.npy"), responses.view()).unwrap();
    let before = everything(f);
    let told = striate(f, "import npy loose --dry-run").ok();
    assert!(told.contains("only looked at"), "{told}");
    assert!(everything(f) == before);
    striate(f, "import hdf5 loose --out a").fails("try `striate import npy`");
}
