//! Recordings of experanto: a folder with `screen` and `responses`.
//!
//! | file | content |
//! |---|---|
//! | `screen/meta/NNNNN.yml`, or `screen/combined_meta.json` | of each block `modality`, `tier` and `first_frame_idx` |
//! | `screen/data/NNNNN.npy` | of a block whose modality is `image`: (H, W), (1, H, W) or (H, W, 1) |
//! | `screen/timestamps.npy` | seconds of every frame |
//! | `responses/meta.yml` | `start_time`, `sampling_rate`, `n_signals`, and more |
//! | `responses/data.npy` or `data.mem` | (samples, neurons) |
//! | `responses/meta/phase_shifts.npy` | optional, seconds by which each neuron was sampled later |
//!
//! Each block of an image is a trial; videos and blanks are left out. A response is the mean of the samples in a window after
//! the onset: from the first second, up to but without the last. Trials whose window leaves the recording are left out.

mod meta;
mod signals;

use super::Rescale;
use super::cut::Cut;
use super::made::{Made, Shown, Tiering, drafted};
use super::number::{Number, infinite_at};
use crate::npy::{Stored, shown};
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, Pixels, ResponseFile};
use crate::recording::summary::Summary;
use crate::recording::{Tier, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result};
use meta::Block;
use signals::Signals;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Seconds after the onset: from the first, up to but without the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Seconds(pub Range<f64>);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches('s').trim();
        // A window may begin before the onset: the first character is no separator.
        let at = digits
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '-')
            .map(|(at, _)| at);
        let range = at.and_then(|at| {
            Some(digits[..at].trim().parse().ok()?..digits[at + 1..].trim().parse().ok()?)
        });
        let fits = |r: &Range<f64>| r.start.is_finite() && r.end.is_finite() && r.start < r.end;
        range.filter(fits).map(Self).ok_or_else(|| {
            format!("\"{text}\" is no window, wanted seconds from and to, as in 0.05-0.55")
        })
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start, self.0.end)
    }
}

/// When responses are read, and what is kept of the images.
#[derive(Clone, Debug)]
pub struct Experanto {
    /// Which seconds after the onset count.
    pub window: Seconds,
    /// Columns that are kept; all without.
    pub crop: Option<Range<usize>>,
    /// Makes images smaller.
    pub rescale: Option<Rescale>,
}

/// Turns a folder into a recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the file and what is wrong with it; nothing is left behind then.
pub fn experanto(
    source: &Path,
    out: Option<&Path>,
    options: &Experanto,
    progress: &mut Progress,
) -> Result<Summary> {
    for part in ["screen", "responses"] {
        if !source.join(part).is_dir() {
            let what = match source.join("data/images").is_dir() {
                true => "is a Sensorium scan: use `striate import sensorium`".to_string(),
                false => {
                    format!("has no folder {part}, wanted one of experanto: screen and responses")
                }
            };
            return Err(Error::file(source, what));
        }
    }
    let blocks = meta::blocks(&source.join("screen"), progress)?;
    let signals = Signals::open(&source.join("responses"))?;
    let mut warnings = Vec::new();
    let (trials, others) = trials(source, blocks, &mut warnings)?;
    let inside = |t: &Trial| signals.samples(t.onset, &options.window.0).is_some();
    let all = trials.len();
    let kept: Vec<Trial> = trials.into_iter().filter(inside).collect();
    match all - kept.len() {
        0 => {}
        n if kept.is_empty() => {
            let place = source.join("screen/timestamps.npy");
            let wanted = format!(
                "at least 1: the windows of all {n} leave the recording, {}",
                signals.extent()
            );
            return Err(Error::bad(place.display(), "number of trials", 0, wanted));
        }
        n => warnings.push(format!(
            "{}: {n} trials are left out, since their windows leave the recording, {}",
            source.display(),
            signals.extent()
        )),
    }
    if others > 0 {
        warnings.push(format!(
            "{}: {others} videos are left out: clips are not images",
            source.display()
        ));
    }
    let session = Session {
        source,
        options,
        cut: Cut {
            crop: options.crop.clone(),
            rescale: options.rescale,
        },
        kept,
        signals,
    };
    let size = session.image_size(0)?;
    let bytes = session.bytes(session.cut.size(size, &session.kept[0].place)?);
    drafted(out, bytes, |draft| match session.signals.wide() {
        true => session.import::<f64>(size, warnings, draft, progress),
        false => session.import::<f32>(size, warnings, draft, progress),
    })
}

/// A showing of an image.
struct Trial {
    block: usize,
    tier: Tier,
    /// What the source calls its tier.
    word: String,
    onset: f64,
    /// The image's file.
    place: PathBuf,
}

