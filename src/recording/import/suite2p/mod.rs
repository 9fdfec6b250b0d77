//! suite2p's folders: `F.npy`, `Fneu.npy`, `spks.npy`, `iscell.npy` of one or several planes.
//!
//! | file | shape |
//! |---|---|
//! | `spks.npy`, `F.npy`, `Fneu.npy` | (ROIs, frames) |
//! | `iscell.npy` | (ROIs, 2): whether it is a cell, and how probably |
//! | onsets | (trials,): the frame in which each image came on, from 0 |
//! | image of trial | (trials,): the image's number, from 0 |
//!
//! A response is the mean over the frames of a window after the onset, both ends included. `dff` is (F' - F0) / F0 with
//! F' = F - 0.7 Fneu and F0 the 10th percentile of F' over the recording; cells whose F0 is not positive are left out.
//! `stat.npy` and `ops.npy` are pickled Python, which is never read.

mod options;
mod plane;

use super::Rescale;
use super::cut::Cut;
use super::made::{Made, Shown, Tiering, drafted};
use super::opened::Opened;
use super::stack::numbers;
use super::turn::{Turn, at_once};
use crate::npy::{Stored, shown};
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::summary::Summary;
use crate::recording::{Shares, Tier, Trial, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result};
pub use options::{Frames, Signal};
use plane::{Plane, folders};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What goes with the planes, and what is kept of them.
#[derive(Clone, Debug)]
pub struct Suite2p {
    /// Frames in which images came on.
    pub onsets: PathBuf,
    /// Numbers of those images.
    pub image_of_trial: PathBuf,
    /// The images: an `.npy` of (images, height, width), or a MATLAB file.
    pub images: PathBuf,
    /// Which frames after the onset count.
    pub window: Frames,
    /// What counts as the response.
    pub signal: Signal,
    /// Keeps what suite2p does not call cells, too.
    pub all: bool,
    /// Columns that are kept; all without.
    pub crop: Option<Range<usize>>,
    /// Makes images smaller.
    pub rescale: Option<Rescale>,
    /// How many images are for what.
    pub shares: Shares,
    /// Draws tiers.
    pub seed: u64,
}

/// Turns planes, or the folder that holds them, into one recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the file and what is wrong with it; nothing is left behind then.
pub fn suite2p(
    sources: &[PathBuf],
    out: Option<&Path>,
    options: &Suite2p,
    progress: &mut Progress,
) -> Result<Summary> {
    let Some(source) = sources.first() else {
        return Err(Error::Other("import suite2p: no folder".into()));
    };
    let mut planes = Vec::new();
    let mut warnings = Vec::new();
    for folder in folders(sources)? {
        let mut plane = Plane::open(&folder, planes.len(), options)?;
        if options.signal == Signal::Dff {
            warnings.extend(plane.find_baselines(progress)?);
        }
        planes.push(plane);
    }
    let neurons: usize = planes.iter().map(|p| p.kept.len()).sum();
    if neurons == 0 {
        return Err(Error::bad(
            source.display(),
            "number of cells",
            0,
            "at least 1, or --all",
        ));
    }
    let frames = planes.iter().map(|p| p.signal.width()).min().unwrap_or(0);
    let cut = Cut {
        crop: options.crop.clone(),
        rescale: options.rescale,
    };
    let onsets = values(&options.onsets)?;
    let order = values(&options.image_of_trial)?;
    if order.len() != onsets.len() {
        let wanted = format!("{}, as there are onsets", onsets.len());
        let place = options.image_of_trial.display();
        return Err(Error::bad(place, "number of trials", order.len(), wanted));
    }
    let onsets = onsets.iter().enumerate().map(|(at, x)| {
        let whole = x.fract() == 0.0 && x.abs() < 1e15;
        whole.then_some(*x as i64).ok_or_else(|| {
            let wanted = "a frame's number, from 0";
            Error::bad(options.onsets.display(), format!("onset {at}"), x, wanted)
        })
    });
    let onsets = onsets.collect::<Result<Vec<i64>>>()?;
    let most = order.iter().copied().fold(0.0, f64::max);
    let images = Opened::open(&options.images, &["images", "img"], &cut, &|n| {
        n as f64 > most
    })?;
    let all = numbers(&order, 0, images.count(), &options.image_of_trial)?;
    let (start, end) = (
        *options.window.0.start() as i64,
        *options.window.0.end() as i64,
    );
    let inside = |t: &usize| onsets[*t] + start >= 0 && onsets[*t] + end < frames as i64;
    let kept: Vec<usize> = (0..onsets.len()).filter(inside).collect();
    match onsets.len() - kept.len() {
        0 => {}
        n if kept.is_empty() => {
            let wanted = format!("at least 1: there are {frames} frames, and all {n} windows leave them");
            return Err(Error::bad(options.onsets.display(), "number of trials", 0, wanted));
        }
        n => warnings.push(format!(
            "{}: {n} trials are left out, since their windows leave the recording of {frames} frames",
            options.onsets.display()
        )),
    }
    let session = Session {
        source,
        planes,
        neurons,
        numbers: kept.iter().map(|t| all[*t]).collect(),
        onsets: kept.iter().map(|t| onsets[*t]).collect(),
        kept,
        options,
    };
    let (h, w) = images.size()?;
    let trials = session.kept.len();
    let bytes =
        (trials * neurons) as u128 * 4 + images.count().min(trials) as u128 * (h * w) as u128;
    drafted(out, bytes, |draft| {
        session.import(images, &cut, warnings, draft, progress)
    })
}

