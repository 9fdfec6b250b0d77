//! What the folder `screen` says of its blocks.

use crate::recording::Tier;
use crate::recording::part::Progress;
use crate::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No description of a block is longer.
const LONGEST: u64 = 1 << 20;

/// What is on the screen for a while.
pub(super) struct Block {
    pub(super) number: usize,
    /// Its number as its files are called.
    pub(super) name: String,
    pub(super) modality: String,
    /// Its tier as the file says it.
    pub(super) word: String,
    pub(super) first_frame: usize,
    place: PathBuf,
}

impl Block {
    /// Its tier; none where it is left out.
    pub(super) fn tier(&self) -> Result<Option<Tier>> {
        Ok(Some(match self.word.to_lowercase().as_str() {
            "train" => Tier::Train,
            "validation" | "val" | "oracle" => Tier::Validation,
            "test" | "final_test" => Tier::Test,
            "none" => return Ok(None),
            _ => {
                let got = format!("\"{}\"", self.word);
                let wanted = "train, validation (oracle), test (final_test) or none";
                return Err(Error::bad(self.place.display(), "tier", got, wanted));
            }
        }))
    }
}

#[derive(Deserialize)]
struct Described {
    modality: Option<String>,
    tier: Option<String>,
    first_frame_idx: Option<f64>,
}

/// All blocks, in their order.
pub(super) fn blocks(screen: &Path, progress: &mut Progress) -> Result<Vec<Block>> {
    let folder = screen.join("meta");
    let combined = screen.join("combined_meta.json");
    let mut described = one_by_one(&folder, progress)?;
    if described.is_empty() && combined.is_file() {
        let text = crate::files::read_text(&combined)?;
        let blocks: BTreeMap<String, Described> = serde_json::from_str(&text)
            .map_err(|e| Error::file(&combined, format!("is no description of blocks: {e}")))?;
        let named = blocks.into_iter();
        described.extend(named.map(|(name, block)| (name, combined.clone(), block)));
    }
    let mut all: BTreeMap<usize, Block> = BTreeMap::new();
    for (name, place, described) in described {
        let bad = |wanted| Err(Error::bad(place.display(), "block", &name, wanted));
        let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        let Some(number) = name.parse::<usize>().ok().filter(|_| digits) else {
            return bad("a number, as in 00000");
        };
        let block = block(number, &name, &place, described)?;
        if all.insert(number, block).is_some() {
            return bad("each number once");
        }
    }
    match all.is_empty() {
        true => Err(Error::file(
            &folder,
            "has no blocks, wanted 00000.yml and so on",
        )),
        false => Ok(all.into_values().collect()),
    }
}

/// What files of one block each say, by their names; none where there is no such folder.
fn one_by_one(folder: &Path, progress: &mut Progress) -> Result<Vec<(String, PathBuf, Described)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |e: std::io::Error| Error::file(folder, format!("cannot read: {e}"));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        files.push(entry.map_err(fail)?.path());
    }
    let hidden = |p: &Path| {
        let name = p.file_name();
        name.is_some_and(|n| n.as_encoded_bytes().starts_with(b"."))
    };
    let yaml = |p: &Path| p.extension().is_some_and(|e| e == "yml" || e == "yaml");
    files.retain(|p| yaml(p) && !hidden(p));
    files.sort();
    let mut described = Vec::with_capacity(files.len());
    for (done, file) in files.iter().enumerate() {
        if done % 256 == 0 {
            progress("reading blocks", done, files.len())?;
        }
        let name = file.file_stem().and_then(|s| s.to_str());
        let name = name.unwrap_or_default().to_string();
        described.push((name, file.clone(), read_yaml(file)?));
    }
    Ok(described)
}

fn block(number: usize, name: &str, place: &Path, described: Described) -> Result<Block> {
    let missing = |key: &str| {
        Error::bad(
            place.display(),
            key,
            "missing",
            format!("the {key} of block {name}"),
        )
    };
    let modality = described
        .modality
        .ok_or_else(|| missing("modality"))?
        .to_lowercase();
    let frame = match (modality.as_str(), described.first_frame_idx) {
        ("image", None) => return Err(missing("first_frame_idx")),
        (_, frame) => frame.unwrap_or(0.0),
    };
    let word = match (modality.as_str(), described.tier) {
        ("image", None) => return Err(missing("tier")),
        (_, tier) => tier.unwrap_or_default(),
    };
    if !(frame.fract() == 0.0 && (0.0..1e15).contains(&frame)) {
        return Err(Error::bad(
            place.display(),
            "first_frame_idx",
            frame,
            "a frame's number, from 0",
        ));
    }
    Ok(Block {
        number,
        name: name.to_string(),
        modality,
        word,
        first_frame: frame as usize,
        place: place.to_path_buf(),
    })
}

/// A short YAML file.
pub(super) fn read_yaml<T: DeserializeOwned>(place: &Path) -> Result<T> {
    let fail = |what: String| Error::file(place, what);
    let file = std::fs::File::open(place).map_err(|e| fail(format!("cannot read: {e}")))?;
    let mut text = String::new();
    let read = file.take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|e| fail(format!("cannot read: {e}")))?;
    if text.len() as u64 > LONGEST {
        return Err(fail(format!(
            "is longer than {LONGEST} bytes, wanted a few lines of YAML"
        )));
    }
    serde_saphyr::from_str(&text).map_err(|e| {
        let said = e.to_string();
        let line = said.lines().next().unwrap_or_default();
        fail(format!("is not the YAML that was wanted: {line}"))
    })
}
