//! Several recordings of one image set as one: the neurons of all, side by side.
//!
//! Images are told identical by their pixels, or by a column of `trials.csv`. A trial of the pool is one showing of an image: the k-th showing in each
//! recording, NaN for the neurons of those that have fewer. Trials come in the order of the first recording, then what
//! the second adds, and so on; a pool of one is that one.

use super::check::check_tiers;
use super::draft::Draft;
use super::listing::{self, Tiers};
use super::metadata::Metadata;
use super::named::first_named;
use super::part::{Part, Progress, Recorded, first_identical};
use super::sink::{ImageFile, ResponseFile};
use super::summary::tiers;
use super::{Summary, Tier, Trial, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Bytes of responses put together in one go.
const BLOCK: usize = 1 << 25;

/// One showing of an image: the trial of each recording that has it.
#[derive(Debug)]
struct Showing {
    /// Number of the image among all of all recordings.
    image: usize,
    tier: Tier,
    trials: Vec<Option<usize>>,
}

/// How recordings are pooled.
#[derive(Clone, Debug, Default)]
pub struct Pooling {
    /// Keeps only the images that all of them show.
    pub common: bool,
    /// The column of `trials.csv` that names images; by their pixels without.
    pub image_id: Option<String>,
}

/// Pools recordings into `out`.
///
/// # Errors
/// When one is no recording, two have the same name or images of different sizes, an image is in two tiers, or `out` cannot
/// be written; nothing is left behind then.
pub fn pool(
    sources: &[PathBuf],
    out: &Path,
    how: &Pooling,
    progress: &mut Progress,
) -> Result<Summary> {
    let parts = sources.iter().map(|s| Part::open(s, Tiers::Wanted));
    let parts: Vec<Part> = parts.collect::<Result<_>>()?;
    check_together(&parts)?;
    let neurons: usize = parts.iter().map(|p| p.responses.width()).sum();
    let first = match &how.image_id {
        Some(column) => first_named(&parts, column)?,
        None => first_identical(&parts, progress)?,
    };
    let showings = showings(&parts, &first, how.common)?;
    let wide = parts.iter().any(Part::wide);
    let row = neurons * if wide { 8 } else { 4 };
    let draft = Draft::begin(out, row as u128 * showings.len() as u128)?;
    let made = Made {
        parts: &parts,
        showings,
        neurons,
        out,
    };
    let summary = made.fill(&draft, wide, progress);
    let summary = summary.map_err(|e| draft.named(e))?;
    draft.finish()?;
    Ok(summary)
}

fn check_together(parts: &[Part]) -> Result<()> {
    let Some(one) = parts.first() else {
        return Err(Error::Other("pool: no recording was given".into()));
    };
    let mut named: HashMap<&str, &Path> = HashMap::new();
    for part in parts {
        if part.size != one.size {
            let size = |p: &Part| format!("{} x {}", p.size.0, p.size.1);
            let wanted = format!("{} as in {}", size(one), one.directory.display());
            let place = part.images.place().display();
            return Err(Error::bad(place, "image size", size(part), wanted));
        }
        if let Some(other) = named.insert(&part.name, &part.directory) {
            return Err(Error::bad(
                part.directory.display(),
                "name of the recording",
                format!("\"{}\"", part.name),
                format!(
                    "another one than that of {}: set `name` in recording.toml",
                    other.display()
                ),
            ));
        }
    }
    Ok(())
}

fn showings(parts: &[Part], first: &[usize], common: bool) -> Result<Vec<Showing>> {
    let mut shown_by: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let mut tier_of: HashMap<usize, (Tier, String)> = HashMap::new();
    let mut order: Vec<(usize, usize)> = Vec::new();
    let mut found: HashMap<(usize, usize), Showing> = HashMap::new();
    let mut offset = 0;
    for (index, part) in parts.iter().enumerate() {
        let mut times: HashMap<usize, usize> = HashMap::new();
        for (row, trial) in part.trials.iter().enumerate() {
            let image = first[offset + trial.image];
            let named = || {
                let file = part.directory.join("trials.csv");
                format!("image {} of {}", trial.image, file.display())
            };
            let own = (trial.tier, named());
            let (tier, place) = tier_of.entry(image).or_insert(own);
            if *tier != trial.tier {
                return Err(Error::bad(
                    named(),
                    "tier",
                    format!(
                        "{}, but {tier} in {place}, which is the same image",
                        trial.tier
                    ),
                    "one tier per image: anything else leaks",
                ));
            }
            shown_by.entry(image).or_default().insert(index);
            let time = times.entry(image).or_default();
            let showing = found.entry((image, *time)).or_insert_with(|| {
                order.push((image, *time));
                Showing {
                    image,
                    tier: trial.tier,
                    trials: vec![None; parts.len()],
                }
            });
            showing.trials[index] = Some(row);
            *time += 1;
        }
        offset += part.images.count();
    }
    let kept = |image: &usize| !common || shown_by[image].len() == parts.len();
    let showings: Vec<Showing> = order
        .into_iter()
        .filter(|(image, _)| kept(image))
        .filter_map(|key| found.remove(&key))
        .collect();
    if showings.is_empty() {
        let all = parts.iter().map(|p| p.directory.display().to_string());
        let all = all.collect::<Vec<_>>().join(", ");
        return Err(Error::bad(
            all,
            "number of images that all show",
            0,
            "at least 1",
        ));
    }
    Ok(showings)
}

struct Made<'a> {
    parts: &'a [Part],
    showings: Vec<Showing>,
    neurons: usize,
    out: &'a Path,
}

