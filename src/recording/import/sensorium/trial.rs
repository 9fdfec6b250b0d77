//! One trial of a scan: its image, its responses, and what the animal did.

use super::tree::Tree;
use crate::npy::{Kind, Whole, shown};
use crate::recording::import::Rescale;
use crate::recording::sink::Pixels;
use crate::{Error, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Files of one kind, one per trial.
pub(super) struct Series {
    folder: String,
    /// Their names by the trial's number.
    files: BTreeMap<usize, String>,
}

impl Series {
    /// Those below `data/`; `trials` is how many there are, for messages. None where there is no such folder.
    pub(super) fn find(tree: &Tree, folder: &str, trials: usize) -> Result<Option<Self>> {
        let folder = format!("data/{folder}");
        let Some(names) = tree.arrays(&folder)? else {
            return Ok(None);
        };
        let mut files = BTreeMap::new();
        for name in names {
            let bad = |what, got: &str, wanted: String| {
                let place = tree.place(&format!("{folder}/{name}"));
                Err(Error::bad(place.display(), what, got, wanted))
            };
            let stem = name.trim_end_matches(".npy");
            let digits = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit());
            let Some(number) = stem.parse::<usize>().ok().filter(|_| digits) else {
                let wanted = "a trial's number, as in 0.npy".to_string();
                return bad("name", stem, wanted);
            };
            if number >= trials {
                let last = trials.saturating_sub(1);
                let wanted = format!("0 to {last}: a row of meta/trials/tiers.npy");
                return bad("number", stem, wanted);
            }
            if let Some(other) = files.insert(number, name.clone()) {
                let wanted = format!("one file per trial, but {other} is there too");
                return bad("number", stem, wanted);
            }
        }
        Ok(Some(Self { folder, files }))
    }

    fn array(&self, tree: &Tree, trial: usize) -> Result<Whole> {
        tree.array(&self.file(tree, trial)?)
    }

    fn file(&self, tree: &Tree, trial: usize) -> Result<String> {
        match self.files.get(&trial) {
            Some(name) => Ok(format!("{}/{name}", self.folder)),
            None => {
                let place = tree.place(&format!("{}/{trial}.npy", self.folder));
                let what = "does not exist, wanted a file for every row of meta/trials/tiers.npy that is not none";
                Err(Error::file(place, what))
            }
        }
    }

    /// Where a trial's file lies, for messages.
    pub(super) fn place(&self, tree: &Tree, trial: usize) -> String {
        let file = format!("{}/{trial}.npy", self.folder);
        let file = self
            .files
            .get(&trial)
            .map_or(file, |n| format!("{}/{n}", self.folder));
        tree.place(&file).display().to_string()
    }
}

/// How trials are read.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) images: Series,
    pub(super) responses: Series,
    /// Folders of a few numbers per trial, and how many.
    pub(super) further: Vec<(Series, usize)>,
    /// Height and width in the source.
    pub(super) size: (usize, usize),
    pub(super) rescale: Option<Rescale>,
    /// Neurons in the source.
    pub(super) neurons: usize,
    /// Those that are kept; none where all are.
    pub(super) kept: Option<Vec<usize>>,
    /// Whether responses are kept as `float64`.
    pub(super) wide: bool,
}

/// What one trial is.
pub(super) struct Loaded {
    pub(super) pixels: Pixels,
    pub(super) key: u128,
    pub(super) responses: Responses,
    /// Whether every response of every neuron is 0.
    pub(super) zero: bool,
    pub(super) further: Vec<String>,
}

/// Responses of the kept neurons.
pub(super) enum Responses {
    /// They lie in the file as they are stored.
    Same(Whole),
    Single(Vec<f32>),
    Double(Vec<f64>),
    /// They need `float64`.
    TooWide,
}

impl Responses {
    /// Whether a kept neuron was recorded.
    pub(super) fn known(&self, neuron: usize) -> bool {
        match self {
            Self::Same(array) => {
                let b = &array.data()[4 * neuron..4 * neuron + 4];
                !f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_nan()
            }
            Self::Single(v) => !v[neuron].is_nan(),
            Self::Double(v) => !v[neuron].is_nan(),
            Self::TooWide => false,
        }
    }

    /// Their bytes, least significant first.
    pub(super) fn bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Self::Same(array) => array.data().into(),
            Self::Single(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Double(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::TooWide => (&[][..]).into(),
        }
    }
}

/// Height and width of an image in one of the shapes that people use.
fn size_of_image(array: &Whole) -> Result<(usize, usize)> {
    let shape = &array.header().shape;
    match **shape {
        [1, h, w] | [h, w, 1] | [h, w] if h * w > 0 => Ok((h, w)),
        _ => Err(Error::bad(
            array.place().display(),
            "shape",
            shown(shape),
            "(1, height, width): one grey channel",
        )),
    }
}

/// How many neurons an array of responses is about.
fn count_of(array: &Whole) -> Result<usize> {
    let shape = &array.header().shape;
    match **shape {
        [n] | [1, n] | [n, 1] if n > 0 => Ok(n),
        _ => Err(Error::bad(
            array.place().display(),
            "shape",
            shown(shape),
            "(neurons,)",
        )),
    }
}

