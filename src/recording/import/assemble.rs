//! From images, trials and responses, wherever they are, to a recording.

use crate::recording::check::{check_neurons, check_tiers};
use crate::recording::draft::Draft;
use crate::recording::listing::{self, check_names};
use crate::recording::metadata::Metadata;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, Pixels, ResponseFile};
use crate::recording::split::{Shares, draw};
use crate::recording::summary::{Summary, tiers};
use crate::recording::{Tier, Trial};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Images by number.
pub(super) trait Pictures {
    /// Height and width.
    fn size(&self) -> (usize, usize);

    /// Gets ready to be asked for these, ascending; `beside` is a directory on the disk of the recording.
    fn prepare(
        &mut self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<()>;

    /// One of them.
    fn pixels(&self, number: usize) -> Result<Pixels>;
}

/// Where the tiers of trials come from.
pub(super) enum Tiers {
    /// One for each trial.
    Given(Vec<Tier>),
    /// Drawn by image.
    Drawn(Shares, u64),
}

/// What happens to a trial whose image another tier tests or validates with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaks {
    /// It is an error.
    Refused,
    /// It is left out, and counted: for films, whose stills repeat.
    LeftOut,
}

/// All of a recording but the numbers in its arrays.
pub(super) struct Plan<'a> {
    pub(super) source: &'a Path,
    pub(super) name: String,
    /// Where it comes from, with all options.
    pub(super) described: String,
    pub(super) response_unit: Option<String>,
    /// The number of the image of each trial.
    pub(super) shown: Vec<usize>,
    pub(super) tiers: Tiers,
    pub(super) leaks: Leaks,
    /// Further columns of `trials.csv`.
    pub(super) columns: Table,
    pub(super) neurons: usize,
    /// Columns of `neurons.csv` after `neuron`.
    pub(super) properties: Vec<(String, Vec<String>)>,
    /// Whether responses are `float64`.
    pub(super) wide: bool,
    pub(super) warnings: Vec<String>,
}

/// The trials that a recording has.
pub(super) struct Kept<'a> {
    pub(super) trials: &'a [Trial],
    /// The trial of the plan that each is.
    pub(super) rows: &'a [usize],
}

