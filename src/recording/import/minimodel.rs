//! Sessions of Janelia's minimodel data: `<mouse>.npz` with responses, and an `.npy` of all images.
//!
//! | array | shape |
//! |---|---|
//! | `sp` | (neurons, presentations) |
//! | `istim_sp` | (presentations,): numbers of images, from 0 |
//! | `ss_all` | (images, repeats, neurons) of the repeated set; repeats without any number are padding |
//! | `istim_ss` | (images,): their numbers |
//! | `xpos`, `ypos`, `iplane`, .. | optional, (neurons,): columns `x`, `y`, `plane`, .. |
//!
//! The repeated set is the test tier; presentations 0, 10, 20, .. validate; the others train. Trials are the presentations in
//! their order, then the repeated set image by image. `sp` is turned while it is read: memory for a block of neurons.

use super::Rescale;
use crate::npy::{Archive, Kind, Real, Rows, Stored, shown};
use crate::recording::check::{check_neurons, check_tiers};
use crate::recording::draft::Draft;
use crate::recording::listing;
use crate::recording::metadata::Metadata;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, Pixels, ResponseFile};
use crate::recording::summary::{Summary, tiers};
use crate::recording::{Tier, Trial, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Every so many presentations one validates.
const VALIDATE: usize = 10;
/// Bytes of responses turned at a time.
const BLOCK: usize = 1 << 27;

/// What is kept of the images, and how.
#[derive(Clone, Debug, Default)]
pub struct Minimodel {
    /// The images: (images, height, width).
    pub images: PathBuf,
    /// Columns that are kept; all without.
    pub crop: Option<Range<usize>>,
    /// Makes images smaller.
    pub rescale: Option<Rescale>,
}

/// Turns a session into a recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the array and what is wrong with it; nothing is left behind then.
pub fn minimodel(
    source: &Path,
    out: Option<&Path>,
    options: &Minimodel,
    progress: &mut Progress,
) -> Result<Summary> {
    let session = Session::open(source, options)?;
    let draft = match out {
        Some(out) => Some(Draft::begin(out, session.bytes())?),
        None => None,
    };
    let made = match session.wide {
        true => session.import::<f64>(draft.as_ref(), progress),
        false => session.import::<f32>(draft.as_ref(), progress),
    };
    let summary = made.map_err(|e| match &draft {
        Some(draft) => draft.named(e),
        None => e,
    })?;
    if let Some(draft) = draft {
        draft.finish()?;
    }
    Ok(summary)
}

struct Session<'a> {
    source: &'a Path,
    options: &'a Minimodel,
    images: Rows,
    /// Columns of the images that are kept.
    crop: Range<usize>,
    neurons: usize,
    /// Numbers of the images of all presentations, and of the repeated set.
    presented: Vec<usize>,
    repeated: Vec<usize>,
    repeats: usize,
    wide: bool,
    columns: Vec<(String, Vec<String>)>,
}

