//! What a recording holds, without its numbers.

use super::inspect::TierDescription;
use super::{Tier, Trial};
use crate::statistics::median;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Counts of a recording that was made or would be made; prints as text, serialises as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The recording's name.
    pub name: String,
    /// Images stored.
    pub images: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Neurons.
    pub neurons: usize,
    /// Train, validation, test.
    pub tiers: Vec<TierDescription>,
    /// What to know before anything is made of it, a line each.
    pub warnings: Vec<String>,
}

/// The three tiers of these trials.
pub(super) fn tiers(trials: &[Trial]) -> Vec<TierDescription> {
    let tier = |tier: Tier| {
        let mut shown: BTreeMap<usize, usize> = BTreeMap::new();
        for trial in trials.iter().filter(|t| t.tier == tier) {
            *shown.entry(trial.image).or_default() += 1;
        }
        let counts: Vec<usize> = shown.into_values().collect();
        TierDescription {
            tier: tier.name(),
            trials: counts.iter().sum(),
            images: counts.len(),
            repeats_min: counts.iter().copied().min().unwrap_or(0),
            repeats_median: median(&counts.iter().map(|n| *n as f64).collect::<Vec<_>>()),
            repeats_max: counts.iter().copied().max().unwrap_or(0),
        }
    };
    Tier::ALL.into_iter().map(tier).collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        writeln!(
            f,
            "  images      {} of {}x{} (height x width)",
            self.images, self.height, self.width
        )?;
        self.tiers.iter().try_for_each(|t| write!(f, "{t}"))?;
        writeln!(f, "  neurons     {}", self.neurons)
    }
}

impl fmt::Display for TierDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {:<11} {} trials of {} images",
            self.tier, self.trials, self.images
        )?;
        match self.repeats_max {
            0 => writeln!(f),
            max => writeln!(
                f,
                ", repeats: {} to {max}, median {}",
                self.repeats_min, self.repeats_median
            ),
        }
    }
}
