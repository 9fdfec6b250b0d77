//! A scan as a folder, or as the zip in which it is handed out.

use crate::npy::Whole;
use crate::window::Window;
use crate::{Error, Result};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Files of a scan by their names below its top folder.
pub(super) enum Tree {
    Folder(PathBuf),
    Zip {
        path: PathBuf,
        archive: ZipArchive<Window>,
        members: BTreeMap<String, usize>,
    },
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return folder(path).map(Self::Folder);
        }
        let fail = |what: String| Error::file(path, what);
        if !path.exists() {
            return Err(fail("does not exist, wanted a scan's folder or zip".into()));
        }
        if !path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("zip"))
        {
            return Err(fail(unlike(path)));
        }
        let file = File::open(path).map_err(|e| fail(format!("cannot read: {e}")))?;
        let length = file.metadata().map_or(0, |m| m.len());
        let window = Window::new(file, length);
        let archive = ZipArchive::new(window).map_err(|e| fail(format!("not a zip: {e}")))?;
        let members = members(&archive).map_err(fail)?;
        Ok(Self::Zip {
            path: path.to_path_buf(),
            archive,
            members,
        })
    }

    /// Where a file lies, for messages.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(path) | Self::Zip { path, .. } => path.join(name),
        }
    }

    /// Names of the `.npy` files in a folder, sorted; dot-files are none. None where there is no such folder.
    pub(super) fn arrays(&self, folder: &str) -> Result<Option<Vec<String>>> {
        let mut names: Vec<String> = match self {
            Self::Folder(path) => {
                let place = path.join(folder);
                if !place.is_dir() {
                    return Ok(None);
                }
                let fail = |e| Error::file(&place, format!("cannot read: {e}"));
                let entries = std::fs::read_dir(&place).map_err(fail)?;
                let names = entries.map(|e| Ok(e.map_err(fail)?.file_name()));
                let names = names.collect::<Result<Vec<_>>>()?;
                names
                    .into_iter()
                    .filter_map(|n| n.into_string().ok())
                    .collect()
            }
            Self::Zip { members, .. } => {
                let start = format!("{folder}/");
                let inside = members.range(start.clone()..);
                let inside = inside.map_while(|(n, _)| n.strip_prefix(&start));
                let names: Vec<String> = inside.map(str::to_string).collect();
                if names.is_empty() {
                    return Ok(None);
                }
                names
            }
        };
        names.retain(|n| n.ends_with(".npy") && !n.starts_with('.') && !n.contains('/'));
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(path) => path.join(name).is_file(),
            Self::Zip { members, .. } => members.contains_key(name),
        }
    }

    /// A file's content; several threads may ask at once.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read(name, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`Tree::bytes`], into memory that was used before: new memory for every image costs more than reading it.
    fn read(&self, name: &str, bytes: &mut Vec<u8>) -> Result<()> {
        let fail =
            |e: &dyn std::fmt::Display| Error::file(self.place(name), format!("cannot read: {e}"));
        match self {
            Self::Folder(path) => {
                let mut file = File::open(path.join(name)).map_err(|e| fail(&e))?;
                let length = file.metadata().map_err(|e| fail(&e))?.len() as usize;
                bytes.resize(length, 0);
                file.read_exact(bytes).map_err(|e| fail(&e))
            }
            Self::Zip {
                archive, members, ..
            } => {
                let index = members.get(name).ok_or_else(|| fail(&"no such member"))?;
                let mut archive = archive.clone();
                let mut member = archive.by_index(*index).map_err(|e| fail(&e))?;
                let length = member.size();
                bytes.clear();
                // What a damaged archive claims is not believed until it has come.
                bytes.reserve(length.min(1 << 20) as usize);
                let mut limited = (&mut member).take(length.saturating_add(1));
                limited.read_to_end(bytes).map_err(|e| fail(&e))?;
                Ok(())
            }
        }
    }

    /// A file's array, in memory that each thread uses again and again.
    pub(super) fn with_array<T>(
        &self,
        name: &str,
        take: impl FnOnce(&Whole) -> Result<T>,
    ) -> Result<T> {
        thread_local! {
            static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        let mut bytes = BYTES.take();
        self.read(name, &mut bytes)?;
        let array = Whole::new(self.place(name), bytes)?;
        let taken = take(&array);
        BYTES.set(array.into_bytes());
        taken
    }

    /// A file's array.
    pub(super) fn array(&self, name: &str) -> Result<Whole> {
        Whole::new(self.place(name), self.bytes(name)?)
    }
}