impl<'a> Session<'a> {
    fn open(source: &'a Path, options: &'a Minimodel) -> Result<Self> {
        let images = Rows::open(&options.images)?;
        let [count, _, width] = *images.header().shape else {
            return Err(Error::bad(
                images.place().display(),
                "shape",
                shown(&images.header().shape),
                "(images, height, width); of (height, width, images) save numpy.moveaxis(images, -1, 0)",
            ));
        };
        let crop = options.crop.clone().unwrap_or(0..width);
        if crop.is_empty() || crop.end > width {
            let got = format!("{}:{}", crop.start, crop.end);
            let wanted = format!("columns from 0:{width}");
            return Err(Error::bad(images.place().display(), "--crop", got, wanted));
        }
        let mut archive = Archive::open(source)?;
        let mut shape = |name: &str, axes: usize| -> Result<(Vec<usize>, bool)> {
            let array = archive.array(name)?;
            array.refuse_objects("numbers", "numpy.float32")?;
            let shape = array.shape().to_vec();
            if shape.len() != axes || shape.contains(&0) {
                let wanted = format!("{axes} axes, none of them empty");
                let place = array.place().display();
                return Err(Error::bad(place, "shape", shown(&shape), wanted));
            }
            let dtype = array.header().dtype;
            let wide = match dtype.kind {
                Kind::Float => dtype.size > 4,
                _ => dtype.size > 2,
            };
            Ok((shape, wide))
        };
        let (single, wide_single) = shape("sp", 2)?;
        let (again, wide_again) = shape("ss_all", 3)?;
        let neurons = single[0];
        if again[2] != neurons {
            return Err(Error::bad(
                source.join("ss_all.npy").display(),
                "number of neurons",
                again[2],
                format!("{neurons} as in sp"),
            ));
        }
        let presented = numbers(archive.array("istim_sp")?, single[1], count)?;
        let repeated = numbers(archive.array("istim_ss")?, again[0], count)?;
        let columns = columns(&mut archive, neurons)?;
        let this = Self {
            source,
            options,
            images,
            crop,
            neurons,
            presented,
            repeated,
            repeats: again[1],
            wide: wide_single || wide_again,
            columns,
        };
        this.check_size()?;
        Ok(this)
    }

    fn check_size(&self) -> Result<()> {
        let (h, w) = (self.images.header().shape[1], self.crop.len());
        let k = self.options.rescale.map_or(1, Rescale::factor);
        if h % k == 0 && w % k == 0 && h > 0 {
            return Ok(());
        }
        Err(Error::bad(
            self.images.place().display(),
            "image size",
            format!("{h} x {w}"),
            format!("multiples of {k}, for --rescale"),
        ))
    }

    fn size(&self) -> (usize, usize) {
        let k = self.options.rescale.map_or(1, Rescale::factor);
        (self.images.header().shape[1] / k, self.crop.len() / k)
    }

    fn bytes(&self) -> u128 {
        let row = self.neurons * if self.wide { 8 } else { 4 };
        let trials = self.presented.len() + self.repeated.len() * self.repeats;
        let (h, w) = self.size();
        (trials * row) as u128 + ((self.presented.len() + self.repeated.len()) * h * w) as u128
    }

    fn pixels(&self, number: usize) -> Result<Pixels> {
        let mut values: Vec<f64> = Vec::new();
        self.images.read(number, 1, &mut values)?;
        let width = self.images.header().shape[2];
        let rows = values.chunks_exact(width);
        let cropped: Vec<f64> = rows.flat_map(|r| r[self.crop.clone()].to_vec()).collect();
        let size = (self.images.header().shape[1], self.crop.len());
        let pixels = match self.options.rescale {
            Some(rescale) => rescale.apply(&cropped, size),
            None => Pixels::of(cropped.iter().map(|x| *x as f32).collect()),
        };
        match pixels.unusable() {
            None => Ok(pixels),
            Some((_, x)) => {
                let place = self.images.place().display();
                let what = format!("grey level of image {number}");
                Err(Error::bad(place, what, x, "a finite number"))
            }
        }
    }

