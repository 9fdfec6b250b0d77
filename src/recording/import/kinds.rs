//! What kind of source lies at a place, as far as that is easily seen.

use crate::hdf5::{self, File};
use crate::npy::Archive;
use std::io::Read;
use std::path::Path;

/// The kind whose `striate import` reads what is there; none if it cannot be told.
pub fn kind_of(path: &Path) -> Option<&'static str> {
    if path.is_dir() {
        let has = |name: &str| path.join(name).exists();
        return match () {
            () if has("data/images") && has("meta/trials") => Some("sensorium"),
            () if has("screen/meta") || has("screen/meta.yml") => Some("experanto"),
            () if has("iscell.npy") || has("plane0") || has("suite2p") => Some("suite2p"),
            () if has("images.npy") || has("images_train.npy") => Some("npy"),
            () => None,
        };
    }
    if hdf5::is_hdf5(path) {
        return Some(match File::open(path) {
            Ok(file) if is_nwb(&file) => "nwb",
            _ => "hdf5",
        });
    }
    let mut first = [0; 32];
    let read = std::fs::File::open(path).ok()?.read(&mut first).ok()?;
    match &first[..read] {
        b if b.starts_with(b"MATLAB 5.0 MAT-file") => Some("mat"),
        b if b.starts_with(b"PK\x03\x04") => archive(path),
        _ => None,
    }
}

/// Whether a file has the groups of NWB.
pub(super) fn is_nwb(file: &File) -> bool {
    ["/units", "/stimulus/presentation", "/intervals"]
        .iter()
        .any(|group| file.has_group(group))
}

fn archive(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_ascii_lowercase();
    if ending == "zip" {
        return Some("sensorium");
    }
    let names = Archive::open(path).ok()?.names();
    let has = |name: &str| names.iter().any(|n| n == name);
    match () {
        () if has("sp") && has("istim_sp") => Some("minimodel"),
        () if has("images") || has("images_train") => Some("npy"),
        () => None,
    }
}