/// The blocks that are trials, and how many are videos.
fn trials(
    source: &Path,
    blocks: Vec<Block>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Trial>, usize)> {
    let place = source.join("screen/timestamps.npy");
    let stored = Stored::open(&place)?;
    if stored.shape().len() != 1 {
        let got = shown(stored.shape());
        return Err(Error::bad(place.display(), "shape", got, "(frames,)"));
    }
    let times: Vec<f64> = stored.numbers_as::<f64>()?.into_iter().collect();
    let (mut trials, mut videos, mut tierless) = (Vec::new(), 0, 0);
    for block in blocks {
        match block.modality.as_str() {
            "image" => {}
            "video" => {
                videos += 1;
                continue;
            }
            _ => continue,
        }
        let Some(tier) = block.tier()? else {
            tierless += 1;
            continue;
        };
        let onset = times.get(block.first_frame).copied();
        let Some(onset) = onset.filter(|t| t.is_finite()) else {
            let got = onset.map_or_else(|| "missing".to_string(), |t| t.to_string());
            let what = format!(
                "time of frame {}, the first of block {}",
                block.first_frame, block.name
            );
            return Err(Error::bad(place.display(), what, got, "seconds"));
        };
        trials.push(Trial {
            block: block.number,
            tier,
            word: block.word,
            onset,
            place: source
                .join("screen/data")
                .join(format!("{}.npy", block.name)),
        });
    }
    if trials.is_empty() {
        let what = match videos {
            0 => "has no block whose modality is image".to_string(),
            n => format!(
                "has no block whose modality is image, but {n} videos: clips are not images"
            ),
        };
        return Err(Error::file(source.join("screen"), what));
    }
    if tierless > 0 {
        warnings.push(format!(
            "{}: {tierless} images of tier none are left out",
            source.display()
        ));
    }
    Ok((trials, videos))
}

struct Session<'a> {
    source: &'a Path,
    options: &'a Experanto,
    cut: Cut,
    kept: Vec<Trial>,
    signals: Signals,
}

impl Session<'_> {
    fn bytes(&self, (h, w): (usize, usize)) -> u128 {
        let row = self.signals.count * if self.signals.wide() { 8 } else { 4 };
        self.kept.len() as u128 * (row + h * w) as u128
    }

    fn image_size(&self, trial: usize) -> Result<(usize, usize)> {
        size_of(&Stored::open(&self.kept[trial].place)?)
    }

    fn pixels(&self, trial: usize, size: (usize, usize)) -> Result<Pixels> {
        let place = &self.kept[trial].place;
        let stored = Stored::open(place)?;
        let own = size_of(&stored)?;
        if own != size {
            let told = |s: (usize, usize)| format!("{} x {}", s.0, s.1);
            let wanted = format!("{} as in the first image", told(size));
            return Err(Error::bad(place.display(), "image size", told(own), wanted));
        }
        let values = stored.numbers_as::<f64>()?.into_iter().collect();
        let pixels = self.cut.apply(values, size);
        match pixels.unusable() {
            None => Ok(pixels),
            Some((_, x)) => Err(Error::bad(
                place.display(),
                "grey level",
                x,
                "a finite number",
            )),
        }
    }

    fn import<T: Number>(
        &self,
        size: (usize, usize),
        warnings: Vec<String>,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let kept_size = self.cut.size(size, &self.kept[0].place)?;
        let mut images = ImageFile::create(path("images.npy").as_deref(), kept_size)?;
        let numbers: Vec<usize> = (0..self.kept.len()).collect();
        let trials = Shown {
            numbers: &numbers,
            pixels: &|trial| self.pixels(trial, size),
            first: 0,
            source: self.source,
        };
        let tiers = self.kept.iter().map(|t| t.tier).collect();
        let trials = trials.store(&mut images, &Tiering::Given(tiers), progress)?;
        images.finish()?;
        let file = path("responses.npy");
        let neurons = self.signals.count;
        let mut responses = ResponseFile::create(file.as_deref(), neurons, self.signals.wide())?;
        let mut recorded = Recorded::new(neurons);
        let mut bytes = Vec::new();
        for (row, trial) in self.kept.iter().enumerate() {
            if row % 64 == 0 {
                progress("reading responses", row, self.kept.len())?;
            }
            let values: Vec<T> = self.signals.means(trial.onset, &self.options.window.0)?;
            if let Some(neuron) = values.iter().position(|r| r.beyond()) {
                let at = format!("neuron {neuron}, block {}", trial.block);
                return Err(infinite_at(self.signals.place(), at));
            }
            if trial.tier == Tier::Train {
                recorded.see(|n| !values[n].unknown());
            }
            bytes.clear();
            values.iter().for_each(|r| r.put(&mut bytes));
            responses.push(&bytes)?;
        }
        recorded.check(self.signals.place())?;
        responses.finish()?;
        let words = self.kept.iter().map(|t| t.word.clone()).collect();
        let blocks = self.kept.iter().map(|t| t.block as i64).collect();
        let onsets = self.kept.iter().map(|t| t.onset).collect();
        let made = Made {
            source: self.source,
            name: name_of(self.source)?,
            described: format!(
                "experanto folder {}, window {} s{}",
                self.source.display(),
                self.options.window,
                self.cut.described()
            ),
            response_unit: None,
            trials,
            columns: Table::new()
                .with("source_tier", Column::Text(words))
                .with("source_trial", Column::Integer(blocks))
                .with("onset", Column::Number(onsets)),
            neurons,
            properties: signals::properties(&self.source.join("responses/meta"), neurons)?,
            images: images.count(),
            size: kept_size,
            warnings,
        };
        made.write(draft)
    }
}

/// Height and width of an image.
fn size_of(stored: &Stored<'_>) -> Result<(usize, usize)> {
    match *stored.shape() {
        [h, w] | [1, h, w] | [h, w, 1] if h * w > 0 => Ok((h, w)),
        ref other => Err(Error::bad(
            stored.place().display(),
            "shape",
            shown(other),
            "(height, width): one grey image",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_seconds_from_and_to() {
        for (text, range) in [
            ("0.05-0.55", 0.05..0.55),
            ("-0.5-0", -0.5..0.0),
            ("0-1s", 0.0..1.0),
        ] {
            assert_eq!(text.parse::<Seconds>().unwrap().0, range);
        }
        for text in ["", "1", "1-1", "2-1", "a-b", "nan-1", "0-inf"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
