//! Images and responses that are stored together.

use super::super::activity::Activity;
use super::super::assemble::Pictures;
use super::super::frames::Frames;
use super::film::Images;
use super::{Hdf5, tables};
use crate::hdf5::{Dataset, File};
use crate::npy::shown;
use crate::recording::Tier;
use crate::recording::part::Progress;
use crate::{Error, Result};

/// Images, and trials that show them.
pub(super) struct Part {
    pub(super) images: Images,
    pub(super) activity: Activity,
    /// The image of every trial.
    pub(super) shown: Vec<usize>,
    /// Which trials are none: padding, or in no tier.
    left_out: Vec<bool>,
    tiers: Option<Vec<Option<Tier>>>,
    /// Further columns.
    pub(super) columns: Vec<(String, Vec<String>)>,
}

impl Part {
    /// By paths.
    pub(super) fn any(
        file: &File,
        options: &Hdf5,
        (images, responses): (&str, &str),
        turned: bool,
        progress: &mut Progress,
    ) -> Result<Self> {
        let activity = Activity::open(file.dataset(responses)?, turned)?;
        let first = options.first_image.unwrap_or(usize::from(file.is_matlab()));
        let order = match &options.image_of_trial {
            Some(path) => Some((file.dataset(path)?, file.dataset(path)?.integers()?)),
            None => None,
        };
        let columns = activity.columns();
        let last = order.as_ref().and_then(|(_, o)| o.iter().max().copied());
        let fit = |images: usize| match last {
            Some(last) => images as i64 + first as i64 > last,
            None => images == columns,
        };
        let frames = Frames::open(file.dataset(images)?, turned, fit)?;
        let (shown, left_out) = match activity.repeats() {
            Some(repeats) => {
                if let Some((order, _)) = &order {
                    let wanted = "no --image-of-trial: responses with repeats are in the order of the images";
                    return Err(Error::file(order.place(), wanted));
                }
                check_count(activity.data(), "images", columns, frames.count)?;
                let shown = (0..repeats).flat_map(|_| 0..columns).collect();
                (shown, activity.padding(progress)?)
            }
            None => match order {
                None => {
                    check_trials(&activity, frames.count)?;
                    ((0..columns).collect(), vec![false; columns])
                }
                Some((place, order)) => {
                    check_trials(&activity, order.len())?;
                    let shown = numbers(&order, first, frames.count, &place)?;
                    (shown, vec![false; columns])
                }
            },
        };
        let mut part = Self {
            images: Images::Own(Box::new(frames)),
            activity,
            shown,
            left_out,
            tiers: None,
            columns: Vec::new(),
        };
        let own = ["image", "tier", "source_tier"];
        let usual = options.tiers.is_none() && options.images.is_none();
        let tiers = match &options.tiers {
            Some(path) => Some(file.dataset(path)?),
            None if usual => file.find("/tiers")?,
            None => None,
        };
        if let Some(tiers) = tiers {
            part.read_tiers(file, &tiers)?;
        }
        if usual {
            let trials = part.shown.len();
            part.columns
                .extend(tables::columns(file, "item_info", trials, &own)?);
            for name in ["behavior", "pupil_center"] {
                part.columns.extend(tables::spread(file, name, trials)?);
            }
        }
        Ok(part)
    }

    /// One of the files that cnn-sys-ident has for each tier.
    pub(super) fn cnn_sys_ident(file: &File, tier: Option<Tier>) -> Result<Self> {
        let activity = Activity::open(file.dataset("/responses")?, false)?;
        let trials = activity.columns();
        let frames = Frames::open(file.dataset("/inputs")?, false, |n| n == trials)?;
        check_trials(&activity, frames.count)?;
        let mut columns = Vec::new();
        if let Some(ids) = file.find("/image_ids")? {
            check_count(&ids, "image ids", ids.shape().iter().product(), trials)?;
            columns.push(("image_id".to_string(), ids.cells()?));
        }
        Ok(Self {
            images: Images::Own(Box::new(frames)),
            activity,
            shown: (0..trials).collect(),
            left_out: vec![false; trials],
            tiers: tier.map(|tier| vec![Some(tier); trials]),
            columns,
        })
    }

    /// A film of openretina, and the responses to it.
    pub(super) fn film(file: &File, name: &str, tier: Option<Tier>) -> Result<Self> {
        let activity = Activity::open(file.dataset(&format!("/responses_{name}"))?, true)?;
        let images = Images::of_film(file, name)?;
        let trials = activity.columns();
        check_trials(&activity, images.count())?;
        let films = vec![name.to_string(); trials];
        let numbers = (0..trials).map(|t| t.to_string()).collect();
        Ok(Self {
            images,
            activity,
            shown: (0..trials).collect(),
            left_out: vec![false; trials],
            tiers: tier.map(|tier| vec![Some(tier); trials]),
            columns: vec![("stimulus".into(), films), ("frame".into(), numbers)],
        })
    }

