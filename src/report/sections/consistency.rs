//! What several fits of the same neurons agree on.

use super::dots::Dots;
use super::shared::{count, lines, multiples};
use crate::population::organise::INDICES;
use crate::report::figure::{Block, Figure, Section};
use crate::report::plot::{BLUE, GREY, ORANGE};
use crate::report::source::{Lack, Source};
use crate::table::Table;

/// Where `consistency` may have written.
const PLACES: [&str; 3] = [".", "consistency", ".."];
const COMMAND: &str = "consistency RUN RUN2 .. --out RUN/consistency";

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Consistency",
        "What several fits of the same neurons agree on: what of the map is the neurons\u{2019}, and what is the fit\u{2019}s.",
    );
    match read(run, "consistency.csv") {
        Ok(pairs) => {
            section.draw_some(agreement(&pairs));
            section.draw_some(errors(&pairs));
        }
        Err(lack) => section.lack("Agreement of fits", &lack, COMMAND),
    }
    match read(run, "continuum.csv") {
        Ok(table) => {
            continuum(&table)
                .into_iter()
                .for_each(|f| section.draw_some(f));
            section.blocks.push(Block::whole(&table));
        }
        Err(Lack::Missing) => {}
        Err(lack) => section.lack("Clusters or a continuum", &lack, COMMAND),
    }
    match read(run, "ensemble.csv") {
        Ok(table) => section.draw_some(spreads(run, table)),
        Err(Lack::Missing) => {}
        Err(lack) => section.lack("Spread of indices", &lack, COMMAND),
    }
    section
}

fn read(run: &Source, name: &str) -> Result<Table, Lack> {
    let found = PLACES.map(|place| run.directory.join(place).join(name));
    let path = found
        .into_iter()
        .find(|p| p.exists())
        .ok_or(Lack::Missing)?;
    Table::read_csv(&path).map_err(|e| Lack::Unusable(e.to_string()))
}

/// A number of each pair of fits, every pair once.
fn of_pairs(pairs: &Table, column: &str) -> Option<Vec<f64>> {
    let (a, b) = (pairs.text("run_a")?, pairs.text("run_b")?);
    let values = pairs.numbers(column)?;
    let first = |r: &usize| (0..*r).all(|e| a[e] != a[*r] || b[e] != b[*r]);
    let rows = (0..a.len()).filter(first);
    Some(rows.map(|r| values[r]).collect())
}

/// Who is near whom, who is clustered with whom, and what is predicted.
fn agreement(pairs: &Table) -> Option<Figure> {
    let mut groups = Vec::new();
    for (column, words) in [
        ("prediction_correlation", "predictions"),
        ("cka", "bar codes (CKA)"),
        ("knn_overlap", "ten nearest"),
    ] {
        if let Some(values) = of_pairs(pairs, column) {
            groups.push((words.to_string(), values));
        }
    }
    let (counts, ari) = (pairs.text("clusters")?, pairs.numbers("ari")?);
    let mut seen: Vec<&String> = Vec::new();
    counts.iter().for_each(|k| {
        if !seen.contains(&k) {
            seen.push(k);
        }
    });
    for k in seen {
        let own = (0..counts.len()).filter(|&r| counts[r] == *k);
        groups.push((format!("{k} clusters (ARI)"), own.map(|r| ari[r]).collect()));
    }
    Dots {
        words: [
            "agreement",
            "Agreement of fits",
            "Every pair of fits: correlation of their predictions, likeness of their bar codes, share of common nearest neighbours, and how alike their clusters are (adjusted Rand index; chance is 0).",
        ],
        axis: "agreement (1: the same)",
        columns: ["what", "agreement"],
        groups: &groups,
        range: Some((0.0, 1.0)),
        ..Dots::default()
    }
    .draw()
}

/// How far apart the fits are in every index.
fn errors(pairs: &Table) -> Option<Figure> {
    let of = |name: &&str| {
        let values = of_pairs(pairs, &format!("{name}_nmae"))?;
        Some((super::indices::words_of(name).to_string(), values))
    };
    let groups: Vec<(String, Vec<f64>)> = INDICES.iter().filter_map(of).collect();
    Dots {
        words: [
            "index-errors",
            "Indices of two fits",
            "How far apart two fits are in each index, as a share of how far apart neurons are: at 1 the index says nothing that another fit would say too.",
        ],
        axis: "mean difference of fits / mean deviation of neurons",
        columns: ["index", "nmae"],
        groups: &groups,
        range: Some((0.0, 1.0)),
        colour: ORANGE,
        ..Dots::default()
    }
    .draw()
}

/// Whether there are clusters, or a continuum.
fn continuum(table: &Table) -> [Option<Figure>; 2] {
    let of = |name: &str| table.numbers(name).map(|v| v.to_vec()).unwrap_or_default();
    let clusters = of("clusters");
    let figure = |column: &str, name: &str, title: &str, what: &str| {
        let (own, mean, sd) = (
            of(column),
            of(&format!("null_{column}_mean")),
            of(&format!("null_{column}_sd")),
        );
        let above: Vec<f64> = mean.iter().zip(&sd).map(|(m, s)| m + 2.0 * s).collect();
        let see = format!(
            "{what} of the neurons\u{2019} bar codes, beside Gaussian clouds of the same mean and covariance, which have no clusters: where the solid line is above the dotted one there are clusters. {}.",
            count(clusters.len(), "number of clusters", "numbers of clusters")
        );
        let curves: [(&str, &[f64], _, _); 3] = [
            ("neurons", &own, BLUE, ""),
            ("clouds, mean", &mean, GREY, "5 3"),
            ("clouds, mean + 2 SD", &above, GREY, "1 3"),
        ];
        lines(
            [name, title, &see],
            ("clusters", &clusters),
            column,
            &curves,
            false,
        )
    };
    [
        figure(
            "silhouette",
            "continuum-silhouette",
            "Clusters or a continuum: silhouette",
            "How well clusters are set apart (silhouette)",
        ),
        figure(
            "ari",
            "continuum-agreement",
            "Clusters or a continuum: agreement",
            "How alike clusters from different seeds are (adjusted Rand index)",
        ),
    ]
}

/// How much each index varies over the fits.
fn spreads(run: &Source, table: Table) -> Option<Figure> {
    let names: Vec<(String, String)> = INDICES
        .iter()
        .map(|name| {
            let words = super::indices::words_of(name);
            (format!("{name}_sd"), format!("SD of {words}"))
        })
        .collect();
    let columns: Vec<(&str, &str)> = names
        .iter()
        .map(|(name, words)| (name.as_str(), words.as_str()))
        .collect();
    let words = [
        "ensemble-spread",
        "Spread over fits",
        "How much each neuron\u{2019}s indices vary from fit to fit (SD over fits); dashed, the mean.",
    ];
    multiples(words, "SD over fits", &columns, &run.found(table))
}