    fn import<T: Number>(&self, draft: Option<&Draft>, progress: &mut Progress) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let file = path("responses.npy");
        let mut responses = ResponseFile::create(file.as_deref(), self.neurons, self.wide)?;
        let mut archive = Archive::open(self.source)?;
        let recorded = self.turn::<T>(&mut archive, &mut responses, progress)?;
        recorded.check(&self.source.join("sp.npy"))?;
        let mut shown = self.presented.clone();
        self.repeat::<T>(&mut archive, &mut responses, &mut shown, progress)?;
        responses.finish()?;
        let file = path("images.npy");
        let mut images = ImageFile::create(file.as_deref(), self.size())?;
        let trials = self.trials(&mut images, &shown, progress)?;
        images.finish()?;
        check_tiers(&trials, self.source)?;
        let name = name_of(self.source)?;
        let name = name.strip_suffix(".npz").unwrap_or(&name).to_string();
        let metadata = Metadata {
            name: Some(name.clone()),
            source: Some(self.described()),
            ..Metadata::default()
        };
        metadata.check(&name, self.source)?;
        let neurons = self.columns.iter().fold(
            Table::new().with(
                "neuron",
                Column::Integer((0..self.neurons as i64).collect()),
            ),
            |table, (name, cells)| table.with(name, Column::Text(cells.clone())),
        );
        check_neurons(&neurons, self.neurons, self.source)?;
        if let Some(draft) = draft {
            let at = |name: &str| draft.path().join(name);
            let numbers = shown.iter().map(|n| *n as i64).collect();
            let columns = Table::new().with("source_image", Column::Integer(numbers));
            files::write(&at("trials.csv"), |w| {
                listing::fill(w, &trials, Some(&columns))
            })?;
            neurons.write_csv(&at("neurons.csv"))?;
            files::write(&at("recording.toml"), |w| {
                w.write_all(metadata.text().as_bytes())
            })?;
        }
        let (height, width) = self.size();
        Ok(Summary {
            name,
            images: images.count(),
            height,
            width,
            neurons: self.neurons,
            tiers: tiers(&trials),
            warnings: Vec::new(),
        })
    }

    /// Writes `sp` with a row per presentation.
    fn turn<T: Number>(
        &self,
        archive: &mut Archive,
        file: &mut ResponseFile,
        progress: &mut Progress,
    ) -> Result<Recorded> {
        let count = self.presented.len();
        let mut recorded = Recorded::new(self.neurons);
        let at_once = (BLOCK / (count * size_of::<T>())).max(1);
        let array = archive.array("sp")?;
        let place = array.place().to_path_buf();
        file.reserve(count);
        array.by_rows::<T>(at_once, |first, block| {
            progress("turning responses", first, self.neurons)?;
            let neurons = block.len() / count;
            for (neuron, all) in (first..).zip(block.chunks_exact(count)) {
                let infinite = all.iter().position(|r| r.beyond());
                if let Some(at) = infinite {
                    return Err(infinite_at(&place, format!("({neuron}, {at})")));
                }
                let trained = |t: &usize| !t.is_multiple_of(VALIDATE) && !all[*t].unknown();
                if (0..count).any(|t| trained(&t)) {
                    recorded.see(|n| n == neuron);
                }
            }
            let mut bytes = Vec::with_capacity(neurons * size_of::<T>());
            for trial in 0..count {
                bytes.clear();
                for neuron in 0..neurons {
                    block[neuron * count + trial].put(&mut bytes);
                }
                file.patch(trial, first, &bytes)?;
            }
            Ok(())
        })?;
        Ok(recorded)
    }

    /// Appends the trials of the repeated set.
    fn repeat<T: Number>(
        &self,
        archive: &mut Archive,
        file: &mut ResponseFile,
        shown: &mut Vec<usize>,
        progress: &mut Progress,
    ) -> Result<()> {
        let array = archive.array("ss_all")?;
        let place = array.place().to_path_buf();
        array.by_rows::<T>(1, |image, block| {
            progress("reading repeats", image, self.repeated.len())?;
            for (repeat, row) in block.chunks_exact(self.neurons).enumerate() {
                if let Some(neuron) = row.iter().position(|r| r.beyond()) {
                    let at = format!("({image}, {repeat}, {neuron})");
                    return Err(infinite_at(&place, at));
                }
                if row.iter().all(|r| r.unknown()) {
                    continue;
                }
                let mut bytes = Vec::with_capacity(size_of_val(row));
                row.iter().for_each(|r| r.put(&mut bytes));
                file.push(&bytes)?;
                shown.push(self.repeated[image]);
            }
            Ok(())
        })
    }

    fn trials(
        &self,
        images: &mut ImageFile,
        shown: &[usize],
        progress: &mut Progress,
    ) -> Result<Vec<Trial>> {
        let mut row_of: HashMap<usize, usize> = HashMap::new();
        let mut first: HashMap<usize, (Tier, usize)> = HashMap::new();
        let mut trials = Vec::with_capacity(shown.len());
        for (trial, number) in shown.iter().enumerate() {
            if trial % 256 == 0 {
                progress("reading images", trial, shown.len())?;
            }
            let tier = match trial {
                t if t >= self.presented.len() => Tier::Test,
                t if t.is_multiple_of(VALIDATE) => Tier::Validation,
                _ => Tier::Train,
            };
            let image = match row_of.get(number) {
                Some(row) => *row,
                None => {
                    let pixels = self.pixels(*number)?;
                    let row = images.add(&pixels, pixels.key())?;
                    row_of.insert(*number, row);
                    row
                }
            };
            let (earlier, other) = *first.entry(image).or_insert((tier, trial));
            if earlier != tier {
                return Err(Error::bad(
                    format!("{}, trial {trial} (image {number})", self.source.display()),
                    "tier",
                    format!(
                        "{tier}, but {earlier} in trial {other}, which shows the same image ({})",
                        shown[other]
                    ),
                    "one tier per image: anything else leaks",
                ));
            }
            trials.push(Trial { image, tier });
        }
        Ok(trials)
    }

    fn described(&self) -> String {
        let mut text = format!(
            "minimodel session {}, images {}",
            self.source.display(),
            self.options.images.display()
        );
        if let Some(crop) = &self.options.crop {
            text.push_str(&format!(", crop {}:{}", crop.start, crop.end));
        }
        if let Some(rescale) = self.options.rescale {
            text.push_str(&format!(", rescale {rescale}"));
        }
        text
    }
}

