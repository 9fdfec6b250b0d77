//! The images of a file, or those that go with it.

use super::super::assemble::Pictures;
use super::super::frames::{Frames, grey};
use super::find;
use super::stimulus::Stimulus;
use crate::hdf5::{Dataset, File};
use crate::npy::{Rows, shown};
use crate::recording::part::Progress;
use crate::recording::sink::Pixels;
use crate::{Error, Result};
use std::path::Path;

/// Images by number.
pub(super) enum Images {
    /// One array of the file.
    Stack(Box<Frames>),
    /// An array each.
    Each(Vec<Dataset>),
    /// A file of their own.
    Npy(Rows),
}

impl Images {
    /// Those that are named, else those that the stimulus links to, else the only ones; `most` is the highest number shown.
    pub(super) fn open(
        file: &File,
        named: Option<&str>,
        stimulus: &Stimulus,
        most: usize,
    ) -> Result<Self> {
        let images = match (named, &stimulus.linked) {
            (Some(path), _) if Path::new(path).extension().is_some_and(|e| e == "npy") => {
                Self::Npy(Rows::open(Path::new(path))?)
            }
            (Some(path), _) => Self::within(file, path, most)?,
            (None, Some(linked)) => Self::within(file, linked, most)?,
            (None, None) => match <[String; 1]>::try_from(find::templates(file)?) {
                Ok([one]) => Self::within(file, &one, most)?,
                Err(all) => {
                    let told = match all.len() {
                        0 => "it has none in /stimulus/templates".to_string(),
                        _ => format!("it has {}", all.join(", ")),
                    };
                    let wanted =
                        format!("one, or --images with a path in the file or an .npy file; {told}");
                    let place = file.path().display();
                    return Err(Error::bad(
                        place,
                        "number of sets of images",
                        all.len(),
                        wanted,
                    ));
                }
            },
        };
        images.check(stimulus, most)?;
        Ok(images)
    }

    /// A dataset, a series of images, or a group of single ones.
    fn within(file: &File, path: &str, most: usize) -> Result<Self> {
        let path = path.trim_end_matches('/');
        let data = match file.find(path)? {
            Some(data) => Some(data),
            None => file.find(&format!("{path}/data"))?,
        };
        let fit = |n: usize| n > most;
        if let Some(data) = data {
            // MATLAB's writer of NWB turns all axes.
            let turned = matches!(*data.shape(), [n, _, last] if !fit(n) && fit(last));
            let frames = Frames::open(data, turned, fit)?;
            return Ok(Self::Stack(Box::new(frames)));
        }
        if !file.has_group(path) {
            return Err(file.missing(path));
        }
        let each = match file.find(&format!("{path}/order_of_images"))? {
            Some(order) => {
                let all = order.references()?.into_iter();
                let path = |at| file.referred(at, order.place());
                all.map(|at| file.dataset(path(at)?))
                    .collect::<Result<_>>()?
            }
            None => {
                let mut names = file.members(path)?.1;
                names.sort_by_key(|name| (first_number(name), name.clone()));
                let all = names.iter().map(|n| file.dataset(&format!("{path}/{n}")));
                all.collect::<Result<Vec<_>>>()?
            }
        };
        check_each(&each, &file.place(path))?;
        Ok(Self::Each(each))
    }

    fn check(&self, stimulus: &Stimulus, most: usize) -> Result<()> {
        let count = match self {
            Self::Stack(frames) => frames.count,
            Self::Each(all) => all.len(),
            Self::Npy(rows) => {
                if !matches!(*rows.header().shape, [_, h, w] if h * w > 0) {
                    let got = shown(&rows.header().shape);
                    let place = rows.place().display();
                    return Err(Error::bad(place, "shape", got, "(images, height, width)"));
                }
                rows.count()
            }
        };
        if most < count {
            return Ok(());
        }
        let wanted = format!(
            "at most {}: there are {count} images",
            count.saturating_sub(1)
        );
        Err(Error::bad(
            stimulus.place().display(),
            "highest number of an image",
            most,
            wanted,
        ))
    }
}

/// The first number in a name, to sort `scene10` behind `scene9`.
fn first_number(name: &str) -> u64 {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

fn check_each(all: &[Dataset], place: &Path) -> Result<()> {
    let Some(first) = all.first() else {
        return Err(Error::bad(
            place.display(),
            "number of images",
            0,
            "at least 1",
        ));
    };
    let wanted = first.shape();
    for image in all {
        image.dtype()?;
        if image.shape().len() != 2 || image.shape().contains(&0) {
            let got = shown(image.shape());
            let place = image.place().display();
            return Err(Error::bad(
                place,
                "shape",
                got,
                "(height, width): images are grey",
            ));
        }
        if image.shape() != wanted {
            let wanted = format!("{} as {}", shown(wanted), first.place().display());
            let got = shown(image.shape());
            return Err(Error::bad(image.place().display(), "shape", got, wanted));
        }
    }
    Ok(())
}

impl Pictures for Images {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Stack(frames) => frames.size(),
            Self::Each(all) => (all[0].shape()[0], all[0].shape()[1]),
            Self::Npy(rows) => rows.size(),
        }
    }

    fn prepare(
        &mut self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<()> {
        match self {
            Self::Stack(frames) => frames.prepare(wanted, beside, progress),
            _ => Ok(()),
        }
    }

    fn pixels(&self, number: usize) -> Result<Pixels> {
        match self {
            Self::Stack(frames) => frames.pixels(number),
            Self::Each(all) => grey(all[number].numbers()?, number, all[number].place()),
            Self::Npy(rows) => rows.pixels(number),
        }
    }
}
