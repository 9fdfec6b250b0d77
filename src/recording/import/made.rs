//! The end of every import: trials with their images and tiers, tables, and what it says of itself.

use crate::recording::check::{check_neurons, check_tiers};
use crate::recording::draft::Draft;
use crate::recording::listing::{self, check_names};
use crate::recording::metadata::Metadata;
use crate::recording::part::Progress;
use crate::recording::sink::{ImageFile, Pixels};
use crate::recording::split::{Shares, draw};
use crate::recording::summary::{Summary, tiers};
use crate::recording::{Tier, Trial, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Where the tiers of trials come from.
pub(super) enum Tiering<'a> {
    /// One for each trial.
    Given(Vec<Tier>),
    /// Drawn by image; images for which the function says the same number stay together.
    Drawn {
        shares: Shares,
        seed: u64,
        together: &'a dyn Fn(usize) -> usize,
    },
}

impl Tiering<'_> {
    /// Drawn by image.
    pub(super) fn drawn(shares: Shares, seed: u64) -> Self {
        Self::Drawn {
            shares,
            seed,
            together: &|number| number,
        }
    }

    /// As an option, for where a recording comes from.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Given(_) => String::new(),
            Self::Drawn { shares, seed, .. } => {
                format!(", split by image: {shares}, seed {seed}")
            }
        }
    }
}

/// The trials of a recording: what each shows, as a number.
pub(super) struct Shown<'a> {
    pub(super) numbers: &'a [usize],
    /// What is kept of an image.
    pub(super) pixels: &'a dyn Fn(usize) -> Result<Pixels>,
    /// What the source calls its first image.
    pub(super) first: usize,
    pub(super) source: &'a Path,
}

impl Shown<'_> {
    /// Stores the images, each once, in the order in which they are shown first, and says what each trial is.
    pub(super) fn store(
        &self,
        images: &mut ImageFile,
        tiering: &Tiering<'_>,
        progress: &mut Progress,
    ) -> Result<Vec<Trial>> {
        let mut row_of: HashMap<usize, usize> = HashMap::new();
        let mut rows = Vec::with_capacity(self.numbers.len());
        for (trial, number) in self.numbers.iter().enumerate() {
            if trial % 256 == 0 {
                progress("storing images", trial, self.numbers.len())?;
            }
            let row = match row_of.get(number) {
                Some(row) => *row,
                None => {
                    let pixels = (self.pixels)(*number)?;
                    let row = images.add(&pixels, pixels.key())?;
                    row_of.insert(*number, row);
                    row
                }
            };
            rows.push(row);
        }
        let tiers = match tiering {
            Tiering::Given(tiers) => tiers.clone(),
            Tiering::Drawn {
                shares,
                seed,
                together,
            } => self.draw(&rows, *shares, *seed, together)?,
        };
        self.one_tier_each(&rows, &tiers)?;
        let trials = rows.into_iter().zip(tiers);
        let trials: Vec<Trial> = trials.map(|(image, tier)| Trial { image, tier }).collect();
        check_tiers(&trials, self.source)?;
        Ok(trials)
    }

    /// A tier for every trial, drawn by image.
    fn draw(
        &self,
        rows: &[usize],
        shares: Shares,
        seed: u64,
        together: &dyn Fn(usize) -> usize,
    ) -> Result<Vec<Tier>> {
        // A group is called by its first row; identical images join the groups of their numbers.
        let count = rows.iter().max().map_or(0, |r| r + 1);
        let mut parent: Vec<usize> = (0..count).collect();
        fn root(parent: &mut [usize], mut row: usize) -> usize {
            while parent[row] != row {
                parent[row] = parent[parent[row]];
                row = parent[row];
            }
            row
        }
        let mut member: BTreeMap<usize, usize> = BTreeMap::new();
        for (row, number) in rows.iter().zip(self.numbers) {
            let other = *member.entry(together(*number)).or_insert(*row);
            let (a, b) = (root(&mut parent, *row), root(&mut parent, other));
            parent[a.max(b)] = a.min(b);
        }
        let groups: Vec<usize> = rows.iter().map(|r| root(&mut parent, *r)).collect();
        let drawn = draw(&groups, shares, seed)?;
        Ok(groups.iter().map(|g| drawn[g]).collect())
    }

    fn one_tier_each(&self, rows: &[usize], tiers: &[Tier]) -> Result<()> {
        let mut first: HashMap<usize, usize> = HashMap::new();
        for (trial, (row, tier)) in rows.iter().zip(tiers).enumerate() {
            let other = *first.entry(*row).or_insert(trial);
            let earlier = tiers[other];
            if earlier != *tier {
                let number = self.numbers[trial] + self.first;
                return Err(Error::bad(
                    format!("{}, trial {trial} (image {number})", self.source.display()),
                    "tier",
                    format!(
                        "{tier}, but {earlier} in trial {other}, which shows the same image ({})",
                        self.numbers[other] + self.first
                    ),
                    "one tier per image: anything else leaks",
                ));
            }
        }
        Ok(())
    }
}

