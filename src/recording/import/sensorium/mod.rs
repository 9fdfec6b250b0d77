//! Scans of the Sensorium 2022 competition and of its family: a file per trial.
//!
//! | file | content |
//! |---|---|
//! | `data/images/N.npy` | (1, H, W), grey levels of any type |
//! | `data/responses/N.npy` | (neurons,) |
//! | `data/behavior/N.npy`, `data/pupil_center/N.npy` | optional, a few numbers |
//! | `meta/trials/tiers.npy` | row N: `train`, `validation`, `test`, `final_test` (a test trial too) or `none` (left out) |
//! | `meta/trials/*.npy`, `meta/neurons/*.npy` | further columns of trials and neurons |
//!
//! Images are told identical by their pixels, in the order of first showing; trials stay in the order of their numbers.
//! Trials are read in blocks by all threads while the block before is written, so that memory is for a few blocks.

mod filling;
mod meta;
mod scan;
mod tree;
mod trial;

use super::Rescale;
use crate::recording::draft::{Draft, Parents};
use crate::recording::name_of;
use crate::recording::part::Progress;
use crate::recording::summary::Summary;
use crate::{Error, Result};
pub(super) use meta::part_name;
use scan::Scan;
use std::path::{Path, PathBuf};
use tree::Tree;

/// What is kept of a scan, and how.
#[derive(Clone, Debug, Default)]
pub struct Sensorium {
    /// Makes images smaller.
    pub rescale: Option<Rescale>,
    /// Keeps neurons of this area only.
    pub area: Option<String>,
    /// Keeps neurons of this layer only.
    pub layer: Option<String>,
}

/// Turns scans into recordings: one into `out` itself, several into directories of their names in it. Without `out` all is
/// read and nothing is written.
///
/// # Errors
/// Names the file of the scan and what is wrong with it; nothing is left behind then.
pub fn sensorium(
    sources: &[PathBuf],
    out: Option<&Path>,
    options: &Sensorium,
    progress: &mut Progress,
) -> Result<Vec<(Summary, Option<PathBuf>)>> {
    let mut places: Vec<Option<PathBuf>> = Vec::new();
    for source in sources {
        let place = match (out, sources.len()) {
            (Some(out), 1) => Some(out.to_path_buf()),
            (Some(out), _) => Some(out.join(folder_name(source)?)),
            (None, _) => None,
        };
        if place.is_some() && places.contains(&place) {
            let what = "has the same name as another source, wanted different ones";
            return Err(Error::file(source, what));
        }
        places.push(place);
    }
    // Goes after the drafts that lie in it.
    let mut parents = match out {
        Some(out) if sources.len() > 1 => Some(Parents::of(out)?),
        _ => None,
    };
    let mut made = Vec::new();
    for (source, place) in sources.iter().zip(&places) {
        let tree = Tree::open(source)?;
        let scan = Scan::open(&tree, source, options)?;
        let draft = match place {
            Some(place) => Some(Draft::begin(place, scan.bytes())?),
            None => None,
        };
        let summary = scan.import(draft.as_ref(), progress);
        let summary = summary.map_err(|e| match &draft {
            Some(draft) => draft.named(e),
            None => e,
        })?;
        made.push((summary, draft));
    }
    let mut summaries = Vec::new();
    for ((summary, draft), place) in made.into_iter().zip(places) {
        if let Some(draft) = draft {
            draft.finish()?;
        }
        summaries.push((summary, place));
    }
    if let Some(parents) = &mut parents {
        parents.keep();
    }
    Ok(summaries)
}

/// A source's name without `.zip`.
fn folder_name(source: &Path) -> Result<String> {
    let name = name_of(source)?;
    let cut = name.len().saturating_sub(4);
    match name.get(cut..) {
        Some(end) if end.eq_ignore_ascii_case(".zip") && cut > 0 => Ok(name[..cut].to_string()),
        _ => Ok(name),
    }
}

/// What models of the competition call a scan: what stands between `static` and `-GrayImageNet` in its name.
fn name_of_scan(source: &Path) -> Result<String> {
    let name = folder_name(source)?;
    let key = name.split_once("-GrayImageNet").map(|(key, _)| key);
    let key = key.and_then(|key| key.rsplit_once("static"));
    Ok(match key {
        Some((_, key)) if !key.is_empty() => key.to_string(),
        _ => name,
    })
}
