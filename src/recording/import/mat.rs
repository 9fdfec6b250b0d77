//! MATLAB files of version 5 in nobody's layout: images, responses, and which trial showed what, by variable and field.
//!
//! | what | shape in MATLAB |
//! |---|---|
//! | images | height x width x images, images x height x width, or a cell array of height x width |
//! | responses | trials x neurons, neurons x trials, or repeats x images x neurons: NaN where not recorded |
//! | image of trial | a number per trial, from 1; without it trial t showed image t |
//! | tiers | a word per trial or per image: `train`, `validation` (`val`), `test`; a cell array or rows of letters |
//!
//! Trials keep their order; of repeats x images x neurons they are taken image by image, without those on which no neuron was
//! recorded. Without tiers they are drawn by image.

use super::block::tier_of_word;
use super::cut::Cut;
use super::layout::{ImageAxis, Layout};
use super::made::{Made, Shown, Tiering, drafted, stem};
use super::number::{Number, infinite_at};
use super::stack::numbers;
use super::turn::{Turn, at_once};
use crate::matlab::{self, File, Listed, shown};
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::summary::Summary;
use crate::recording::{Shares, Tier, Trial};
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What is where, by address: `stim.resp`, `session.trials{1}.x`.
#[derive(Clone, Debug)]
pub struct Mat {
    /// The images.
    pub images: Option<String>,
    /// The responses.
    pub responses: Option<String>,
    /// Number of the image of every trial.
    pub image_of_trial: Option<String>,
    /// Tiers of trials or images.
    pub tiers: Option<String>,
    /// Which axis counts the images, where that is in doubt.
    pub image_axis: Option<ImageAxis>,
    /// How tiers are drawn where none are given.
    pub shares: Shares,
    /// Draws them.
    pub seed: u64,
}

/// Turns variables of a MATLAB file into a recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the variable and what is wrong with it, or tells what there is; nothing is left behind then.
pub fn mat(
    source: &Path,
    out: Option<&Path>,
    options: &Mat,
    progress: &mut Progress,
) -> Result<Summary> {
    let file = File::open(source)?;
    let given = |address: &Option<String>, option: &str| match address {
        Some(address) => Ok(address.clone()),
        None => Err(wanted(&file, option)),
    };
    let images = given(&options.images, "images")?;
    let responses = given(&options.responses, "responses")?;
    let (shape, wide) = {
        let mut value = file.value(&responses)?;
        let wide = value.array()?.wide();
        (value.shape().to_vec(), wide)
    };
    let place = source.join(&responses);
    let (raw, most) = match &options.image_of_trial {
        None => (None, 0.0),
        Some(address) => {
            let raw: Vec<f64> = file.value(address)?.numbers()?;
            let most = raw.iter().copied().fold(0.0, f64::max);
            (Some((raw, source.join(address))), most)
        }
    };
    let fits = |count: usize| match &raw {
        Some(_) => count as f64 >= most && count > 0,
        None => match *shape {
            [a, b] => count == a || count == b,
            [_, b, _] => count == b,
            _ => false,
        },
    };
    let layout = Layout::open(&file, &images, options.image_axis, &fits)?;
    let numbers = match &raw {
        None => None,
        Some((raw, place)) => Some(numbers(raw, 1, layout.count, place)?),
    };
    let order = Order::of(&shape, numbers.as_ref().map(Vec::len), layout.count, &place)?;
    let told = [
        ("images", &options.images),
        ("responses", &options.responses),
    ];
    let told = told.into_iter().chain([
        ("image of trial", &options.image_of_trial),
        ("tiers", &options.tiers),
    ]);
    let told: Vec<String> = told
        .filter_map(|(name, address)| Some(format!("{name} {}", address.as_ref()?)))
        .collect();
    let session = Session {
        source,
        file,
        place,
        order,
        responses,
        numbers,
        wide,
        described: format!("MATLAB file {}, {}", source.display(), told.join(", ")),
    };
    let (h, w) = layout.size(&Cut::default())?;
    let row = order.neurons * if wide { 8 } else { 4 };
    let bytes = order.trials as u128 * row as u128 + layout.count as u128 * (h * w) as u128;
    drafted(out, bytes, |draft| match wide {
        true => session.import::<f64>(layout, options, draft, progress),
        false => session.import::<f32>(layout, options, draft, progress),
    })
}

