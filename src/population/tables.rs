//! What `cluster` writes.

use super::BarCodes;
use super::alignment::Alignment;
use super::clusters::Count;
use super::grouping::Grouping;
use crate::table::{Column, Table};

/// A row per neuron: `neuron,cluster,rotation,tsne_1,tsne_2`, the last four empty without a bar code; with `recording` in
/// front where there are several.
pub fn clusters(codes: &BarCodes, found: &Grouping, several: bool) -> Table {
    let mut points = vec![[f64::NAN; 2]; codes.len()];
    for (at, &row) in found.filled.iter().enumerate() {
        points[row] = [0, 1].map(|i| f64::from(found.embedding.points[(at, i)]));
    }
    let labels = found
        .labels
        .iter()
        .map(|l| l.map_or(f64::NAN, |l| l as f64));
    let neurons = codes.who.iter().map(|w| w.neuron as i64).collect();
    let names = codes.who.iter().map(|w| w.recording.clone());
    let mut table = Table::new();
    if several {
        table = table.with("recording", Column::Text(names.collect()));
    }
    table
        .with("neuron", Column::Integer(neurons))
        .with("cluster", Column::Number(labels.collect()))
        .with("rotation", Column::Number(found.rotations.clone()))
        .with(
            "tsne_1",
            Column::Number(points.iter().map(|p| p[0]).collect()),
        )
        .with(
            "tsne_2",
            Column::Number(points.iter().map(|p| p[1]).collect()),
        )
}

/// A row per penalty: `penalty,temperature,energy,reconstruction,steps,chosen`.
pub fn alignment(of: &Alignment) -> Table {
    let fits = &of.fits;
    Table::new()
        .with(
            "penalty",
            Column::Number(fits.iter().map(|f| f.penalty).collect()),
        )
        .with(
            "temperature",
            Column::Number(fits.iter().map(|f| f.temperature).collect()),
        )
        .with(
            "energy",
            Column::Number(fits.iter().map(|f| f.energy).collect()),
        )
        .with(
            "reconstruction",
            Column::Number(fits.iter().map(|f| f.reconstruction).collect()),
        )
        .with(
            "steps",
            Column::Integer(fits.iter().map(|f| f.steps as i64).collect()),
        )
        .with(
            "chosen",
            Column::Boolean(fits.iter().map(|f| f.chosen).collect()),
        )
}

/// A row per number of clusters: `clusters,held_out_log_likelihood,inertia,ari_over_seeds`.
pub fn counts(of: &[Count]) -> Table {
    let number = |f: fn(&Count) -> f64| Column::Number(of.iter().map(f).collect());
    let clusters = of.iter().map(|c| c.clusters as i64).collect();
    Table::new()
        .with("clusters", Column::Integer(clusters))
        .with(
            "held_out_log_likelihood",
            number(|c| c.held_out_log_likelihood),
        )
        .with("inertia", number(|c| c.inertia))
        .with("ari_over_seeds", number(|c| c.ari_over_seeds))
}

/// A row per cluster: `cluster,neurons,block`, and how many neurons each of several recordings gives.
pub fn summary(
    codes: &BarCodes,
    found: &Grouping,
    clusters: usize,
    blocks: &[usize],
    several: bool,
) -> Table {
    let count = |of: Option<&str>| {
        let mut counts = vec![0i64; clusters];
        for (who, label) in codes.who.iter().zip(&found.labels) {
            if let (Some(label), true) = (label, of.is_none_or(|name| who.recording == name)) {
                counts[*label] += 1;
            }
        }
        Column::Integer(counts)
    };
    let table = Table::new()
        .with("cluster", Column::Integer((0..clusters as i64).collect()))
        .with("neurons", count(None))
        .with(
            "block",
            Column::Integer(blocks.iter().map(|&b| b as i64).collect()),
        );
    let mut names: Vec<&str> = Vec::new();
    for who in &codes.who {
        if !names.contains(&who.recording.as_str()) {
            names.push(&who.recording);
        }
    }
    match several {
        true => names.into_iter().fold(table, |table, name| {
            table.with(&format!("neurons_{name}"), count(Some(name)))
        }),
        false => table,
    }
}