/// The folder that holds `data`: the one given, or the only one in it.
fn folder(path: &Path) -> Result<PathBuf> {
    if path.join("data").is_dir() {
        return Ok(path.to_path_buf());
    }
    let fail = |e| Error::file(path, format!("cannot read: {e}"));
    if path.join("screen").is_dir() && path.join("responses").is_dir() {
        return Err(Error::file(path, unlike(path)));
    }
    let mut scans = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let inner = entry.map_err(fail)?.path();
        if inner.join("data").is_dir() {
            scans.push(inner);
        }
    }
    match scans.len() {
        1 => Ok(scans.remove(0)),
        0 => Err(Error::file(path, unlike(path))),
        n => {
            let what = format!("holds {n} scans, wanted one: name each of them");
            Err(Error::file(path, what))
        }
    }
}

/// Why it is no scan, and what it may be.
fn unlike(path: &Path) -> String {
    let has = |name: &str| path.join(name).exists();
    let ends = |e: &str| path.extension().is_some_and(|x| x == e);
    if has("trials.csv") && has("images.npy") {
        "is a recording already, wanted a Sensorium scan".into()
    } else if ends("npz") || has("images.npy") || has("images_train.npy") || has("train_images.npy")
    {
        "holds loose arrays, not a Sensorium scan: use `striate import npy`".into()
    } else if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("mat"))
    {
        "is a MATLAB file, not a Sensorium scan: use `striate import mat`".into()
    } else if has("spks.npy") || has("plane0") || has("suite2p") {
        "is a folder of suite2p, not a Sensorium scan: use `striate import suite2p`".into()
    } else if has("screen") && has("responses") {
        "is a recording of experanto, not a Sensorium scan: use `striate import experanto`".into()
    } else if path.is_dir() {
        "has no folder data, wanted a Sensorium scan: data/images, data/responses, meta/trials"
            .into()
    } else {
        "is neither a folder nor a .zip, wanted a Sensorium scan".into()
    }
}

/// Members by their names below the one top folder.
fn members(archive: &ZipArchive<Window>) -> std::result::Result<BTreeMap<String, usize>, String> {
    let mut all = Vec::new();
    for index in 0..archive.len() {
        // A name that is no text is none of ours.
        let Some(Ok(name)) = archive.name_for_index(index) else {
            continue;
        };
        let name = name.replace('\\', "/");
        let mut parts = name.split('/');
        if name.ends_with('/') || parts.any(|p| p == "__MACOSX" || p.starts_with('.')) {
            continue;
        }
        all.push((name, index));
    }
    let below = |name: &str, folder: &str| {
        if name.starts_with(folder) {
            return Some(String::new());
        }
        let inner = format!("/{folder}");
        name.find(&inner).map(|at| name[..=at].to_string())
    };
    let tops = all.iter().filter_map(|(n, _)| below(n, "data/"));
    let tops: std::collections::BTreeSet<String> = tops.collect();
    let mut tops = tops.into_iter();
    let top = match (tops.next(), tops.next()) {
        (Some(top), None) => top,
        (Some(a), Some(b)) => {
            return Err(format!("holds several scans ({a} and {b}), wanted one"));
        }
        (None, _) => {
            return Err(
                "has no folder data in it, wanted a Sensorium scan: data/images, data/responses, meta/trials"
                    .into(),
            );
        }
    };
    let inside = all.into_iter();
    Ok(inside
        .filter_map(|(name, index)| Some((name.strip_prefix(&top)?.to_string(), index)))
        .collect())
}