/// Says what there is where an option is missing.
fn wanted(file: &File, option: &str) -> Error {
    let listed = file.list();
    let place = file.place().display();
    let known = [
        ("stim.istim", "`striate import stringer`"),
        ("resp_train", "`striate import pvc8`"),
    ];
    if let Some((_, kind)) = known
        .iter()
        .find(|k| listed.iter().any(|l| l.address == k.0))
    {
        let got = format!("missing, and the file looks as if it were for {kind}");
        return Error::bad(
            place,
            format!("--{option}"),
            got,
            format!("that, or --{option} VARIABLE"),
        );
    }
    let axes = |l: &&Listed| match option {
        "images" => l.shape.len() > 2 || l.class == matlab::Class::Cell,
        _ => l.numbers && l.shape.iter().filter(|n| **n > 1).count() == 2,
    };
    let mut fit: Vec<&Listed> = listed.iter().filter(axes).collect();
    if fit.is_empty() {
        fit = listed.iter().collect();
    }
    let told: Vec<String> = fit.iter().take(12).map(ToString::to_string).collect();
    let wanted = format!("a variable: {}", told.join(", "));
    Error::bad(place, format!("--{option}"), "missing", wanted)
}

/// How responses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    trials: usize,
    neurons: usize,
    axes: Axes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axes {
    TrialsNeurons,
    NeuronsTrials,
    /// (repeats, images, neurons).
    Repeats(usize),
}

impl Order {
    fn of(shape: &[usize], trials: Option<usize>, images: usize, place: &Path) -> Result<Self> {
        let order = |trials, neurons, axes| Self {
            trials,
            neurons,
            axes,
        };
        let wanted = trials.unwrap_or(images);
        let found = match *shape {
            [t, n] if t == wanted => order(t, n, Axes::TrialsNeurons),
            [n, t] if t == wanted => order(t, n, Axes::NeuronsTrials),
            [r, i, n] if trials.is_none() && i == images => order(r * i, n, Axes::Repeats(r)),
            _ => {
                let wanted = match trials {
                    Some(t) => format!(
                        "{t} trials x neurons, or neurons x {t} trials, as --image-of-trial has numbers"
                    ),
                    None => format!(
                        "{images} x neurons, neurons x {images}, or repeats x {images} x neurons, as there are images; or --image-of-trial"
                    ),
                };
                return Err(Error::bad(place.display(), "shape", shown(shape), wanted));
            }
        };
        match found.neurons * found.trials {
            0 => Err(Error::bad(
                place.display(),
                "shape",
                shown(shape),
                "at least one trial and one neuron",
            )),
            _ => Ok(found),
        }
    }
}

struct Session<'a> {
    source: &'a Path,
    file: File,
    responses: String,
    place: PathBuf,
    order: Order,
    /// Number of the image of every trial, from 0.
    numbers: Option<Vec<usize>>,
    wide: bool,
    described: String,
}