/// Writes the responses of trials, which there is room for.
pub(super) type Fill<'f> =
    dyn FnMut(&Kept<'_>, &ResponseFile, &mut Recorded, &mut Progress) -> Result<()> + 'f;

/// Makes a recording in `out`; without it all is read and nothing is written. Nothing is left behind on an error.
pub(super) fn assemble(
    plan: Plan<'_>,
    pictures: &mut dyn Pictures,
    fill: &mut Fill<'_>,
    out: Option<&Path>,
    progress: &mut Progress,
) -> Result<Summary> {
    let draft = match out {
        Some(out) => Some(Draft::begin(out, plan.bytes(pictures.size()))?),
        None => None,
    };
    let made = plan.make(pictures, fill, draft.as_ref(), progress);
    let summary = made.map_err(|e| match &draft {
        Some(draft) => draft.named(e),
        None => e,
    })?;
    if let Some(draft) = draft {
        draft.finish()?;
    }
    Ok(summary)
}

impl Plan<'_> {
    /// What the arrays will take on a disk, at most, images as bytes.
    fn bytes(&self, (h, w): (usize, usize)) -> u128 {
        let row = self.neurons * if self.wide { 8 } else { 4 };
        let images: HashSet<usize> = self.shown.iter().copied().collect();
        self.shown.len() as u128 * row as u128 + images.len() as u128 * (h * w) as u128
    }

    fn make(
        mut self,
        pictures: &mut dyn Pictures,
        fill: &mut Fill<'_>,
        draft: Option<&Draft>,
        progress: &mut Progress,
    ) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let mut wanted = self.shown.clone();
        wanted.sort_unstable();
        wanted.dedup();
        pictures.prepare(&wanted, draft.map(Draft::path), progress)?;
        let (trials, rows, images) =
            self.trials(pictures, path("images.npy").as_deref(), progress)?;
        check_tiers(&trials, self.source)?;
        let file = path("responses.npy");
        let mut responses = ResponseFile::create(file.as_deref(), self.neurons, self.wide)?;
        responses.reserve(trials.len());
        let mut recorded = Recorded::new(self.neurons);
        let kept = Kept {
            trials: &trials,
            rows: &rows,
        };
        fill(&kept, &responses, &mut recorded, progress)?;
        recorded.check(self.source)?;
        responses.finish()?;
        let columns = self.columns.select(&rows);
        self.write(draft, &trials, &columns)?;
        let (height, width) = pictures.size();
        Ok(Summary {
            name: self.name,
            images,
            height,
            width,
            neurons: self.neurons,
            tiers: tiers(&trials),
            warnings: self.warnings,
        })
    }

    /// Stores each image once, in the order in which they are shown first; what each trial is, which trial of the plan it is,
    /// and how many images there are.
    fn trials(
        &mut self,
        pictures: &dyn Pictures,
        file: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<(Vec<Trial>, Vec<usize>, usize)> {
        let rows = match (self.leaks, &self.tiers) {
            (Leaks::LeftOut, Tiers::Given(tiers)) => {
                let (rows, left) = without_leaks(&self.shown, tiers, pictures)?;
                if left > 0 {
                    self.warnings.push(format!(
                        "{}: {left} trials show an image that another tier is tested or validated with: they are left out",
                        self.source.display()
                    ));
                }
                rows
            }
            _ => (0..self.shown.len()).collect(),
        };
        let mut images = ImageFile::create(file, pictures.size())?;
        let mut row_of: HashMap<usize, usize> = HashMap::new();
        let mut stored = Vec::with_capacity(rows.len());
        for (done, trial) in rows.iter().enumerate() {
            if done % 256 == 0 {
                progress("storing images", done, rows.len())?;
            }
            let number = self.shown[*trial];
            let row = match row_of.get(&number) {
                Some(row) => *row,
                None => {
                    let pixels = pictures.pixels(number)?;
                    let row = images.add(&pixels, pixels.key())?;
                    row_of.insert(number, row);
                    row
                }
            };
            stored.push(row);
        }
        images.finish()?;
        let tiers: Vec<Tier> = match &self.tiers {
            Tiers::Given(tiers) => rows.iter().map(|t| tiers[*t]).collect(),
            Tiers::Drawn(shares, seed) => {
                let drawn = draw(&stored, *shares, *seed)?;
                stored.iter().map(|row| drawn[row]).collect()
            }
        };
        self.one_tier_each(&stored, &tiers, &rows)?;
        let trials = stored.into_iter().zip(tiers);
        let trials = trials.map(|(image, tier)| Trial { image, tier }).collect();
        Ok((trials, rows, images.count()))
    }

    fn one_tier_each(&self, stored: &[usize], tiers: &[Tier], rows: &[usize]) -> Result<()> {
        let mut first: HashMap<usize, usize> = HashMap::new();
        for (at, (row, tier)) in stored.iter().zip(tiers).enumerate() {
            let other = *first.entry(*row).or_insert(at);
            if tiers[other] == *tier {
                continue;
            }
            let number = |at: usize| self.shown[rows[at]];
            return Err(Error::bad(
                format!(
                    "{}, trial {} (image {})",
                    self.source.display(),
                    rows[at],
                    number(at)
                ),
                "tier",
                format!(
                    "{tier}, but {} in trial {}, which shows the same image ({})",
                    tiers[other],
                    rows[other],
                    number(other)
                ),
                "one tier per image: anything else leaks",
            ));
        }
        Ok(())
    }

    /// Checks and writes all that is no array.
    fn write(&self, draft: Option<&Draft>, trials: &[Trial], columns: &Table) -> Result<()> {
        let metadata = Metadata {
            name: Some(self.name.clone()),
            source: Some(self.described.clone()),
            response_unit: self.response_unit.clone(),
            ..Metadata::default()
        };
        metadata.check(&self.name, self.source)?;
        check_names(listing::OWN.into_iter().chain(columns.names()), self.source)?;
        let numbers = Column::Integer((0..self.neurons as i64).collect());
        let neurons = self.properties.iter().fold(
            Table::new().with("neuron", numbers),
            |table, (name, cells)| table.with(name, Column::Text(cells.clone())),
        );
        check_neurons(&neurons, self.neurons, self.source)?;
        let Some(draft) = draft else { return Ok(()) };
        let at = |name: &str| draft.path().join(name);
        files::write(&at("trials.csv"), |w| {
            listing::fill(w, trials, Some(columns))
        })?;
        if !self.properties.is_empty() {
            neurons.write_csv(&at("neurons.csv"))?;
        }
        files::write(&at("recording.toml"), |w| {
            w.write_all(metadata.text().as_bytes())
        })?;
        Ok(())
    }
}

/// The trials that show no image that a tier before theirs has, test before validation before train, by pixels; and how many
/// are left out.
fn without_leaks(
    shown: &[usize],
    tiers: &[Tier],
    pictures: &dyn Pictures,
) -> Result<(Vec<usize>, usize)> {
    let mut key_of: HashMap<usize, u128> = HashMap::new();
    for number in shown {
        if !key_of.contains_key(number) {
            key_of.insert(*number, pictures.pixels(*number)?.key());
        }
    }
    let rank = |tier: &Tier| match tier {
        Tier::Test => 0,
        Tier::Validation => 1,
        Tier::Train => 2,
    };
    let mut best: HashMap<u128, usize> = HashMap::new();
    for (number, tier) in shown.iter().zip(tiers) {
        let best = best.entry(key_of[number]).or_insert(2);
        *best = rank(tier).min(*best);
    }
    let keeps = |t: &usize| best[&key_of[&shown[*t]]] == rank(&tiers[*t]);
    let rows: Vec<usize> = (0..shown.len()).filter(keeps).collect();
    let left = shown.len() - rows.len();
    Ok((rows, left))
}
