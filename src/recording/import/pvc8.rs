//! Sessions of CRCNS pvc-8 (Coen-Cagli, Kohn & Schwartz 2015, macaque V1): `01.mat` to `10.mat`.
//!
//! | variable | shape in MATLAB |
//! |---|---|
//! | `resp_train` | neurons x images x repeats x milliseconds from the onset: spikes |
//! | `resp_train_blk` | the same of the blank that follows; only for windows that go on in it |
//! | `images` | a cell array of images: 956, of which 1 to 540 are natural, in pairs of a small and a large one |
//! | `INDCENT` | optional, neurons: `centred`, whether the receptive field is on the images |
//! | `RF_SPATIAL`, `RF_TUNING` | optional, neurons x some: `rf_x`, `rf_y` in pixels, and further columns |
//!
//! Trials are the repeats of each image, image by image; responses are spikes per second in the window. The small and the
//! large version of an image are in one tier.

use super::cut::Cut;
use super::layout::{ImageAxis, Layout};
use super::made::{Made, Shown, Tiering, drafted, stem};
use crate::matlab::{File, shown};
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::summary::Summary;
use crate::recording::{Shares, Tier};
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Images of a session, and the first of them, which are natural.
const ALL: usize = 956;
const NATURAL: usize = 540;

/// Milliseconds after the onset: from the first, up to but without the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub Range<usize>);

impl FromStr for Milliseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.trim_end_matches("ms").trim().split_once('-');
        let range = range.and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
        let range = range.filter(|r: &Range<usize>| !r.is_empty());
        range.map(Self).ok_or_else(|| {
            format!("\"{text}\" is no window, wanted milliseconds from and to, as in 50-100")
        })
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start, self.0.end)
    }
}

/// Which version of the natural images is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// About 1 degree.
    Small,
    /// Up to 6.7 degrees.
    Large,
}

impl FromStr for Extent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "small" => Ok(Self::Small),
            "large" => Ok(Self::Large),
            _ => Err(format!(
                "\"{text}\" is no version of the images, wanted small or large"
            )),
        }
    }
}

/// What is kept of a session.
#[derive(Clone, Debug)]
pub struct Pvc8 {
    /// When spikes are counted.
    pub window: Milliseconds,
    /// Keeps one version of the natural images.
    pub images: Option<Extent>,
    /// Keeps natural images only, no gratings.
    pub natural: bool,
    /// How many images are for what.
    pub shares: Shares,
    /// Draws tiers.
    pub seed: u64,
}

impl Pvc8 {
    /// Whether an image is kept; numbers from 0.
    fn keeps(&self, number: usize) -> bool {
        match (number < NATURAL, self.images) {
            (false, _) => !self.natural,
            (true, None) => true,
            (true, Some(Extent::Small)) => number.is_multiple_of(2),
            (true, Some(Extent::Large)) => !number.is_multiple_of(2),
        }
    }
}

/// Turns a session into a recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the variable and what is wrong with it; nothing is left behind then.
pub fn pvc8(
    source: &Path,
    out: Option<&Path>,
    options: &Pvc8,
    progress: &mut Progress,
) -> Result<Summary> {
    let file = File::open(source)?;
    let [neurons, images, repeats, bins] = shape(&file, "resp_train")?;
    let layout = Layout::open(&file, "images", Some(ImageAxis::Last), &|_| true)?;
    if layout.count != images {
        let wanted = format!("{images} as in resp_train");
        let place = source.join("images");
        return Err(Error::bad(
            place.display(),
            "number of images",
            layout.count,
            wanted,
        ));
    }
    if images != ALL && (options.natural || options.images.is_some()) {
        let wanted = format!(
            "{ALL}, of which 1 to {NATURAL} are natural: otherwise leave out --natural and --images"
        );
        let place = source.join("images");
        return Err(Error::bad(
            place.display(),
            "number of images",
            images,
            wanted,
        ));
    }
    let kept: Vec<usize> = (0..images).filter(|n| options.keeps(*n)).collect();
    let session = Session {
        source,
        options,
        neurons,
        images,
        repeats,
        bins,
        kept,
        properties: properties(&file, neurons)?,
        file,
    };
    session.check_window()?;
    let (h, w) = layout.size(&Cut::default())?;
    let trials = session.kept.len() * repeats;
    let bytes = (trials * neurons) as u128 * 4 + session.kept.len() as u128 * (h * w) as u128;
    drafted(out, bytes, |draft| session.import(layout, draft, progress))
}