    /// All trials are for one purpose.
    pub(super) fn set_tier(&mut self, tier: Tier) {
        self.tiers = Some(vec![Some(tier); self.shown.len()]);
    }

    fn read_tiers(&mut self, file: &File, place: &Dataset) -> Result<()> {
        let words = file.words(place)?;
        let (trials, images) = (self.shown.len(), self.images.count());
        let repeats = self.activity.repeats().is_some();
        let words: Vec<String> = match words.len() {
            n if n == trials && !repeats => words,
            n if n == images => self.shown.iter().map(|i| words[*i].clone()).collect(),
            n => {
                let wanted = format!("{trials}, one per trial, or {images}, one per image");
                return Err(Error::bad(
                    place.place().display(),
                    "number of tiers",
                    n,
                    wanted,
                ));
            }
        };
        let mut tiers = Vec::with_capacity(trials);
        for (row, word) in words.iter().enumerate() {
            tiers.push(match word.trim().to_lowercase().as_str() {
                "train" | "training" => Some(Tier::Train),
                "val" | "valid" | "validation" => Some(Tier::Validation),
                "test" | "testing" | "final_test" => Some(Tier::Test),
                "none" => None,
                _ => {
                    return Err(Error::bad(
                        place.place().display(),
                        format!("tier at {row}"),
                        format!("\"{word}\""),
                        "train, validation, test, final_test or none",
                    ));
                }
            });
        }
        self.tiers = Some(tiers);
        self.columns.push(("source_tier".into(), words));
        Ok(())
    }

    /// The trials that are kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = usize> {
        let in_tier = |t: &usize| self.tiers.as_ref().is_none_or(|all| all[*t].is_some());
        (0..self.shown.len()).filter(move |t| !self.left_out[*t] && in_tier(t))
    }

    pub(super) fn tier(&self, trial: usize) -> Option<Tier> {
        self.tiers.as_ref().and_then(|all| all[trial])
    }

    /// Refuses a part that does not go with the first.
    pub(super) fn check(&self, neurons: usize, size: (usize, usize)) -> Result<()> {
        check_count(
            self.activity.data(),
            "neurons",
            self.activity.neurons(),
            neurons,
        )?;
        let (h, w) = self.images.size();
        if (h, w) == size {
            return Ok(());
        }
        let wanted = format!("{} x {}, as in the first", size.0, size.1);
        Err(Error::bad(
            self.images.place().display(),
            "image size",
            format!("{h} x {w}"),
            wanted,
        ))
    }
}

fn check_count(place: &Dataset, what: &str, got: usize, wanted: usize) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    let what = format!("number of {what}");
    Err(Error::bad(place.place().display(), what, got, wanted))
}

/// Refuses responses of another number of trials, saying so if they lie the other way round.
fn check_trials(activity: &Activity, wanted: usize) -> Result<()> {
    if activity.columns() == wanted {
        return Ok(());
    }
    let turned = match activity.neurons() == wanted {
        true => "; neurons seem to come first: --transpose reverses the axes of all datasets",
        false => "",
    };
    Err(Error::bad(
        activity.data().place().display(),
        "shape",
        shown(activity.data().shape()),
        format!("(trials, neurons) of {wanted} trials{turned}"),
    ))
}

/// Numbers of images that there are, from 0.
pub(super) fn numbers(
    all: &[i64],
    first: usize,
    count: usize,
    place: &Dataset,
) -> Result<Vec<usize>> {
    let number = |(at, n): (usize, &i64)| {
        let from_zero = n
            .checked_sub(first as i64)
            .and_then(|n| usize::try_from(n).ok());
        from_zero.filter(|n| *n < count).ok_or_else(|| {
            let last = count + first - 1;
            let other = match (first, all.iter().min(), all.iter().max()) {
                (0, Some(1), Some(n)) if *n == count as i64 => {
                    "; --first-image 1 if they count from 1"
                }
                (1, Some(0), Some(_)) => "; --first-image 0 if they count from 0",
                _ => "",
            };
            let wanted = format!("the number of an image, {first} to {last}{other}");
            Error::bad(place.place().display(), format!("image at {at}"), n, wanted)
        })
    };
    all.iter().enumerate().map(number).collect()
}
