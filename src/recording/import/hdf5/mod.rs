//! HDF5 files: images and responses by path, or in a layout that is known.
//!
//! | layout | datasets |
//! |---|---|
//! | any | `--images` (images, height, width), `--responses` (trials, neurons) or (repeats, images, neurons), `--image-of-trial`, `--tiers` of trials or images; without options `/images`, `/responses`, `/tiers`, `/item_info/*`, `/neurons/*` as in Sensorium's HDF5 |
//! | cnn-sys-ident | `/inputs` (images, 1, height, width), `/responses`, `/image_ids`, `/info/*`; a file each for training, validation and testing |
//! | openretina | `/stimulus_NAME` (1, frames, height, width), or `stimuli/NAME.npy` beside the file; `/responses_NAME` (neurons, frames), `/session_info/*` |
//!
//! Images are numbered from 0, in MATLAB's files from 1. MATLAB stores axes the other way round: its files are turned by
//! themselves, others by `--transpose`. Of openretina's films each frame is an image and a trial.

mod film;
mod part;
pub(super) mod tables;

use super::activity::{Activity, Goal};
use super::assemble::{Kept, Leaks, Pictures, Plan, assemble};
use super::kinds::is_nwb;
use super::made::Tiering;
use crate::hdf5::{File, Listed, offered};
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{Pixels, ResponseFile};
use crate::recording::split::Shares;
use crate::recording::summary::Summary;
use crate::recording::{Tier, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result};
use film::Images;
use part::Part;
use std::path::{Path, PathBuf};

/// Which datasets of a file are what; those that are none are found where a layout is known.
#[derive(Clone, Debug)]
pub struct Hdf5 {
    /// The images.
    pub images: Option<String>,
    /// The responses.
    pub responses: Option<String>,
    /// The number of the image that each trial showed.
    pub image_of_trial: Option<String>,
    /// The tier of each trial or image.
    pub tiers: Option<String>,
    /// Whether all axes are the other way round; of MATLAB's files they are.
    pub transpose: bool,
    /// What the first image is called; 1 in MATLAB's files, else 0.
    pub first_image: Option<usize>,
    /// Stimuli of openretina that are tested.
    pub test_names: Vec<String>,
    /// How tiers are drawn where there are none.
    pub shares: Shares,
    /// Draws them.
    pub seed: u64,
}

/// Turns one file, or the files of training, (validation) and testing, into a recording in `out`; without it all is read and
/// nothing is written.
///
/// # Errors
/// Names the dataset and what is wrong with it, or what the file offers; nothing is left behind then.
pub fn hdf5(
    sources: &[PathBuf],
    out: Option<&Path>,
    options: &Hdf5,
    progress: &mut Progress,
) -> Result<Summary> {
    let [first, ..] = sources else {
        return Err(Error::Other("import hdf5: no file is named".into()));
    };
    let tiers: &[Option<Tier>] = match sources.len() {
        1 => &[None],
        2 => &[Some(Tier::Train), Some(Tier::Test)],
        3 => &[Some(Tier::Train), Some(Tier::Validation), Some(Tier::Test)],
        n => {
            let wanted = "one file, or those of training, validation and testing in this order";
            return Err(Error::bad("import hdf5", "number of files", n, wanted));
        }
    };
    let mut session = Session::default();
    for (source, tier) in sources.iter().zip(tiers) {
        session.add(&File::open(source)?, options, *tier, progress)?;
    }
    session.import(first, sources, out, options, progress)
}

/// What is known of a layout.
enum Layout {
    Any { images: String, responses: String },
    CnnSysIdent,
    OpenRetina(Vec<String>),
}

impl Layout {
    fn of(file: &File, options: &Hdf5) -> Result<Self> {
        let given = (options.images.as_ref(), options.responses.as_ref());
        let (_, datasets) = file.members("/")?;
        let has = |name: &str| datasets.iter().any(|d| d == name);
        let films = datasets.iter().filter_map(|d| d.strip_prefix("responses_"));
        let films: Vec<String> = films.map(str::to_string).collect();
        match given {
            (None, None) if has("inputs") && has("responses") => return Ok(Self::CnnSysIdent),
            (None, None) if !films.is_empty() => return Ok(Self::OpenRetina(films)),
            _ => {}
        }
        let path = |given: Option<&String>, usual: &str| match given {
            Some(path) => Some(path.clone()),
            None => has(usual).then(|| format!("/{usual}")),
        };
        match (path(given.0, "images"), path(given.1, "responses")) {
            (Some(images), Some(responses)) => Ok(Self::Any { images, responses }),
            _ => Err(unknown(file)?),
        }
    }
}

