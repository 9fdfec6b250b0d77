//! From images, trials and responses, wherever they are, to a recording.

use super::made::{Made, Shown, Tiering, drafted};
use crate::Result;
use crate::recording::draft::Draft;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, Pixels, ResponseFile};
use crate::recording::summary::Summary;
use crate::recording::{Tier, Trial};
use crate::table::{Column, Table};
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
    pub(super) tiering: Tiering<'a>,
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
    drafted(out, plan.bytes(pictures.size()), |draft| {
        plan.make(pictures, fill, draft, progress)
    })
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
        let rows = self.rows(pictures)?;
        let numbers: Vec<usize> = rows.iter().map(|t| self.shown[*t]).collect();
        if let Tiering::Given(tiers) = &mut self.tiering {
            *tiers = rows.iter().map(|t| tiers[*t]).collect();
        }
        let mut images = ImageFile::create(path("images.npy").as_deref(), pictures.size())?;
        let shown = Shown {
            numbers: &numbers,
            pixels: &|number| pictures.pixels(number),
            first: 0,
            source: self.source,
        };
        let trials = shown.store(&mut images, &self.tiering, progress)?;
        images.finish()?;
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
        let made = Made {
            source: self.source,
            name: self.name,
            described: self.described,
            response_unit: self.response_unit,
            columns: self.columns.select(&rows),
            trials,
            neurons: self.neurons,
            properties: self
                .properties
                .into_iter()
                .map(|(name, cells)| (name, Column::Text(cells)))
                .collect(),
            images: images.count(),
            size: pictures.size(),
            warnings: self.warnings,
        };
        made.write(draft)
    }

    /// The trials that are kept.
    fn rows(&mut self, pictures: &dyn Pictures) -> Result<Vec<usize>> {
        let (Leaks::LeftOut, Tiering::Given(tiers)) = (self.leaks, &self.tiering) else {
            return Ok((0..self.shown.len()).collect());
        };
        let (rows, left) = without_leaks(&self.shown, tiers, pictures)?;
        if left > 0 {
            self.warnings.push(format!(
                "{}: {left} trials show an image that another tier is tested or validated with: they are left out",
                self.source.display()
            ));
        }
        Ok(rows)
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
