//! Sessions of Janelia's minimodel data: `<mouse>.npz` with responses, and all images in an `.npy` or in `nat60k_text16.mat`.
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
use super::cut::Cut;
use super::made::{Made, Shown, Tiering, drafted, stem};
use super::number::{Number, infinite_at};
use super::opened::Opened;
use super::stack::numbers;
use super::turn::{Turn, at_once};
use crate::npy::{Archive, Kind, Stored, shown};
use crate::recording::Tier;
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::summary::Summary;
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Every so many presentations one validates.
const VALIDATE: usize = 10;

/// What is kept of the images, and how.
#[derive(Clone, Debug, Default)]
pub struct Minimodel {
    /// The images: an `.npy` of (images, height, width), or a MATLAB file with `img` of height x width x images.
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
    let (session, images) = Session::open(source, options)?;
    let described = format!(
        "minimodel session {}, images {}",
        source.display(),
        options.images.display()
    );
    drafted(out, session.bytes(images.size()?), |draft| {
        match session.wide {
            true => session.import::<f64>(images, described, draft, progress),
            false => session.import::<f32>(images, described, draft, progress),
        }
    })
}

struct Session<'a> {
    source: &'a Path,
    cut: Cut,
    neurons: usize,
    /// Numbers of the images of all presentations, and of the repeated set.
    presented: Vec<usize>,
    repeated: Vec<usize>,
    repeats: usize,
    wide: bool,
    columns: Vec<(String, Column)>,
}

impl<'a> Session<'a> {
    fn open(source: &'a Path, options: &Minimodel) -> Result<(Self, Opened)> {
        let cut = Cut {
            crop: options.crop.clone(),
            rescale: options.rescale,
        };
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
        let presented = values(archive.array("istim_sp")?, single[1])?;
        let repeated = values(archive.array("istim_ss")?, again[0])?;
        let most = presented
            .iter()
            .chain(&repeated)
            .copied()
            .fold(0.0, f64::max);
        let images = Opened::open(&options.images, &["img", "imgs"], &cut, &|n| {
            n as f64 > most
        })?;
        let number = |all: &[f64], name: &str| numbers(all, 0, images.count(), &source.join(name));
        let this = Self {
            source,
            cut,
            neurons,
            presented: number(&presented, "istim_sp.npy")?,
            repeated: number(&repeated, "istim_ss.npy")?,
            repeats: again[1],
            wide: wide_single || wide_again,
            columns: columns(&mut archive, neurons)?,
        };
        Ok((this, images))
    }

    fn bytes(&self, (h, w): (usize, usize)) -> u128 {
        let row = self.neurons * if self.wide { 8 } else { 4 };
        let trials = self.presented.len() + self.repeated.len() * self.repeats;
        (trials * row) as u128 + ((self.presented.len() + self.repeated.len()) * h * w) as u128
    }

    fn import<T: Number>(
        &self,
        images: Opened,
        described: String,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
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
        let mut stored = ImageFile::create(file.as_deref(), images.size()?)?;
        let stack = images.load(&shown, draft.map(Draft::path), progress)?;
        let tier = |trial| match trial {
            t if t >= self.presented.len() => Tier::Test,
            t if t % VALIDATE == 0 => Tier::Validation,
            _ => Tier::Train,
        };
        let trials = Shown {
            numbers: &shown,
            pixels: &|number| stack.pixels(number, number),
            first: 0,
            source: self.source,
        };
        let tiering = Tiering::Given((0..shown.len()).map(tier).collect());
        let trials = trials.store(&mut stored, &tiering, progress)?;
        stored.finish()?;
        let numbers = shown.iter().map(|n| *n as i64).collect();
        let made = Made {
            source: self.source,
            name: stem(self.source, &[".npz"])?,
            described: format!("{described}{}", self.cut.described()),
            response_unit: None,
            trials,
            columns: Table::new().with("source_image", Column::Integer(numbers)),
            neurons: self.neurons,
            properties: self.columns.clone(),
            images: stored.count(),
            size: stack.size,
            warnings: Vec::new(),
        };
        made.write(draft)
    }

    /// Writes `sp` with a row per presentation.
    fn turn<T: Number>(
        &self,
        archive: &mut Archive,
        file: &mut ResponseFile,
        progress: &mut Progress,
    ) -> Result<Recorded> {
        let count = self.presented.len();
        let array = archive.array("sp")?;
        let place = array.place().to_path_buf();
        let trained = (0..count).map(|t| t % VALIDATE != 0).collect();
        let mut turn = Turn::begin(file, self.neurons, trained, &place);
        array.by_rows::<T>(at_once::<T>(count), |first, block| {
            progress("turning responses", first, self.neurons)?;
            turn.put(first, block)
        })?;
        Ok(turn.recorded)
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
}

/// Numbers of images as they stand there.
fn values(array: Stored<'_>, wanted: usize) -> Result<Vec<f64>> {
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
    Ok(values.into_iter().collect())
}

/// A column for every other array with a number or word per neuron.
fn columns(archive: &mut Archive, neurons: usize) -> Result<Vec<(String, Column)>> {
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
        columns.push((named.to_string(), Column::Text(array.cells()?)));
    }
    Ok(columns)
}