/// An error that says what a file of no known layout offers.
fn unknown(file: &File) -> Result<Error> {
    if is_nwb(file) {
        let what = "is an NWB file: use `striate import nwb`";
        return Ok(Error::file(file.path(), what));
    }
    let all = file.list()?;
    let likely = |axes: &[usize], but: Option<&Listed>| -> Option<Listed> {
        let size = |l: &&Listed| l.shape.iter().product::<usize>();
        let fits = |l: &&Listed| {
            let number = matches!(l.element, crate::hdf5::Element::Number(_));
            let own = !l.path.starts_with("/#") && but.is_none_or(|b| b.path != l.path);
            number && own && axes.contains(&l.shape.len())
        };
        // Of several the first.
        all.iter().rev().filter(fits).max_by_key(size).cloned()
    };
    let images = likely(&[3, 4], None);
    let responses = likely(&[2], images.as_ref()).or_else(|| likely(&[3], images.as_ref()));
    let likely = match (images, responses) {
        (Some(i), Some(r)) => format!(", perhaps --images {} --responses {}", i.path, r.path),
        _ => String::new(),
    };
    let what = format!(
        "is of no known layout: say which datasets are the images and the responses, by --images and --responses{likely}; {}",
        offered(&all)
    );
    Ok(Error::file(file.path(), what))
}

/// All parts of a recording.
#[derive(Default)]
struct Session {
    parts: Vec<Part>,
    /// Properties of neurons.
    properties: Vec<(String, Vec<String>)>,
    leaks: bool,
}

impl Session {
    fn add(
        &mut self,
        file: &File,
        options: &Hdf5,
        tier: Option<Tier>,
        progress: &mut Progress,
    ) -> Result<()> {
        let turned = options.transpose || file.is_matlab();
        let layout = Layout::of(file, options)?;
        let groups: &[&str] = match &layout {
            Layout::Any { images, responses } => {
                let mut part = Part::any(file, options, (images, responses), turned, progress)?;
                if let Some(tier) = tier {
                    part.set_tier(tier);
                }
                self.parts.push(part);
                &["neurons", "info"]
            }
            Layout::CnnSysIdent => {
                self.parts.push(Part::cnn_sys_ident(file, tier)?);
                &["info"]
            }
            Layout::OpenRetina(names) => {
                if tier.is_some() {
                    let what = "is a file of openretina, wanted one alone: --test-names tells what is tested";
                    return Err(Error::file(file.path(), what));
                }
                let unknown = |n: &&String| !names.contains(n);
                if let Some(unknown) = options.test_names.iter().find(unknown) {
                    let wanted = names.join(", ");
                    let place = file.path().display();
                    return Err(Error::bad(place, "--test-names", unknown, wanted));
                }
                for name in names {
                    let tested = options.test_names.contains(name);
                    let tier = if tested { Tier::Test } else { Tier::Train };
                    let tier = (!options.test_names.is_empty()).then_some(tier);
                    self.parts.push(Part::film(file, name, tier)?);
                }
                self.leaks = true;
                &["session_info"]
            }
        };
        if self.properties.is_empty() {
            let neurons = self.parts[0].activity.neurons();
            for group in groups {
                self.properties
                    .extend(tables::columns(file, group, neurons, &["neuron"])?);
            }
        }
        Ok(())
    }

