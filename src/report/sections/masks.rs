//! Scores as the field prints them, and whether masks are one place: correlation alone hides broken masks.

use super::shared::{Scatter, count, multiples};
use crate::report::figure::{Figure, Section};
use crate::report::plot::BLUE;
use crate::report::source::{Found, Source};

/// Columns of the families of scores, and what they are called.
const SCORES: [(&str, &str); 11] = [
    ("single_trial_correlation", "r, single trials"),
    ("correlation_to_average", "r, to the average"),
    ("oracle_correlation", "r of the oracle"),
    ("single_trial_fev", "FEV, single trials"),
    ("feve", "FEVE"),
    ("fve", "FVE of averages"),
    ("r_max", "r max"),
    ("image_selectivity", "selectivity"),
    ("cc_abs", "CC abs"),
    ("cc_max", "CC max"),
    ("cc_norm", "CC norm"),
];

/// Columns about masks.
const MASKS: [(&str, &str); 2] = [
    ("mask_blobs", "connected parts"),
    ("mask_mass_in_radius", "mass near the peak"),
];

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Scores and masks",
        "The scores that the field prints, and whether each neuron\u{2019}s mask is one place: a broken mask can hide behind a good correlation.",
    );
    match run.table("evaluation.csv") {
        Ok(found) => {
            section.draw_some(scores(&found));
            section.draw_some(masks(&found));
            section.draw_some(beside(run, &found));
        }
        Err(lack) => section.lack("Scores and masks", &lack, "evaluate RUN"),
    }
    section
}

/// A histogram of each score.
pub fn scores(found: &Found) -> Option<Figure> {
    let words = [
        "scores",
        "Scores",
        "Every score over all neurons that have it; dashed, the mean. Sensorium: correlations. Du et al. 2025: FEV and FEVE. Kindel et al. 2019: FVE, r max and selectivity. Wang et al. 2025: CC.",
    ];
    multiples(words, "score", &SCORES, found)
}

/// A histogram of each number about masks.
pub fn masks(found: &Found) -> Option<Figure> {
    let blobs = found.values("mask_blobs").unwrap_or_default();
    let several = blobs.iter().filter(|b| **b > 1.0).count();
    let border = found.words("mask_at_border").unwrap_or_default();
    let outermost = border.iter().filter(|b| *b == "true").count();
    let see = format!(
        "Connected parts of each mask above a tenth of its peak, and the share of its mass within 8 pixels of the peak. {} with more than one part, {} whose peak is an outermost pixel.",
        count(several, "neuron", "neurons"),
        count(outermost, "neuron", "neurons"),
    );
    multiples(["masks", "Masks", &see], "value", &MASKS, found)
}

/// Whether neurons with scattered masks are predicted worse.
fn beside(run: &Source, found: &Found) -> Option<Figure> {
    let of = |name: &str| found.values(name).unwrap_or_default();
    let scatter = Scatter {
        words: [
            "mask-and-correlation",
            "Masks and correlation",
            "Each neuron\u{2019}s correlation on test images against the share of its mask near the peak: to the left masks are scattered.",
        ],
        x: (
            "mass within 8 pixels of the peak",
            &of("mask_mass_in_radius"),
        ),
        y: ("correlation to average", &of("correlation_to_average")),
        columns: ["mask_mass_in_radius", "correlation_to_average"],
        alike: false,
        colour: BLUE,
    };
    scatter.draw(run)
}
