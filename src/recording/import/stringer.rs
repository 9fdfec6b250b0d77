//! Recordings of Stringer et al. 2019: `natimg2800_<mouse>_<date>.mat`, and `images_natimg2800_all.mat`.
//!
//! | variable | shape in MATLAB |
//! |---|---|
//! | `stim.resp` | presentations x neurons |
//! | `stim.istim` | presentations: numbers of images, from 1; the largest stands for grey, which is left out |
//! | `med` | optional, neurons x 3: `x`, `y`, `z` in micrometres |
//! | `stat` | optional, a struct for every neuron: `redcell` |
//! | `imgs`, in the other file | height x width x images |
//!
//! Tiers are drawn by image, so that both presentations of an image are in one.

use super::Rescale;
use super::cut::Cut;
use super::made::{Made, Shown, Tiering, drafted, stem};
use super::number::Number;
use super::opened::Opened;
use super::stack::numbers;
use super::turn::{Turn, at_once};
use crate::matlab::{Class, File, shown};
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::summary::Summary;
use crate::recording::{Shares, Tier, Trial};
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is kept of the images, and how tiers are drawn.
#[derive(Clone, Debug)]
pub struct Stringer {
    /// The images: a MATLAB file with `imgs` of height x width x images, or an `.npy` of (images, height, width).
    pub images: PathBuf,
    /// Columns that are kept; all without.
    pub crop: Option<Range<usize>>,
    /// Makes images smaller.
    pub rescale: Option<Rescale>,
    /// How many images are for what.
    pub shares: Shares,
    /// Draws tiers.
    pub seed: u64,
}

/// Turns a session into a recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the variable and what is wrong with it; nothing is left behind then.
pub fn stringer(
    source: &Path,
    out: Option<&Path>,
    options: &Stringer,
    progress: &mut Progress,
) -> Result<Summary> {
    let cut = Cut {
        crop: options.crop.clone(),
        rescale: options.rescale,
    };
    let file = File::open(source)?;
    let raw: Vec<f64> = file.value("stim.istim")?.numbers()?;
    let (presented, neurons, wide) = {
        let mut value = file.value("stim.resp")?;
        let wide = value.array()?.wide();
        match *value.shape() {
            [t, n] if t == raw.len() && t * n > 0 => (t, n, wide),
            ref other => {
                let wanted = format!("{} presentations, as istim has, x neurons", raw.len());
                return Err(Error::bad(
                    value.place().display(),
                    "shape",
                    shown(other),
                    wanted,
                ));
            }
        }
    };
    let place = source.join("stim.istim");
    let most = raw.iter().copied().fold(0.0, f64::max);
    // All but grey.
    let images = Opened::open(&options.images, &["imgs", "img"], &cut, &|n| {
        n as f64 + 1.0 >= most && n > 0
    })?;
    let grey = images.count() as f64 + 1.0;
    let kept: Vec<usize> = (0..presented).filter(|t| raw[*t] != grey).collect();
    let shown: Vec<f64> = kept.iter().map(|t| raw[*t]).collect();
    let session = Session {
        source,
        neurons,
        presented,
        wide,
        numbers: numbers(&shown, 1, images.count(), &place)?,
        kept,
        properties: properties(&file, neurons)?,
        file,
    };
    let described = format!(
        "natimg2800 session {}, images {}{}",
        source.display(),
        options.images.display(),
        cut.described()
    );
    let (h, w) = images.size()?;
    let row = neurons * if wide { 8 } else { 4 };
    let bytes = session.kept.len() as u128 * row as u128 + images.count() as u128 * (h * w) as u128;
    drafted(out, bytes, |draft| match wide {
        true => session.import::<f64>(images, options, described, draft, progress),
        false => session.import::<f32>(images, options, described, draft, progress),
    })
}

struct Session<'a> {
    source: &'a Path,
    file: File,
    neurons: usize,
    /// Presentations, grey among them.
    presented: usize,
    /// Those that are trials.
    kept: Vec<usize>,
    /// Their images, from 0.
    numbers: Vec<usize>,
    wide: bool,
    properties: Vec<(String, Column)>,
}