/// Whether `float32` does not hold all numbers of a type.
pub(super) fn is_wide(array: &Whole) -> bool {
    let dtype = array.header().dtype;
    match dtype.kind {
        Kind::Float => dtype.size > 4,
        Kind::Signed | Kind::Unsigned => dtype.size > 2,
        _ => false,
    }
}

/// Size of the images, number of neurons and whether responses need `float64`, as one trial has them.
pub(super) fn shape_of(
    tree: &Tree,
    images: &Series,
    responses: &Series,
    trial: usize,
) -> Result<((usize, usize), usize, bool)> {
    let size = size_of_image(&images.array(tree, trial)?)?;
    let array = responses.array(tree, trial)?;
    Ok((size, count_of(&array)?, is_wide(&array)))
}

/// How many numbers a series holds per trial.
pub(super) fn width_of(tree: &Tree, series: &Series, trial: usize) -> Result<usize> {
    let array = series.array(tree, trial)?;
    match *array.header().shape {
        [] => Ok(1),
        [n] => Ok(n),
        ref other => Err(Error::bad(
            array.place().display(),
            "shape",
            shown(other),
            "(numbers,)",
        )),
    }
}

impl Reader<'_> {
    /// Reads one trial.
    pub(super) fn load(&self, trial: usize) -> Result<Loaded> {
        let pixels = self.pixels(trial)?;
        let (responses, zero) = self.responses(trial)?;
        let mut further = Vec::new();
        for (series, width) in &self.further {
            let array = series.array(self.tree, trial)?;
            let cells = array.cells()?;
            if cells.len() != *width {
                array.check_shape(&[*width], "as in the first trial")?;
            }
            further.extend(cells);
        }
        Ok(Loaded {
            key: pixels.key(),
            pixels,
            responses,
            zero,
            further,
        })
    }

    fn pixels(&self, trial: usize) -> Result<Pixels> {
        let file = self.images.file(self.tree, trial)?;
        self.tree.with_array(&file, |array| self.pixels_of(array))
    }

    fn pixels_of(&self, array: &Whole) -> Result<Pixels> {
        let size = size_of_image(array)?;
        if size != self.size {
            let told = |s: (usize, usize)| format!("{} x {}", s.0, s.1);
            let wanted = format!("{} as in the first image", told(self.size));
            let place = array.place().display();
            return Err(Error::bad(place, "image size", told(size), wanted));
        }
        let dtype = array.header().dtype;
        let plain = (dtype.kind, dtype.size) == (Kind::Unsigned, 1) && !array.header().fortran;
        let pixels = match self.rescale {
            Some(rescale) => rescale.apply(&array.numbers::<f64>()?, size),
            None if plain => Pixels::Bytes(array.data().to_vec()),
            None => match array.singles() {
                Some(values) => Pixels::of_slice(values),
                None => Pixels::of(array.numbers::<f32>()?),
            },
        };
        match pixels.unusable() {
            None => Ok(pixels),
            Some((at, x)) => {
                let width = size.1 / self.rescale.map_or(1, Rescale::factor);
                let what = format!("grey level in row {}, column {}", at / width, at % width);
                let place = array.place().display();
                Err(Error::bad(place, what, x, "a finite number"))
            }
        }
    }

    fn responses(&self, trial: usize) -> Result<(Responses, bool)> {
        let array = self.responses.array(self.tree, trial)?;
        let count = count_of(&array)?;
        if count != self.neurons {
            let wanted = format!("{} as in the first trial", self.neurons);
            let place = array.place().display();
            return Err(Error::bad(place, "number of neurons", count, wanted));
        }
        if is_wide(&array) && !self.wide {
            return Ok((Responses::TooWide, false));
        }
        if self.wide {
            let all = array.numbers::<f64>()?;
            let zero = all.iter().all(|r| *r == 0.0);
            // The engine works in float32.
            let beyond = |r: &f64| (*r as f32).is_infinite();
            self.check(&array, all.iter().position(beyond))?;
            return Ok((Responses::Double(self.select(all)), zero));
        }
        let all: Cow<'_, [f32]> = match array.singles() {
            Some(values) => values.into(),
            None => array.numbers::<f32>()?.into(),
        };
        let zero = all.iter().all(|r| *r == 0.0);
        self.check(&array, all.iter().position(|r| r.is_infinite()))?;
        if matches!(all, Cow::Borrowed(_)) && self.kept.is_none() && cfg!(target_endian = "little")
        {
            drop(all);
            return Ok((Responses::Same(array), zero));
        }
        Ok((Responses::Single(self.select(all.into_owned())), zero))
    }

    fn select<T: Copy>(&self, all: Vec<T>) -> Vec<T> {
        match &self.kept {
            None => all,
            Some(rows) => rows.iter().map(|row| all[*row]).collect(),
        }
    }

    fn check(&self, array: &Whole, infinite: Option<usize>) -> Result<()> {
        match infinite {
            None => Ok(()),
            Some(neuron) => Err(Error::bad(
                array.place().display(),
                format!("response of neuron {neuron}"),
                "infinite, or beyond the range of float32",
                "a number, or NaN where it was not recorded",
            )),
        }
    }
}