/// The shape of spikes; MATLAB does not store the last axes where they are 1.
fn shape(file: &File, name: &str) -> Result<[usize; 4]> {
    let mut value = file.value(name)?;
    value.array()?;
    let mut shape = value.shape().to_vec();
    shape.resize(shape.len().max(4), 1);
    match <[usize; 4]>::try_from(shape) {
        Ok(shape) if !shape.contains(&0) => Ok(shape),
        _ => {
            let got = shown(value.shape());
            let wanted = "neurons x images x repeats x milliseconds, none of them 0";
            Err(Error::bad(value.place().display(), "shape", got, wanted))
        }
    }
}

struct Session<'a> {
    source: &'a Path,
    options: &'a Pvc8,
    file: File,
    neurons: usize,
    images: usize,
    repeats: usize,
    /// Milliseconds before the blank.
    bins: usize,
    /// Images that are kept, from 0.
    kept: Vec<usize>,
    properties: Vec<(String, Column)>,
}

impl Session<'_> {
    /// The window's milliseconds in an array that begins at `start` and has so many.
    fn part(&self, start: usize, bins: usize) -> Range<usize> {
        let window = &self.options.window.0;
        let within = |at: usize| at.clamp(start, start + bins) - start;
        within(window.start)..within(window.end)
    }

    fn check_window(&self) -> Result<()> {
        let end = self.options.window.0.end;
        if end <= self.bins {
            return Ok(());
        }
        let blank = "resp_train_blk";
        let mut all = self.bins;
        if self.file.has(blank) {
            let [n, i, r, bins] = shape(&self.file, blank)?;
            if [n, i, r] != [self.neurons, self.images, self.repeats] {
                let wanted = format!(
                    "{}x{}x{} x milliseconds, as resp_train",
                    self.neurons, self.images, self.repeats
                );
                let place = self.source.join(blank);
                return Err(Error::bad(
                    place.display(),
                    "shape",
                    shown(&[n, i, r, bins]),
                    wanted,
                ));
            }
            all += bins;
        }
        if end <= all {
            return Ok(());
        }
        let wanted = format!(
            "at most {all}: resp_train has {} milliseconds, and resp_train_blk {}",
            self.bins,
            all - self.bins
        );
        Err(Error::bad(
            self.source.display(),
            "end of --window",
            end,
            wanted,
        ))
    }

    fn import(
        &self,
        layout: Layout,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let counts = self.counts(progress)?;
        let cut = Cut::default();
        let stack = layout.load(
            &self.file,
            &self.kept,
            &cut,
            draft.map(Draft::path),
            progress,
        )?;
        let mut images = ImageFile::create(path("images.npy").as_deref(), stack.size)?;
        let kept = self.kept.iter();
        let numbers: Vec<usize> = kept
            .flat_map(|n| std::iter::repeat_n(*n, self.repeats))
            .collect();
        let pair = |number: usize| match number < NATURAL && self.images == ALL {
            true => number / 2,
            false => number,
        };
        let tiering = Tiering::Drawn {
            shares: self.options.shares,
            seed: self.options.seed,
            together: &pair,
        };
        let shown = Shown {
            numbers: &numbers,
            pixels: &|number| stack.pixels(number, number + 1),
            first: 1,
            source: self.source,
        };
        let trials = shown.store(&mut images, &tiering, progress)?;
        images.finish()?;
        let file = path("responses.npy");
        let mut responses = ResponseFile::create(file.as_deref(), self.neurons, false)?;
        let mut recorded = Recorded::new(self.neurons);
        let duration = self.options.window.0.len() as f64;
        for (trial, number) in numbers.iter().enumerate() {
            let repeat = trial % self.repeats;
            let at = (repeat * self.images + number) * self.neurons;
            let rates = counts[at..at + self.neurons].iter();
            let rates = rates.map(|n| (f64::from(*n) * 1000.0 / duration) as f32);
            let bytes: Vec<u8> = rates.flat_map(f32::to_le_bytes).collect();
            responses.push(&bytes)?;
            if trials[trial].tier == Tier::Train {
                recorded.see(|_| true);
            }
        }
        recorded.check(&self.source.join("resp_train"))?;
        responses.finish()?;
        let column =
            |all: Vec<usize>| Column::Integer(all.into_iter().map(|n| n as i64 + 1).collect());
        let repeat = (0..numbers.len()).map(|t| t % self.repeats).collect();
        let made = Made {
            source: self.source,
            name: stem(self.source, &[".mat"])?,
            described: format!("{}{}", self.described(), tiering.described()),
            response_unit: Some("spikes per second".into()),
            columns: Table::new()
                .with("source_image", column(numbers.clone()))
                .with("repeat", column(repeat)),
            trials,
            neurons: self.neurons,
            properties: self.properties.clone(),
            images: images.count(),
            size: stack.size,
            warnings: Vec::new(),
        };
        made.write(draft)
    }

    fn described(&self) -> String {
        let mut text = format!(
            "pvc-8 session {}, window {} ms",
            self.source.display(),
            self.options.window
        );
        if let Some(extent) = self.options.images {
            text.push_str(&format!(
                ", images {}",
                format!("{extent:?}").to_lowercase()
            ));
        }
        if self.options.natural {
            text.push_str(", natural");
        }
        text
    }

    /// Spikes in the window: of all neurons, image by image, repeat by repeat.
    fn counts(&self, progress: &mut Progress) -> Result<Vec<u32>> {
        let size = self.neurons * self.images * self.repeats;
        let mut counts = Vec::new();
        let mut values: Vec<f32> = Vec::new();
        let mut start = 0;
        for name in ["resp_train", "resp_train_blk"] {
            let Some(bins) = self.bins_of(name)? else {
                continue;
            };
            let part = self.part(start, bins);
            start += bins;
            if part.is_empty() {
                continue;
            }
            let mut value = self.file.value(name)?;
            let place: PathBuf = value.place().to_path_buf();
            let mut array = value.array()?;
            array.skip(part.start * size)?;
            for bin in part.clone() {
                progress("counting spikes", bin, part.end)?;
                values.clear();
                array.read(size, &mut values)?;
                // What has come pays for the memory.
                counts.resize(size, 0_u32);
                for (at, (count, x)) in counts.iter_mut().zip(&values).enumerate() {
                    if !(x.fract() == 0.0 && (0.0..65536.0).contains(x)) {
                        let what = format!(
                            "spikes of neuron {}, bin {}",
                            at % self.neurons + 1,
                            bin + 1
                        );
                        return Err(Error::bad(place.display(), what, x, "a count"));
                    }
                    *count += *x as u32;
                }
            }
        }
        Ok(counts)
    }

    fn bins_of(&self, name: &str) -> Result<Option<usize>> {
        match name {
            "resp_train" => Ok(Some(self.bins)),
            _ if self.options.window.0.end <= self.bins => Ok(None),
            _ => Ok(Some(shape(&self.file, name)?[3])),
        }
    }
}

