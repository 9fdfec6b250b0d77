//! Where everything comes from.

use crate::report::figure::{Block, Section};
use crate::report::source::Source;
use crate::results::DERIVED;
use crate::table::Table;

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Provenance",
        "What made this page: model, data, commands, configuration.",
    );
    let mut rows = vec![
        ("striate".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("run".into(), absolute(run)),
    ];
    let hash = run.model.as_ref().map(|m| m.hash.clone());
    rows.push(("model".into(), hash.unwrap_or_else(|| "none yet".into())));
    for (readout, (name, count)) in run.readouts.iter().enumerate() {
        let path = run.recording_of(readout);
        let place = path.map_or_else(|| "not known".to_string(), |p| p.display().to_string());
        rows.push((
            format!("recording {name}"),
            format!("{count} neurons; {place}"),
        ));
    }
    let seed = run.setting("training", "seed").map(ToString::to_string);
    rows.push((
        "training seed".into(),
        seed.unwrap_or_else(|| "1 (default)".into()),
    ));
    if let Ok(history) = run.table("history.csv") {
        let of = |name: &str| history.column(name).last().copied();
        if let Some(seconds) = of("seconds") {
            rows.push(("time of the fit".into(), format!("{seconds:.0} s")));
        }
        if let Some(step) = of("step") {
            rows.push(("steps of the fit".into(), format!("{step}")));
        }
    }
    section.blocks.push(Block::Table(
        vec!["what".into(), "value".into()],
        rows.into_iter().map(|(a, b)| vec![a, b]).collect(),
    ));
    let tables = listing(&run.directory, &DERIVED);
    match tables.is_empty() {
        true => section.note("No tables yet."),
        false => section.blocks.push(Block::Table(
            ["table", "rows", "made by", "with", "of model"]
                .map(String::from)
                .to_vec(),
            tables,
        )),
    }
    let config = run.config.0.clone();
    if !config.is_empty() {
        section
            .blocks
            .push(Block::Listing("Configuration".into(), config));
    }
    section
}

fn absolute(run: &Source) -> String {
    let path = run.directory.canonicalize();
    path.unwrap_or_else(|_| run.directory.clone())
        .display()
        .to_string()
}

/// Which tables there are, how long they are, and with what they were made.
pub fn listing(directory: &std::path::Path, names: &[&str]) -> Vec<Vec<String>> {
    let there = names
        .iter()
        .filter(|n| n.ends_with(".csv") && directory.join(n).exists());
    there
        .filter_map(|name| {
            let table = Table::read_csv(&directory.join(name)).ok()?;
            let first = |column: &str| {
                let all = table.text(column).unwrap_or_default();
                all.into_iter().find(|c| !c.is_empty()).unwrap_or_default()
            };
            Some(vec![
                (*name).to_string(),
                table.rows().to_string(),
                command(name).into(),
                first("made_with"),
                first("model_hash"),
            ])
        })
        .collect()
}

/// The command that writes a table.
fn command(table: &str) -> &'static str {
    match table {
        "evaluation.csv" => "evaluate",
        "equivariance.csv" => "verify-equivariance",
        "gabors.csv" => "gabors",
        "dogs.csv" => "dogs",
        "meis.csv" => "meis",
        "synthesized.csv" => "synthesize",
        "tuning.csv" => "tune",
        "selected_gabors.csv" => "select-gabors",
        "tuning_comparison.csv" => "compare-tuning",
        "clusters.csv" | "alignment.csv" | "cluster_counts.csv" | "clusters_summary.csv" => {
            "cluster"
        }
        "cluster_gabors.csv" | "cluster_dogs.csv" | "cluster_meis.csv" | "cluster_turns.csv" => {
            "cluster-stimuli"
        }
        "cluster_tests.csv"
        | "random_tests.csv"
        | "index_correlations.csv"
        | "combinations.csv"
        | "readout_sparsity.csv"
        | "organisation_by_recording.csv" => "organise",
        _ => "",
    }
}
