//! HDF5 files, and what is HDF5 inside: MATLAB 7.3, NWB, PyTables. Read only, by the crate `hdf5-reader`: pure Rust, so that a
//! build needs no library.
//!
//! Reading trusts nothing: what a dataset claims to hold is checked against the length of the file before anything is
//! allocated. Numbers are read in boxes, so that memory is for what is asked for, never for a whole dataset.

mod dataset;
mod element;
mod links;
mod lzf;
mod matlab;
mod words;

pub use dataset::Dataset;
pub use element::Element;
pub use words::{Attribute, Attributes};

use crate::npy::shown;
use crate::{Error, Result};
use element::Behind;
use hdf5_reader::group::Group;
use hdf5_reader::{FilterRegistry, Hdf5File, OpenOptions};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What every HDF5 file has at its start, or after a user block of 512 bytes, 1024, 2048, ..
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// Objects that are listed at most: more are no file that a person made.
const MOST_OBJECTS: usize = 1 << 20;
/// Soft links that are followed one after the other.
const MOST_LINKS: usize = 16;
/// Groups within groups that are followed.
const DEEPEST: usize = 32;

/// Whether a file is HDF5, by its signature. MATLAB 7.3 files are; those of earlier versions are not.
pub fn is_hdf5(path: &Path) -> bool {
    start(path).is_some()
}

/// Where the signature of a file is, if it has one.
fn start(path: &Path) -> Option<u64> {
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut at = 0;
    while at + 8 <= length {
        let mut found = [0; 8];
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut found).ok()?;
        if found == SIGNATURE {
            return Some(at);
        }
        at = (2 * at).max(512);
    }
    None
}

/// A dataset in a file, without its numbers.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its path in the file, from `/` on.
    pub path: String,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// What an element is.
    pub element: Element,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.path, self.element, shown(&self.shape))
    }
}

/// An open file.
pub struct File {
    path: PathBuf,
    length: u64,
    matlab: bool,
    inner: Hdf5File,
    bytes: Arc<Behind>,
    objects: OnceLock<HashMap<u64, String>>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish()
    }
}