fn infinite_at(place: &Path, at: String) -> Error {
    Error::bad(
        place.display(),
        format!("response at {at}"),
        "infinite, or beyond the range of float32",
        "a number, or NaN where it was not recorded",
    )
}

/// Numbers of images, integers or whole floats.
fn numbers(array: Stored<'_>, wanted: usize, images: usize) -> Result<Vec<usize>> {
    let place = array.place().to_path_buf();
    let values = array.numbers_as::<f64>()?;
    if values.shape() != [wanted] {
        let got = shown(values.shape());
        return Err(Error::bad(
            place.display(),
            "shape",
            got,
            format!("({wanted},)"),
        ));
    }
    let number = |(at, x): (usize, &f64)| {
        let known = x.fract() == 0.0 && *x >= 0.0 && *x < images as f64;
        known.then_some(*x as usize).ok_or_else(|| {
            let last = images.saturating_sub(1);
            let wanted = format!("the number of an image, 0 to {last}");
            Error::bad(place.display(), format!("image at {at}"), x, wanted)
        })
    };
    values.iter().enumerate().map(number).collect()
}

/// A column for every other array with a number or word per neuron.
fn columns(archive: &mut Archive, neurons: usize) -> Result<Vec<(String, Vec<String>)>> {
    let mut columns = Vec::new();
    for name in archive.names() {
        let array = archive.array(&name)?;
        let own = ["sp", "ss_all", "istim_sp", "istim_ss"].contains(&name.as_str());
        if own || array.shape() != [neurons] {
            continue;
        }
        let named = match name.as_str() {
            "xpos" => "x",
            "ypos" => "y",
            "iplane" => "plane",
            "neuron" => "source_neuron",
            other => other,
        };
        columns.push((named.to_string(), array.cells()?));
    }
    Ok(columns)
}

/// What responses are kept as.
trait Number: Real {
    /// Whether `float32` cannot hold it.
    fn beyond(self) -> bool;
    fn unknown(self) -> bool;
    fn put(self, bytes: &mut Vec<u8>);
}

impl Number for f32 {
    fn beyond(self) -> bool {
        self.is_infinite()
    }
    fn unknown(self) -> bool {
        self.is_nan()
    }
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Number for f64 {
    fn beyond(self) -> bool {
        (self as f32).is_infinite()
    }
    fn unknown(self) -> bool {
        self.is_nan()
    }
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}