impl Made<'_> {
    fn fill(&self, draft: &Draft, wide: bool, progress: &mut Progress) -> Result<Summary> {
        let name = name_of(self.out)?;
        let one = &self.parts[0];
        let mut images = ImageFile::create(Some(&draft.path().join("images.npy")), one.size)?;
        let mut row_of: HashMap<usize, usize> = HashMap::new();
        let mut trials = Vec::with_capacity(self.showings.len());
        for (done, showing) in self.showings.iter().enumerate() {
            if done % 64 == 0 {
                progress("writing images", done, self.showings.len())?;
            }
            let image = match row_of.get(&showing.image) {
                Some(row) => *row,
                None => {
                    let pixels = self.image(showing.image)?;
                    let row = images.add(&pixels, pixels.key())?;
                    row_of.insert(showing.image, row);
                    row
                }
            };
            trials.push(Trial {
                image,
                tier: showing.tier,
            });
        }
        images.finish()?;
        check_tiers(&trials, self.out)?;
        let recorded = match wide {
            true => self.responses::<f64>(draft, progress)?,
            false => self.responses::<f32>(draft, progress)?,
        };
        recorded.check(self.out)?;
        let (columns, dropped) = self.columns();
        files::write(&draft.path().join("trials.csv"), |w| {
            listing::fill(w, &trials, columns.as_ref())
        })?;
        self.table().write_csv(&draft.path().join("neurons.csv"))?;
        let (metadata, mut warnings) = self.metadata(&name);
        metadata.check(&name, self.out)?;
        files::write(&draft.path().join("recording.toml"), |w| {
            w.write_all(metadata.text().as_bytes())
        })?;
        if !dropped.is_empty() {
            warnings.push(format!(
                "columns of trials.csv were left out, as recordings say different things in them: {}",
                dropped.join(", ")
            ));
        }
        let several = |s: &Showing| s.trials.iter().flatten().count() > 1;
        if self.parts.len() > 1 && !self.showings.iter().any(several) {
            warnings.push("no image is shown in two recordings: they only lie side by side".into());
        }
        Ok(Summary {
            name,
            images: images.count(),
            height: one.size.0,
            width: one.size.1,
            neurons: self.neurons,
            tiers: tiers(&trials),
            warnings,
        })
    }

    fn image(&self, number: usize) -> Result<super::sink::Pixels> {
        let mut row = number;
        for part in self.parts {
            if row < part.images.count() {
                return part.image(row);
            }
            row -= part.images.count();
        }
        Err(Error::Other(format!("pool: there is no image {number}")))
    }

    /// Writes the rows of all showings.
    fn responses<T: Number>(&self, draft: &Draft, progress: &mut Progress) -> Result<Recorded> {
        let path = draft.path().join("responses.npy");
        let mut file = ResponseFile::create(Some(&path), self.neurons, size_of::<T>() == 8)?;
        let mut recorded = Recorded::new(self.neurons);
        let at_once = (BLOCK / (self.neurons * size_of::<T>())).max(1);
        let mut done = 0;
        for showings in self.showings.chunks(at_once) {
            progress("writing responses", done, self.showings.len())?;
            let rows = showings.par_iter().map(|s| self.row::<T>(s));
            let rows: Vec<Vec<T>> = rows.collect::<Result<_>>()?;
            for (showing, row) in showings.iter().zip(&rows) {
                if showing.tier == Tier::Train {
                    recorded.see(|n| !row[n].wide().is_nan());
                }
                file.push(&T::bytes(row))?;
            }
            done += showings.len();
        }
        file.finish()?;
        Ok(recorded)
    }

    fn row<T: Number>(&self, showing: &Showing) -> Result<Vec<T>> {
        let mut row = Vec::with_capacity(self.neurons);
        for (part, trial) in self.parts.iter().zip(&showing.trials) {
            let Some(trial) = trial else {
                row.resize(row.len() + part.responses.width(), T::NAN);
                continue;
            };
            let from = row.len();
            part.responses.read(*trial, 1, &mut row)?;
            let infinite = row[from..].iter().position(|r| r.wide().is_infinite());
            if let Some(neuron) = infinite {
                return Err(Error::bad(
                    part.responses.place().display(),
                    format!("response in trial {trial} of neuron {neuron}"),
                    row[from + neuron].wide(),
                    "a number, or NaN where it was not recorded",
                ));
            }
        }
        Ok(row)
    }

    /// `neuron`, `recording`, `source_neuron`, and whatever any of them says of its neurons.
    fn table(&self) -> Table {
        let mut parts = Vec::new();
        for part in self.parts {
            let count = part.responses.width();
            let own = Table::new().with(
                "source_neuron",
                Column::Integer((0..count as i64).collect()),
            );
            let table = part.neurons.clone().unwrap_or_default().dropped("neuron");
            // Of a pool of pools.
            let table = ["recording", "source_neuron"]
                .into_iter()
                .fold(table, |t, name| t.renamed(name, &format!("earlier_{name}")));
            parts.push((part.name.clone(), own.beside(table)));
        }
        let stacked = Table::stacked(parts, Some("recording"));
        let numbers = (0..self.neurons as i64).collect();
        Table::new()
            .with("neuron", Column::Integer(numbers))
            .beside(stacked)
    }

    /// Further columns of trials in which all recordings agree, and the names of the others.
    fn columns(&self) -> (Option<Table>, Vec<String>) {
        let mut names: Vec<&str> = Vec::new();
        for table in self.parts.iter().filter_map(|p| p.columns.as_ref()) {
            names.extend(
                table
                    .names()
                    .filter(|n| !names.contains(n))
                    .collect::<Vec<_>>(),
            );
        }
        let (mut table, mut dropped) = (Table::new(), Vec::new());
        for name in names {
            let own = |p: &Part| p.columns.as_ref().and_then(|t| t.text(name));
            let own: Vec<Option<Vec<String>>> = self.parts.iter().map(own).collect();
            let cell = |showing: &Showing| -> Option<String> {
                let told = own.iter().zip(&showing.trials);
                let told = told.filter_map(|(cells, trial)| Some(&cells.as_ref()?[(*trial)?]));
                let told: BTreeSet<&String> = told.collect();
                let told: Vec<&String> = told.into_iter().collect();
                match *told {
                    [] => Some(String::new()),
                    [one] => Some(one.clone()),
                    _ => None,
                }
            };
            match self.showings.iter().map(cell).collect::<Option<Vec<_>>>() {
                Some(cells) => table = table.with(name, Column::Text(cells)),
                None => dropped.push(name.to_string()),
            }
        }
        let filled = table.names().next().is_some();
        (filled.then_some(table), dropped)
    }

    /// What all say alike, and warnings of what they do not.
    fn metadata(&self, name: &str) -> (Metadata, Vec<String>) {
        let mut warnings = Vec::new();
        let mut agreed = |what: &str, said: Vec<Option<String>>| {
            let all: BTreeMap<&Option<String>, ()> = said.iter().map(|s| (s, ())).collect();
            if all.len() > 1 {
                let said = said.iter().map(|s| s.clone().unwrap_or("nothing".into()));
                let said: Vec<String> = said.collect();
                warnings.push(format!(
                    "recordings say different things of {what} ({}): left out",
                    said.join(", ")
                ));
            }
            all.len() == 1
        };
        let one = &self.parts[0].metadata;
        let units = self.parts.iter().map(|p| p.metadata.response_unit.clone());
        let unit = agreed("response_unit", units.collect());
        let sizes = self.parts.iter();
        let sizes = sizes.map(|p| p.metadata.degrees_per_pixel.map(|d| d.to_string()));
        let size = agreed("degrees_per_pixel", sizes.collect());
        let names: Vec<&str> = self.parts.iter().map(|p| p.name.as_str()).collect();
        let metadata = Metadata {
            name: Some(name.to_string()),
            degrees_per_pixel: one.degrees_per_pixel.filter(|_| size),
            response_unit: one.response_unit.clone().filter(|_| unit),
            source: Some(format!("pool of {}", names.join(", "))),
        };
        (metadata, warnings)
    }
}

/// What responses are written as.
trait Number: crate::npy::Real + Send + Sync {
    const NAN: Self;
    fn wide(self) -> f64;
    fn bytes(row: &[Self]) -> Vec<u8>;
}

impl Number for f32 {
    const NAN: Self = f32::NAN;
    fn wide(self) -> f64 {
        self.into()
    }
    fn bytes(row: &[Self]) -> Vec<u8> {
        row.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
}

impl Number for f64 {
    const NAN: Self = f64::NAN;
    fn wide(self) -> f64 {
        self
    }
    fn bytes(row: &[Self]) -> Vec<u8> {
        row.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
}
