//! `history.csv`: one row per validation.

use crate::Result;
use crate::table::{Column, Table};
use std::path::Path;

/// The file's name in a run.
pub const FILE: &str = "history.csv";

/// One validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Steps taken, those undone by early stopping included.
    pub step: u64,
    /// From 1.
    pub phase: u32,
    /// Of the steps before.
    pub learning_rate: f64,
    /// Mean unregularised loss of the batches since the last validation.
    pub train_loss: f64,
    /// Unregularised loss on the validation tier.
    pub validation_loss: Option<f64>,
    /// Mean correlation with single validation trials.
    pub validation_correlation: Option<f64>,
    /// Wall time so far.
    pub seconds: f64,
}

/// All validations of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    rows: Vec<Row>,
}

impl History {
    /// From rows.
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    /// Appends a validation.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// In order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Writes the table.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let numbers = |f: &dyn Fn(&Row) -> f64| Column::Number(self.rows.iter().map(f).collect());
        let whole = |f: &dyn Fn(&Row) -> i64| Column::Integer(self.rows.iter().map(f).collect());
        Table::new()
            .with("step", whole(&|r| r.step as i64))
            .with("phase", whole(&|r| i64::from(r.phase)))
            .with("learning_rate", numbers(&|r| r.learning_rate))
            .with("train_loss", numbers(&|r| r.train_loss))
            .with(
                "validation_loss",
                numbers(&|r| r.validation_loss.unwrap_or(f64::NAN)),
            )
            .with(
                "validation_correlation",
                numbers(&|r| r.validation_correlation.unwrap_or(f64::NAN)),
            )
            .with("seconds", numbers(&|r| r.seconds))
            .write_csv(path)
    }
}
