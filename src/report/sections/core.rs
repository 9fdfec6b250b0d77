//! The core that all neurons share: its first filters, and how well it turns with the image.

use super::images::{Gallery, Tile};
use super::shared::{count, lines};
use crate::ops::basis::Basis;
use crate::report::figure::{Figure, Section};
use crate::report::plot::category;
use crate::report::source::{Found, Lack, Source};
use crate::report::tensors::Tensors;
use crate::{Error, Result};
use std::f64::consts::TAU;

/// Most filters that are shown.
const MOST: usize = 32;

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Core",
        "What all neurons share: the filters of the first layer, and how exactly the maps turn when the image does.",
    );
    match &run.model {
        Some(model) => match filters(model, run.orientations()) {
            Ok(figure) => section.draw_some(figure),
            Err(e) => section.lack("Filters", &Lack::Unusable(e.to_string()), "train CONFIG"),
        },
        None => section.lack("Filters", &Lack::Missing, "train CONFIG"),
    }
    if run.orientations() == 1 {
        section.note("Equivariance: this core has no orientations.");
        return section;
    }
    match run.table("equivariance.csv") {
        Ok(found) => section.draw_some(equivariance(&found)),
        Err(lack) => section.lack("Equivariance error", &lack, "verify-equivariance RUN"),
    }
    section
}

/// The first layer's filters, at all orientations where the core has them.
pub fn filters(model: &Tensors, orientations: usize) -> Result<Option<Figure>> {
    if let Some(&[ranks, _, features]) = model.shape("core.0.coefficients") {
        let width = (((8 * ranks + 1) as f64).sqrt() as usize).saturating_sub(1) / 2;
        if width == 0 || Basis::count(width) != ranks {
            let what =
                format!("core.0.coefficients: {ranks} coefficients belong to no filter width");
            return Err(Error::Other(what));
        }
        let all = model.numbers("core.0.coefficients")?;
        return Ok(steered(&all, width, features, orientations));
    }
    let Some(&[out, channels, rows, columns]) = model.shape("core.0.weights") else {
        return Ok(None);
    };
    let all = model.numbers("core.0.weights")?;
    let tiles = (0..out.min(MOST)).map(|o| Tile {
        label: o.to_string(),
        title: format!("filter {o}"),
        neuron: None,
        pixels: Some(all[o * channels * rows * columns..][..rows * columns].to_vec()),
        size: (rows, columns),
    });
    let caption = format!(
        "Filters of the first layer, on one grey scale; numbers are channels. {} of {}.",
        count(out.min(MOST), "filter", "filters"),
        out
    );
    Ok(Gallery {
        words: ["filters", "Filters of the first layer"],
        caption,
        heads: Vec::new(),
        sides: Vec::new(),
        rows: Gallery::wrapped(tiles.collect(), 8),
        by_column: false,
        unit: "weight",
    }
    .draw())
}

/// Filters from their coefficients (M, 1, F), turned to every orientation.
fn steered(
    coefficients: &[f64],
    width: usize,
    features: usize,
    orientations: usize,
) -> Option<Figure> {
    let basis = Basis::new(width);
    let shown = features.min(MOST);
    let turns: Vec<Vec<f64>> = (0..orientations)
        .map(|o| basis.rotate(coefficients, TAU * o as f64 / orientations as f64))
        .collect();
    let tile = |f: usize, o: usize| {
        let mut pixels = vec![0.0; width * width];
        for (j, function) in basis.filters.chunks_exact(width * width).enumerate() {
            let weight = turns[o][j * features + f];
            pixels
                .iter_mut()
                .zip(function)
                .for_each(|(p, v)| *p += weight * v);
        }
        Tile {
            label: String::new(),
            title: format!(
                "feature {f} at {:.0} degrees",
                360.0 * o as f64 / orientations as f64
            ),
            neuron: None,
            pixels: Some(pixels),
            size: (width, width),
        }
    };
    let caption = format!(
        "Filters of the first layer: a row per feature, turned counter-clockwise to every orientation of the core; one grey scale for all. {} of {}, {}.",
        count(shown, "feature", "features"),
        features,
        count(orientations, "orientation", "orientations")
    );
    Gallery {
        words: ["filters", "Filters of the first layer"],
        caption,
        heads: (0..orientations)
            .map(|o| format!("{:.0}\u{b0}", 360.0 * o as f64 / orientations as f64))
            .collect(),
        sides: (0..shown).map(|f| f.to_string()).collect(),
        rows: (0..shown)
            .map(|f| (0..orientations).map(|o| tile(f, o)).collect())
            .collect(),
        by_column: false,
        unit: "weight",
    }
    .draw()
}

/// Relative error of each layer by the angle of the turn.
pub fn equivariance(found: &Found) -> Option<Figure> {
    let (layers, angles, errors) = (
        found.column("layer"),
        found.column("angle"),
        found.column("error"),
    );
    let mut at = angles.clone();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let depth = layers.iter().copied().fold(0.0, f64::max) as usize + 1;
    let value = |layer: usize, angle: f64| {
        let row = (0..errors.len()).find(|&r| layers[r] as usize == layer && angles[r] == angle);
        // A turn that is exact to the last digit has no logarithm.
        row.map_or(f64::NAN, |r| errors[r].max(1e-9))
    };
    let curves: Vec<(String, Vec<f64>)> = (0..depth)
        .map(|l| {
            (
                format!("layer {l}"),
                at.iter().map(|a| value(l, *a)).collect(),
            )
        })
        .collect();
    let dashes = ["", "6 3", "2 2", "8 2 2 2"];
    let curves: Vec<(&str, &[f64], _, &str)> = curves
        .iter()
        .enumerate()
        .map(|(l, (name, values))| (name.as_str(), &values[..], category(l), dashes[l % 4]))
        .collect();
    let caption = format!(
        "Error of each layer\u{2019}s maps when the image is turned, relative to their size. Quarter turns need no interpolation; the other angles include its error. {}.",
        count(at.len(), "angle", "angles")
    );
    let words = ["equivariance", "Equivariance error", &*caption];
    lines(
        words,
        ("angle (degrees)", &at),
        "relative error",
        &curves,
        true,
    )
}