    fn import(
        mut self,
        first: &Path,
        sources: &[PathBuf],
        out: Option<&Path>,
        options: &Hdf5,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let (neurons, size) = (
            self.parts[0].activity.neurons(),
            self.parts[0].images.size(),
        );
        for part in &self.parts {
            part.check(neurons, size)?;
        }
        let mut wide = false;
        // Where each trial is from: part, and row there.
        let mut from = Vec::new();
        let (mut shown, mut tiers) = (Vec::new(), Vec::new());
        let mut offset = 0;
        for (at, part) in self.parts.iter().enumerate() {
            wide |= part.activity.wide()?;
            for trial in part.kept() {
                from.push((at, trial));
                shown.push(part.shown[trial] + offset);
                tiers.push(part.tier(trial));
            }
            offset += part.images.count();
        }
        let given: Option<Vec<Tier>> = tiers.into_iter().collect();
        let drawn = given.is_none();
        let tiering = match given {
            Some(tiers) => Tiering::Given(tiers),
            None => Tiering::drawn(options.shares, options.seed),
        };
        let name = name_of(first)?;
        let stem = Path::new(&name).file_stem().and_then(|s| s.to_str());
        let plan = Plan {
            source: first,
            name: stem.unwrap_or(&name).to_string(),
            described: described(sources, options, drawn),
            response_unit: None,
            shown,
            tiering,
            leaks: if self.leaks {
                Leaks::LeftOut
            } else {
                Leaks::Refused
            },
            columns: self.columns(&from),
            neurons,
            properties: std::mem::take(&mut self.properties),
            wide,
            warnings: Vec::new(),
        };
        let parts = self.parts.into_iter().map(|p| (p.images, p.activity));
        let (parts, activities): (Vec<Images>, Vec<Activity>) = parts.unzip();
        let mut pictures = Concatenated { parts };
        let mut fill = |kept: &Kept<'_>,
                        file: &ResponseFile,
                        recorded: &mut Recorded,
                        progress: &mut Progress| {
            for (at, activity) in activities.iter().enumerate() {
                let count = activity.columns() * activity.repeats().unwrap_or(1);
                let mut goals = vec![None; count];
                for (row, (trial, plan)) in kept.trials.iter().zip(kept.rows).enumerate() {
                    let (part, source) = from[*plan];
                    if part == at {
                        goals[source] = Some(Goal {
                            row,
                            tier: trial.tier,
                        });
                    }
                }
                match wide {
                    true => activity.fill::<f64>(&goals, file, recorded, progress)?,
                    false => activity.fill::<f32>(&goals, file, recorded, progress)?,
                }
            }
            Ok(())
        };
        assemble(plan, &mut pictures, &mut fill, out, progress)
    }

    /// Further columns of the trials, those of all parts.
    fn columns(&self, from: &[(usize, usize)]) -> Table {
        let mut names: Vec<&str> = Vec::new();
        for part in &self.parts {
            for (name, _) in &part.columns {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        names.into_iter().fold(Table::new(), |table, name| {
            let cell = |(part, trial): &(usize, usize)| {
                let column = self.parts[*part].columns.iter().find(|c| c.0 == name);
                column.map_or_else(String::new, |(_, cells)| cells[*trial].clone())
            };
            table.with(name, Column::Text(from.iter().map(cell).collect()))
        })
    }
}

fn described(sources: &[PathBuf], options: &Hdf5, drawn: bool) -> String {
    let names: Vec<String> = sources.iter().map(|s| s.display().to_string()).collect();
    let mut text = format!("HDF5 {}", names.join(", "));
    let paths = [
        ("images", &options.images),
        ("responses", &options.responses),
        ("image-of-trial", &options.image_of_trial),
        ("tiers", &options.tiers),
    ];
    for (name, path) in paths {
        if let Some(path) = path {
            text.push_str(&format!(", {name} {path}"));
        }
    }
    if options.transpose {
        text.push_str(", transpose");
    }
    if !options.test_names.is_empty() {
        text.push_str(&format!(", test-names {}", options.test_names.join(" ")));
    }
    if drawn {
        let (shares, seed) = (options.shares, options.seed);
        text.push_str(&format!(", split by image: {shares}, seed {seed}"));
    }
    text
}

/// The images of all parts, one after the other.
struct Concatenated {
    parts: Vec<Images>,
}

impl Concatenated {
    /// The part that has an image, and its number there.
    fn part(&self, number: usize) -> Option<(usize, usize)> {
        let mut left = number;
        for (at, part) in self.parts.iter().enumerate() {
            if left < part.count() {
                return Some((at, left));
            }
            left -= part.count();
        }
        None
    }
}

impl Pictures for Concatenated {
    fn size(&self) -> (usize, usize) {
        self.parts.first().map_or((0, 0), Pictures::size)
    }

    fn prepare(
        &mut self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<()> {
        let places: Vec<_> = wanted.iter().filter_map(|n| self.part(*n)).collect();
        for (at, part) in self.parts.iter_mut().enumerate() {
            let own: Vec<usize> = places.iter().filter(|p| p.0 == at).map(|p| p.1).collect();
            part.prepare(&own, beside, progress)?;
        }
        Ok(())
    }

    fn pixels(&self, number: usize) -> Result<Pixels> {
        match self.part(number) {
            Some((at, number)) => self.parts[at].pixels(number),
            None => Err(Error::Other(format!("image {number}: there is none"))),
        }
    }
}