impl Session<'_> {
    fn import<T: Number>(
        &self,
        layout: Layout,
        options: &Mat,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let (numbers, kept) = match (&self.numbers, self.order.axes) {
            (_, Axes::Repeats(repeats)) => self.recorded_repeats::<T>(repeats, progress)?,
            (Some(numbers), _) => (numbers.clone(), Vec::new()),
            (None, _) => ((0..self.order.trials).collect(), Vec::new()),
        };
        let tiering = match &options.tiers {
            Some(address) => Tiering::Given(self.tiers(address, &numbers, layout.count)?),
            None => Tiering::drawn(options.shares, options.seed),
        };
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let cut = Cut::default();
        let stack = layout.load(&self.file, &numbers, &cut, draft.map(Draft::path), progress)?;
        let mut images = ImageFile::create(path("images.npy").as_deref(), stack.size)?;
        let trials = Shown {
            numbers: &numbers,
            pixels: &|number| stack.pixels(number, number + 1),
            first: 1,
            source: self.source,
        };
        let trials = trials.store(&mut images, &tiering, progress)?;
        images.finish()?;
        let file = path("responses.npy");
        let mut responses = ResponseFile::create(file.as_deref(), self.order.neurons, self.wide)?;
        let recorded = match self.order.axes {
            Axes::NeuronsTrials => self.rows::<T>(&mut responses, &trials, progress)?,
            _ => self.turn::<T>(&mut responses, &trials, &kept, progress)?,
        };
        recorded.check(&self.place)?;
        responses.finish()?;
        let shown = numbers.iter().map(|n| *n as i64 + 1).collect();
        let made = Made {
            source: self.source,
            name: stem(self.source, &[".mat"])?,
            described: format!("{}{}", self.described, tiering.described()),
            response_unit: None,
            trials,
            columns: Table::new().with("source_image", Column::Integer(shown)),
            neurons: self.order.neurons,
            properties: Vec::new(),
            images: images.count(),
            size: stack.size,
            warnings: Vec::new(),
        };
        made.write(draft)
    }

    /// A tier per trial, from words per trial or per image.
    fn tiers(&self, address: &str, numbers: &[usize], images: usize) -> Result<Vec<Tier>> {
        let place = self.source.join(address);
        let words = self.file.value(address)?.words()?;
        let tier = |(row, word): (usize, &String)| tier_of_word(word, row + 1, &place);
        let tiers = words
            .iter()
            .enumerate()
            .map(tier)
            .collect::<Result<Vec<Tier>>>()?;
        let unrolled = matches!(self.order.axes, Axes::Repeats(_));
        if tiers.len() == numbers.len() && !unrolled {
            Ok(tiers)
        } else if tiers.len() == images {
            Ok(numbers.iter().map(|n| tiers[*n]).collect())
        } else {
            let wanted = format!(
                "{}, one per trial, or {images}, one per image",
                numbers.len()
            );
            Err(Error::bad(
                place.display(),
                "number of tiers",
                tiers.len(),
                wanted,
            ))
        }
    }

    /// Images of the trials on which any neuron was recorded, image by image, and where those trials lie in the array.
    fn recorded_repeats<T: Number>(
        &self,
        repeats: usize,
        progress: &mut Progress,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        let count = self.order.trials;
        let mut known = vec![false; count];
        let mut value = self.file.value(&self.responses)?;
        let mut array = value.array()?;
        let mut values: Vec<T> = Vec::new();
        for neuron in 0..self.order.neurons {
            progress("looking for trials", neuron, self.order.neurons)?;
            values.clear();
            array.read(count, &mut values)?;
            known
                .iter_mut()
                .zip(&values)
                .for_each(|(k, r)| *k |= !r.unknown());
        }
        let kept: Vec<usize> = (0..count).filter(|at| known[*at]).collect();
        Ok((kept.iter().map(|at| at / repeats).collect(), kept))
    }

    /// Writes responses whose trials lie in one piece.
    fn rows<T: Number>(
        &self,
        file: &mut ResponseFile,
        trials: &[Trial],
        progress: &mut Progress,
    ) -> Result<Recorded> {
        let mut recorded = Recorded::new(self.order.neurons);
        let mut value = self.file.value(&self.responses)?;
        let mut array = value.array()?;
        let (mut values, mut bytes): (Vec<T>, _) = (Vec::new(), Vec::new());
        for (row, trial) in trials.iter().enumerate() {
            if row % 64 == 0 {
                progress("reading responses", row, trials.len())?;
            }
            values.clear();
            array.read(self.order.neurons, &mut values)?;
            if let Some(neuron) = values.iter().position(|r| r.beyond()) {
                let at = format!("neuron {neuron}, trial {row}");
                return Err(infinite_at(&self.place, at));
            }
            if trial.tier == Tier::Train {
                recorded.see(|n| !values[n].unknown());
            }
            bytes.clear();
            values.iter().for_each(|r| r.put(&mut bytes));
            file.push(&bytes)?;
        }
        Ok(recorded)
    }

    /// Writes responses whose neurons lie in one piece; `kept` says which of their numbers are trials, unless all are.
    fn turn<T: Number>(
        &self,
        file: &mut ResponseFile,
        trials: &[Trial],
        kept: &[usize],
        progress: &mut Progress,
    ) -> Result<Recorded> {
        let mut value = self.file.value(&self.responses)?;
        let trained = trials.iter().map(|t| t.tier == Tier::Train).collect();
        let turn = Turn::begin(file, self.order.neurons, trained, &self.place);
        turned::<T>(&mut value.array()?, turn, self.order, kept, progress)
    }
}

fn turned<T: Number>(
    array: &mut matlab::Array<'_>,
    mut turn: Turn<'_>,
    order: Order,
    kept: &[usize],
    progress: &mut Progress,
) -> Result<Recorded> {
    let at_once = at_once::<T>(order.trials);
    let mut block: Vec<T> = Vec::new();
    for first in (0..order.neurons).step_by(at_once) {
        progress("turning responses", first, order.neurons)?;
        let neurons = at_once.min(order.neurons - first);
        block.clear();
        array.read(neurons * order.trials, &mut block)?;
        if matches!(order.axes, Axes::Repeats(_)) {
            let all = block.chunks_exact(order.trials);
            block = all.flat_map(|n| kept.iter().map(|at| n[*at])).collect();
        }
        turn.put(first, &block)?;
    }
    Ok(turn.recorded)
}