impl File {
    /// Opens a file and reads where its root is.
    ///
    /// # Errors
    /// Names the file when it is absent or no HDF5 file, with what it is where that is easily seen.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = |e: std::io::Error| Error::file(path, format!("cannot read: {e}"));
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        if !metadata.is_file() {
            return Err(Error::file(path, "not a file, wanted an HDF5 file"));
        }
        let Some(at) = start(path) else {
            return Err(Error::file(path, other_kind(path)));
        };
        let mut filters = FilterRegistry::new();
        filters.register(lzf::FILTER, Box::new(lzf::filter));
        let options = OpenOptions {
            filter_registry: Some(filters),
            ..OpenOptions::default()
        };
        let bytes = Behind::open(path, at).map_err(cannot)?;
        let inner = Hdf5File::from_storage_with_options(bytes.clone(), options)
            .map_err(|e| failed(path, &e))?;
        Ok(Self {
            path: path.to_path_buf(),
            length: metadata.len(),
            matlab: at > 0 && matlab::is_named(path),
            inner,
            bytes,
            objects: OnceLock::new(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether MATLAB wrote it, or something that says so: its axes are reversed then.
    pub fn is_matlab(&self) -> bool {
        self.matlab
    }

    /// What to name in a message about an object.
    pub fn place(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    /// What a path means, if anything.
    fn locate(&self, path: &str, followed: usize) -> Found {
        let mut group = self.inner.root_group()?;
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        for (at, part) in parts.iter().enumerate() {
            if let Some(links) = links::old(&self.inner, &group)? {
                let target = match links.into_iter().find(|(name, _)| name == part) {
                    None => return Ok(None),
                    Some((_, target)) => target,
                };
                if let Some(target) = target {
                    if followed >= MOST_LINKS {
                        return Ok(None);
                    }
                    let before = if target.starts_with('/') {
                        &[]
                    } else {
                        &parts[..at]
                    };
                    let whole = [before, &[&target], &parts[at + 1..]].concat().join("/");
                    return self.locate(&whole, followed + 1);
                }
            }
            match group.group(part) {
                Ok(next) => group = next,
                Err(e) if !is_absent(&e) => return Err(e),
                Err(_) if at + 1 < parts.len() => return Ok(None),
                Err(_) => {
                    return match group.dataset(part) {
                        Ok(dataset) => Ok(Some(Object::Dataset(Box::new(dataset)))),
                        Err(e) if is_absent(&e) => Ok(None),
                        Err(e) => Err(e),
                    };
                }
            }
        }
        Ok(Some(Object::Group(group)))
    }

    fn group_at(&self, path: &str) -> Option<Group> {
        match self.locate(path, 0) {
            Ok(Some(Object::Group(group))) => Some(group),
            _ => None,
        }
    }

    /// Whether there is a group of that path.
    pub fn has_group(&self, path: &str) -> bool {
        self.group_at(path).is_some()
    }

    /// The dataset of that path, if there is one.
    ///
    /// # Errors
    /// When it is there and makes no sense.
    pub fn find(&self, path: &str) -> Result<Option<Dataset>> {
        match self.locate(path, 0) {
            Ok(Some(Object::Dataset(inner))) => Dataset::new(
                self.place(path),
                self.length,
                self.matlab,
                *inner,
                (&self.inner, &self.bytes),
            )
            .map(Some),
            Ok(_) => Ok(None),
            Err(e) => Err(failed(&self.place(path), &e)),
        }
    }

    /// The dataset of that path.
    ///
    /// # Errors
    /// When there is none, with the nearest path and what the file holds.
    pub fn dataset(&self, path: &str) -> Result<Dataset> {
        match self.find(path)? {
            Some(dataset) => Ok(dataset),
            None => Err(self.missing(path)),
        }
    }

    /// An error about a path that there is not, with what might have been meant.
    pub fn missing(&self, path: &str) -> Error {
        let all = self.list().unwrap_or_default();
        let far = |listed: &&Listed| strsim::damerau_levenshtein(&listed.path, path);
        let nearest = all.iter().min_by_key(far).map(|l| l.path.as_str());
        let what = match (self.has_group(path), nearest) {
            (true, _) => "is a group, wanted a dataset".to_string(),
            (false, Some(nearest)) => {
                format!("does not exist; the nearest path is {nearest}")
            }
            (false, None) => "does not exist".to_string(),
        };
        Error::file(self.place(path), format!("{what}; {}", offered(&all)))
    }

    /// Names of the groups and of the datasets in a group, sorted.
    ///
    /// # Errors
    /// When the group cannot be read; one that there is not has none.
    pub fn members(&self, path: &str) -> Result<(Vec<String>, Vec<String>)> {
        let Some(group) = self.group_at(path) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let members = self.children(path, &group, true);
        let (groups, datasets) = members.map_err(|e| failed(&self.place(path), &e))?;
        let mut groups: Vec<String> = groups.into_iter().map(|(name, _)| name).collect();
        let mut datasets: Vec<String> = datasets.into_iter().map(|(name, _)| name).collect();
        groups.sort_unstable();
        datasets.sort_unstable();
        Ok((groups, datasets))
    }

    /// Groups and datasets in a group, by name; with those that soft links in it stand for, if asked for.
    fn children(&self, path: &str, group: &Group, soft: bool) -> Children {
        let all = group.members();
        let links = match &all {
            Ok(_) => None,
            Err(_) => links::old(&self.inner, group)?,
        };
        let Some(links) = links else {
            let (groups, datasets) = all?;
            let links = match soft {
                true => Vec::new(),
                false => links::soft(&self.inner, group)?,
            };
            let own = |name: &str| !links.iter().any(|l| l == name);
            let groups = groups.into_iter().map(|g| (g.name().to_string(), g));
            let datasets = datasets.into_iter().map(|d| (d.name().to_string(), d));
            return Ok((
                groups.filter(|(name, _)| own(name)).collect(),
                datasets.filter(|(name, _)| own(name)).collect(),
            ));
        };
        let (mut groups, mut datasets) = (Vec::new(), Vec::new());
        for (name, target) in links {
            if target.is_some() && !soft {
                continue;
            }
            // One that cannot be read does not hide the others.
            match self.locate(&format!("{path}/{name}"), 0) {
                Ok(Some(Object::Group(group))) => groups.push((name, group)),
                Ok(Some(Object::Dataset(dataset))) => datasets.push((name, *dataset)),
                Ok(None) | Err(_) => {}
            }
        }
        Ok((groups, datasets))
    }

    /// All datasets, in the order of their paths.
    ///
    /// # Errors
    /// When a group or dataset makes no sense, or there are too many.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        self.walk(&mut |path, object| {
            if let Seen::Dataset(dataset) = object {
                all.push(Listed {
                    path: path.to_string(),
                    shape: dataset::shape(dataset),
                    element: Element::of(dataset.dtype()),
                });
            }
        })?;
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// Visits every object once, whatever names it has.
    fn walk(&self, visit: &mut dyn FnMut(&str, Seen<'_>)) -> Result<()> {
        let fail = |path: &str, e| failed(&self.place(path), &e);
        let root = self.inner.root_group().map_err(|e| fail("", e))?;
        let mut seen = HashSet::from([root.address()]);
        // The nearest first, so that of two paths the shorter one is told.
        let mut waiting = VecDeque::from([(String::new(), root, 0)]);
        while let Some((path, group, depth)) = waiting.pop_front() {
            let (groups, datasets) = match self.children(&path, &group, false) {
                Ok(members) => members,
                // What one group holds that cannot be read does not hide the others.
                Err(_) if depth > 0 => continue,
                Err(e) => return Err(fail(&path, e)),
            };
            for (name, dataset) in datasets {
                if seen.insert(dataset.address()) {
                    visit(&format!("{path}/{name}"), Seen::Dataset(&dataset));
                }
            }
            for (name, group) in groups {
                if seen.insert(group.address()) && depth < DEEPEST {
                    let path = format!("{path}/{name}");
                    visit(&path, Seen::Group(&group));
                    waiting.push_back((path, group, depth + 1));
                }
            }
            if seen.len() > MOST_OBJECTS {
                let what = format!("holds more than {MOST_OBJECTS} objects");
                return Err(Error::file(&self.path, what));
            }
        }
        Ok(())
    }

    /// The path of the object that a reference means.
    ///
    /// # Errors
    /// When it means nothing; `place` is what holds the reference.
    pub fn referred(&self, address: u64, place: &Path) -> Result<&str> {
        if self.objects.get().is_none() {
            let mut all = HashMap::new();
            self.walk(&mut |path, object| {
                let address = match object {
                    Seen::Dataset(dataset) => dataset.address(),
                    Seen::Group(group) => group.address(),
                };
                all.insert(address, path.to_string());
            })?;
            // Whoever was first has found the same.
            let _ = self.objects.set(all);
        }
        let path = self.objects.get().and_then(|all| all.get(&address));
        path.map(String::as_str)
            .ok_or_else(|| Error::file(place, "has a reference to nothing in this file"))
    }

    /// Attributes of a group or dataset.
    ///
    /// # Errors
    /// When there is no such object or they make no sense.
    pub fn attributes(&self, path: &str) -> Result<Attributes> {
        if let Some(group) = self.group_at(path) {
            let place = self.place(path);
            let all = group.attributes().map_err(|e| failed(&place, &e))?;
            return Ok(Attributes::new(all));
        }
        Ok(self.dataset(path)?.attributes())
    }
}

enum Seen<'a> {
    Group(&'a Group),
    Dataset(&'a hdf5_reader::Dataset),
}

enum Object {
    Group(Group),
    Dataset(Box<hdf5_reader::Dataset>),
}

type Found = hdf5_reader::error::Result<Option<Object>>;

type Named<T> = Vec<(String, T)>;

type Children = hdf5_reader::error::Result<(Named<Group>, Named<hdf5_reader::Dataset>)>;

/// Whether an error says that there is no such object.
fn is_absent(e: &hdf5_reader::error::Error) -> bool {
    use hdf5_reader::error::Error as E;
    match e {
        E::Context { source, .. } => is_absent(source),
        E::DatasetNotFound(_) | E::GroupNotFound(_) => true,
        _ => false,
    }
}

/// What there is to choose from, for a message.
pub fn offered(all: &[Listed]) -> String {
    const MOST: usize = 12;
    let named = all.iter().filter(|l| !l.path.starts_with("/#"));
    let named: Vec<String> = named.map(ToString::to_string).collect();
    match named.len() {
        0 => "the file holds no datasets".to_string(),
        n if n > MOST => format!(
            "the file holds {}, and {} more",
            named[..MOST].join(", "),
            n - MOST
        ),
        _ => format!("the file holds {}", named.join(", ")),
    }
}

/// What a file is that is not HDF5, as far as its first bytes tell.
fn other_kind(path: &Path) -> String {
    let mut first = [0; 128];
    let read = std::fs::File::open(path).and_then(|mut f| f.read(&mut first));
    let first = &first[..read.unwrap_or(0)];
    let told = match first {
        b if b.starts_with(b"MATLAB 5.0 MAT-file") => {
            "is a MATLAB file of version 5, 6 or 7, not HDF5: use `striate import mat`"
        }
        b if b.starts_with(b"MATLAB 7.3") => "is a MATLAB 7.3 file that is cut off",
        b if b.starts_with(b"\x93NUMPY") => "is an .npy file, not HDF5: use `striate import npy`",
        b if b.starts_with(b"PK\x03\x04") => {
            "is a zip or .npz archive, not HDF5: use `striate import npy`, `sensorium` or `minimodel`"
        }
        b if b.starts_with(&[0x80, 0x02]) || b.starts_with(&[0x80, 0x04]) => {
            "is a pickle, not HDF5: pickles are never read, save the arrays with numpy.savez"
        }
        [] => "is empty, wanted an HDF5 file",
        _ => "is no HDF5 file: it has no signature",
    };
    told.to_string()
}

/// What the reader says, on one line, about a place.
fn failed(place: &Path, e: &hdf5_reader::error::Error) -> Error {
    let text = e.to_string().replace('\n', " ");
    Error::file(
        place,
        format!("cannot read this part of an HDF5 file: {text}"),
    )
}
