//! Who was shown what, how often, and for what purpose.

use super::{Recording, Tier};
use std::collections::BTreeMap;
use std::fmt;

impl Tier {
    /// All three, in the order of use.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The word in `trials.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The tier of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Recording {
    /// Columns of `responses`.
    pub fn neuron_count(&self) -> usize {
        self.responses.ncols()
    }

    /// Rows of pixels per image.
    pub fn height(&self) -> usize {
        self.images.shape()[1]
    }

    /// Columns of pixels per image.
    pub fn width(&self) -> usize {
        self.images.shape()[2]
    }

    /// Rows of `responses` that belong to a tier, ascending.
    pub fn trials_of(&self, tier: Tier) -> Vec<usize> {
        let trials = self.trials.iter().enumerate();
        trials
            .filter(|(_, t)| t.tier == tier)
            .map(|(row, _)| row)
            .collect()
    }

    /// Images shown in a tier, each once, ascending.
    pub fn images_of(&self, tier: Tier) -> Vec<usize> {
        self.shown(tier).into_keys().collect()
    }

    /// Trials of each image of a tier, in the order of [`Recording::images_of`].
    pub fn repeats(&self, tier: Tier) -> Vec<Vec<usize>> {
        self.shown(tier).into_values().collect()
    }

    fn shown(&self, tier: Tier) -> BTreeMap<usize, Vec<usize>> {
        let mut shown: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, trial) in self
            .trials
            .iter()
            .enumerate()
            .filter(|(_, t)| t.tier == tier)
        {
            shown.entry(trial.image).or_default().push(row);
        }
        shown
    }
}
