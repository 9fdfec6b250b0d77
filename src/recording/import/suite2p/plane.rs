//! The folder of a plane.

use super::{Signal, Suite2p};
use crate::npy::{Rows, Stored, shown};
use crate::recording::part::Progress;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// How much of the neuropil's fluorescence is taken off a cell's.
const NEUROPIL: f64 = 0.7;
/// Where the baseline lies among all frames of a cell.
const BASELINE: f64 = 0.1;

/// Folders of planes: those given, or those in them.
pub(super) fn folders(sources: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let is_plane = |f: &Path| ["F.npy", "spks.npy"].iter().any(|n| f.join(n).is_file());
    let mut all = Vec::new();
    for source in sources {
        if is_plane(source) {
            all.push(source.clone());
            continue;
        }
        let fail = |what: String| Error::file(source, what);
        if !source.is_dir() {
            let what = match source.exists() {
                true => "is no folder, wanted suite2p's, as in suite2p/plane0",
                false => "does not exist, wanted a folder of suite2p, as in suite2p/plane0",
            };
            return Err(fail(what.into()));
        }
        let inner = match source.join("suite2p") {
            inner if inner.is_dir() => inner,
            _ => source.clone(),
        };
        let entries = std::fs::read_dir(&inner).map_err(|e| fail(format!("cannot read: {e}")))?;
        let number = |path: &Path| -> Option<usize> {
            let name = path.file_name()?.to_str()?;
            name.strip_prefix("plane")?.parse().ok()
        };
        let mut planes: Vec<(usize, PathBuf)> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| is_plane(p))
            .filter_map(|p| Some((number(&p)?, p)))
            .collect();
        if planes.is_empty() {
            let what = "has no spks.npy or F.npy, wanted a folder of suite2p, as in suite2p/plane0";
            return Err(fail(what.into()));
        }
        planes.sort();
        all.extend(planes.into_iter().map(|(_, p)| p));
    }
    let mut sorted = all.clone();
    sorted.sort();
    sorted.dedup();
    match sorted.len() == all.len() {
        true => Ok(all),
        false => Err(Error::file(
            &all[0],
            "a plane is given twice, wanted each once",
        )),
    }
}

/// A plane, and what of it becomes neurons.
pub(super) struct Plane {
    pub(super) number: usize,
    pub(super) signal: Rows,
    neuropil: Option<Rows>,
    /// Its ROIs that are neurons, and how probably they are cells.
    pub(super) kept: Vec<(usize, bool, f64)>,
    /// F0 of each of them.
    pub(super) baselines: Vec<f64>,
}

impl Plane {
    pub(super) fn open(folder: &Path, index: usize, options: &Suite2p) -> Result<Self> {
        let rows = |name: &str| {
            let rows = Rows::open(&folder.join(name))?;
            match *rows.header().shape {
                [rois, frames] if rois * frames > 0 => Ok(rows),
                ref other => {
                    let wanted = "(ROIs, frames), none of them 0";
                    Err(Error::bad(
                        rows.place().display(),
                        "shape",
                        shown(other),
                        wanted,
                    ))
                }
            }
        };
        let signal = rows(match options.signal {
            Signal::Spks => "spks.npy",
            Signal::F | Signal::Dff => "F.npy",
        })?;
        let neuropil = match options.signal {
            Signal::Dff => Some(rows("Fneu.npy")?),
            _ => None,
        };
        let rois = signal.count();
        if let Some(other) = &neuropil
            && other.header().shape != signal.header().shape
        {
            let got = shown(&other.header().shape);
            let wanted = format!("{} as in F.npy", shown(&signal.header().shape));
            return Err(Error::bad(other.place().display(), "shape", got, wanted));
        }
        let mut kept: Vec<(usize, bool, f64)> =
            (0..rois).map(|roi| (roi, true, f64::NAN)).collect();
        let place = folder.join("iscell.npy");
        if place.exists() || !options.all {
            let stored = Stored::open(&place)?;
            let shape = stored.shape().to_vec();
            if shape != [rois, 2] {
                let wanted = format!("({rois}, 2), as there are ROIs");
                return Err(Error::bad(place.display(), "shape", shown(&shape), wanted));
            }
            let flags: Vec<f64> = stored.numbers_as::<f64>()?.into_iter().collect();
            for (roi, pair) in flags.chunks_exact(2).enumerate() {
                kept[roi] = (roi, pair[0] != 0.0, pair[1]);
            }
        }
        kept.retain(|(_, cell, _)| *cell || options.all);
        let name = folder
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let number = name.strip_prefix("plane").and_then(|n| n.parse().ok());
        Ok(Self {
            number: number.unwrap_or(index),
            signal,
            neuropil,
            kept,
            baselines: Vec::new(),
        })
    }

    /// All frames of an ROI.
    pub(super) fn trace(&self, roi: usize) -> Result<Vec<f64>> {
        let mut trace: Vec<f64> = Vec::with_capacity(self.signal.width());
        self.signal.read(roi, 1, &mut trace)?;
        if let Some(neuropil) = &self.neuropil {
            let mut around: Vec<f64> = Vec::with_capacity(trace.len());
            neuropil.read(roi, 1, &mut around)?;
            trace
                .iter_mut()
                .zip(around)
                .for_each(|(f, n)| *f -= NEUROPIL * n);
        }
        Ok(trace)
    }

    /// Finds F0 of every cell and leaves out those that have none.
    pub(super) fn find_baselines(&mut self, progress: &mut Progress) -> Result<Option<String>> {
        let mut kept = Vec::new();
        for (done, cell) in self.kept.iter().enumerate() {
            progress("finding baselines", done, self.kept.len())?;
            let mut trace = self.trace(cell.0)?;
            let at = ((trace.len() - 1) as f64 * BASELINE) as usize;
            let (_, baseline, _) = trace.select_nth_unstable_by(at, f64::total_cmp);
            if *baseline > 0.0 && baseline.is_finite() {
                self.baselines.push(*baseline);
                kept.push(*cell);
            }
        }
        let lost = self.kept.len() - kept.len();
        self.kept = kept;
        Ok((lost > 0).then(|| {
            format!(
                "{}: {lost} cells are left out, since the baseline of F - {NEUROPIL} Fneu is not positive",
                self.signal.place().display()
            )
        }))
    }
}
