//! Functional organisation, through the real binary: clusters of planted bar codes, and how indices are spread over them.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/small.rs"]
mod small;

mod cluster;
mod organise;
mod planted;

use std::path::Path;
use striate::table::Table;

fn table(path: &Path) -> Table {
    Table::read_csv(path).unwrap()
}

fn column(table: &Table, name: &str) -> Vec<f64> {
    table
        .numbers(name)
        .unwrap_or_else(|| panic!("{name}"))
        .to_vec()
}