/// Everything of a recording but its arrays.
pub(super) struct Made<'a> {
    pub(super) source: &'a Path,
    pub(super) name: String,
    /// Where it comes from, with all options.
    pub(super) described: String,
    pub(super) response_unit: Option<String>,
    pub(super) trials: Vec<Trial>,
    /// Further columns of `trials.csv`.
    pub(super) columns: Table,
    pub(super) neurons: usize,
    /// Columns of `neurons.csv` after `neuron`.
    pub(super) properties: Vec<(String, Column)>,
    pub(super) images: usize,
    pub(super) size: (usize, usize),
    pub(super) warnings: Vec<String>,
}

impl Made<'_> {
    /// Checks it, and writes it into the draft if there is one.
    pub(super) fn write(self, draft: Option<&Draft>) -> Result<Summary> {
        let metadata = Metadata {
            name: Some(self.name.clone()),
            source: Some(self.described),
            response_unit: self.response_unit,
            ..Metadata::default()
        };
        metadata.check(&self.name, self.source)?;
        check_tiers(&self.trials, self.source)?;
        check_names(
            listing::OWN.into_iter().chain(self.columns.names()),
            self.source,
        )?;
        let numbers = Column::Integer((0..self.neurons as i64).collect());
        let neurons = (!self.properties.is_empty()).then(|| {
            let table = Table::new().with("neuron", numbers);
            let properties = self.properties.into_iter();
            properties.fold(table, |table, (name, column)| table.with(&name, column))
        });
        if let Some(neurons) = &neurons {
            check_neurons(neurons, self.neurons, self.source)?;
        }
        if let Some(draft) = draft {
            let at = |name: &str| draft.path().join(name);
            files::write(&at("trials.csv"), |w| {
                listing::fill(w, &self.trials, Some(&self.columns))
            })?;
            if let Some(neurons) = &neurons {
                neurons.write_csv(&at("neurons.csv"))?;
            }
            files::write(&at("recording.toml"), |w| {
                w.write_all(metadata.text().as_bytes())
            })?;
        }
        Ok(Summary {
            name: self.name,
            images: self.images,
            height: self.size.0,
            width: self.size.1,
            neurons: self.neurons,
            tiers: tiers(&self.trials),
            warnings: self.warnings,
        })
    }
}

/// What a source's name is without its ending, which must be one of these in small letters.
pub(super) fn stem(source: &Path, endings: &[&str]) -> Result<String> {
    let name = name_of(source)?;
    for ending in endings {
        let cut = name.len().saturating_sub(ending.len());
        if let (Some(start), Some(end)) = (name.get(..cut), name.get(cut..))
            && cut > 0
            && end.eq_ignore_ascii_case(ending)
        {
            return Ok(start.to_string());
        }
    }
    Ok(name)
}

/// Makes a recording through a draft; without `out` nothing is written.
pub(super) fn drafted(
    out: Option<&Path>,
    bytes: u128,
    make: impl FnOnce(Option<&Draft>) -> Result<Summary>,
) -> Result<Summary> {
    let draft = match out {
        Some(out) => Some(Draft::begin(out, bytes)?),
        None => None,
    };
    let summary = make(draft.as_ref()).map_err(|e| match &draft {
        Some(draft) => draft.named(e),
        None => e,
    })?;
    if let Some(draft) = draft {
        draft.finish()?;
    }
    Ok(summary)
}
