//! The numbers at the top of the page.

use crate::report::source::Source;
use crate::statistics::{mean_of_known, median};

/// A number, and which column of which table it is what statistic of.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its words.
    pub words: String,
    /// The number.
    pub value: f64,
    /// The table's file.
    pub table: String,
    /// The column.
    pub column: String,
    /// `mean`, `median`, `count` or `maximum`.
    pub statistic: &'static str,
}

/// What is said of a run before anything is drawn.
pub fn numbers(run: &Source) -> Vec<Number> {
    let mut all = Vec::new();
    let mut add = |words: &str, table: &str, column: &str, statistic: &'static str| {
        let Ok(found) = run.table(table) else { return };
        let values = found.column(column);
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        if known.is_empty() {
            return;
        }
        let value = match statistic {
            "mean" => mean_of_known(&known),
            "median" => median(&known),
            "count" => known.len() as f64,
            _ => known.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        };
        all.push(Number {
            words: words.into(),
            value,
            table: table.into(),
            column: column.into(),
            statistic,
        });
    };
    add(
        "neurons scored",
        "evaluation.csv",
        "correlation_to_average",
        "count",
    );
    add(
        "mean test correlation",
        "evaluation.csv",
        "correlation_to_average",
        "mean",
    );
    add(
        "mean noise ceiling",
        "evaluation.csv",
        "maximum_correlation",
        "mean",
    );
    add(
        "mean single-trial correlation",
        "evaluation.csv",
        "single_trial_correlation",
        "mean",
    );
    add(
        "mean oracle",
        "evaluation.csv",
        "oracle_correlation",
        "mean",
    );
    add(
        "best validation correlation",
        "history.csv",
        "validation_correlation",
        "maximum",
    );
    add("clusters", "clusters_summary.csv", "cluster", "count");
    add("neurons with a cluster", "clusters.csv", "cluster", "count");
    add(
        "mean orientation index",
        "tuning.csv",
        "orientation_index",
        "mean",
    );
    add("mean phase index", "tuning.csv", "phase_index", "mean");
    add(
        "mean suppression index",
        "tuning.csv",
        "suppression_index",
        "mean",
    );
    add(
        "mean share that a cluster\u{2019}s Gabor reaches",
        "cluster_gabors.csv",
        "share_of_own",
        "mean",
    );
    add(
        "mean share that a cluster\u{2019}s MEI reaches",
        "cluster_meis.csv",
        "share_of_own",
        "mean",
    );
    all
}
