//! The twin's predictions beside new recordings, and a run beside other runs.

use super::shared::Scatter;
use crate::report::figure::Section;
use crate::report::plot::BLUE;
use crate::report::source::{Lack, Source};
use crate::table::Table;

/// The in-vivo comparison.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "In vivo",
        "Predicted tuning beside responses that were recorded afterwards to the same stimuli.",
    );
    match run.table("tuning_comparison.csv") {
        Ok(found) => {
            let of = |name: &str| found.values(name).unwrap_or_default();
            let (reached, oracle, most) = (
                of("correlation_to_average"),
                of("oracle_correlation"),
                of("maximum_correlation"),
            );
            let pairs = [
                (
                    "comparison-oracle",
                    "In vivo: twin and oracle",
                    "oracle correlation",
                    "oracle_correlation",
                    &oracle,
                ),
                (
                    "comparison-ceiling",
                    "In vivo: twin and noise ceiling",
                    "noise ceiling (maximum correlation)",
                    "maximum_correlation",
                    &most,
                ),
            ];
            for (name, title, words, column, values) in pairs {
                let scatter = Scatter {
                    words: [
                        name,
                        title,
                        "Correlation of predicted and recorded responses to the tuning stimuli, against what repeats allow.",
                    ],
                    x: (words, values),
                    y: ("correlation to average", &reached),
                    columns: [column, "correlation_to_average"],
                    alike: true,
                    colour: BLUE,
                };
                section.draw_some(scatter.draw(run));
            }
        }
        Err(lack) => section.lack(
            "Comparison with recorded tuning",
            &lack,
            "compare-tuning RUN REC",
        ),
    }
    section
}

/// Tables of a search that the run belongs to, which lie in the directory above it.
pub fn searches(run: &Source) -> Section {
    let mut section = Section::new(
        "Search and comparison",
        "The run beside the others of its search, and beside other systems.",
    );
    tables(
        run,
        &mut section,
        &["search.csv", "comparison.csv"],
        "This run belongs to no search: `striate search SEARCH.toml --out DIR` makes one.",
    );
    section
}

/// What several fits agree on.
pub fn consistency(run: &Source) -> Section {
    let mut section = Section::new(
        "Consistency",
        "What several fits of the same recording agree on.",
    );
    tables(
        run,
        &mut section,
        &["consistency.csv", "continuum.csv", "ensemble.csv"],
        "Not yet. `striate consistency RUN RUN2 .. --out DIR` makes it.",
    );
    section
}

/// Shows tables as they are, from the run or the directory above it.
fn tables(run: &Source, section: &mut Section, names: &[&str], without: &str) {
    for name in names {
        let own = run.directory.join(name);
        let above = run.directory.join("..").join(name);
        let path = if own.exists() { own } else { above };
        if !path.exists() {
            continue;
        }
        match Table::read_csv(&path) {
            Ok(table) => section.blocks.push(shown(&table)),
            Err(e) => section.lack(name, &Lack::Unusable(e.to_string()), "search SEARCH.toml"),
        }
    }
    if section.blocks.is_empty() {
        section.note(without);
    }
}

/// The first rows of a table.
fn shown(table: &Table) -> crate::report::figure::Block {
    const ROWS: usize = 30;
    let heads: Vec<String> = table.names().map(String::from).collect();
    let columns: Vec<Vec<String>> = heads.iter().filter_map(|h| table.text(h)).collect();
    let rows = (0..table.rows().min(ROWS)).map(|r| columns.iter().map(|c| c[r].clone()).collect());
    crate::report::figure::Block::Table(heads, rows.collect())
}