/// Numbers of one axis.
fn values(place: &Path) -> Result<Vec<f64>> {
    let stored = Stored::open(place)?;
    let shape = stored.shape().to_vec();
    match *shape {
        [_] | [_, 1] | [1, _] => Ok(stored.numbers_as::<f64>()?.into_iter().collect()),
        _ => Err(Error::bad(
            place.display(),
            "shape",
            shown(&shape),
            "(trials,)",
        )),
    }
}

struct Session<'a> {
    source: &'a Path,
    planes: Vec<Plane>,
    neurons: usize,
    /// Trials of the source that are kept.
    kept: Vec<usize>,
    /// Their images and onsets.
    numbers: Vec<usize>,
    onsets: Vec<i64>,
    options: &'a Suite2p,
}

impl Session<'_> {
    fn import(
        &self,
        images: Opened,
        cut: &Cut,
        warnings: Vec<String>,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let stack = images.load(&self.numbers, draft.map(Draft::path), progress)?;
        let mut stored = ImageFile::create(path("images.npy").as_deref(), stack.size)?;
        let shown = Shown {
            numbers: &self.numbers,
            pixels: &|number| stack.pixels(number, number),
            first: 0,
            source: &self.options.image_of_trial,
        };
        let tiering = Tiering::drawn(self.options.shares, self.options.seed);
        let trials = shown.store(&mut stored, &tiering, progress)?;
        stored.finish()?;
        let file = path("responses.npy");
        let mut responses = ResponseFile::create(file.as_deref(), self.neurons, false)?;
        let recorded = self.responses(&mut responses, &trials, progress)?;
        recorded.check(self.planes[0].signal.place())?;
        responses.finish()?;
        let integers = |all: Vec<i64>| Column::Integer(all);
        let cells = || {
            self.planes
                .iter()
                .flat_map(|p| p.kept.iter().map(|k| (p.number, *k)))
        };
        let mut properties = vec![
            (
                "plane".to_string(),
                integers(cells().map(|(p, _)| p as i64).collect()),
            ),
            (
                "roi".to_string(),
                integers(cells().map(|(_, k)| k.0 as i64).collect()),
            ),
        ];
        if self.options.all {
            let flags = cells().map(|(_, k)| k.1).collect();
            properties.push(("is_cell".to_string(), Column::Boolean(flags)));
        }
        let probable = cells().map(|(_, k)| k.2).collect();
        properties.push(("cell_probability".to_string(), Column::Number(probable)));
        let made = Made {
            source: self.source,
            name: name(self.source)?,
            described: format!(
                "{}{}{}",
                self.described(),
                cut.described(),
                tiering.described()
            ),
            response_unit: Some(
                match self.options.signal {
                    Signal::Spks => "deconvolved fluorescence",
                    Signal::F => "fluorescence",
                    Signal::Dff => "relative change of fluorescence",
                }
                .into(),
            ),
            columns: Table::new()
                .with(
                    "source_image",
                    integers(self.numbers.iter().map(|n| *n as i64).collect()),
                )
                .with(
                    "source_trial",
                    integers(self.kept.iter().map(|t| *t as i64).collect()),
                )
                .with("onset_frame", integers(self.onsets.clone())),
            trials,
            neurons: self.neurons,
            properties,
            images: stored.count(),
            size: stack.size,
            warnings,
        };
        made.write(draft)
    }

    fn described(&self) -> String {
        let o = self.options;
        let mut text = format!(
            "suite2p {}, onsets {}, image of trial {}, images {}, window {} frames, signal {}",
            self.source.display(),
            o.onsets.display(),
            o.image_of_trial.display(),
            o.images.display(),
            o.window,
            o.signal
        );
        if o.all {
            text.push_str(", all ROIs");
        }
        text
    }

    fn responses(
        &self,
        file: &mut ResponseFile,
        trials: &[Trial],
        progress: &mut Progress,
    ) -> Result<Recorded> {
        let trained = trials.iter().map(|t| t.tier == Tier::Train).collect();
        let mut turn = Turn::begin(file, self.neurons, trained, self.planes[0].signal.place());
        let at_once = at_once::<f32>(trials.len());
        let (mut block, mut first, mut done): (Vec<f32>, _, _) = (Vec::new(), 0, 0);
        let window = self.options.window.0.clone();
        let count = window.clone().count() as f64;
        for plane in &self.planes {
            for (cell, (roi, ..)) in plane.kept.iter().enumerate() {
                if done % 16 == 0 {
                    progress("reading cells", done, self.neurons)?;
                }
                let trace = plane.trace(*roi)?;
                block.extend(self.onsets.iter().map(|onset| {
                    let start = (onset + *window.start() as i64) as usize;
                    let end = (onset + *window.end() as i64) as usize;
                    let mean = trace[start..=end].iter().sum::<f64>() / count;
                    match plane.baselines.get(cell) {
                        Some(f0) => ((mean - f0) / f0) as f32,
                        None => mean as f32,
                    }
                }));
                done += 1;
                if done - first == at_once || done == self.neurons {
                    turn.put(first, &block)?;
                    block.clear();
                    first = done;
                }
            }
        }
        Ok(turn.recorded)
    }
}

/// What the recording is called: the folder above suite2p's own.
fn name(source: &Path) -> Result<String> {
    let own = |n: &str| {
        n == "suite2p"
            || n == "combined"
            || n.strip_prefix("plane")
                .is_some_and(|r| r.parse::<u32>().is_ok())
    };
    let whole = source
        .canonicalize()
        .unwrap_or_else(|_| source.to_path_buf());
    let mut names = whole
        .iter()
        .rev()
        .filter_map(|n| n.to_str())
        .filter(|n| *n != "/");
    match names.find(|n| !own(n)) {
        Some(name) => Ok(name.to_string()),
        None => name_of(source),
    }
}