/// What the file says of its neurons.
fn properties(file: &File, neurons: usize) -> Result<Vec<(String, Column)>> {
    let mut properties = Vec::new();
    for (variable, names) in [
        ("INDCENT", &["centred"][..]),
        ("RF_SPATIAL", &["rf_x", "rf_y"]),
        ("RF_TUNING", &[]),
    ] {
        if !file.has(variable) {
            continue;
        }
        let mut value = file.value(variable)?;
        let columns = match *value.shape() {
            [n, columns] if n == neurons => columns,
            [1, n] if n == neurons => 1,
            ref other => {
                let wanted = format!("{neurons} x some, as resp_train has neurons");
                return Err(Error::bad(
                    value.place().display(),
                    "shape",
                    shown(other),
                    wanted,
                ));
            }
        };
        let all: Vec<f64> = value.numbers()?;
        for column in 0..columns {
            let own = &all[column * neurons..(column + 1) * neurons];
            let name = names.get(column).map_or_else(
                || format!("{}_{}", variable.to_lowercase(), column + 1),
                |n| (*n).to_string(),
            );
            properties.push((name, Column::Number(own.to_vec())));
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_milliseconds_from_and_to() {
        let parsed = "50-100".parse::<Milliseconds>().unwrap();
        assert_eq!(
            (parsed.0.clone(), parsed.to_string()),
            (50..100, "50-100".to_string())
        );
        for text in ["", "50", "100-50", "50-50", "a-b", "-1-5"] {
            assert!(text.parse::<Milliseconds>().is_err(), "{text}");
        }
    }
}