impl Session<'_> {
    fn import<T: Number>(
        &self,
        images: Opened,
        options: &Stringer,
        described: String,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let stack = images.load(&self.numbers, draft.map(Draft::path), progress)?;
        let mut stored = ImageFile::create(path("images.npy").as_deref(), stack.size)?;
        let shown = Shown {
            numbers: &self.numbers,
            pixels: &|number| stack.pixels(number, number + 1),
            first: 1,
            source: self.source,
        };
        let tiering = Tiering::drawn(options.shares, options.seed);
        let trials = shown.store(&mut stored, &tiering, progress)?;
        stored.finish()?;
        let file = path("responses.npy");
        let mut responses = ResponseFile::create(file.as_deref(), self.neurons, self.wide)?;
        let recorded = self.turn::<T>(&mut responses, &trials, progress)?;
        recorded.check(&self.source.join("stim.resp"))?;
        responses.finish()?;
        let blanks = self.presented - self.kept.len();
        let warnings = match blanks {
            0 => Vec::new(),
            n => vec![format!(
                "{}: {n} presentations of grey are left out",
                self.source.display()
            )],
        };
        let column = |all: &[usize], first: i64| {
            Column::Integer(all.iter().map(|n| *n as i64 + first).collect())
        };
        let made = Made {
            source: self.source,
            name: stem(self.source, &[".mat"])?,
            described: format!("{described}{}", tiering.described()),
            response_unit: None,
            trials,
            columns: Table::new()
                .with("source_image", column(&self.numbers, 1))
                .with("source_trial", column(&self.kept, 1)),
            neurons: self.neurons,
            properties: self.properties.clone(),
            images: stored.count(),
            size: stack.size,
            warnings,
        };
        made.write(draft)
    }

    fn turn<T: Number>(
        &self,
        file: &mut ResponseFile,
        trials: &[Trial],
        progress: &mut Progress,
    ) -> Result<Recorded> {
        let mut value = self.file.value("stim.resp")?;
        let place = value.place().to_path_buf();
        let trained = trials.iter().map(|t| t.tier == Tier::Train).collect();
        let mut turn = Turn::begin(file, self.neurons, trained, &place);
        let mut array = value.array()?;
        let at_once = at_once::<T>(self.presented);
        let (mut all, mut block): (Vec<T>, Vec<T>) = (Vec::new(), Vec::new());
        for first in (0..self.neurons).step_by(at_once) {
            progress("turning responses", first, self.neurons)?;
            all.clear();
            array.read(at_once.min(self.neurons - first) * self.presented, &mut all)?;
            block.clear();
            for neuron in all.chunks_exact(self.presented) {
                block.extend(self.kept.iter().map(|t| neuron[*t]));
            }
            turn.put(first, &block)?;
        }
        Ok(turn.recorded)
    }
}

/// What the file says of its neurons.
fn properties(file: &File, neurons: usize) -> Result<Vec<(String, Column)>> {
    let mut properties = Vec::new();
    if file.has("med") {
        let mut value = file.value("med")?;
        let got = shown(value.shape());
        if *value.shape() != [neurons, 3] {
            let wanted = format!("{neurons}x3");
            return Err(Error::bad(value.place().display(), "shape", got, wanted));
        }
        let all: Vec<f64> = value.numbers()?;
        for (name, column) in ["x", "y", "z"].into_iter().zip(all.chunks_exact(neurons)) {
            properties.push((name.to_string(), Column::Number(column.to_vec())));
        }
    }
    if let Some(red) = red(file, neurons)? {
        properties.push(("redcell".to_string(), Column::Number(red)));
    }
    Ok(properties)
}

/// `stat(i).redcell` of every neuron, if there is such a field.
fn red(file: &File, neurons: usize) -> Result<Option<Vec<f64>>> {
    if !file.has("stat") {
        return Ok(None);
    }
    let mut value = file.value("stat")?;
    let place = value.place().to_path_buf();
    let names = value.fields().to_vec();
    let field = names.iter().position(|n| n == "redcell");
    let count: usize = value.shape().iter().product();
    let Some(field) = field.filter(|_| value.class() == Class::Struct && count == neurons) else {
        return Ok(None);
    };
    let mut red = Vec::with_capacity(neurons);
    let mut children = value.children()?;
    let mut at = 0;
    while let Some(mut child) = children.following()? {
        if at % names.len() == field {
            let one: Vec<f64> = child.numbers()?;
            match *one {
                [] => red.push(f64::NAN),
                [x] => red.push(x),
                _ => {
                    let what = format!("redcell of element {}", red.len() + 1);
                    return Err(Error::bad(
                        place.display(),
                        what,
                        format!("{} numbers", one.len()),
                        "one",
                    ));
                }
            }
        }
        at += 1;
    }
    Ok(Some(red))
}
